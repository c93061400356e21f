"""Problems as they are shown."""

import pytest

from dagnats.definition import InvalidPipelineError, Problem, format_text, load, summary
from dagnats.definition.report import WIDTH, excerpt


@pytest.mark.parametrize(
    ("line", "column", "length", "shown", "caret"),
    [
        ("abc", 2, 1, "abc", " ^"),
        ("abc", 1, 3, "abc", "^^^"),
        ("abc", 4, 1, "abc", "   ^"),
        ("abc", 99, 5, "abc", "   ^"),
        ("\tab", 2, 2, "    ab", "    ^^"),
        ("a\tb", 3, 1, "a   b", "    ^"),
        ("日本x", 3, 1, "日本x", "    ^"),
        ("日本x", 1, 2, "日本x", "^^^^"),
        ("a\x1b[31mb", 2, 1, "a\\x1b[31mb", " ^^^^"),
        ("a\u202eb", 3, 1, "a\\u202eb", "       ^"),
        ("e\u0301x", 3, 1, "e\u0301x", " ^"),
        ("", 1, 1, "", "^"),
    ],
)
def test_the_caret_stands_below_the_place(line, column, length, shown, caret):
    text, before, marked = excerpt(line, column, length)
    assert (text, " " * before + "^" * marked) == (shown, caret)


@pytest.mark.parametrize("column", [1, 50, 5000, 9999, 10_000])
def test_a_long_line_is_cut_to_a_window_around_the_place(column):
    line = "".join(chr(ord("a") + index % 26) for index in range(10_000))
    text, before, marked = excerpt(line, column, 1)
    assert len(text) <= WIDTH + 2
    assert (text[before], marked) == (line[column - 1], 1)


def test_a_caret_ends_with_the_window():
    text, before, marked = excerpt("x" * 1000, 500, 400)
    assert before + marked < len(text)


def test_at_most_50_are_shown():
    problems = [Problem("f", 0, 0, 0, f"wrong {n}") for n in range(60)]
    lines = format_text(problems, {}, 2000).splitlines()
    assert (len(lines), lines[49], lines[50]) == (51, "f: wrong 49", "… and 1,950 more problems")
    assert format_text(problems[:51], {}).splitlines()[50] == "… and 1 more problem"


def test_names_of_files_can_not_act_on_the_terminal():
    assert format_text([Problem("a\x1b]0;x\x07", 1, 1, 1, "wrong")], {}) == "a\\x1b]0;x\\x07:1:1: wrong"


def test_the_last_line():
    assert (summary(1, 1), summary(1200, 3)) == ("1 problem in 1 file", "1,200 problems in 3 files")


def test_the_error_reads_as_one_block_a_problem():
    with pytest.raises(InvalidPipelineError) as caught:
        load("pipelines/ci.yaml", b"name: x\nsteps:\n  - id: test\n    dependsOn: [lint]\n    run: x\n")
    assert str(caught.value) == (
        "pipelines/ci.yaml:4:5: unknown key `dependsOn` in step `test`\n"
        "    4 |     dependsOn: [lint]\n"
        "      |     ^^^^^^^^^ did you mean `needs`?"
    )
