"""How far one plan is: the run's own, or that of a pipeline which a step runs."""

from collections import deque
from collections.abc import Mapping

from msgspec.structs import replace

from dagnats.core.events import CancelRequested, Outcome
from dagnats.core.graph import graph_of
from dagnats.core.pipeline import JSON, Pipeline, Step


class PlanState:
    """What the events so far say of one plan.

    `owner` is the step that runs it, or None for the run's own, and `prefix` stands before the ids of its steps, so that they are unique in the run.
    `bound` says how many of its steps may be under way at once, `held` are those that wait for that; None leaves it to the run.
    """

    def __init__(
        self,
        plan: Pipeline,
        params: Mapping[str, JSON],
        variables: Mapping[str, JSON],
        *,
        owner: str | None = None,
        prefix: str = "",
        cancel: CancelRequested | None = None,
        began_at: float = 0.0,
    ) -> None:
        self.plan = plan
        self.params = params
        self.vars = variables
        self.owner = owner
        self.prefix = prefix
        self.steps = _renamed(plan.steps, prefix)
        self.final_steps = _renamed(plan.finally_steps, prefix)
        self.graph = graph_of(self.steps)
        self.final_graph = graph_of(self.final_steps)
        self.open_steps = len(self.steps)
        self.open_final_steps = len(self.final_steps)
        self.any_failed = False
        self.cancel = cancel
        self.began_at = began_at
        self.down_s = 0.0  # how long it had no runner
        self.bound = plan.max_parallel if owner is not None else None
        self.active = 0
        self.held: deque[str] = deque()

    @property
    def in_finally(self) -> bool:
        """Whether all steps of `steps` have ended."""
        return self.open_steps == 0

    @property
    def is_over(self) -> bool:
        """Whether all have, those of `finally` too."""
        return self.open_steps == 0 and self.open_final_steps == 0

    @property
    def outcome(self) -> Outcome:
        """How it ends if nothing else happens."""
        if self.cancel is None or (self.cancel.step == self.owner and self.cancel.by == "fail_fast"):
            return Outcome.FAILED if self.any_failed else Outcome.SUCCEEDED
        if self.cancel.step == self.owner and self.cancel.by == "timeout":
            return Outcome.TIMED_OUT
        return Outcome.CANCELLED  # also when that was asked of what it is a part of, whatever for


def _renamed(steps: tuple[Step, ...], prefix: str) -> tuple[Step, ...]:
    if not prefix:
        return steps
    return tuple(
        replace(
            step,
            id=prefix + step.id,
            needs=tuple(prefix + need for need in step.needs),
            handles=prefix + step.handles if step.handles is not None else None,
        )
        for step in steps
    )
