"""Pipelines that steps run, in lines: beneath the step that runs them, and not more of them than somebody reads."""

from dagnats.core import events
from dagnats.core.pipeline import FanOut, Pipeline, Step
from dagnats.core.state import RunState
from dagnats.report.style import Style
from dagnats.report.view import LINES_SHOWN, event_line, recap, total_line

PLAIN = Style()


def run_of(inner: Pipeline, fails: str, **more) -> RunState:
    """A run whose step `x` has run a pipeline, of which a step has failed in a way that is allowed."""
    plan = Pipeline(
        name="p", file="p.yaml", steps=(Step(id="x", pipeline="in.yaml", **more),), pipelines={"in.yaml": inner}
    )
    state = RunState(events.RunStarted(seq=1, at=1.0, run="r", plan=plan, max_parallel=9, workspace="/w"))

    def apply(kind, **fields):
        state.apply(kind(seq=state.seq + 1, at=1.0, **fields))

    def start(step):
        apply(events.StepScheduled, step=step, attempt=1)
        apply(events.StepStarted, step=step, attempt=1, worker="w")

    owners = ["x"]
    if "fan_out" in more:
        apply(events.StepExpanded, step="x")
        owners = list(state.steps["x"].instances.ids)
    for owner in owners:
        start(owner)
        apply(events.PipelineStarted, step=owner, attempt=1)
        for step in inner.steps:
            start(f"{owner}/{step.id}")
            if step.id.startswith(fails):
                failure = {"reason": events.Reason.EXIT, "message": "exit code 3", "exit_code": 3}
                apply(events.StepFailed, step=f"{owner}/{step.id}", attempt=1, **failure)
            else:
                apply(events.StepSucceeded, step=f"{owner}/{step.id}", attempt=1)
        apply(events.StepSucceeded, step=owner, attempt=1, notes={"url": "outputs.url: `a` was skipped"})
    apply(events.RunFinished, outcome=events.Outcome.SUCCEEDED)
    return state


def inner(count: int = 1) -> Pipeline:
    bad = tuple(Step(id=f"bad{number}", run="false", allow_failure=True) for number in range(count))
    return Pipeline(name="in", file="in.yaml", steps=(Step(id="good", run="true"), *bad))


def lines(state: RunState) -> list[str]:
    return [line for line in recap(state, ["dagnats", "run"], PLAIN) if not line.startswith("p:")]


def test_what_was_not_plain_inside_is_shown():
    assert lines(run_of(inner(), "bad")) == ["! x/bad0  exit code 3 (allowed)  0ms"]


def test_also_inside_of_instances_that_succeeded():
    cells = FanOut(axes={"n": (1, 2)})
    assert lines(run_of(inner(), "bad", fan_out=cells)) == [
        "! x[n=1]/bad0  exit code 3 (allowed)  0ms",
        "! x[n=2]/bad0  exit code 3 (allowed)  0ms",
    ]


def test_but_not_more_than_somebody_reads():
    shown = lines(run_of(inner(LINES_SHOWN + 5), "bad"))
    assert len(shown) == LINES_SHOWN + 1
    assert shown[-1] == "  … and 5 more lines of x"


def test_the_total_counts_the_steps_of_the_run_itself():
    assert ", 1 succeeded; run r" in total_line(run_of(inner(3), "bad"), PLAIN)


def test_the_beginning_is_said_to_those_who_ask():
    state = run_of(inner(), "bad")
    begun = events.PipelineStarted(seq=4, at=1.0, step="x", attempt=1)
    assert event_line(state, begun, PLAIN, verbose=True) == "  x: runs in.yaml, 2 steps"
    assert event_line(state, begun, PLAIN, verbose=False) is None
