"""The state of a run: a fold over its events, by one table of transitions.

`RunState.apply` is the only thing that changes a state. It keeps what `decide` needs to be quick whatever the size of the run: which steps
are ready, how many needs each still waits for, how many run.
"""

from collections import deque
from collections.abc import Iterable, Mapping

from dagnats.core.cancel import below, beneath, is_spared, outweighs, reaches
from dagnats.core.events import (
    AnyEvent,
    ApprovalDecided,
    Artifact,
    CancelRequested,
    Outcome,
    PipelineStarted,
    RunFinished,
    RunResumed,
    RunStarted,
    SignalReceived,
    StepEvent,
    StepExpanded,
    StepFailed,
    StepInterrupted,
    StepReused,
    StepScheduled,
    StepStarted,
    StepSucceeded,
    StepWaiting,
)
from dagnats.core.fanout import cells
from dagnats.core.groups import Groups
from dagnats.core.places import Places
from dagnats.core.planstate import PlanState
from dagnats.core.record import record
from dagnats.core.rerun import Table
from dagnats.core.settle import settled
from dagnats.core.status import BAD, TERMINAL, TRANSITIONS, Status
from dagnats.core.step import StepState
from dagnats.core.waits import Waits
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
    take a place now, as an attempt that waits for its time takes none. `awaited` has the steps that wait for something instead of running. `reusable` is what
    a rerun may take over, `elsewhere` the artifacts of steps whose files were not made in this run, by their ids: who needs such a step is given them back
    first (`core/restores.py`).
    """

    def __init__(self, started: RunStarted) -> None:
        self.started = started
        self.plan = started.plan
        self.run = started.run
        self.seq = started.seq
        self.at = started.at
        self.own = PlanState(started.plan, started.params, started.vars, began_at=started.at)
        self.steps: dict[str, StepState] = {}
        self.subruns: dict[str, PlanState] = {}
        self.over: dict[str, None] = {}
        self.places = Places(self.steps)
        self.ready = self.places.ready
        self.retries: deque[str] = deque()
        self.doomed: dict[str, CancelRequested] = {}
        self.stopping: dict[str, CancelRequested] = {}
        self.failing: dict[str, None] = {}
        self.dispatched: dict[str, None] = {}
        self.running: dict[str, None] = {}
        self.groups = Groups(self.steps, self.places)
        self.expanded = self.groups.expanded
        self.awaited = Waits()
        self.queued = 0
        self.instance_count = 0
        self.elsewhere: dict[str, Mapping[str, Artifact]] = {}
        self.forced = False
        self.finished: RunFinished | None = None
        self.reusable = Table(started.rerun, self.steps) if started.rerun is not None else None
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
        if event.seq != self.seq + 1 or self.finished is not None or isinstance(event, RunStarted):
            what = f"event {event.seq} ({type(event).__name__})"
            if event.seq != self.seq + 1:
                raise IllegalEventError(f"{what} follows on event {self.seq}: the journal has a gap")
            raise IllegalEventError(f"{what} can not happen in a run that has {'ended' if self.finished else 'begun'}")
        if isinstance(event, CancelRequested):
            self._cancel(event)
        elif isinstance(event, RunFinished):
            self.finished = event
        elif isinstance(event, RunResumed):
            for plan in (self.own, *self.subruns.values()):
                plan.down_s += max(0.0, event.at - self.at)
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
                self.places.enter(step.id)

    def _cancel(self, event: CancelRequested) -> None:
        """Find all that a cancellation is meant for: the run, the instances of a step, or the pipeline that it runs."""
        for id_ in self._parts(event):
            state = self.steps[id_]
            if not reaches(event, state, self.steps):
                continue
            self.failing.pop(id_, None)
            if id_ in self.subruns:
                self._cancel_plan(self.subruns[id_], event)
            elif id_ in self.dispatched or id_ in self.awaited.open:
                self.doomed[id_] = event
            elif id_ in self.running and not self._is_forced(id_):
                self.stopping[id_] = event
            elif id_ in self.expanded and not is_spared(state.step, event):
                self.groups.release(state, everything=True)
            elif id_ in self.places.waiting and not is_spared(state.step, event):
                self.places.give_up(id_)

    def _parts(self, event: CancelRequested) -> Iterable[str]:
        """Note on its target that it is cancelled; gives the steps that may be a part of that."""
        target = self.steps.get(event.step or "")
        if event.step is None:
            self.forced = self.forced or event.force
            self._cancel_plan(self.own, event)
            busy = [*self.subruns, *self.dispatched, *self.running, *self.awaited.open]
            return [*busy, *self.expanded, *self.places.waiting]
        self.failing.pop(event.step, None)
        if target is not None and event.step in self.subruns:
            self._cancel_plan(self.subruns[event.step], event)
            return list(beneath(self.subruns[event.step], self.steps))
        if target is None or target.instances is None or event.step not in self.expanded:
            raise IllegalEventError(f"event {event.seq} cancels what step {event.step} runs, which is nothing")
        target.instances.cancelled = True
        self.groups.release(target, everything=True)
        return list(below(target, self.steps))

    def _cancel_plan(self, plan: PlanState, event: CancelRequested) -> None:
        if plan.cancel is None or (outweighs(event, plan.cancel) and not plan.in_finally):
            plan.cancel = event

    def _is_forced(self, id_: str) -> bool:
        return id_ in self.stopping and self.stopping[id_].force

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
        target = settled(state, event, ends_early=isinstance(event, StepFailed) and self._ends_early(state))
        if target not in allowed:
            raise IllegalEventError(
                f"event {event.seq}: {type(event).__name__} can not make step {event.step} {target} while it is {state.status}"
            )
        record(state, self.steps.get(state.parent or ""), event)
        if isinstance(event, StepReused) and event.artifacts:
            self.elsewhere[event.step] = event.artifacts
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
        if state.instances is not None or not self.awaited.fits(state, event):
            return False  # what has instances ends with the last of them
        if isinstance(event, PipelineStarted) or (state.step.pipeline is not None and state.status is Status.RUNNING):
            return self._fits_pipeline(state, event)
        if state.status is Status.PENDING:
            begins = isinstance(event, StepExpanded | StepScheduled | StepReused | StepWaiting)
            if begins and isinstance(event, StepExpanded) is not state.expands:
                return False
            return state.open_needs == 0 and (state.within.in_finally or not state.final)
        if state.status is Status.WAITING and isinstance(event, StepScheduled | StepStarted):
            return (state.step.id in self.dispatched) is isinstance(event, StepStarted)
        return True

    def _fits_pipeline(self, state: StepState, event: StepEvent) -> bool:
        """A pipeline begins once, and its step ends when all of its steps have; before it began, only something else could go wrong."""
        id_ = state.step.id
        if isinstance(event, PipelineStarted):
            return state.step.pipeline is not None and id_ in self.running
        if id_ in self.subruns:
            return id_ in self.over and not isinstance(event, StepInterrupted)
        return not isinstance(event, StepSucceeded)

    def _ends_early(self, state: StepState) -> bool:
        return self.forced or (state.within.cancel is not None and not state.final) or self.is_cancelled(state)

    def _index(self, state: StepState, event: StepEvent, target: Status) -> None:
        """Keep the queues that make `decide` quick."""
        id_ = state.step.id
        self.awaited.apply(event)
        if isinstance(event, SignalReceived | ApprovalDecided):
            return
        doom = self.doomed.pop(id_, None) or self.stopping.get(id_)
        if isinstance(event, StepScheduled | StepWaiting):
            (self.retries.remove if state.status is Status.WAITING else self.places.judged)(id_)
            if isinstance(event, StepScheduled):
                self.dispatched[id_] = None
        elif isinstance(event, StepStarted):
            self.dispatched.pop(id_, None)
            self.running[id_] = None
            if doom is not None:
                self.stopping[id_] = doom  # it was let start before that was known
        elif isinstance(event, PipelineStarted):
            self.running.pop(id_)
        else:
            self._leave_queues(state, target)
            if isinstance(event, StepInterrupted) and doom is not None:
                self.doomed[id_] = doom

    def _leave_queues(self, state: StepState, target: Status) -> None:
        """An attempt has ended, or the step ends without one."""
        id_ = state.step.id
        if state.status is Status.PENDING:
            self.places.judged(id_)
        elif id_ in self.retries:
            self.retries.remove(id_)
        for queue in (self.dispatched, self.running, self.stopping):
            queue.pop(id_, None)
        if state.step.pipeline is not None:
            self.subruns.pop(id_, None)
            self.over.pop(id_, None)
        if target is Status.WAITING:
            self.retries.append(id_)

    def _expand(self, state: StepState, event: StepExpanded) -> None:
        """Make the instances that the event, or the plan, names."""
        fan_out = state.step.fan_out
        if fan_out is None or (event.items is None) is not fan_out.is_matrix:
            raise IllegalEventError(f"event {event.seq}: the plan does not expand step {event.step} like that")
        values = cells(fan_out) if event.items is None else event.items
        self.groups.expand(state, fan_out, values)
        self.instance_count += len(values)

    def _open(self, state: StepState, event: PipelineStarted) -> None:
        """Let the steps of a pipeline be steps of the run. They take the place of those of an attempt before."""
        id_ = state.step.id
        before = list(beneath(state.subrun, self.steps)) if state.subrun is not None else []
        for gone in before:
            del self.steps[gone]
        prefix = f"{id_}#{state.tries}/" if state.tries > 1 else f"{id_}/"
        plan = self.plan.pipelines[state.step.pipeline or ""]
        cancel = self.stopping.pop(id_, None)
        state.subrun = PlanState(
            plan, event.params, event.vars, owner=id_, prefix=prefix, cancel=cancel, began_at=event.at
        )
        self.instance_count += len(plan.steps) + len(plan.finally_steps) - len(before)
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
        self.places.leave(state)
        if state.parent is not None:
            self._end_instance(self.steps[state.parent], state, at)
            return
        graph = plan.final_graph if state.final else plan.graph
        for id_ in graph.dependents[state.step.id]:
            dependent = self.steps[id_]
            dependent.open_needs -= 1
            dependent.culprit = dependent.culprit or state.culprit
            dependent.failed = dependent.failed or state.failed
            if dependent.open_needs == 0:
                self.places.enter(id_)
        if state.final:
            plan.open_final_steps -= 1
        else:
            plan.open_steps -= 1
            if plan.in_finally:
                self._begin_finally(plan)
        if plan.owner is not None and plan.is_over:
            self.over[plan.owner] = None

    def _end_instance(self, group: StepState, ended: StepState, at: float) -> None:
        """One of several has ended; with the last of them the step does."""
        if self.groups.end(group, ended):
            self.failing.pop(group.step.id, None)
            self._end(group, at)
        elif self.groups.shall_stop(group, ended):
            self.failing[group.step.id] = None

    def _begin_finally(self, plan: PlanState) -> None:
        self.failing.pop(plan.owner or "", None)  # nothing is left that could be stopped
        for step in plan.final_steps:
            if not step.needs:
                self.places.enter(step.id)


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
