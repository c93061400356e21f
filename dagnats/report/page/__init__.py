"""A run as one file of HTML that opens from disk: graph, timeline, critical path, and of each step why it ended as it did and what it printed.

The file asks for nothing else, and holds no script: a policy in its head forbids both, whatever a step has printed. It is a projection of the journal, so
that the same events give the same bytes.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime

from dagnats.core.events import Outcome, StepFailed
from dagnats.core.pipeline import JSON
from dagnats.core.state import Status
from dagnats.report.page.graph import graph
from dagnats.report.page.output import OTHER_MAX_BYTES, bytes_of, divided
from dagnats.report.page.rows import LOOKS, Row, id_text, newest, rows, sign, text, word, worst_first
from dagnats.report.page.steps import clip_lines, failures, steps
from dagnats.report.page.style import CSS
from dagnats.report.page.timeline import timeline
from dagnats.report.record import Outputs, Owner, Record
from dagnats.report.view import counts, duration

_POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
_VALUE_MAX_BYTES = 1_000  # of a parameter, or an output of the run
_VALUES_MAX = 60  # of each
_PATH_MAX = 40  # steps that are named in words
_OUTCOMES = {
    Outcome.SUCCEEDED: Status.SUCCEEDED,
    Outcome.FAILED: Status.FAILED,
    Outcome.TIMED_OUT: Status.TIMED_OUT,
    Outcome.CANCELLED: Status.CANCELLED,
}


def html_wants(record: Record) -> dict[Owner, int]:
    """Say of which attempts the report shows output, and how much of its end.

    How much an attempt without an end has printed is in no event: it is asked for as much as is shown at most.
    """
    attempts = {(one.step, one.number): one for several in newest(record).values() for one in several}
    sizes = {}
    for owner, attempt in attempts.items():
        step = record.state.steps.get(attempt.step)
        if attempt.end is not None:
            sizes[owner] = attempt.kept_bytes
        elif step is None or step.step.pipeline is None:
            sizes[owner] = OTHER_MAX_BYTES
    failed = [owner for owner in sizes if isinstance(attempts[owner].end, StepFailed)]
    return {owner: size for owner, size in divided(sizes, failed).items() if size}


def html(record: Record, outputs: Outputs) -> Iterator[str]:
    """Write the report, piece by piece."""
    found = rows(record)
    before = "".join(_before_steps(record, found))
    version = record.state.started.versions.get("dagnats", "")
    after = (
        f"</section></main>\n<footer>Run {text(record.state.run)}, made from the {record.state.seq:,} events of its journal. "
        f"DagNats {text(version)}</footer>\n</body></html>\n"
    )
    yield before
    yield from steps(record, found, outputs, bytes_of(before) + bytes_of(after))
    yield after


def _before_steps(record: Record, found: Sequence[Row]) -> Iterator[str]:
    title = f"{text(record.state.plan.name)}: {word(_outcome(record)[1])}"
    yield (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">'
        '<meta name="viewport" content="width=device-width,initial-scale=1"><meta name="color-scheme" content="light dark">'
        f'<meta name="referrer" content="no-referrer"><title>{title}</title><style>{CSS}</style></head>\n<body>\n'
    )
    yield from _head(record)
    yield "<main>\n"
    yield from failures(record, found)
    yield from _values(record)
    yield '<section><h2 id="graph">Graph</h2>\n'
    yield from graph(record, found)
    yield from _critical(record, found)
    yield '</section>\n<section><h2 id="timeline">Timeline</h2>\n'
    yield from timeline(record, found)
    yield '</section>\n<section><h2 id="steps">Steps</h2>\n'


def _outcome(record: Record) -> tuple[Status, str]:
    """Give how the run ended, as a status for its look and as a word."""
    finished = record.state.finished
    return (_OUTCOMES[finished.outcome], finished.outcome) if finished is not None else (Status.RUNNING, "not finished")


def _head(record: Record) -> Iterator[str]:
    state = record.state
    status, outcome = _outcome(record)
    yield f'<header class="head"><h1>{sign(status)} {text(state.plan.name)} <span class="{LOOKS[status][1]}">{word(outcome)}</span></h1>'
    if state.plan.description:
        yield f"<p>{text(state.plan.description, 500)}</p>"
    for line in _remarks(record):
        yield f"<p>{line}</p>"
    took_s = max(0.0, record.ended_at - record.began_at)
    path_s, _ = record.critical()
    part = f" <small>{path_s / took_s:.0%} of the run</small>" if took_s > 0 and path_s > 0 else ""
    numbers = ", ".join(
        f'<span class="{LOOKS[status][1]}">{count:,} {word(status)}</span>'
        for status, count in worst_first(counts(record.state))
    )
    yield '<dl class="stats">' + "".join(
        f"<div><dt>{key}</dt><dd>{value}</dd></div>"
        for key, value in (
            ("Took", duration(took_s)),
            ("Critical path", duration(path_s) + part),
            ("Steps", numbers or "none"),
            ("Began", _time(record.began_at)),
            ("Run", f"{text(state.run)} <small>{text(state.plan.file)}</small>"),
        )
    )
    yield (
        '</dl><nav aria-label="Parts of the report"><a href="#graph">Graph</a><a href="#timeline">Timeline</a><a href="#steps">Steps</a></nav>'
        "</header>\n"
    )


def _remarks(record: Record) -> Iterator[str]:
    """Say what a reader has to know before the rest."""
    state = record.state
    if state.finished is None:
        yield f"The journal has no end: the run goes on, or its runner was stopped. Its last event is of {_time(record.ended_at)}."
    if state.cancel is not None:
        forced = " Then everything was stopped at once, <code>finally</code> too." if state.forced else ""
        yield f"Why it was {'stopped' if state.cancel.by == 'timeout' else 'cancelled'}: {text(state.cancel.why)}.{forced}"
    if (rerun := state.started.rerun) is not None:
        asked = " ".join([f"--{rerun.mode}", *rerun.steps])
        yield f"A rerun of {text(rerun.run)} ({text(asked)}): what is reused did not run again."
    if state.plan.selection:
        flags = " ".join(f"--{key} {id_}" for key, ids in state.plan.selection.items() for id_ in ids)
        left_out = len(state.plan.left_out)
        yield f"Only a part of the file was run: <code>{text(flags)}</code>; {left_out:,} step{'s' if left_out != 1 else ''} left out."


def _time(at: float) -> str:
    try:
        when = datetime.fromtimestamp(at, UTC)
    except (OverflowError, OSError, ValueError):
        return f"{at:g}"
    return f'<time datetime="{when:%Y-%m-%dT%H:%M:%SZ}">{when:%Y-%m-%d %H:%M:%S} UTC</time>'


def _values(record: Record) -> Iterator[str]:
    finished = record.state.finished
    tables = [
        *_table("Params", record.state.started.params, {}),
        *(_table("Outputs", finished.outputs, finished.notes) if finished is not None else ()),
    ]
    if tables:
        yield f'<div class="pair">{"".join(tables)}</div>\n'


def _table(title: str, values: Mapping[str, JSON], notes: Mapping[str, str]) -> Iterator[str]:
    if not values and not notes:
        return
    lines = [(name, clip_lines(value, _VALUE_MAX_BYTES)) for name, value in list(values.items())[:_VALUES_MAX]]
    lines += [
        (name, f"<small>no value: {text(note.removeprefix(f'outputs.{name}: '))}</small>")
        for name, note in list(notes.items())[:_VALUES_MAX]
        if name not in values
    ]
    written = "".join(f'<tr><th scope="row">{text(name, 100)}</th><td>{value}</td></tr>' for name, value in lines)
    more = max(0, len(values) - _VALUES_MAX) + max(0, len(notes) - _VALUES_MAX)
    rest = f'<p class="note">and {more:,} more</p>' if more else ""
    yield (
        f'<section><h2>{title}</h2><table class="kv"><thead class="sr"><tr><th scope="col">Name</th><th scope="col">Value</th></tr></thead>'
        f"<tbody>{written}</tbody></table>{rest}</section>"
    )


def _critical(record: Record, found: Sequence[Row]) -> Iterator[str]:
    """Say the critical path in words."""
    length_s, path = record.critical()
    row_of = {row.id: row for row in found if row.critical}
    named = [row_of[id_] for id_ in path if id_ in row_of]
    if not named or length_s <= 0:
        return
    links = [
        f'<a href="#{row.anchor}">{id_text(row.id)}</a> {duration(row.took_s or 0.0)}' for row in named[:_PATH_MAX]
    ]
    more = f" → … and {len(named) - _PATH_MAX:,} more" if len(named) > _PATH_MAX else ""
    so_far = " so far" if record.state.finished is None else ""
    yield (
        f'<p class="path"><strong>Critical path{so_far}, {duration(length_s)}</strong> (the thick line): {" → ".join(links)}{more}. '
        "The run can not be shorter than this while these steps take as long.</p>\n"
    )
