"""Makes `docs/reference/events.md`: what the lines of `--events` and `--output json` mean, from their schema, with a run that happened."""

from collections.abc import Iterator, Sequence
from enum import StrEnum
from typing import Any, NamedTuple

from dagnats.core.codec import EVENTS
from dagnats.core.text import encode_json
from docs.event_schema import OUTPUT, enums, event_schema, summary
from docs.event_words import VALUES
from docs.example_run import OUTPUT as EXAMPLE
from docs.example_run import PIPELINE

Schema = dict[str, Any]


class Recipe(NamedTuple):
    """A question to the lines of a run, how jq answers it, and what it says of the run on the page; a test asks it."""

    question: str
    command: str
    answer: str


INTRODUCTION = """\
# Events

Everything that happens in a run is an event. `dagnats run` gives them to other programs as lines of JSON:

| flag | where | what |
| --- | --- | --- |
| `--events FILE` | in a file or a pipe, beside whatever else is shown | the events |
| `--output json` | on stdout, instead of the text for people; notes for people are on stderr | the events, and what the steps print as [`StepOutput`](#stepoutput) |

Each line is one JSON object, in UTF-8, and is written as soon as its event is stored. [`schemas/event.schema.json`](../../schemas/event.schema.json) describes a
line (JSON Schema, draft 2020-12), and `dagnats schema --events` prints it.

- Every line has `v` and `type`, every event also `seq` and `at`. A field that holds its default is left out.
- `RunStarted` is the first event and `RunFinished` the last. A run that was killed, or whose engine failed (exit code 3), has no `RunFinished`. If nothing was started
  (exit code 2), there is no line at all.
- An attempt is `StepScheduled`, `StepStarted`, its output, and `StepSucceeded`, `StepFailed` or `StepCancelled`. A failure that is tried again is followed by the `StepScheduled` of the
  next attempt, so of these three, `StepReused`, `StepSkipped` and `StepBlocked` the last one says how a step ended. An attempt may fail or be cancelled before it starts.
- A step with instances has a `StepExpanded`, and no end of its own: it ends with the last of them.
- Whether a failure counts is said by the plan: that of a step with `allow_failure` is a warning.
- Values of secrets are in no line; what a step prints is masked before it is written.

## What stays

The lines are an interface. While `v` is 1:

- no type of line, field or value is removed or renamed, none changes its meaning, its type or its default, and a field that is always there stays;
- types of lines, fields, and values of enumerations (`reason`, `by`, `outcome` and those of the plan) may be added. Ignore types and fields that you do not know, take an
  unknown `reason` for a failure like any other, and an unknown `outcome` for a run that did not succeed;
- what `message` and `why` say is for people and may change with any release.

Any other change raises `v`, so a reader should refuse a `v` that it does not know. The schema allows unknown types and fields for the same reason; its enumerations are those of the release that it
came with.
"""

READING = """\
## Reading them

With `dagnats run pipeline.yaml --output json > run.jsonl`; the answers are those of [the run below](#a-run).
"""

RECIPES = (
    Recipe(
        "How did it end, and with which outputs?",
        "jq -c 'select(.type == \"RunFinished\") | [.outcome, .outputs]' run.jsonl",
        '["succeeded",{"version":"1.4"}]',
    ),
    Recipe(
        "Which attempts failed, and why?",
        'jq -r \'select(.type == "StepFailed") | "\\(.step), attempt \\(.attempt): \\(.message)"\' run.jsonl',
        "build, attempt 1: exit code 1",
    ),
    Recipe(
        "What did a step print?",
        'jq -j \'select(.type == "StepOutput" and .step == "build") | .text // empty\' run.jsonl',
        "try 1\ntry 2",
    ),
    Recipe(
        "How did each step end?",
        'jq -n \'reduce (inputs | select(.type | IN("StepSucceeded", "StepFailed", "StepSkipped", "StepBlocked", "StepCancelled"))) as $event\n'
        "  ({}; .[$event.step] = $event.type)' -c run.jsonl",
        '{"build":"StepSucceeded","ship":"StepSkipped"}',
    ),
    Recipe(
        "How long did each attempt take?",
        'jq -rn \'foreach inputs as $event ({}; if $event.type == "StepStarted" then .[$event.step] = $event.at else . end;\n'
        '  select($event.type | IN("StepSucceeded", "StepFailed")) | "\\($event.step), attempt \\($event.attempt): \\($event.at - .[$event.step]) s")\' run.jsonl',
        "build, attempt 1: 0.25 s\nbuild, attempt 2: 0.25 s",
    ),
)

