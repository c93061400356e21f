"""Plain mentions are found without a parser, and exactly as the parser finds them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dagnats.template import TemplateError, check, check_script
from dagnats.template.scripts import TAG, VALUE, flatten
from dagnats.template.simple import is_simple, simple_mentions
from dagnats.template.syntax import parse_expression, parse_template

MARKS = ["{{", "}}", "{%", "{#", "{", "}", "$", "-", ".", "'", '"', "|raw", VALUE, TAG, " ", "\n", "\r", "\x1c"]
NAMES = ["params", "name", "run.id", "steps.a.outputs.x", "{{ vars.a }}", "a", "not", "é"]
PIECES = st.sampled_from(MARKS + NAMES)


def parsed(text, parse):
    try:
        return [(found.path, found.line) for found in parse(text).references]
    except TemplateError:
        return "refused"


@given(st.lists(PIECES, max_size=12).map("".join))
def test_the_parser_finds_the_same(text):
    found = simple_mentions(text)
    assert found is None or found == parsed(text, parse_template)
    found = simple_mentions(text, expression=True)
    assert found is None or found == parsed(text, parse_expression)


@given(st.lists(PIECES, max_size=12).map("".join))
def test_a_script_has_the_same_marks(text):
    if is_simple(text):
        # A comment leaves no mark, and has the lexer read the text.
        assert flatten(text) == flatten("{# #}" + text)


@pytest.mark.parametrize(
    "text", ["{{ run.id }}", "a {{params.a_1}} b {{\n steps . a\n.outputs.x }}", "{{ run }}}", "$${{ env.A }}"]
)
def test_what_is_simple(text):
    assert simple_mentions(text) == parsed(text, parse_template)


@pytest.mark.parametrize(
    "text",
    [
        *("{{ a }}", "{{ run.id | raw }}", "{{ run.id() }}", "{{{ run.id }}", "{{ run.0 }}", "{{- run.id }}"),
        *("{{ run.é }}", "{{ run.id }}{# #}", "{{ run.id }}{% if true %}", "{{ steps.a-b }}", "{{ run.id }} {{"),
        "{{ run.id }}\r",
    ],
)
def test_what_is_left_to_the_parser(text):
    assert simple_mentions(text) is None


def test_the_length_is_bounded_here_too():
    with pytest.raises(TemplateError, match="over 64 KiB"):
        check("{{ run.id }}" + " " * 65536)


def test_quotes_are_looked_at_in_simple_scripts_too():
    assert [error.line for error in check_script("echo {{ run.id }}\necho '{{\nrun.id }}'", "bash")] == [3]
