"""What follows from a state: the next decision, as the event that records it; and what a worker's report means.

`decide` never looks at a clock and never evaluates twice: time comes with the event that caused it, and what a condition gave is in the event.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, Protocol

from msgspec.structs import replace

from dagnats.core.cancel import below, is_spared, outweighs
from dagnats.core.delay import retry_delay_s
from dagnats.core.events import (
    AnyEvent,
    Artifact,
    CancelledBy,
    CancelRequested,
    Outcome,
    PipelineStarted,
    Reason,
    RunFinished,
    StepBlocked,
    StepCancelled,
    StepExpanded,
    StepFailed,
    StepReused,
    StepScheduled,
    StepSkipped,
    StepStarted,
    StepSucceeded,
)
from dagnats.core.fanout import INSTANCES_MAX
from dagnats.core.pipeline import JSON, Step, Wait
from dagnats.core.planstate import PlanState
from dagnats.core.state import BAD, RunState, Status, StepState
from dagnats.core.waiting import begun, ended

_NAMED = 3  # of the steps that failed, in one message


class EvaluationError(Exception):
    """An expression could not be evaluated; the text says where and why."""


class Evaluator(Protocol):
    """What `decide` needs to know of expressions."""

    def condition(self, state: RunState, step: Step) -> bool:
        """Whether the step's `if` is true. Raises EvaluationError."""

    def values(self, state: RunState, step: Step) -> Mapping[str, JSON]:
        """What the `if` mentions was this, by its name in it, as far as that is worth a record."""

    def items(self, state: RunState, step: Step) -> Sequence[JSON]:
        """The list over which the step fans out. Raises EvaluationError, also when it is no list."""

    def wait(self, state: RunState, step: Step) -> Wait:
        """What the step waits for, instead of running something. Raises EvaluationError."""

    def outputs(self, state: RunState, plan: PlanState) -> tuple[Mapping[str, JSON], Mapping[str, str]]:
        """The outputs of a plan that is over, and for each that has no value a note why."""


def decide(state: RunState, evaluator: Evaluator) -> AnyEvent | None:  # noqa: C901, PLR0911 - one return a decision
    """Give the next decision that follows from the state, or None when the next word is someone else's.

    Call it again after applying what it gave, until it gives None. As many attempts may wait in the queue as may run, so that whoever has a place free
    need not wait for a decision; that no more of them run is for the engine, which lets them start.
    """
    if state.finished is not None:
        return None
    if state.doomed:
        return _cancelled(state, state.steps[next(iter(state.doomed))])
    if state.awaited.answered:
        return ended(state)
    if state.retries:
        return _retry(state, state.steps[state.retries[0]], evaluator)
    if state.failing:
        return _failed_fast(state, next(iter(state.failing)))
    if state.plan.fail_fast and state.own.any_failed and state.cancel is None and not state.in_finally:
        return _failed_fast(state, None)
    if state.over:
        return _subrun_ended(state, state.steps[next(iter(state.over))], evaluator)
    if state.places.placeless:
        return _judge(state, state.steps[state.places.placeless[0]], evaluator)
    if state.ready and (state.forced or len(state.running) + state.queued < 2 * state.started.max_parallel):
        return _judge(state, state.steps[state.ready[0]], evaluator)
    if state.own.is_over:
        outputs, notes = evaluator.outputs(state, state.own)
        return RunFinished(seq=state.seq + 1, at=state.at, outcome=state.outcome, outputs=outputs, notes=notes)
    return None


def _failed_fast(state: RunState, id_: str | None) -> CancelRequested:
    """Stop the run, the instances of a step, or the pipeline that it runs, at the first failure."""
    what = "a step" if id_ is None else f"a step of {id_}" if id_ in state.subruns else f"an instance of {id_}"
    why = f"{what} failed and fail_fast is set"
    return CancelRequested(seq=state.seq + 1, at=state.at, by=CancelledBy.FAIL_FAST, why=why, step=id_)


