"""Why a step is as it is: events in, records and sentences out."""

import pytest
from msgspec.structs import replace
from stories import Story

from dagnats.core import events
from dagnats.core.events import CancelledBy, Outcome, Reason
from dagnats.core.pipeline import FanOut, Pipeline, Retry, Step, Wait
from dagnats.report.facts import Facts, first
from dagnats.report.reasons import because
from dagnats.report.said import sentences
from dagnats.report.style import Style


def story(*steps: Step, last: tuple[Step, ...] = (), max_parallel: int = 9, **more) -> Story:
    plan = Pipeline(name="ci", file="ci.yaml", steps=steps, finally_steps=last, **more)
    return Story(plan, max_parallel)


def step(id_: str, *needs: str, **more) -> Step:
    return Step(id=id_, needs=needs, run=None if "pipeline" in more or "wait" in more else "true", **more)


def said(told: Story, id_: str, now: float | None = None) -> list[str]:
    return list(sentences(because(Facts(told.events, now), id_), Style()))


def kinds(told: Story, id_: str) -> list[tuple[str, str, int]]:
    return [(one.step, one.kind, one.depth) for one in because(Facts(told.events), id_)]


def test_a_skipped_step_says_what_its_condition_has_seen():
    told = story(step("deploy", condition="git.branch == 'main'"))
    told.tell(events.StepSkipped, step="deploy", condition="git.branch == 'main'", values={"git.branch": "topic"})
    assert said(told, "deploy") == [
        "deploy was skipped: its `if` git.branch == 'main' was false (git.branch is 'topic')",
    ]
    (reason, _) = because(Facts(told.events), "deploy")
    assert reason.data == {"condition": "git.branch == 'main'", "values": {"git.branch": "topic"}}


def test_a_skip_of_an_older_journal_says_what_it_knows():
    told = story(step("a", condition="params.x and failure()"))
    told.tell(events.StepSkipped, step="a", condition="params.x and failure()")
    assert said(told, "a")[0] == "a was skipped: its `if` params.x and failure() was false"


def test_a_step_that_mends_says_that_nothing_was_broken():
    told = story(step("build"), step("mend", "build", handles="build"))
    told.start("build")
    told.succeed("build")
    told.tell(events.StepSkipped, step="mend", condition="build failed")
    assert said(told, "mend")[0] == "mend was skipped: it takes care of a failure of build, which succeeded"


def test_a_chain_of_blocked_steps_leads_to_the_first_cause():
    told = story(step("unit"), step("pack", "unit"), step("sign", "pack"), step("ship", "sign"))
    told.start("unit")
    told.fail("unit", "exit code 3")
    for id_ in ("pack", "sign", "ship"):
        told.tell(events.StepBlocked, step=id_, by=("unit",))
    assert said(told, "ship")[:2] == [
        "ship was blocked: it needs sign, which needs pack, which needs unit, which did not succeed",
        "  unit failed after 1.0s: exit code 3",
    ]
    assert kinds(told, "ship")[:2] == [("ship", "blocked", 0), ("unit", "failed", 1)]
    assert because(Facts(told.events), "ship")[0].data["path"] == [["sign", "pack"]]


def test_several_culprits_are_all_followed():
    told = story(step("a"), step("b"), step("c", "a", "b"))
    for id_ in ("a", "b"):
        told.start(id_)
        told.fail(id_, f"{id_} broke")
    told.tell(events.StepBlocked, step="c", by=("a", "b"))
    assert said(told, "c")[:3] == [
        "c was blocked: it needs a; it needs b; these did not succeed",
        "  a failed after 1.0s: a broke",
        "  b failed after 1.0s: b broke",
    ]


def test_retries_say_what_each_followed_on():
    told = story(step("flaky", retry=Retry(max_attempts=3, initial_delay_s=5.0)))
    told.start("flaky")
    told.fail("flaky", "exit code 3")
    told.tell(events.StepScheduled, step="flaky", attempt=2, not_before=told.state.at + 5)
    told.tell(events.StepStarted, step="flaky", attempt=2, worker="w")
    told.fail("flaky", "killed by SIGKILL", attempt=2, reason=Reason.SIGNAL)
    told.start("flaky", 3)
    told.succeed("flaky", 3)
    assert said(told, "flaky")[:3] == [
        "flaky succeeded in attempt 3 of 3 after 7.0s",
        "  attempt 1 failed after 1.0s: exit code 3; attempt 2 followed, 5.0s later",
        "  attempt 2 failed after 1.0s: killed by SIGKILL; attempt 3 followed at once",
    ]
    assert "  it waited 2.0s for the delay of its retry" in said(told, "flaky")


