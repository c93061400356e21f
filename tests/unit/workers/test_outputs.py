"""What a step writes to $DAGNATS_OUTPUT: values of the declared types, or an error that names the line."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dagnats.workers.outputs import OUTPUTS_MAX_BYTES, OutputError, parse_outputs


def typed(kind: str, value: str) -> object:
    return parse_outputs(f"x={value}\n".encode(), {"x": {"type": kind}})["x"]


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"", {}),
        (b"\n \n\r\n", {}),
        (b"a=1", {"a": "1"}),
        (b"a=1\nb-2=two words \n", {"a": "1", "b-2": "two words "}),
        (b"a=\n", {"a": ""}),
        (b"a==x=y\n", {"a": "=x=y"}),
        (b"a=<<END\n", {"a": "<<END"}),
        (b"a=1\r\nb=2\r\n", {"a": "1", "b": "2"}),
        (b"a<<END\nEND\n", {"a": ""}),
        (b"a<<END\none\ntwo\nEND\nb=2\n", {"a": "one\ntwo", "b": "2"}),
        (b"a<<END\n\n  b=1\n\nEND", {"a": "\n  b=1\n"}),
        (b"a<< END \nEND x\nEND\n", {"a": "END x"}),
        (b"a<<END\r\none\r\nEND\r\n", {"a": "one\r"}),
        ("a=é✓\u2028x\n".encode(), {"a": "é✓\u2028x"}),
    ],
)
def test_entries(content: bytes, expected: dict[str, str]):
    assert parse_outputs(content, {}) == expected


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"a=1\n\nhello\n", "$DAGNATS_OUTPUT line 3: expected `name=value` or `name<<END`, got 'hello'"),
        (b"a =1", "$DAGNATS_OUTPUT line 1: expected `name=value` or `name<<END`, got 'a =1'"),
        (b" a=1", "$DAGNATS_OUTPUT line 1: expected `name=value` or `name<<END`, got ' a=1'"),
        (b"=1", "$DAGNATS_OUTPUT line 1: expected `name=value` or `name<<END`, got '=1'"),
        (b"1a=1", "$DAGNATS_OUTPUT line 1: expected `name=value` or `name<<END`, got '1a=1'"),
        (b"a<<\n", "$DAGNATS_OUTPUT line 1: expected `name=value` or `name<<END`, got 'a<<'"),
        (b"z" * 101 + b"=1", f"$DAGNATS_OUTPUT line 1: expected `name=value` or `name<<END`, got '{'z' * 60}…'"),
        (b"b=1\na<<END\none\n", "$DAGNATS_OUTPUT line 2: `a<<END` is never closed by a line `END`"),
        (b"a=1\nb=2\na=3\n", "$DAGNATS_OUTPUT line 3: output `a` is set twice"),
        (b"a<<E\n1\n2\nE\na<<E\nE\n", "$DAGNATS_OUTPUT line 5: output `a` is set twice"),
        (b"a=1\nb=\xff\n", "$DAGNATS_OUTPUT line 2: not UTF-8"),
    ],
)
def test_errors_name_the_line(content: bytes, message: str):
    with pytest.raises(OutputError) as caught:
        parse_outputs(content, {})
    assert str(caught.value) == message


def test_size_is_bounded():
    head = b"a="
    assert len(parse_outputs(head + b"x" * (OUTPUTS_MAX_BYTES - 2), {})["a"]) == OUTPUTS_MAX_BYTES - 2
    with pytest.raises(OutputError, match="the outputs are more than 1 MiB: write large results to a file"):
        parse_outputs(head + b"x" * (OUTPUTS_MAX_BYTES - 1), {})


def test_required_outputs_that_are_missing_are_all_named():
    declared = {"a": {"required": True}, "b": {}, "c": {"type": "integer", "required": True}}
    with pytest.raises(OutputError, match=r"^required output `a`, `c` was not written to \$DAGNATS_OUTPUT$"):
        parse_outputs(b"b=1\n", declared)
    assert parse_outputs(b"a=\nc=1\n", declared) == {"a": "", "c": 1}


@pytest.mark.parametrize(
    ("kind", "value", "expected"),
    [
        ("string", "1", "1"),
        ("integer", "12", 12),
        ("integer", " -3 ", -3),
        ("number", "1.5", 1.5),
        ("number", "-2", -2),
        ("number", "1e3", 1000.0),
        ("boolean", "true", True),
        ("boolean", " false ", False),
        ("json", '{"a": [1, null, "x"]}', {"a": [1, None, "x"]}),
        ("json", "null", None),
        ("json", "[" * 32 + "]" * 32, json.loads("[" * 32 + "]" * 32)),
    ],
)
def test_declared_types(kind: str, value: str, expected: object):
    assert typed(kind, value) == expected
    assert type(typed(kind, value)) is type(expected)


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        *(("integer", value) for value in ("", "1.5", "1e3", "0x10", "1_000", "٣", "many", "9" * 5000)),
        *(
            ("number", value)
            for value in ("", " ", "one", "NaN", "Infinity", "-Infinity", "1e999", '"1"', "true", "[1]")
        ),
        *(("boolean", value) for value in ("", "True", "1", "yes")),
        *(("json", value) for value in ("", "{", "{'a': 1}", "NaN", "[1e999]", "[" * 33 + "]" * 33, "[" * 100_000)),
    ],
)
def test_value_of_another_type_names_line_output_and_type(kind: str, value: str):
    with pytest.raises(OutputError) as caught:
        typed(kind, value)
    start = f"$DAGNATS_OUTPUT line 1: output `x` is declared as {kind}, got "
    shown = value if len(value) <= 60 else value[:60] + "…"
    assert str(caught.value) == start + repr(shown)


@given(st.binary(max_size=200) | st.lists(st.sampled_from([b"a", b"=", b"<<", b"E", b"\n", b"\r", b" "])).map(b"".join))
def test_whatever_is_written_gives_values_or_an_output_error(content: bytes):
    try:
        outputs = parse_outputs(content, {"a": {"type": "json"}})
    except OutputError as error:
        assert "$DAGNATS_OUTPUT line " in str(error)  # noqa: PT017 - both ends are right
    else:
        assert json.loads(json.dumps(outputs, allow_nan=False)) == outputs
