"""The engine's watch over tasks that no worker claims: they are sent again, as none is acknowledged one by one, and in the end given up."""

import asyncio
import time
from collections.abc import Callable

from dagnats.bus.link import Link
from dagnats.bus.tasks import encode, subject_of
from dagnats.core.decide import EvaluationError, Failed
from dagnats.core.events import Reason
from dagnats.core.state import RunState, Status
from dagnats.core.unclaimed import SENT_AGAIN, Key, Unclaimed
from dagnats.dispatch import Dispatch

UNCLAIMED_S = 10.0  # a task that nobody claims for so long is sent again

Send = Callable[[str, int, float | None], None]


async def watch(
    link: Link,
    dispatch: Dispatch,
    state: RunState,
    *,
    is_claimed: Callable[[str], bool],
    send: Send,
    fail: Callable[[Failed], None],
) -> None:
    """Look after them until cancelled; `send` a task again, and at last let its attempt `fail`."""
    unclaimed = Unclaimed()
    while True:
        await asyncio.sleep(UNCLAIMED_S)
        if link.lost.is_set() or link.overdue_s() > UNCLAIMED_S / 2:
            continue  # without a server nobody can claim anything
        again, given_up = unclaimed.look(_due(state, is_claimed))
        for step, attempt in again:
            send(step, attempt, None)
        for step, attempt in given_up:
            await _bury(link, dispatch, state, (step, attempt))
            why = f"nobody carries its task out: {_error()}; see `dagnats dead list {state.run}`"
            fail(Failed(step=step, attempt=attempt, worker=None, reason=Reason.ENGINE, message=why))


def _error() -> str:
    return f"no worker has claimed it, although it was sent {1 + SENT_AGAIN} times, every {UNCLAIMED_S:g}s"


def _due(state: RunState, is_claimed: Callable[[str], bool]) -> set[Key]:
    """What a worker should have claimed by now: what is in the queue, unless its time has not come."""
    known = [state.steps[id_] for id_ in state.dispatched if not is_claimed(id_)]
    due = (step for step in known if step.not_before is None or step.not_before < time.time())
    return {(step.step.id, step.attempt) for step in due if step.status in (Status.QUEUED, Status.WAITING)}


async def _bury(link: Link, dispatch: Dispatch, state: RunState, key: Key) -> None:
    """Keep the task of an attempt that nobody claims as a dead letter."""
    from dagnats.bus.dead import Letter, bury  # noqa: PLC0415 - only where something is wrong

    step, attempt = key
    try:
        task = dispatch.task(state, state.steps[step].step, attempt, None)
    except EvaluationError:  # then there is none
        return
    letter = Letter(subject=subject_of(task), task=encode(task), error=_error(), step=step, attempt=attempt)
    await bury(link, state.run, letter)
