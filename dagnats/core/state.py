"""The state of a run: a fold over its events, by one table of transitions.

`RunState.apply` is the only thing that changes a state. It keeps what `decide` needs to be quick whatever the size of the run: which steps
are ready, how many needs each still waits for, how many run.
"""

from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from dagnats.core.events import (
    AnyEvent,
    CancelRequested,
    Event,
    Outcome,
    Reason,
    RunFinished,
    RunStarted,
    StepBlocked,
    StepCancelled,
    StepEvent,
    StepFailed,
    StepScheduled,
    StepSkipped,
    StepStarted,
    StepSucceeded,
)
from dagnats.core.graph import graph_of
from dagnats.core.pipeline import JSON, Step
from dagnats.errors import JournalError


class Status(StrEnum):
    """The status of a step."""

    PENDING = "pending"
    QUEUED = "queued"
    RUNNING = "running"
    WAITING = "waiting"
    SUCCEEDED = "succeeded"
    WARNING = "warning"
    FAILED = "failed"
    TIMED_OUT = "timed_out"
    CANCELLED = "cancelled"
    SKIPPED = "skipped"
    BLOCKED = "blocked"


_FAILED = frozenset({Status.WAITING, Status.WARNING, Status.FAILED, Status.TIMED_OUT})

# Every legal change of a step's status. An event that is not in the row of the step's status can not happen; where a row allows
# several results, `_settle` says which by the plan alone.
TRANSITIONS: Mapping[Status, Mapping[type[Event], frozenset[Status]]] = {
    Status.PENDING: {
        StepScheduled: frozenset({Status.QUEUED}),
        StepSkipped: frozenset({Status.SKIPPED}),
        StepBlocked: frozenset({Status.BLOCKED}),
        StepCancelled: frozenset({Status.CANCELLED}),
        StepFailed: frozenset({Status.FAILED, Status.WARNING}),
    },
    Status.QUEUED: {
        StepStarted: frozenset({Status.RUNNING}),
        StepFailed: _FAILED,
        StepCancelled: frozenset({Status.CANCELLED}),
    },
    Status.RUNNING: {
        StepSucceeded: frozenset({Status.SUCCEEDED}),
        StepFailed: _FAILED,
        StepCancelled: frozenset({Status.CANCELLED}),
    },
    Status.WAITING: {
        StepScheduled: frozenset({Status.WAITING, Status.QUEUED}),
        StepStarted: frozenset({Status.RUNNING}),
        StepFailed: _FAILED,
        StepCancelled: frozenset({Status.CANCELLED}),
    },
    Status.SUCCEEDED: {},
    Status.WARNING: {},
    Status.FAILED: {},
    Status.TIMED_OUT: {},
    Status.CANCELLED: {},
    Status.SKIPPED: {},
    Status.BLOCKED: {},
}

TERMINAL = frozenset(status for status, row in TRANSITIONS.items() if not row)
BAD = frozenset({Status.FAILED, Status.TIMED_OUT, Status.CANCELLED, Status.BLOCKED})


class IllegalEventError(JournalError):
    """An event that the table does not allow; it names the state and the event."""


@dataclass(slots=True)
class StepState:
    """What the events so far say of one step.

    `culprit` is the first step, it or one before it, that did not end well, and `failed` is true when it or anything before it failed.
    Both pass from a step to its dependents: they answer `success()` and `failure()`.
    """

    step: Step
    final: bool
    open_needs: int
    status: Status = Status.PENDING
    attempt: int = 0
    not_before: float | None = None
    worker: str | None = None
    outputs: Mapping[str, JSON] = field(default_factory=dict)
    exit_code: int | None = None
    culprit: str | None = None
    failed: bool = False
    failure: StepFailed | None = None
    blocked_by: tuple[str, ...] = ()
    first_started_at: float | None = None
    started_at: float | None = None
    ended_at: float | None = None

    @property
    def tainted(self) -> bool:
        """Whether it or anything before it did not end well."""
        return self.culprit is not None