@pytest.mark.parametrize(
    ("retry", "reason", "words"),
    [
        (Retry(max_attempts=1), Reason.EXIT, ""),
        (Retry(max_attempts=3, on=(7,)), Reason.EXIT, "; `retry.on` does not name that"),
        (Retry(max_attempts=3), Reason.TEMPLATE, "; another attempt would have failed alike"),
        (Retry(max_attempts=3, on=("lost",)), Reason.IDLE_TIMEOUT, "; `retry.on` does not name that"),
    ],
)
def test_a_failure_that_was_not_tried_again_says_why(retry, reason, words):
    told = story(step("a", retry=retry))
    told.start("a")
    told.fail("a", "it broke", reason=reason)
    assert said(told, "a")[0].endswith(f"it broke{words}")


def test_a_timeout_says_which():
    told = story(step("slow"))
    told.start("slow")
    told.fail("slow", "ran longer than its timeout of 5s", reason=Reason.TIMEOUT)
    assert said(told, "slow")[0] == "slow timed out after 1.0s: ran longer than its timeout of 5s"


def test_a_mutex_says_who_held_it():
    told = story(step("a", mutex="db"), step("b", mutex="db"))
    told.start("a")
    told.succeed("a")
    told.start("b")
    told.succeed("b")
    assert "  it waited 3.0s for the mutex db, which a held" in said(told, "b")


def test_a_place_says_how_many_there_are_and_who_had_them():
    told = story(step("a"), step("b"), max_parallel=1)
    told.start("a")
    told.tell(events.StepScheduled, step="b", attempt=1)
    told.succeed("a")
    told.tell(events.StepStarted, step="b", attempt=1, worker="w")
    assert "  it waited 4.0s for a place: 1 may run at once, and a did" in said(told, "b")


def test_needs_say_which_ended_last():
    told = story(step("a"), step("b"), step("c", "b", "a"))
    for id_ in ("a", "b", "c"):
        told.start(id_)
        told.succeed(id_)
    waited = [one for one in because(Facts(told.events), "c") if one.kind == "waited"]
    assert waited[0].data == {"for": "needs", "by": ["a", "b"], "since_s": 0.0, "took_s": 6.0}
    assert said(told, "c")[1] == "  it waited 6.0s for what it needs: b ended last"


def test_instances_name_those_that_failed_and_wait_for_a_place():
    told = story(step("cells", fan_out=FanOut(items=("x", "y"), max_parallel=1)))
    told.tell(events.StepExpanded, step="cells", items=("x", "y"))
    told.start("cells[x]")
    told.fail("cells[x]")
    told.start("cells[y]")
    told.succeed("cells[y]")
    assert said(told, "cells")[:2] == [
        "cells failed: of its 2 instances, 1 failed, 1 succeeded",
        "  cells[x] failed after 1.0s: exit code 3",
    ]
    assert "  it waited 3.0s for a place of its instances: 1 may run at once, and cells[x] did" in said(
        told, "cells[y]"
    )


def test_a_failure_inside_of_a_pipeline_is_followed():
    inner = Pipeline(name="in", file="in.yaml", steps=(step("a"), step("b", "a")))
    told = story(step("deploy", pipeline="in.yaml"), pipelines={"in.yaml": inner})
    told.start("deploy")
    told.tell(events.PipelineStarted, step="deploy", attempt=1)
    told.start("deploy/a")
    told.fail("deploy/a")
    told.tell(events.StepBlocked, step="deploy/b", by=("deploy/a",))
    told.tell(events.StepFailed, step="deploy", attempt=1, reason=Reason.PIPELINE, message="deploy/a failed")
    assert said(told, "deploy")[:2] == [
        "deploy failed after 6.0s: deploy/a failed",
        "  deploy/a failed after 1.0s: exit code 3",
    ]


def test_what_was_cancelled_says_by_whom_and_why():
    told = story(step("a"), step("b", "a"))
    told.start("a")
    told.tell(events.CancelRequested, by=CancelledBy.SIGNAL, why="received SIGINT", signal=2)
    told.tell(events.StepCancelled, step="a", attempt=1)
    told.tell(events.StepCancelled, step="b", attempt=0)
    assert said(told, "a")[0] == "a was cancelled after 2.0s: received SIGINT"
    assert said(told, "b")[0] == "b was cancelled before it started: received SIGINT"
    assert because(Facts(told.events), "a")[0].data["signal"] == 2


