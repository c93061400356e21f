"""What a run knows of one step."""

from collections import deque
from collections.abc import Mapping

from msgspec import Struct, field

from dagnats.core.events import ApprovalDecided, Artifact, SignalReceived, StepFailed, StepReused, StepWaiting
from dagnats.core.pipeline import JSON, Step
from dagnats.core.planstate import PlanState
from dagnats.core.status import Status


class Instances(Struct):
    """The instances of a step that fans out: their ids in order, which of them wait for a place of its own bound, how many are open, and ended badly."""

    ids: tuple[str, ...]
    held: deque[str]
    open: int
    active: int = 0
    bad: int = 0
    cancelled: bool = False


class StepState(Struct):
    """What the events so far say of one step, or of one instance.

    `culprit` is the first step, it or one before it, that did not end well, and `failed` is true when it or anything before it failed.
    Both pass from a step to its dependents: they answer `success()` and `failure()`. An instance has a `parent`, a `label` and its `value`: the
    cell of a matrix, or the item of a list. `within` is the plan whose step it is, and `final` says that it is of its `finally`; `subrun` is what its
    newest attempt has made of the pipeline that it runs, `wait` for what it waits, or has waited, and `answer` what ended that. `interrupted` until an
    attempt has begun that follows on one which its runner's end has ended; `interruptions` counts those. `artifacts` are those of its newest attempt that
    ended. `reused` says from where it was taken over, and `ran` is true once it, or an instance of it, had to do anything itself.
    """

    step: Step
    within: PlanState
    final: bool
    open_needs: int
    status: Status = Status.PENDING
    attempt: int = 0
    not_before: float | None = None
    worker: str | None = None
    outputs: Mapping[str, JSON] = field(default_factory=dict)
    exit_code: int | None = None
    culprit: str | None = None
    failed: bool = False
    failure: StepFailed | None = None
    blocked_by: tuple[str, ...] = ()
    first_started_at: float | None = None
    started_at: float | None = None
    interrupted: bool = False
    interruptions: int = 0
    ended_at: float | None = None
    parent: str | None = None
    label: str = ""
    value: JSON = None
    instances: Instances | None = None
    subrun: PlanState | None = None
    artifacts: Mapping[str, Artifact] = field(default_factory=dict)
    reused: StepReused | None = None
    ran: bool = False
    wait: StepWaiting | None = None
    answer: SignalReceived | ApprovalDecided | None = None

    @property
    def tries(self) -> int:
        """How many attempts count, for its policy and for whoever reads: those that were interrupted do not."""
        return self.attempt - self.interruptions

    @property
    def tainted(self) -> bool:
        """Whether it or anything before it did not end well."""
        return self.culprit is not None

    @property
    def expands(self) -> bool:
        """Whether it has instances, or will have."""
        return self.step.fan_out is not None
