"""What every reporter for people keeps of a run: its state, and the end of what failed."""

from collections import deque
from collections.abc import Sequence

from dagnats.core.events import AnyEvent, RunStarted, StepFailed
from dagnats.core.state import TERMINAL, RunState, Status
from dagnats.report.view import TAIL_LINES

TAIL_MAX_BYTES = 64 << 10


class Projection:
    """What every reporter for people keeps: the state, folded from the events it is told."""

    def __init__(self) -> None:
        self.state: RunState | None = None

    def apply(self, event: AnyEvent) -> RunState:
        """Fold one event."""
        if isinstance(event, RunStarted):
            self.state = RunState(event)
        elif self.state is not None:
            self.state.apply(event)
        if self.state is None:
            raise ValueError("the first event of a run is RunStarted")
        return self.state

    def past(self, events: Sequence[AnyEvent]) -> RunState:
        """Fold what has happened before."""
        for event in events:
            state = self.apply(event)
        return state


class Tails:
    """The last lines of each running attempt, kept for the recap when it fails."""

    def __init__(self) -> None:
        self._chunks: dict[str, deque[bytes]] = {}
        self._attempts: dict[str, int] = {}
        self._sizes: dict[str, int] = {}
        self.failed: dict[str, list[bytes]] = {}

    def add(self, step: str, attempt: int, chunk: bytes) -> None:
        """Take output; a new attempt begins with nothing. It may be heard of before its start is stored."""
        newest = self._attempts.get(step, 0)
        if attempt < newest:
            return  # the last words of an attempt that was given up
        if attempt > newest:
            self._attempts[step] = attempt
            self._chunks.pop(step, None)
            self._sizes.pop(step, None)
        chunks = self._chunks.setdefault(step, deque())
        chunk = chunk[-TAIL_MAX_BYTES:]
        chunks.append(chunk)
        size = self._sizes.get(step, 0) + len(chunk)
        while len(chunks) > 1 and size - len(chunks[0]) >= TAIL_MAX_BYTES:
            size -= len(chunks.popleft())
        self._sizes[step] = size

    def event(self, event: AnyEvent, status: Status | None) -> None:
        """A step that ended keeps its tail only when it failed."""
        if isinstance(event, StepFailed) or status in TERMINAL:
            step = getattr(event, "step", "")
            text = b"".join(self._chunks.pop(step, ()))
            self._sizes.pop(step, None)
            if status in (Status.FAILED, Status.TIMED_OUT):
                self.failed[step] = text.splitlines()[-TAIL_LINES:]
