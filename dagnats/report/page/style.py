"""How the HTML report looks: one style for screens, small and large, light and dark, and for paper."""

CSS = """
:root{--bg:#fff;--fg:#1f2328;--dim:#59636e;--line:#d1d9e0;--panel:#f6f8fa;--ok:#1a7f37;--fail:#cf222e;--warn:#9a6700;--stop:#bc4c00;--run:#0969da;
--skip:#656d76;--link:#0550ae;--bad:#fff1f0;--term:#161b22;--ink:#e6edf3;--mono:ui-monospace,SFMono-Regular,Menlo,Consolas,"DejaVu Sans Mono",monospace}
@media (prefers-color-scheme:dark){:root{--bg:#0d1117;--fg:#e6edf3;--dim:#9198a1;--line:#30363d;--panel:#151b23;--ok:#3fb950;--fail:#f85149;--warn:#d29922;
--stop:#f0883e;--run:#4493f8;--skip:#8b949e;--link:#79b8ff;--bad:#2b1416;--term:#010409}}
*{box-sizing:border-box}
html{-webkit-text-size-adjust:100%;text-size-adjust:100%}
body{margin:0 auto;max-width:76rem;padding:1.5rem 1.25rem 4rem;background:var(--bg);color:var(--fg);font:15px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,"Helvetica Neue",Arial,sans-serif}
h1{font-size:1.6rem;line-height:1.25;margin:0 0 .25rem;overflow-wrap:anywhere}
h2{font-size:1.15rem;margin:2.25rem 0 .75rem}
h3,h4{font-size:1em;margin:0}
h4{margin:1rem 0 .35rem;font-size:.9em;color:var(--dim);font-weight:600}
a{color:var(--link);text-decoration:none}
a:hover{text-decoration:underline}
:focus-visible{outline:2px solid var(--run);outline-offset:2px;border-radius:3px}
code,pre,.id{font-family:var(--mono);font-size:.87em}
small{font-size:.87em;color:var(--dim);font-weight:400}
.ok{color:var(--ok)}.fail{color:var(--fail)}.warn{color:var(--warn)}.stop{color:var(--stop)}.run{color:var(--run)}.skip{color:var(--skip)}
.note{color:var(--dim);font-size:.9em;margin:.4rem 0}
.sr{position:absolute;width:1px;height:1px;overflow:hidden;clip-path:inset(50%);white-space:nowrap}
b[role]{display:inline-block;width:1.1em;text-align:center}
nav{margin-top:1rem;display:flex;gap:1.25rem;flex-wrap:wrap;font-size:.93em}
.head p{margin:.15rem 0;overflow-wrap:anywhere}
.stats{display:flex;flex-wrap:wrap;gap:.75rem 2rem;margin:1.1rem 0 0;padding:.9rem 1.1rem;background:var(--panel);border:1px solid var(--line);border-radius:8px}
.stats div{min-width:5rem}
.stats dt{color:var(--dim);font-size:.8em}
.stats dd{margin:0;font-weight:600;overflow-wrap:anywhere}
.stats dd small{display:block}
.bad{margin-top:1.5rem;padding:.9rem 1.1rem;background:var(--bad);border:1px solid var(--line);border-left:4px solid var(--fail);border-radius:8px}
.bad h2{margin:0 0 .4rem;font-size:1rem}
.bad ul{list-style:none;margin:0;padding:0}
.bad li{padding:.15rem 0;overflow-wrap:anywhere}
.bad li a{font-family:var(--mono);font-size:.9em;font-weight:600}
.pair{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,24rem),1fr));gap:0 2.5rem}
table{border-collapse:collapse;width:100%;font-size:.93em}
th,td{text-align:left;padding:.3rem .75rem .3rem 0;border-bottom:1px solid var(--line);vertical-align:top}
thead th{color:var(--dim);font-weight:500;font-size:.9em}
tbody th{font-weight:500}
.kv th,.kv td{font-family:var(--mono);font-size:.87em;overflow-wrap:anywhere}
.kv{max-width:40rem}
.kv th{width:30%}
.scroll{overflow-x:auto}
.box.tall{max-height:40rem}
.box{overflow:auto;border:1px solid var(--line);border-radius:8px;background:var(--panel)}
svg{display:block;font:12px var(--mono)}
svg .e{fill:none;stroke:var(--skip);stroke-width:1.3;opacity:.6}
svg .e.c{stroke:var(--fg);stroke-width:2.6;opacity:1}
svg .e.j{stroke-dasharray:4 4}
svg .n rect{fill:var(--bg);stroke:var(--line);stroke-width:1.2}
svg .n.c rect{stroke:var(--fg);stroke-width:2.4}
svg .n:hover rect{stroke:var(--run)}
svg a:focus-visible{outline:none}
svg a:focus-visible rect,svg a:focus-visible use{stroke:var(--run);stroke-width:3}
svg text{fill:var(--fg)}
svg .m{fill:var(--dim);font-size:11px}
svg .fin{fill:none;stroke:var(--line);stroke-dasharray:4 4}
svg text.ok{fill:var(--ok)}svg text.fail{fill:var(--fail)}svg text.warn{fill:var(--warn)}svg text.stop{fill:var(--stop)}svg text.run{fill:var(--run)}svg text.skip{fill:var(--skip)}
rect.k{fill:currentColor}
text.k{fill:var(--bg);stroke:none;text-anchor:middle;font-weight:700}
svg a.c use{stroke:var(--fg);stroke-width:2.5}
.path{overflow-wrap:anywhere}
.time{table-layout:fixed;font-size:.87em}
.time th,.time td{padding:0;height:1.75rem;vertical-align:middle;border-bottom:0}
.time thead th,.time thead td{position:sticky;top:0;z-index:2;background:var(--panel);border-bottom:1px solid var(--line)}
.time th:first-child{width:15rem;padding:0 .75rem;overflow:hidden;white-space:nowrap;text-overflow:ellipsis}
.time tbody th{font-family:var(--mono);font-size:.95em}
.time tbody .c th{font-weight:700}
.time tr>:last-child{width:5.5rem;padding:0 .75rem;text-align:right;white-space:nowrap;font-variant-numeric:tabular-nums;color:var(--dim)}
.time .t{position:relative;height:1.75rem;background:repeating-linear-gradient(to right,var(--line) 0 1px,transparent 1px var(--tick))}
.time tbody tr:hover{background:var(--bg)}
.t span{position:absolute;top:.25rem;padding-left:.3rem;font-size:.9em;color:var(--dim);white-space:nowrap}
.t i{position:absolute;top:.5rem;height:.75rem;min-width:3px;border-radius:2px;background:currentColor}
.t i.w{background:var(--skip);opacity:.35;top:.8rem;height:.15rem;min-width:0}
.t i.g{top:.72rem;height:.3rem}
.t i.run{background:repeating-linear-gradient(135deg,currentColor 0 4px,transparent 4px 7px);border:1px solid}
.time .c i:not(.w){outline:1.5px solid var(--fg);outline-offset:1px}
.time .d1 th{padding-left:1.75rem}.time .d2 th{padding-left:2.75rem}.time .d3 th{padding-left:3.75rem}.time .d4 th{padding-left:4.75rem}
details{border:1px solid var(--line);border-radius:8px;margin:.4rem 0;background:var(--bg);content-visibility:auto;contain-intrinsic-size:auto 2.6rem}
details.d1{margin-left:1.5rem}details.d2{margin-left:3rem}details.d3{margin-left:4.5rem}details.d4{margin-left:6rem}
summary{display:flex;align-items:baseline;gap:.6rem;padding:.5rem .9rem;cursor:pointer;list-style:none}
summary::-webkit-details-marker{display:none}
summary::after{content:"";flex:none;width:.4rem;height:.4rem;border:solid var(--dim);border-width:0 1.5px 1.5px 0;transform:rotate(-45deg)}
details[open]>summary::after{transform:rotate(45deg)}
summary:hover{background:var(--panel);border-radius:8px}
summary h3{font-family:var(--mono);font-size:.93em;overflow-wrap:anywhere}
summary h3 small{font-family:system-ui,sans-serif;margin-left:.4rem}
summary>span{font-size:.87em;white-space:nowrap}
summary .why{flex:1;min-width:0;overflow:hidden;text-overflow:ellipsis;color:var(--dim)}
summary h3+span:not(.why){margin-left:auto}
summary .n{min-width:4rem;text-align:right;font-variant-numeric:tabular-nums;color:var(--dim)}
details>div{padding:.75rem .9rem 1rem;border-top:1px solid var(--line);scroll-margin-top:3.5rem}
details dl{display:flex;flex-wrap:wrap;gap:.3rem 1.75rem;margin:0;font-size:.93em}
details dl>div{display:flex;gap:.5rem;min-width:0}
details dt{color:var(--dim);white-space:nowrap}
details dd{margin:0;overflow-wrap:anywhere}
details .scroll{margin-top:.75rem}
details td{white-space:nowrap}
details td:last-child{white-space:normal;min-width:8rem}
pre{margin:.35rem 0;padding:.75rem .9rem;border-radius:6px;overflow:auto;max-height:34rem;line-height:1.45;tab-size:8;white-space:pre-wrap;overflow-wrap:anywhere}
pre.v{background:var(--panel);border:1px solid var(--line)}
pre.o{background:var(--term);color:var(--ink);unicode-bidi:isolate}
.tb{font-weight:700}.td{opacity:.65}.ti{font-style:italic}.tu{text-decoration:underline}.ts{text-decoration:line-through}.tv{background:var(--ink);color:var(--term)}
.f0{color:#6e7681}.f1{color:#ff7b72}.f2{color:#3fb950}.f3{color:#d29922}.f4{color:#58a6ff}.f5{color:#bc8cff}.f6{color:#39c5cf}.f7{color:#b1bac4}
.f8{color:#8b949e}.f9{color:#ffa198}.f10{color:#56d364}.f11{color:#e3b341}.f12{color:#79c0ff}.f13{color:#d2a8ff}.f14{color:#56d4dd}.f15{color:#fff}
.g0{background:#484f58}.g1{background:#8e1519}.g2{background:#196c2e}.g3{background:#845306}.g4{background:#1158c7}.g5{background:#6e40c9}.g6{background:#1b7c83}.g7{background:#6e7681}
.g8{background:#6e7681}.g9{background:#b62324}.g10{background:#238636}.g11{background:#9e6a03}.g12{background:#1f6feb}.g13{background:#8957e5}.g14{background:#2b7489}.g15{background:#8b949e}
footer{margin-top:3rem;padding-top:.75rem;border-top:1px solid var(--line);color:var(--dim);font-size:.87em}
@media (max-width:40rem){
body{padding:1rem .75rem 3rem}
h1{font-size:1.3rem}
.stats{gap:.6rem 1.5rem;padding:.75rem .9rem}
.time tr{display:grid;grid-template-columns:minmax(0,1fr) auto;padding:.2rem 0}
.time tr>td:nth-child(2){grid-area:2/1/3/3;margin:0 .6rem}
.time thead tr{position:sticky;top:0;z-index:2;background:var(--panel);border-bottom:1px solid var(--line);padding-bottom:0}
.time thead th,.time thead td{position:static;border:0}
.time th,.time td,.time .t{height:auto;min-height:1.25rem}
.time th:first-child{width:auto;padding:0 .6rem;white-space:normal;overflow-wrap:anywhere}
.time tr>:last-child{width:auto;padding:0 .6rem}
.time .t{height:1.25rem}
.t i{top:.25rem}.t i.w{top:.55rem}.t i.g{top:.47rem}
.t span:not(:nth-child(3n+1)){display:none}
.time .d1 th{padding-left:1.4rem}.time .d2 th{padding-left:2.2rem}.time .d3 th{padding-left:3rem}.time .d4 th{padding-left:3.8rem}
details.d1{margin-left:.6rem}details.d2{margin-left:1.2rem}details.d3{margin-left:1.8rem}details.d4{margin-left:2.4rem}
summary{flex-wrap:wrap;gap:.1rem .5rem;padding:.5rem .7rem}
summary h3{flex:1 1 calc(100% - 4rem);order:1}
summary::after{order:2}
summary>span,summary h3+span:not(.why){order:3;margin-left:1.7rem}
summary .n{min-width:0;margin-left:0}
summary .why{flex-basis:100%;order:4;white-space:normal}
}
@media print{
:root{--bg:#fff;--fg:#000;--dim:#444;--line:#bbb;--panel:#fff;--bad:#fff;--term:#fff;--ink:#000;--link:#000;--ok:#1a7f37;--fail:#cf222e;--warn:#9a6700;--stop:#bc4c00;--run:#0969da;--skip:#6e7781}
body{max-width:none;padding:0;font-size:11px}
nav{display:none}
.box.tall,pre{max-height:none}
.box,pre{overflow:visible}
.box svg{max-width:100%;height:auto}
.time thead th,.time thead td{position:static}
details{content-visibility:visible;break-inside:avoid-page}
pre.o{border:1px solid var(--line)}
pre span{color:inherit!important;background:none!important}
*{-webkit-print-color-adjust:exact;print-color-adjust:exact}
}
"""
