"""Which steps come next: those whose needs have ended, as soon as their pipeline has a place for them and nobody holds their mutex."""

from collections import deque
from collections.abc import Mapping

from dagnats.core.step import StepState


class Places:
    """The steps whose needs have ended: `ready` holds those that can be judged, in order, and `waiting` those that have to wait.

    Of those that can be judged, `placeless` holds the ones that only wait for something: they take no place, and need not wait for one. `mutexes` says who holds each and who waits for it. A step that fans out takes neither a place nor a mutex: its instances do.
    """

    def __init__(self, steps: Mapping[str, StepState]) -> None:
        self._steps = steps
        self.ready: deque[str] = deque()
        self.placeless: deque[str] = deque()
        self.waiting: dict[str, None] = {}
        self.mutexes: dict[str, deque[str]] = {}

    def enter(self, id_: str) -> None:
        """Let a step be judged, at once or when it is its turn."""
        state = self._steps[id_]
        plan, mutex = state.within, state.step.mutex
        if _takes_place(state) and plan.bound is not None:
            if plan.active >= plan.bound:
                plan.held.append(id_)
                self.waiting[id_] = None
                return
            plan.active += 1
        if not state.expands and mutex is not None:
            line = self.mutexes.setdefault(mutex, deque())
            line.append(id_)
            if line[0] != id_:
                self.waiting[id_] = None
                return
        self._let(id_)

    def _let(self, id_: str) -> None:
        self.waiting.pop(id_, None)
        (self.ready if self._steps[id_].step.wait is None else self.placeless).append(id_)

    def judged(self, id_: str) -> None:
        """Note that a step was judged."""
        (self.ready if self._steps[id_].step.wait is None else self.placeless).remove(id_)

    def give_up(self, id_: str) -> None:
        """Let a step that waits be judged now: it shall not run any more."""
        state = self._steps[id_]
        line = self.mutexes.get(state.step.mutex or "")
        if id_ in state.within.held:
            state.within.held.remove(id_)
            state.within.active += 1
        elif line is not None:
            line.remove(id_)
        self._let(id_)

    def leave(self, state: StepState) -> None:
        """Hand on what a step that has ended held."""
        line = self.mutexes.get(state.step.mutex or "")
        if line and line[0] == state.step.id:
            line.popleft()
            if line:
                self._let(line[0])
        plan = state.within
        if plan.bound is not None and _takes_place(state):
            plan.active -= 1
            if plan.held:
                self.enter(plan.held.popleft())


def _takes_place(state: StepState) -> bool:
    return not state.expands and state.step.wait is None
