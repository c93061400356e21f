"""A run at a moment, as its journal tells it: when each step could run, when it ran, in which attempts, and how much that mattered."""

from collections.abc import Iterator, Sequence

from msgspec import Struct, field

from dagnats.core.events import (
    AnyEvent,
    CancelRequested,
    PipelineStarted,
    RunFinished,
    RunResumed,
    RunStarted,
    StepCancelled,
    StepEvent,
    StepExpanded,
    StepFailed,
    StepInterrupted,
    StepScheduled,
    StepStarted,
    StepSucceeded,
    StepWaiting,
)
from dagnats.core.graph import critical_path, slacks
from dagnats.core.planstate import PlanState
from dagnats.core.state import TERMINAL, RunState, StepState, fold
from dagnats.report.view import steps_in_order

End = StepSucceeded | StepFailed | StepCancelled | StepInterrupted


class Try(Struct):
    """One attempt of a step. Times are unix seconds; `started_seq` is the place of its start in the journal."""

    number: int
    scheduled_at: float
    not_before: float | None = None
    started_at: float | None = None
    started_seq: int | None = None
    worker: str | None = None
    end: End | None = None


class Timing(Struct, frozen=True):
    """When a step ran, in seconds; None for what has not come to be.

    `start_s` counts from the start of the run; `needs_s` is how long it waited for what it needs, since its pipeline began, and `queue_s` how long from
    then until it started. Of `slack_s` see `core.graph.slacks`: an instance has none, and one inside of a pipeline has that of its owner too.
    """

    start_s: float | None = None
    took_s: float | None = None
    needs_s: float | None = None
    queue_s: float | None = None
    slack_s: float | None = None
    is_critical: bool = False


class Facts:
    """What the events say up to `now`.

    `tries` has the attempts by step, `last` the newest event of each step, `cancels` who asked for an end, and `resumed` which runners went on with it.
    """

    def __init__(self, events: Sequence[AnyEvent], now: float | None = None) -> None:
        self.events = events
        self.state: RunState = fold(events)
        self.began_at = events[0].at
        self.now = max(self.state.at, now or 0.0) if self.state.finished is None else self.state.at
        self.tries: dict[str, list[Try]] = {}
        self.last: dict[str, AnyEvent] = {}
        self.cancels: list[CancelRequested] = []
        self.resumed: list[RunResumed] = []
        self._opened: dict[str, float] = {}  # when the instances or the pipeline of a step were begun
        for event in events:
            self._take(event)
        self.critical_s, self.critical, self._slack = self._weighed()
        self._is_critical = frozenset(self.critical)

    def _take(self, event: AnyEvent) -> None:
        if isinstance(event, CancelRequested):
            self.cancels.append(event)
        elif isinstance(event, RunResumed):
            self.resumed.append(event)
        elif not isinstance(event, RunStarted | RunFinished):
            self._take_step(event)

    def _take_step(self, event: StepEvent) -> None:
        step = event.step
        self.last[step] = event
        tries = self.tries.setdefault(step, [])
        match event:
            case StepScheduled():
                tries.append(Try(event.attempt, event.at, event.not_before))
            case StepWaiting():
                tries.append(Try(event.attempt, event.at, None, event.at, event.seq))
            case StepStarted() if tries:
                tries[-1].started_at, tries[-1].started_seq, tries[-1].worker = event.at, event.seq, event.worker
            case StepExpanded() | PipelineStarted():
                self._opened[step] = event.at
            case StepSucceeded() | StepFailed() | StepCancelled() | StepInterrupted() if (
                tries and tries[-1].number == event.attempt
            ):
                tries[-1].end = event
            case _:
                pass

    def _weighed(self) -> tuple[float, tuple[str, ...], dict[str, float]]:
        """Find the longest way through the run, and what was not on it; of a pipeline within too."""
        spans = {id_: self.took_s(step) or 0.0 for id_, step in self.state.steps.items()}
        total, slack = 0.0, dict[str, float]()
        critical: dict[str, None] = {}
        for plan in (self.state.own, *self.subruns()):
            spare = slack.get(plan.owner, 0.0) if plan.owner is not None else 0.0
            for graph in (plan.graph, plan.final_graph):
                length, path = critical_path(graph, spans)
                slack |= {id_: own + spare for id_, own in slacks(graph, spans).items()}
                if plan.owner is None:
                    total += length
                if plan.owner is None or plan.owner in critical:
                    critical |= dict.fromkeys(id_ for id_ in path if spans[id_] > 0)
        return total, tuple(critical), slack

    def subruns(self) -> Iterator[PlanState]:
        """Give the pipelines that steps run or have run, outer ones first."""
        for step in self.state.steps.values():
            if step.subrun is not None:
                yield step.subrun

    def steps(self) -> Iterator[StepState]:
        """Give the steps that are worth a word, in the order of the file."""
        return steps_in_order(self.state)

    def took_s(self, step: StepState) -> float | None:
        """How long it took from its first start to its end, or until now."""
        if step.first_started_at is None:
            return None
        end = step.ended_at if step.ended_at is not None else self.now
        return max(0.0, end - step.first_started_at)

    def ready_at(self, step: StepState) -> float | None:
        """When all that it waits for by its place in the graph had ended."""
        begin = self.plan_began_at(step)
        if step.parent is not None:
            return self._opened.get(step.parent, begin)
        if begin is None or step.open_needs > 0 or (step.final and not step.within.in_finally):
            return None
        ends = [self.state.steps[need].ended_at or begin for need in step.step.needs]
        if step.final:
            ends += [self.state.steps[one.id].ended_at or begin for one in step.within.steps]
        return max(ends, default=begin)

    def plan_began_at(self, step: StepState) -> float | None:
        """When the pipeline began whose step it is."""
        owner = step.within.owner
        return self.began_at if owner is None else self._opened.get(owner)

    def timing(self, step: StepState) -> Timing:
        """Say when a step ran."""
        began, ready, start = self.plan_began_at(step), self.ready_at(step), step.first_started_at
        waits = ready is not None and (start is not None or step.status not in TERMINAL)
        queue_s = max(0.0, (start if start is not None else self.now) - ready) if waits and ready is not None else None
        return Timing(
            start_s=max(0.0, start - self.began_at) if start is not None else None,
            took_s=self.took_s(step),
            needs_s=max(0.0, ready - began) if ready is not None and began is not None else None,
            queue_s=queue_s if not (step.expands and start is None) else None,
            slack_s=self._slack.get(step.step.id) if start is not None else None,
            is_critical=step.step.id in self._is_critical,
        )


class Moment(Struct, frozen=True):
    """The beginning of a journal: so many of its events, and the time up to which they are looked at."""

    events: Sequence[AnyEvent] = field(default_factory=tuple)
    now: float | None = None


def first(events: Sequence[AnyEvent], count: int) -> Moment:
    """The first so many events, at the time of the last of them."""
    shown = events[:count]
    return Moment(shown, max(event.at for event in shown))


def until(events: Sequence[AnyEvent], at: float) -> Moment:
    """All events before the first one that came later than `at`."""
    count = next((place for place, event in enumerate(events) if event.at > at), len(events))
    return Moment(events[:count], at)
