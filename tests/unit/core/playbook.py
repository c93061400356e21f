"""Short scripts for the core: make a plan, tell what workers report, and see what is decided. No clock, no process."""

from collections.abc import Mapping
from typing import Any

from msgspec.structs import replace

from dagnats.core.decide import EvaluationError, Failed, Opened, Report, Started, Stopped, Succeeded, admit, decide
from dagnats.core.events import (
    AnyEvent,
    ApprovalDecided,
    CancelledBy,
    CancelRequested,
    PipelineStarted,
    Reason,
    RunFinished,
    RunStarted,
    SignalReceived,
    StepBlocked,
    StepCancelled,
    StepExpanded,
    StepFailed,
    StepReused,
    StepScheduled,
    StepSkipped,
    StepStarted,
    StepSucceeded,
    StepWaiting,
)
from dagnats.core.pipeline import Pipeline, Retry, Step, Wait
from dagnats.core.planstate import PlanState
from dagnats.core.state import RunState, fold
from dagnats.core.waiting import Posted, answer, elapsed
from dagnats.core.waits import approval_key

STATUS_FUNCTIONS = ("success", "failure", "always", "cancelled")
VERBS = {
    StepScheduled: "schedule",
    StepStarted: "start",
    StepSucceeded: "succeed",
    StepFailed: "fail",
    StepExpanded: "expand",
    StepSkipped: "skip",
    StepReused: "reuse",
    StepBlocked: "block",
    StepCancelled: "cancel",
    PipelineStarted: "open",
    StepWaiting: "wait",
    SignalReceived: "receive",
    ApprovalDecided: "decide",
}


def step(id_: str, *needs: str, when: str | None = None, retries: int = 0, **more: Any) -> Step:
    """Give a step; `when` is its condition, `retries` are attempts beyond the first."""
    asks = frozenset(name for name in STATUS_FUNCTIONS if when is not None and f"{name}()" in when)
    more = {"retry": Retry(max_attempts=retries + 1), **more}
    script = None if {"pipeline", "wait"} & set(more) else "true"
    return Step(id=id_, needs=needs, condition=when, status_functions=asks, run=script, **more)


def plan(*steps: Step, last: tuple[Step, ...] = (), **more: Any) -> Pipeline:
    return Pipeline(name="test", file="pipeline.yaml", steps=steps, finally_steps=last, **more)


class Answers:
    """Conditions of this suite: `true`, `false`, `broken`, or status functions, joined by `and`."""

    def condition(self, state: RunState, asked: Step) -> bool:
        own = state.steps[asked.id]
        within = own.within
        failed = within.any_failed if own.final else own.failed
        tainted = (within.any_failed or within.cancel is not None) if own.final else own.tainted
        words = {
            "true": True,
            "false": False,
            "always()": True,
            "failure()": failed,
            "success()": not tainted,
            "cancelled()": within.cancel is not None,
        }
        if asked.condition == "broken":
            raise EvaluationError(f"steps.{asked.id}.if: no such name")
        return all(words[word] for word in str(asked.condition).split(" and "))

    def values(self, state: RunState, asked: Step) -> Mapping[str, Any]:
        return {"asked": asked.condition}

    def wait(self, state: RunState, asked: Step) -> Wait:
        if asked.wait.prompt == "broken":
            raise EvaluationError("prompt: no such name")
        return asked.wait

    def items(self, state: RunState, asked: Step) -> list[Any]:
        return asked.fan_out.items

    def outputs(self, state: RunState, plan: PlanState) -> tuple[Mapping[str, Any], Mapping[str, str]]:
        steps = (state.steps[each.id] for each in (*plan.steps, *plan.final_steps))
        return {each.step.id: dict(each.outputs) for each in steps if each.outputs}, {}


