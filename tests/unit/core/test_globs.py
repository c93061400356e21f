"""Globs of artifacts: which are refused, and which names their parts stand for."""

import pytest

from dagnats.core.globs import fits, parts_of, wrong_glob


@pytest.mark.parametrize(
    "text", ["dist", "dist/", "./dist", "**", "**/*.xml", ".coverage", "a/.b/*", "a..b", "[!.]*", "a b", "-x", "é"]
)
def test_what_may_be_written(text):
    assert wrong_glob(text) is None


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "is empty"),
        (".", "the whole project"),
        ("./", "the whole project"),
        ("/tmp", "relative"),
        ("~/x", "relative"),
        ("..", "lead out"),
        ("a/../b", "lead out"),
        ("!x", "leave files out"),
        (".git", "never kept"),
        ("a/.dagnats/b", "never kept"),
        ("a\0b", "NUL"),
        ("/".join("a" * 101), "parts"),
    ],
)
def test_what_may_not(text, said):
    assert said in wrong_glob(text).message


@pytest.mark.parametrize(
    ("part", "name", "expected"),
    [
        ("*", "a", True),
        ("*", ".a", False),
        (".*", ".a", True),
        ("**", "a", True),
        ("**", ".a", False),
        ("*.xml", "a.xml", True),
        ("*.xml", "a.xmlx", False),
        ("?", "ab", False),
        ("[ab]", "b", True),
        ("[!ab]", "b", False),
        ("[b-a]", "b", False),
        ("[", "[", True),
        ("a*", "a\nb", True),
    ],
)
def test_what_a_part_stands_for(part, name, expected):
    assert fits(part, name) is expected


def test_a_hard_pattern_takes_no_time():
    assert not fits("*a" * 40 + "b", "a" * 250)


def test_parts():
    assert parts_of("./a//b/") == ("a", "b")
