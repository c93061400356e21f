"""A step that runs a pipeline: its steps are steps of the run, and what becomes of them becomes of it."""

import pytest
from playbook import Answers, Playbook, plan, step

from dagnats.core.decide import Failed, Started, Succeeded, admit, decide
from dagnats.core.events import (
    CancelledBy,
    CancelRequested,
    Outcome,
    PipelineStarted,
    Reason,
    StepFailed,
    StepSkipped,
    StepStarted,
    StepSucceeded,
)
from dagnats.core.fanout import INSTANCES_MAX
from dagnats.core.pipeline import FanOut, Retry

ONE = plan(step("a"))
TWO = plan(step("a"), step("b", "a"), last=(step("z"),))


def begun(inner=TWO, *after, max_parallel=9, **more) -> Playbook:
    """`x` runs the pipeline, which has begun."""
    run = Playbook(plan(step("x", pipeline="sub.yaml", **more), *after, pipelines={"sub.yaml": inner}), max_parallel)
    run.start("x")
    run.open("x")
    return run


def test_steps_of_the_pipeline_are_steps_of_the_run():
    run = Playbook(plan(step("x", pipeline="sub.yaml"), step("after", "x"), pipelines={"sub.yaml": TWO}))
    assert run.first == ["schedule x"]
    assert run.start("x") == ["start x"]
    assert run.open("x", params={"n": 1}, vars={"v": 2}) == ["open x", "schedule x/a"]
    assert (run.state.subruns["x"].params, run.state.subruns["x"].vars) == ({"n": 1}, {"v": 2})
    assert run.run("x/a") == ["start x/a", "succeed x/a", "schedule x/b"]
    assert run.run("x/b") == ["start x/b", "succeed x/b", "schedule x/z"]
    assert run.run("x/z") == ["start x/z", "succeed x/z", "succeed x", "schedule after"]
    assert run.run("after")[-1] == "finish succeeded"


def test_a_step_that_has_opened_its_pipeline_takes_no_place():
    run = begun(plan(step("a"), step("b"), step("c")), step("other"), max_parallel=1)
    assert list(run.state.running) == []
    assert list(run.state.dispatched) == ["other", "x/a"]


def test_outputs_of_the_pipeline_are_those_of_the_step():
    run = begun(ONE)
    run.start("x/a")
    run.succeed("x/a", outputs={"n": 1})
    ended = next(event for event in run.events if isinstance(event, StepSucceeded) and event.step == "x")
    assert ended.outputs == {"x/a": {"n": 1}}


def test_a_failure_inside_fails_the_step_when_the_pipeline_has_ended():
    run = begun(TWO, step("after", "x"))
    run.start("x/a")
    assert run.fail("x/a") == ["fail x/a exit", "block x/b by x/a", "schedule x/z"]
    assert run.run("x/z")[2:] == ["fail x pipeline", "block after by x", "finish failed"]
    failed = next(event for event in run.events if isinstance(event, StepFailed) and event.step == "x")
    assert (failed.message, failed.exit_code) == ("x/a failed", 1)


def test_failures_are_named_but_not_all_of_many():
    run = begun(plan(*(step(name) for name in "abcde")))
    for name in "abcde":
        run.start(f"x/{name}")
        run.fail(f"x/{name}")
    assert run.state.steps["x"].failure.message == "x/a, x/b, x/c and 2 more steps failed"


def test_a_step_that_may_fail_inside_does_not_fail_the_step():
    run = begun(plan(step("a", allow_failure=True)))
    run.start("x/a")
    assert run.fail("x/a") == ["fail x/a exit", "succeed x", "finish succeeded"]


@pytest.mark.parametrize("codes", [True, (1,)])
def test_the_step_itself_may_fail(codes: bool | tuple[int, ...]):
    run = begun(ONE, step("after", "x"), allow_failure=codes)
    run.start("x/a")
    assert run.fail("x/a", exit_code=3) == ["fail x/a exit", "fail x pipeline", "schedule after"]
    assert run.statuses()["x"] == "warning"


