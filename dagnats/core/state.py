"""The state of a run: a fold over its events, by one table of transitions.

`RunState.apply` is the only thing that changes a state. It keeps what `decide` needs to be quick whatever the size of the run: which steps
are ready, how many needs each still waits for, how many run.
"""

from collections import deque
from collections.abc import Iterable
from dataclasses import replace

from dagnats.core.events import (
    AnyEvent,
    CancelRequested,
    Outcome,
    Reason,
    RunFinished,
    RunStarted,
    StepBlocked,
    StepCancelled,
    StepEvent,
    StepExpanded,
    StepFailed,
    StepScheduled,
    StepSkipped,
    StepStarted,
    StepSucceeded,
)
from dagnats.core.fanout import cells, instance_id, labels, together
from dagnats.core.graph import graph_of
from dagnats.core.pipeline import Step
from dagnats.core.status import BAD, TERMINAL, TRANSITIONS, Status
from dagnats.core.step import Instances, StepState
from dagnats.errors import JournalError

__all__ = ["BAD", "TERMINAL", "TRANSITIONS", "IllegalEventError", "RunState", "Status", "StepState", "fold"]


class IllegalEventError(JournalError):
    """An event that the table does not allow; it names the state and the event."""


class RunState:
    """The state of one run after some of its events.

    `ready` holds the steps whose needs have all ended, `retries` those whose failed attempt is followed by another, `doomed` those that a
    cancellation found before they ran, `failing` those that fan out and stop at the first failure, which has come. `dispatched` holds what has a task and
    no worker yet, `running` what has one; `queued` counts those of `dispatched` that take a place now, as an attempt that waits for its time takes none.
    `mutexes` says who holds each and who waits for it: a step takes its own when it becomes ready.
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
        self.ready: deque[str] = deque()
        self.retries: deque[str] = deque()
        self.doomed: dict[str, None] = {}
        self.failing: dict[str, None] = {}
        self.dispatched: dict[str, None] = {}
        self.running: dict[str, None] = {}
        self.mutexes: dict[str, deque[str]] = {}
        self.expanded: dict[str, None] = {}
        self.queued = 0
        self.instance_count = 0
        self.open_steps = len(plan.steps)
        self.open_final_steps = len(plan.finally_steps)
        self.any_failed = False
        self.cancel: CancelRequested | None = None
        self.forced = False
        self.finished: RunFinished | None = None
        # a selection may have left steps of `finally` only
        for step in plan.steps or plan.finally_steps:
            if not step.needs:
                self._make_ready(step.id)

    def waits(self, step: str, attempt: int) -> bool:
        """Whether the attempt has a task and no worker yet."""
        return step in self.dispatched and self.steps[step].attempt == attempt

    def is_cancelled(self, state: StepState) -> bool:
        """Whether the instance belongs to a step of which the others shall not run any more."""
        group = self.steps[state.parent].instances if state.parent is not None else None
        return group is not None and group.cancelled

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
        if event.step is not None:
            self._cancel_instances(event)
            return
        self.cancel = self.cancel or event
        self.forced = self.forced or event.force
        if not self.in_finally or self.forced:
            self.doomed |= self.dispatched
            for id_ in self.expanded:
                self._release(self.steps[id_], everything=True)

    def _cancel_instances(self, event: CancelRequested) -> None:
        state = self.steps.get(event.step or "")
        if state is None or state.instances is None:
            raise IllegalEventError(f"event {event.seq} cancels the instances of {event.step}, which has none")
        state.instances.cancelled = True
        self.failing.pop(state.step.id, None)
        self.doomed |= {id_: None for id_ in state.instances.ids if id_ in self.dispatched}
        self._release(state, everything=True)

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
        self._record(state, event)
        self._index(state, event, target)
        self.queued += (target is Status.QUEUED) - (state.status is Status.QUEUED)
        state.status = target
        if isinstance(event, StepExpanded):
            self._expand(state, event)
        if target in TERMINAL:
            self._end(state, event.at)

    def _in_place(self, state: StepState, event: StepEvent) -> bool:
        """Say whether what the status alone does not tell fits too: nothing precedes its needs, and one attempt has one task."""
        if state.instances is not None:
            return False  # it ends with the last of them
        if state.status is Status.PENDING:
            if isinstance(event, StepExpanded | StepScheduled) and isinstance(event, StepExpanded) is not state.expands:
                return False
            return state.open_needs == 0 and (self.in_finally or not state.final)
        if state.status is Status.WAITING and isinstance(event, StepScheduled | StepStarted):
            return (state.step.id in self.dispatched) is isinstance(event, StepStarted)
        return True

    def _settle(self, state: StepState, event: StepEvent) -> Status:  # noqa: C901, PLR0911 - one answer an event
        """Say which status follows; only a failure and a retry leave a choice, and the plan makes it."""
        match event:
            case StepScheduled():
                return Status.WAITING if event.not_before is not None and event.not_before > event.at else Status.QUEUED
            case StepStarted():
                return Status.RUNNING
            case StepExpanded():
                return Status.SUCCEEDED if event.items is not None and not event.items else Status.RUNNING
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
                if _is_allowed(state.step, event):
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
        return self.forced or (self.cancel is not None and not state.final) or self.is_cancelled(state)

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

    def _make_ready(self, id_: str) -> None:
        """Let the step be judged, once nobody else holds its mutex."""
        state = self.steps[id_]
        mutex = state.step.mutex
        if mutex is not None and not state.expands:
            line = self.mutexes.setdefault(mutex, deque())
            line.append(id_)
            if line[0] != id_:
                return
        self.ready.append(id_)

    def _expand(self, state: StepState, event: StepExpanded) -> None:
        """Make the instances that the event, or the plan, names."""
        fan_out = state.step.fan_out
        if fan_out is None or (event.items is None) is not fan_out.is_matrix:
            raise IllegalEventError(f"event {event.seq}: the plan does not expand step {event.step} like that")
        values = cells(fan_out) if event.items is None else event.items
        ids = []
        for label, value in zip(labels(fan_out, values), values, strict=True):
            id_ = instance_id(state.step.id, label)
            one = StepState(replace(state.step, id=id_, fan_out=None), state.final, 0)
            one.parent, one.label, one.value = state.step.id, label, value
            one.culprit, one.failed = state.culprit, state.failed
            self.steps[id_] = one
            ids.append(id_)
        state.instances = Instances(tuple(ids), deque(ids), len(ids))
        self.instance_count += len(ids)
        if ids:
            self.expanded[state.step.id] = None
            self._release(state)

    def _release(self, group: StepState, *, everything: bool = False) -> None:
        """Let as many instances be judged as the step's own bound allows; all of them when they only wait to be cancelled."""
        instances, fan_out = group.instances, group.step.fan_out
        if instances is None or fan_out is None:
            return
        bound = len(instances.ids) if everything or fan_out.max_parallel is None else fan_out.max_parallel
        while instances.held and (everything or instances.active < bound):
            instances.active += 1
            self._make_ready(instances.held.popleft())

    def _end(self, state: StepState, at: float) -> None:
        """Pass on what the end of a step means for those that wait for it."""
        state.ended_at = at
        own_failure = state.status in (Status.FAILED, Status.TIMED_OUT)
        state.failed = state.failed or own_failure
        if state.culprit is None and state.status in BAD:
            state.culprit = state.step.id
        self.any_failed = self.any_failed or own_failure
        self._pass_mutex(state)
        if state.parent is not None:
            self._end_instance(self.steps[state.parent], state, at)
            return
        self.expanded.pop(state.step.id, None)
        graph = self.final_graph if state.final else self.graph
        for id_ in graph.dependents[state.step.id]:
            dependent = self.steps[id_]
            dependent.open_needs -= 1
            dependent.culprit = dependent.culprit or state.culprit
            dependent.failed = dependent.failed or state.failed
            if dependent.open_needs == 0:
                self._make_ready(id_)
        if state.final:
            self.open_final_steps -= 1
            return
        self.open_steps -= 1
        if self.open_steps == 0:
            for step in self.plan.finally_steps:
                if not step.needs:
                    self._make_ready(step.id)

    def _pass_mutex(self, state: StepState) -> None:
        line = self.mutexes.get(state.step.mutex or "")
        if line and line[0] == state.step.id:
            line.popleft()
            if line:
                self.ready.append(line[0])

    def _end_instance(self, group: StepState, ended: StepState, at: float) -> None:
        """One of several has ended; with the last of them the step does."""
        instances, fan_out = group.instances, group.step.fan_out
        if instances is None or fan_out is None:
            return
        instances.open -= 1
        instances.active -= 1
        instances.bad += ended.status in BAD or ended.status is Status.WARNING
        if ended.failure is not None and group.failure is None and ended.status is not Status.CANCELLED:
            group.failure, group.exit_code = ended.failure, ended.exit_code
        if instances.open == 0:
            self.failing.pop(group.step.id, None)
            group.status = together(self.steps[id_].status for id_ in instances.ids)
            if group.status is Status.SUCCEEDED:
                group.exit_code = 0
            self._end(group, at)
            return
        if fan_out.fail_fast and ended.status in (Status.FAILED, Status.TIMED_OUT) and not instances.cancelled:
            self.failing[group.step.id] = None
        self._release(group)

    def _record(self, state: StepState, event: StepEvent) -> None:
        """Copy onto the step what later decisions and contexts read."""
        match event:
            case StepScheduled():
                state.attempt, state.not_before, state.worker = event.attempt, event.not_before, None
            case StepStarted():
                state.worker, state.started_at = event.worker, event.at
                for one in (state, self.steps[state.parent] if state.parent is not None else state):
                    one.first_started_at = event.at if one.first_started_at is None else one.first_started_at
            case StepSucceeded():
                state.outputs, state.exit_code = event.outputs, 0
            case StepFailed():
                state.failure, state.exit_code, state.outputs = event, event.exit_code, event.outputs
            case StepBlocked():
                state.blocked_by = event.by
            case _:
                pass


def _is_allowed(step: Step, event: StepFailed) -> bool:
    """Whether the step may fail in this way."""
    if isinstance(step.allow_failure, bool):
        return step.allow_failure
    return event.reason == Reason.EXIT and event.exit_code in step.allow_failure


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
