"""Whatever the plan and however its run ended: a rerun takes over what succeeded and still holds, nothing else, and ends as if all had run."""

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from test_runs import PLANS, World, everything

from dagnats.core.events import Rerun, StepReused, StepScheduled
from dagnats.core.pipeline import Pipeline, Step, Wait
from dagnats.core.rerun import Keys
from dagnats.core.state import RunState, Status, StepState, fold
from dagnats.definition.rerun import Before, before
from dagnats.definition.reuse import Now, compared

WELL = {Status.SUCCEEDED, Status.WARNING}
KEPT = {*WELL, Status.SKIPPED}


def patient(plan: Pipeline) -> Pipeline:
    """Give the plan without what makes the end of a step depend on chance: nothing is cancelled, and no condition breaks."""

    def step(one: Step) -> Step:
        fan_out = replace(one.fan_out, fail_fast=False) if one.fan_out is not None else None
        broken = one.condition == "1 / 0 == 1"
        # an approval may be refused
        wait = Wait("sleep", duration_s=1.0) if one.wait is not None and one.wait.kind == "approval" else one.wait
        return replace(one, fan_out=fan_out, condition=None if broken else one.condition, wait=wait, timeout_s=None)

    return replace(
        plan,
        fail_fast=False,
        steps=tuple(map(step, plan.steps)),
        finally_steps=tuple(map(step, plan.finally_steps)),
        pipelines={file: patient(inner) for file, inner in plan.pipelines.items()},
    )


def plain(plan: Pipeline) -> Pipeline:
    """Give the plan without what is asked again every time: conditions that break, and texts that have the name of the run."""

    def step(one: Step) -> Step:
        broken = one.condition == "1 / 0 == 1"
        wait = replace(one.wait, prompt="?") if one.wait is not None else None
        return replace(one, container=None, condition=None if broken else one.condition, wait=wait)

    def steps(some: tuple[Step, ...]) -> tuple[Step, ...]:
        return tuple(map(step, some))

    pipelines = {file: plain(inner) for file, inner in plan.pipelines.items()}
    return replace(plan, steps=steps(plan.steps), finally_steps=steps(plan.finally_steps), pipelines=pipelines)


def run_of(plan: Pipeline, draw: Any, **more: Any) -> World:
    world = World(plan, draw(st.integers(1, 6)), draw(st.integers(0, 2**32)), draw(more.pop("cancels")), **more)
    world.run()
    return world


@st.composite
def reruns(draw: st.DrawFn, plans: st.SearchStrategy[Pipeline], *, well: bool) -> tuple[Before, World]:
    """Give a run that may have ended in any way, and a rerun of it."""
    plan = draw(plans)
    opens = draw(st.sampled_from([1, 1, None]))
    crashes = draw(st.sampled_from([0.0, 0.0, 0.05]))
    first = run_of(plan, draw, cancels=st.none() | st.integers(0, 60), opens=opens, crashes=crashes)
    was = before("r0", first.events)
    mode = draw(st.sampled_from(["failed", "from"]))
    steps = (draw(st.sampled_from([step.id for step in plan.steps])),) if mode == "from" and plan.steps else ()
    rerun = compared(was, plan, Now("/w"), mode, steps).rerun
    cancels = st.none() if well else st.none() | st.integers(0, 60)
    return was, run_of(plan, draw, cancels=cancels, opens=opens, rerun=rerun, well=well)


def by_key(state: RunState) -> dict[str, StepState]:
    keys = Keys(state.steps)
    return {keys.of(step): step for step in state.steps.values()}


def all_before(state: RunState, step: StepState) -> list[StepState]:
    """All that a step needs, directly or not, and what the steps need whose pipelines it is in."""
    found: dict[str, StepState] = {}
    pending = [step]
    for one in pending:
        above = [one.within.owner] if one.within.owner is not None else []
        needed = [state.steps[id_] for id_ in one.step.needs]
        pending += [other for other in needed if other.step.id not in found]
        pending += [state.steps[id_] for id_ in above]
        found |= {other.step.id: other for other in needed}
    return list(found.values())


@settings(deadline=None, max_examples=300)
@given(reruns(PLANS, well=False))
def test_what_is_reused_ended_well_and_nothing_before_it_ran_again(made: tuple[Before, World]):
    was, world = made
    old = by_key(was.state)
    state = world.state
    keys = Keys(state.steps)
    rerun = state.started.rerun
    for event in world.events:
        if not isinstance(event, StepReused) or event.step not in state.steps:
            continue
        step = state.steps[event.step]
        origin = old[keys.of(step)]
        assert origin.status in WELL
        assert (event.status, event.outputs, event.exit_code) == (origin.status, origin.outputs, origin.exit_code)
        assert (event.from_run, event.from_seq) == ("r0", was.ends[origin.step.id])
        assert step.status is origin.status
        assert not any(other.ran for other in all_before(state, step))
        own = keys.of(step).partition("/")[0].partition("[")[0]
        assert own not in rerun.steps
        assert not step.final
    assert everything(fold(world.events)) == everything(state)


@settings(deadline=None, max_examples=300)
@given(reruns(PLANS.map(plain), well=False))
def test_what_succeeded_and_still_holds_does_not_run_again(made: tuple[Before, World]):
    was, world = made
    rerun: Rerun = world.state.started.rerun
    scheduled = {event.step for event in world.events if isinstance(event, StepScheduled)}
    for step in was.state.own.steps:
        held = [was.state.steps[step.id], *all_before(was.state, was.state.steps[step.id])]
        if not {one.step.id for one in held} & set(rerun.steps) and {one.status for one in held} <= KEPT:
            parts = [step.id, *(id_ for id_ in world.state.steps if id_.startswith((f"{step.id}[", f"{step.id}/")))]
            # what waited for an end that did not come may have its time now
            waited = any(one.status is Status.SKIPPED and one.step.condition == "cancelled()" for one in held)
            assert (waited and world.state.cancel is not None) or not scheduled & set(parts)


@settings(deadline=None, max_examples=200)
@given(reruns(PLANS.map(patient), well=True), st.integers(0, 2**32))
def test_a_rerun_in_which_all_goes_well_ends_as_a_run_in_which_all_did(made: tuple[Before, World], seed: int):
    _, world = made
    whole = World(world.state.plan, 3, seed, None, well=True)
    whole.run()

    def ends(state: RunState) -> dict[str, Status]:
        steps = (state.steps[step.id] for step in (*state.own.steps, *state.own.final_steps))
        # whoever takes care of a failure that was allowed has done so
        return {one.step.id: one.status for one in steps if one.step.handles is None}

    def settled(status: Status) -> Status:
        return Status.SUCCEEDED if status is Status.WARNING else status

    expected = {id_: settled(status) for id_, status in ends(whole.state).items()}
    assert {id_: settled(status) for id_, status in ends(world.state).items()} == expected
    assert world.state.outcome is whole.state.outcome