@pytest.mark.parametrize(("on", "again"), [(None, True), ((1,), True), ((2,), False), (("timeout",), False)])
def test_another_attempt_runs_the_pipeline_anew(on: tuple[int | str, ...] | None, again: bool):
    run = begun(TWO, retry=Retry(max_attempts=2, on=on))
    run.start("x/a")
    run.fail("x/a")
    told = run.run("x/z")
    assert ("schedule x 2" in told) is again
    if again:
        run.start("x")
        assert run.open("x") == ["open x", "schedule x#2/a"]
        assert list(run.statuses()) == ["x", "x#2/a", "x#2/b", "x#2/z"]
        assert run.start("x/a", attempt=1) == ["refused: the plan has no such step"]
        run.run("x#2/a")
        run.run("x#2/b")
        assert run.run("x#2/z")[-1] == "finish succeeded"


def test_the_delay_of_another_attempt_is_counted_from_the_failure():
    run = begun(ONE, retry=Retry(max_attempts=2, initial_delay_s=60.0))
    run.start("x/a")
    assert run.fail("x/a")[-1] == "schedule x 2 after 60s"


def test_cancelling_the_run_cancels_inside_and_its_finally_still_runs():
    run = begun(TWO, step("after", "x"))
    run.start("x/a")
    assert run.cancel() == ["cancel run by signal"]
    assert list(run.state.stopping) == ["x/a"]
    assert run.stopped("x/a") == ["cancel x/a", "cancel x/b", "schedule x/z"]
    assert run.run("x/z")[2:] == ["cancel x", "cancel after", "finish cancelled"]


def test_forcing_leaves_nothing_inside():
    run = begun(TWO)
    run.start("x/a")
    assert run.cancel(force=True) == ["cancel run by signal"]
    assert run.stopped("x/a") == ["cancel x/a", "cancel x/b", "cancel x/z", "cancel x", "finish cancelled"]


def test_forcing_reaches_the_finally_of_a_pipeline():
    run = begun(TWO)
    run.run("x/a")
    run.run("x/b")
    run.start("x/z")
    assert run.cancel() == ["cancel run by signal"]
    assert list(run.state.stopping) == []
    run.cancel(force=True)
    assert list(run.state.stopping) == ["x/z"]
    assert run.stopped("x/z")[-2:] == ["cancel x", "finish cancelled"]


def test_a_pipeline_in_finally_is_not_reached_by_a_cancellation():
    last = step("x", pipeline="sub.yaml")
    run = Playbook(plan(step("first"), last=(last,), pipelines={"sub.yaml": ONE}))
    run.run("first")
    run.start("x")
    run.open("x")
    run.start("x/a")
    run.cancel()
    assert list(run.state.stopping) == []
    assert run.succeed("x/a") == ["succeed x/a", "succeed x", "finish cancelled"]


def test_a_pipeline_that_opens_after_its_cancellation_runs_nothing_but_its_finally():
    run = Playbook(plan(step("x", pipeline="sub.yaml"), pipelines={"sub.yaml": TWO}))
    run.start("x")
    run.cancel()
    assert list(run.state.stopping) == ["x"]
    assert run.open("x") == ["open x", "cancel x/a", "cancel x/b", "schedule x/z"]
    assert run.run("x/z")[2:] == ["cancel x", "finish cancelled"]


def test_too_late_a_pipeline_is_cancelled_and_the_step_has_timed_out():
    run = begun(TWO, step("after", "x"))
    run.start("x/a")
    assert run.cancel(CancelledBy.TIMEOUT, id_="x") == ["cancel what x runs by timeout"]
    assert list(run.state.stopping) == ["x/a"]
    assert run.stopped("x/a")[-1] == "schedule x/z"
    assert run.run("x/z")[2:] == ["fail x timeout", "block after by x", "finish failed"]
    assert (run.statuses()["x"], run.state.steps["x"].failure.message) == ("timed_out", "asked")


def test_a_timeout_of_the_run_cancels_the_step():
    run = begun(ONE)
    run.start("x/a")
    run.cancel(CancelledBy.TIMEOUT)
    assert run.stopped("x/a") == ["cancel x/a", "cancel x", "finish timed_out"]


