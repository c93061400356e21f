"""Files that nobody would write: whatever comes, the answer is a plan or a list of problems, and every judge agrees."""

import copy
import json
import re

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dagnats.core.pipeline import Pipeline
from dagnats.definition import InvalidPipelineError, events, load, schema_text
from dagnats.definition.check import check_shape
from dagnats.definition.problems import Problems
from dagnats.definition.source import parse

VALID = {
    "$schema": "x",
    "name": "ci",
    "description": "d",
    "x-any": {"a": [1, None]},
    "params": {
        "a": "1",
        "b": {"type": "integer", "default": 3, "minimum": 1, "maximum": 5},
        "c": {"enum": ["x"], "help": "h", "pattern": "[a-z]"},
    },
    "env": {"A": "{{ params.a }}", "B": 1, "C": True},
    "dotenv": [".env", {"path": "a/b", "optional": True}],
    "vars": {"v": "{{ params.a }}", "w": [1, {"k": None}], "s": {"sh": "date"}},
    "secrets": {"S": "env://S", "T": "file://t", "U": "cmd://echo u"},
    "defaults": {"timeout": "10m", "shell": "sh", "env": {"D": "d"}, "retry": 1},
    "max_parallel": 2,
    "timeout": "1h",
    "fail_fast": True,
    "steps": [
        {"id": "a", "name": "A", "run": "echo {{ params.a }}", "outputs": {"o": {"type": "integer", "required": True}}},
        {
            "id": "b",
            "needs": ["a", {"step": "z", "optional": True}],
            "command": ["x", 1, True],
            "if": "failure() or params.b > 1",
        },
        {
            "run": ["one", "two"],
            "shell": ["perl", "{0}"],
            "working_dir": "d",
            "env": {"S": "{{ secrets.S | trim }}"},
            "idle_timeout": "5s",
            "allow_failure": True,
        },
        {
            "run": "x",
            "retry": {
                "max_attempts": 2,
                "strategy": "linear",
                "initial_delay": "1s",
                "jitter": True,
                "on": [1, "lost"],
            },
        },
        {"id": "i", "image": "python:{{ params.a }}", "type": "container"},
        {"run": "x", "image": "localhost:5000/x", "container": {"pull": "always", "memory": "1g", "cpus": 0.5}},
        {
            "command": ["x"],
            "env": {"A": "a"},
            "container": {
                "image": "{{ vars.v }}",
                "entrypoint": ["sh", "{{ params.a }}"],
                "user": 0,
                "env": {"A": "{{ secrets.S }}", "B": 1},
                "volumes": [
                    "./d:/d:ro",
                    "{{ params.a }}:/{{ params.b }}",
                    {"source": "v", "target": "/v", "read_only": False},
                ],
                "network": "none",
                "options": ["--shm-size", "{{ params.a }}", "-v/:/m", "--pids-limit", 9],
                "credentials": {"username": "{{ params.a }}", "password": "{{ secrets.T }}"},
            },
        },
        {"run": "x", "container": False},
    ],
    "finally": [{"run": "echo {{ run.outcome }}", "if": True}],
    "outputs": {"o": "{{ steps.a.outputs.o }}"},
}
KEYS = sorted(set(re.findall(r'"([a-z_$-]+)":', schema_text())))
KEYS += ["", "x-y", "dependsOn", "matrix", "A\n", "日本", "<<", "DAGNATS_X"]
LEAVES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-2, 1001),
    st.floats(allow_nan=False, allow_infinity=False, width=16),
    st.sampled_from(
        [
            "",
            "a",
            "b",
            "bash",
            "5m",
            "5",
            "1h1m",
            "1m1h",
            "ci\n",
            "string",
            "{{ params.a }}",
            "{{ x",
            "${{ x }}",
            "fixed",
            "1d",
            "true",
            "timeout",
            "alpine:3",
            "x:/y:ro",
            "{{ params.a }}:/y",
            "--privileged",
            "512m",
        ]
    ),
    st.text(
        st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="\u2028\u2029\ufeff\ufffe\uffff"), max_size=4
    ),
)
VALUES = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=2),
    max_leaves=4,
)


def places(value, path=()):
    yield path
    if isinstance(value, dict | list):
        for key, inner in value.items() if isinstance(value, dict) else enumerate(value):
            yield from places(inner, (*path, key))


@st.composite
def documents(draw):
    """A valid document with a few things replaced, removed, added or moved."""
    document = copy.deepcopy(VALID)
    for _ in range(draw(st.integers(0, 3))):
        path = draw(st.sampled_from([path for path in places(document) if path]))
        parent = document
        for key in path[:-1]:
            parent = parent[key]
        action = draw(st.sampled_from(["replace", "remove", "add", "move"]))
        if action == "replace":
            parent[path[-1]] = draw(VALUES)
        elif action == "remove":
            del parent[path[-1]]
        elif isinstance(parent, list):
            parent.append(draw(VALUES))
        else:
            parent[draw(st.sampled_from(KEYS))] = draw(VALUES) if action == "add" else copy.deepcopy(parent[path[-1]])
    return document


