"""What a step prints can colour its text, and do nothing else to a terminal."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dagnats.report.screen import Colours, fit, without_colours

RED, RESET = b"\x1b[31m", b"\x1b[0m"


@pytest.mark.parametrize(
    ("printed", "shown"),
    [
        (b"plain\ttext\n", b"plain\ttext\n"),
        (RED + b"red" + RESET, RED + b"red" + RESET),
        (b"\x1b[38;5;9m\x1b[1;4m", b"\x1b[38;5;9m\x1b[1;4m"),
        (b"a\x1b[2Jb\x1b[10;10Hc\x1b[?1049hd\x1b[6ne", b"abcde"),
        (b"a\x1b]52;c;aGVsbG8=\x07b\x1b]0;title\x1b\\c", b"abc"),
        (b"a\x1bPq#0\x1b\\b\x1b_x\x1b\\c\x1b^x\x1b\\d", b"abcd"),
        (b"a\x1b(0b\x1bcc\x1b7d\x1b", b"abcd"),
        (b"a\xc2\x9b2Jb\xc2\x85c", b"a2Jbc"),
        (b"bell\x07 back\x08space \x00nul\x7f", b"bell backspace nul"),
        (b"10%\r50%\r100%\ndone\r\n", b"100%\ndone\n"),
        (b"cut\r", b"cut"),
        (b"\xff\xfe not utf-8", "�� not utf-8".encode()),
        ("äöü ✓ 漢字 \xa0".encode(), "äöü ✓ 漢字 \xa0".encode()),
        (b"an OSC without an end\x1b]0;title\nnext line", b"an OSC without an end\nnext line"),
    ],
)
def test_what_is_shown(printed, shown):
    assert fit(printed) == shown


@given(st.binary(max_size=200))
def test_nothing_but_colours_is_left_of_any_bytes(printed):
    shown = fit(printed)
    assert not re.search(r"[\x00-\x08\x0b-\x1a\x1c-\x1f\x7f-\x9f]", shown.decode())
    assert b"\x1b" not in without_colours(shown)
    assert shown.count(b"\n") == printed.count(b"\n")
    assert fit(shown) == shown


@pytest.mark.parametrize(
    "hostile", [b"\r" * 1_000_000, b"x" * 1_000_000 + b"\r\r", b"\x1b" * 200_000, b"\x1b[" * 200_000]
)
def test_a_million_of_the_worst_is_filtered(hostile):
    assert len(fit(hostile)) <= len(hostile)


def test_a_colour_goes_on_in_the_next_piece_and_does_not_reach_what_stands_between():
    colours = Colours()
    assert colours.bracket(RED + b"red\n") == RED + b"red\n" + RESET
    assert colours.bracket(b"still red\n") == RED + b"still red\n" + RESET
    assert colours.bracket(RESET + b"plain\n") == RED + RESET + b"plain\n" + RESET
    assert colours.bracket(b"plain\n") == b"plain\n"


def test_colours_that_never_end_are_not_carried_without_bound():
    colours = Colours()
    for _ in range(100):
        shown = colours.bracket(RED + b"x\n")
        assert len(shown) < 200
