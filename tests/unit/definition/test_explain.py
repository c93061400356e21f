"""Parts of the format in words: every part can be found and explained, and nothing else."""

import pytest

from dagnats.definition.explain import explanation, find
from dagnats.errors import UsageError


def every_part():
    pending = [find("")]
    for part in pending:
        yield part
        pending.extend(part.parts())


PARTS = list(every_part())


def test_the_parts_are_those_of_the_format():
    paths = {".".join(part.path) for part in PARTS}
    assert {
        "steps",
        "steps.retry.max_attempts",
        "params.enum",
        "vars.sh",
        "defaults.env",
        "finally.needs.step",
    } <= paths
    assert len(paths) == len(PARTS)


@pytest.mark.parametrize("part", PARTS, ids=lambda part: ".".join(part.path) or "file")
def test_every_part_says_what_it_is(part):
    path = ".".join(part.path)
    found = find(path)
    assert found == part
    text = "\n".join(explanation(found))
    assert part.description in text
    assert f"type      {part.types}" in text
    assert part.types != "anything" or part.path[-1] in {"default", "outputs"}
    assert all(f"    {line}" in text for example in part.examples for line in example.splitlines())
    assert all(key.path[-1] in text for key in part.parts())


@pytest.mark.parametrize(
    ("path", "types"),
    [
        ("steps.retry", "a whole number (0 to 999), or a mapping"),
        ("steps.timeout", "a duration such as 500ms, 30s, 5m or 1h30m"),
        ("steps.shell", "one of `bash`, `sh`, `python`, `pwsh`, or a list (at least 1), each text, not empty"),
        ("steps.retry.on", "a list (at least 1), each a whole number (1 to 255), or one of `timeout`, `lost`"),
        ("steps", "a list (1 to 10,000), each a mapping"),
        ("steps.name", "text (1 to 200 characters)"),
        ("env", "names, each with text or a number or true or false"),
        ("steps.id", "an id: small letters, digits, `_` and `-`, a letter first, at most 63"),
    ],
)
def test_what_may_stand_there_is_said_in_words(path, types):
    assert find(path).types == types


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("step", "the format has no key `step`; did you mean `steps`?"),
        ("steps.retri", "`steps` has no key `retri`; did you mean `steps.retry`?"),
        ("steps.needs.xyz", "`steps.needs` has no key `xyz`; it has step, optional"),
        ("name.first", "`name` has no key `first`; it has no keys at all"),
    ],
)
def test_an_unknown_path_is_refused_with_what_was_meant(path, said):
    with pytest.raises(UsageError) as caught:
        find(path)
    assert str(caught.value) == said


def test_whether_a_key_must_be_there_is_said():
    assert "    max_attempts   How often the step is executed at most, the first time counted. (required)" in list(
        explanation(find("steps.retry"))
    )
    assert "  required  yes" in list(explanation(find("name")))