def ecma(part):
    """The schema for a validator of Python, in which `$` would also match before a last line break."""
    if isinstance(part, list):
        return [ecma(item) for item in part]
    if not isinstance(part, dict):
        return part
    return {
        key: value.removesuffix("$") + r"\Z"
        if key == "pattern" and isinstance(value, str) and value.endswith("$")
        else ecma(value)
        for key, value in part.items()
    }


ORACLE = jsonschema.Draft202012Validator(ecma(json.loads(schema_text())))


def shape_problems(document):
    problems = Problems("f")
    root = parse(json.dumps(document, ensure_ascii=False), problems)
    assert root is not None
    assert problems.sorted() == ()
    assert root.plain() == document
    check_shape(root, problems)
    return problems.sorted()


def test_the_valid_document_is_valid():
    assert shape_problems(VALID) == ()
    assert isinstance(load("p.json", json.dumps(VALID).encode()), Pipeline)


@given(documents())
@settings(max_examples=300, deadline=None)
def test_the_verdict_is_that_of_a_json_schema_validator(document):
    if '"<<"' in json.dumps(document):
        return  # quoted, it is a key like any other; `json.dumps` quotes all
    found = shape_problems(document)
    assert bool(found) is not ORACLE.is_valid(document), (
        found,
        [error.message for error in ORACLE.iter_errors(document)][:3],
    )


@given(documents())
@settings(max_examples=200, deadline=None)
def test_a_changed_document_is_a_plan_or_a_list_of_problems(document):
    text = json.dumps(document, ensure_ascii=False, indent=1)
    check(text.encode())


FRAGMENTS = [
    "\n",
    "  ",
    "\t",
    ": ",
    "- ",
    "? ",
    '"',
    "'",
    "{",
    "}",
    "[",
    "]",
    ",",
    "#",
    " #",
    "&a ",
    "*a",
    "!x ",
    "|",
    ">",
    "%",
    "@",
    "`",
]
FRAGMENTS += [
    "\\",
    "---\n",
    "...\n",
    "\r",
    "|2",
    ">+",
    ":",
    "-",
    "?",
    "<<: *a",
    "é",
    "http://x?y",
    "a:b",
    "{{ x }}",
    "{% if %}",
    "null",
    ".nan",
]
TEXT = """\
name: x
env: &a {A: "1", URL: http://x?y}
steps:
  - id: a
    run: |
      echo "a"

      b
    env: {<<: *a, B: 'it''s'}
  - needs: [a]
    run: >-
      folded
      text
"""


@st.composite
def texts(draw):
    """A valid text with a few pieces cut out and put in."""
    text = draw(st.sampled_from([TEXT, json.dumps(VALID)]))
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, len(text)))
        text = text[:start] + draw(st.sampled_from(FRAGMENTS)) + text[start + draw(st.integers(0, 5)) :]
    return text


def outcome(content):
    try:
        return load("p.yaml", content)
    except InvalidPipelineError as error:
        return error


def check(content):
    found = outcome(content)
    if isinstance(found, Pipeline):
        return
    count = len(re.split("\r\n|\r|\n", content.decode("utf-8", "replace")))
    assert found.problems
    assert str(found)
    assert all(0 < problem.line <= count and problem.column > 0 and problem.length > 0 for problem in found.problems)


@given(texts())
@settings(max_examples=400, deadline=None)
def test_a_changed_text_is_a_plan_or_a_list_of_problems(text):
    check(text.encode())


@given(st.binary(max_size=60) | st.text(max_size=60).map(lambda text: text.encode("utf-8", "replace")))
@settings(max_examples=200, deadline=None)
def test_any_bytes_are_a_plan_or_a_list_of_problems(content):
    check(content)


def flat(node):
    if node is None:
        return None
    value = node.value
    if isinstance(value, dict):
        value = [(key, flat(node.keys[key]), flat(inner)) for key, inner in value.items()]
    elif isinstance(value, list):
        value = [flat(inner) for inner in value]
    return (value, node.line, node.column, node.length, node.style, node.text)


@pytest.mark.skipif(events.CParser is None, reason="needs ruamel.yaml.clib")
@given(texts())
@settings(max_examples=500, deadline=None)
def test_both_parsers_agree(text):
    found = []
    for pure in (False, True):
        problems = Problems("f")
        root = parse(text, problems, pure=pure)
        found.append((bool(problems), None if problems else flat(root)))
    assert found[0] == found[1]