PLAN = """\
## The plan

The `plan` of `RunStarted` is what DagNats made of the file. It is for programs that want to know what a step needs or what it runs. The records in it:
"""


def events_page() -> Iterator[str]:
    """The lines, type by type."""
    schema = event_schema()
    definitions: Schema = schema["$defs"]
    lines = [*EVENTS, OUTPUT]
    values = {enum.__name__: enum for enum in enums()}
    yield INTRODUCTION
    yield READING
    for recipe in RECIPES:
        yield from (recipe.question, "", "```sh", recipe.command, "```", "", "```text", recipe.answer, "```", "")
    yield from _example()
    yield "## Types"
    yield ""
    yield "| type | |"
    yield "| --- | --- |"
    for name in lines:
        yield f"| [`{name}`](#{name.lower()}) | {_cell(definitions[name]['description'])} |"
    yield ""
    yield "These fields are in every line, `seq` and `at` only in events:"
    yield ""
    event = definitions["RunStarted"]
    yield from _table(event | {"properties": event["properties"] | schema["properties"]}, ("v", "type", "seq", "at"))
    for name in lines:
        yield from _section("###", definitions[name], lines=True)
    yield ""
    yield "## Values"
    for enum in values.values():
        yield from _values(enum)
    yield ""
    yield PLAN.rstrip()
    for name, body in definitions.items():
        if name not in lines and name not in values:
            yield from _section("###", body, lines=False)


def _example() -> Iterator[str]:
    yield "## A run"
    yield ""
    yield "```yaml"
    yield PIPELINE.read_text("utf-8").rstrip()
    yield "```"
    yield ""
    yield "This is what `dagnats run pipeline.yaml --output json` printed; only times and names are made up, so that they are the same each time."
    yield ""
    yield "```json"
    yield EXAMPLE.read_text("utf-8").rstrip()
    yield "```"
    yield ""


def _section(mark: str, body: Schema, *, lines: bool) -> Iterator[str]:
    fields = [name for name in body["properties"] if not lines or name not in ("v", "type", "seq", "at")]
    yield ""
    yield f"{mark} {body['title']}"
    yield ""
    yield body["description"]
    yield ""
    yield from _table(body, fields)


def _table(body: Schema, fields: Sequence[str]) -> Iterator[str]:
    yield "| field | type | if left out | meaning |"
    yield "| --- | --- | --- | --- |"
    either = [name for branch in body.get("oneOf", ()) for name in branch["required"]]
    for name in fields:
        field = body["properties"][name]
        if name in body["required"]:
            absent = "always there"
        elif name in either:
            absent = "there is " + ", ".join(f"`{other}`" for other in either if other != name)
        else:
            absent = f"`{encode_json(field['default'])}`" if "default" in field else "none"
        yield f"| `{name}` | {_cell(_words(field))} | {absent} | {_cell(field['description'])} |"


def _words(body: Schema) -> str:  # noqa: PLR0911 - one line a form
    """A type in words."""
    match body:
        case {"$ref": str(reference)}:
            name = reference.rsplit("/", 1)[1]
            return f"[{name}](#{name.lower()})"
        case {"const": value}:
            return f"`{encode_json(value)}`"
        case {"enum": list(values)}:
            return " or ".join(f"`{value}`" for value in values)
        case {"anyOf": list(branches)}:
            return " or ".join(map(_words, branches))
        case {"type": "array"}:
            return f"list of {_words(body.get('items', {}))}"
        case {"type": "object"}:
            return f"object of {_words(body.get('additionalProperties', {}))}"
        case {"type": str(name)}:
            return name
        case _:
            return "JSON"


def _values(enum: type[StrEnum]) -> Iterator[str]:
    yield ""
    yield f"### {enum.__name__}"
    yield ""
    yield summary(enum)
    yield ""
    yield "| value | when |"
    yield "| --- | --- |"
    for value in enum:
        yield f"| `{value}` | {_cell(VALUES[f'{enum.__name__}.{value}'])} |"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")
