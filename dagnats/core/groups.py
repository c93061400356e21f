"""Steps that fan out, each with its instances: made, let go on as many at a time as the step allows, and over with the last of them."""

from collections import deque
from collections.abc import Sequence

from msgspec.structs import replace

from dagnats.core.fanout import instance_id, labels, tells_more, together
from dagnats.core.pipeline import JSON, FanOut
from dagnats.core.places import Places
from dagnats.core.status import BAD, Status
from dagnats.core.step import Instances, StepState


class Groups:
    """`expanded` names the steps whose instances have not all ended."""

    def __init__(self, steps: dict[str, StepState], places: Places) -> None:
        self._steps = steps
        self._places = places
        self.expanded: dict[str, None] = {}

    def expand(self, group: StepState, fan_out: FanOut, values: Sequence[JSON]) -> None:
        """Make an instance for each value."""
        ids = []
        for label, value in zip(labels(fan_out, values), values, strict=True):
            id_ = instance_id(group.step.id, label)
            one = StepState(replace(group.step, id=id_, fan_out=None), group.within, group.final, 0)
            one.parent, one.label, one.value = group.step.id, label, value
            one.culprit, one.failed = group.culprit, group.failed
            self._steps[id_] = one
            ids.append(id_)
        group.instances = Instances(tuple(ids), deque(ids), len(ids))
        if ids:
            self.expanded[group.step.id] = None
            self.release(group)

    def release(self, group: StepState, *, everything: bool = False) -> None:
        """Let as many instances be judged as the step's own bound allows; all of them when they only wait to be cancelled."""
        instances, fan_out = group.instances, group.step.fan_out
        if instances is None or fan_out is None:
            return
        bound = len(instances.ids) if everything or fan_out.max_parallel is None else fan_out.max_parallel
        while instances.held and (everything or instances.active < bound):
            instances.active += 1
            self._places.enter(instances.held.popleft())

    def end(self, group: StepState, ended: StepState) -> bool:
        """Note the end of an instance; true when it was the last, and the step is what they are together."""
        instances = group.instances
        if instances is None:
            return False
        instances.open -= 1
        instances.active -= 1
        instances.bad += ended.status in BAD or ended.status is Status.WARNING
        if tells_more(ended.status, self._steps[group.failure.step].status if group.failure is not None else None):
            group.failure, group.exit_code = ended.failure, ended.exit_code
        if instances.open > 0:
            self.release(group)
            return False
        del self.expanded[group.step.id]
        group.status = together(self._steps[id_].status for id_ in instances.ids)
        if group.status is Status.SUCCEEDED:
            group.exit_code = 0
        return True

    def shall_stop(self, group: StepState, ended: StepState) -> bool:
        """Whether the end of an instance is the first failure that stops the others."""
        fan_out, instances = group.step.fan_out, group.instances
        if fan_out is None or instances is None or instances.cancelled:
            return False
        return fan_out.fail_fast and ended.status in (Status.FAILED, Status.TIMED_OUT)
