"""Given these events, expect those decisions."""

import pytest
from playbook import Playbook, plan, step

from dagnats.core.events import CancelledBy, Reason
from dagnats.core.pipeline import Retry


def test_chain_runs_one_after_the_other():
    run = Playbook(plan(step("a"), step("b", "a"), step("c", "b")))
    assert run.first == ["schedule a"]
    assert run.start("a") == ["start a"]
    assert run.succeed("a") == ["succeed a", "schedule b"]
    assert run.run("b") == ["start b", "succeed b", "schedule c"]
    assert run.run("c") == ["start c", "succeed c", "finish succeeded"]


def test_diamond_joins_when_both_sides_ended():
    run = Playbook(plan(step("a"), step("left", "a"), step("right", "a"), step("join", "left", "right")))
    assert run.run("a") == ["start a", "succeed a", "schedule left", "schedule right"]
    assert run.run("right") == ["start right", "succeed right"]
    assert run.run("left") == ["start left", "succeed left", "schedule join"]
    assert run.run("join")[-1] == "finish succeeded"


def test_as_many_wait_in_the_queue_as_may_run_and_the_order_is_the_file_s():
    run = Playbook(plan(*(step(id_) for id_ in "abcdef")), max_parallel=2)
    assert run.first == ["schedule a", "schedule b", "schedule c", "schedule d"]
    assert run.start("b") == ["start b"]
    assert run.start("a") == ["start a"]
    assert run.succeed("b") == ["succeed b", "schedule e"]
    assert run.succeed("a") == ["succeed a", "schedule f"]


def test_failure_blocks_all_behind_it_and_names_the_one_that_failed():
    run = Playbook(plan(step("a"), step("b", "a"), step("c", "b"), step("other")))
    run.start("a")
    assert run.fail("a") == ["fail a exit", "block b by a", "block c by a"]
    assert run.run("other")[-1] == "finish failed"
    assert run.statuses() == {"a": "failed", "b": "blocked", "c": "blocked", "other": "succeeded"}


def test_blocked_names_each_culprit_once():
    run = Playbook(plan(step("a"), step("b"), step("c", "a"), step("d", "a", "b", "c")))
    for id_ in ("a", "b"):
        run.start(id_)
    assert run.fail("a") == ["fail a exit", "block c by a"]
    assert run.fail("b") == ["fail b exit", "block d by a b", "finish failed"]


def test_false_condition_skips_and_what_follows_runs():
    run = Playbook(plan(step("a", when="false"), step("b", "a")))
    assert run.first == ["skip a", "schedule b"]
    assert run.run("b")[-1] == "finish succeeded"


def test_true_condition_runs():
    assert Playbook(plan(step("a", when="true"))).first == ["schedule a"]


def test_condition_that_can_not_be_evaluated_fails_its_step():
    run = Playbook(plan(step("a", when="broken"), step("b", "a")))
    assert run.first == ["fail a template", "block b by a", "finish failed"]
    assert run.state.steps["a"].attempt == 0


def test_broken_condition_with_allow_failure_is_a_warning():
    run = Playbook(plan(step("a", when="broken", allow_failure=True), step("b", "a")))
    assert run.first == ["fail a template", "schedule b"]
    assert run.statuses()["a"] == "warning"


@pytest.mark.parametrize(
    ("when", "after_success", "after_failure"),
    [
        (None, "schedule b", "block b by a"),
        ("success()", "schedule b", "skip b"),
        ("failure()", "skip b", "schedule b"),
        ("always()", "schedule b", "schedule b"),
        ("cancelled()", "skip b", "skip b"),
        ("always() and false", "skip b", "skip b"),
    ],
)
def test_status_functions(when: str | None, after_success: str, after_failure: str):
    well = Playbook(plan(step("a"), step("b", "a", when=when)))
    assert well.run("a")[2] == after_success
    badly = Playbook(plan(step("a"), step("b", "a", when=when)))
    badly.start("a")
    assert badly.fail("a")[1] == after_failure


def test_failure_reaches_through_a_blocked_step():
    run = Playbook(plan(step("a"), step("b", "a"), step("report", "b", when="failure()")))
    run.start("a")
    assert run.fail("a") == ["fail a exit", "block b by a", "schedule report"]
    assert run.run("report")[-1] == "finish failed"


def test_allowed_failure_is_a_warning_and_taints_nothing():
    run = Playbook(plan(step("a", allow_failure=True), step("b", "a"), step("c", "a", when="failure()")))
    run.start("a")
    assert run.fail("a") == ["fail a exit", "schedule b", "skip c"]
    assert run.run("b")[-1] == "finish succeeded"
    assert run.statuses()["a"] == "warning"


def test_timeout_is_a_status_of_its_own():
    run = Playbook(plan(step("a"), step("b")))
    run.start("a")
    run.start("b")
    run.fail("a", Reason.TIMEOUT)
    run.fail("b", Reason.IDLE_TIMEOUT)
    assert run.statuses() == {"a": "timed_out", "b": "timed_out"}
    assert run.state.outcome == "failed"


def test_finally_runs_after_all_steps_in_its_own_order():
    run = Playbook(plan(step("a"), step("b"), last=(step("x"), step("y", "x"))))
    assert run.run("a") == ["start a", "succeed a"]
    assert run.run("b") == ["start b", "succeed b", "schedule x"]
    assert run.run("x") == ["start x", "succeed x", "schedule y"]
    assert run.run("y")[-1] == "finish succeeded"


def test_finally_runs_after_a_failure_and_its_own_failure_fails_the_run():
    run = Playbook(plan(step("a"), last=(step("x"), step("y", "x"))))
    assert run.run("a")[-1] == "schedule x"
    run.start("x")
    assert run.fail("x") == ["fail x exit", "schedule y"]
    assert run.run("y")[-1] == "finish failed"


