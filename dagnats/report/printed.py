"""What the command `logs` shows: what steps printed, and nothing else, on stdout."""

from collections import deque
from collections.abc import Sequence

from msgspec import Struct

from dagnats.core.events import (
    AnyEvent,
    RunStarted,
    StepCancelled,
    StepFailed,
    StepInterrupted,
    StepSucceeded,
)
from dagnats.report.console import Console
from dagnats.report.lines import Lines
from dagnats.report.prefixed import Prefixer
from dagnats.report.reporter import Reporter
from dagnats.report.style import Style

TAIL_MAX = 1 << 40  # lines; no run has so many


class Choice(Struct, frozen=True):
    """What of a run is wanted: all of it, or what `step` and its parts printed; `raw` as it was printed, else with prefixes.

    Attempts before `first_attempt` and after `last_attempt` are left out. Of what is there already only the last `tail` lines are shown, if that is given.
    """

    step: str | None = None
    raw: bool = False
    first_attempt: int = 1
    last_attempt: int | None = None
    tail: int | None = None

    def has(self, step: str, attempt: int) -> bool:
        """Whether an attempt is wanted."""
        is_late = self.last_attempt is not None and attempt > self.last_attempt
        if attempt < self.first_attempt or is_late:
            return False
        return (
            self.step is None
            or step == self.step
            or (not self.raw and step.startswith((f"{self.step}[", f"{self.step}/")))
        )


class Printed(Reporter):
    """The reporter of `logs`."""

    def __init__(self, console: Console, style: Style, choice: Choice) -> None:
        self._console = console
        self._choice = choice
        self._prefixer = Prefixer(style)
        self._lines = Lines()
        self._tail: deque[bytes] | None = None if choice.tail is None else deque(maxlen=min(choice.tail, TAIL_MAX) + 1)

    def events(self, events: Sequence[AnyEvent]) -> None:
        """End the lines of what has ended, and name what was not kept."""
        for event in events:
            if isinstance(event, RunStarted):
                self._prefixer.begin(event)
            elif isinstance(event, StepSucceeded | StepFailed | StepCancelled | StepInterrupted):
                for line in self._lines.end(event.step):
                    self._out(self._prefixer.lines(event.step, line))
                dropped = 0 if isinstance(event, StepInterrupted) else event.dropped_bytes
                if dropped and self._choice.has(event.step, event.attempt):
                    self._console.say(
                        f"dagnats: {dropped:,} bytes that {event.step} printed were not kept: the store was full"
                    )

    def output(self, step: str, attempt: int, stream: str, chunk: bytes) -> None:
        """Show what is wanted."""
        if not self._choice.has(step, attempt):
            return
        if self._choice.raw:
            self._out(chunk)
            return
        whole = self._lines.feed(step, stream, chunk)
        if whole is not None:
            self._out(self._prefixer.lines(step, whole))

    def _out(self, data: bytes) -> None:
        if self._tail is None:
            self._console.out(data)
            return
        begun = self._tail.pop() if self._tail else b""  # the last piece is a line without its end, or nothing
        self._tail.extend((begun + data).splitlines(keepends=True))
        if self._tail and self._tail[-1].endswith(b"\n"):
            self._tail.append(b"")

    def present(self) -> None:
        """Show the end of what was there."""
        if self._tail is not None:
            ended = bool(self._tail) and self._tail[-1] == b""
            held = list(self._tail)[: -1 if ended else None]
            self._tail = None
            for line in held[max(0, len(held) - (self._choice.tail or 0)) :]:
                self._console.out(line)

    def note(self, text: str) -> None:
        """Words of the program's own are none of a step."""

    def hurry(self) -> None:
        """Wait for no reader any more."""
        self._console.hurry()

    def flush(self) -> None:
        """Write what is held."""
        self._console.flush()

    def close(self) -> None:
        """Write what is held, also lines that have no end."""
        self.present()
        self._console.close()
