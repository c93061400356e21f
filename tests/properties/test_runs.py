"""Whatever the plan and whatever its workers do: a run ends, keeps its bounds, and is what its journal says."""

import random
from collections.abc import Sequence
from copy import deepcopy
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from dagnats.core.cancel import outweighs, reaches
from dagnats.core.codec import commit_hash, decode_commit, encode_commit
from dagnats.core.decide import Failed, Opened, Report, Started, Stopped, Succeeded, admit, decide
from dagnats.core.events import (
    AnyEvent,
    CancelledBy,
    CancelRequested,
    Outcome,
    Reason,
    Rerun,
    RunFinished,
    RunResumed,
    RunStarted,
    SignalReceived,
    StepInterrupted,
    StepScheduled,
    StepStarted,
    StepWaiting,
)
from dagnats.core.pipeline import Container, FanOut, Pipeline, Retry, Step, Volume, Wait
from dagnats.core.planstate import PlanState
from dagnats.core.resume import interruptions
from dagnats.core.state import TERMINAL, IllegalEventError, RunState, Status, StepState, fold
from dagnats.core.waiting import Posted, answer, elapsed
from dagnats.core.waits import approval_key
from dagnats.definition.select import Selection, select
from dagnats.dispatch import Dispatch
from dagnats.errors import UsageError

TICKS_MAX = 20_000
CONSENTS = ("s0", "s1")  # steps that may run again after a crash although they are `once`
OPEN = {Status.QUEUED, Status.RUNNING, Status.WAITING}
CONDITIONS = (None, None, None, None, "success()", "failure()", "always()", "cancelled()", "false", "1 / 0 == 1")
REASONS = (Reason.EXIT, Reason.TIMEOUT, Reason.SIGNAL, Reason.OUTPUT, Reason.SPAWN, Reason.ENGINE)

RETRIES = st.builds(
    Retry,
    max_attempts=st.sampled_from([1, 1, 1, 2, 3]),
    strategy=st.sampled_from(["fixed", "linear", "exponential"]),
    initial_delay_s=st.sampled_from([0.0, 0.0, 3.0]),
    jitter=st.booleans(),
    on=st.sampled_from([None, None, (1,), ("timeout", "lost")]),
)


FAN_OUTS = st.one_of(
    st.none(),
    st.none(),
    st.none(),
    st.builds(
        FanOut,
        items=st.lists(st.sampled_from(["a", "b", 1, True, {"k": 1}]), max_size=5),
        max_parallel=st.sampled_from([None, None, 1, 2]),
        fail_fast=st.booleans(),
    ),
    st.builds(
        FanOut,
        axes=st.sampled_from([{"n": (1, 2, 3)}, {"n": (1, 2), "os": ("x", "y")}, {"n": (1,)}]),
        include=st.sampled_from([(), ({"n": 9},), ({"more": True},)]),
        exclude=st.sampled_from([(), ({"n": 2},)]),
        max_parallel=st.sampled_from([None, None, 1, 2]),
        fail_fast=st.booleans(),
    ),
)


CONTAINERS = st.sampled_from([
    None, None, None, Container("a:1"), Container("a:{{ run.id }}", env={"A": "b"}, volumes=(Volume("v", "/v"),), options=("--read-only",)),
])  # fmt: skip


# two names of signals, so that several steps wait for the same one
WAITS = st.sampled_from([
    *[None] * 6, Wait("sleep", duration_s=2.0), Wait("signal", signal="go"), Wait("signal", signal="on"), Wait("approval", prompt="{{ run.id }}?"),
])  # fmt: skip


