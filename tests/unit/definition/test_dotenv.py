"""Files of environment variables: what they hold, and that an error tells the place and never a value."""

import os

import pytest

from dagnats.core.pipeline import EnvFile
from dagnats.definition.dotenv import MAX_ERRORS, parse_dotenv, read_dotenv
from dagnats.errors import UsageError


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", {}),
        ("# only a comment", {}),
        ("A=1", {"A": "1"}),
        ("A=1\nB=2\n", {"A": "1", "B": "2"}),
        ("\n\n  A=1  \n\t# c\n", {"A": "1"}),
        ("A=1\r\nB='x\r\ny'\r\n", {"A": "1", "B": "x\ny"}),
        ("export A=1\nexport\tB = 2", {"A": "1", "B": "2"}),
        ("A=", {"A": ""}),
        ("A=\nB=2", {"A": "", "B": "2"}),
        ("A= # nothing", {"A": ""}),
        ("A=''\nB=\"\"", {"A": "", "B": ""}),
        ("A=two words # comment", {"A": "two words"}),
        ("A=a#b", {"A": "a#b"}),
        ("A='a # b' # c", {"A": "a # b"}),
        ('A="a # b"# c', {"A": "a # b"}),
        ("A='it is \"so\"'", {"A": 'it is "so"'}),
        (r"""A='\n$B' """, {"A": r"\n$B"}),
        (r'A="a\nb\tc\\\"\$d"', {"A": 'a\nb\tc\\"$d'}),
        ('A="first\nsecond"\nB=1', {"A": "first\nsecond", "B": "1"}),
        ("A='first\nsecond'\nB=1", {"A": "first\nsecond", "B": "1"}),
        ("A=$B ${C} $(date)", {"A": "$B ${C} $(date)"}),
        ("A=x=y==", {"A": "x=y=="}),
        ("A=C:\\new", {"A": "C:\\new"}),
        ("A=1\nA=2", {"A": "2"}),
        ("export=1", {"export": "1"}),
        ("A=é", {"A": "é"}),
    ],
)
def test_what_it_holds(text, expected):
    assert parse_dotenv(text) == (expected, [])


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("A=1\nhunter2\n", 2, "no `=`"),
        ("export A", 1, "no `=`"),
        ("=hunter2", 1, "no name"),
        ("1A=hunter2", 1, "is no name"),
        ("hunter2/x==", 1, "is no name"),
        ("a.b=hunter2", 1, "is no name"),
        ("DAGNATS_RUN_ID=hunter2", 1, "reserved"),
        ("# c\n\nA='hunter2", 3, "`A` begins with ' and has no ' at its end"),
        ('A="hunter2\\"\n', 1, 'begins with " and has no "'),
        ("A='hunter2' more", 1, "goes on behind its quotes"),
        ("A=hunter'2", 1, "has a quote in it"),
        ('A="C:\\hunter2"', 1, "begins no escape"),
        ("A=hunter2\0", 1, "NUL"),
    ],
)
def test_what_is_wrong_is_told_with_its_line_and_without_its_value(text, line, words):
    _, [(found, message)] = parse_dotenv(text)
    assert found == line
    assert words in message
    assert "hunter2" not in message


def test_after_an_error_the_next_line_is_read():
    assert parse_dotenv("A='x\ny\nz=") == ({}, [(1, "the value of `A` begins with ' and has no ' at its end")])
    values, wrong = parse_dotenv("x\nA=1\ny\nB='two\nlines'\nz\n")
    assert values == {"A": "1", "B": "two\nlines"}
    assert [line for line, _ in wrong] == [1, 3, 6]


def test_later_files_win_and_one_that_may_be_missing_is_left_out(tmp_path):
    (tmp_path / "a").write_text("A=a\nB=a\n")
    (tmp_path / "b").write_text("\ufeffB=b\n")
    files = [EnvFile("a"), EnvFile("none", optional=True), EnvFile("b", optional=True)]
    assert read_dotenv(files, tmp_path) == {"A": "a", "B": "b"}


def test_all_that_is_wrong_is_told_at_once(tmp_path):
    (tmp_path / "a").write_text("x\n")
    (tmp_path / "b").write_bytes(b"\xff")
    (tmp_path / "directory").mkdir()
    with pytest.raises(UsageError) as caught:
        read_dotenv([EnvFile(name) for name in ("a", "none", "b", "directory")], tmp_path)
    first, second, third, fourth, last = str(caught.value).splitlines()
    assert first.startswith("a:1: there is no `=`")
    assert second == "dotenv: none: there is no such file; write `{path: …, optional: true}` if it need not be there"
    assert third == "dotenv: b: byte 0 is not UTF-8"
    assert fourth.startswith("dotenv: directory: this is a directory")
    assert last == "nothing was started"


def test_the_list_of_errors_is_bounded(tmp_path):
    (tmp_path / "a").write_text("x\n" * 1000)
    with pytest.raises(UsageError) as caught:
        read_dotenv([EnvFile("a")], tmp_path)
    assert f"… and {1000 - MAX_ERRORS} more" in str(caught.value)


def test_a_file_outside_of_the_project_is_refused_also_behind_a_link(tmp_path):
    root = tmp_path / "project"
    root.mkdir()
    (tmp_path / "outside").write_text("A=1")
    (root / "inside").write_text("B=2")
    (root / "link").symlink_to(tmp_path / "outside")
    (root / "near").symlink_to("inside")
    (root / "loop").symlink_to("loop")
    for path in ("link", "../outside", str(tmp_path / "outside")):
        with pytest.raises(UsageError, match="leaves the project"):
            read_dotenv([EnvFile(path, optional=True)], root)
    with pytest.raises(UsageError, match="dotenv: loop: "):
        read_dotenv([EnvFile("loop")], root)
    assert read_dotenv([EnvFile("near")], root) == {"B": "2"}


def test_a_pipe_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(UsageError, match="this is a pipe"):
        read_dotenv([EnvFile("pipe")], tmp_path)
