"""Output of steps on the screen: whole lines with the name of their step, and the end of it kept for the recap."""

import os
import tempfile
from collections.abc import Iterator
from typing import Self

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dagnats.core import events
from dagnats.core.events import AnyEvent, Reason
from dagnats.core.pipeline import Pipeline, Retry, Step
from dagnats.core.state import Status
from dagnats.report.console import Console
from dagnats.report.eventsfile import EventsFile
from dagnats.report.lines import LINE_MAX_BYTES
from dagnats.report.prefixed import Prefixed
from dagnats.report.projection import TAIL_MAX_BYTES, Tails
from dagnats.report.style import Style

STEPS = (Step(id="a", retry=Retry(max_attempts=2)), Step(id="long-name"))
BEGIN: list[AnyEvent] = [
    events.RunStarted(seq=1, at=1.0, run="r1", plan=Pipeline("ci", "f", STEPS), max_parallel=2, workspace="/w"),
    events.StepScheduled(seq=2, at=1.0, step="a", attempt=1),
    events.StepScheduled(seq=3, at=1.0, step="long-name", attempt=1),
    events.StepStarted(seq=4, at=1.0, step="a", attempt=1, worker="w"),
    events.StepStarted(seq=5, at=1.0, step="long-name", attempt=1, worker="w"),
]
END = [
    events.StepSucceeded(seq=6, at=2.0, step="a", attempt=1),
    events.StepSucceeded(seq=7, at=2.0, step="long-name", attempt=1),
]


class Screen:
    """A reporter on two real files."""

    def __init__(self, **options: bool) -> None:
        self._files = tempfile.TemporaryFile(), tempfile.TemporaryFile()  # noqa: SIM115 - closed on exit
        self.console = Console(*(file.fileno() for file in self._files))
        chosen = {"lines": True, "quiet": False, "verbose": False, **options}
        self.reporter = Prefixed(self.console, Style(), ["dagnats", "run"], **chosen)

    def shown(self) -> tuple[bytes, list[str]]:
        """Give what is on stdout and the lines on stderr."""
        self.reporter.flush()
        out, err = (os.pread(file.fileno(), 1 << 24, 0) for file in self._files)
        return out, err.decode().splitlines()

    def __enter__(self) -> Self:
        self.reporter.events(BEGIN)
        return self

    def __exit__(self, *_: object) -> None:
        for file in self._files:
            file.close()


@pytest.fixture
def screen() -> Iterator[Screen]:
    with Screen() as made:
        yield made


def test_lines_carry_the_name_of_their_step(screen: Screen):
    screen.reporter.output("a", 1, "out", b"one\n\ntwo\n")
    screen.reporter.output("long-name", 1, "out", b"three\n")
    out, err = screen.shown()
    assert out == b"a         | one\na         | \na         | two\nlong-name | three\n"
    assert err == ["ci: 2 steps, run r1"]


def test_line_in_several_chunks_is_one_line(screen: Screen):
    for chunk in (b"on", b"e", b"\ntw", b"o\nrest"):
        screen.reporter.output("a", 1, "out", chunk)
    assert screen.shown()[0] == b"a         | one\na         | two\n"


def test_half_lines_of_two_steps_and_of_two_streams_are_not_joined(screen: Screen):
    for step, stream, chunk in [
        ("a", "out", b"a-o"),
        ("long-name", "out", b"b-o"),
        ("a", "err", b"a-e"),
        ("a", "out", b"ut\n"),
        ("long-name", "out", b"ut\n"),
        ("a", "err", b"rr\n"),
    ]:
        screen.reporter.output(step, 1, stream, chunk)
    assert screen.shown()[0] == b"a         | a-out\nlong-name | b-out\na         | a-err\n"


