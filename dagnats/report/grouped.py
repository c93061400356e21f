"""`--output grouped` and `--output failures`: each step's output in one piece below its name, on stdout; what the program says itself on stderr."""

from collections.abc import Sequence

from dagnats.core.state import RunState
from dagnats.report.console import Console
from dagnats.report.painter import Painter
from dagnats.report.screen import Colours, fit
from dagnats.report.spool import Owner
from dagnats.report.style import Style
from dagnats.report.view import block_title, run_title


class Grouped(Painter):
    """Paints blocks one below the other. On a terminal nothing that a step prints can steer it."""

    def __init__(self, console: Console, style: Style, *, is_terminal: bool, has_title: bool) -> None:
        super().__init__(console)
        self._style = style
        self._is_terminal = is_terminal
        self._has_title = has_title
        self._colours = Colours()
        self._state: RunState | None = None

    def begin_run(self, state: RunState) -> None:
        """Say what runs."""
        self._state = state
        if self._has_title:
            self._console.say(self._style.paint(run_title(state), "1"))

    def begin(self, owner: Owner, *, goes_on: bool) -> None:
        """Write the name of the step."""
        self._colours = Colours()
        title = f"{self._style.sign('──')} {block_title(self._state, owner, goes_on=goes_on)}"
        self._console.out(self._style.paint(title, "1").encode("utf-8", "replace") + b"\n")

    def lines(self, lines: bytes) -> None:
        """Write what it printed."""
        self._console.out(self._colours.bracket(fit(lines)) if self._is_terminal else lines)

    def say(self, line: str) -> None:
        """Write a line of the program's own."""
        self._console.say(line)

    def tail(self, title: str, lines: Sequence[bytes]) -> None:
        """Write the end of the output of a step that failed."""
        self._console.say(self._style.paint(title, "1"))
        for line in lines:
            shown = fit(line) if self._is_terminal else line
            self._console.say("    " + shown.decode("utf-8", "replace"))
