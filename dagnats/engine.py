"""The loop: reports are admitted, the events and what follows from them become one commit, and what the commit says is done once it is stored.

    reports -> admit -> apply -> decide, apply, decide, … -> append -> (stored) -> act, answer

Only the engine appends to a run's journal, and only what is stored has effects. One commit is on its way at a time; what is reported meanwhile goes into
the next one together. After a crash the same effects follow from the same events: tasks and orders may be sent twice, as whoever receives them knows
them by step and attempt.

A task travels along with the commit that schedules it, and has no effect before that is stored: its worker asks whether it may start, by its claim, and
is answered once that is so and a place is free. That it started is recorded by the next commit, or by one of its own when none follows at once.

Nothing here waits: each part is called by the one before it, so that a report which finds the engine idle is on its way to the journal at once.
"""

import asyncio
import random
import time
from collections import deque
from collections.abc import Callable, Sequence

from msgspec.structs import replace

from dagnats.awaiting import Awaiting
from dagnats.bus.asks import CANCEL, SHOWN, Ask, on_asks, reply
from dagnats.bus.journal import Journal
from dagnats.bus.link import Link
from dagnats.bus.reports import Told, answer, on_reports, order_stop
from dagnats.bus.tasks import publish
from dagnats.causes import Cause, Claim, Commit, Witness, Woken
from dagnats.core.cancel import asked_by_user
from dagnats.core.decide import EvaluationError, Failed, Report, Started, Succeeded, admit, admit_cancel, decide
from dagnats.core.events import (
    AnyEvent,
    CancelledBy,
    CancelRequested,
    PipelineStarted,
    Reason,
    RunResumed,
    RunStarted,
    StepCancelled,
    StepFailed,
    StepScheduled,
    StepSucceeded,
    StepWaiting,
)
from dagnats.core.resume import Past, interruptions
from dagnats.core.state import RunState
from dagnats.dispatch import Dispatch
from dagnats.errors import ParkedError
from dagnats.failpoint import Failpoint
from dagnats.limits import Limits
from dagnats.unclaimed import watch

EVENTS_A_COMMIT = 500
CLAIM_S = 0.01  # what ends sooner needs no commit of its own for its start


