"""Which reports of workers count: late, repeated and stale ones are refused with a reason, and change nothing."""

import pytest
from playbook import Playbook, line, plan, step

from dagnats.core.decide import Failed, Report, Started, Stopped, Succeeded, admit
from dagnats.core.events import Reason
from dagnats.core.pipeline import Retry


def reports(id_: str, attempt: int, worker: str = "w1") -> list[Report]:
    who = {"step": id_, "attempt": attempt, "worker": worker}
    return [
        Started(**who),
        Succeeded(**who),
        Failed(**who, reason=Reason.EXIT, message="ended with 1", exit_code=1),
        Stopped(**who),
    ]


def refusals(run: Playbook, told: list[Report]) -> list[str]:
    """Give why each is refused, all against one state."""
    answers = [admit(run.state, report, at=run.now, jitter=0.0) for report in told]
    assert [event for event, _ in answers] == [None] * len(told)
    return [why for _, why in answers]


def test_repeated_start_by_the_holder_is_nothing_new_and_no_refusal():
    run = Playbook(plan(step("a")))
    run.start("a")
    assert refusals(run, reports("a", 1)[:1]) == [""]


def test_end_of_an_attempt_that_was_never_started():
    run = Playbook(plan(step("a")))
    assert refusals(run, reports("a", 1)[1:]) == ["the attempt was never started"] * 3


@pytest.mark.parametrize("attempt", [0, 1, 3])
def test_report_of_another_attempt(attempt: int):
    run = Playbook(plan(step("a", retries=2)))
    run.start("a")
    run.fail("a")
    run.start("a")
    expected = f"attempt {attempt} of a step that is running in attempt 2"
    assert refusals(run, reports("a", attempt)) == [expected] * 4


def test_report_on_a_step_that_ended():
    run = Playbook(plan(step("a"), step("b")))
    run.run("a")
    assert refusals(run, reports("a", 1)) == ["attempt 1 of a step that is succeeded in attempt 1"] * 4


def test_report_on_a_step_that_has_not_begun():
    run = Playbook(plan(step("a"), step("b", "a")))
    assert refusals(run, reports("b", 1)) == ["attempt 1 of a step that is pending in attempt 0"] * 4


def test_report_on_an_attempt_that_failed_before_the_next_was_decided():
    run = Playbook(plan(step("a", retries=1)))
    run.start("a")
    failed, _ = admit(run.state, reports("a", 1)[2], at=run.now, jitter=0.0)
    assert failed is not None
    run.state.apply(failed)
    assert refusals(run, reports("a", 1)) == ["attempt 1 of a step that is waiting in attempt 1"] * 4


def test_report_after_the_end_of_the_run():
    run = Playbook(plan(step("a")))
    run.run("a")
    assert refusals(run, reports("a", 1)) == ["the run has ended"] * 4


def test_report_on_a_step_of_no_plan():
    run = Playbook(plan(step("a")))
    assert refusals(run, reports("z", 1)) == ["the plan has no such step"] * 4


def test_second_worker_s_start_shows_that_the_first_is_lost():
    run = Playbook(plan(step("a", retries=1)))
    run.start("a", "w1")
    assert run.start("a", "w2") == ["fail a lost", "schedule a 2"]
    failure = run.state.steps["a"].failure
    assert failure is not None
    assert failure.message == "worker w1 stopped answering"
    assert run.start("a", "w2", attempt=1) == ["refused: attempt 1 of a step that is queued in attempt 2"]
    assert run.start("a", "w2") == ["start a"]


def test_lost_worker_without_another_attempt_fails_the_step():
    run = Playbook(plan(step("a")))
    run.start("a", "w1")
    assert run.start("a", "w2") == ["fail a lost", "finish failed"]


def test_end_by_a_worker_that_does_not_hold_the_attempt():
    run = Playbook(plan(step("a")))
    run.start("a", "w1")
    assert refusals(run, reports("a", 1, "w2")[1:]) == ["the attempt is held by w1"] * 3


def test_what_a_lost_worker_still_says_is_refused():
    run = Playbook(plan(step("a", retries=1)))
    run.start("a", "w1")
    run.start("a", "w2")
    run.start("a", "w2")
    late = run.succeed("a", "w1", attempt=1)
    assert late == ["refused: attempt 1 of a step that is running in attempt 2"]
    assert run.succeed("a", "w2")[-1] == "finish succeeded"


def test_waiting_attempt_may_start():
    run = Playbook(plan(step("a", retry=Retry(max_attempts=2, initial_delay_s=5.0))))
    run.start("a")
    run.fail("a")
    assert run.statuses() == {"a": "waiting"}
    assert run.start("a") == ["start a"]


def test_start_that_crosses_a_cancel_is_refused():
    run = Playbook(plan(step("a"), step("b")))
    run.start("b")
    run.cancel()
    assert run.start("a") == ["refused: attempt 1 of a step that is cancelled in attempt 1"]


def test_end_carries_what_the_report_says():
    run = Playbook(plan(step("a")))
    run.start("a")
    run.now = 1004.0
    report = Succeeded(step="a", attempt=1, worker="w1", outputs={"n": 1}, output_bytes=9, dropped_bytes=2)
    event, _ = admit(run.state, report, at=run.now, jitter=0.3)
    assert event == run.next(type(event), step="a", attempt=1, outputs={"n": 1}, output_bytes=9, dropped_bytes=2)
    failed, _ = admit(run.state, reports("a", 1)[2], at=run.now, jitter=0.3)
    assert line(failed) == "fail a exit"
    assert (failed.jitter, failed.exit_code, failed.message) == (0.3, 1, "ended with 1")
