"""Whom a cancellation is meant for, and which of two counts."""

from collections.abc import Iterator, Mapping

from dagnats.core.events import CancelledBy, CancelRequested
from dagnats.core.pipeline import Step
from dagnats.core.planstate import PlanState
from dagnats.core.step import StepState

_WEIGHTS = {CancelledBy.FAIL_FAST: 0, CancelledBy.TIMEOUT: 1, CancelledBy.SIGNAL: 2, CancelledBy.USER: 2}


def asked_by_user(who: str, why: str, *, force: bool) -> CancelRequested:
    """Give the request of somebody who says why, or "". It has no place in the journal yet."""
    text = f"{who} asked for it" + (f": {why}" if why else "")
    text += "; everything is killed, and `finally` does not run" if force else ""
    return CancelRequested(seq=0, at=0.0, by=CancelledBy.USER, why=text, force=force, who=who)


def reaches(event: CancelRequested, state: StepState, steps: Mapping[str, StepState]) -> bool:
    """Whether it is meant for a step, as a part of something. What is of `finally` comes to its end, unless everything is forced to."""
    while not event.force:
        if event.step is not None and state.parent == event.step:
            return True
        if state.final or state.within.owner == event.step:
            return not state.final
        if state.within.owner is None:
            return False
        state = steps[state.within.owner]
    return True


def is_spared(step: Step, event: CancelRequested) -> bool:
    """Whether a step that has not begun may still run: one that asks for a cancellation may, and one that takes care of a failure when that was the cause."""
    if event.force:
        return False
    cares = step.handles is not None and event.by is CancelledBy.FAIL_FAST
    return cares or bool(step.status_functions - {"success"})


def outweighs(event: CancelRequested, before: CancelRequested | None) -> bool:
    """Whether it takes the place of the one before: that time is up weighs more than a failure elsewhere, and that somebody wants an end more than both.

    A pipeline that a step runs has two timeouts, that of the step and that of its file: the second counts too.
    """
    if before is None or _WEIGHTS[event.by] > _WEIGHTS[before.by]:
        return True
    return event.step is not None and event.by is before.by is CancelledBy.TIMEOUT


def beneath(plan: PlanState, steps: Mapping[str, StepState]) -> Iterator[str]:
    """Give the ids of the steps of a plan, with their instances and the steps of the pipelines that they run."""
    for step in (*plan.steps, *plan.final_steps):
        yield step.id
        yield from below(steps[step.id], steps)


def below(state: StepState, steps: Mapping[str, StepState]) -> Iterator[str]:
    """Give the ids of the instances of a step, and of the steps of the pipelines that it or they run."""
    if state.subrun is not None:
        yield from beneath(state.subrun, steps)
    for id_ in state.instances.ids if state.instances is not None else ():
        yield id_
        yield from below(steps[id_], steps)