def test_fail_fast_of_the_pipeline_stays_inside():
    run = begun(plan(step("a"), step("b"), fail_fast=True), step("other"))
    run.start("x/b")
    run.start("x/a")
    assert run.fail("x/a") == ["fail x/a exit", "cancel what x runs by fail_fast"]
    assert run.events[-1].why == "a step of x failed and fail_fast is set"
    assert run.stopped("x/b") == ["cancel x/b", "fail x pipeline"]
    assert run.run("other")[-1] == "finish failed"


def test_fail_fast_of_the_run_reaches_inside_and_the_step_is_cancelled():
    outer = plan(step("x", pipeline="sub.yaml"), step("other"), fail_fast=True, pipelines={"sub.yaml": ONE})
    run = Playbook(outer)
    run.start("x")
    run.open("x")
    run.start("x/a")
    run.start("other")
    run.fail("other")
    assert run.stopped("x/a") == ["cancel x/a", "cancel x", "finish failed"]


def test_fail_fast_of_a_matrix_reaches_the_pipelines_of_its_cells():
    cells = FanOut(axes={"n": (1, 2)}, fail_fast=True)
    run = Playbook(plan(step("x", pipeline="sub.yaml", fan_out=cells), pipelines={"sub.yaml": TWO}))
    assert run.first == ["expand x", "schedule x[n=1]", "schedule x[n=2]"]
    for id_ in ("x[n=1]", "x[n=2]"):
        run.start(id_)
        run.open(id_)
        run.start(f"{id_}/a")
    run.fail("x[n=1]/a")
    assert run.run("x[n=1]/z")[2:] == ["fail x[n=1] pipeline", "cancel what x runs by fail_fast"]
    assert run.stopped("x[n=2]/a") == ["cancel x[n=2]/a", "cancel x[n=2]/b", "schedule x[n=2]/z"]
    assert run.run("x[n=2]/z")[2:] == ["cancel x[n=2]", "finish failed"]


def test_max_parallel_of_the_pipeline_bounds_its_steps():
    run = begun(plan(step("a"), step("b"), step("c"), max_parallel=1), step("other"))
    assert list(run.state.dispatched) == ["other", "x/a"]
    assert run.run("x/a")[2:] == ["schedule x/b"]
    run.start("x/b")
    assert run.fail("x/b") == ["fail x/b exit", "schedule x/c"]


def test_a_mutex_is_one_for_the_whole_run():
    run = begun(plan(step("a", mutex="m")), step("other", mutex="m"))
    assert list(run.state.dispatched) == ["other"]
    assert run.run("other")[2:] == ["schedule x/a"]


def test_pipelines_run_pipelines():
    files = {"sub.yaml": plan(step("y", pipeline="deep.yaml")), "deep.yaml": ONE}
    run = Playbook(plan(step("x", pipeline="sub.yaml"), pipelines=files))
    run.start("x")
    run.open("x")
    run.start("x/y")
    assert run.open("x/y") == ["open x/y", "schedule x/y/a"]
    run.start("x/y/a")
    assert run.fail("x/y/a") == ["fail x/y/a exit", "fail x/y pipeline", "fail x pipeline", "finish failed"]
    assert run.folded().outcome is Outcome.FAILED


def test_a_worker_tells_no_end_of_a_pipeline():
    run = Playbook(plan(step("x", pipeline="sub.yaml"), step("other"), pipelines={"sub.yaml": ONE}))
    run.start("x")
    run.start("other")
    refused = ["refused: that is no end of such a step"]
    assert run.succeed("x") == run.open("other") == refused
    run.open("x")
    again = ["refused: attempt 1 of a step that is running in attempt 1"]
    assert run.open("x") == run.fail("x") == run.stopped("x") == run.start("x", worker="w2") == again


def test_what_fails_before_the_pipeline_begins_fails_the_step():
    run = Playbook(plan(step("x", pipeline="sub.yaml"), pipelines={"sub.yaml": ONE}))
    run.start("x")
    assert run.fail("x", Reason.TEMPLATE) == ["fail x template", "finish failed"]


