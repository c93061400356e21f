"""What would run, as text and as data."""

import pytest

from dagnats.definition import load
from dagnats.definition.known import known_values
from dagnats.report.plan import plan_data, plan_text
from dagnats.report.style import Style

TEXT = b"""\
name: p
params: {on: false, long: "%s"}
vars: {v: "{{ params.on }}", w: {sh: "date \\u001b"}}
fail_fast: true
steps:
  - {id: a, run: a, retry: {max_attempts: 2, "on": [3, timeout]}, idle_timeout: 90s}
  - {id: b, run: b, if: params.on}
  - {id: c, run: c, if: "'x' / 2", needs: [a]}
  - {id: d, run: d, if: not params.on and vars.v == false, timeout: 1500ms}
  - {id: e, run: e, if: vars.w == 'x' and failure(), retry: {max_attempts: 3, initial_delay: 500ms}}
""" % (b"x" * 100)


def lines(style: Style = Style()) -> list[str]:  # noqa: B008 - it is frozen
    plan = load("p.yaml", TEXT)
    return list(plan_text(plan, known_values(plan, {"on": False, "long": "x" * 100}, {}, "/"), style))


def test_the_text():
    assert lines() == [
        "p: 5 steps in 4 levels, fail_fast",
        "  params.on = false",
        '  params.long = "' + "x" * 56 + "...",
        "  vars.v = false",
        "  vars.w: known when the run starts (sh: date  )",
        "",
        "  1  a  up to 2 attempts on 3, timeout; idle_timeout 1m30s",
        "  2  b  skipped: if params.on; needs a",
        "     c  fails: if 'x' / 2: can not divide with a string and an integer; needs a",
        "  3  d  if not params.on and vars.v == false (true); needs c; timeout 1.5s",
        "  4  e  if vars.w == 'x' and failure(); needs d; up to 3 attempts, fixed from 500ms",
    ]


def test_colours_carry_no_meaning_of_their_own():
    painted = lines(Style(color=True))
    assert "\x1b[2mb\x1b[0m" in painted[7]
    assert [line.replace("\x1b[2m", "").replace("\x1b[1m", "").replace("\x1b[0m", "") for line in painted] == lines()


def test_the_data():
    plan = load("p.yaml", TEXT)
    data = plan_data(plan, known_values(plan, {"on": False}, {}, "/"))
    assert data["vars"] == {"v": False}
    assert data["vars_later"] == ["w"]
    assert {step["id"]: step["level"] for step in data["steps"]} == {"a": 1, "b": 2, "c": 2, "d": 3, "e": 4}
    assert {step["id"]: step["skipped"] for step in data["steps"]} == {
        "a": False,
        "b": True,
        "c": False,
        "d": False,
        "e": False,
    }
    results = {step["id"]: step["if"] and step["if"]["result"] for step in data["steps"]}
    assert results == {"a": None, "b": False, "c": None, "d": True, "e": None}
    assert data["steps"][2]["if"]["error"] == "can not divide with a string and an integer"


@pytest.mark.parametrize(
    "text",
    [b"name: p\nsteps: [{run: a}]", b"name: p\nmax_parallel: 2\ntimeout: 1h\nsteps: [{run: a}]\nfinally: [{run: b}]"],
)
def test_the_head_says_what_bounds_the_run(text):
    plan = load("p.yaml", text)
    head = next(iter(plan_text(plan, known_values(plan, {}, {}, "/"), Style())))
    bounded = b"max_parallel" in text
    assert head == "p: 1 step in 1 level" + " and 1 in finally, at most 2 at once, timeout 1h" * bounded
