"""What a mode must be able to show: the base of all painters, which shows nothing but what is held."""

from collections.abc import Sequence

from dagnats.core.events import AnyEvent
from dagnats.core.state import RunState
from dagnats.report.console import Console
from dagnats.report.spool import Owner


class Painter:
    """Puts blocks on a console, one at a time. All is called from one thread, but for `hurry`, `leave` and `back`."""

    tick_s: float | None = None  # how often `tick` is wanted while nothing happens

    def __init__(self, console: Console) -> None:
        self._console = console

    def begin_run(self, state: RunState) -> None:
        """The run has started."""

    def applied(self, state: RunState, event: AnyEvent) -> None:
        """An event has changed the state; nothing of it was shown yet."""

    def begin(self, owner: Owner, *, goes_on: bool) -> None:
        """Begin the block of an attempt, or go on with it after others."""

    def lines(self, lines: bytes) -> None:
        """Add whole lines to the block that has begun."""

    def end(self) -> None:
        """End the block."""

    def say(self, line: str) -> None:
        """Show a line of the program's own, outside of blocks or, when it is urgent, within one."""

    def unfinished(self, line: bytes) -> None:
        """The attempt that has the focus has begun this line."""

    def tail(self, title: str, lines: Sequence[bytes]) -> None:
        """Show the end of the output of a step that failed, when the run is over."""

    def end_run(self, state: RunState) -> None:
        """The run is over, and summed up."""

    def tick(self) -> None:
        """Time has passed."""

    def note(self, text: str) -> None:
        """Show a word of the program's own at once."""
        self.say(text)

    def hurry(self) -> None:
        """Wait for no reader any more."""
        self._console.hurry()

    def flush(self) -> None:
        """Write what is held."""
        self._console.flush()

    def leave(self) -> None:
        """Leave the terminal as it was found."""

    def back(self) -> None:
        """Take the terminal again, which others have used meanwhile."""

    def close(self) -> None:
        """Write what is held: nothing comes any more."""
        self._console.close()
