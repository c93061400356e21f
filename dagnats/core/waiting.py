"""Steps that wait: how a wait begins, what is an answer to it, and how it ends. Pure, as all of the core: times come from outside."""

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from dagnats.core.events import ApprovalDecided, Reason, SignalReceived, StepFailed, StepSucceeded, StepWaiting
from dagnats.core.pipeline import JSON, Wait
from dagnats.core.state import RunState, StepState
from dagnats.core.waits import APPROVAL, APPROVAL_OUTPUTS

SHORT_S = 10.0  # a run does not park when one of its waits is over so soon


class Posted(NamedTuple):
    """What somebody has put under a key of a run, a signal's name or that of an approval; each put has a revision of its own."""

    key: str
    revision: int
    at: float
    by: str
    value: JSON


def begun(state: RunState, own: StepState, wait: Wait, attempt: int) -> StepWaiting:
    """Let a step wait, for what its rendered `wait` says. What has no time limit waits until the run ends."""
    limit_s = wait.duration_s if wait.kind == "sleep" else own.step.timeout_s
    return StepWaiting(
        seq=state.seq + 1,
        at=state.at,
        step=own.step.id,
        attempt=attempt,
        kind=wait.kind,
        until=None if limit_s is None else state.at + limit_s,
        signal=wait.signal,
        prompt=wait.prompt,
    )


def answer(
    state: RunState, posted: Mapping[str, Iterable[Posted]], at: float
) -> SignalReceived | ApprovalDecided | None:
    """Give the next answer to a wait among what was posted: each signal goes to one wait, the one that has waited longest for it."""
    for key, posts in posted.items():
        asking = state.awaited.asked.get(key)
        post = next((one for one in posts if one.revision not in state.awaited.taken), None) if asking else None
        if not asking or post is None:
            continue
        id_ = next(iter(asking))
        common: dict[str, Any] = {"seq": state.seq + 1, "at": at, "step": id_, "attempt": state.steps[id_].attempt}
        if not key.startswith(APPROVAL):
            return SignalReceived(
                **common, signal=key, revision=post.revision, sent_at=post.at, by=post.by, payload=post.value
            )
        approved, why = bool(post.value.get("approved")), str(post.value.get("why", ""))
        return ApprovalDecided(**common, approved=approved, decided_at=post.at, by=post.by, why=why)
    return None


def ended(state: RunState) -> StepSucceeded | StepFailed:
    """Give the end of the first wait that has its answer."""
    id_, given = next(iter(state.awaited.answered.items()))
    common: dict[str, Any] = {"seq": state.seq + 1, "at": state.at, "step": id_, "attempt": given.attempt}
    if isinstance(given, SignalReceived):
        outputs = given.payload if isinstance(given.payload, dict) else {"payload": given.payload}
        return StepSucceeded(**common, outputs=outputs)
    outputs = dict(zip(APPROVAL_OUTPUTS, (given.by, given.why), strict=True))
    if given.approved:
        return StepSucceeded(**common, outputs=outputs)
    message = " ".join(part for part in ("rejected", f"by {given.by}" if given.by else "") if part)
    message += f": {given.why}" if given.why else ""
    return StepFailed(**common, reason=Reason.REJECTED, message=message, outputs=outputs)


def elapsed(state: RunState, id_: str, attempt: int, *, at: float, jitter: float) -> StepSucceeded | StepFailed | None:
    """Give the end of a wait whose time has come; None if it goes on, or is over already."""
    wait = state.awaited.open.get(id_)
    if wait is None or wait.attempt != attempt or id_ in state.awaited.answered or id_ in state.doomed:
        return None
    if state.finished is not None or wait.until is None or at < wait.until:
        return None
    common: dict[str, Any] = {"seq": state.seq + 1, "at": at, "step": id_, "attempt": attempt}
    if wait.kind == "sleep":
        return StepSucceeded(**common)
    waited = f"within its timeout of {state.steps[id_].step.timeout_s:g}s"
    message = f"nobody sent the signal {wait.signal} {waited}" if wait.kind == "signal" else f"nobody decided {waited}"
    return StepFailed(**common, reason=Reason.TIMEOUT, message=message, jitter=jitter)


def only_waits(state: RunState, now: float) -> bool:
    """Whether all that is left to the run is to wait for somebody, or for a time that is far: nothing runs, and nothing else can start."""
    if not state.awaited.open or state.awaited.answered or state.finished is not None:
        return False
    if state.running or state.dispatched or state.ready or state.retries or state.doomed or state.stopping:
        return False
    return all(wait.until is None or wait.until - now > SHORT_S for wait in state.awaited.open.values())
