"""A run at a moment: when steps ran and waited, what was critical, and what the commands print of that."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from stories import Story

from dagnats.core import events
from dagnats.core.events import Outcome
from dagnats.core.graph import critical_path, graph_of, slacks
from dagnats.core.pipeline import FanOut, Pipeline, Step
from dagnats.report.facts import Facts, first, until
from dagnats.report.listing import Brief
from dagnats.report.rungraph import run_graph, run_graph_data
from dagnats.report.runs import Run, runs_data, runs_lines
from dagnats.report.shown import run_data, run_lines, step_data, step_lines
from dagnats.report.style import Style

INNER = Pipeline(name="in", file="in.yaml", steps=(Step(id="x", run="x"), Step(id="y", run="y")))
PLAN = Pipeline(
    name="ci",
    file="ci.yaml",
    steps=(
        Step(id="build", run="make\nmake install", line=3),
        Step(id="lint", run="l", line=5, allow_failure=True),
        Step(id="cells", needs=("build",), run="c", line=7, fan_out=FanOut(items=("a",))),
        Step(id="deploy", needs=("build", "lint"), pipeline="in.yaml", line=9),
    ),
    finally_steps=(Step(id="bye", run="b", line=12),),
    pipelines={"in.yaml": INNER},
)


def ran() -> Story:
    told = Story(PLAN)
    told.start("build")
    told.start("lint")
    told.succeed("build", outputs={"version": "1.2"})
    told.fail("lint")
    told.tell(events.StepExpanded, step="cells", items=("a",))
    told.start("cells[a]")
    told.succeed("cells[a]")
    told.start("deploy")
    told.tell(events.PipelineStarted, step="deploy", attempt=1)
    for id_ in ("deploy/x", "deploy/y"):
        told.start(id_)
        told.succeed(id_)
    told.succeed("deploy")
    told.start("bye")
    told.succeed("bye")
    told.finish(Outcome.SUCCEEDED, outputs={"v": "1.2"})
    return told


def timing(told: Story, id_: str, count: int | None = None):
    moment = first(told.events, count or len(told.events))
    facts = Facts(moment.events, moment.now)
    return facts.timing(facts.state.steps[id_])


def test_a_step_has_waited_for_needs_and_then_in_the_queue():
    found = timing(ran(), "deploy")
    assert (found.start_s, found.needs_s, found.queue_s, found.took_s) == (12.0, 6.0, 6.0, 8.0)


def test_what_goes_on_has_taken_as_long_as_until_the_moment():
    assert timing(ran(), "build", 3).took_s == 0.0
    assert timing(ran(), "build", 5).took_s == 2.0
    assert timing(ran(), "deploy", 7).took_s is None
    assert timing(ran(), "deploy", 9).queue_s == 2.0


def test_the_critical_path_goes_into_pipelines_and_the_rest_has_slack():
    told = ran()
    facts = Facts(told.events)
    assert facts.critical == ("build", "deploy", "bye", "deploy/x")
    assert facts.critical_s == 12.0
    assert timing(told, "lint").slack_s == 1.0
    assert timing(told, "cells").slack_s == 7.0
    assert timing(told, "deploy/y").slack_s == 0.0
    assert timing(told, "cells[a]").slack_s is None


@given(st.data())
def test_slack_is_what_a_step_can_take_longer(data):
    steps = []
    for number in range(data.draw(st.integers(1, 8))):
        needs = data.draw(st.lists(st.sampled_from([one.id for one in steps]), unique=True)) if steps else []
        steps.append(Step(id=f"s{number}", needs=tuple(needs), run="true"))
    spans = {one.id: float(data.draw(st.integers(0, 9))) for one in steps}
    graph = graph_of(steps)
    total, path = critical_path(graph, spans)
    found = slacks(graph, spans)
    assert all(found[id_] == 0 for id_ in path)
    for id_, slack in found.items():
        assert critical_path(graph, {**spans, id_: spans[id_] + slack})[0] == total
        assert critical_path(graph, {**spans, id_: spans[id_] + slack + 1})[0] == total + 1


def test_a_time_shows_what_had_come_by_then():
    told = ran()
    moment = until(told.events, 1004.5)
    assert (len(moment.events), moment.now) == (5, 1004.5)
    assert len(until(told.events, 5000.0).events) == len(told.events)


def test_a_run_that_was_interrupted_ends_with_its_last_event():
    told = Story(PLAN)
    told.start("build")
    assert Facts(told.events).now == 1002.0
    assert Facts(told.events, 1010.0).now == 1010.0
    assert Facts(ran().events, 9999.0).now == ran().state.at


def test_the_list_of_steps_says_what_each_is():
    facts = Facts(ran().events)
    lines = list(run_lines(facts, "succeeded", Style(), total=facts.state.seq))
    assert lines[0] == "ci: succeeded, run brave-otter-3, 24.0s"
    assert "critical path 12.0s: build, deploy, bye, deploy/x" in lines
    assert 'output v = "1.2"' in lines
    (build,) = [line for line in lines if " build " in line]
    assert build.split() == ["━", "✓", "build", "succeeded", "+2.0s", "3.0s", "2.0s", "0ms"]
    data = run_data(facts, "succeeded", total=facts.state.seq)
    assert [row["id"] for row in data["steps"]] == [
        "build", "lint", "cells", "cells[a]", "deploy", "deploy/x", "deploy/y", "bye",
    ]  # fmt: skip
    assert data["critical_path"]["took_s"] == 12.0


def test_a_moment_says_which_it_is():
    moment = first(ran().events, 5)
    facts = Facts(moment.events, moment.now)
    lines = list(run_lines(facts, "running", Style(), total=30))
    assert "  after event 5 of 30" in lines
    assert [line.split()[-2:] for line in lines if " deploy " in line] == [["build,", "lint"]]


def test_everything_of_one_step():
    facts = Facts(ran().events)
    lines = list(step_lines(facts, facts.state.steps["build"], Style()))
    assert lines[0] == "✓ build: succeeded  3.0s"
    assert "  file      ci.yaml:3" in lines
    assert "  run       make … (2 lines)" in lines
    assert "  needed by cells (succeeded), deploy (succeeded)" in lines
    assert "  attempt 1: succeeded, started +2.0s, 3.0s, by w" in lines
    assert '  output version = "1.2"' in lines
    data = step_data(facts, facts.state.steps["build"])
    assert (data["file"], data["line"], data["needed_by"]) == ("ci.yaml", 3, ["cells", "deploy"])
    assert [(one["attempt"], one["took_s"], one["end"]) for one in data["attempts"]] == [(1, 3.0, "StepSucceeded")]
    assert data["because"][0]["text"] == "build succeeded after 3.0s"


@pytest.mark.parametrize("form", ["ascii", "mermaid", "dot"])
def test_a_graph_of_a_run_says_how_long_and_how_much_it_mattered(form):
    text = "\n".join(run_graph(Facts(ran().events), form, unicode=True))
    assert "succeeded, 8.0s, critical" in text.replace("#44;", ",")
    assert "warning, 2.0s, slack 1.0s" in text.replace("#44;", ",")


def test_a_graph_of_a_run_as_data():
    data = run_graph_data(Facts(ran().events))
    nodes = {node["id"]: node for node in data["nodes"]}
    assert (nodes["lint"]["status"], nodes["lint"]["slack_s"], nodes["lint"]["critical"]) == ("warning", 1.0, False)
    assert data["critical_path"]["steps"][:2] == ["build", "deploy"]


def listed(status: str, *, is_held: bool = False, **more) -> Run:
    return Run(Brief(run="calm-owl-1", pipeline="ci", status=status, started_at=1000.0, at=1010.0, **more), is_held)


def test_a_run_that_nobody_holds_was_interrupted():
    assert listed("running").status == "interrupted"
    assert listed("running", is_held=True).status == "running"
    assert listed("failed").status == "failed"
    assert listed("running").took_s(1060.0) == 10.0
    assert listed("running", is_held=True).took_s(1060.0) == 60.0


def test_the_list_of_runs_says_what_to_know_of_each():
    runs = [
        listed("running", is_held=True, total=5, ended=2, under_way=("build", "lint")),
        listed("running", total=5, ended=1),
        listed("failed", total=5, ended=5, failed=5, failures=("a", "b", "c")),
        listed("timed_out", total=5, ended=5),
        Run(Brief(run="old-yak-1", status="damaged", problem="commit 3\nis missing")),
    ]
    head, *lines = runs_lines(runs, 1060.0, Style())
    assert head.split() == ["run", "pipeline", "status", "started", "took", "steps"]
    ends = [line[line.rindex("  ") + 2 :] for line in lines]
    assert ends == [
        "now build, lint",
        "dagnats resume calm-owl-1",
        "a, b, c and 2 more failed",
        "5/5",
        "commit 3 is missing",
    ]
    assert "  timed out  " in lines[3]
    data = runs_data(runs, 1060.0)
    assert [row["status"] for row in data] == ["running", "interrupted", "failed", "timed_out", "damaged"]
    assert (data[4]["started_at"], data[4]["problem"]) == (None, "commit 3\nis missing")
