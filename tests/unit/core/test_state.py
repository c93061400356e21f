"""Every row of the table of transitions, and every event that no row allows."""

import itertools
from collections.abc import Callable
from typing import Any

import pytest
from playbook import Playbook, moved, plan, step

from dagnats.core import events
from dagnats.core.decide import Failed, admit
from dagnats.core.events import Event, Reason
from dagnats.core.pipeline import FanOut, Retry, Wait
from dagnats.core.state import TERMINAL, TRANSITIONS, IllegalEventError, Status, fold
from dagnats.errors import JournalError

FIELDS: dict[type[Event], dict[str, Any]] = {
    events.StepScheduled: {"attempt": 2},
    events.StepStarted: {"attempt": 1, "worker": "w1"},
    events.StepSucceeded: {"attempt": 1},
    events.StepWaiting: {"attempt": 1, "kind": "approval"},
    events.SignalReceived: {"attempt": 1, "signal": "go", "revision": 1, "sent_at": 1.0},
    events.ApprovalDecided: {"attempt": 1, "approved": True, "decided_at": 1.0},
    events.StepFailed: {"attempt": 1, "reason": Reason.EXIT, "message": "ended with 1"},
    events.StepInterrupted: {"attempt": 1},
    events.StepExpanded: {"items": ("a",)},
    events.PipelineStarted: {"attempt": 1},
    events.StepSkipped: {"condition": "false"},
    events.StepReused: {"from_run": "r0", "from_seq": 4},
    events.StepBlocked: {"by": ("before",)},
    events.StepCancelled: {"attempt": 1},
}
LATER = Retry(max_attempts=2, initial_delay_s=60.0)


def pending() -> Playbook:
    """The step `x` could run, but has no place, not even in the queue."""
    return Playbook(plan(step("busy"), step("next"), step("x"), step("after", "x")), max_parallel=1)


def queued() -> Playbook:
    return Playbook(plan(step("x"), step("after", "x")))


def running() -> Playbook:
    run = queued()
    run.start("x")
    return run


def waiting() -> Playbook:
    run = Playbook(plan(step("x", retry=LATER), step("after", "x")))
    run.start("x")
    run.fail("x")
    return run


def ended(when: str | None = None, reason: Reason | None = None, **more: Any) -> Playbook:
    """`x` ended, while `other` keeps the run open."""
    run = Playbook(plan(step("before", allow_failure=False), step("other"), step("x", "before", when=when, **more)))
    run.start("other")
    run.run("before")
    if reason is not None:
        run.start("x")
        run.fail("x", reason)
    return run


def succeeded() -> Playbook:
    run = ended()
    run.run("x")
    return run


def cancelled() -> Playbook:
    run = ended()
    run.cancel()
    return run


def blocked() -> Playbook:
    run = Playbook(plan(step("before"), step("other"), step("x", "before")))
    run.start("before")
    run.fail("before")
    return run


IN: dict[Status, Callable[[], Playbook]] = {
    Status.PENDING: pending,
    Status.QUEUED: queued,
    Status.RUNNING: running,
    Status.WAITING: waiting,
    Status.SUCCEEDED: succeeded,
    Status.WARNING: lambda: ended(reason=Reason.EXIT, allow_failure=True),
    Status.FAILED: lambda: ended(reason=Reason.EXIT),
    Status.TIMED_OUT: lambda: ended(reason=Reason.TIMEOUT),
    Status.CANCELLED: cancelled,
    Status.SKIPPED: lambda: ended(when="false"),
    Status.BLOCKED: blocked,
}
ALLOWED = [(status, kind) for status, row in TRANSITIONS.items() for kind in row]
ILLEGAL = [pair for pair in itertools.product(Status, FIELDS) if pair not in ALLOWED]


def test_table_covers_every_status_and_every_one_can_be_built():
    assert set(TRANSITIONS) == set(Status) == set(IN)
    assert {status: IN[status]().statuses()["x"] for status in Status} == {status: str(status) for status in Status}


