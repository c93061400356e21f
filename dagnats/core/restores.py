"""Which artifacts a step has to be given back before it starts: those of the steps before it whose files were not made in this workspace."""

from collections.abc import Iterator

from dagnats.core.cancel import below
from dagnats.core.events import Artifact
from dagnats.core.state import RunState
from dagnats.core.step import StepState


def restores(state: RunState, id_: str) -> list[tuple[str, str, Artifact]]:
    """Give step, name and artifact of each, in the order in which it became known that they are elsewhere; nearly always there are none."""
    if not state.elsewhere:
        return []
    before = set(_before(state, state.steps[id_]))
    return [
        (step, name, artifact)
        for step, kept in state.elsewhere.items()
        if step in before
        for name, artifact in kept.items()
    ]


def _before(state: RunState, step: StepState) -> Iterator[str]:
    """Name all that a step needs, directly or not, with their instances and the steps of their pipelines."""
    seen: set[str] = set()
    pending = list(_needs(state, step))
    while pending:
        id_ = pending.pop()
        if id_ in seen or id_ not in state.steps:
            continue
        seen.add(id_)
        yield id_
        pending += _needs(state, state.steps[id_])
        pending += below(state.steps[id_], state.steps)


def _needs(state: RunState, step: StepState) -> Iterator[str]:
    """Name what it waits for itself; `finally` comes after all others, and a pipeline after what its step needs."""
    yield from step.step.needs
    if step.final:
        yield from (one.id for one in step.within.steps)
    if step.within.owner is not None:
        yield from _needs(state, state.steps[step.within.owner])
