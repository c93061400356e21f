"""The region below the scrollback of the live view: what it says, and that it fits whatever the terminal and the run."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from dagnats.core import events
from dagnats.core.events import Outcome, Reason
from dagnats.core.pipeline import FanOut, Pipeline, Retry, Step
from dagnats.core.state import RunState
from dagnats.report.live import reflows
from dagnats.report.region import MOST_ROWS, ROOMY_ROWS, Row, Shown, clock, physical_rows, region
from dagnats.report.style import Style
from dagnats.report.tally import Tally
from dagnats.report.view import total_line

PLAIN = Style()


class Run:
    """A run, told event by event, and what is shown of it. It starts at second 0."""

    def __init__(self, *steps: Step, **more) -> None:
        plan = Pipeline("ci", "ci.yaml", steps, **more)
        self.state = RunState(events.RunStarted(seq=1, at=0.0, run="r1", plan=plan, max_parallel=4, workspace="/w"))
        self.shown = Shown(self.state, Tally(self.state))

    def tell(self, kind, at: float = 0.0, **fields) -> None:
        event = kind(seq=self.state.seq + 1, at=at, **fields)
        self.state.apply(event)
        self.shown.tally.applied(self.state, event)

    def start(self, step: str, at: float = 0.0, attempt: int = 1) -> None:
        self.tell(events.StepScheduled, at, step=step, attempt=attempt)
        self.tell(events.StepStarted, at, step=step, attempt=attempt, worker="w")

    def succeed(self, step: str) -> None:
        self.tell(events.StepSucceeded, 1.0, step=step, attempt=1)

    def fail(self, step: str, message: str = "exit code 3") -> None:
        self.tell(events.StepFailed, 1.0, step=step, attempt=1, reason=Reason.EXIT, message=message, exit_code=3)

    def rows(self, width: int = 80, height: int = 24, now: float = 14.0, style: Style = PLAIN) -> list[str]:
        rows = region(self.shown, now, width, height, style)
        assert all(row.cells == cell_len(row.text) < max(width, 2) for row in rows if not style.color)
        gap = rows and not rows[0].text
        assert bool(gap) is (bool(rows) and height >= ROOMY_ROWS)
        rows = rows[1:] if gap else rows  # an empty one above, where there is room
        assert len(rows) <= max(1, height // 3)
        return [row.text for row in rows]


def steps(count: int) -> list[Step]:
    return [Step(id=f"step-{number}") for number in range(count)]


def several() -> Run:
    """A run of twelve steps: one did well, two failed, three run, and the second of these has the focus."""
    run = Run(*steps(11), Step(id="test", name="All tests"))
    for id_ in ("step-0", "step-1", "step-2", "step-3", "test", "step-5"):
        run.start(id_, at=2.0)
    run.succeed("step-0")
    run.fail("step-1")
    run.fail("step-2", "killed by SIGKILL")
    run.shown.focused = ("test", 1)
    return run


def test_failures_come_first_then_who_has_the_focus_then_the_others_then_the_progress():
    assert several().rows() == [
        "✗ step-1  exit code 3",
        "✗ step-2  killed by SIGKILL",
        "▸ test: All tests  12s",
        "· step-3  12s",
        "· step-5  12s",
        "━━━━━━────────────────── 3/12 · 3 running · 6 waiting · 2 failed · 14s",
    ]


def test_with_signs_of_ascii():
    assert several().rows(style=Style(unicode=False)) == [
        "x step-1  exit code 3",
        "x step-2  killed by SIGKILL",
        "> test: All tests  12s",
        "* step-3  12s",
        "* step-5  12s",
        "######------------------ 3/12, 3 running, 6 waiting, 2 failed, 14s",
    ]


def test_an_unfinished_line_stands_below_its_step_in_its_newest_state():
    run = several()
    run.shown.unfinished = b"\x1b[32m10%\r\x1b[2J50% \xe6\x97\xa5\r"
    assert run.rows()[2:5] == ["▸ test: All tests  12s", "    50% 日", "· step-3  12s"]
    assert run.rows(height=12)[1:] == ["▸ test: All tests  12s", "… and 2 more", run.rows()[-1]]


@pytest.mark.parametrize(
    ("width", "last"),
    [
        (20, "3/12 · 2 failed"),
        (30, "3/12 · 2 failed · 14s"),
        (40, "3/12 · 3 running · 2 failed · 14s"),
        (80, "━━━━━━────────────────── 3/12 · 3 running · 6 waiting · 2 failed · 14s"),
        (200, "━━━━━━────────────────── 3/12 · 3 running · 6 waiting · 2 failed · 14s"),
    ],
)
def test_the_progress_in_several_widths(width, last):
    assert several().rows(width)[-1] == last


def test_the_time_is_kept_when_a_title_is_cut():
    run = Run(Step(id="x", name="日本語" * 20))
    run.start("x")
    run.shown.focused = ("x", 1)
    assert run.rows(40) == ["▸ x: 日本語日本語日本語日本語日本…  14s", "───────────────── 0/1 · 1 running · 14s"]
    assert run.rows(20)[0] == "▸ x: 日本語日…  14s"


def test_a_title_can_not_steer_the_terminal_nor_change_its_width():
    run = Run(Step(id="x", name="a\x1b[2Jb\u200d\ufe0fc"))
    run.start("x")
    assert run.rows()[0] == "· x: a [2Jb c  14s"


@pytest.mark.parametrize("height", [1, 2, 5])
def test_a_window_of_few_rows_has_the_progress_only(height):
    assert several().rows(height=height) == several().rows()[-1:]


def test_two_hundred_steps_that_run():
    run = Run(*steps(200))
    for step in steps(200):
        run.start(step.id)
    run.shown.focused = ("step-150", 1)
    rows = run.rows()
    assert rows[:2] == ["▸ step-150  14s", "· step-0  14s"]
    assert rows[-2:] == ["… and 194 more", "──────────────────────── 0/200 · 200 running · 14s"]
    assert len(rows) == 8
    assert len(run.rows(height=200)) == MOST_ROWS


def test_many_failures_are_counted():
    run = Run(*steps(9))
    for step in steps(8):
        run.start(step.id)
        run.fail(step.id)
    run.start("step-8")
    rows = run.rows(40)
    assert rows[:2] == ["✗ step-0  exit code 3", "✗ step-1  exit code 3  +6 more"]
    assert run.rows(40, height=9)[0] == "✗ step-0  exit code 3  +7 more"
    assert run.rows(40, height=6) == ["· step-8  14s", rows[-1]]


def test_a_retry_that_waits_for_its_time():
    run = Run(Step(id="x", retry=Retry(max_attempts=2)))
    run.start("x")
    run.fail("x")
    run.tell(events.StepScheduled, 1.0, step="x", attempt=2, not_before=20.0)
    assert run.rows() == ["↻ x (attempt 2)  in 6s", "──────────────────────── 0/1 · 14s"]
    assert run.rows(now=30.0)[0] == "↻ x (attempt 2)  in 0s"
    run.tell(events.StepStarted, 20.0, step="x", attempt=2, worker="w")
    assert run.rows(now=30.0)[0] == "· x (attempt 2)  10s"


def test_instances_and_the_steps_of_a_pipeline():
    inner = Pipeline("in", "in.yaml", (Step(id="a"), Step(id="b")))
    cells = FanOut(axes={"n": (1, 2, 3)}, max_parallel=1)
    run = Run(Step(id="m", fan_out=cells), Step(id="p", pipeline="in.yaml"), pipelines={"in.yaml": inner})
    run.tell(events.StepExpanded, step="m")
    first = run.state.steps["m"].instances.ids[0]
    run.start(first)
    run.start("p")
    run.tell(events.PipelineStarted, step="p", attempt=1)
    run.start("p/a")
    run.fail("p/a")
    run.start("p/b")
    assert run.rows() == [
        "✗ p/a  exit code 3",
        f"· {first}  14s",
        "· p/b  14s",
        "──────────────────────── 0/4 · 2 running · 2 waiting · 1 failed · 14s",
    ]
    run.shown.tally.failures["gone"] = None  # of an attempt before
    assert "gone" not in "".join(run.rows())


def test_a_run_that_is_being_cancelled_and_one_that_is_over():
    run = Run(Step(id="x"))
    run.start("x")
    run.tell(events.CancelRequested, 2.0, by=events.CancelledBy.SIGNAL, why="received SIGINT")
    assert run.rows()[-1] == "──────────────────────── 0/1 · 1 running · cancelling · 14s"
    run.tell(events.StepCancelled, 3.0, step="x", attempt=1)
    run.tell(events.RunFinished, 3.0, outcome=Outcome.CANCELLED)
    assert run.rows() == []


def test_the_total_is_that_of_the_recap():
    handler = Step(id="handler", handles="x", condition="failure()")
    run = Run(Step(id="x"), handler, Step(id="m", fan_out=FanOut(axes={"n": (1, 2)})), Step(id="y"))
    assert run.shown.tally.total == 3
    run.tell(events.StepExpanded, step="m")
    assert run.shown.tally.total == 4
    run.start("x")
    run.fail("x")
    run.start("handler")
    run.succeed("handler")
    for id_ in run.state.steps["m"].instances.ids:
        run.start(id_)
        run.succeed(id_)
    run.tell(events.StepSkipped, 2.0, step="y", condition="false")
    tally = run.shown.tally
    assert (tally.total, tally.ended, tally.failed) == (5, 5, 1)
    assert ", 3 succeeded, 1 failed, 1 skipped;" in total_line(run.state, PLAIN)


def test_a_clock():
    assert [clock(seconds) for seconds in (-1, 0.9, 59.99, 60, 3599, 3600, 90000)] == [
        "0s", "0s", "59s", "1m00s", "59m59s", "1h00m", "25h00m",
    ]  # fmt: skip


def test_rows_that_a_narrower_terminal_has_wrapped():
    drawn = [Row("", 0), Row("x" * 40, 40), Row("x" * 41, 41)]
    assert [physical_rows(drawn, width) for width in (80, 41, 40, 20, 0)] == [3, 3, 4, 6, 82]


@pytest.mark.parametrize(
    ("environ", "does"),
    [
        ({}, False),
        ({"TERM": "xterm-256color"}, False),
        ({"TMUX": "x"}, True),
        ({"TERM_PROGRAM": "vscode"}, True),
        ({"TERM_PROGRAM": "unknown"}, False),
        ({"VTE_VERSION": "7600", "STY": "1.pts"}, False),
        ({"STY": "1.pts", "TMUX": "x"}, True),
    ],
)
def test_terminals_that_wrap_again(environ, does):
    assert reflows(environ) is does


names = st.text(st.characters(codec="utf-8"), max_size=60)


@given(
    data=st.data(),
    width=st.integers(1, 220),
    height=st.integers(1, 80),
    unicode=st.booleans(),
    unfinished=st.binary(max_size=300),
)
def test_no_row_is_too_wide_and_there_are_never_too_many(data, width, height, unicode, unfinished):
    called = data.draw(st.lists(names, min_size=1, max_size=30))
    run = Run(*(Step(id=f"s{number}", name=name) for number, name in enumerate(called)))
    for number in range(len(called)):
        fate = data.draw(st.sampled_from(["pending", "running", "failed", "succeeded"]))
        if fate != "pending":
            run.start(f"s{number}")
        if fate == "failed":
            run.fail(f"s{number}", data.draw(names))
        elif fate == "succeeded":
            run.succeed(f"s{number}")
    run.shown.focused = (f"s{data.draw(st.integers(0, 40))}", 1)
    run.shown.unfinished = unfinished
    rows = run.rows(width, height, now=data.draw(st.floats(0, 1e6)), style=Style(unicode=unicode))
    assert rows
    assert all("\n" not in row and "\x1b" not in row for row in rows)
    coloured = region(run.shown, 5.0, width, height, Style(color=True, unicode=unicode))
    assert all(row.cells < max(2, width) for row in coloured)