@st.composite
def step_lists(draw: st.DrawFn, prefix: str, least: int, most: int, files: Sequence[str] = ()) -> tuple[Step, ...]:
    """Give steps of which each needs some of those before it, and some run the pipelines of files."""
    steps: list[Step] = []
    for number in range(draw(st.integers(least, most))):
        before = [step.id for step in steps if step.handles is None]
        needs = draw(st.lists(st.sampled_from(before), max_size=3, unique=True)) if before else []
        condition = draw(st.sampled_from(CONDITIONS))
        asks = condition is not None and condition.endswith("()")
        file = draw(st.sampled_from([None, None, None, *files]))
        wait = draw(WAITS) if file is None else None
        runs = file is None and wait is None
        steps.append(
            Step(
                id=f"{prefix}{number}",
                needs=tuple(needs),
                condition=condition,
                status_functions=frozenset([condition.removesuffix("()")] if asks else []),
                run="true" if runs else None,
                container=draw(CONTAINERS) if runs else None,
                wait=wait,
                timeout_s=draw(st.sampled_from([None, 3.0])) if wait is not None and wait.kind != "sleep" else None,
                pipeline=file,
                retry=draw(RETRIES),
                once=draw(st.sampled_from([False, False, False, True])),
                allow_failure=draw(st.sampled_from([False, False, False, True])),
                fan_out=draw(FAN_OUTS),
                each_condition=condition is not None and draw(st.booleans()),
                # a step of the pipeline might wait for the one that runs it: a file with such steps is refused
                mutex=draw(st.sampled_from([None, None, None, "one", "two"])) if file is None else None,
            )
        )
        if draw(st.sampled_from([False, False, False, True])):
            steps.append(
                Step(id=f"{prefix}{number}h", needs=(f"{prefix}{number}",), run="true", handles=f"{prefix}{number}")
            )
    return tuple(steps)


INNERMOST = st.builds(
    Pipeline,
    name=st.just("c"),
    file=st.just("c.yaml"),
    steps=step_lists("s", 1, 3),
    finally_steps=step_lists("f", 0, 2),
    fail_fast=st.booleans(),
    max_parallel=st.sampled_from([None, 1, 2]),
)
INNER = st.builds(
    Pipeline,
    name=st.just("b"),
    file=st.just("b.yaml"),
    steps=step_lists("s", 1, 3, ["c.yaml"]),
    finally_steps=step_lists("f", 0, 2, ["c.yaml"]),
    fail_fast=st.booleans(),
    max_parallel=st.sampled_from([None, 1, 2]),
)
FILES = ("b.yaml", "c.yaml")
WHOLE_PLANS = st.builds(
    Pipeline,
    name=st.just("any"),
    file=st.just("any.yaml"),
    steps=step_lists("s", 1, 20) | step_lists("s", 1, 6, FILES),
    finally_steps=step_lists("f", 0, 5) | step_lists("f", 0, 2, FILES),
    fail_fast=st.booleans(),
    pipelines=st.fixed_dictionaries({"b.yaml": INNER, "c.yaml": INNERMOST}),
)


@st.composite
def selected_plans(draw: st.DrawFn) -> Pipeline:
    """Give what `--only`, `--from`, `--until` and `--skip` may leave of a plan."""
    plan = draw(WHOLE_PLANS)
    ids = st.lists(st.sampled_from([step.id for step in (*plan.steps, *plan.finally_steps)]), max_size=2).map(tuple)
    try:
        return select(plan, draw(st.builds(Selection, only=ids, start=ids, until=ids, skip=ids)))
    except UsageError:
        return plan  # nothing was left


PLANS = WHOLE_PLANS | selected_plans()


