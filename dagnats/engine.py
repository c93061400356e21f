"""The loop: a report is admitted, the event and what follows from it become one commit, and what the commit says is done once it is stored.

    report -> admit -> apply -> decide, apply, decide, … -> append -> (stored) -> act, answer

Only the engine appends to a run's journal, and only what is stored has effects. After a crash the same effects follow from the same events: tasks and
orders may be sent twice, as whoever receives them knows them by step and attempt.
"""

import asyncio
import random
import time
from collections.abc import Sequence
from dataclasses import replace
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

    def __init__(
        self, stored: asyncio.Future[None], events: Sequence[AnyEvent], reply: str | None, why_not: str
    ) -> None:
        self.stored = stored
        self.events = events
        self.reply = reply
        self.why_not = why_not


class Engine:
    """Carries one run from its first event to its last."""

    def __init__(self, link: Link, journal: Journal, dispatch: Dispatch, witness: Witness, started: RunStarted) -> None:
        self._link = link
        self._journal = journal
        self._dispatch = dispatch
        self._witness = witness
        self._causes: asyncio.Queue[tuple[Report | CancelRequested, str | None] | BaseException] = asyncio.Queue()
        self._commits: asyncio.Queue[_Stored] = asyncio.Queue()
        self.state = RunState(started)

    async def run(self) -> RunState:
        """Run to the end. Raises EngineError when the engine, not a step, fails."""
        loop = asyncio.get_running_loop()
        await on_reports(self._link, self.state.run, self._reported)
        self._link.on_connected(self._repeat_orders)
        acting = asyncio.create_task(self._act_on_commits())
        acting.add_done_callback(self._acting_ended)
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

    def _acting_ended(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled():
            self.crash(task.exception())

    async def _reported(self, report: Report, reply: str) -> None:
        self._causes.put_nowait((report, reply))

    def _timed_out(self) -> None:
        self.cancel(CancelledBy.TIMEOUT, f"the run took longer than its timeout of {self.state.plan.timeout_s:g}s")

    async def _cause(self) -> tuple[Report | CancelRequested, str | None]:
        cause = await self._causes.get()
        if isinstance(cause, BaseException):
            raise cause
        return cause

    async def _consider(self, cause: tuple[Report | CancelRequested, str | None]) -> None:
        """Admit a report or a request; what it makes happen and what follows from that become one commit."""
        word, reply = cause
        if isinstance(word, CancelRequested):
            event: AnyEvent | None = self._admit_cancel(word)
            why_not = ""
        else:
            event, why_not = admit(self.state, word, at=time.time(), jitter=random.random())  # noqa: S311 - spreads retries
        if event is None:
            await self._answer(reply, why_not)
            return
        self.state.apply(event)
        await self._commit([event, *self._decisions()], reply, why_not)

    def _admit_cancel(self, request: CancelRequested) -> CancelRequested | None:
        """A second request counts only when it asks for more; a run's timeout does not reach into `finally`."""
        state = self.state
        repeated = state.cancel is not None and not (request.force and not state.forced)
        late = request.by is CancelledBy.TIMEOUT and state.in_finally
        return None if repeated or late else replace(request, seq=state.seq + 1, at=time.time())

    def _decisions(self) -> list[AnyEvent]:
        """Decide until nothing more follows."""
        decisions: list[AnyEvent] = []
        while (event := decide(self.state, self._dispatch)) is not None:
            self.state.apply(event)
            decisions.append(event)
        return decisions

    async def _commit(self, events: Sequence[AnyEvent], reply: str | None, why_not: str = "") -> None:
        """Append the events, as one commit unless they are too many for one message."""
        for start in range(0, len(events), EVENTS_A_COMMIT):
            part = events[start : start + EVENTS_A_COMMIT]
            last = start + EVENTS_A_COMMIT >= len(events)
            stored = await self._journal.append(part)
            self._commits.put_nowait(_Stored(stored, part, reply if last else None, why_not))

    async def _act_on_commits(self) -> None:
        """Do what stored events say, in their order."""
        while True:
            commit = await self._commits.get()
            await commit.stored
            self._witness.events(commit.events)
            for event in commit.events:
                await self._act(event)
            await self._answer(commit.reply, commit.why_not)
            self._commits.task_done()

    async def _answer(self, reply: str | None, why_not: str) -> None:
        if reply is not None:
            await answer_report(self._link, reply, why_not)

    async def _act(self, event: AnyEvent) -> None:
        """Do what one event asks for. Doing it twice is harmless."""
        match event:
            case StepScheduled():
                await self._send_task(event)
            case CancelRequested():
                await self._stop_running(kill=event.force)
            case StepCancelled() if event.attempt > 0:
                await order_stop(self._link, self.state.run, event.step, event.attempt, kill=False)
            case StepFailed(reason=Reason.LOST):
                await order_stop(self._link, self.state.run, event.step, event.attempt, kill=True)
            case _:
                pass

    async def _send_task(self, event: StepScheduled) -> None:
        step = self.state.steps[event.step].step
        try:
            task = self._dispatch.task(self.state, step, event.attempt, event.not_before)
        except EvaluationError as error:
            failed = Failed(
                step=step.id, attempt=event.attempt, worker=None, reason=Reason.TEMPLATE, message=str(error)
            )
            self._causes.put_nowait((failed, None))
            return
        accepted = await publish(self._link, task)
        accepted.add_done_callback(self._task_accepted)

    def _task_accepted(self, answer: asyncio.Future[bytes]) -> None:
        if not answer.cancelled():
            try:
                checked(answer.result())
            except DagnatsError as error:
                self.crash(error)

    async def _stop_running(self, *, kill: bool) -> None:
        for id_ in list(self.state.running):
            step = self.state.steps[id_]
            if not step.final or kill:
                await order_stop(self._link, self.state.run, id_, step.attempt, kill=kill)

    async def _repeat_orders(self) -> None:
        """Orders are not kept by the server: after a reconnect they are given again."""
        if self.state.cancel is not None:
            await self._stop_running(kill=self.state.forced)
