"""The table of a pipeline's params."""

from dagnats.cli.help_params import params_table
from dagnats.core.pipeline import Param, Pipeline, Step

NAMES = ("PYTHON", "TAG", "COUNT", "RATIO", "FLOOR", "FAST", "TAGS", "EXTRA", "NOTE")


def table(**params):
    return params_table(Pipeline("p", "p.yaml", (Step("a", run="x"),), params=params))


def test_a_row_a_param():
    assert table(
        python=Param("string", "3.12", enum=("3.11", "3.12"), help="interpreter\nto test with"),
        tag=Param("string", required=True, pattern="v[0-9]+"),
        count=Param("integer", 1, minimum=1, maximum=9),
        ratio=Param("number", 0.5, maximum=1),
        floor=Param("number", 0, minimum=-1.5),
        fast=Param("boolean", False),
        tags=Param("array", ["a"]),
        extra=Param("object"),
        note=Param("string", ""),
    ).splitlines() == [
        "params of p",
        "",
        "  give as             type     default   allowed          help",
        "  -p python=TEXT      string   3.12      3.11 | 3.12      interpreter to test with",
        "  -p tag=TEXT         string   required  matches v[0-9]+",
        "  -p count=N          integer  1         1 to 9",
        "  -p ratio=N          number   0.5       at most 1",
        "  -p floor=N          number   0         at least -1.5",
        "  -p fast=true|false  boolean  false     any",
        '  -p tags=\'[JSON]\'    array    ["a"]     any',
        "  -p extra='{JSON}'   object   none      any",
        '  -p note=TEXT        string   ""        any',
        "",
        "Each may also stand in the file of --params-file, or in the environment:",
        "  " + ", ".join(f"DAGNATS_PARAM_{name}" for name in NAMES),
    ]  # fmt: skip


def test_no_params():
    assert table() == "p has no params"


def test_what_would_move_the_cursor_or_never_end_is_not_printed_as_it_is():
    text = table(a=Param("string", "\x1b[2J" + "x" * 500, help="h\x1b[2J"))
    assert "\x1b" not in text
    assert "x…" in text
    assert len(text) < 600