@pytest.mark.parametrize(("status", "kind"), ILLEGAL)
def test_event_outside_the_table_names_state_and_event(status: Status, kind: type[Event]):
    run = IN[status]()
    before = run.statuses()
    with pytest.raises(IllegalEventError, match=rf"{kind.__name__} can not happen to step x, which is {status}$"):
        run.state.apply(run.next(kind, step="x", **FIELDS[kind]))
    assert run.statuses() == before


def open_step(status: Status, **more: Any) -> Playbook:
    """`x` in a status that is not the last, with the retry policy and so on that a case asks for."""
    if status is Status.PENDING:
        return Playbook(plan(step("busy"), step("next"), step("x", **more)), max_parallel=1)
    one = step("x", **{"retry": LATER, **more} if status is Status.WAITING else more)
    run = Playbook(plan(one, pipelines={"sub.yaml": plan(step("inner"))}))
    if status is not Status.QUEUED:
        run.start("x")
    if status is Status.WAITING:
        run.fail("x")
    return run


SLEEP, SIGNAL, APPROVAL = Wait("sleep", duration_s=5.0), Wait("signal", signal="go"), Wait("approval", prompt="well?")
RECEIVED = {"attempt": 1, "signal": "go", "revision": 7, "sent_at": 900.0}
DECIDED = {"attempt": 1, "approved": True, "decided_at": 900.0}


def asleep() -> Playbook:
    return Playbook(plan(step("x", wait=SLEEP), step("after", "x")))


def awaiting() -> Playbook:
    return Playbook(plan(step("x", wait=SIGNAL), step("y", wait=SIGNAL), step("after", "x")))


def asking() -> Playbook:
    return Playbook(plan(step("x", wait=APPROVAL), step("after", "x")))


def decided() -> Playbook:
    """Somebody has approved `x`, and nothing has followed yet."""
    run = asking()
    run.state.apply(run.next(events.ApprovalDecided, step="x", **DECIDED))
    return run


def taken() -> Playbook:
    """`x` has got the only signal for which `y` waits too."""
    run = awaiting()
    run.state.apply(run.next(events.SignalReceived, step="x", **RECEIVED))
    return run


WAITS = [
    (asleep, events.StepSucceeded, Status.SUCCEEDED, {"attempt": 1}),
    (awaiting, events.SignalReceived, Status.WAITING, RECEIVED),
    (asking, events.ApprovalDecided, Status.WAITING, DECIDED),
    (decided, events.StepSucceeded, Status.SUCCEEDED, {"attempt": 1}),
    (taken, events.StepSucceeded, Status.SUCCEEDED, {"attempt": 1}),
    (asking, events.StepFailed, Status.FAILED, {"attempt": 1, "reason": Reason.REJECTED, "message": "no"}),
    (asking, events.StepFailed, Status.TIMED_OUT, {"attempt": 1, "reason": Reason.TIMEOUT, "message": "late"}),
    (asking, events.StepCancelled, Status.CANCELLED, {"attempt": 1}),
]


@pytest.mark.parametrize(("make", "kind", "target", "fields"), WAITS)
def test_event_of_a_wait(make: Callable[[], Playbook], kind: type[Event], target: Status, fields: dict[str, Any]):
    run = make()
    run.state.apply(run.next(kind, step="x", **fields))
    assert run.statuses()["x"] == target
    assert ("x" in run.state.awaited.open) is (target is Status.WAITING)
    assert ("x" in run.state.awaited.answered) is (target is Status.WAITING)


def unasked() -> Playbook:
    """The approval `x` was not given in time, and is not asked for again yet."""
    run = Playbook(plan(step("x", wait=APPROVAL, retry=LATER, timeout_s=5.0), step("after", "x")))
    run.state.apply(run.next(events.StepFailed, step="x", **TIMEOUT))
    return run


