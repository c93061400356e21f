"""A run as its journal tells it: what all reports are made of, while it has just ended or years later."""

from collections.abc import Iterator, Mapping, Sequence

from msgspec import Struct

from dagnats.core.events import (
    AnyEvent,
    PipelineStarted,
    StepCancelled,
    StepFailed,
    StepStarted,
    StepSucceeded,
)
from dagnats.core.graph import critical_path
from dagnats.core.state import RunState, StepState, fold
from dagnats.report.view import steps_in_order, took_s

Owner = tuple[str, int]  # a step and its attempt
End = StepSucceeded | StepFailed | StepCancelled


class Attempt(Struct, frozen=True):
    """One attempt that began. Times are unix seconds; `ended_at` and `end` are None while it runs, or when the run broke."""

    step: str
    number: int
    started_at: float
    ended_at: float | None = None
    end: End | None = None

    @property
    def kept_bytes(self) -> int:
        """How much of what it printed is kept."""
        return max(0, self.end.output_bytes - self.end.dropped_bytes) if self.end is not None else 0


class Printed(Struct, frozen=True):
    """The end of what an attempt printed, and how many bytes stood before it."""

    data: bytes
    omitted_bytes: int = 0


Outputs = Mapping[Owner, Printed]


class Record:
    """The events of a run, folded, and its attempts by step in their order."""

    def __init__(self, events: Sequence[AnyEvent]) -> None:
        self.state: RunState = fold(events)
        self.attempts: dict[str, list[Attempt]] = {}
        self.began_at = events[0].at
        self.ended_at = events[-1].at
        for event in events:
            self._take(event)

    def _take(self, event: AnyEvent) -> None:
        if isinstance(event, StepStarted | PipelineStarted):
            attempts = self.attempts.setdefault(event.step, [])
            if not attempts or attempts[-1].number < event.attempt:  # a pipeline says so once more when it begins
                attempts.append(Attempt(event.step, event.attempt, event.at))
        elif isinstance(event, End) and event.attempt > 0:
            attempts = self.attempts.setdefault(event.step, [])
            if attempts and attempts[-1].number == event.attempt:
                last = attempts.pop()
                attempts.append(Attempt(last.step, last.number, last.started_at, event.at, event))

    def steps(self) -> Iterator[StepState]:
        """Give the steps that are worth a word, in the order of the file."""
        return steps_in_order(self.state)

    def last_attempt(self, step: str) -> Attempt | None:
        """Give the newest attempt of a step that began."""
        attempts = self.attempts.get(step)
        return attempts[-1] if attempts else None

    def critical(self) -> tuple[float, tuple[str, ...]]:
        """Give the longest way through the run's own steps: its seconds, and the steps."""
        spans = {id_: took_s(step) for id_, step in self.state.steps.items()}
        length, path = critical_path(self.state.own.graph, spans)
        final_length, final_path = critical_path(self.state.own.final_graph, spans)
        return length + final_length, path + final_path


def shares(sizes: Mapping[Owner, int], total: int, most: int) -> dict[Owner, int]:
    """Divide a budget of bytes among those that want some of it: nobody gets more than `most`, and what small ones leave goes to the large ones."""
    left, granted = total, {}
    wanting = sorted(sizes.items(), key=lambda item: (item[1], item[0]))
    for place, (owner, size) in enumerate(wanting):
        share = min(size, most, left // (len(wanting) - place))
        granted[owner] = share
        left -= share
    return granted