def test_more_steps_than_a_run_may_have():
    many = plan(*(step(f"s{number}") for number in range(INSTANCES_MAX // 2)))
    cells = FanOut(axes={"n": (1, 2, 3)})
    run = Playbook(plan(step("x", pipeline="sub.yaml", fan_out=cells), pipelines={"sub.yaml": many}))
    run.start("x[n=1]")
    assert run.open("x[n=1]")[0] == "open x[n=1]"
    run.start("x[n=2]")
    assert run.open("x[n=2]")[0] == "fail x[n=2] template"
    assert run.state.steps["x[n=2]"].failure.message == (
        "with the 5,000 steps of pipeline.yaml the run has more than 10,000 steps of pipelines and instances"
    )


def test_the_events_say_it_all():
    run = begun(TWO, retry=Retry(max_attempts=2))
    run.start("x/a")
    run.fail("x/a")
    run.run("x/z")
    run.start("x")
    run.open("x", params={"n": 2})
    again = run.folded()
    assert {id_: each.status for id_, each in again.steps.items()} == {
        id_: each.status for id_, each in run.state.steps.items()
    }
    assert again.subruns["x"].params == {"n": 2}
    assert sum(isinstance(event, PipelineStarted) for event in run.events) == 2


def asked(run: Playbook, by: CancelledBy = CancelledBy.SIGNAL, **more) -> CancelRequested:
    return run.next(CancelRequested, by=by, why="asked", **more)


def test_who_is_let_start_while_a_cancellation_comes_is_told_to_stop():
    run = Playbook(plan(step("x", pipeline="sub.yaml"), pipelines={"sub.yaml": TWO}))
    run.state.apply(cause := asked(run))
    assert run.state.doomed == {"x": cause}
    run.state.apply(run.next(StepStarted, step="x", attempt=1, worker="w1"))
    assert (run.state.doomed, run.state.stopping) == ({}, {"x": cause})
    run.state.apply(run.next(PipelineStarted, step="x", attempt=1))
    assert run.state.subruns["x"].cancel == cause


def test_a_wish_for_the_end_is_not_outdone_by_a_failure():
    cells = FanOut(axes={"n": (1, 2)}, fail_fast=True)
    run = Playbook(plan(step("m", fan_out=cells)))
    run.start("m[n=1]")
    run.start("m[n=2]")
    event, _ = admit(run.state, Failed("m[n=1]", 1, "w1", Reason.EXIT, "ended with 1", 1), at=run.now, jitter=0.0)
    run.state.apply(event)
    run.state.apply(asked(run, force=True))
    assert run.state.failing == {}
    assert run.state.stopping["m[n=2]"].force


HANDLED = (step("h", "a", handles="a"), step("h2", "h", handles="a"))


def test_time_is_up_also_for_what_takes_care_of_a_failure():
    run = begun(plan(step("a"), *HANDLED, fail_fast=True))
    run.start("x/a")
    assert run.fail("x/a") == ["fail x/a exit", "cancel what x runs by fail_fast", "schedule x/h"]
    run.start("x/h")
    run.cancel(CancelledBy.TIMEOUT, id_="x")
    assert list(run.state.stopping) == ["x/h"]
    assert run.stopped("x/h") == ["cancel x/h", "cancel x/h2", "fail x timeout", "finish failed"]


@pytest.mark.parametrize("inside", [False, True])
def test_after_a_failure_a_wish_for_the_end_still_counts(inside: bool):
    steps = (step("a"), step("b"), *HANDLED)
    run = begun(plan(*steps, fail_fast=True)) if inside else Playbook(plan(*steps, fail_fast=True))
    prefix = "x/" if inside else ""
    run.start(prefix + "b")
    run.start(prefix + "a")
    run.fail(prefix + "a")
    run.stopped(prefix + "b")
    run.start(prefix + "h")
    run.cancel()
    assert list(run.state.stopping) == [prefix + "h"]
    assert f"cancel {prefix}h2" in run.stopped(prefix + "h")
    assert run.state.outcome is Outcome.CANCELLED


def test_a_failure_when_all_has_ended_cancels_nothing():
    run = begun(plan(step("a"), step("b"), last=(step("z", when="cancelled()"),), fail_fast=True))
    run.start("x/a")
    run.start("x/b")
    for report in (Failed("x/a", 1, "w1", Reason.EXIT, "ended with 1", 1), Succeeded("x/b", 1, "w1")):
        event, _ = admit(run.state, report, at=run.now, jitter=0.0)
        run.state.apply(event)
    assert run.report(Started("x/z", 1, "w1"))[0].startswith("refused")
    skipped = run.next(StepSkipped, step="x/z", condition="cancelled()", values={"asked": "cancelled()"})
    assert decide(run.state, Answers()) == skipped


def test_instances_that_are_spared_keep_to_their_bound():
    many = step("m", when="always()", each_condition=True, fan_out=FanOut(items=["a", "b", "c"], max_parallel=1))
    run = begun(plan(many, step("n"), fail_fast=True))
    assert list(run.state.dispatched) == ["x/n", "x/m[a]"]
    run.start("x/m[a]")
    run.start("x/n")
    assert run.fail("x/n") == ["fail x/n exit", "cancel what x runs by fail_fast"]
    assert run.stopped("x/m[a]") == ["cancel x/m[a]", "schedule x/m[b]"]


def test_the_steps_of_attempts_that_are_over_do_not_count():
    many = plan(*(step(f"s{number}") for number in range(INSTANCES_MAX // 2 + 1)), fail_fast=True)
    run = begun(many, retry=Retry(max_attempts=9))
    for attempt in range(2, 5):
        prefix = "x/" if attempt == 2 else f"x#{attempt - 1}/"
        run.start(f"{prefix}s0")
        run.fail(f"{prefix}s0")
        assert run.state.steps["x"].attempt == attempt
        run.start("x")
        assert run.open("x")[0] == "open x"
    assert run.state.instance_count == INSTANCES_MAX // 2 + 1


def test_a_lost_worker_has_opened_nothing():
    run = Playbook(plan(step("x", pipeline="sub.yaml", retry=Retry(max_attempts=2)), pipelines={"sub.yaml": ONE}))
    run.start("x")
    assert run.start("x", worker="w2") == ["fail x lost", "schedule x 2"]
    run.start("x", worker="w2")
    assert run.open("x", worker="w2") == ["open x", "schedule x#2/a"]
    assert run.run("x#2/a")[-1] == "finish succeeded"


def test_what_waits_for_a_mutex_is_cancelled_at_once():
    run = begun(
        plan(step("a", mutex="m"), step("b", when="always()", mutex="m"), last=(step("z"),)), step("o", mutex="m")
    )
    run.start("o")
    told = run.cancel(CancelledBy.TIMEOUT, id_="x")
    assert told == ["cancel what x runs by timeout", "cancel x/a"]
    assert run.succeed("o") == ["succeed o", "schedule x/b"]
    assert run.run("x/b")[2:] == ["schedule x/z"]


def test_what_waits_for_a_place_is_cancelled_at_once():
    run = begun(plan(step("a"), step("b"), step("c"), max_parallel=1))
    run.start("x/a")
    assert run.cancel() == ["cancel run by signal", "cancel x/b", "cancel x/c"]
    assert run.stopped("x/a") == ["cancel x/a", "cancel x", "finish cancelled"]
    assert (run.state.steps["x"].subrun.active, list(run.state.places.waiting)) == (0, [])


def test_the_second_of_two_timeouts_counts_too():
    run = begun(plan(step("a"), step("b", "a", when="always()")))
    run.start("x/a")
    run.cancel(CancelledBy.TIMEOUT, id_="x")
    assert run.stopped("x/a") == ["cancel x/a", "schedule x/b"]
    run.start("x/b")
    run.cancel(CancelledBy.TIMEOUT, id_="x")
    assert list(run.state.stopping) == ["x/b"]