class RunState:
    """The state of one run after some of its events.

    `ready` holds the steps whose needs have all ended, `retries` those whose failed attempt is followed by another, `doomed` those that a
    cancellation found before they ran. `dispatched` holds what has a task and no worker yet, `running` what has one; `queued` counts
    those of `dispatched` that take a place now, as an attempt that waits for its time takes none.
    """

    def __init__(self, started: RunStarted) -> None:
        plan = started.plan
        self.started = started
        self.plan = plan
        self.run = started.run
        self.seq = started.seq
        self.at = started.at
        self.graph = graph_of(plan.steps)
        self.final_graph = graph_of(plan.finally_steps)
        self.steps = {step.id: StepState(step, False, len(step.needs)) for step in plan.steps}
        self.steps |= {step.id: StepState(step, True, len(step.needs)) for step in plan.finally_steps}
        # a selection may have left steps of `finally` only
        first = plan.steps or plan.finally_steps
        self.ready: deque[str] = deque(step.id for step in first if not step.needs)
        self.retries: deque[str] = deque()
        self.doomed: dict[str, None] = {}
        self.dispatched: dict[str, None] = {}
        self.running: dict[str, None] = {}
        self.queued = 0
        self.open_steps = len(plan.steps)
        self.open_final_steps = len(plan.finally_steps)
        self.any_failed = False
        self.cancel: CancelRequested | None = None
        self.forced = False
        self.finished: RunFinished | None = None

    def waits(self, step: str, attempt: int) -> bool:
        """Whether the attempt has a task and no worker yet."""
        return step in self.dispatched and self.steps[step].attempt == attempt

    @property
    def in_finally(self) -> bool:
        """Whether all steps of `steps` have ended."""
        return self.open_steps == 0

    @property
    def outcome(self) -> Outcome:
        """How the run ends if nothing else happens."""
        if self.cancel is not None and self.cancel.by == "timeout":
            return Outcome.TIMED_OUT
        if self.cancel is not None and self.cancel.by == "signal":
            return Outcome.CANCELLED
        return Outcome.FAILED if self.any_failed else Outcome.SUCCEEDED

    def apply(self, event: AnyEvent) -> None:
        """Take the next event into account. Raises IllegalEventError when it can not follow on this state."""
        if event.seq != self.seq + 1:
            raise IllegalEventError(
                f"event {event.seq} ({type(event).__name__}) follows on event {self.seq}: the journal has a gap"
            )
        if self.finished is not None or isinstance(event, RunStarted):
            raise IllegalEventError(
                f"event {event.seq} ({type(event).__name__}) can not happen in a run that has {'ended' if self.finished else 'begun'}"
            )
        if isinstance(event, CancelRequested):
            self._cancel(event)
        elif isinstance(event, RunFinished):
            self.finished = event
        else:
            self._step(event)
        self.seq, self.at = event.seq, max(self.at, event.at)  # a start may be recorded after what came later

    def _cancel(self, event: CancelRequested) -> None:
        self.cancel = self.cancel or event
        self.forced = self.forced or event.force
        if not self.in_finally or self.forced:
            self.doomed |= self.dispatched

    def _step(self, event: StepEvent) -> None:
        state = self.steps.get(event.step)
        if state is None:
            raise IllegalEventError(
                f"event {event.seq} ({type(event).__name__}) names a step that the plan does not have: {event.step}"
            )
        allowed = TRANSITIONS[state.status].get(type(event))
        if allowed is None:
            raise IllegalEventError(
                f"event {event.seq}: {type(event).__name__} can not happen to step {event.step}, which is {state.status}"
            )
        if not self._in_place(state, event):
            raise IllegalEventError(
                f"event {event.seq}: {type(event).__name__} can not happen to step {event.step}, which is {state.status}, now"
            )
        target = self._settle(state, event)
        if target not in allowed:
            raise IllegalEventError(
                f"event {event.seq}: {type(event).__name__} can not make step {event.step} {target} while it is {state.status}"
            )
        _record(state, event)
        self._index(state, event, target)
        self.queued += (target is Status.QUEUED) - (state.status is Status.QUEUED)
        state.status = target
        if target in TERMINAL:
            self._end(state, event.at)

    def _in_place(self, state: StepState, event: StepEvent) -> bool:
        """Say whether what the status alone does not tell fits too: nothing precedes its needs, and one attempt has one task."""
        if state.status is Status.PENDING:
            return state.open_needs == 0 and (self.in_finally or not state.final)
        if state.status is Status.WAITING and isinstance(event, StepScheduled | StepStarted):
            return (state.step.id in self.dispatched) is isinstance(event, StepStarted)
        return True

    def _settle(self, state: StepState, event: StepEvent) -> Status:  # noqa: PLR0911 - one answer an event
        """Say which status follows; only a failure and a retry leave a choice, and the plan makes it."""
        match event:
            case StepScheduled():
                return Status.WAITING if event.not_before is not None and event.not_before > event.at else Status.QUEUED
            case StepStarted():
                return Status.RUNNING
            case StepSucceeded():
                return Status.SUCCEEDED
            case StepSkipped():
                return Status.SKIPPED
            case StepBlocked():
                return Status.BLOCKED
            case StepCancelled():
                return Status.CANCELLED
            case StepFailed():
                if self._may_retry(state, event):
                    return Status.WAITING
                if state.step.allow_failure:
                    return Status.WARNING
                return Status.TIMED_OUT if event.reason in (Reason.TIMEOUT, Reason.IDLE_TIMEOUT) else Status.FAILED

    def _may_retry(self, state: StepState, event: StepFailed) -> bool:
        retry = state.step.retry
        if event.attempt == 0 or event.attempt >= retry.max_attempts or self._ends_early(state):
            return False
        if event.reason in (Reason.TEMPLATE, Reason.ENGINE):
            return False  # the same values give the same error
        if retry.on is None:
            return True
        if event.reason in (Reason.TIMEOUT, Reason.IDLE_TIMEOUT):
            return "timeout" in retry.on
        return event.reason in retry.on or (event.reason == Reason.EXIT and event.exit_code in retry.on)

    def _ends_early(self, state: StepState) -> bool:
        return self.forced or (self.cancel is not None and not state.final)

    def _index(self, state: StepState, event: StepEvent, target: Status) -> None:
        """Keep the queues that make `decide` quick."""
        id_ = state.step.id
        self.doomed.pop(id_, None)
        if isinstance(event, StepScheduled):
            if state.status is Status.WAITING:
                self.retries.remove(id_)
            else:
                self.ready.remove(id_)
            self.dispatched[id_] = None
        elif isinstance(event, StepStarted):
            self.dispatched.pop(id_, None)
            self.running[id_] = None
        else:
            if state.status is Status.PENDING:
                self.ready.remove(id_)
            if state.status is Status.WAITING and id_ not in self.dispatched:
                self.retries.remove(id_)
            self.dispatched.pop(id_, None)
            self.running.pop(id_, None)
            if target is Status.WAITING:
                self.retries.append(id_)

    def _end(self, state: StepState, at: float) -> None:
        """Pass on what the end of a step means for those that wait for it."""
        state.ended_at = at
        own_failure = state.status in (Status.FAILED, Status.TIMED_OUT)
        state.failed = state.failed or own_failure
        if state.culprit is None and state.status in BAD:
            state.culprit = state.step.id
        self.any_failed = self.any_failed or own_failure
        graph = self.final_graph if state.final else self.graph
        for id_ in graph.dependents[state.step.id]:
            dependent = self.steps[id_]
            dependent.open_needs -= 1
            dependent.culprit = dependent.culprit or state.culprit
            dependent.failed = dependent.failed or state.failed
            if dependent.open_needs == 0:
                self.ready.append(id_)
        if state.final:
            self.open_final_steps -= 1
            return
        self.open_steps -= 1
        if self.open_steps == 0:
            self.ready.extend(step.id for step in self.plan.finally_steps if not step.needs)


def _record(state: StepState, event: StepEvent) -> None:
    """Copy onto the step what later decisions and contexts read."""
    match event:
        case StepScheduled():
            state.attempt, state.not_before, state.worker = event.attempt, event.not_before, None
        case StepStarted():
            state.worker, state.started_at = event.worker, event.at
            state.first_started_at = event.at if state.first_started_at is None else state.first_started_at
        case StepSucceeded():
            state.outputs, state.exit_code = event.outputs, 0
        case StepFailed():
            state.failure, state.exit_code, state.outputs = event, event.exit_code, event.outputs
        case StepBlocked():
            state.blocked_by = event.by
        case _:
            pass


def fold(events: Iterable[AnyEvent]) -> RunState:
    """Give the state that these events make, from the first event of a run on."""
    state: RunState | None = None
    for event in events:
        if state is not None:
            state.apply(event)
        elif isinstance(event, RunStarted) and event.seq == 1:
            state = RunState(event)
        else:
            raise IllegalEventError(
                f"a journal begins with RunStarted as event 1, not with {type(event).__name__} as event {event.seq}"
            )
    if state is None:
        raise IllegalEventError("the journal is empty")
    return state
