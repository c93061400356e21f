"""Which status an event gives to a step, where the table allows several."""

from dagnats.core.events import (
    ApprovalDecided,
    PipelineStarted,
    Reason,
    SignalReceived,
    StepBlocked,
    StepCancelled,
    StepEvent,
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
from dagnats.core.pipeline import Step
from dagnats.core.status import Status
from dagnats.core.step import StepState


def settled(state: StepState, event: StepEvent, *, ends_early: bool) -> Status:  # noqa: C901, PLR0911 - one answer an event
    """Say which status follows; only a failure and a retry leave a choice, and the plan makes it. What `ends_early` is not tried again."""
    match event:
        case StepScheduled():
            return Status.WAITING if event.not_before is not None and event.not_before > event.at else Status.QUEUED
        case StepWaiting() | SignalReceived() | ApprovalDecided() | StepInterrupted():
            return Status.WAITING
        case StepStarted() | PipelineStarted():
            return Status.RUNNING
        case StepExpanded():
            return Status.SUCCEEDED if event.items is not None and not event.items else Status.RUNNING
        case StepSucceeded():
            return Status.SUCCEEDED
        case StepReused():
            return Status(event.status)
        case StepSkipped():
            return Status.SKIPPED
        case StepBlocked():
            return Status.BLOCKED
        case StepCancelled():
            return Status.CANCELLED
        case StepFailed():
            if not ends_early and _is_retried(state, event):
                return Status.WAITING
            if _is_allowed(state.step, event):
                return Status.WARNING
            return Status.TIMED_OUT if event.reason in (Reason.TIMEOUT, Reason.IDLE_TIMEOUT) else Status.FAILED


def _is_retried(state: StepState, event: StepFailed) -> bool:
    retry = state.step.retry
    if event.attempt == 0 or event.attempt - state.interruptions >= retry.max_attempts:
        return False
    if event.reason is Reason.LOST and state.step.once:
        return False  # nobody knows what it has done
    if event.reason in (Reason.TEMPLATE, Reason.ENGINE, Reason.REJECTED):
        return False  # the same values give the same error, and a no is an answer
    if retry.on is None:
        return True
    if event.reason in (Reason.TIMEOUT, Reason.IDLE_TIMEOUT):
        return "timeout" in retry.on
    return event.reason in retry.on or (_has_code(event) and event.exit_code in retry.on)


def _is_allowed(step: Step, event: StepFailed) -> bool:
    """Whether the step may fail in this way."""
    if isinstance(step.allow_failure, bool):
        return step.allow_failure
    return _has_code(event) and event.exit_code in step.allow_failure


def _has_code(event: StepFailed) -> bool:
    """Whether it ended by itself, with an exit code, and was not ended."""
    return event.reason in (Reason.EXIT, Reason.PIPELINE)
