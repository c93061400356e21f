"""`--output live`: blocks in the scrollback, and below them a region that shows what runs and is drawn again and again.

The cursor waits at the beginning of the region's last row. Whatever is shown is one write: it takes the region away, adds to the scrollback, and draws the
region again. There is no alternate screen and nothing moves above the region, so that all that was shown stays in the scrollback.
"""

import os
import threading
import time
from collections.abc import Callable, Mapping, Sequence

from dagnats.core.events import AnyEvent
from dagnats.core.state import RunState
from dagnats.report.console import Console
from dagnats.report.painter import Painter
from dagnats.report.region import Row, Shown, physical_rows, region
from dagnats.report.screen import Colours, fit
from dagnats.report.spool import Owner
from dagnats.report.style import Style
from dagnats.report.tally import Tally
from dagnats.report.view import block_title, run_title

TICK_S = 0.2
REGION_S = 0.1  # so old may a region be that is drawn again
LEAVE_S = 0.2
HELD_MAX_BYTES = 64 << 10
USUAL_SIZE = os.terminal_size((80, 24))
_HIDE, _SHOW = "\x1b[?25l", "\x1b[?25h"
_TOGETHER, _TOGETHER_END = "\x1b[?2026h", "\x1b[?2026l"  # one picture; a terminal that does not know it ignores it
_CUT, _WRAP = "\x1b[?7l", "\x1b[?7h"  # a row whose width the terminal sees otherwise must not become two
_REFLOWING = (
    "TMUX",
    "VTE_VERSION",
    "KITTY_WINDOW_ID",
    "WT_SESSION",
    "KONSOLE_VERSION",
    "ALACRITTY_WINDOW_ID",
)
_REFLOWING_PROGRAMS = ("iTerm.app", "Apple_Terminal", "WezTerm", "vscode", "ghostty")


def reflows(environ: Mapping[str, str]) -> bool:
    """Say whether the terminal is known to wrap again what it shows when it becomes narrower."""
    if environ.get("STY") and not environ.get("TMUX"):
        return False  # GNU screen in whatever terminal
    return any(environ.get(name) for name in _REFLOWING) or environ.get("TERM_PROGRAM") in _REFLOWING_PROGRAMS


def size_of(descriptor: int) -> os.terminal_size:
    """Give the size of the terminal, or a usual one where it is not known."""
    try:
        size = os.get_terminal_size(descriptor)
    except OSError:
        return USUAL_SIZE
    return size if size.columns > 0 and size.lines > 0 else USUAL_SIZE


