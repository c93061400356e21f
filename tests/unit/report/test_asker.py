"""Approvals on a terminal: what is asked, what typed words mean, and that the terminal is as it was."""

import os
import pty
import termios

import pytest

from dagnats.core.events import ApprovalDecided, StepCancelled, StepWaiting
from dagnats.report import asker
from dagnats.report.asker import HOW, Asker, Typed, understood


@pytest.mark.parametrize(
    ("line", "meant"),
    [
        ("y", Typed(True, "")),
        (" YES  checked on staging ", Typed(True, "checked on staging")),
        ("n", Typed(False, "")),
        ("no too late", Typed(False, "too late")),
        ("not on a friday", Typed(False, "not on a friday")),
        ("yellow", Typed(False, "yellow")),
        ("", None),
        ("   ", None),
    ],
)
def test_what_is_typed(line, meant):
    assert understood(line) == meant


def waiting(step, prompt="Well?"):
    return StepWaiting(seq=1, at=1.0, step=step, attempt=1, kind="approval", prompt=prompt)


def decided(step):
    return ApprovalDecided(seq=1, at=1.0, step=step, attempt=1, approved=True, decided_at=1.0)


class Desk:
    """An asker at a terminal of its own."""

    def __init__(self, monkeypatch, *, edits):
        self.ours, self.theirs = pty.openpty()
        self.shown, self.answers = [], []
        monkeypatch.setattr(asker.os, "tcgetpgrp", lambda _: os.getpgrp())
        self.asker = Asker(
            lambda *said: self.answers.append(said), self.shown.append, descriptor=self.theirs, edits=edits
        )

    def type(self, keys):
        os.write(self.ours, keys)
        self.asker.tick()

    def echoes(self):
        return bool(termios.tcgetattr(self.theirs)[3] & termios.ECHO)


@pytest.fixture
def desk(monkeypatch):
    one = Desk(monkeypatch, edits=True)
    yield one
    os.close(one.ours)
    os.close(one.theirs)


def test_keys_make_an_answer_and_the_terminal_is_as_it_was(desk):
    desk.asker.events([waiting("ship", "Deploy\x1b[2J 2?")])
    assert desk.shown == [f"ship: Deploy [2J 2?  {HOW}"]
    assert desk.asker.tick_s is not None
    desk.type(b"yxx")
    assert not desk.echoes()
    desk.type(b"\x7f\x08 \xc3\xa4h")
    desk.type(b"\x1b[A")
    assert desk.shown[-1] == f"ship: Deploy [2J 2?  {HOW} y äh"
    desk.type(b"\r")
    assert desk.answers == [("ship", True, "äh")]
    assert (desk.shown[-1], desk.echoes(), desk.asker.tick_s) == ("", True, None)


def test_enter_alone_is_no_answer_and_a_line_can_be_taken_back(desk):
    desk.asker.events([waiting("ship")])
    desk.type(b"\r\r")
    desk.type(b"never\x15n too late\n")
    assert desk.answers == [("ship", False, "too late")]


def test_questions_come_one_after_the_other_and_what_was_typed_before_is_no_answer(desk):
    desk.asker.events([waiting("one"), waiting("two")])
    desk.type(b"y\ry\r")
    assert desk.answers == [("one", True, "")]
    assert desk.shown[-1].startswith("two: ")
    desk.type(b"n\r")
    assert desk.answers[1:] == [("two", False, "")]


@pytest.mark.parametrize("end", [decided("ship"), StepCancelled(seq=1, at=1.0, step="ship", attempt=1)])
def test_question_goes_away_when_it_is_decided_elsewhere(desk, end):
    desk.asker.events([waiting("ship")])
    desk.type(b"y")
    desk.asker.events([end])
    assert (desk.shown[-1], desk.answers, desk.echoes()) == ("", [], True)


def test_terminal_is_given_back_while_the_program_is_stopped(desk):
    desk.asker.events([waiting("ship")])
    desk.type(b"y")
    desk.asker.leave()
    assert desk.echoes()
    desk.asker.back()
    desk.type(b"\r")
    assert desk.answers == [("ship", True, "")]
    desk.asker.events([waiting("next")])
    desk.asker.tick()
    desk.asker.close()
    assert desk.echoes()


def test_nothing_is_read_behind_another_program(desk, monkeypatch):
    monkeypatch.setattr(asker.os, "tcgetpgrp", lambda _: os.getpgrp() + 1)
    desk.asker.events([waiting("ship")])
    desk.type(b"y\n")
    assert (desk.answers, desk.echoes()) == ([], True)


def test_whole_lines_where_the_terminal_shows_them(monkeypatch):
    desk = Desk(monkeypatch, edits=False)
    desk.asker.events([waiting("ship")])
    desk.type(b"y fine\n")
    assert (desk.answers, desk.shown) == ([("ship", True, "fine")], [f"ship: Well?  {HOW}", ""])
    assert desk.echoes()
    os.close(desk.ours)
    os.close(desk.theirs)
