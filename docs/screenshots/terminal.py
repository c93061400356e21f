"""Makes the picture of the live view: `python docs/screenshots/terminal.py`, in a checkout, with `dagnats` and `chromium` on the path.

It runs a pipeline in a terminal of its own, reads what it shows until the moment that is worth a picture, and has a browser draw the screen.
"""

import fcntl
import html
import os
import pty
import struct
import subprocess
import termios

import pyte
from make import HERE, OUT, draw

COLUMNS, LINES = 100, 26
MOMENT = ("browser: Browser tests (attempt 2)", "1 failed", " · 3s")
_COLOURS = {
    "default": "#d1d7e0", "black": "#656c76", "red": "#ff7b72", "green": "#3fb950", "brown": "#d29922", "blue": "#58a6ff",
    "magenta": "#bc8cff", "cyan": "#39c5cf", "white": "#b1bac4",
}  # fmt: skip
_PAGE = """<!doctype html><meta charset="utf-8"><style>
body {{ margin: 0; background: #0d1117 }}
pre {{ margin: 0; padding: 18px 22px; color: #d1d7e0; font: 14px/1.4 "DejaVu Sans Mono", monospace }}
b {{ font-weight: 700 }}
</style><pre>{rows}</pre>
"""


def screen_of(pipeline: str) -> pyte.Screen:
    """Run a pipeline in a terminal; gives the screen at the moment when it shows what is wanted."""
    screen = pyte.Screen(COLUMNS, LINES)
    stream = pyte.ByteStream(screen)
    ours, theirs = pty.openpty()
    fcntl.ioctl(ours, termios.TIOCSWINSZ, struct.pack("HHHH", LINES, COLUMNS, 0, 0))
    env = {name: value for name, value in os.environ.items() if name not in ("CI", "NO_COLOR")}
    argv = ["dagnats", "run", pipeline, "--ephemeral"]
    process = subprocess.Popen(
        argv, cwd=HERE, env=env | {"TERM": "xterm-256color"}, stdin=theirs, stdout=theirs, stderr=theirs
    )
    os.close(theirs)
    try:
        while not all(word in "\n".join(screen.display) for word in MOMENT):
            stream.feed(os.read(ours, 65536))
    finally:
        process.kill()
        process.wait()
        os.close(ours)
    return screen


def page_of(screen: pyte.Screen) -> str:
    """Write the screen as HTML."""
    rows = []
    for number in range(LINES):
        row = screen.buffer[number]
        cells = []
        for column in range(COLUMNS):
            cell = row[column]
            text = html.escape(cell.data)
            colour = _COLOURS.get(cell.fg, _COLOURS["default"])
            text = f'<span style="color:{colour}">{text}</span>' if cell.fg != "default" else text
            cells.append(f"<b>{text}</b>" if cell.bold else text)
        rows.append("".join(cells).rstrip())
    return _PAGE.format(rows="\n".join(rows))


def main() -> None:
    """Make the picture."""
    OUT.mkdir(exist_ok=True)
    page = OUT / "live.html"
    page.write_text(page_of(screen_of("live.yaml")), encoding="utf-8")
    draw(page, HERE / "live.png", 900, 560)


if __name__ == "__main__":
    main()