def test_wait_of_a_retry():
    run = unasked()
    assert (list(run.state.retries), run.state.awaited.open) == (["x"], {})
    run.state.apply(run.next(events.StepWaiting, step="x", attempt=2, kind="approval", until=1010.0))
    assert (list(run.state.retries), run.statuses()["x"]) == ([], "waiting")


def undecided() -> Playbook:
    """`x` failed, and its retry is not scheduled yet."""
    run = Playbook(plan(step("x", retry=LATER)))
    run.start("x")
    report = Failed(step="x", attempt=1, worker="w1", reason=Reason.EXIT, message="ended with 1", exit_code=1)
    event, _ = admit(run.state, report, at=run.now, jitter=0.0)
    assert event is not None
    run.state.apply(event)
    return run


def unopened() -> Playbook:
    """`x` runs a pipeline, of which nothing is known yet."""
    inner = plan(step("inner"), last=(step("last"),))
    run = Playbook(plan(step("x", pipeline="sub.yaml"), pipelines={"sub.yaml": inner}))
    run.start("x")
    return run


def opened() -> Playbook:
    """`x` runs a pipeline, whose steps have not ended."""
    run = unopened()
    run.open("x")
    return run


EXIT = {"attempt": 1, "reason": Reason.EXIT, "message": "ended with 1", "exit_code": 1}
TIMEOUT = {"attempt": 1, "reason": Reason.TIMEOUT, "message": "longer than 1s"}
ALWAYS_AGAIN = {"retry": Retry(max_attempts=9, initial_delay_s=60.0)}
FAILURES = [
    (Status.WAITING, EXIT, ALWAYS_AGAIN),
    (Status.WARNING, {**EXIT, "attempt": 9}, {"allow_failure": True}),
    (Status.WARNING, {**EXIT, "attempt": 9}, {"allow_failure": (3, 1)}),
    (Status.FAILED, {**EXIT, "attempt": 9}, {"allow_failure": (3,)}),
    (Status.FAILED, {**EXIT, "attempt": 9, "reason": Reason.SIGNAL}, {"allow_failure": (1,)}),
    (Status.TIMED_OUT, {**TIMEOUT, "attempt": 9}, {"allow_failure": (1,)}),
    (Status.FAILED, {**EXIT, "attempt": 9}, {}),
    (Status.TIMED_OUT, {**TIMEOUT, "attempt": 9}, {}),
]
OPEN = (Status.QUEUED, Status.RUNNING, Status.WAITING)
CASES: list[tuple[Status, type[Event], Status, dict[str, Any], dict[str, Any]]] = [
    (Status.PENDING, events.StepScheduled, Status.QUEUED, {"attempt": 1}, {}),
    (Status.PENDING, events.StepExpanded, Status.RUNNING, {"items": ("a", "b")}, {"fan_out": FanOut(items=["a", "b"])}),
    (Status.PENDING, events.StepExpanded, Status.SUCCEEDED, {"items": ()}, {"fan_out": FanOut(items=[])}),
    (Status.PENDING, events.StepSkipped, Status.SKIPPED, FIELDS[events.StepSkipped], {}),
    (Status.PENDING, events.StepReused, Status.SUCCEEDED, FIELDS[events.StepReused], {}),
    (Status.PENDING, events.StepReused, Status.WARNING, {**FIELDS[events.StepReused], "status": "warning"}, {}),
    (Status.PENDING, events.StepBlocked, Status.BLOCKED, FIELDS[events.StepBlocked], {}),
    (Status.PENDING, events.StepCancelled, Status.CANCELLED, {"attempt": 0}, {}),
    (Status.PENDING, events.StepFailed, Status.FAILED, {**EXIT, "attempt": 0}, {}),
    (Status.PENDING, events.StepFailed, Status.WARNING, {**EXIT, "attempt": 0}, {"allow_failure": True}),
    (Status.QUEUED, events.StepStarted, Status.RUNNING, FIELDS[events.StepStarted], {}),
    (Status.RUNNING, events.StepSucceeded, Status.SUCCEEDED, FIELDS[events.StepSucceeded], {}),
    (Status.RUNNING, events.PipelineStarted, Status.RUNNING, {"attempt": 1}, {"pipeline": "sub.yaml"}),
    (Status.WAITING, events.StepStarted, Status.RUNNING, {"attempt": 2, "worker": "w1"}, {}),
    *((status, events.StepInterrupted, Status.WAITING, {"attempt": 1}, {}) for status in OPEN),
    *((status, events.StepCancelled, Status.CANCELLED, FIELDS[events.StepCancelled], {}) for status in OPEN),
    *((status, events.StepFailed, target, fields, more) for status in OPEN for target, fields, more in FAILURES),
]


