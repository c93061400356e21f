"""What a run may take over from another: steps of both by a key that they share, and whether one still holds when its turn has come."""

import json
from collections.abc import Mapping

from dagnats.core.events import (
    Again,
    Given,
    Rerun,
    Reusable,
    StepEvent,
    StepExpanded,
    StepFailed,
    StepReused,
    StepSkipped,
)
from dagnats.core.pipeline import JSON
from dagnats.core.step import StepState

_ENDED = {
    "failed": "failed in {}",
    "timed_out": "timed out in {}",
    "cancelled": "was cancelled in {}",
    "blocked": "was blocked in {}",
    "running": "did not end in {}",
    "queued": "did not end in {}",
    "waiting": "did not end in {}",
}


def canonical(value: JSON) -> str:
    """Give a value as text that is the same for what is equal, whatever the order of its keys; `true` is not 1."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"))


class Keys:
    """The keys of the steps of one run: their ids, in which an instance has its value, and no attempt of a pipeline is told from another.

    The label of an instance may be its place, which says nothing in another run. Of instances with one value, the second has `#2` behind it.
    """

    def __init__(self, steps: Mapping[str, StepState]) -> None:
        self._steps = steps
        self._endings: dict[str, dict[str, str]] = {}  # of the instances, by the step

    def of(self, state: StepState) -> str:
        """Give the key of a step, or of an instance."""
        if state.parent is not None:
            return self.of(self._steps[state.parent]) + self._ending(state.parent, state.step.id)
        return self.within(state) + state.step.id.removeprefix(state.within.prefix)

    def within(self, state: StepState) -> str:
        """Give what stands before the id of the step in its own file."""
        owner = state.within.owner
        return "" if owner is None else self.of(self._steps[owner]) + "/"

    def _ending(self, group: str, id_: str) -> str:
        if group not in self._endings:
            instances = self._steps[group].instances
            ids = instances.ids if instances is not None else ()
            self._endings[group] = dict(zip(ids, endings([self._steps[one].value for one in ids]), strict=True))
        return self._endings[group][id_]


def endings(values: list[JSON]) -> list[str]:
    """Give what stands behind the key of a step in those of its instances."""
    seen: dict[str, int] = {}
    found = []
    for value in values:
        text = f"[{canonical(value)}]"
        seen[text] = seen.get(text, 0) + 1
        found.append(text if seen[text] == 1 else f"{text}#{seen[text]}")
    return found


class Table:
    """What a rerun has to take over, asked when the turn of a step has come."""

    def __init__(self, rerun: Rerun, steps: Mapping[str, StepState]) -> None:
        self._rerun = rerun
        self._steps = steps
        self._keys = Keys(steps)

    def get(self, state: StepState) -> Reusable | None:
        """Give how the step ended before, if that still holds: nothing that it needs ran here, and its pipeline began with the same values.

        The second attempt of a pipeline does everything again.
        """
        found = self._rerun.reused.get(self._keys.of(state))
        if found is None or any(self._steps[need].ran for need in state.step.needs):
            return None
        return found if self._is_same_place(state) else None

    def _is_same_place(self, state: StepState) -> bool:
        while state.within.owner is not None:
            plan, owner = state.within, self._steps[state.within.owner]
            given = self._rerun.given.get(self._keys.of(owner))
            now = Given(params=plan.params, vars=plan.vars)
            if owner.attempt > 1 or given is None or not _is_equal(given, now):
                return False
            state = owner
        return True


def _is_equal(one: Given, other: Given) -> bool:
    return canonical([one.params, one.vars]) == canonical([other.params, other.vars])


def is_own_doing(event: StepEvent) -> bool:
    """Whether what happened to a step in this run is more than that nothing had to be done."""
    return not isinstance(event, StepReused | StepSkipped | StepExpanded)


def failure_before(event: StepReused) -> StepFailed | None:
    """Give the failure that a reused step was allowed to have, for who asks how it failed."""
    if event.reason is None:
        return None
    return StepFailed(
        seq=event.seq,
        at=event.at,
        step=event.step,
        attempt=1,
        reason=event.reason,
        message=event.message,
        exit_code=event.exit_code,
        outputs=event.outputs,
    )


def said(again: Again, run: str) -> str:
    """Say why a step runs in a rerun of `run`."""
    names = ", ".join(again.names)
    words = {
        "asked": names,
        "finally": "finally",
        "new": f"not in {run}",
        "ended": _ENDED.get(names, "did not run in {}").format(run),
        "changed": f"changed: {names}",
        "value": "another run.id" if again.names == ("run.id",) else f"{names} changed",
        "needs": f"needs {names}, which run{'s' if len(again.names) == 1 else ''} again",
    }
    return words[again.why]
