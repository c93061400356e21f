"""The engine's watch over how long the run and the pipelines of its steps take: the time without a runner does not count."""

import asyncio
import time
from collections.abc import Callable

from dagnats.core.planstate import PlanState
from dagnats.core.state import RunState

OnLate = Callable[
    [str | None, str], None
]  # the step that runs the pipeline, or None for the run, and why it is cancelled


class Limits:
    """Says when something takes longer than it may."""

    def __init__(self, state: RunState, on_late: OnLate) -> None:
        self._state = state
        self._on_late = on_late
        self._timers: dict[str | None, list[asyncio.TimerHandle]] = {}

    def begin(self) -> None:
        """Watch the run, and the pipelines that are under way in it."""
        limit_s = self._state.plan.timeout_s
        if limit_s is not None:
            why = f"the run took longer than its timeout of {limit_s:g}s"
            self._set(None, self._state.own, self._state.own.began_at, limit_s, why)
        for owner in self._state.subruns:
            self.watch(owner)

    def watch(self, owner: str) -> None:
        """Watch a pipeline: it may take as long as its step allows, counted from the start of that one, and as its file says."""
        step, subrun = self._state.steps[owner], self._state.subruns.get(owner)
        if subrun is None:
            return  # it has ended by now
        for limit_s, begin, whose in (
            (step.step.timeout_s, step.started_at or subrun.began_at, "its"),
            (subrun.plan.timeout_s, subrun.began_at, subrun.plan.file + "'s"),
        ):
            if limit_s is not None:
                self._set(owner, subrun, begin, limit_s, f"ran longer than {whose} timeout of {limit_s:g}s")

    def _set(self, owner: str | None, plan: PlanState, begin: float, limit_s: float, why: str) -> None:
        left_s = max(0.0, begin + limit_s + plan.down_s - time.time())
        timer = asyncio.get_running_loop().call_later(left_s, self._late, owner, plan, why)
        self._timers.setdefault(owner, []).append(timer)

    def _late(self, owner: str | None, plan: PlanState, why: str) -> None:
        if owner is None or self._state.subruns.get(owner) is plan:
            self._on_late(owner, why)

    def forget(self, owner: str) -> None:
        """What it runs has ended."""
        for timer in self._timers.pop(owner, ()):
            timer.cancel()

    def close(self) -> None:
        """Say nothing any more."""
        for timers in self._timers.values():
            for timer in timers:
                timer.cancel()
        self._timers.clear()