def test_what_fail_fast_stopped_names_the_failure():
    told = story(step("a"), step("b"), fail_fast=True)
    told.start("a")
    told.start("b")
    told.fail("b", "exit code 3")
    told.tell(events.CancelRequested, by=CancelledBy.FAIL_FAST, why="a step failed and fail_fast is set")
    told.tell(events.StepCancelled, step="a", attempt=1)
    told.finish(Outcome.FAILED)
    assert said(told, "a")[:2] == [
        "a was cancelled after 5.0s: a step failed and fail_fast is set",
        "  b failed after 1.0s: exit code 3",
    ]


def test_a_crash_is_no_failure():
    told = story(step("a"))
    told.start("a")
    told.tell(events.RunResumed)
    told.tell(events.StepInterrupted, step="a", attempt=1)
    told.start("a", 2)
    told.succeed("a", 2)
    assert said(told, "a")[:2] == [
        "a succeeded after 5.0s",
        "  attempt 1 was interrupted, as the runner had ended; attempt 2 followed when the run was resumed",
    ]


def test_an_approval_says_what_it_asks_and_who_decided():
    told = story(step("gate", wait=Wait("approval", prompt="Deploy?")))
    told.tell(events.StepWaiting, step="gate", attempt=1, kind="approval", prompt="Deploy?")
    assert said(told, "gate", told.state.at + 60) == [
        "gate waits for an approval: Deploy? (1m00s until now); dagnats approve brave-otter-3 gate",
    ]
    told.tell(events.ApprovalDecided, step="gate", attempt=1, approved=True, decided_at=1002.0, by="ada", why="tested")
    told.succeed("gate")
    assert said(told, "gate") == [
        "gate succeeded after 2.0s",
        "  it was approved by ada: tested",
        "  it waited 2.0s for an approval: Deploy?",
    ]


def test_a_signal_says_who_sent_it():
    told = story(step("go", wait=Wait("signal", signal="staged")))
    told.tell(events.StepWaiting, step="go", attempt=1, kind="signal", signal="staged")
    told.tell(events.SignalReceived, step="go", attempt=1, signal="staged", revision=1, sent_at=1002.0, by="bob")
    told.succeed("go")
    assert said(told, "go")[1:] == [
        "  the signal staged was sent by bob",
        "  it waited 2.0s for the signal staged",
    ]


def test_a_rerun_says_what_was_reused_and_why_the_rest_was_not():
    rerun = events.Rerun(
        run="calm-owl-1",
        mode="failed",
        reused={"build": events.Reusable(run="calm-owl-1", seq=7)},
        again={"test": events.Again("ended", ("failed",))},
    )
    told = story(step("build"), step("test", "build"), step("ship", "test"))
    told.events[0] = replace(told.events[0], rerun=rerun)
    told.tell(events.StepReused, step="build", from_run="calm-owl-1", from_seq=7)
    told.start("test")
    told.succeed("test")
    assert said(told, "build") == [
        "build did not run: it succeeded in run calm-owl-1, and that still holds (event 7 there)",
    ]
    assert said(told, "test")[:2] == [
        "test succeeded after 1.0s",
        "  it was not reused from run calm-owl-1: failed in calm-owl-1",
    ]


def test_a_run_that_goes_on_says_what_holds_a_step_up():
    told = story(step("a"), step("b", "a"), step("c", "b"), last=(step("z"),))
    told.start("a")
    now = told.state.at + 10
    assert said(told, "c", now) == [
        "c waits for what it needs: b (12.0s until now)",
        "  b waits for what it needs: a (12.0s until now)",
        "    a runs: for 10.0s until now",
    ]
    assert said(told, "z", now)[0] == "z waits for all steps to end, as it is of `finally` (12.0s until now)"


def test_the_first_events_alone_tell_of_that_moment():
    told = story(step("a"), step("b", "a"))
    told.start("a")
    told.succeed("a")
    moment = first(told.events, 3)
    facts = Facts(moment.events, moment.now)
    assert [one.kind for one in because(facts, "b")] == ["waiting", "running"]
    assert facts.timing(facts.state.steps["a"]).took_s == 0.0


def test_text_of_a_message_can_not_steer_the_terminal():
    told = story(step("a"))
    told.start("a")
    told.fail("a", "\x1b[2Jgone\nnext")
    assert said(told, "a")[0] == "a failed after 1.0s:  [2Jgone next"
