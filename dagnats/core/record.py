"""What an event leaves on its step, for later decisions, for contexts, and for whoever shows it."""

from dagnats.core.events import (
    ApprovalDecided,
    SignalReceived,
    StepBlocked,
    StepEvent,
    StepFailed,
    StepInterrupted,
    StepReused,
    StepScheduled,
    StepStarted,
    StepSucceeded,
    StepWaiting,
)
from dagnats.core.rerun import failure_before, is_own_doing
from dagnats.core.step import StepState


def record(state: StepState, group: StepState | None, event: StepEvent) -> None:  # noqa: C901 - one case an event
    """Copy what is read later onto the step, and onto the one of which it is an instance."""
    for one in (state, group or state):
        one.ran = one.ran or is_own_doing(event)
    match event:
        case StepScheduled():
            state.attempt, state.not_before, state.worker = event.attempt, event.not_before, None
        case StepInterrupted():
            state.interrupted, state.interruptions = True, state.interruptions + 1
        case StepStarted():
            state.worker, state.interrupted = event.worker, False
            _begun(state, group, event.at)
        case StepWaiting():
            state.attempt, state.wait, state.answer = event.attempt, event, None
            _begun(state, group, event.at)
        case SignalReceived() | ApprovalDecided():
            state.answer = event
        case StepSucceeded():
            state.outputs, state.exit_code, state.artifacts = event.outputs, 0, event.artifacts
        case StepFailed():
            state.failure, state.exit_code, state.outputs = event, event.exit_code, event.outputs
            state.artifacts, state.interrupted = event.artifacts, False
        case StepReused():
            state.reused, state.exit_code, state.outputs = event, event.exit_code, event.outputs
            state.failure, state.artifacts = failure_before(event), event.artifacts
        case StepBlocked():
            state.blocked_by = event.by
        case _:
            pass


def _begun(state: StepState, group: StepState | None, at: float) -> None:
    state.started_at = at
    for one in (state, group or state):
        one.first_started_at = at if one.first_started_at is None else one.first_started_at