class World:
    """An engine without a bus, and workers that do anything the real ones, or a network between, could do."""

    def __init__(
        self,
        plan: Pipeline,
        max_parallel: int,
        seed: int,
        cancel_at: int | None,
        *,
        together: bool = False,
        crashes: float = 0.0,
        rerun: Rerun | None = None,
        well: bool = False,
        opens: int | None = None,
    ) -> None:
        self.chance = random.Random(seed)
        self.now = 1000.0
        started = RunStarted(
            seq=1, at=self.now, run="r1", plan=plan, max_parallel=max_parallel, workspace="/w", rerun=rerun
        )
        self.well = well  # whether all that workers do succeeds
        self.opens = opens  # with what pipelines begin, or None for something else every time
        self.dispatch = Dispatch({}, {})
        self.state = RunState(started)
        self.events: list[AnyEvent] = [started]
        self.tasks: dict[tuple[str, int], float] = {}
        self.held: dict[tuple[str, int], str] = {}
        self.told: list[Report] = []
        self.ended: dict[str, dict[str, Any]] = {}
        self.claims: set[tuple[str, int]] = set()
        self.unwanted: set[tuple[str, int]] = set()
        self.posted: dict[str, list[Posted]] = {}
        self.revisions = 0
        self.cancel_at = cancel_at
        self.together = together  # whether several things may happen before what follows is decided
        self.crashes = crashes  # how probable one is at every turn
        self.uncertain: set[str] = set()
        self.middle: tuple[int, dict[str, Any]] | None = None
        self._decide()

    def run(self) -> None:
        for tick in range(TICKS_MAX):
            if self.state.finished is not None:
                return
            self.now += self.chance.random()
            if tick == self.cancel_at:
                self._cancel()
                self.middle = len(self.events), everything(self.state)
            elif not self.well and self.chance.random() < 0.03:
                self._take_too_long()
            elif self.chance.random() < self.crashes:
                self._crash()
            else:
                self._happen()
            if not self.together or self.chance.random() < 0.5:
                self._decide()
        raise AssertionError(f"the run does not end: {everything(self.state)}")

    def _happen(self) -> None:
        """Let one thing happen among those that can."""
        due = [task for task, not_before in self.tasks.items() if not_before <= self.now]
        can = [self._repeat, self._lie] if self.told and self.chance.random() < 0.2 else []
        if due and len(self.held) < self.state.started.max_parallel:
            can.append(lambda: self._claim(self.chance.choice(due)))
        if self.held:
            attempt = self.chance.choice(list(self.held))
            can.append(lambda: self._end(attempt))
            if not self.well and self.chance.random() < 0.1:
                can.append(lambda: self._lose(attempt))
        if self.state.awaited.open or self.chance.random() < 0.05:
            can.append(self._post)
        if self.state.awaited.open and self.chance.random() < 0.5:
            can.append(lambda: self._elapse(self.chance.choice(list(self.state.awaited.open))))
        if self.cancel_at is not None and self.state.cancel is not None and self.chance.random() < 0.05:
            can.append(self._cancel)
        if not can:
            self._decide()
            if self.state.finished is not None or self.state.awaited.open:
                return
            assert self.tasks, f"nothing can happen any more: {everything(self.state)}"
            self.now = max(self.now, min(self.tasks.values()))
            return
        self.chance.choice(can)()

    def _claim(self, task: tuple[str, int]) -> None:
        del self.tasks[task]
        worker = f"w{self.chance.randrange(9)}"
        if self._report(Started(step=task[0], attempt=task[1], worker=worker)):
            self.held[task] = worker

    def _end(self, attempt: tuple[str, int]) -> None:
        worker = self.held.pop(attempt)
        who = {"step": attempt[0], "attempt": attempt[1], "worker": worker}
        kinds = ["succeeded", "succeeded", "failed"] + ["stopped"] * 3 * (attempt[0] in self.state.stopping)
        kind = "succeeded" if self.well else self.chance.choice(kinds)
        if kind == "succeeded" and self.state.steps[attempt[0]].step.pipeline is not None:
            report: Report = Opened(**who, params={"n": self.opens or len(self.events)})
        elif kind == "succeeded":
            report = Succeeded(**who, outputs={"n": len(self.events)})
        elif kind == "stopped":
            report = Stopped(**who)
        else:
            reason = self.chance.choice(REASONS)
            report = Failed(**who, reason=reason, message=reason, exit_code=1 if reason is Reason.EXIT else None)
        assert self._report(report), "the end that the holder reports counts"

    def _lose(self, attempt: tuple[str, int]) -> None:
        """The worker is gone, and its task comes to another, who is told not to run it."""
        worker = self.held.pop(attempt)
        assert self._report(Started(step=attempt[0], attempt=attempt[1], worker="another"))
        assert self.state.steps[attempt[0]].failure.reason is Reason.LOST
        late = Succeeded(step=attempt[0], attempt=attempt[1], worker=worker)
        assert not self._report(late), "what a lost worker says later does not count"

    def _crash(self) -> None:
        """The runner and all that it started are gone, and another goes on from the journal."""
        self.state = fold(self.events)
        self._apply(RunResumed(seq=self.state.seq + 1, at=self.now))
        self.uncertain |= {id_ for id_ in self.state.running if self.state.steps[id_].step.once and id_ not in CONSENTS}
        for event in interruptions(self.state, at=self.now, consents=CONSENTS):
            if isinstance(event, StepInterrupted):
                self.tasks.pop((event.step, event.attempt), None)
            self._apply(event)
        assert not self.state.running
        self.held.clear()
        self.told.clear()
        self._decide()

    def _post(self) -> None:
        """Somebody sends a signal, or decides, whether anybody waits for it or not; what was decided stays."""
        approvals = [approval_key(id_) for id_, step in self.state.steps.items() if step.step.wait is not None]
        key = self.chance.choice(["go", "on", *approvals])
        value = {"approved": self.chance.random() < 0.8} if "." in key else self.chance.choice([None, 1, {"k": 1}])
        self.revisions += 1
        if "." not in key or key not in self.posted:
            self.posted.setdefault(key, []).append(Posted(key, self.revisions, self.now, "somebody", value))

    def _elapse(self, id_: str) -> None:
        """The clock says that a time has come, rightly or not."""
        wait = self.state.awaited.open[id_]
        if self.chance.random() < 0.3 and wait.until is not None:
            self.now = max(self.now, wait.until)
        attempt = wait.attempt - (self.chance.random() < 0.1)
        event = elapsed(self.state, id_, attempt, at=self.now, jitter=self.chance.random())
        if event is not None:
            assert (wait.until or 0.0) <= self.now
            self._apply(event)

    def _repeat(self) -> None:
        assert not self._report(self.chance.choice(self.told)), "a repeated report changes nothing"

    def _lie(self) -> None:
        """Somebody tells of a step what it can not know."""
        id_ = self.chance.choice(list(self.state.steps))
        attempt = self.state.steps[id_].attempt + self.chance.choice([-1, 0, 1])
        assert not self._report(Succeeded(step=id_, attempt=attempt, worker="stranger"))

    def _take_too_long(self) -> None:
        """A pipeline that a step runs is cancelled, as the engine does when its time is up."""
        late = CancelRequested(seq=self.state.seq + 1, at=self.now, by=CancelledBy.TIMEOUT, why="late")
        plans = self.state.subruns.items()
        running = [id_ for id_, plan in plans if not plan.in_finally and outweighs(late, plan.cancel)]
        if running and self.state.finished is None:
            self._apply(replace(late, step=self.chance.choice(running)))

    def _cancel(self) -> None:
        by = self.chance.choice([CancelledBy.SIGNAL, CancelledBy.TIMEOUT])
        force = self.chance.random() < 0.3
        asked = CancelRequested(seq=self.state.seq + 1, at=self.now, by=by, why="asked", force=force)
        again = not outweighs(asked, self.state.cancel) and (self.state.forced or not force)
        if self.state.finished is None and not again and not (by is CancelledBy.TIMEOUT and self.state.in_finally):
            self._apply(asked)

    def _report(self, report: Report) -> bool:
        self.told.append(report)
        event, _ = admit(self.state, report, at=self.now, jitter=self.chance.random())
        if event is None:
            return False
        self._apply(event)
        return True

    def _decide(self) -> None:
        while (event := decide(self.state, self.dispatch) or answer(self.state, self.posted, self.now)) is not None:
            self._apply(event)

    def _apply(self, event: AnyEvent) -> None:
        self._allowed(event)
        self.state.apply(event)
        self.events.append(event)
        if isinstance(event, CancelRequested):
            under_way = [*self.state.dispatched, *self.state.running]
            found = (
                self.state.steps[id_] for id_ in under_way if reaches(event, self.state.steps[id_], self.state.steps)
            )
            self.unwanted |= {(step.step.id, step.attempt) for step in found}
        if isinstance(event, StepScheduled):
            self.tasks[event.step, event.attempt] = event.not_before or 0.0
        self._bounds()

    def _allowed(self, event: AnyEvent) -> None:
        """What must hold before an event, said without the state's own queues."""
        if isinstance(event, StepScheduled | StepWaiting):
            step = self.state.steps[event.step]
            beside = {id_: other for id_, other in self.state.steps.items() if other.within is step.within}
            before = {id_ for id_, other in beside.items() if step.final and not other.final}
            assert {self.state.steps[id_].status for id_ in before | set(step.step.needs)} <= TERMINAL
            assert event.attempt == step.attempt + 1 <= step.step.retry.max_attempts + step.interruptions
            assert not self.state.forced
        if isinstance(event, StepStarted):
            assert (event.step, event.attempt) not in self.claims, "an attempt starts once"
            self.claims.add((event.step, event.attempt))
            assert event.step not in self.uncertain or self.state.steps[event.step].step.pipeline, "it runs once"

    def _bounds(self) -> None:
        statuses = {id_: step.status for id_, step in self.state.steps.items()}
        steps = self.state.steps
        running = {
            id_
            for id_, status in statuses.items()
            if status is Status.RUNNING and not steps[id_].expands and id_ not in self.state.subruns
        }
        assert running == set(self.state.running)
        waits = {id_ for id_, step in steps.items() if step.status is Status.WAITING and step.step.wait is not None}
        assert waits == set(self.state.awaited.open) | {id_ for id_ in self.state.retries if id_ in waits}
        assert len(running) <= self.state.started.max_parallel
        unwanted = {id_ for id_ in running if (id_, steps[id_].attempt) in self.unwanted}
        assert unwanted == set(self.state.stopping), "what a cancellation is meant for is told to stop"
        assert self.state.queued == sum(status is Status.QUEUED for status in statuses.values())
        self._bounds_of_instances()
        self._bounds_of_pipelines()
        for id_, before in list(self.ended.items()):
            if id_ not in self.state.steps:
                del self.ended[id_]  # it is of a pipeline that is tried again
                continue
            assert fields_of(self.state.steps[id_]) == before, "a step that ended does not change"
        for id_, status in statuses.items():
            if status in TERMINAL and id_ not in self.ended:
                self.ended[id_] = fields_of(self.state.steps[id_])

    def _bounds_of_instances(self) -> None:
        open_ = [step for step in self.state.steps.values() if step.status in OPEN and step.instances is None]
        held = [step.step.mutex for step in open_ if step.step.mutex is not None]
        assert len(held) == len(set(held)), "of the steps of a mutex one at a time is on its way"
        for step in self.state.steps.values():
            bound = step.step.fan_out.max_parallel if step.instances is not None else None
            if bound is not None:
                assert sum(one.parent == step.step.id for one in open_) <= bound

    def _bounds_of_pipelines(self) -> None:
        for owner, plan in self.state.subruns.items():
            assert self.state.steps[owner].status is Status.RUNNING
            under_way = [
                step
                for step in self.state.steps.values()
                if step.within is plan and step.status in OPEN and not step.expands and step.step.wait is None
            ]
            assert plan.bound is None or len(under_way) <= plan.bound


