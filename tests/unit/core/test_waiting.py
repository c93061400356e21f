"""Steps that wait: what is decided when they are ready, when they are answered, when their time has come, and when the run is cancelled."""

from typing import Any

import pytest
from playbook import Playbook, plan, step

from dagnats.core.events import CancelledBy
from dagnats.core.pipeline import FanOut, Retry, Wait
from dagnats.core.waiting import Posted, answer, only_waits
from dagnats.core.waits import approval_key, is_signal

SLEEP = Wait("sleep", duration_s=5.0)
GO = Wait("signal", signal="go")
ASK = Wait("approval", prompt="well?")


def sleeping(id_: str = "x", *needs: str, **more: Any):
    return step(id_, *needs, wait=SLEEP, **more)


def awaiting(id_: str = "x", *needs: str, **more: Any):
    return step(id_, *needs, wait=GO, **more)


def asking(id_: str = "x", *needs: str, **more: Any):
    return step(id_, *needs, wait=ASK, **more)


def test_sleep_is_over_at_its_time_and_not_before():
    run = Playbook(plan(sleeping(), step("y", "x")))
    assert run.first == ["wait x for 5s"]
    run.now = 1004.9
    assert run.elapse("x") == []
    run.now = 1005.0
    assert run.elapse("x") == ["succeed x", "schedule y"]
    assert run.elapse("x") == []


def test_what_comes_as_an_object_is_the_outputs_and_all_else_has_a_name():
    run = Playbook(plan(awaiting("a"), awaiting("b"), awaiting("c")))
    assert run.first == ["wait a", "wait b", "wait c"]
    assert run.post("go", {"version": "1.2"}) == ["receive a", "succeed a"]
    assert run.post("go", [1]) == ["receive b", "succeed b"]
    assert run.post("go") == ["receive c", "succeed c", "finish succeeded"]
    outputs = [run.state.steps[id_].outputs for id_ in "abc"]
    assert outputs == [{"version": "1.2"}, {"payload": [1]}, {"payload": None}]


def test_signal_that_came_before_counts_and_each_counts_once():
    run = Playbook(plan(step("first"), awaiting("x", "first"), awaiting("y", "x")))
    assert run.post("go") == []
    assert run.run("first") == ["start first", "succeed first", "wait x", "receive x", "succeed x", "wait y"]
    assert run.post("other") == []
    assert run.post("go") == ["receive y", "succeed y", "finish succeeded"]
    assert run.state.awaited.taken == {1, 3}


def test_signal_that_was_taken_is_not_taken_again_by_who_reads_the_journal():
    run = Playbook(plan(awaiting("x"), awaiting("y")))
    run.post("go")
    state = run.folded()
    assert answer(state, run.posted, 1.0) is None
    run.posted["go"].append(Posted("go", 9, 1.0, "", None))
    assert answer(state, run.posted, 1.0).step == "y"


@pytest.mark.parametrize("approved", [True, False])
def test_decision(approved: bool):
    run = Playbook(plan(asking(), step("y", "x")))
    told = run.approve("x", "too late", approved=approved)
    end = ["succeed x", "schedule y"] if approved else ["fail x rejected", "block y by x", "finish failed"]
    assert told == ["decide x", *end]
    x = run.state.steps["x"]
    assert dict(x.outputs) == {"by": "anna", "why": "too late"}
    assert approved or x.failure.message == "rejected by anna: too late"


def test_no_is_an_answer_and_not_tried_again_but_may_be_allowed():
    run = Playbook(plan(asking(retry=Retry(max_attempts=3), allow_failure=True), step("y", "x")))
    assert run.approve("x", approved=False) == ["decide x", "fail x rejected", "schedule y"]
    assert run.statuses()["x"] == "warning"


def test_decision_before_it_is_asked_is_the_answer_then():
    run = Playbook(plan(step("first"), asking("x", "first")))
    assert run.approve("x") == []
    assert run.run("first")[2:] == ["wait x", "decide x", "succeed x", "finish succeeded"]


@pytest.mark.parametrize(
    ("one", "message"),
    [
        (asking(timeout_s=3.0), "nobody decided within its timeout of 3s"),
        (awaiting(timeout_s=3.0), "nobody sent the signal go within its timeout of 3s"),
    ],
)
def test_timeout(one: Any, message: str):
    run = Playbook(plan(one))
    assert run.first == ["wait x for 3s"]
    run.now = 1003.0
    assert run.elapse("x") == ["fail x timeout", "finish failed"]
    assert (run.state.steps["x"].failure.message, run.statuses()["x"]) == (message, "timed_out")


