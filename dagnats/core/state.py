"""The state of a run: a fold over its events, by one table of transitions.

`RunState.apply` is the only thing that changes a state. It keeps what `decide` needs to be quick whatever the size of the run: which steps
are ready, how many needs each still waits for, how many run.
"""

from collections import deque
from collections.abc import Iterable

from msgspec.structs import replace

from dagnats.core.events import (
    AnyEvent,
    CancelRequested,
    Outcome,
    PipelineStarted,
    RunFinished,
    RunStarted,
    StepBlocked,
    StepEvent,
    StepExpanded,
    StepFailed,
    StepScheduled,
    StepStarted,
    StepSucceeded,
)
from dagnats.core.fanout import cells, instance_id, labels, together
from dagnats.core.planstate import PlanState
from dagnats.core.settle import settled
from dagnats.core.status import BAD, TERMINAL, TRANSITIONS, Status
from dagnats.core.step import Instances, StepState
from dagnats.errors import JournalError

__all__ = ["BAD", "TERMINAL", "TRANSITIONS", "IllegalEventError", "RunState", "Status", "StepState", "fold"]


class IllegalEventError(JournalError):
    """An event that the table does not allow; it names the state and the event."""


class RunState:
    """The state of one run after some of its events.

    `own` is how far the run's own plan is, and `subruns` those of the pipelines that run in it, by the steps that run them; of those that `over`
    names all steps have ended. `steps` holds the steps of all, and `instance_count` counts the instances and the steps of pipelines among them.

    `ready` holds the steps whose needs have all ended, `retries` those whose failed attempt is followed by another, `doomed` those that a
    cancellation found before they ran, `stopping` those that one found running, `failing` those whose instances, or whose pipeline, stop at the first
    failure, which has come. `dispatched` holds what has a task and no worker yet, `running` what has one; `queued` counts those of `dispatched` that
    take a place now, as an attempt that waits for its time takes none. `mutexes` says who holds each and who waits for it.
    """

    def __init__(self, started: RunStarted) -> None:
        self.started = started
        self.plan = started.plan
        self.run = started.run
        self.seq = started.seq
        self.at = started.at
        self.own = PlanState(started.plan, started.params, started.vars)
        self.steps: dict[str, StepState] = {}
        self.subruns: dict[str, PlanState] = {}
        self.over: dict[str, None] = {}
        self.ready: deque[str] = deque()
        self.retries: deque[str] = deque()
        self.doomed: dict[str, None] = {}
        self.stopping: dict[str, CancelRequested] = {}
        self.failing: dict[str, None] = {}
        self.dispatched: dict[str, None] = {}
        self.running: dict[str, None] = {}
        self.mutexes: dict[str, deque[str]] = {}
        self.expanded: dict[str, None] = {}
        self.queued = 0
        self.instance_count = 0
        self.forced = False
        self.finished: RunFinished | None = None
        self._begin(self.own)

    def waits(self, step: str, attempt: int) -> bool:
        """Whether the attempt has a task and no worker yet."""
        return step in self.dispatched and self.steps[step].attempt == attempt

    def is_cancelled(self, state: StepState) -> bool:
        """Whether the instance belongs to a step of which the others shall not run any more."""
        group = self.steps[state.parent].instances if state.parent is not None else None
        return group is not None and group.cancelled

    @property
    def cancel(self) -> CancelRequested | None:
        """Who asked for the end of the run, if anybody did."""
        return self.own.cancel

    @property
    def in_finally(self) -> bool:
        """Whether all steps of `steps` have ended."""
        return self.own.in_finally

    @property
    def outcome(self) -> Outcome:
        """How the run ends if nothing else happens."""
        return self.own.outcome

    def apply(self, event: AnyEvent) -> None:
        """Take the next event into account. Raises IllegalEventError when it can not follow on this state."""
        what = f"event {event.seq} ({type(event).__name__})"
        if event.seq != self.seq + 1:
            raise IllegalEventError(f"{what} follows on event {self.seq}: the journal has a gap")
        if self.finished is not None or isinstance(event, RunStarted):
            raise IllegalEventError(f"{what} can not happen in a run that has {'ended' if self.finished else 'begun'}")
        if isinstance(event, CancelRequested):
            self._cancel(event)
        elif isinstance(event, RunFinished):
            self.finished = event
        else:
            self._step(event)
        self.seq, self.at = event.seq, max(self.at, event.at)  # a start may be recorded after what came later

    def _begin(self, plan: PlanState) -> None:
        """Let the steps of a plan be judged as their needs end."""
        for step in plan.steps:
            self.steps[step.id] = StepState(step, plan, False, len(step.needs))
        for step in plan.final_steps:
            self.steps[step.id] = StepState(step, plan, True, len(step.needs))
        # a selection may have left steps of `finally` only
        for step in plan.steps or plan.final_steps:
            if not step.needs:
                self._make_ready(step.id)

    def _cancel(self, event: CancelRequested) -> None:
        """Find all that a cancellation is meant for: the run, the instances of a step, or the pipeline that it runs."""
        if event.step is None:
            self.forced = self.forced or event.force
            self.own.cancel = self.own.cancel or event
        elif event.step in self.expanded and (group := self.steps[event.step].instances) is not None:
            group.cancelled = True
        elif event.step not in self.subruns:
            raise IllegalEventError(f"event {event.seq} cancels what step {event.step} runs, which is nothing")
        self.failing.pop(event.step or "", None)
        for owner, plan in self.subruns.items():
            if owner == event.step or self._reaches(event, self.steps[owner]):
                plan.cancel = plan.cancel or event
                self.failing.pop(owner, None)
        self.doomed |= {id_: None for id_ in self.dispatched if self._reaches(event, self.steps[id_])}
        self.stopping |= {id_: event for id_ in self.running if self._reaches(event, self.steps[id_])}
        for id_ in self.expanded:
            if id_ == event.step or self._reaches(event, self.steps[id_]):
                self._release(self.steps[id_], everything=True)

    def _reaches(self, event: CancelRequested, state: StepState) -> bool:
        """Whether a cancellation is meant for a step, as a part of something. What is of `finally` comes to its end, unless everything is forced to."""
        while not event.force:
            if event.step is not None and state.parent == event.step:
                return True
            if state.final or state.within.owner == event.step:
                return not state.final
            if state.within.owner is None:
                return False
            state = self.steps[state.within.owner]
        return True

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
        target = settled(state, event, ends_early=self._ends_early(state))
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
        elif isinstance(event, PipelineStarted):
            self._open(state, event)
        if target in TERMINAL:
            self._end(state, event.at)
        if target in (Status.FAILED, Status.TIMED_OUT):
            self._fail_fast(state.within)

    def _in_place(self, state: StepState, event: StepEvent) -> bool:
        """Say whether what the status alone does not tell fits too: nothing precedes its needs, and one attempt has one task."""
        if state.instances is not None or isinstance(event, PipelineStarted):
            # with instances it ends with the last of them
            return state.instances is None and state.step.pipeline is not None and state.step.id in self.running
        if state.step.id in self.subruns or (state.step.pipeline is not None and isinstance(event, StepSucceeded)):
            return state.step.id in self.over
        if state.status is Status.PENDING:
            if isinstance(event, StepExpanded | StepScheduled) and isinstance(event, StepExpanded) is not state.expands:
                return False
            return state.open_needs == 0 and (state.within.in_finally or not state.final)
        if state.status is Status.WAITING and isinstance(event, StepScheduled | StepStarted):
            return (state.step.id in self.dispatched) is isinstance(event, StepStarted)
        return True

    def _ends_early(self, state: StepState) -> bool:
        return self.forced or (state.within.cancel is not None and not state.final) or self.is_cancelled(state)

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
        elif isinstance(event, PipelineStarted):
            self.running.pop(id_)
        else:
            if state.status is Status.PENDING:
                self.ready.remove(id_)
            if state.status is Status.WAITING and id_ not in self.dispatched:
                self.retries.remove(id_)
            for known in (self.dispatched, self.running, self.subruns, self.over, self.stopping):
                known.pop(id_, None)
            if target is Status.WAITING:
                self.retries.append(id_)

    def _make_ready(self, id_: str) -> None:
        """Let the step be judged, once its pipeline has a place for it, and nobody else holds its mutex."""
        state = self.steps[id_]
        plan, mutex = state.within, state.step.mutex
        if not state.expands and plan.bound is not None:
            if plan.active >= plan.bound:
                plan.held.append(id_)
                return
            plan.active += 1
        if not state.expands and mutex is not None:
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
            one = StepState(replace(state.step, id=id_, fan_out=None), state.within, state.final, 0)
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

    def _open(self, state: StepState, event: PipelineStarted) -> None:
        """Let the steps of a pipeline be steps of the run. They take the place of those of an attempt before."""
        id_ = state.step.id
        if state.subrun is not None:
            for before in [one for one in self.steps if one.startswith(state.subrun.prefix)]:
                del self.steps[before]
        prefix = f"{id_}#{event.attempt}/" if event.attempt > 1 else f"{id_}/"
        plan = self.plan.pipelines[state.step.pipeline or ""]
        cancel = self.stopping.pop(id_, None)
        state.subrun = PlanState(plan, event.params, event.vars, owner=id_, prefix=prefix, cancel=cancel)
        self.instance_count += len(plan.steps) + len(plan.finally_steps)
        self.subruns[id_] = state.subrun
        self._begin(state.subrun)

    def _fail_fast(self, plan: PlanState) -> None:
        if plan.owner is not None and plan.plan.fail_fast and plan.cancel is None and not plan.in_finally:
            self.failing[plan.owner] = None

    def _end(self, state: StepState, at: float) -> None:
        """Pass on what the end of a step means for those that wait for it."""
        plan = state.within
        state.ended_at = at
        own_failure = state.status in (Status.FAILED, Status.TIMED_OUT)
        state.failed = state.failed or own_failure
        if state.culprit is None and state.status in BAD:
            state.culprit = state.step.id
        plan.any_failed = plan.any_failed or own_failure
        self._pass_places(state)
        if state.parent is not None:
            self._end_instance(self.steps[state.parent], state, at)
            return
        self.expanded.pop(state.step.id, None)
        graph = plan.final_graph if state.final else plan.graph
        for id_ in graph.dependents[state.step.id]:
            dependent = self.steps[id_]
            dependent.open_needs -= 1
            dependent.culprit = dependent.culprit or state.culprit
            dependent.failed = dependent.failed or state.failed
            if dependent.open_needs == 0:
                self._make_ready(id_)
        if state.final:
            plan.open_final_steps -= 1
        else:
            plan.open_steps -= 1
            for step in plan.final_steps if plan.in_finally else ():
                if not step.needs:
                    self._make_ready(step.id)
        if plan.owner is not None and plan.is_over:
            self.over[plan.owner] = None

    def _pass_places(self, state: StepState) -> None:
        """Hand on its mutex, and its place among the steps of its pipeline, if it had one."""
        line = self.mutexes.get(state.step.mutex or "")
        if line and line[0] == state.step.id:
            line.popleft()
            if line:
                self.ready.append(line[0])
        plan = state.within
        if plan.bound is not None and not state.expands:
            plan.active -= 1
            if plan.held:
                self._make_ready(plan.held.popleft())

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
