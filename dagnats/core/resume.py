"""What the end of a runner means for the attempts that were under way, when another runner goes on."""

from collections.abc import Collection, Iterator, Mapping

from msgspec import Struct

from dagnats.core.events import AnyEvent, Reason, StepFailed, StepInterrupted
from dagnats.core.state import RunState
from dagnats.core.status import Status


class Past(Struct, frozen=True):
    """What a run has come to that another runner goes on with: its state, and where its journal ends.

    `consents` names the steps that may run again although they are `once` and had begun.
    """

    state: RunState
    place: int
    last: str
    sequence: int
    versions: Mapping[str, str]
    lost_commits: int = 0
    consents: Collection[str] = ()


def interruptions(state: RunState, *, at: float, consents: Collection[str] = ()) -> Iterator[AnyEvent]:
    """Give the events for attempts that have begun, or may have, one at a time: each is to be applied before the next is asked for.

    An attempt may have begun as soon as its time had come, as what ends quickly is recorded in one go; only that of a step which is `once` waits for the
    record. `consents` names those of the latter that may run again although they had begun.
    """
    for id_ in [*state.running, *state.dispatched]:
        own = state.steps[id_]
        if own.status is not Status.RUNNING:
            if own.step.once or (own.not_before or 0.0) > at:
                continue
        elif own.step.once and id_ not in consents and own.step.pipeline is None:
            message = (
                "the run was interrupted while it ran, and it is `once`: whether it has done its work is not known"
            )
            yield StepFailed(
                seq=state.seq + 1, at=at, step=id_, attempt=own.attempt, reason=Reason.LOST, message=message
            )
            continue
        yield StepInterrupted(seq=state.seq + 1, at=at, step=id_, attempt=own.attempt)


def begun_once(state: RunState) -> list[str]:
    """Name the steps that are `once` and have begun, without anybody knowing their end."""
    return [id_ for id_ in state.running if state.steps[id_].step.once and state.steps[id_].step.pipeline is None]
