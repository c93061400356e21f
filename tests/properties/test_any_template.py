"""Whatever the value, a shell prints it; whatever the template, it ends soon and with a sentence."""

import os
import shutil
import subprocess
import time
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dagnats.template import TemplateError, check, check_script, evaluate, render, render_script, render_text

HOSTILE = [
    "'",
    '"',
    "`",
    "\\",
    "$",
    "$(touch x)",
    "`id`",
    "${HOME}",
    "$DAGNATS_V1",
    "\n",
    "\r",
    ";",
    "&",
    "*",
    "{{ x }}",
    "é",
]
TEXT = st.characters(codec="utf-8", exclude_characters="\0")
VALUES = st.one_of(st.text(TEXT), st.lists(st.one_of(st.sampled_from(HOSTILE), st.text(TEXT, max_size=3))).map("".join))
SHELLS = [shell for shell in ("bash", "sh") if shutil.which(shell)]


@pytest.mark.parametrize("shell", SHELLS)
@settings(deadline=None, max_examples=60)
@given(value=VALUES)
def test_a_shell_prints_exactly_the_value(shell: str, value: str) -> None:
    script, environment = render_script('printf %s "{{ params.x }}"', {"params": {"x": value}}, shell)
    done = subprocess.run(
        [shell, "-eu", "-c", script], capture_output=True, env={**os.environ, **environment}, check=True
    )
    assert done.stdout.decode() == value
    assert done.stderr == b""


@settings(deadline=None, max_examples=200)
@given(value=VALUES, shell=st.sampled_from(["bash", "sh", "pwsh"]))
def test_the_script_does_not_depend_on_the_value(value: str, shell: str) -> None:
    text = "a 'b' \"{{ x }}\" {{ x }} ${#c} \r\n"
    assert render_script(text, {"x": value}, shell)[0] == render_script(text, {"x": "other"}, shell)[0]


@settings(deadline=None, max_examples=200)
@given(value=VALUES)
def test_a_python_literal_is_the_value(value: str) -> None:
    script, _ = render_script("{{ x }}", {"x": value}, "python")
    assert eval(script) == value
    # Within another literal it is a part of it, or no Python at all.
    for quote in ('"', '"""'):
        assert isinstance(eval(f"{quote}{script}{quote}"), str)


PIECES = [
    "{{", "}}", "{%", "%}", "{#", "#}", "{{ ", " }}", "{% ", " %}", "-", "for i in ", "endfor", "if ", "elif ", "else", "endif",
    "set a = ", "raw", "endraw", "a", "i", "x", "loop", "range(", "9999", ")", "(", "[", "]", "{", "}", ":", ",", ".", "|", "~",
    "**", "*", "+", "/", "//", "%", "==", "<", " in ", " is ", " not ", " and ", " or ", "'", '"', "'ab'", "1", "0", "-1", "1e308",
    "__class__", "upper", "join", "sort", "replace", "list", "sum", "default(", "items", "\n", "\r", "$", "<<'E'", "\\", " ", "é",
]  # fmt: skip
NAMES = ["a", "i", "x", "x.y", "x.l", "1", "0", "9999", "'ab'", "-1", "1e308", "none", "true", "[]", "{}", "missing"]
OPERATORS = ["+", "-", "*", "/", "//", "%", "**", "~", "==", "<", " in ", " and ", " or ", " if ", "[", " is "]
FILTERS = [
    "upper",
    "join",
    "sort",
    "unique",
    "list",
    "sum",
    "items",
    "length",
    "first",
    "max",
    "tojson",
    "fromjson",
    "split",
    "int",
]