def test_unfinished_line_is_shown_when_its_step_ends(screen: Screen):
    screen.reporter.output("a", 1, "out", b"no newline")
    screen.reporter.output("long-name", 1, "err", b"open")
    screen.reporter.events(END[:1])
    assert screen.shown()[0] == b"a         | no newline\n"
    screen.reporter.events(END[1:])
    assert screen.shown()[0] == b"a         | no newline\nlong-name | open\n"


def test_unfinished_line_of_a_failed_attempt_is_not_continued_by_the_next(screen: Screen):
    screen.reporter.output("a", 1, "out", b"first")
    screen.reporter.events(
        [
            events.StepFailed(seq=6, at=2.0, step="a", attempt=1, reason=Reason.EXIT, message="exit code 1"),
            events.StepScheduled(seq=7, at=2.0, step="a", attempt=2),
            events.StepStarted(seq=8, at=2.0, step="a", attempt=2, worker="w"),
        ]
    )
    screen.reporter.output("a", 2, "out", b"second\n")
    out, err = screen.shown()
    assert out == b"a         | first\na         | second\n"
    assert err[1:] == ["↻ a: exit code 1; attempt 2"]


def test_long_line_is_broken_and_nothing_of_it_is_lost(screen: Screen):
    piece = b"x" * 10_000
    for _ in range(20):
        screen.reporter.output("a", 1, "out", piece)
    screen.reporter.output("a", 1, "out", b"end\n")
    lines = screen.shown()[0].splitlines()
    assert len(lines) > 1
    assert all(len(line) <= LINE_MAX_BYTES + len(piece) + 12 for line in lines)
    assert b"".join(line.removeprefix(b"a         | ") for line in lines) == piece * 20 + b"end"


def test_newline_that_comes_after_its_long_line_was_broken_is_no_line_of_its_own(screen: Screen):
    long = b"x" * (LINE_MAX_BYTES + 1)
    prefix = b"a         | "
    for chunk in (long, b"\n", b"\n", long, b"\nnext\n", long, b"rest\n", b"\n"):
        screen.reporter.output("a", 1, "out", chunk)
    lines = screen.shown()[0].splitlines()
    assert lines == [prefix + line for line in (long, b"", long, b"next", long, b"rest", b"")]


def test_broken_line_of_one_stream_or_attempt_takes_no_newline_of_another(screen: Screen):
    long = b"x" * (LINE_MAX_BYTES + 1)
    screen.reporter.output("a", 1, "out", long)
    screen.reporter.output("a", 1, "err", b"\n")
    screen.reporter.events(
        [
            events.StepFailed(seq=6, at=2.0, step="a", attempt=1, reason=Reason.EXIT, message="exit code 1"),
            events.StepScheduled(seq=7, at=2.0, step="a", attempt=2),
            events.StepStarted(seq=8, at=2.0, step="a", attempt=2, worker="w"),
        ]
    )
    screen.reporter.output("a", 2, "out", b"\n")
    assert screen.shown()[0].splitlines() == [b"a         | " + line for line in (long, b"", b"")]


def test_bytes_that_are_no_text_pass_unchanged(screen: Screen):
    screen.reporter.output("a", 1, "out", b"\xff\x00\xc3\n")
    assert screen.shown()[0] == b"a         | \xff\x00\xc3\n"


@given(st.lists(st.tuples(st.sampled_from(["a", "long-name"]), st.lists(st.sampled_from([b"x", b"yz", b"\n"])))))
def test_whatever_the_chunks_each_step_s_text_comes_out_whole(chunks: list[tuple[str, list[bytes]]]):
    texts = {"a": b"", "long-name": b""}
    with Screen() as screen:
        for step, pieces in chunks:
            chunk = b"".join(pieces)
            texts[step] += chunk
            screen.reporter.output(step, 1, "out", chunk)
        screen.reporter.events(END)
        out, _ = screen.shown()
    for step, text in texts.items():
        prefix = f"{step:<9} | ".encode()
        shown = [line.removeprefix(prefix) for line in out.split(b"\n") if line.startswith(prefix)]
        assert shown == text.split(b"\n")[: -1 if text.endswith(b"\n") or not text else None]


