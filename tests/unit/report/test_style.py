"""Who decides on colour, and what is shown without it."""

import pytest

from dagnats.report.style import Style, wants_color


@pytest.mark.parametrize(
    ("flag", "environ", "terminal", "expected"),
    [
        ("always", {"NO_COLOR": "1"}, False, True),
        ("never", {"FORCE_COLOR": "1"}, True, False),
        ("auto", {}, True, True),
        ("auto", {}, False, False),
        ("auto", {"NO_COLOR": "1"}, True, False),
        ("auto", {"NO_COLOR": ""}, True, True),
        ("auto", {"NO_COLOR": "1", "FORCE_COLOR": "1"}, True, False),
        ("auto", {"FORCE_COLOR": "1"}, False, True),
        ("auto", {"FORCE_COLOR": "0"}, True, False),
        ("auto", {"FORCE_COLOR": "false"}, True, False),
        ("auto", {"FORCE_COLOR": ""}, False, False),
        ("auto", {"CLICOLOR_FORCE": "1"}, False, True),
        ("auto", {"FORCE_COLOR": "0", "CLICOLOR_FORCE": "1"}, True, False),
        ("auto", {"CI": "true"}, True, False),
        ("auto", {"CI": "true", "FORCE_COLOR": "1"}, False, True),
        ("auto", {"TERM": "dumb"}, True, False),
        ("auto", {"TERM": "xterm"}, True, True),
    ],
)
def test_wants_color(flag: str, environ: dict[str, str], terminal: bool, expected: bool):
    assert wants_color(flag, environ, terminal=terminal) is expected


def test_paint():
    assert Style(color=True).paint("text", "31") == "\x1b[31mtext\x1b[0m"
    assert Style(color=False).paint("text", "31") == "text"


def test_neighbours_have_different_colours():
    shown = [Style(color=True).prefix("a", number) for number in range(9)]
    assert len(set(shown)) == 8
    assert shown[0] == shown[8]


def test_signs_have_a_likeness_in_ascii():
    ascii_signs = [Style(unicode=False).sign(sign) for sign in "✓✗!-↻…"]
    assert ascii_signs == ["+", "x", "!", "-", "~", "..."]
    assert [Style().sign(sign) for sign in "✓✗!-↻…"] == list("✓✗!-↻…")
