"""Which steps come next: those whose needs have ended, as soon as their pipeline has a place for them and nobody holds their mutex."""

from collections import deque
from collections.abc import Mapping

from dagnats.core.step import StepState


class Places:
    """`ready` holds those that can be judged, in order; `mutexes` says who holds each and who waits for it.

    A step that fans out takes neither a place nor a mutex: its instances do.
    """

    def __init__(self, steps: Mapping[str, StepState]) -> None:
        self._steps = steps
        self.ready: deque[str] = deque()
        self.mutexes: dict[str, deque[str]] = {}

    def enter(self, id_: str) -> None:
        """Let a step be judged, at once or when it is its turn."""
        state = self._steps[id_]
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

    def leave(self, state: StepState) -> None:
        """Hand on what a step that has ended held."""
        line = self.mutexes.get(state.step.mutex or "")
        if line and line[0] == state.step.id:
            line.popleft()
            if line:
                self.ready.append(line[0])
        plan = state.within
        if plan.bound is not None and not state.expands:
            plan.active -= 1
            if plan.held:
                self.enter(plan.held.popleft())
