"""The loop: a report is admitted, the event and what follows from it become one commit, and what the commit says is done once it is stored.

    report -> admit -> apply -> decide, apply, decide, … -> append -> (stored) -> act, answer

Only the engine appends to a run's journal, and only what is stored has effects. After a crash the same effects follow from the same events: tasks and
orders may be sent twice, as whoever receives them knows them by step and attempt.
"""

import asyncio
import random
import time
from collections.abc import Callable, Sequence
from typing import Protocol

from dagnats.bus.journal import Journal
from dagnats.bus.link import Link, checked
from dagnats.bus.reports import answer_report, on_reports, order_stop
from dagnats.bus.tasks import publish
from dagnats.core.decide import EvaluationError, Failed, Report, admit, decide
from dagnats.core.events import (
    AnyEvent,
    CancelledBy,
    CancelRequested,
    Reason,
    RunStarted,
    StepCancelled,
    StepFailed,
    StepScheduled,
)
from dagnats.core.state import RunState
from dagnats.dispatch import Dispatch
from dagnats.errors import DagnatsError

EVENTS_A_COMMIT = 500


class Witness(Protocol):
    """Somebody who is told of events once they are stored."""

    def events(self, events: Sequence[AnyEvent]) -> None:
        """Take the events of one commit."""


class _Stored:
    """A commit on its way: its events, and whoever waits for an answer."""

    def __init__(self, stored: "asyncio.Future[None]", events: Sequence[AnyEvent], reply: str | None) -> None:
        self.stored = stored
        self.events = events
        self.reply = reply


class Engine:
    """Carries one run from its first event to its last."""

    def __init__(self, link: Link, journal: Journal, dispatch: Dispatch, witness: Witness, started: RunStarted) -> None:
        self._link = link
        self._journal = journal
        self._dispatch = dispatch
        self._witness = witness
        self._inbox: asyncio.Queue[Callable[[], "asyncio.Future[None] | None"] | BaseException] = asyncio.Queue()
        self._causes: asyncio.Queue[tuple[Report | CancelRequested, str | None] | BaseException] = asyncio.Queue()
        self._commits: asyncio.Queue[_Stored] = asyncio.Queue()
        self.state = RunState(started)

    async def run(self) -> RunState:
        """Run to the end. Raises EngineError when the engine, not a step, fails."""
        loop = asyncio.get_running_loop()
        await on_reports(self._link, self.state.run, self._reported)
        self._link.on_connected(self._repeat_orders)
        acting = asyncio.create_task(self._act_on_commits())
        acting.add_done_callback(lambda task: task.cancelled() or self.crash(task.exception()))
        watchdog = None
        if self.state.plan.timeout_s is not None:
            watchdog = loop.call_later(self.state.plan.timeout_s, self._timed_out)
        try:
            await self._commit([self.state.started, *self._decisions()], None)
            while self.state.finished is None:
                await self._consider(await self._cause())
            await self._commits.join()
        finally:
            acting.cancel()
            if watchdog is not None:
                watchdog.cancel()
        return self.state

    def cancel(self, by: CancelledBy, why: str, *, signal: int | None = None, force: bool = False) -> None:
        """Ask for the end of the run; `force` leaves nothing running, not even `finally`."""
        request = CancelRequested(seq=0, at=0.0, by=by, why=why, signal=signal, force=force)
        self._causes.put_nowait((request, None))

    def crash(self, error: BaseException | None) -> None:
        """End the run with an error of the engine's surroundings."""
        if error is not None:
            self._causes.put_nowait(error)
