"""Why a step is as it is: a chain of records, read off the events of its run, down to the first cause."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise

from msgspec import Struct, field

from dagnats.core.cancel import is_spared, reaches
from dagnats.core.events import (
    ApprovalDecided,
    CancelledBy,
    CancelRequested,
    Reason,
    StepBlocked,
    StepCancelled,
    StepFailed,
    StepInterrupted,
    StepReused,
    StepSkipped,
)
from dagnats.core.pipeline import JSON
from dagnats.core.rerun import Keys, said
from dagnats.core.state import TERMINAL, Status, StepState
from dagnats.report.facts import Facts, Try
from dagnats.report.view import answer_command
from dagnats.report.waits import Wait, waits

CULPRITS = 5  # of one step, that are followed
DEPTH = 20  # of a chain
SHORT_S = 0.1  # so long a task may take to reach a worker, without a word about it
_FAILED = (Status.FAILED, Status.TIMED_OUT)
_ENDED_WRONG = (*_FAILED, Status.WARNING)


class Because(Struct, frozen=True):
    """One reason. `kind` says what `data` holds, and `depth` how far it is from the step that was asked for: a reason of a reason is one deeper."""

    step: str
    kind: str
    data: Mapping[str, JSON] = field(default_factory=dict)
    depth: int = 0


def because(facts: Facts, id_: str) -> list[Because]:
    """Give the reasons for what a step is: first what it is and why, with what caused that; then what it waited for, and what came before."""
    told = _Telling(facts)
    return [*told.what(id_, 0), *told.answer(id_), *told.again(id_), *told.tries(id_), *told.waits(id_)]


class _Telling:
    """Follows the causes; each step is told of once."""

    def __init__(self, facts: Facts) -> None:
        self._facts = facts
        self._told: set[str] = set()

    def what(self, id_: str, depth: int) -> Iterator[Because]:
        """Say what a step is, and why."""
        if id_ in self._told or depth > DEPTH:
            return
        self._told.add(id_)
        step = self._facts.state.steps[id_]
        if step.instances is not None and step.instances.ids:
            yield from self._group(step, depth)
        elif step.status in TERMINAL:
            yield from self._ended(step, depth)
        else:
            yield from self._open(step, depth)

    def _ended(self, step: StepState, depth: int) -> Iterator[Because]:
        match self._facts.last.get(step.step.id):
            case StepSkipped() as event:
                yield self._skipped(step, event, depth)
            case StepBlocked() as event:
                yield Because(
                    step.step.id, "blocked", {"by": list(event.by), "path": self._path(step, event.by)}, depth
                )
                yield from self._follow(event.by, depth + 1)
            case StepCancelled() as event:
                yield from self._cancelled(step, event, depth)
            case StepFailed() as event:
                yield from self._failed(step, event, depth)
            case StepReused() as event:
                data = {"status": event.status, "from_run": event.from_run, "from_seq": event.from_seq}
                yield Because(step.step.id, "reused", data, depth)
            case _:
                yield Because(step.step.id, str(step.status), self._run_of(step), depth)

    def _open(self, step: StepState, depth: int) -> Iterator[Because]:
        """Say why a step has not ended."""
        facts, id_ = self._facts, step.step.id
        if step.status is Status.RUNNING:
            yield Because(id_, "running", self._run_of(step) | {"worker": step.worker}, depth)
            if step.subrun is not None:
                inner = [one.id for one in (*step.subrun.steps, *step.subrun.final_steps)]
                yield from self._follow([one for one in inner if self._is_under_way(one)], depth + 1)
            return
        now = next((wait for wait in reversed(waits(facts.events, id_, facts.now)) if wait.goes_on), None)
        yield Because(id_, "waiting", self._wait(step, now) if now is not None else {}, depth)
        if now is not None and now.what in ("needs", "steps", "mutex"):
            yield from self._follow([one for one in now.by if facts.state.steps[one].status not in TERMINAL], depth + 1)

    def _is_under_way(self, id_: str) -> bool:
        return self._facts.state.steps[id_].status not in (*TERMINAL, Status.PENDING)

    def _follow(self, ids: Sequence[str], depth: int) -> Iterator[Because]:
        for id_ in ids[:CULPRITS]:
            if id_ in self._facts.state.steps:
                yield from self.what(id_, depth)

    def _group(self, step: StepState, depth: int) -> Iterator[Because]:
        state, ids = self._facts.state, step.instances.ids if step.instances is not None else ()
        counts: dict[str, int] = {}
        for one in ids:
            counts[str(state.steps[one].status)] = counts.get(str(state.steps[one].status), 0) + 1
        kind = "instances" if step.status in TERMINAL else "instances_run"
        yield Because(step.step.id, kind, {"status": str(step.status), "count": len(ids), "counts": counts}, depth)
        wrong = [one for one in ids if state.steps[one].status in _ENDED_WRONG]
        wrong.sort(key=lambda one: (state.steps[one].status is Status.WARNING, state.steps[one].ended_at or 0.0))
        wrong = wrong or [one for one in ids if state.steps[one].status is Status.CANCELLED]
        wrong = wrong or [one for one in ids if self._is_under_way(one)]
        yield from self._follow(wrong, depth + 1)

    def _skipped(self, step: StepState, event: StepSkipped, depth: int) -> Because:
        handled = step.step.handles
        if handled is not None and event.condition == f"{handled} failed":
            status = str(self._facts.state.steps[handled].status)
            return Because(step.step.id, "not_needed", {"handles": handled, "status": status}, depth)
        data = {"condition": event.condition, "values": dict(event.values)}
        return Because(step.step.id, "skipped", data, depth)

    def _path(self, step: StepState, by: tuple[str, ...]) -> list[JSON]:
        """Give for each culprit the needs that lead to it, from the step on, without both ends."""
        found: list[JSON] = []
        for culprit in by:
            before: dict[str, str] = dict.fromkeys(step.step.needs, step.step.id)
            queue = list(before)
            for id_ in queue:
                if id_ == culprit:
                    break
                new = [need for need in self._facts.state.steps[id_].step.needs if need not in before]
                before |= dict.fromkeys(new, id_)
                queue += new
            way: list[JSON] = []
            id_ = before.get(culprit, step.step.id)
            while id_ != step.step.id:
                way.append(id_)
                id_ = before[id_]
            found.append(way[::-1])
        return found

    def _run_of(self, step: StepState) -> dict[str, JSON]:
        return {
            "attempt": step.attempt,
            "max_attempts": step.step.retry.max_attempts,
            "took_s": self._facts.took_s(step),
        }

    def _failed(self, step: StepState, event: StepFailed, depth: int) -> Iterator[Because]:
        data = self._run_of(step) | {
            "reason": str(event.reason),
            "message": event.message,
            "exit_code": event.exit_code,
            "allowed": step.status is Status.WARNING,
            "attempt": event.attempt,
            "not_retried": _not_retried(step, event),
        }
        yield Because(step.step.id, str(step.status), data, depth)
        if event.reason is Reason.PIPELINE and step.subrun is not None:
            inner = (one.id for one in (*step.subrun.steps, *step.subrun.final_steps))
            yield from self._follow([id_ for id_ in inner if self._facts.state.steps[id_].status in _FAILED], depth + 1)

    def _cancelled(self, step: StepState, event: StepCancelled, depth: int) -> Iterator[Because]:
        request = self._request(step, event)
        data: dict[str, JSON] = {"attempt": event.attempt, "took_s": self._facts.took_s(step)}
        if request is not None:
            data |= {"by": str(request.by), "why": request.why, "signal": request.signal, "force": request.force}
            data |= {"of": request.step}
        yield Because(step.step.id, "cancelled", data, depth)
        if request is not None and request.by is CancelledBy.FAIL_FAST:
            yield from self._follow(self._first_failure(request), depth + 1)

    def _request(self, step: StepState, event: StepCancelled) -> CancelRequested | None:
        """Find who asked: the first whose request reaches the step as it was then."""
        for request in self._facts.cancels:
            begun = any((one.started_seq or event.seq) < request.seq for one in self._facts.tries.get(step.step.id, ()))
            spared = not begun and is_spared(step.step, request)
            if request.seq < event.seq and not spared and reaches(request, step, self._facts.state.steps):
                return request
        return None

    def _first_failure(self, request: CancelRequested) -> list[str]:
        """Find the failure because of which everything was stopped."""
        for event in self._facts.events[: request.seq - 1]:
            step = self._facts.state.steps.get(event.step) if isinstance(event, StepFailed) else None
            if step is None or step.status not in _FAILED or self._facts.last.get(step.step.id) is not event:
                continue
            if request.step is None or request.step in (step.parent, step.within.owner):
                return [step.step.id]
        return []

    def answer(self, id_: str) -> Iterator[Because]:
        """Say who ended its wait."""
        given = self._facts.state.steps[id_].answer
        if isinstance(given, ApprovalDecided):
            data = {"approved": given.approved, "by": given.by, "why": given.why, "decided_at": given.decided_at}
            yield Because(id_, "decided", data, 1)
        elif given is not None:
            data = {"signal": given.signal, "by": given.by, "payload": given.payload, "sent_at": given.sent_at}
            yield Because(id_, "signalled", data, 1)

    def again(self, id_: str) -> Iterator[Because]:
        """Say of a step of a rerun why it was not reused, where that was known beforehand."""
        rerun = self._facts.state.started.rerun
        if rerun is None or isinstance(self._facts.last.get(id_), StepReused):
            return
        found = rerun.again.get(Keys(self._facts.state.steps).of(self._facts.state.steps[id_]))
        if found is not None:
            data = {"run": rerun.run, "why": found.why, "names": list(found.names), "said": said(found, rerun.run)}
            yield Because(id_, "again", data, 1)

    def tries(self, id_: str) -> Iterator[Because]:
        """Say of every attempt but the last how it ended, and what followed."""
        made = self._facts.tries.get(id_, [])
        for one, following in pairwise(made):
            if isinstance(one.end, StepFailed):
                yield Because(id_, "retried", _tried(one, following, one.end), 1)
            elif isinstance(one.end, StepInterrupted):
                yield Because(id_, "interrupted", {"attempt": one.number, "next": following.number}, 1)

    def waits(self, id_: str) -> Iterator[Because]:
        """Say what it waited for until it ended or started; what takes no time is left out, and so is what it waits for now."""
        step = self._facts.state.steps[id_]
        for wait in waits(self._facts.events, id_, self._facts.now):
            if not wait.goes_on and wait.until > wait.since:
                yield Because(id_, "waited", self._wait(step, wait), 1)

    def _wait(self, step: StepState, wait: Wait) -> dict[str, JSON]:
        data: dict[str, JSON] = {
            "for": wait.what,
            "by": list(wait.by),
            "since_s": max(0.0, wait.since - self._facts.began_at),
            "took_s": max(0.0, wait.until - wait.since),
        }
        match wait.what:
            case "mutex":
                data["mutex"] = step.step.mutex
            case "places":
                data["max_parallel"] = self._facts.state.started.max_parallel
            case "pipeline":
                data["max_parallel"] = step.within.bound
            case "instances" if step.parent is not None:
                fan_out = self._facts.state.steps[step.parent].step.fan_out
                data["max_parallel"] = fan_out.max_parallel if fan_out is not None else None
            case "delay":
                data["attempt"] = step.attempt
            case "sleep" | "signal" | "approval" if step.wait is not None:
                data |= {
                    "signal": step.wait.signal or None,
                    "prompt": step.wait.prompt or None,
                    "until": step.wait.until,
                }
                if wait.goes_on:
                    data["command"] = answer_command(self._facts.state.run, step.wait).removeprefix("; ") or None
            case _:
                pass
        return data


def _tried(one: Try, following: Try, end: StepFailed) -> dict[str, JSON]:
    return {
        "attempt": one.number,
        "reason": str(end.reason),
        "message": end.message,
        "exit_code": end.exit_code,
        "took_s": max(0.0, end.at - one.started_at) if one.started_at is not None else None,
        "next": following.number,
        "delay_s": max(0.0, following.not_before - end.at) if following.not_before is not None else 0.0,
    }


def _not_retried(step: StepState, event: StepFailed) -> str | None:
    """Say why a failure was the last one: "attempts" when there were no more, or none were asked for."""
    retry = step.step.retry
    if retry.max_attempts <= 1:
        return None
    if event.attempt >= retry.max_attempts:
        return "attempts"
    if event.attempt == 0 or event.reason in (Reason.TEMPLATE, Reason.ENGINE):
        return "same"
    asked = retry.on is None or event.reason in retry.on or event.exit_code in retry.on
    timed_out = event.reason in (Reason.TIMEOUT, Reason.IDLE_TIMEOUT) and "timeout" in (retry.on or ())
    return "ends" if asked or timed_out else "on"
