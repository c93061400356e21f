"""Events and states as lines of text."""

import pytest

from dagnats.core import events
from dagnats.core.events import AnyEvent, CancelledBy, Outcome, Reason
from dagnats.core.pipeline import Pipeline, Retry, Step
from dagnats.core.state import RunState
from dagnats.report.style import Style
from dagnats.report.view import clean, duration, event_line, recap, step_line, tail_blocks, total_line

PLAIN = Style()
STEPS = (
    Step(id="build"),
    Step(id="test", needs=("build",), retry=Retry(max_attempts=2, initial_delay_s=1.5)),
    Step(id="lint", allow_failure=True),
    Step(id="docs", condition="params.docs"),
    Step(id="ship", needs=("test",)),
)


def told(*happened: AnyEvent) -> tuple[RunState, list[str | None]]:
    """Give the state after the events, and what each was worth."""
    started = events.RunStarted(
        seq=1, at=100.0, run="r1", plan=Pipeline("ci", "ci.yaml", STEPS), max_parallel=4, workspace="/w"
    )
    state = RunState(started)
    lines = []
    for event in happened:
        state.apply(event)
        lines.append(event_line(state, event, PLAIN, verbose=False))
    return state, lines


def attempt(seq: int, step: str, number: int, at: float) -> list[AnyEvent]:
    return [
        events.StepScheduled(seq=seq, at=at, step=step, attempt=number),
        events.StepStarted(seq=seq + 1, at=at, step=step, attempt=number, worker="w1"),
    ]


def failed(seq: int, step: str, number: int, at: float, message: str = "exit code 1") -> AnyEvent:
    return events.StepFailed(
        seq=seq, at=at, step=step, attempt=number, reason=Reason.EXIT, message=message, exit_code=1
    )


WHOLE: list[AnyEvent] = [
    *attempt(2, "build", 1, 100.0),
    events.StepSucceeded(seq=4, at=102.0, step="build", attempt=1),
    *attempt(5, "test", 1, 102.0),
    failed(7, "test", 1, 103.0),
    events.StepScheduled(seq=8, at=103.0, step="test", attempt=2, not_before=104.5),
    events.StepStarted(seq=9, at=104.5, step="test", attempt=2, worker="w1"),
    failed(10, "test", 2, 105.0, "exit\x1b[2J code\n1"),
    events.StepBlocked(seq=11, at=105.0, step="ship", by=("test",)),
    *attempt(12, "lint", 1, 105.0),
    failed(14, "lint", 1, 105.25),
    events.StepSkipped(seq=15, at=106.0, step="docs", condition="params.docs"),
    events.RunFinished(seq=16, at=106.0, outcome=Outcome.FAILED, notes={"url": "step ship did not run"}),
]


def test_lines_of_a_run():
    _, lines = told(*WHOLE)
    assert [line for line in lines if line is not None] == [
        "✓ build  2.0s",
        "↻ test: exit code 1; attempt 2 in 1.5s",
        "✗ test  exit [2J code 1 (attempt 2)  3.0s",
        "- ship  blocked: test did not succeed",
        "! lint  exit code 1 (allowed)  250ms",
        "- docs  skipped: if params.docs",
    ]


def test_recap_tells_failures_with_the_end_of_their_output_and_the_total():
    state, _ = told(*WHOLE)
    tails = {"test": [b"one", b"tw\xff"], "lint": [b"not of a failed step"], "build": []}
    title = "--- test: exit [2J code 1 (attempt 2); the last 2 lines"
    assert list(tail_blocks(state, tails)) == [(title, [b"one", b"tw\xff"])]
    assert list(recap(state, ["dagnats", "run", "my file.yaml"], PLAIN)) == [
        "✗ test  exit [2J code 1 (attempt 2)  3.0s",
        "! lint  exit code 1 (allowed)  250ms",
        "- docs  skipped: if params.docs",
        "- ship  blocked: test did not succeed",
        "ci: failed in 6.0s (critical path 5.0s), 1 succeeded, 1 warning, 1 failed, 1 skipped, 1 blocked; run r1",
        "  output url has no value: step ship did not run",
        "  again: dagnats run 'my file.yaml'",
    ]


def test_recap_of_one_line_of_output_says_line():
    state, _ = told(*WHOLE)
    ((title, _),) = tail_blocks(state, {"test": [b"one"]})
    assert title.endswith("; the last 1 line")


def test_cancel_and_what_it_stops():
    cancel = events.CancelRequested(seq=4, at=101.0, by=CancelledBy.SIGNAL, why="SIGINT\x07", signal=2)
    state, lines = told(
        *attempt(2, "build", 1, 100.0),
        cancel,
        events.StepCancelled(seq=5, at=101.5, step="build", attempt=1),
        events.StepCancelled(seq=6, at=101.5, step="lint", attempt=0),
    )
    assert lines[2:] == ["- cancelling: SIGINT ", "- build  cancelled  1.5s", "- lint  cancelled before it started"]
    assert total_line(state, PLAIN).startswith("ci: cancelled in 1.5s (critical path 1.5s), 3 pending, 2 cancelled")


def test_retry_that_succeeds_says_which_attempt():
    state, lines = told(*WHOLE[:8], events.StepSucceeded(seq=10, at=105.0, step="test", attempt=2))
    assert lines[-1] == "✓ test  attempt 2  3.0s" == step_line(state.steps["test"], PLAIN)


def test_start_is_worth_a_line_only_when_asked():
    state, lines = told(*attempt(2, "build", 1, 100.0))
    assert lines == [None, None]
    started = attempt(2, "build", 1, 100.0)[1]
    assert event_line(state, started, PLAIN, verbose=True) == "  build: started (attempt 1, w1)"


def test_meaning_is_not_carried_by_colour_alone():
    plain, _ = told(*WHOLE)
    coloured = [step_line(step, Style(color=True, unicode=False)) for step in plain.steps.values()]
    assert coloured[0] == "\x1b[32m+ build\x1b[0m\x1b[2m  2.0s\x1b[0m"
    assert coloured[1].startswith("\x1b[31mx test\x1b[0m  exit")


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.0, "0ms"),
        (0.0004, "0ms"),
        (0.25, "250ms"),
        (0.9994, "999ms"),
        (0.9996, "1.0s"),
        (1.0, "1.0s"),
        (59.94, "59.9s"),
        (59.96, "1m00s"),
        (60.0, "1m00s"),
        (61.4, "1m01s"),
        (119.7, "2m00s"),
        (3599.0, "59m59s"),
        (3599.6, "1h00m00s"),
        (3661.0, "1h01m01s"),
        (90_000.0, "25h00m00s"),
    ],
)
def test_duration(seconds: float, text: str):
    assert duration(seconds) == text


@pytest.mark.parametrize(
    ("text", "shown"),
    [("plain é✓", "plain é✓"), ("a\nb\tc", "a b c"), ("\x1b[31mred", " [31mred"), ("\x9b2J\u2028\u202ex", " 2J  x")],
)
def test_clean_leaves_nothing_that_steers_a_terminal(text: str, shown: str):
    assert clean(text) == shown
