"""Makes the JSON Schema of a line of `--events` and `--output json`, from the codec's tables and the annotations of what it writes.

Fields and what may be left out are those of `dagnats/core/codec.py`, types those of the Structs, descriptions their docstrings and `docs/event_words.py`.
The published schema is open, as readers ignore what they do not know.
"""

import inspect
import json
from collections.abc import Iterable, Sequence
from enum import StrEnum
from pathlib import Path
from typing import Any

from msgspec import NODEFAULT, Struct
from msgspec import inspect as types

from dagnats.core.codec import EVENTS, RECORDS, VERSION
from docs.event_words import VALUES, words

Schema = dict[str, Any]

FILE = Path(__file__).parents[1] / "schemas" / "event.schema.json"
OUTPUT = "StepOutput"
OUTPUT_DESCRIPTION = "What an attempt printed, in pieces: only in `--output json`. It is not stored as an event, so it has no `seq` and no `at`."
DESCRIPTION = (
    "One line of what `dagnats run` writes with `--events` and `--output json`. A field that is left out holds its default, or has no value where "
    "there is none. Fields, types of lines and values of enumerations may be added while `v` stays the same: ignore those that you do not know."
)


def event_schema() -> Schema:
    """The schema of one line, which is an object of one of the definitions that its `type` names."""
    lines = {name: _event(name, cls, fields) for name, (cls, fields) in EVENTS.items()}
    lines[OUTPUT] = _output()
    records = {cls.__name__: _record(cls, fields) for cls, fields in RECORDS if cls.__name__ not in lines}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": "https://dagnats.dev/schema/event.schema.json",
        "title": "event",
        "description": DESCRIPTION,
        "type": "object",
        "required": ["v", "type"],
        "properties": {
            "v": {"const": VERSION, "description": words("", "v")},
            "type": {"type": "string", "description": words("", "type"), "examples": list(lines)},
        },
        # each branch is chosen by the type alone, so that an error speaks of that type only, and an unknown type passes
        "allOf": [
            {
                "if": {"properties": {"type": {"const": name}}, "required": ["type"]},
                "then": {"$ref": f"#/$defs/{name}"},
            }
            for name in lines
        ],
        "$defs": lines | records | {enum.__name__: _enum(enum) for enum in enums()},
    }


def text() -> str:
    """The schema as it is published."""
    return json.dumps(event_schema(), indent=2, ensure_ascii=False) + "\n"


def enums() -> list[type[StrEnum]]:
    """The enumerations that events mention."""
    fields = [field for cls, _ in EVENTS.values() for field in _fields(cls)]
    return list({field.type.cls: None for field in fields if isinstance(field.type, types.EnumType)})


def summary(cls: type) -> str:
    """The first paragraph of a docstring, on one line."""
    return " ".join((inspect.getdoc(cls) or "").split("\n\n")[0].split())


def _event(name: str, cls: type[Struct], fields: Sequence[str]) -> Schema:
    body = _record(cls, ("seq", "at", *fields))
    return body | {
        "title": name,
        "required": ["v", "type", *body["required"]],
        "properties": _head(name) | body["properties"],
    }


def _output() -> Schema:
    who: Schema = {"step": {"type": "string"}, "attempt": {"type": "integer"}}
    stream: Schema = {"stream": {"enum": ["out", "err"]}}
    content: Schema = {"text": {"type": "string"}, "base64": {"type": "string", "contentEncoding": "base64"}}
    described = {
        field: body | {"description": words(OUTPUT, field)} for field, body in (who | stream | content).items()
    }
    return {
        "title": OUTPUT,
        "description": OUTPUT_DESCRIPTION,
        "type": "object",
        "required": ["v", "type", *who, *stream],
        "properties": _head(OUTPUT) | described,
        "oneOf": [{"required": [name]} for name in content],
    }


def _head(name: str) -> Schema:
    return {
        "v": {"const": VERSION, "description": words("", "v")},
        "type": {"const": name, "description": words("", "type")},
    }


def _record(cls: type[Struct], names: Sequence[str]) -> Schema:
    found = {field.name: field for field in _fields(cls)}
    fields = [found[name] for name in names]
    return {
        "title": cls.__name__,
        "description": summary(cls),
        "type": "object",
        "required": [field.name for field in fields if field.required],
        "properties": {field.name: _field(cls, field) for field in fields},
    }


def _fields(cls: type[Struct]) -> Sequence[types.Field]:
    described = types.type_info(cls)
    if not isinstance(described, types.StructType):
        raise TypeError(f"{cls} is no Struct")
    return described.fields


def _field(cls: type[Struct], field: types.Field) -> Schema:
    body = _type(field.type) | {"description": words(cls.__name__, field.name)}
    if field.default_factory is not NODEFAULT:
        return body | {"default": _plain(field.default_factory())}
    if field.default is not NODEFAULT and field.default is not None:
        return body | {"default": _plain(field.default)}
    return body


def _plain(default: Any) -> Any:
    """A default as JSON. That of a record is one whose fields all hold theirs, and so are left out."""
    match default:
        case tuple() | frozenset():
            return sorted(default)
        case Struct():
            return {}
        case _:
            return default


def _type(given: types.Type) -> Schema:  # noqa: PLR0911 - one line a kind of type
    match given:
        case types.AnyType():
            return {}
        case types.UnionType():
            return _union([_type(one) for one in given.types if not isinstance(one, types.NoneType)])
        case types.EnumType() | types.StructType():
            return {"$ref": f"#/$defs/{given.cls.__name__}"}
        case types.LiteralType():
            return {"enum": list(given.values)}
        case types.DictType():
            values = _type(given.value_type)
            return {"type": "object"} | ({"additionalProperties": values} if values else {})
        case types.VarTupleType() | types.FrozenSetType():
            items = _type(given.item_type)
            return {"type": "array"} | ({"items": items} if items else {})
        case _:
            return {"type": _NAMES[type(given)]}


_NAMES = {
    types.BoolType: "boolean",
    types.IntType: "integer",
    types.FloatType: "number",
    types.StrType: "string",
}


def _union(branches: Sequence[Schema]) -> Schema:
    """What is left of a union without None: a field without a value is left out, and never null."""
    return branches[0] if len(branches) == 1 else {"anyOf": list(branches)}


def _enum(cls: type[StrEnum]) -> Schema:
    return {"title": cls.__name__, "description": f"{summary(cls)} {_meanings(cls)}.", "enum": list(map(str, cls))}


def _meanings(cls: Iterable[StrEnum]) -> str:
    return "; ".join(f"`{value}`: {VALUES[f'{type(value).__name__}.{value}']}" for value in cls)
