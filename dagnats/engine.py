"""The loop: reports are admitted, the events and what follows from them become one commit, and what the commit says is done once it is stored.

    reports -> admit -> apply -> decide, apply, decide, … -> append -> (stored) -> act, answer

Only the engine appends to a run's journal, and only what is stored has effects. One commit is on its way at a time; what is reported meanwhile goes into
the next one together. After a crash the same effects follow from the same events: tasks and orders may be sent twice, as whoever receives them knows
them by step and attempt.

A task travels along with the commit that schedules it, and has no effect before that is stored: its worker asks whether it may start, by its claim, and
is answered then. A claim is recorded by the next commit, or by one of its own when none follows at once.

Nothing here waits: each part is called by the one before it, so that a report which finds the engine idle is on its way to the journal at once.
"""

import asyncio
import random
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from dagnats.bus.journal import Journal
from dagnats.bus.link import Link
from dagnats.bus.reports import Told, answer, on_reports, order_stop
from dagnats.bus.tasks import publish
from dagnats.core.decide import EvaluationError, Failed, Report, Started, admit, decide
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
from dagnats.core.state import RunState, Status
from dagnats.dispatch import Dispatch

EVENTS_A_COMMIT = 500
CLAIM_S = 0.01  # what ends sooner needs no commit of its own for its start
UNCLAIMED_S = 10.0  # a task that nobody claims for so long is sent again


class Witness(Protocol):
    """Somebody who is told of events once they are stored."""

    def events(self, events: Sequence[AnyEvent]) -> None:
        """Take the events of one commit."""


@dataclass(frozen=True, slots=True)
class _Commit:
    """Events that become true together, and who is answered then, with what."""

    events: Sequence[AnyEvent]
    answers: Sequence[tuple[Told, str]] = ()