def _subrun_ended(state: RunState, owner: StepState, evaluator: Evaluator) -> AnyEvent:
    """All steps of a pipeline have ended, and with them the attempt of the step that runs it."""
    subrun = state.subruns[owner.step.id]
    common: dict[str, Any] = {"seq": state.seq + 1, "at": state.at, "step": owner.step.id, "attempt": owner.attempt}
    outcome = subrun.outcome
    if outcome is Outcome.CANCELLED:
        return StepCancelled(**common)
    outputs, notes = evaluator.outputs(state, subrun)
    if outcome is Outcome.SUCCEEDED:
        return StepSucceeded(**common, outputs=outputs, notes=notes)
    if outcome is Outcome.TIMED_OUT and subrun.cancel is not None:
        message = subrun.cancel.why
        return StepFailed(**common, reason=Reason.TIMEOUT, message=message, outputs=outputs, notes=notes)
    failed = [
        step.id
        for step in (*subrun.steps, *subrun.final_steps)
        if state.steps[step.id].status in (Status.FAILED, Status.TIMED_OUT)
    ]
    more = f" and {len(failed) - _NAMED} more steps" if len(failed) > _NAMED else ""
    message = f"{', '.join(failed[:_NAMED])}{more} failed"
    return StepFailed(**common, reason=Reason.PIPELINE, message=message, exit_code=1, outputs=outputs, notes=notes)


def _judge(state: RunState, ready: StepState, evaluator: Evaluator) -> AnyEvent:
    """All needs of the step have ended: run, expand, reuse, skip, block or cancel it."""
    step, seq, at = ready.step, state.seq + 1, state.at
    if _is_cancelled(state, ready):
        return _cancelled(state, ready)
    if step.handles is not None and not _has_failed(state, step.handles):
        return StepSkipped(seq=seq, at=at, step=step.id, condition=f"{step.handles} failed")
    if ready.tainted and not step.status_functions and not ready.final and ready.parent is None:
        by = tuple(dict.fromkeys(culprit for need in step.needs if (culprit := _obstacle(state, step, need))))
        if by:
            return StepBlocked(seq=seq, at=at, step=step.id, by=by)
    try:
        return _unwanted(state, ready, evaluator) or _begun(state, ready, evaluator)
    except EvaluationError as error:
        return StepFailed(seq=seq, at=at, step=step.id, attempt=0, reason=Reason.TEMPLATE, message=str(error))


def _begun(state: RunState, ready: StepState, evaluator: Evaluator) -> AnyEvent:
    """Let the step, its instances or its wait begin, or take it over. Raises EvaluationError."""
    if ready.expands:
        return _expanded(state, ready.step, evaluator)
    reused = _reused(state, ready)
    if reused is None and ready.step.wait is not None:
        return begun(state, ready, evaluator.wait(state, ready.step), 1)
    return reused or StepScheduled(seq=state.seq + 1, at=state.at, step=ready.step.id, attempt=1)


def _reused(state: RunState, ready: StepState) -> StepReused | None:
    """Take the step over from the run of which this is a rerun, if it may be."""
    found = state.reusable.get(ready) if state.reusable is not None else None
    if found is None:
        return None
    return StepReused(
        seq=state.seq + 1,
        at=state.at,
        step=ready.step.id,
        from_run=found.run,
        from_seq=found.seq,
        status=found.status,
        outputs=found.outputs,
        exit_code=found.exit_code,
        reason=found.reason,
        message=found.message,
        artifacts=found.artifacts,
    )


def _unwanted(state: RunState, ready: StepState, evaluator: Evaluator) -> AnyEvent | None:
    """What a condition that does not hold makes of the step. It is asked once, of the step, or of every instance."""
    step = ready.step
    if step.condition is None or step.each_condition is not (ready.parent is not None):
        return None
    if evaluator.condition(state, step):
        return None
    if ready.within.cancel is not None and not ready.final:
        return _cancelled(state, ready)
    values = evaluator.values(state, step)
    return StepSkipped(seq=state.seq + 1, at=state.at, step=step.id, condition=step.condition, values=values)


def _is_cancelled(state: RunState, ready: StepState) -> bool:
    """Whether a cancellation reaches the step: `finally`, what asks for it, and who takes care of a failure are spared."""
    if state.forced or state.is_cancelled(ready):
        return True
    cancel = ready.within.cancel
    return cancel is not None and not ready.final and not is_spared(ready.step, cancel)


