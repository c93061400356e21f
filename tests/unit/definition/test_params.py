"""Parameters: text and JSON in, typed values or all problems out."""

import sys

import pytest

from dagnats.core.pipeline import Param
from dagnats.definition.params import check_value, coerce, parse_assignments, resolve
from dagnats.definition.patterns import PatternError, matches
from dagnats.errors import UsageError


def problems(
    declared: dict[str, Param],
    given: dict[str, str] | None = None,
    files: dict[str, object] | None = None,
    environ: dict[str, str] | None = None,
) -> list[str]:
    with pytest.raises(UsageError) as caught:
        resolve(declared, given or {}, files or {}, environ or {})
    return str(caught.value).splitlines()


def test_precedence() -> None:
    declared = {name: Param("string", default="default") for name in ("a", "b", "c-d", "e")}
    environ = {f"DAGNATS_PARAM_{name}": "environ" for name in ("A", "B", "C_D")}
    assert resolve(declared, {"a": "given"}, {"a": "file", "b": "file"}, environ) == {
        "a": "given",
        "b": "file",
        "c-d": "environ",
        "e": "default",
    }


def test_an_optional_param_without_default_is_none() -> None:
    assert resolve({"a": Param("integer")}, {}, {}, {}) == {"a": None}


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [
        ("string", " 1 ", " 1 "),
        ("string", "", ""),
        ("integer", "-12", -12),
        ("integer", " 7 ", 7),
        ("number", "1e3", 1000.0),
        ("number", "3", 3),
        ("number", ".5", 0.5),
        ("boolean", "Yes", True),
        ("boolean", "0", False),
        ("array", '[1, "a"]', [1, "a"]),
        ("object", '{"a": null}', {"a": None}),
    ],
)
def test_text_becomes_the_declared_type(kind: str, text: str, value: object) -> None:
    found = coerce("p", Param(kind), text)
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    ("kind", "text", "expected"),
    [
        ("integer", "abc", "param `p`: expected integer, got 'abc'"),
        ("integer", "1.0", "param `p`: expected integer, got '1.0'"),
        ("integer", "1_0", "param `p`: expected integer, got '1_0'"),
        ("integer", "9" * 5000, "param `p`: expected integer, got '" + "9" * 57 + "...'"),
        ("number", "nan", "param `p`: expected number, got 'nan'"),
        ("number", "1e9999", "param `p`: expected number, got '1e9999'"),
        ("boolean", "maybe", "param `p`: expected boolean (true, false, yes, no, 1 or 0), got 'maybe'"),
        ("array", "[1,", "param `p`: expected an array as JSON, got '[1,': Expecting value at line 1 column 4"),
        ("array", "{}", "param `p`: expected an array as JSON, got {}"),
        ("array", "[NaN]", "param `p`: expected an array as JSON, got '[NaN]': NaN"),
        ("array", "[" * 60_000, "param `p`: expected an array as JSON, got one that is nested too deep"),
        ("object", "[]", "param `p`: expected an object as JSON, got []"),
        ("string", "é" * 33_000, "param `p`: the value is over 64 KiB; put it in a file and give its path"),
    ],
)
def test_text_of_the_wrong_type(kind: str, text: str, expected: str) -> None:
    with pytest.raises(UsageError) as caught:
        coerce("p", Param(kind), text)
    assert str(caught.value) == expected


def test_values_of_files_have_their_type_or_are_text() -> None:
    declared = {"n": Param("integer"), "l": Param("array"), "t": Param("integer")}
    assert resolve(declared, {}, {"n": 3, "l": [1], "t": "4"}, {}) == {"n": 3, "l": [1], "t": 4}
    assert problems({"v": Param("string"), "b": Param("integer")}, files={"v": 3.12, "b": True}) == [
        "param `v`: expected string, got 3.12; put it in quotes (from --params-file)",
        "param `b`: expected integer, got true (from --params-file)",
    ]
    assert problems({"l": Param("array")}, files={"l": ["a" * 70_000]}) == [
        "param `l`: the value is over 64 KiB; put it in a file and give its path (from --params-file)"
    ]