def fields_of(step: StepState) -> dict[str, Any]:
    found = {name: getattr(step, name) for name in step.__struct_fields__}
    plans = {"within": step.within.prefix, "subrun": plan_fields(step.subrun) if step.subrun is not None else None}
    return found | {"instances": deepcopy(step.instances)} | plans


def plan_fields(plan: PlanState) -> dict[str, Any]:
    return {**vars(plan), "held": list(plan.held), "outcome": plan.outcome}


def everything(state: RunState) -> dict[str, Any]:
    """Give all of a state as data that can be compared."""
    return {
        "steps": {id_: fields_of(step) for id_, step in state.steps.items()},
        "queues": [list(state.ready), list(state.retries), list(state.dispatched), list(state.running)],
        "doomed": list(state.doomed),
        "waits": {name: deepcopy(value) for name, value in vars(state.awaited).items()},
        "placeless": list(state.places.placeless),
        "mutexes": {name: list(line) for name, line in state.places.mutexes.items()},
        "fan-outs": [list(state.expanded), list(state.failing), state.instance_count],
        "plans": [plan_fields(plan) for plan in (state.own, *state.subruns.values())],
        "over": [list(state.over), dict(state.stopping)],
        "ends": [state.queued, state.forced, state.finished],
        "place": [state.run, state.seq, state.at],
    }