def test_quiet_shows_nothing_of_a_run_that_succeeds():
    with Screen(lines=False, quiet=True) as screen:
        screen.reporter.output("a", 1, "out", b"one\n")
        screen.reporter.events([*END, events.RunFinished(seq=8, at=3.0, outcome=events.Outcome.SUCCEEDED)])
        screen.reporter.close()
        assert screen.shown() == (b"", [])


def test_quiet_sums_up_a_run_that_fails():
    fail = {"step": "long-name", "attempt": 1, "reason": Reason.EXIT, "message": "exit code 1"}
    with Screen(lines=False, quiet=True) as screen:
        screen.reporter.output("long-name", 1, "err", b"what went wrong\n")
        screen.reporter.events([END[0], events.StepFailed(seq=7, at=2.0, **fail)])
        screen.reporter.events([events.RunFinished(seq=8, at=3.0, outcome=events.Outcome.FAILED)])
        screen.reporter.close()
        assert screen.shown()[1] == [
            "--- long-name: exit code 1; the last 1 line",
            "    what went wrong",
            "✗ long-name  exit code 1  1.0s",
            "ci: failed in 2.0s (critical path 1.0s), 1 succeeded, 1 failed; run r1",
            "  again: dagnats run",
        ]


def test_stdout_and_stderr_keep_their_order():
    with tempfile.TemporaryFile() as both, os.fdopen(os.dup(both.fileno()), "wb") as other:
        console = Console(both.fileno(), other.fileno())
        console.out(b"one\n")
        console.say("two")
        console.out(b"three\n")
        console.flush()
        assert os.pread(both.fileno(), 99, 0) == b"one\ntwo\nthree\n"


def failed(step: str = "a") -> events.StepFailed:
    return events.StepFailed(seq=6, at=2.0, step=step, attempt=1, reason=Reason.EXIT, message="")


def test_tail_is_the_last_40_lines():
    tails = Tails()
    for number in range(100):
        tails.add("a", 1, f"{number}\n".encode())
    tails.event(failed(), Status.FAILED)
    assert tails.failed == {"a": [str(number).encode() for number in range(60, 100)]}


def test_tail_is_bounded_in_bytes_whatever_the_chunks():
    tails = Tails()
    tails.add("a", 1, b"lost\n" * TAIL_MAX_BYTES)
    for _ in range(500):
        tails.add("a", 1, b"x" * 1000)
    tails.event(failed(), Status.TIMED_OUT)
    (line,) = tails.failed["a"]
    assert TAIL_MAX_BYTES <= len(line) < TAIL_MAX_BYTES + 1000
    assert set(line) == {ord("x")}


def test_tail_is_of_the_last_attempt_alone():
    tails = Tails()
    tails.add("a", 1, b"first\n")
    tails.event(failed(), Status.WAITING)
    tails.add("a", 1, b"late\n" * TAIL_MAX_BYTES)
    tails.add("a", 2, b"second\n")
    tails.add("a", 2, b"third\n")
    tails.event(failed(), Status.FAILED)
    assert tails.failed == {"a": [b"second", b"third"]}


@pytest.mark.parametrize("status", [Status.WARNING, Status.SUCCEEDED, Status.CANCELLED])
def test_no_tail_of_a_step_that_did_not_fail(status: Status):
    tails = Tails()
    tails.add("a", 1, b"one\n")
    tails.event(failed(), status)
    assert tails.failed == {}


def test_events_file_has_one_line_an_event():
    written: list[bytes] = []
    file = EventsFile(written.append, lambda event: f"{event.seq} \ud800")
    file.events(END)
    file.output("a", 1, "out", b"no event")
    file.note("neither")
    file.close()
    assert written == [b"6 \xed\xa0\x80\n7 \xed\xa0\x80\n"]