class Live(Painter):
    """Paints for a terminal that can be steered."""

    tick_s: float | None = TICK_S

    def __init__(
        self,
        console: Console,
        style: Style,
        size: Callable[[], os.terminal_size],
        *,
        has_title: bool,
        is_reflowing: bool,
        now: Callable[[], float] | None = None,
    ) -> None:
        super().__init__(console)
        self._style = style
        self._size = size
        self._has_title = has_title
        self._is_reflowing = is_reflowing
        self._now = now or time.time
        self._colours = Colours()
        self._shown: Shown | None = None
        self._held: list[bytes] = []
        self._held_bytes = 0
        self._rows: list[Row] = []
        self._looked_at = 0.0
        self._looked_for = USUAL_SIZE
        self._drawn: list[Row] = []
        self._drawn_width = 0
        self._is_away = False
        self._lock = threading.Lock()  # what is drawn is what the terminal shows, whoever asks

    def begin_run(self, state: RunState) -> None:
        """Say what runs."""
        self._shown = Shown(state, Tally(state))
        if self._has_title:
            self.say(self._style.paint(run_title(state), "1"))

    def applied(self, state: RunState, event: AnyEvent) -> None:
        """Count what has changed."""
        if self._shown is not None:
            self._shown.tally.applied(state, event)

    def begin(self, owner: Owner, *, goes_on: bool) -> None:
        """Write the name of the step."""
        self._colours = Colours()
        if self._shown is not None:
            self._shown.focused, self._shown.unfinished = owner, b""
        state = self._shown.state if self._shown is not None else None
        self.say(self._style.paint(f"{self._style.sign('──')} {block_title(state, owner, goes_on=goes_on)}", "1"))

    def lines(self, lines: bytes) -> None:
        """Write what it printed."""
        self._hold(self._colours.bracket(fit(lines)))

    def end(self) -> None:
        """Nobody has the focus."""
        if self._shown is not None:
            self._shown.focused, self._shown.unfinished = None, b""

    def say(self, line: str) -> None:
        """Write a line of the program's own."""
        self._hold(line.encode("utf-8", "replace") + b"\n")

    def ask(self, question: str) -> None:
        """Show a question in the region until there is another, or none."""
        if self._shown is not None:
            self._shown.question = question
            self._looked_at = 0.0

    def unfinished(self, line: bytes) -> None:
        """Show the line in the region until it is whole."""
        if self._shown is not None:
            self._shown.unfinished = line

    def tail(self, title: str, lines: Sequence[bytes]) -> None:
        """Write the end of the output of a step that failed."""
        self.say(self._style.paint(title, "1"))
        colours = Colours()
        for line in lines:
            self._hold(b"    " + colours.bracket(fit(line)) + b"\n")

    def end_run(self, state: RunState) -> None:
        """The region ends with the run."""

    def tick(self) -> None:
        """Show that time has passed."""
        self._draw()

    def flush(self) -> None:
        """Draw what is held, and the region when it has grown old."""
        self._draw()

    def leave(self) -> None:
        """Take the region away and draw nothing any more. Called from any thread; one that can not write holds nobody up."""
        has_lock = self._lock.acquire(timeout=LEAVE_S)
        self._is_away = True
        if self._drawn:
            erased = self._erased(self._size()) if has_lock else ""
            self._console.at_once((erased + _WRAP + _SHOW).encode())
            self._drawn = []
        if has_lock:
            self._lock.release()

    def back(self) -> None:
        """Draw again, below what others have written."""
        self._drawn = []
        self._is_away = False

    def close(self) -> None:
        """Draw what is held, without a region."""
        self._shown = None
        self._draw()
        self._console.at_once((_WRAP + _SHOW).encode())  # once more: the last picture may have been given up
        self._console.close()

    def _hold(self, data: bytes) -> None:
        self._held.append(data)
        self._held_bytes += len(data)
        if self._held_bytes > HELD_MAX_BYTES:
            self._draw()

    def _draw(self) -> None:
        with self._lock:
            if not self._is_away:
                self._draw_now()

    def _draw_now(self) -> None:
        size = self._size()
        rows = self._region(size)
        is_same = rows == self._drawn and size.columns == self._drawn_width
        if not self._held and (is_same or not (rows or self._drawn)):
            return
        held, self._held, self._held_bytes = self._held, [], 0
        before, after = self._erased(size), self._placed(rows)
        if before or after:
            held = [(_TOGETHER + before).encode(), *held, (after + _TOGETHER_END).encode("utf-8", "replace")]
        self._drawn, self._drawn_width = rows, size.columns
        self._console.out(b"".join(held))
        self._console.flush()

    def _region(self, size: os.terminal_size) -> list[Row]:
        """Give the rows to draw; those of a moment ago will do, unless the run or its steps are over."""
        shown, now = self._shown, time.monotonic()
        if shown is None or shown.state.finished is not None:
            return []
        if now >= self._looked_at + REGION_S or size != self._looked_for:
            self._rows = region(shown, self._now(), size.columns, size.lines, self._style)
            self._looked_at, self._looked_for = now, size
        return self._rows

    def _erased(self, size: os.terminal_size) -> str:
        """Give what takes the region away and leaves the cursor where it began.

        Row by row: some terminals keep all of what is erased down to the end of the screen, when that is all of it.
        """
        if not self._drawn:
            return ""
        above = len(self._drawn) - 1
        if size.columns == self._drawn_width:
            return "\r\x1b[2K" + "\x1b[A\x1b[2K" * above
        if self._is_reflowing:
            above = physical_rows(self._drawn[:-1], size.columns)
        return "\r" + f"\x1b[{above}A" * bool(above) + "\x1b[J"

    def _placed(self, rows: Sequence[Row]) -> str:
        if not rows:
            return _SHOW if self._drawn else ""
        hidden = "" if self._drawn else _HIDE
        return hidden + _CUT + "\n".join(row.text for row in rows) + "\r" + _WRAP