@pytest.mark.parametrize(("status", "kind", "target", "fields", "more"), CASES)
def test_allowed_event(status: Status, kind: type[Event], target: Status, fields: Any, more: Any):
    run = open_step(status, **more)
    assert run.statuses()["x"] == status
    run.state.apply(run.next(kind, step="x", **fields))
    assert run.statuses()["x"] == target


@pytest.mark.parametrize(
    ("not_before", "target"), [(None, Status.QUEUED), (999.0, Status.QUEUED), (1060.0, Status.WAITING)]
)
def test_schedule_of_a_retry(not_before: float | None, target: Status):
    run = undecided()
    run.state.apply(run.next(events.StepScheduled, step="x", attempt=2, not_before=not_before))
    assert run.statuses() == {"x": target}
    assert (run.state.queued, list(run.state.retries)) == (target is Status.QUEUED, [])


def test_cases_reach_every_cell_of_the_table():
    reached = {(status, kind, target) for status, kind, target, _, _ in CASES}
    reached |= {(Status.WAITING, events.StepScheduled, target) for target in (Status.QUEUED, Status.WAITING)}
    reached |= {(Status.WAITING, kind, target) for _, kind, target, _ in WAITS}
    reached |= {(status, events.StepWaiting, Status.WAITING) for status in (Status.PENDING, Status.WAITING)}
    assert reached == {(status, kind, target) for status, kind in ALLOWED for target in TRANSITIONS[status][kind]}


def test_terminal_statuses_have_an_empty_row():
    assert {status for status in Status if not TRANSITIONS[status]} == TERMINAL
    assert {str(status) for status in Status} - {str(status) for status in TERMINAL} == {
        "pending",
        "queued",
        "running",
        "waiting",
    }


def test_target_outside_the_row_is_refused():
    run = pending()
    with pytest.raises(IllegalEventError, match="StepFailed can not make step x timed_out while it is pending"):
        run.state.apply(run.next(events.StepFailed, step="x", **{**TIMEOUT, "attempt": 0}))