def test_all_problems_at_once() -> None:
    declared = {
        "python": Param("string", required=True, enum=("3.11", "3.12")),
        "jobs": Param("integer", default=1, minimum=1, maximum=8),
        "token": Param("string", required=True),
        "deep": Param("object"),
    }
    assert problems(
        declared, {"pyton": "3", "jobs": "9", "python": "2.7"}, {"zzz": 1}, {"DAGNATS_PARAM_DEEP": "{"}
    ) == [
        "param `pyton` is not declared; did you mean `python`?",
        "param `zzz` is not declared; the pipeline has deep, jobs, python, token (from --params-file)",
        "param `python`: '2.7' is not one of '3.11', '3.12'",
        "param `jobs`: 9 is above the maximum of 8",
        "param `token` is required: give it with -p token=... or DAGNATS_PARAM_TOKEN",
        "param `deep`: expected an object as JSON, got '{': Expecting property name enclosed in double quotes at line 1 column 2 (from DAGNATS_PARAM_DEEP)",
    ]


def test_a_pipeline_without_params() -> None:
    assert problems({}, {"a": "1"}) == ["param `a` is not declared; the pipeline has no params"]


@pytest.mark.parametrize(
    ("param", "value", "expected"),
    [
        (Param("integer", minimum=2), 2, None),
        (Param("integer", minimum=2), 1, "param `p`: 1 is below the minimum of 2"),
        (Param("number", maximum=0.5), 0.6, "param `p`: 0.6 is above the maximum of 0.5"),
        (Param("number"), float("inf"), "param `p`: expected number, got Infinity"),
        (Param("boolean"), 1, "param `p`: expected boolean, got 1"),
        (Param("integer", enum=(1,)), 1, None),
        (Param("array", enum=([1], [2])), [3], "param `p`: [3] is not one of [1], [2]"),
    ],
)
def test_values_are_checked(param: Param, value: object, expected: str | None) -> None:
    assert check_value("p", param, value) == expected


def test_assignments() -> None:
    assert parse_assignments(["a=1", "b=x=y", "c=", "a=2"]) == {"a": "2", "b": "x=y", "c": ""}
    with pytest.raises(UsageError) as caught:
        parse_assignments(["x", "a=1", "=y"])
    assert str(caught.value) == "-p expects name=value, got 'x'\n-p expects name=value, got '=y'"


@pytest.mark.parametrize(
    ("pattern", "value", "good"),
    [
        ("v[0-9]+", "v12", True),
        ("v[0-9]+", "v12\n", False),
        ("v[0-9]+", "xv12", False),
        ("^v[0-9]+$", "v12", True),
        ("^v[0-9]+$", "v12\n", False),
        ("a|ab", "ab", True),
        (".*", "a\nb", False),
        ("(?s).*", "a\nb", True),
        (r"\p{Greek}", "λ", True),
        (".*", "\ud800", False),
        ("(a+)+b", "a" * 60_000, False),
    ],
)
def test_a_pattern_holds_for_the_whole_value(pattern, value, good):
    message = check_value("tag", Param("string", pattern=pattern), value)
    assert (message is None) is good
    assert good or "does not match" in message


def test_a_value_from_outside_is_held_against_the_pattern():
    declared = {"tag": Param("string", required=True, pattern="v[0-9]+")}
    assert resolve(declared, {"tag": "v1"}, {}, {}) == {"tag": "v1"}
    with pytest.raises(UsageError, match=r"param `tag`: 'main' does not match `v\[0-9\]\+`; the whole value must"):
        resolve(declared, {}, {}, {"DAGNATS_PARAM_TAG": "main"})


def test_without_re2_a_pattern_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "re2", None)
    with pytest.raises(PatternError) as caught:
        matches("only-here-[0-9]+", "x")
    assert caught.value.hint == "install the Python package google-re2"