class Playbook:
    """A run in a script: each method is a cause, and gives what it made happen as short lines."""

    def __init__(self, plan: Pipeline, max_parallel: int = 9, **more: Any) -> None:
        started = RunStarted(seq=1, at=1000.0, run="r1", plan=plan, max_parallel=max_parallel, workspace="/w", **more)
        self.state = RunState(started)
        self.events: list[AnyEvent] = [started]
        self.now = 1000.0
        self.posted: dict[str, list[Posted]] = {}
        self.first = self._follow()

    def _follow(self) -> list[str]:
        told: list[str] = []
        while (event := decide(self.state, Answers()) or answer(self.state, self.posted, self.now)) is not None:
            self.state.apply(event)
            self.events.append(event)
            told.append(line(event))
        return told

    def apply(self, event: AnyEvent) -> list[str]:
        self.state.apply(event)
        self.events.append(event)
        return [line(event), *self._follow()]

    def report(self, report: Report, jitter: float = 0.0) -> list[str]:
        """Give what a report made happen, or why it was refused."""
        event, why = admit(self.state, report, at=self.now, jitter=jitter)
        return [f"refused: {why}"] if event is None else self.apply(event)

    def start(self, id_: str, worker: str = "w1", attempt: int | None = None) -> list[str]:
        return self.report(Started(step=id_, attempt=self._attempt(id_, attempt), worker=worker))

    def succeed(self, id_: str, worker: str = "w1", attempt: int | None = None, **more: Any) -> list[str]:
        return self.report(Succeeded(step=id_, attempt=self._attempt(id_, attempt), worker=worker, **more))

    def fail(
        self,
        id_: str,
        reason: Reason = Reason.EXIT,
        exit_code: int | None = 1,
        *,
        worker: str | None = "w1",
        jitter: float = 0.0,
        attempt: int | None = None,
    ) -> list[str]:
        failed = Failed(
            step=id_,
            attempt=self._attempt(id_, attempt),
            worker=worker,
            reason=reason,
            message=f"ended with {reason}",
            exit_code=exit_code if reason is Reason.EXIT else None,
        )
        return self.report(failed, jitter)

    def open(self, id_: str, worker: str = "w1", **values: Any) -> list[str]:
        """The pipeline that the step runs begins."""
        return self.report(Opened(step=id_, attempt=self._attempt(id_, None), worker=worker, **values))

    def stopped(self, id_: str, worker: str = "w1") -> list[str]:
        return self.report(Stopped(step=id_, attempt=self._attempt(id_, None), worker=worker))

    def post(self, key: str, value: Any = None, by: str = "anna") -> list[str]:
        """Somebody puts something for the run."""
        revision = sum(map(len, self.posted.values())) + 1
        self.posted.setdefault(key, []).append(Posted(key, revision, self.now, by, value))
        return self._follow()

    def approve(self, id_: str, why: str = "", *, approved: bool = True) -> list[str]:
        return self.post(approval_key(id_), {"approved": approved, "why": why})

    def elapse(self, id_: str, attempt: int | None = None) -> list[str]:
        """The clock says that the time of a wait has come."""
        event = elapsed(self.state, id_, self._attempt(id_, attempt), at=self.now, jitter=0.0)
        return [] if event is None else self.apply(event)

    def cancel(self, by: CancelledBy = CancelledBy.SIGNAL, *, force: bool = False, id_: str | None = None) -> list[str]:
        asked = CancelRequested(seq=self.state.seq + 1, at=self.now, by=by, why="asked", force=force, step=id_)
        return self.apply(asked)

    def run(self, id_: str) -> list[str]:
        """Start and succeed."""
        return self.start(id_) + self.succeed(id_)

    def _attempt(self, id_: str, attempt: int | None) -> int:
        return self.state.steps[id_].attempt if attempt is None else attempt

    def statuses(self) -> dict[str, str]:
        return {id_: str(each.status) for id_, each in self.state.steps.items()}

    def folded(self) -> RunState:
        return fold(self.events)

    def next(self, kind: type[Any], /, **fields: Any) -> AnyEvent:
        """Make an event that stands right after the last one."""
        event: AnyEvent = kind(seq=self.state.seq + 1, at=self.now, **fields)
        return event


def line(event: AnyEvent) -> str:  # noqa: PLR0911 - one line an event
    """Say an event in a few words."""
    match event:
        case RunFinished():
            return f"finish {event.outcome}"
        case CancelRequested(step=str(id_)):
            return f"cancel what {id_} runs by {event.by}"
        case CancelRequested():
            return f"cancel run by {event.by}"
        case StepScheduled(not_before=float(at)):
            return f"schedule {event.step} {event.attempt} after {at - event.at:g}s"
        case StepScheduled(attempt=attempt) if attempt > 1:
            return f"schedule {event.step} {attempt}"
        case StepWaiting(until=float(until)):
            return f"wait {event.step} for {until - event.at:g}s"
        case StepBlocked():
            return f"block {event.step} by {' '.join(event.by)}"
        case StepFailed():
            return f"fail {event.step} {event.reason}"
        case RunStarted():
            return "begin"
        case _:
            return f"{VERBS[type(event)]} {event.step}"


def moved(event: AnyEvent, by: int) -> AnyEvent:
    """Give the event at another place in the journal."""
    return replace(event, seq=event.seq + by)
