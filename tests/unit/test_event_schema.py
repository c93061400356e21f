"""The schema of events describes what the codec writes: each line, each field, and nothing else."""

import json
import runpy
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from msgspec import inspect, structs
from strict_events import OPEN, SCHEMA, STRICT, check_lines, problems

from dagnats.core import events
from dagnats.core.codec import EVENTS, RECORDS, decode_commit, event_record
from dagnats.core.events import Reason
from dagnats.report.jsonlines import event_json

ROOT = Path(__file__).parents[2]
JOURNALS = sorted((ROOT / "tests" / "journals" / "v1").glob("*.jsonl"))
DEFINITIONS: Mapping[str, Any] = SCHEMA["$defs"]
WORDS = runpy.run_path(str(ROOT / "docs" / "event_words.py"))
EVENT_NAMES = {cls: name for name, (cls, _) in EVENTS.items()}
COMMON = ("v", "type", "seq", "at")

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)
PLAIN = {
    inspect.AnyType: JSON,
    inspect.BoolType: st.booleans(),
    inspect.FloatType: st.floats(allow_nan=False, allow_infinity=False),
    inspect.IntType: st.integers(),
    inspect.NoneType: st.none(),
    inspect.StrType: st.text(),
}


def values(described: inspect.Type) -> st.SearchStrategy[Any]:  # noqa: PLR0911 - one line a kind of type
    """Give every value of an annotation."""
    match described:
        case inspect.UnionType():
            return st.one_of([values(one) for one in described.types])
        case inspect.EnumType():
            return st.sampled_from(list(described.cls))
        case inspect.LiteralType():
            return st.sampled_from(described.values)
        case inspect.DictType():
            return st.dictionaries(st.text(), st.deferred(lambda: values(described.value_type)), max_size=2)
        case inspect.VarTupleType():
            return st.lists(st.deferred(lambda: values(described.item_type)), max_size=2).map(tuple)
        case inspect.FrozenSetType():
            return st.frozensets(values(described.item_type), max_size=2)
        case inspect.StructType():
            return records(described.cls)
    return PLAIN[type(described)]


def records(cls: type[Any]) -> st.SearchStrategy[Any]:
    """Give every value of a class; what may be left out sometimes is."""
    fields = inspect.type_info(cls).fields
    needed = {field.name: values(field.type) for field in fields if field.required}
    others = {field.name: values(field.type) for field in fields if not field.required}
    return st.fixed_dictionaries(needed, optional=others).map(lambda given: cls(**given))


def test_it_is_a_schema():
    Draft202012Validator.check_schema(SCHEMA)
    Draft202012Validator.check_schema(STRICT.schema)


@pytest.mark.parametrize(("cls", "fields"), RECORDS, ids=lambda part: getattr(part, "__name__", ""))
def test_a_class_has_the_fields_that_the_codec_writes_and_no_others(cls, fields):
    definition = DEFINITIONS[EVENT_NAMES.get(cls, cls.__name__)]
    known = {field.name: field.required for field in structs.fields(cls)}
    common = COMMON if cls in EVENT_NAMES else ()
    assert list(definition["properties"]) == [*common, *fields]
    assert definition["required"] == [*common, *(name for name in fields if known[name])]
    assert set(known) | {"v", "type"} == set(fields) | set(COMMON) if common else set(known) == set(fields)


@pytest.mark.parametrize("name", EVENTS)
def test_what_is_left_out_holds_the_default_that_the_schema_names(name):
    cls, fields = EVENTS[name]
    properties = DEFINITIONS[name]["properties"]
    for field in structs.fields(cls):
        if field.name in fields and not field.required:
            default = field.default if field.default_factory is structs.NODEFAULT else field.default_factory()
            as_json = list(default) if isinstance(default, tuple) else default
            assert properties[field.name].get("default") == as_json


