"""What a way to show a run is: the base of all reporters, which shows nothing."""

from collections.abc import Sequence

from msgspec import Struct

from dagnats.core.events import AnyEvent


class Events(Struct, frozen=True):
    """Events that are shown together."""

    events: Sequence[AnyEvent]


class Output(Struct, frozen=True):
    """A chunk of what an attempt printed to "out" or "err"."""

    step: str
    attempt: int
    stream: str
    data: bytes


class Note(Struct, frozen=True):
    """A word of the program's own."""

    text: str


Item = Events | Output | Note


class Reporter:
    """Shows a run. All is called from one thread, in the order of what happened, but for `hurry`."""

    tick_s: float | None = None  # how often `tick` is wanted while nothing happens

    def take(self, item: Item) -> None:
        """Take what happened."""
        match item:
            case Events(events):
                self.events(events)
            case Output(step, attempt, stream, data):
                self.output(step, attempt, stream, data)
            case Note(text):
                self.note(text)

    def before(self, events: Sequence[AnyEvent]) -> None:
        """Take what has happened before, and was shown by another runner, or not at all: the run goes on after it."""

    def events(self, events: Sequence[AnyEvent]) -> None:
        """Take stored events."""

    def output(self, step: str, attempt: int, stream: str, chunk: bytes) -> None:
        """Take what a step printed."""

    def note(self, text: str) -> None:
        """Take a word of the program's own."""

    def tick(self) -> None:
        """Some time has passed."""

    def present(self) -> None:
        """All that was there when it was read is shown: what follows happens now. Never called in the runner's process."""

    def hurry(self) -> None:
        """Wait for no reader any more; called from another thread, at any time."""

    def flush(self) -> None:
        """Write out what is ready: nothing more is waiting right now."""

    def leave(self) -> None:
        """Leave the terminal as it was found: the program stops or ends at once, or this can show nothing any more. Called from any thread."""

    def back(self) -> None:
        """Take the terminal again: the program goes on. Called from any thread."""

    def close(self) -> None:
        """The run is over."""
