"""YAML that we write is read back as what it was, by both parsers."""

from hypothesis import example, given, settings
from hypothesis import strategies as st

from dagnats.definition.emit import scalar, to_yaml
from dagnats.definition.problems import Problems
from dagnats.definition.source import parse

AWKWARD = st.text(alphabet=list("ab:#-'\"{}[],&*!|>%@`? \n\t\\$~.0x1eé😀\u2028\ufeff\x85\x07"), max_size=12)
TEXTS = AWKWARD | st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20)
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63) + 1, 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXTS
)
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4), max_leaves=12
)


def read_back(text, *, pure):
    problems = Problems("it")
    root = parse(text, problems, pure=pure)
    assert root is not None, problems.sorted()
    assert not problems, problems.sorted()
    return root.plain()


@given(VALUES)
@example(
    {
        "run": "echo a: b",
        "b": "x #y",
        "c": "a#b",
        "d": "- a",
        "e": "a:",
        "f": "<<",
        "<<": "1",
        "g": "0x1",
        "h": "1e3",
        "i": "yes",
    }
)
@example(
    {
        "script": "a\n b\n\n\tc\n",
        "more": "a\nb",
        "lines": "a\n\n",
        "blank": "\na\n",
        "deep": ["a\nb\n", {"x": "a\nb\n"}],
    }
)
@example({"0:": None, "\ue000": "\U00020000"})
@example([[], {}, [[]], [{}], [[{"a": {}}]], ["---", "...", "a\n---\nb\n"]])
@settings(deadline=None)
def test_a_document_is_read_back_as_what_it_was(value):
    for pure in (False, True):
        assert read_back(to_yaml(value), pure=pure) == value


@given(VALUES)
@settings(deadline=None)
def test_one_line_is_read_back_where_it_stands(value):
    text = scalar(value)
    assert "\n" not in text
    for pure in (False, True):
        assert read_back(f"key: [{text}, {{a: {text}}}]", pure=pure) == {"key": [value, {"a": value}]}
