"""How far a run is, counted event by event: a run may have thousands of steps, and its progress is shown several times a second."""

from dagnats.core.events import AnyEvent, StepExpanded
from dagnats.core.state import TERMINAL, RunState, Status, StepState
from dagnats.report.view import is_shown

_FAILED = (Status.FAILED, Status.TIMED_OUT)
_NOTHING = (0, 0, 0)


class Tally:
    """How many steps there are, have ended, and have failed, as the total of the recap counts them; and all that failed, the first one first.

    Of a step with instances they are counted, of a pipeline the step that runs it, and one that handles a failure once there is one.
    """

    def __init__(self, state: RunState) -> None:
        self.total = 0
        self.ended = 0
        self.failed = 0
        self.failures: dict[str, None] = {}
        self._counted: dict[str, tuple[int, int, int]] = {}
        for id_ in state.steps:
            self._count(state, id_)

    def applied(self, state: RunState, event: AnyEvent) -> None:
        """Count again what an event has changed. `state` is the one after it."""
        step = state.steps.get(getattr(event, "step", None) or "")
        if step is None:
            return
        self._count(state, step.step.id)
        if isinstance(event, StepExpanded) and step.instances is not None:
            for id_ in step.instances.ids:
                self._count(state, id_)
        if step.status in _FAILED:
            self.failures[step.step.id] = None

    def _count(self, state: RunState, id_: str) -> None:
        before = self._counted.get(id_, _NOTHING)
        now = self._counted[id_] = counted(state, state.steps[id_])
        self.total += now[0] - before[0]
        self.ended += now[1] - before[1]
        self.failed += now[2] - before[2]


def counted(state: RunState, step: StepState) -> tuple[int, int, int]:
    """Give what a step adds to the total, to what has ended and to what has failed."""
    has_instances = step.instances is not None and step.instances.ids
    is_idle = step.step.handles is not None and step.status is Status.PENDING
    if step.within is not state.own or has_instances or is_idle or not is_shown(step):
        return _NOTHING
    return 1, int(step.status in TERMINAL), int(step.status in _FAILED)