WORLDS = st.builds(
    World,
    plan=PLANS,
    max_parallel=st.integers(1, 6),
    seed=st.integers(0, 2**32),
    cancel_at=st.none() | st.integers(0, 60),
    together=st.booleans(),
    crashes=st.sampled_from([0.0, 0.0, 0.1]),
)


@settings(deadline=None, max_examples=300)
@given(WORLDS)
def test_any_run_ends_and_is_what_its_journal_says(world: World):
    world.run()
    state = world.state
    statuses = {step.status for step in state.steps.values() if step.within is state.own}
    assert not state.subruns
    assert not any((state.places.placeless, state.awaited.open, state.awaited.answered, state.awaited.asked))
    signals = [event.revision for event in world.events if isinstance(event, SignalReceived)]
    assert len(signals) == len(set(signals)), "a signal counts once"
    assert not any(
        (state.places.waiting, state.over, state.doomed, state.stopping, state.failing, state.dispatched, state.running)
    )
    assert {step.status for step in state.steps.values()} <= TERMINAL
    assert isinstance(world.events[-1], RunFinished)
    assert statuses <= TERMINAL
    assert state.finished.outcome is state.outcome
    well = statuses <= {Status.SUCCEEDED, Status.WARNING, Status.SKIPPED}
    if state.cancel is None or state.cancel.by is CancelledBy.FAIL_FAST:
        assert (state.outcome is Outcome.SUCCEEDED) == well
    else:
        assert state.outcome is (Outcome.CANCELLED if state.cancel.by is CancelledBy.SIGNAL else Outcome.TIMED_OUT)
    assert everything(fold(world.events)) == everything(state)
    if world.middle is not None:
        place, then = world.middle
        assert everything(fold(world.events[:place])) == then


