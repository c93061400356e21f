"""The published schema: complete for editors, and within what our interpreter of it understands."""

import json

import jsonschema
import pytest

from dagnats.definition import schema_text
from dagnats.definition.schema import schema

DOCUMENT = json.loads(schema_text())
UNDERSTOOD = {
    "$schema", "$id", "$ref", "title", "description", "default", "examples", "definitions", "patternErrorMessage",
    "type", "enum", "pattern", "minLength", "maxLength", "minimum", "maximum", "items", "minItems", "maxItems",
    "properties", "patternProperties", "additionalProperties", "propertyNames", "required", "anyOf", "oneOf", "if", "then", "else",
}  # fmt: skip


def parts(part, path="#"):
    """Every schema within a schema, with where it stands."""
    yield path, part
    for key in ("properties", "definitions", "patternProperties"):
        for name, inner in part.get(key, {}).items():
            yield from parts(inner, f"{path}/{key}/{name}")
    for key in ("items", "propertyNames", "if", "then", "else", "additionalProperties"):
        if isinstance(part.get(key), dict):
            yield from parts(part[key], f"{path}/{key}")
    for key in ("anyOf", "oneOf"):
        for index, inner in enumerate(part.get(key, []) if not path.endswith("/if") else ()):
            if inner.keys() != {"not"}:
                yield from parts(inner, f"{path}/{key}/{index}")


def test_it_is_valid_for_new_and_for_old_tools():
    jsonschema.Draft202012Validator.check_schema(DOCUMENT | {"$schema": "https://json-schema.org/draft/2020-12/schema"})
    jsonschema.Draft7Validator.check_schema(DOCUMENT)


@pytest.mark.parametrize(
    ("path", "part"), list(parts(DOCUMENT)), ids=lambda value: value if isinstance(value, str) else ""
)
def test_it_says_nothing_that_the_interpreter_does_not_understand(path, part):
    assert part.keys() <= UNDERSTOOD
    assert "pattern" not in part or {"patternErrorMessage"} <= part.keys()
    if path.endswith(("step/if", "handler/if")):
        assert all("required" in branch for branch in part.get("anyOf", [part]))
    elif "anyOf" in part:
        # The kind of a value must choose the branch.
        kinds = [kind for branch in part["anyOf"] for kind in _kinds(branch)]
        assert len(kinds) == len(set(kinds))
    if "oneOf" in part:
        named = [branch for branch in part["oneOf"] if "required" in branch]
        assert all(branch.keys() == {"required"} and len(branch["required"]) == 1 for branch in named)
        assert [branch for branch in part["oneOf"] if branch not in named] in ([], [{"not": {"anyOf": named}}])


def _kinds(branch):
    if "$ref" in branch:
        branch = DOCUMENT["definitions"][branch["$ref"].rsplit("/", 1)[1]]
    return [branch["type"]] if isinstance(branch["type"], str) else branch["type"]


@pytest.mark.parametrize(
    ("path", "part"),
    [(path, part) for path, part in parts(DOCUMENT) if path.split("/")[-2:-1] == ["properties"]],
    ids=lambda v: v if isinstance(v, str) else "",
)
def test_every_property_tells_what_it_is_and_shows_one(path, part):
    resolved = schema()
    for step in path.removeprefix("#/").split("/"):
        if step == "definitions":
            resolved = None
        if resolved is not None:
            resolved = resolved[step]
    assert part["description"].endswith(".")
    whole = (
        resolved
        if resolved is not None
        else part | DOCUMENT["definitions"].get(part.get("$ref", "").rsplit("/", 1)[-1], {})
    )
    assert whole["title"]
    assert whole["examples"]
    name, owner = path.split("/")[-1], DOCUMENT
    for step in path.removeprefix("#/").split("/")[:-2]:
        owner = owner[step]
    # `then` describes what was recognised by this very key
    needed = name in owner.get("required", ()) or path.split("/")[-3:-2] == ["then"]
    assert needed or "default" in whole or "ithout it" in part["description"], "say what holds when it is left out"


def test_editors_know_it_by_a_name_that_stays():
    assert DOCUMENT["$id"] == "https://dagnats.dev/schema/pipeline.schema.json"
    assert (
        DOCUMENT["$schema"] == "http://json-schema.org/draft-07/schema#"
    )  # the newest that yaml-language-server knows well


def test_every_example_and_default_is_valid():
    for path, part in parts(DOCUMENT):
        validator = jsonschema.Draft202012Validator({"definitions": DOCUMENT["definitions"], **part})
        for value in [*part.get("examples", []), *([part["default"]] if "default" in part else [])]:
            errors = list(validator.iter_errors(value))
            assert not errors, f"{path}: {value!r}: {errors[0].message}"


def test_defaults_hold_every_field_of_a_step_but_those_that_make_it_one():
    step, defaults = DOCUMENT["definitions"]["step"], DOCUMENT["definitions"]["defaults"]
    assert {name: part for name, part in step["properties"].items() if name in defaults["properties"]} == defaults[
        "properties"
    ]
    assert step["properties"].keys() - defaults["properties"].keys() == {
        *("id", "needs", "run", "command", "pipeline", "params", "type", "duration", "signal", "prompt")
    }