def _has_failed(state: RunState, id_: str) -> bool:
    return state.steps[id_].status in (Status.FAILED, Status.TIMED_OUT, Status.WARNING)


def _obstacle(state: RunState, step: Step, need: str) -> str | None:
    """Who is to blame that this need is not met; a step that handles a failure does not mind it."""
    if step.handles is None:
        return state.steps[need].culprit
    return need if need != step.handles and state.steps[need].status in BAD else None


def _expanded(state: RunState, step: Step, evaluator: Evaluator) -> StepExpanded:
    """Raises EvaluationError when there is no list, or there are too many."""
    fan_out = step.fan_out
    items = None if fan_out is None or fan_out.is_matrix else tuple(evaluator.items(state, step))
    if items is not None and state.instance_count + len(items) > INSTANCES_MAX:
        raise EvaluationError(
            f"foreach: {len(items):,} items are more than a run may have: at most {INSTANCES_MAX:,} instances of all its steps"
        )
    return StepExpanded(seq=state.seq + 1, at=state.at, step=step.id, items=items)


def _retry(state: RunState, failed: StepState, evaluator: Evaluator) -> AnyEvent:
    if failed.interrupted and not state.forced:  # one that was being stopped is among the doomed
        return StepScheduled(seq=state.seq + 1, at=state.at, step=failed.step.id, attempt=failed.attempt + 1)
    if (
        failed.failure is None
        or state.forced
        or (failed.within.cancel is not None and not failed.final)
        or state.is_cancelled(failed)
    ):
        return _cancelled(state, failed)
    if failed.step.wait is not None:  # it has waited already
        return _waits_again(state, failed, evaluator)
    delay_s = retry_delay_s(failed.step.retry, failed.tries, failed.failure.jitter)
    return StepScheduled(
        seq=state.seq + 1,
        at=state.at,
        step=failed.step.id,
        attempt=failed.attempt + 1,
        not_before=failed.failure.at + delay_s if delay_s > 0 else None,
    )


def _waits_again(state: RunState, failed: StepState, evaluator: Evaluator) -> AnyEvent:
    seq, at, id_ = state.seq + 1, state.at, failed.step.id
    try:
        return begun(state, failed, evaluator.wait(state, failed.step), failed.attempt + 1)
    except EvaluationError as error:
        return StepFailed(seq=seq, at=at, step=id_, attempt=failed.attempt, reason=Reason.TEMPLATE, message=str(error))


def _cancelled(state: RunState, step: StepState) -> StepCancelled:
    return StepCancelled(seq=state.seq + 1, at=state.at, step=step.step.id, attempt=step.attempt)


NOTHING: Mapping[str, JSON] = {}  # nobody writes into a report
NO_ARTIFACTS: Mapping[str, Artifact] = {}


# Reports are tuples with names: as records of their own kind they would take a hundredth of a short run to be defined.
class Started(NamedTuple):
    """A worker claims an attempt."""

    step: str
    attempt: int
    worker: str


class Succeeded(NamedTuple):
    """A worker says that an attempt ended well."""

    step: str
    attempt: int
    worker: str
    outputs: Mapping[str, JSON] = NOTHING
    output_bytes: int = 0
    dropped_bytes: int = 0
    summary: str = ""
    artifacts: Mapping[str, Artifact] = NO_ARTIFACTS


class Failed(NamedTuple):
    """A worker, or the engine while it makes the task, says that an attempt failed."""

    step: str
    attempt: int
    worker: str | None
    reason: Reason
    message: str
    exit_code: int | None = None
    outputs: Mapping[str, JSON] = NOTHING
    output_bytes: int = 0
    dropped_bytes: int = 0
    summary: str = ""
    artifacts: Mapping[str, Artifact] = NO_ARTIFACTS


class Stopped(NamedTuple):
    """A worker says that it stopped an attempt because the engine told it to."""

    step: str
    attempt: int
    worker: str
    output_bytes: int = 0
    dropped_bytes: int = 0


class Opened(NamedTuple):
    """A worker says that the pipeline which an attempt runs may begin, and with which values."""

    step: str
    attempt: int
    worker: str
    params: Mapping[str, JSON] = NOTHING
    vars: Mapping[str, JSON] = NOTHING


