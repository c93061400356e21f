"""The published schema of events with its objects closed, so that a field or a type that it lacks is noticed."""

import copy
import json
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator

SCHEMA: dict[str, Any] = json.loads((Path(__file__).parents[1] / "schemas" / "event.schema.json").read_text("utf-8"))
OPEN = Draft202012Validator(SCHEMA)


def closed(schema: dict[str, Any]) -> dict[str, Any]:
    """Give the schema that allows only what it names."""
    strict = copy.deepcopy(schema)
    for definition in strict["$defs"].values():
        if "properties" in definition:
            definition["additionalProperties"] = False
    strict["properties"]["type"]["enum"] = [branch["if"]["properties"]["type"]["const"] for branch in strict["allOf"]]
    return strict


STRICT = Draft202012Validator(closed(SCHEMA))


def problems(record: Any, validator: Draft202012Validator = STRICT) -> list[str]:
    """Say what is wrong with a line, as the person who reads it would want it."""
    return [f"{error.json_path}: {error.message}" for error in validator.iter_errors(record)]


def check_lines(text: bytes) -> list[dict[str, Any]]:
    """Give the records of lines that are all as the schema says."""
    records = [json.loads(line) for line in text.decode().splitlines()]
    for record in records:
        assert not problems(record), record
    return records