class Engine:
    """Carries one run from its first event to its last."""

    def __init__(self, link: Link, dispatch: Dispatch, witness: Witness, started: RunStarted) -> None:
        self._link = link
        self._journal = Journal(link, started.run, self.crash)
        self._dispatch = dispatch
        self._witness = witness
        self._causes: deque[Told | Failed | CancelRequested] = deque()
        self._commits: deque[_Commit] = deque()  # the first is on its way
        self._unstored: dict[str, list[Told]] = {}  # steps that those schedule, and the claims that wait for them
        self._claims: dict[str, tuple[Started, float]] = {}  # by step: admissible, not recorded yet
        self._recording: asyncio.TimerHandle | None = None
        self._ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._error: BaseException | None = None
        self.state = RunState(started)

    async def run(self) -> RunState:
        """Run to the end. Raises EngineError when the engine, not a step, fails."""
        await on_reports(self._link, self.state.run, self._reported)
        self._link.on_broken = self.crash
        self._link.on_connected(self._act_again)
        watchdog = None
        if self.state.plan.timeout_s is not None:
            watchdog = asyncio.get_running_loop().call_later(self.state.plan.timeout_s, self._timed_out)
        sender = asyncio.create_task(self._send_unclaimed())
        try:
            self._commit([self.state.started, *self._decisions()], [])
            await self._ended
        finally:
            sender.cancel()
            for timer in (watchdog, self._recording):
                if timer is not None:
                    timer.cancel()
        return self.state

    def cancel(self, by: CancelledBy, why: str, *, signal: int | None = None, force: bool = False) -> None:
        """Ask for the end of the run; `force` leaves nothing running, not even `finally`."""
        self._caused(CancelRequested(seq=0, at=0.0, by=by, why=why, signal=signal, force=force))

    def crash(self, error: BaseException | None) -> None:
        """End the run with an error of the engine's surroundings."""
        if error is not None and not self._ended.done():
            self._ended.set_exception(error)

    def _timed_out(self) -> None:
        self.cancel(CancelledBy.TIMEOUT, f"the run took longer than its timeout of {self.state.plan.timeout_s:g}s")

    def _reported(self, told: Told) -> None:
        claim = told.report
        if not isinstance(claim, Started) or not self._may_start(claim):
            self._caused(told)
            return
        self._claims[claim.step] = claim, time.time()
        if self._recording is None:
            self._recording = asyncio.get_running_loop().call_later(CLAIM_S, self._record_claims)
        if claim.step in self._unstored:
            self._unstored[claim.step].append(told)
        else:
            answer(self._link, told, "")

    def _may_start(self, claim: Started) -> bool:
        """Whether the attempt waits for a worker, and this is the first to claim it."""
        step = self.state.steps.get(claim.step)
        waits = step is not None and claim.step in self.state.dispatched and claim.step not in self._claims
        return waits and step is not None and step.attempt == claim.attempt

    def _record_claims(self) -> None:
        self._recording = None
        if self._claims and not self._commits:
            self._consider()

    def _caused(self, cause: Told | Failed | CancelRequested) -> None:
        self._causes.append(cause)
        if not self._commits:
            self._consider()

    def _consider(self) -> None:
        """Admit what was reported and asked for; what it makes happen and what follows from that become one commit."""
        events: list[AnyEvent] = []
        answers: list[tuple[Told, str]] = []
        claims, self._claims = self._claims, {}
        for claim, at in claims.values():
            self._admit(claim, at, events)
        while self._causes:
            cause = self._causes.popleft()
            if isinstance(cause, CancelRequested):
                self._apply(self._admit_cancel(cause), events)
            elif isinstance(cause, Failed):
                self._admit(cause, time.time(), events)
            else:
                answers.append((cause, self._admit(cause.report, time.time(), events)))
        events += self._decisions()
        if events:
            self._commit(events, answers)
        else:
            self._answer(answers)

    def _admit(self, report: Report, at: float, events: list[AnyEvent]) -> str:
        """Admit a report; gives why not, or ""."""
        event, why_not = admit(self.state, report, at=at, jitter=random.random())  # noqa: S311 - spreads retries
        self._apply(event, events)
        return why_not

    def _apply(self, event: AnyEvent | None, events: list[AnyEvent]) -> None:
        if event is not None:
            self.state.apply(event)
            events.append(event)

    def _admit_cancel(self, request: CancelRequested) -> CancelRequested | None:
        """A second request counts only when it asks for more; a run's timeout does not reach into `finally`."""
        state = self.state
        repeated = state.cancel is not None and not (request.force and not state.forced)
        late = state.finished is not None or (request.by is CancelledBy.TIMEOUT and state.in_finally)
        return None if repeated or late else replace(request, seq=state.seq + 1, at=time.time())

    def _decisions(self) -> list[AnyEvent]:
        """Decide until nothing more follows."""
        decisions: list[AnyEvent] = []
        while (event := decide(self.state, self._dispatch)) is not None:
            self.state.apply(event)
            decisions.append(event)
        return decisions

    def _commit(self, events: Sequence[AnyEvent], answers: Sequence[tuple[Told, str]]) -> None:
        """Append the events, as one commit unless they are too many for one message."""
        parts = [events[start : start + EVENTS_A_COMMIT] for start in range(0, len(events), EVENTS_A_COMMIT)]
        self._commits.extend(_Commit(part) for part in parts[:-1])
        self._commits.append(_Commit(parts[-1], answers))
        self._append()

    def _append(self) -> None:
        """Send the commit and, in the same write, the tasks that it asks for."""
        events = self._commits[0].events
        self._journal.append(events, self._stored)
        for event in events:
            if isinstance(event, StepScheduled):
                self._unstored[event.step] = []
                self._send_task(event.step, event.attempt, event.not_before)
        self._link.flush()

    def _stored(self) -> None:
        """Do what the stored events say, in their order; then go on with what has come meanwhile."""
        commit = self._commits[0]
        self._witness.events(commit.events)
        for event in commit.events:
            self._act(event)
        self._answer(commit.answers)
        self._commits.popleft()
        if self._commits:
            self._append()
        elif self._causes or (self._claims and self._recording is None):
            self._consider()
        if self.state.finished is not None and not self._commits and not self._ended.done():
            self._ended.set_result(None)

    def _answer(self, answers: Sequence[tuple[Told, str]]) -> None:
        for told, why_not in answers:
            answer(self._link, told, why_not)

    def _act(self, event: AnyEvent) -> None:
        """Do what one event asks for. Doing it twice is harmless."""
        match event:
            case StepScheduled():
                for told in self._unstored.pop(event.step, ()):
                    answer(self._link, told, "")
            case CancelRequested():
                self._stop_running(kill=event.force)
            case StepCancelled() if event.attempt > 0:
                order_stop(self._link, self.state.run, event.step, event.attempt, kill=False)
            case StepFailed(reason=Reason.LOST):
                order_stop(self._link, self.state.run, event.step, event.attempt, kill=True)
            case _:
                pass

    def _send_task(self, id_: str, attempt: int, not_before: float | None) -> None:
        step = self.state.steps[id_].step
        try:
            task = self._dispatch.task(self.state, step, attempt, not_before)
        except EvaluationError as error:
            self._caused(Failed(step=step.id, attempt=attempt, worker=None, reason=Reason.TEMPLATE, message=str(error)))
            return
        publish(self._link, task)

    def _stop_running(self, *, kill: bool) -> None:
        for id_ in list(self.state.running):
            step = self.state.steps[id_]
            if not step.final or kill:
                order_stop(self._link, self.state.run, id_, step.attempt, kill=kill)

    async def _send_unclaimed(self) -> None:
        """Send again what was in the queue at the last look and is there still: tasks are not acknowledged one by one."""
        before: set[tuple[str, int]] = set()
        while True:
            await asyncio.sleep(UNCLAIMED_S)
            waiting = {(id_, self.state.steps[id_].attempt) for id_ in self.state.dispatched if id_ not in self._claims}
            now = {(id_, attempt) for id_, attempt in waiting if self.state.steps[id_].status is Status.QUEUED}
            for id_, attempt in now & before:
                self._send_task(id_, attempt, None)
            before = now

    async def _act_again(self) -> None:
        """A server that was started again has lost the tasks and the orders: they follow once more from what is stored."""
        for id_ in [*self.state.dispatched, *self.state.running]:
            step = self.state.steps[id_]
            if id_ not in self._unstored:
                self._send_task(id_, step.attempt, step.not_before)
        if self.state.cancel is not None:
            self._stop_running(kill=self.state.forced)