def test_finally_condition_sees_the_whole_run():
    run = Playbook(plan(step("a"), last=(step("x", when="failure()"), step("y", when="success()"))))
    run.start("a")
    assert run.fail("a") == ["fail a exit", "schedule x", "skip y"]


def test_fail_fast_cancels_the_rest_once():
    run = Playbook(plan(step("a"), step("b"), step("c"), last=(step("x"),), fail_fast=True), max_parallel=2)
    run.start("a")
    run.start("b")
    assert run.fail("a") == ["fail a exit", "cancel run by fail_fast", "cancel c"]
    assert run.stopped("b") == ["cancel b", "schedule x"]
    assert run.run("x")[-1] == "finish failed"


def test_fail_fast_waits_for_the_last_attempt():
    run = Playbook(plan(step("a", retries=1), step("b"), fail_fast=True))
    run.start("a")
    assert run.fail("a") == ["fail a exit", "schedule a 2"]
    run.start("a")
    assert run.fail("a") == ["fail a exit", "cancel run by fail_fast", "cancel b", "finish failed"]


def test_fail_fast_does_not_reach_into_finally():
    run = Playbook(plan(step("a"), last=(step("x"), step("y", "x")), fail_fast=True))
    run.run("a")
    run.start("x")
    assert run.fail("x") == ["fail x exit", "schedule y"]
    assert run.run("y")[-1] == "finish failed"


def test_outputs_are_in_the_last_event():
    run = Playbook(plan(step("a")))
    run.start("a")
    run.succeed("a", outputs={"n": 3}, output_bytes=7)
    assert run.state.finished is not None
    assert run.state.finished.outputs == {"a": {"n": 3}}


@pytest.mark.parametrize(
    ("by", "outcome"),
    [
        (CancelledBy.SIGNAL, "cancelled"),
        (CancelledBy.TIMEOUT, "timed_out"),
    ],
)
def test_cancel_of_a_queued_step(by: CancelledBy, outcome: str):
    run = Playbook(plan(step("a"), step("b", "a")))
    assert run.cancel(by) == [f"cancel run by {by}", "cancel a", "cancel b", f"finish {outcome}"]


@pytest.mark.parametrize("when", [None, "true", "success()"])
def test_cancelled_run_begins_no_step_that_asks_for_success(when: str | None):
    run = Playbook(plan(step("a"), step("queued"), step("b", when=when)), max_parallel=1)
    run.start("a")
    assert run.cancel() == ["cancel run by signal", "cancel queued", "cancel b"]
    assert run.succeed("a") == ["succeed a", "finish cancelled"]


def test_cancel_of_a_running_step_waits_for_its_worker():
    run = Playbook(plan(step("a"), step("b", "a"), last=(step("x"),)))
    run.start("a")
    assert run.cancel() == ["cancel run by signal"]
    assert run.stopped("a") == ["cancel a", "cancel b", "schedule x"]
    assert run.run("x")[-1] == "finish cancelled"


def test_cancel_of_a_waiting_step():
    run = Playbook(plan(step("a", retry=Retry(max_attempts=2, initial_delay_s=60.0)), step("b")))
    run.start("a")
    assert run.fail("a") == ["fail a exit", "schedule a 2 after 60s"]
    assert run.statuses()["a"] == "waiting"
    assert run.cancel() == ["cancel run by signal", "cancel b", "cancel a", "finish cancelled"]


def test_step_that_fails_while_the_run_is_cancelled_is_not_tried_again():
    run = Playbook(plan(step("a", retries=3)))
    run.start("a")
    run.cancel()
    assert run.fail("a") == ["fail a exit", "finish cancelled"]
    assert run.statuses() == {"a": "failed"}


def test_step_that_succeeds_while_the_run_is_cancelled_succeeded():
    run = Playbook(plan(step("a"), step("b", "a")))
    run.start("a")
    run.cancel()
    assert run.succeed("a") == ["succeed a", "cancel b", "finish cancelled"]


def test_always_runs_in_a_cancelled_run():
    run = Playbook(plan(step("a"), step("b", "a", when="always()"), step("c", "a", when="cancelled()")))
    run.start("a")
    run.cancel()
    assert run.stopped("a") == ["cancel a", "schedule b", "schedule c"]


def test_step_whose_question_is_answered_no_is_cancelled_with_the_run():
    run = Playbook(plan(step("a"), step("b", "a", when="failure()")))
    run.start("a")
    run.cancel()
    assert run.stopped("a") == ["cancel a", "cancel b", "finish cancelled"]


def test_cancel_leaves_finally_alone():
    run = Playbook(plan(step("a"), last=(step("x", retries=1), step("y", "x"))))
    run.run("a")
    run.start("x")
    assert run.cancel() == ["cancel run by signal"]
    assert run.fail("x") == ["fail x exit", "schedule x 2"]
    assert run.run("x")[-1] == "schedule y"
    assert run.run("y")[-1] == "finish cancelled"


def test_force_ends_finally_too():
    run = Playbook(plan(step("a"), last=(step("x"), step("y"), step("z", "x"))))
    run.run("a")
    run.start("x")
    assert run.cancel() == ["cancel run by signal"]
    assert run.cancel(force=True) == ["cancel run by signal", "cancel y"]
    assert run.stopped("x") == ["cancel x", "cancel z", "finish cancelled"]


def test_force_in_steps_starts_no_finally():
    run = Playbook(plan(step("a"), step("b", "a", when="always()"), last=(step("x"),)))
    assert run.cancel(force=True) == ["cancel run by signal", "cancel a", "cancel b", "cancel x", "finish cancelled"]
