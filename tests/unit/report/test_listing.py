"""The list of runs: what is said of each in brief."""

from stories import Story

from dagnats.core import events
from dagnats.core.events import Outcome
from dagnats.core.pipeline import FanOut, Pipeline, Step
from dagnats.report.listing import brief, decoded, encoded, is_newer

PLAN = Pipeline(
    name="ci",
    file="ci.yaml",
    steps=(
        Step(id="build", run="b"),
        Step(id="cells", run="c", fan_out=FanOut(axes={"n": (1, 2)})),
        Step(id="mend", run="m", needs=("build",), handles="build"),
    ),
)


def test_a_run_that_goes_on_says_what_runs():
    story = Story(PLAN)
    story.start("build")
    found = brief(story.state)
    assert (found.run, found.pipeline, found.status) == ("brave-otter-3", "ci", "running")
    assert (found.total, found.ended, found.under_way) == (2, 0, ("build",))
    assert (found.started_at, found.at, found.seq) == (1000.0, 1002.0, 3)


def test_instances_count_and_what_sums_them_up_does_not():
    story = Story(PLAN)
    story.tell(events.StepExpanded, step="cells")
    story.start("cells[n=1]")
    story.fail("cells[n=1]")
    story.start("cells[n=2]")
    story.succeed("cells[n=2]")
    story.start("build")
    story.succeed("build")
    story.tell(events.StepSkipped, step="mend", condition="build failed")
    found = brief(story.finish(Outcome.FAILED).state)
    assert (found.status, found.total, found.ended, found.failed) == ("failed", 3, 3, 1)
    assert found.failures == ("cells[n=1]",)


def test_it_is_read_back_and_nothing_else_is():
    found = brief(Story(PLAN).state)
    assert decoded(encoded(found)) == found
    assert decoded(b"") is None
    assert decoded(b'{"run": "x"}') is None
    assert not is_newer(encoded(found))
    assert not is_newer(b"[]")
    assert not is_newer(b"{")
    assert is_newer(b'{"v":2,"of":"another kind"}')
