"""The table: every status of a step, and which event may change it into which."""

from collections.abc import Mapping
from enum import StrEnum

from dagnats.core.events import (
    ApprovalDecided,
    Event,
    PipelineStarted,
    SignalReceived,
    StepBlocked,
    StepCancelled,
    StepExpanded,
    StepFailed,
    StepInterrupted,
    StepReused,
    StepScheduled,
    StepSkipped,
    StepStarted,
    StepSucceeded,
    StepWaiting,
)


class Status(StrEnum):
    """The status of a step."""

    PENDING = "pending"
    QUEUED = "queued"
    RUNNING = "running"
    WAITING = "waiting"
    SUCCEEDED = "succeeded"
    WARNING = "warning"
    FAILED = "failed"
    TIMED_OUT = "timed_out"
    CANCELLED = "cancelled"
    SKIPPED = "skipped"
    BLOCKED = "blocked"


_FAILED = frozenset({Status.WAITING, Status.WARNING, Status.FAILED, Status.TIMED_OUT})

# Every legal change of a step's status. An event that is not in the row of the step's status can not happen; where a row allows
# several results, the state says which by the plan alone. A step of several instances is running from its expansion until the last of them
# has ended, and then is what they are together: that is no event of its own, as nothing is decided.
TRANSITIONS: Mapping[Status, Mapping[type[Event], frozenset[Status]]] = {
    Status.PENDING: {
        StepScheduled: frozenset({Status.QUEUED}),
        StepWaiting: frozenset({Status.WAITING}),
        StepExpanded: frozenset({Status.RUNNING, Status.SUCCEEDED}),
        StepSkipped: frozenset({Status.SKIPPED}),
        StepReused: frozenset({Status.SUCCEEDED, Status.WARNING}),
        StepBlocked: frozenset({Status.BLOCKED}),
        StepCancelled: frozenset({Status.CANCELLED}),
        StepFailed: frozenset({Status.FAILED, Status.WARNING}),
    },
    Status.QUEUED: {
        StepStarted: frozenset({Status.RUNNING}),
        StepInterrupted: frozenset({Status.WAITING}),
        StepFailed: _FAILED,
        StepCancelled: frozenset({Status.CANCELLED}),
    },
    Status.RUNNING: {
        PipelineStarted: frozenset({Status.RUNNING}),
        StepSucceeded: frozenset({Status.SUCCEEDED}),
        StepInterrupted: frozenset({Status.WAITING}),
        StepFailed: _FAILED,
        StepCancelled: frozenset({Status.CANCELLED}),
    },
    Status.WAITING: {
        StepScheduled: frozenset({Status.WAITING, Status.QUEUED}),
        StepStarted: frozenset({Status.RUNNING}),
        StepInterrupted: frozenset({Status.WAITING}),
        StepWaiting: frozenset({Status.WAITING}),
        SignalReceived: frozenset({Status.WAITING}),
        ApprovalDecided: frozenset({Status.WAITING}),
        StepSucceeded: frozenset({Status.SUCCEEDED}),
        StepFailed: _FAILED,
        StepCancelled: frozenset({Status.CANCELLED}),
    },
    Status.SUCCEEDED: {},
    Status.WARNING: {},
    Status.FAILED: {},
    Status.TIMED_OUT: {},
    Status.CANCELLED: {},
    Status.SKIPPED: {},
    Status.BLOCKED: {},
}

TERMINAL = frozenset(status for status, row in TRANSITIONS.items() if not row)
BAD = frozenset({Status.FAILED, Status.TIMED_OUT, Status.CANCELLED, Status.BLOCKED})