EXPRESSIONS = st.recursive(
    st.sampled_from(NAMES),
    lambda inner: st.one_of(
        st.tuples(inner, st.sampled_from(OPERATORS[:13]), inner).map(lambda parts: "(" + "".join(parts) + ")"),
        st.tuples(inner, st.sampled_from(FILTERS)).map(" | ".join).map("({})".format),
        st.tuples(inner, inner).map(lambda parts: f"{parts[0]}[{parts[1]}]"),
        st.lists(inner, max_size=3).map(lambda parts: "[" + ", ".join(parts) + "]"),
        inner.map("range({})".format),
    ),
    max_leaves=12,
)
TEMPLATES = st.recursive(
    st.one_of(EXPRESSIONS.map("{{{{ {} }}}}".format), EXPRESSIONS.map("{{% set a = {} %}}".format), st.just("text\n")),
    lambda inner: st.one_of(
        st.tuples(EXPRESSIONS, inner).map(lambda parts: "{% for i in " + parts[0] + " %}" + parts[1] + "{% endfor %}"),
        st.tuples(EXPRESSIONS, inner).map(lambda parts: "{% if " + parts[0] + " %}" + parts[1] + "{% endif %}"),
        st.lists(inner, max_size=4).map("".join),
    ),
    max_leaves=8,
)
SOUP = st.one_of(st.lists(st.sampled_from(PIECES), max_size=60).map("".join), TEMPLATES, st.text(max_size=40))
CONTEXT = {"x": {"y": "text", "l": [1, "b", None, [2.5]]}, "i": 3}


def ends_well(attempt: Callable[[], object]) -> None:
    found = None
    try:
        attempt()
    except TemplateError as error:
        found = error
    assert found is None or (found.message and found.line >= 1)


@settings(deadline=None, max_examples=500)
@given(text=SOUP)
def test_soup_ends_soon_with_a_value_or_a_sentence(text: str) -> None:
    begun = time.monotonic()
    for attempt in (
        lambda: check(text),
        lambda: check(text, expression=True),
        lambda: render(text, CONTEXT),
        lambda: render_text(text, CONTEXT),
        lambda: evaluate(text, CONTEXT, {"failure": lambda: False}),
        lambda: render_script(text, CONTEXT, "bash"),
        lambda: [check_script(text, shell) for shell in ("bash", "pwsh", "python")],
    ):
        ends_well(attempt)
    assert time.monotonic() - begun < 15.0


@pytest.mark.parametrize(
    "piece",
    ["{{", "{%", "{#", "{% raw %}", "{{ x }}", "{%-", " \n", "{{ '", "}}", "{% if x %}", "-%} ", "'", "<<'E'\n"],
)
def test_64_kib_of_anything_are_read_soon(piece: str) -> None:
    text = (piece * (64 * 1024))[: 64 * 1024]
    begun = time.monotonic()
    ends_well(lambda: check(text))
    for shell in ("bash", "pwsh", "python"):
        check_script("{{ x }}" + text, shell)
    assert time.monotonic() - begun < 5.0


@settings(deadline=None)
@given(value=st.recursive(st.none() | st.booleans() | st.integers() | st.text(), st.lists, max_leaves=10))
def test_one_expression_keeps_its_value(value: object) -> None:
    assert render("{{ x }}", {"x": value}) == value


QUOTING = [
    "'",
    "'",
    '"',
    '"',
    "\\",
    "$'",
    "$(echo ",
    ")",
    "`",
    "#",
    " ",
    "\n",
    "a",
    "<<E\n",
    "<<'E'\n",
    "\nE\n",
    "echo ",
    "${y:-",
    "}",
    ";",
]


@pytest.mark.parametrize("shell", SHELLS)
@settings(deadline=None, max_examples=200)
@given(
    before=st.lists(st.sampled_from(QUOTING), max_size=8).map("".join),
    after=st.lists(st.sampled_from(QUOTING), max_size=5).map("".join),
)
def test_what_is_said_of_quotes_is_true_in_a_shell(shell: str, before: str, after: str) -> None:
    text = f"echo {before}{{{{ x }}}}{after}"
    if check_script(text, shell):
        script, environment = render_script(text, {"x": "VALUE"}, shell)
        done = subprocess.run(
            [shell, "-c", script], capture_output=True, env={**os.environ, **environment}, check=False
        )
        assert b"VALUE" not in done.stdout