@settings(deadline=None, max_examples=60)
@given(WORLDS, st.integers(1, 9))
def test_journal_read_back_from_its_commits_folds_alike(world: World, size: int):
    world.run()
    previous, again = "", []
    for place, start in enumerate(range(0, len(world.events), size), start=1):
        commit = encode_commit("r1", previous, world.events[start : start + size])
        again += decode_commit(commit, "r1", previous, place)
        previous = commit_hash(commit)
    assert again == world.events
    assert everything(fold(again)) == everything(world.state)


@settings(deadline=None, max_examples=60)
@given(WORLDS, st.data())
def test_journal_with_an_event_missing_does_not_fold(world: World, data: st.DataObject):
    world.run()
    lost = data.draw(st.integers(0, len(world.events) - 2))
    with pytest.raises(IllegalEventError):
        fold(world.events[:lost] + world.events[lost + 1 :])


@settings(deadline=None, max_examples=60)
@given(PLANS, st.integers(1, 6))
def test_decisions_are_the_same_when_asked_again(plan: Pipeline, max_parallel: int):
    started = RunStarted(seq=1, at=1.0, run="r1", plan=plan, max_parallel=max_parallel, workspace="/w")
    first, second = RunState(started), RunState(replace(started))
    while (event := decide(first, Dispatch({}, {}))) is not None:
        assert decide(first, Dispatch({}, {})) == event
        assert decide(second, Dispatch({}, {})) == event
        first.apply(event)
        second.apply(event)
    assert everything(first) == everything(second)