@pytest.mark.parametrize(
    ("make", "id_", "kind", "fields"),
    [
        (running, "after", events.StepScheduled, {"attempt": 1}),
        (running, "after", events.StepCancelled, {"attempt": 0}),
        (running, "x", events.PipelineStarted, {"attempt": 1}),
        (unopened, "x", events.StepSucceeded, {"attempt": 1}),
        (opened, "x", events.PipelineStarted, {"attempt": 1}),
        (opened, "x", events.StepSucceeded, {"attempt": 1}),
        (opened, "x", events.StepFailed, EXIT),
        (opened, "x", events.StepCancelled, {"attempt": 1}),
        (opened, "x/last", events.StepScheduled, {"attempt": 1}),
        (waiting, "x", events.StepScheduled, {"attempt": 2}),
        (undecided, "x", events.StepStarted, {"attempt": 2, "worker": "w1"}),
        (waiting, "x", events.StepWaiting, {"attempt": 2, "kind": "sleep"}),
        (waiting, "x", events.StepSucceeded, {"attempt": 1}),
        (waiting, "x", events.ApprovalDecided, DECIDED),
        (asleep, "after", events.StepWaiting, {"attempt": 1, "kind": "sleep"}),
        (asleep, "x", events.StepScheduled, {"attempt": 2}),
        (asleep, "x", events.StepWaiting, {"attempt": 2, "kind": "sleep"}),
        (asleep, "x", events.SignalReceived, RECEIVED),
        (asleep, "x", events.ApprovalDecided, DECIDED),
        (awaiting, "x", events.StepSucceeded, {"attempt": 1}),
        (awaiting, "x", events.ApprovalDecided, DECIDED),
        (awaiting, "x", events.SignalReceived, {**RECEIVED, "signal": "other"}),
        (awaiting, "x", events.SignalReceived, {**RECEIVED, "attempt": 2}),
        (taken, "y", events.SignalReceived, RECEIVED),
        (taken, "x", events.SignalReceived, {**RECEIVED, "revision": 8}),
        (asking, "x", events.SignalReceived, RECEIVED),
        (decided, "x", events.ApprovalDecided, DECIDED),
        (unasked, "x", events.StepScheduled, {"attempt": 2}),
        (unasked, "x", events.StepWaiting, {"attempt": 2, "kind": "sleep"}),
        (unasked, "x", events.ApprovalDecided, DECIDED),
        (lambda: Playbook(plan(step("x"), last=(step("z"),))), "z", events.StepScheduled, {"attempt": 1}),
    ],
)
def test_event_before_its_time(make: Callable[[], Playbook], id_: str, kind: type[Event], fields: dict[str, Any]):
    run = make()
    with pytest.raises(IllegalEventError, match=rf"{kind.__name__} can not happen to step {id_}, which is \w+, now"):
        run.state.apply(run.next(kind, step=id_, **fields))


def test_gap_is_refused_and_named():
    run = queued()
    with pytest.raises(IllegalEventError, match=r"event 5 \(StepStarted\) follows on event 2: the journal has a gap"):
        run.state.apply(moved(run.next(events.StepStarted, step="x", attempt=1, worker="w1"), 2))
    with pytest.raises(IllegalEventError, match="follows on event 2"):
        run.state.apply(moved(run.next(events.StepStarted, step="x", attempt=1, worker="w1"), -1))


def test_unknown_step_is_named():
    run = queued()
    with pytest.raises(IllegalEventError, match="names a step that the plan does not have: z"):
        run.state.apply(run.next(events.StepStarted, step="z", attempt=1, worker="w1"))


def test_nothing_follows_on_the_end_and_a_run_begins_once():
    run = queued()
    with pytest.raises(IllegalEventError, match=r"RunStarted\) can not happen in a run that has begun"):
        run.state.apply(moved(run.events[0], run.state.seq))
    run.run("x")
    run.run("after")
    with pytest.raises(IllegalEventError, match=r"CancelRequested\) can not happen in a run that has ended"):
        run.cancel()


def test_fold_asks_for_a_beginning():
    run = queued()
    with pytest.raises(IllegalEventError, match="the journal is empty"):
        fold([])
    with pytest.raises(IllegalEventError, match="not with StepScheduled as event 2"):
        fold(run.events[1:])
    with pytest.raises(IllegalEventError, match="not with RunStarted as event 2"):
        fold([moved(run.events[0], 1)])


def test_illegal_event_is_a_damaged_journal():
    assert issubclass(IllegalEventError, JournalError)
    assert IllegalEventError.exit_code == 5


def test_times_are_those_of_the_events():
    run = Playbook(plan(step("x", retries=1)))
    for at, act in [(1001.0, run.start), (1002.0, run.fail), (1003.0, run.start), (1005.0, run.succeed)]:
        run.now = at
        act("x")
    x = run.state.steps["x"]
    assert (x.first_started_at, x.started_at, x.ended_at, run.state.at) == (1001.0, 1003.0, 1005.0, 1005.0)