class Engine:
    """Carries one run to its last event, from its first one or from where another runner has left it."""

    def __init__(
        self,
        link: Link,
        dispatch: Dispatch,
        witness: Witness,
        begun: RunStarted | Past,
        failpoint: Failpoint | None = None,
        *,
        parks: bool = False,
        note: Callable[[int, str], None] | None = None,
    ) -> None:
        self._link = link
        self._past = begun if isinstance(begun, Past) else None
        self._failpoint = failpoint
        self.state = RunState(begun) if isinstance(begun, RunStarted) else begun.state
        place, last, sequence = (begun.place, begun.last, begun.sequence) if isinstance(begun, Past) else (0, "", 0)
        self._journal = Journal(link, self.state.run, self.crash, place=place, previous=last, sequence=sequence)
        self._dispatch = dispatch
        self._witness = witness
        self._note = note  # is told of every commit that is stored: its place and hash
        self._parks = parks  # whether it leaves a run that only waits
        self._causes: deque[Cause] = deque()
        self._has_begun = False  # what is asked for before the first event is sent waits for it
        self._is_due = False  # whether the causes ask for a commit now: what has only started can wait a little
        self._commits: deque[Commit] = deque()  # the first is on its way
        self._sent_over = 0  # by which connection the first, and its tasks, went
        self._unstored: set[str] = set()  # steps that those schedule
        self._waiting: dict[str, Told] = {}  # by step: a claim that waits for its schedule to be stored, or for a place
        self._claimed: set[str] = set()  # steps that were let start, which is among the causes
        self._ending: set[str] = set()  # steps whose good end is among the causes, so that their places are free
        self._recording: asyncio.TimerHandle | None = None
        self._limits = Limits(self.state, self._took_too_long)
        self._awaiting = Awaiting(link, self.state, self._caused, self.crash)
        self._ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._broken = False
        self._shown = self.state.seq if self._past is not None else 0  # the last event that the witness was told of

    async def run(self) -> RunState:
        """Run to the end. Raises EngineError when the engine, not a step, fails, and ParkedError when the run is left alone with its waits."""
        await on_reports(self._link, self.state.run, self._reported)
        await on_asks(self._link, self.state.run, self._asked)
        self._link.on_broken = self.crash
        self._link.on_connected(self._act_again)
        state, claimed = self.state, self._is_claimed
        sending = watch(self._link, self._dispatch, state, is_claimed=claimed, send=self._send_task, fail=self._caused)
        sender = asyncio.create_task(sending)
        try:
            self._has_begun = True
            if self._past is None:
                self._commit([self.state.started, *self._decisions()], [])
            else:
                self._resume(self._past)
            self._limits.begin()
            await self._ended
        finally:
            sender.cancel()
            self._limits.close()
            self._awaiting.close()
            if self._recording is not None:
                self._recording.cancel()
        return self.state

    def _resume(self, past: Past) -> None:
        """Go on: what was under way is over, and follows again; what waits for its time needs its task once more."""
        at = max(time.time(), self.state.at)
        resumed = RunResumed(seq=self.state.seq + 1, at=at, versions=past.versions, lost_commits=past.lost_commits)
        events: list[AnyEvent] = []
        self._apply(resumed, events)
        for event in interruptions(self.state, at=at, consents=past.consents):
            self._apply(event, events)
        kept = list(self.state.dispatched)
        events += self._decisions()
        self._commit(events, [])
        self._awaiting.again()
        for id_ in kept:
            step = self.state.steps[id_]
            if id_ in self.state.dispatched:
                self._send_task(id_, step.attempt, step.not_before)

    @property
    def journal_end(self) -> tuple[int, str]:
        """How many commits the journal has that are known to be stored, and the hash of the last."""
        return self._journal.stored_end

    def cancel(self, by: CancelledBy, why: str, *, signal: int | None = None, force: bool = False) -> None:
        """Ask for the end of the run; `force` leaves nothing running, not even `finally`."""
        self._caused(CancelRequested(seq=0, at=0.0, by=by, why=why, signal=signal, force=force))

    def _asked(self, ask: Ask) -> None:
        """Somebody else asks, who is answered once what follows is stored."""
        if ask.word == CANCEL:
            self._caused(ask)
        elif ask.word == SHOWN:
            reply(self._link, ask, seq=self._shown)
        else:
            unknown = f"run {self.state.run} does not know what `{ask.word}` is: it was started by another dagnats"
            reply(self._link, ask, unknown)

    def _admit_ask(self, ask: Ask, events: list[AnyEvent]) -> bool:
        """Do what is asked, or say at once what speaks against it; true when it follows from the events."""
        given = ask.values
        request = asked_by_user(str(given.get("who")), str(given.get("why", "")), force=given.get("force") is True)
        event = admit_cancel(self.state, request, at=time.time())
        self._apply(event, events)
        if self.state.finished is not None:
            reply(self._link, ask, f"run {self.state.run} has ended already: there is nothing to cancel")
        elif event is None:
            reply(self._link, ask, repeated=True)
        return event is not None

    def crash(self, error: BaseException | None) -> None:
        """End the run with an error of the engine's surroundings. Nothing is decided any more: the journal ends before what broke."""
        if error is not None and not self._ended.done():
            self._broken = True
            self._ended.set_exception(error)

    def _took_too_long(self, owner: str | None, why: str) -> None:
        self._caused(CancelRequested(seq=0, at=0.0, by=CancelledBy.TIMEOUT, why=why, step=owner))

    def _reported(self, told: Told) -> None:
        report = told.report
        if isinstance(report, Started):
            if self._may_claim(report, told):
                self._waiting[report.step] = told
                self._let_start()
            else:
                self._caused(told)
            return
        if isinstance(report, Succeeded) and (report.step in self.state.running or report.step in self._claimed):
            self._ending.add(report.step)  # a failure may mean that nothing else shall start
        self._causes.append(told)
        self._is_due = True
        if self._let_start():
            # what may start now does so first, and this is recorded a moment later
            asyncio.get_running_loop().call_soon(self._consider_if_idle)
        else:
            self._consider_if_idle()

    def _may_claim(self, claim: Started, told: Told) -> bool:
        """Whether the attempt waits for a worker, and no other has claimed it."""
        other = self._waiting.get(claim.step, told).reply != told.reply
        return self.state.waits(claim.step, claim.attempt) and not other and claim.step not in self._claimed

    def _let_start(self) -> bool:
        """Answer the claims that wait, as far as there are places; true when one may start."""
        places = self.state.started.max_parallel - len(self.state.running) - len(self._claimed) + len(self._ending)
        before = len(self._claimed)
        for step, told in list(self._waiting.items()):
            if places <= 0 and self.state.cancel is None:
                break
            claim = told.report
            if not isinstance(claim, Started) or not self.state.waits(step, claim.attempt):
                del self._waiting[step]
                answer(self._link, told, "the attempt is not wanted any more")
            elif places > 0 and step not in self._unstored:
                places -= 1
                del self._waiting[step]
                self._claimed.add(step)
                if self.state.steps[step].step.once:
                    self._causes.append(told)  # it does not begin before that is recorded
                    asyncio.get_running_loop().call_soon(self._record_claims)
                    continue
                self._causes.append(Claim(claim, time.time()))
                answer(self._link, told, "")
        if self._claimed and self._recording is None:
            self._recording = asyncio.get_running_loop().call_later(CLAIM_S, self._record_claims)
        return len(self._claimed) > before

    def _record_claims(self) -> None:
        self._recording = None
        self._is_due = self._is_due or bool(self._claimed)
        self._consider_if_idle()

    def _park_if_left(self) -> None:
        """Leave the run when it has nothing to do but to wait."""
        is_idle = self._parks and not self._commits and not self._causes and not self._waiting
        if is_idle and self._awaiting.is_all_there_is:
            self.crash(ParkedError(f"run {self.state.run} waits"))

    def _caused(self, cause: Cause) -> None:
        self._causes.append(cause)
        self._is_due = True
        self._consider_if_idle()

    def _consider_if_idle(self) -> None:
        if self._has_begun and self._is_due and not self._commits and not self._broken:
            self._consider()

    def _consider(self) -> None:
        """Admit what was reported and asked for; what it makes happen and what follows from that become one commit."""
        events: list[AnyEvent] = []
        answers: list[tuple[Told | Ask, str]] = []
        self._is_due = False
        self._ending.clear()
        self._claimed.clear()
        while self._causes:
            cause = self._causes.popleft()
            match cause:
                case CancelRequested():
                    self._apply(admit_cancel(self.state, cause, at=time.time()), events)
                case Ask():
                    answers += [(cause, "")] * self._admit_ask(cause, events)
                case Told():
                    answers.append((cause, self._admit(cause.report, time.time(), events)))
                case Claim():
                    self._admit(cause.started, cause.at, events)
                case Failed():
                    self._admit(cause, time.time(), events)
                case Woken():
                    self._apply(self._awaiting.ended(cause), events)
        events += self._decisions()
        if events:
            self._commit(events, answers)
        else:
            self._answer(answers)
        self._let_start()
        self._park_if_left()

    def _admit(self, report: Report, at: float, events: list[AnyEvent]) -> str:
        """Admit a report; gives why not, or ""."""
        event, why_not = admit(self.state, report, at=at, jitter=random.random())  # noqa: S311 - spreads retries
        self._apply(event, events)
        return why_not

    def _apply(self, event: AnyEvent | None, events: list[AnyEvent]) -> None:
        if event is not None:
            self.state.apply(event)
            events.append(event)

    def _decisions(self) -> list[AnyEvent]:
        """Decide until nothing more follows."""
        decisions: list[AnyEvent] = []
        while (event := decide(self.state, self._dispatch) or self._awaiting.given()) is not None:
            if isinstance(event, StepFailed):
                event = replace(event, jitter=random.random())  # noqa: S311 - spreads retries
            self.state.apply(event)
            decisions.append(event)
        return decisions

    def _commit(self, events: Sequence[AnyEvent], answers: Sequence[tuple[Told | Ask, str]]) -> None:
        """Append the events, as one commit unless they are too many for one message."""
        parts = [events[start : start + EVENTS_A_COMMIT] for start in range(0, len(events), EVENTS_A_COMMIT)]
        self._commits.extend(Commit(part) for part in parts[:-1])
        self._commits.append(Commit(parts[-1], answers))
        self._append()

    def _append(self) -> None:
        """Send the commit and, in the same write, the tasks that it asks for."""
        events = self._commits[0].events
        self._reached("before", events)
        self._sent_over = self._link.connections
        self._journal.append(events, self._stored)
        for event in events:
            if isinstance(event, StepScheduled):
                self._unstored.add(event.step)
                self._send_task(event.step, event.attempt, event.not_before)
        self._link.flush()

    def _stored(self) -> None:
        """Do what the stored events say, in their order; then go on with what has come meanwhile."""
        commit = self._commits[0]
        self._reached("after", commit.events)
        self._witness.events(commit.events)
        self._shown = commit.events[-1].seq
        if self._note is not None:
            self._note(*self._journal.stored_end)
        for event in commit.events:
            self._act(event)
        self._answer(commit.answers)
        self._commits.popleft()
        self._let_start()
        if self._commits:
            self._append()
        else:
            self._consider_if_idle()
            self._park_if_left()
        if self.state.finished is not None and not self._commits and not self._ended.done():
            self._ended.set_result(None)

    def _reached(self, when: str, events: Sequence[AnyEvent]) -> None:
        if self._failpoint is not None:
            for event in events:
                self._failpoint.reached(when, event)

    def _answer(self, answers: Sequence[tuple[Told | Ask, str]]) -> None:
        for told, why_not in answers:
            if isinstance(told, Ask):
                reply(self._link, told, why_not)
            else:
                answer(self._link, told, why_not)

    def _act(self, event: AnyEvent) -> None:
        """Do what one event asks for. Doing it twice is harmless."""
        if isinstance(event, StepSucceeded | StepFailed | StepCancelled):
            self._limits.forget(event.step)
            self._awaiting.end(event.step)
        match event:
            case StepScheduled():
                self._unstored.discard(event.step)
                if self._sent_over != self._link.connections:  # the task went with its server, before this was stored
                    self._send_task(event.step, event.attempt, event.not_before)
            case CancelRequested():
                self._stop(event)
            case PipelineStarted():
                self._limits.watch(event.step)
            case StepWaiting():
                self._awaiting.begin(event)
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

    def _stop(self, cancel: CancelRequested) -> None:
        """Order what a cancellation found running to stop. What a later one has found too is ordered by that, which is stored by then."""
        for id_, cause in list(self.state.stopping.items()):
            if cause.seq == cancel.seq:
                order_stop(self._link, self.state.run, id_, self.state.steps[id_].attempt, kill=cancel.force)

    def _is_claimed(self, step: str) -> bool:
        return step in self._claimed or step in self._waiting

    async def _act_again(self) -> None:
        """A server that was started again has lost the tasks and the orders: they follow once more from what is stored."""
        for id_ in [*self.state.dispatched, *self.state.running]:
            step = self.state.steps[id_]
            if id_ not in self._unstored:
                self._send_task(id_, step.attempt, step.not_before)
        for cause in {cause.seq: cause for cause in self.state.stopping.values()}.values():
            self._stop(cause)