def test_timeout_is_tried_again_without_a_delay_and_waits_as_long():
    retry = Retry(max_attempts=2, initial_delay_s=60.0, on=("timeout",))
    run = Playbook(plan(asking(timeout_s=3.0, retry=retry)))
    run.now = 1003.0
    assert run.elapse("x") == ["fail x timeout", "wait x for 3s"]
    assert run.elapse("x", 1) == [], "the time of the first attempt says nothing of the second"
    assert run.approve("x") == ["decide x", "succeed x", "finish succeeded"]


def test_wait_takes_no_place():
    run = Playbook(plan(step("a"), step("b"), step("c"), sleeping("x"), asking("y")), max_parallel=1)
    assert run.first == ["wait x for 5s", "wait y", "schedule a", "schedule b"]
    run.start("a")
    assert run.approve("y") == ["decide y", "succeed y"]


def test_wait_takes_no_place_of_a_pipeline_either():
    inner = plan(asking("x"), asking("y"), step("z"), max_parallel=1)
    run = Playbook(plan(step("p", pipeline="i.yaml"), pipelines={"i.yaml": inner}))
    run.start("p")
    assert run.open("p") == ["open p", "wait p/x", "wait p/y", "schedule p/z"]
    run.run("p/z")
    run.approve("p/x")
    assert run.approve("p/y") == ["decide p/y", "succeed p/y", "succeed p", "finish succeeded"]


def test_instances_wait_each_for_their_own_word_as_many_as_may():
    run = Playbook(plan(asking(fan_out=FanOut(items=["a", "b", "c"], max_parallel=2)), step("y", "x")))
    assert run.first == ["expand x", "wait x[a]", "wait x[b]"]
    assert run.approve("x[b]") == ["decide x[b]", "succeed x[b]", "wait x[c]"]
    assert run.approve("x[c]") == ["decide x[c]", "succeed x[c]"]
    assert run.approve("x[a]", approved=False) == ["decide x[a]", "fail x[a] rejected", "block y by x", "finish failed"]


def test_condition_is_asked_before_it_waits():
    run = Playbook(plan(asking(when="false"), step("y", "x")))
    assert run.first == ["skip x", "schedule y"]


def test_who_takes_care_of_a_rejection():
    run = Playbook(plan(asking(), step("h", "x", handles="x")))
    assert run.approve("x", approved=False) == ["decide x", "fail x rejected", "schedule h"]


def test_mutex_is_held_while_it_waits():
    run = Playbook(plan(asking("x", mutex="m"), step("y", mutex="m")))
    assert run.first == ["wait x"]
    assert run.approve("x") == ["decide x", "succeed x", "schedule y"]


@pytest.mark.parametrize("one", [asking(), awaiting(), sleeping()])
def test_wait_is_cancelled_at_once(one: Any):
    run = Playbook(plan(one, step("y", "x"), last=(step("z"),)))
    assert run.cancel() == ["cancel run by signal", "cancel x", "cancel y", "schedule z"]
    assert run.post("go") == run.approve("x") == run.elapse("x") == []


def test_wait_of_finally_is_spared_by_a_cancellation_but_not_by_force():
    run = Playbook(plan(step("a"), last=(asking("z"),)))
    run.run("a")
    run.cancel()
    assert run.statuses()["z"] == "waiting"
    assert run.cancel(force=True) == ["cancel run by signal", "cancel z", "finish cancelled"]


def test_timeout_of_the_run_ends_a_wait():
    run = Playbook(plan(asking()))
    assert run.cancel(CancelledBy.TIMEOUT) == ["cancel run by timeout", "cancel x", "finish timed_out"]


def test_what_can_not_be_rendered_fails_before_it_waits():
    run = Playbook(plan(step("x", wait=Wait("approval", prompt="broken"))))
    assert run.first == ["fail x template", "finish failed"]


def test_run_is_left_when_only_waits_are_left_that_take_long():
    assert only_waits(Playbook(plan(asking(), step("y", "x"))).state, 1000.0)
    assert only_waits(Playbook(plan(step("x", wait=Wait("sleep", duration_s=60.0)))).state, 1000.0)
    assert not only_waits(Playbook(plan(step("x", wait=Wait("sleep", duration_s=60.0)))).state, 1055.0)
    assert not only_waits(Playbook(plan(asking(), sleeping("y"))).state, 1000.0)
    assert not only_waits(Playbook(plan(asking(), step("y"))).state, 1000.0)
    assert not only_waits(Playbook(plan(step("y"))).state, 1000.0)


def test_keys_of_approvals_are_no_names_of_signals():
    assert not is_signal(approval_key("x"))
    assert approval_key("deploy[env=prod]") == "approval.deploy%5Benv%3Dprod%5D"
    assert [is_signal(name) for name in ("go", "Go-2_x", "2go", "a.b", "", "ä", "a" * 64)] == [True, True] + [False] * 5