def test_there_are_no_other_types_and_no_other_definitions():
    lines = {*EVENTS, "StepOutput"}
    plan = {cls.__name__ for cls, _ in RECORDS if cls not in EVENT_NAMES}
    enums = {"Reason", "CancelledBy", "Outcome"}
    assert set(DEFINITIONS) == lines | plan | enums
    branches = [(branch["if"]["properties"]["type"]["const"], branch["then"]["$ref"]) for branch in SCHEMA["allOf"]]
    assert sorted(branches) == sorted((name, f"#/$defs/{name}") for name in lines)
    assert set(SCHEMA["properties"]["type"]["examples"]) == lines
    for name in enums:
        assert DEFINITIONS[name]["enum"] == [str(value) for value in getattr(events, name)]


def test_every_word_is_needed_and_none_is_missing():
    needed = {f"{name}.{field}" for name, body in DEFINITIONS.items() for field in body.get("properties", ())}
    told = WORDS["FIELDS"]
    for key in told:
        assert key in needed if "." in key else any(field.endswith(f".{key}") for field in needed), key
    for key in needed:
        assert key in told or key.rsplit(".", 1)[1] in told, key
    values_of = {f"{name}.{value}" for name, body in DEFINITIONS.items() for value in body.get("enum", ())}
    assert set(WORDS["VALUES"]) == values_of


@pytest.mark.parametrize("journal", JOURNALS, ids=lambda path: path.stem)
def test_lines_of_recorded_journals_are_as_it_says(journal):
    previous = ""
    for place, commit in enumerate(journal.read_bytes().splitlines(), start=1):
        record = json.loads(commit)
        lines = [event_json(event) for event in decode_commit(commit, record["run"], record["previous"], place)]
        assert check_lines("\n".join(lines).encode()) == record["events"]
        previous = record["previous"]
    assert previous


@pytest.mark.parametrize("name", EVENTS)
def test_any_event_is_as_it_says(name):
    @given(records(EVENTS[name][0]))
    def check(event):
        record = json.loads(event_json(event))
        assert not problems(record)
        assert not problems(record, OPEN)
        assert record == event_record(event)

    check()


@pytest.mark.parametrize("name", EVENTS)
def test_any_event_with_every_field_is_known_to_the_strict_schema_only_with_these(name):
    cls, fields = EVENTS[name]
    full = {field.name: values(field.type) for field in inspect.type_info(cls).fields}

    @given(st.fixed_dictionaries(full), st.sampled_from([*COMMON, *fields]))
    def check(given, field):
        record = event_record(cls(**given))
        assert not problems(record | {"new": 1}, OPEN)
        assert problems(record | {"new": 1})
        without = {key: value for key, value in record.items() if key != field}
        assert bool(problems(without)) == (field in DEFINITIONS[name]["required"])

    check()


def test_a_type_that_a_reader_does_not_know_passes_and_the_strict_schema_refuses_it():
    record = {"v": 1, "type": "StepParked", "seq": 1, "at": 1.0}
    assert not problems(record, OPEN)
    assert problems(record) == [f"$.type: 'StepParked' is not one of {[*EVENTS, 'StepOutput']}"]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"v": 2}, "$.v: 1 was expected"),
        ({"seq": "1"}, "$.seq: '1' is not of type 'integer'"),
        ({"reason": "tired"}, "$.reason: 'tired' is not one of"),
        ({"exit_code": None}, "$.exit_code: None is not of type 'integer'"),
        ({"notes": {"a": 1}}, "$.notes.a: 1 is not of type 'string'"),
    ],
    ids=lambda part: str(part)[:20],
)
def test_what_is_wrong_is_said_of_the_type_of_the_line_alone(change, said):
    failed = events.StepFailed(seq=1, at=1.0, step="a", attempt=1, reason=Reason.EXIT, message="exit code 1")
    assert not problems(event_record(failed))
    (problem, *again) = dict.fromkeys(problems(event_record(failed) | change))
    assert problem.startswith(said)
    assert not again


def test_a_value_that_is_no_utf_8_leaves_the_line_utf_8():
    read = b"a\xffb".decode("utf-8", "surrogateescape")
    event = events.StepExpanded(seq=1, at=1.0, step="a", items=(read, "\U0001f600"))
    line = event_json(event)
    (record,) = check_lines(line.encode())
    assert record == event_record(event)
    assert '"a\\udcffb","\U0001f600"' in line