Report = Started | Succeeded | Failed | Stopped | Opened


def admit(state: RunState, report: Report, *, at: float, jitter: float) -> tuple[AnyEvent | None, str]:  # noqa: PLR0911 - one answer a claim
    """Say what a report makes happen: an event or None, and "" or the reason why the claim was refused.

    Late, repeated and stale reports end here and nowhere else. A second worker's claim on a running attempt is no start:
    it is the proof that JetStream gave the task away, so that the first worker is lost.
    """
    step = state.steps.get(report.step)
    if step is None or state.finished is not None:
        return None, "the run has ended" if step else "the plan has no such step"
    open_to = Status.QUEUED, Status.WAITING, Status.RUNNING
    live = step.status in open_to and step.step.id not in state.retries and step.step.id not in state.subruns
    if report.attempt != step.attempt or not live:
        return None, f"attempt {report.attempt} of a step that is {step.status} in attempt {step.attempt}"
    seq = state.seq + 1
    common: dict[str, Any] = {"seq": seq, "at": at, "step": report.step, "attempt": report.attempt}
    if step.status is Status.RUNNING and report.worker != step.worker:
        if not isinstance(report, Started):
            return None, f"the attempt is held by {step.worker}"
        message = f"worker {step.worker} stopped answering"
        return StepFailed(
            **common, reason=Reason.LOST, message=message, jitter=jitter
        ), "the attempt was lost by another worker"
    if isinstance(report, Started):
        if step.status is Status.RUNNING:
            return None, ""
        return StepStarted(**common, worker=report.worker), ""
    if step.status is not Status.RUNNING and report.worker is not None:
        return None, "the attempt was never started"
    if isinstance(report, Opened | Succeeded) and isinstance(report, Opened) is (step.step.pipeline is None):
        return None, "that is no end of such a step"  # one that runs a pipeline is opened, and ends by itself
    if isinstance(report, Opened):
        return _opened(state, step, report, common), ""
    return _ended(report, common, jitter), ""


def admit_cancel(state: RunState, request: CancelRequested, *, at: float) -> CancelRequested | None:
    """Give the event of what somebody asks for, or None: a second request counts only when it asks for more; a timeout does not reach into `finally`."""
    if request.step is not None:
        subrun = state.subruns.get(request.step)
        late = subrun is None or not outweighs(request, subrun.cancel) or subrun.in_finally
        return None if late else replace(request, seq=state.seq + 1, at=at)
    repeated = not outweighs(request, state.cancel) and not (request.force and not state.forced)
    late = state.finished is not None or (request.by is CancelledBy.TIMEOUT and state.in_finally)
    return None if repeated or late else replace(request, seq=state.seq + 1, at=at)


def _opened(state: RunState, step: StepState, report: Opened, common: Mapping[str, Any]) -> AnyEvent:
    """Let the pipeline of a step begin, unless its steps are too many: a few files can make millions of them."""
    plan = state.plan.pipelines[step.step.pipeline or ""]
    count = len(plan.steps) + len(plan.finally_steps)
    before = sum(1 for _ in below(step, state.steps))  # of an attempt before, whose place they take
    if state.instance_count + count - before > INSTANCES_MAX:
        message = f"with the {count:,} steps of {plan.file} the run has more than {INSTANCES_MAX:,} steps of pipelines and instances"
        return StepFailed(**common, reason=Reason.TEMPLATE, message=message)
    return PipelineStarted(**common, params=report.params, vars=report.vars)


def _ended(report: Succeeded | Failed | Stopped, common: Mapping[str, Any], jitter: float) -> AnyEvent:
    printed: dict[str, Any] = {"output_bytes": report.output_bytes, "dropped_bytes": report.dropped_bytes}
    match report:
        case Succeeded():
            return StepSucceeded(
                **common, **printed, outputs=report.outputs, summary=report.summary, artifacts=report.artifacts
            )
        case Failed():
            return StepFailed(
                **common,
                **printed,
                reason=report.reason,
                message=report.message,
                exit_code=report.exit_code,
                outputs=report.outputs,
                jitter=jitter,
                summary=report.summary,
                artifacts=report.artifacts,
            )
        case Stopped():
            return StepCancelled(**common, **printed)
