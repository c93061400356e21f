"""Writes `docs/reference`, and the schema of events, from what the program itself goes by: `python -m docs.generate`, in a checkout.

`format.md` is made from the schema of pipelines, `cli.md` from the commands of the command line, `events.md` from the schema of events. A test says when
one of them is not what this would write.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

import click

from dagnats.cli.main import cli
from dagnats.core.text import encode_json
from dagnats.definition.explain import Part, find
from dagnats.template import evaluate
from docs import event_schema
from docs.events_page import events_page

TEMPLATES_INTRODUCTION = """\
# Templates

`{{ … }}` and `{% if … %}`, `{% for … %}`, `{% set … %}` are written as in Jinja. This is all that they know. Which names have values where is in the
[README](../../README.md#templates-a-value-never-becomes-code). An id with a dash is written in brackets: `steps['smoke-test'].outputs.url`.
"""
# each is evaluated when the page is made
FILTERS = {
    "abs": "-2 | abs",
    "basename": "'src/app.py' | basename",
    "capitalize": "'hello World' | capitalize",
    "count": "[1, 2] | count",
    "default": "params.missing | default('x')",
    "dirname": "'src/app.py' | dirname",
    "first": "['a', 'b'] | first",
    "float": "'1.50' | float",
    "fromjson": "'[1, 2]' | fromjson",
    "indent": "'a\\nb' | indent(2)",
    "int": "'12' | int + 1",
    "items": "{'a': 1} | items",
    "join": "['a', 'b'] | join('-')",
    "keys": "{'a': 1, 'b': 2} | keys",
    "last": "['a', 'b'] | last",
    "length": "'four' | length",
    "list": "'abc' | list",
    "lower": "'ABC' | lower",
    "map": "[{'n': 1}, {'n': 2}] | map(attribute='n')",
    "max": "[3, 1, 2] | max",
    "min": "[3, 1, 2] | min",
    "raw": "only in `run`: the value as code; see the README",
    "reject": "[1, 2, 3] | reject('odd')",
    "rejectattr": "[{'a': 1}, {'a': none}] | rejectattr('a', 'none')",
    "replace": "'a b c' | replace(' ', '-')",
    "reverse": "[1, 2, 3] | reverse",
    "round": "2.345 | round(1)",
    "select": "[1, 2, 3] | select('odd')",
    "selectattr": "[{'a': 1}, {'a': none}] | selectattr('a', 'number')",
    "sort": "['b', 'a'] | sort",
    "split": "'a,b' | split(',')",
    "string": "12 | string",
    "sum": "[1, 2, 3] | sum",
    "title": "'hello world' | title",
    "tojson": "{'a': [1, none]} | tojson",
    "trim": "'  a ' | trim",
    "truncate": "'a long sentence' | truncate(9)",
    "unique": "[1, 2, 1] | unique",
    "upper": "'abc' | upper",
    "values": "{'a': 1, 'b': 2} | values",
}
TESTS = {
    "boolean": "true is boolean",
    "defined": "params.missing is defined",
    "divisibleby": "9 is divisibleby(3)",
    "eq": "1 is eq(1)",
    "equalto": "'a' is equalto('b')",
    "even": "2 is even",
    "false": "false is false",
    "ge": "2 is ge(2)",
    "gt": "2 is gt(2)",
    "in": "'a' is in(['a', 'b'])",
    "integer": "1.5 is integer",
    "le": "1 is le(2)",
    "lt": "2 is lt(1)",
    "mapping": "{'a': 1} is mapping",
    "ne": "1 is ne(2)",
    "none": "none is none",
    "number": "1.5 is number",
    "odd": "2 is odd",
    "sequence": "[1] is sequence",
    "string": "'a' is string",
    "true": "1 is true",
    "undefined": "params.missing is undefined",
}
OPERATORS = {
    "`+` `-` `*` `/` `//` `%` `**`": "7 // 2 + 2 ** 3",
    "`==` `!=` `<` `<=` `>` `>=`": "1 < 2 <= 2",
    "`and` `or` `not`": "not (true and false)",
    "`in`, `not in`": "'release' in 'release/1.2'",
    "`~` joins as text": "'v' ~ 1 ~ '.2'",
    "`a if b else c`": "'big' if 12 > 9 else 'small'",
    "`[…]`: by place, by name, a part": "params.branch[:8]",
    "`.name`": "params.given.a",
    "`range(…)`": "range(1, 4)",
}
GIVEN = {"params": {"given": {"a": 2}, "branch": "release/1.2"}}
REFERENCE = Path(__file__).parent / "reference"
NOTICE = "<!-- Made by `python -m docs.generate`; change {source} instead of this page. -->"
FORMAT_INTRODUCTION = """\
# The pipeline format

A pipeline is one YAML 1.2 or JSON file. All its problems are reported at once by `dagnats validate`, each with its position; unknown keys are errors. What is here can
also be asked in a terminal: `dagnats schema steps.retry`. How steps come to run, and what templates may hold, is in the [README](../../README.md).
"""
CLI_INTRODUCTION = """\
# The command line

What was asked for goes to stdout, everything else to stderr. Where a flag has a variable, that holds for all runs in whose environment it is set; the flag wins. Exit
codes are in the [README](../../README.md#commands).
"""


def pages() -> dict[str, str]:
    """Every page of the reference by its name, as it should be."""
    made = {
        "format.md": format_page(),
        "cli.md": cli_page(),
        "templates.md": templates_page(),
        "events.md": _noted("docs/event_words.py, docs/events_page.py and dagnats/core/events.py", events_page()),
    }
    return {name: "\n".join(lines) + "\n" for name, lines in made.items()}


def _noted(source: str, lines: Iterator[str]) -> Iterator[str]:
    yield NOTICE.format(source=source)
    yield from lines


def format_page() -> Iterator[str]:
    """The format, key by key."""
    root = find("")
    yield NOTICE.format(source="schemas/pipeline.schema.json")
    yield FORMAT_INTRODUCTION
    yield "## Keys of a file"
    yield ""
    yield from _table(root.parts(), linked=True)
    steps = find("steps").parts()
    for part in root.parts():
        yield ""
        yield from _section(part, "##")
        keys = part.parts()
        if keys and part.path != ("steps",) and {key.path[-1] for key in keys} <= {key.path[-1] for key in steps}:
            yield ""
            yield (
                "Its keys are those of [`steps`](#steps): "
                + ", ".join(f"[`{key.path[-1]}`](#{_anchor(('steps', key.path[-1]))})" for key in keys)
                + "."
            )
        elif keys:
            yield ""
            yield from _table(keys, linked=part.path == ("steps",))
        if part.path == ("steps",):
            for key in keys:
                yield ""
                yield from _section(key, "###")
                if key.parts():
                    yield ""
                    yield from _table(key.parts(), linked=False)


def _section(part: Part, mark: str) -> Iterator[str]:
    yield f"{mark} `{'.'.join(part.path)}`"
    yield ""
    yield _paragraph(part.description)
    yield ""
    yield f"- Type: {part.types}" + ("; required" if part.required else "")
    if part.default is not None:
        yield f"- Default: `{part.default}`"
    yield ""
    yield "```yaml"
    yield "# or\n".join(part.examples).rstrip("\n")
    yield "```"


def _table(parts: Sequence[Part], *, linked: bool) -> Iterator[str]:
    yield "| key | type | default | meaning |"
    yield "| --- | --- | --- | --- |"
    for part in parts:
        name = f"[`{part.path[-1]}`](#{_anchor(part.path)})" if linked else f"`{part.path[-1]}`"
        default = "required" if part.required else f"`{part.default}`" if part.default is not None else ""
        meaning = part.summary if linked else part.description
        yield "| " + " | ".join(map(_cell, (name, part.types, default, meaning))) + " |"


def _anchor(path: Sequence[str]) -> str:
    """The anchor of a heading, as GitHub makes it: letters, digits, `_` and `-` stay."""
    return "".join(c for c in "".join(path).lower() if c.isalnum() or c in "_-")


def cli_page() -> Iterator[str]:
    """The commands, with their arguments and flags."""
    yield NOTICE.format(source="dagnats/cli")
    yield CLI_INTRODUCTION
    context = click.Context(cli, info_name="dagnats")
    yield "| command | |"
    yield "| --- | --- |"
    for name, command in _commands(cli):
        yield f"| [`dagnats {name}`](#dagnats-{name.replace(' ', '-')}) | {_cell(command.get_short_help_str(limit=200))} |"
    for name, command in _commands(cli):
        yield ""
        yield from _command(name, command, click.Context(command, info_name=name, parent=context))


def _commands(group: click.Group) -> Iterator[tuple[str, click.Command]]:
    """Give every command with its name; one of a group has two words."""
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from ((f"{name} {inner}", one) for inner, one in _commands(command))
        else:
            yield name, command


def templates_page() -> Iterator[str]:
    """Operators, filters and tests, each with an example and what it gives."""
    yield NOTICE.format(source="docs/generate.py")
    yield TEMPLATES_INTRODUCTION
    for title, examples in (("Operators", OPERATORS), ("Filters", FILTERS), ("Tests", TESTS)):
        yield f"## {title}"
        yield ""
        yield "| | for example | gives |"
        yield "| --- | --- | --- |"
        for name, example in examples.items():
            shown = name if "`" in name else f"`{name}`"
            yield f"| {_cell(shown)} | {_example_of(name, example)} |"
        yield ""
    yield "## Functions"
    yield ""
    yield "`success()`, `failure()`, `always()` and `cancelled()` in an `if`, and `range(…)` anywhere. There are no others."


def _example_of(name: str, example: str) -> str:
    if name == "raw":
        return f"{example} | "
    given = evaluate(example, GIVEN, {})
    return f"`{_cell(example)}` | `{_cell(encode_json(given))}`"


def _command(name: str, command: click.Command, context: click.Context) -> Iterator[str]:
    yield f"## `dagnats {name}`"
    yield ""
    yield "```text"
    yield f"dagnats {name} {' '.join(command.collect_usage_pieces(context))}"
    yield "```"
    for paragraph in (command.help or "").split("\n\n"):
        yield ""
        yield _paragraph(" ".join(paragraph.split()))
    options = [param for param in command.params if isinstance(param, click.Option)]
    if options:
        yield ""
        yield "| flag | variable | meaning |"
        yield "| --- | --- | --- |"
        for option in options:
            yield "| " + " | ".join(map(_cell, (_names(option, context), _variable(option), _meaning(option)))) + " |"


def _names(option: click.Option, context: click.Context) -> str:
    value = "" if option.is_flag else " " + option.make_metavar(context)
    return ", ".join(f"`{name}{value if name == option.opts[-1] else ''}`" for name in option.opts)


def _variable(option: click.Option) -> str:
    return f"`{option.envvar}`" if isinstance(option.envvar, str) else ""


def _meaning(option: click.Option) -> str:
    words = option.help or ""
    default = f" Default: `{option.default}`." if option.show_default and not option.is_flag else ""
    return words + default


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def _paragraph(text: str) -> str:
    # outside of code, what is meant as text would be read as markup
    parts = text.split("`")
    return "`".join(
        part if place % 2 else part.replace("<", "&lt;").replace("*", "\\*") for place, part in enumerate(parts)
    )


def main() -> None:
    """Write the pages and the schema."""
    REFERENCE.mkdir(exist_ok=True)
    for name, text in pages().items():
        (REFERENCE / name).write_text(text, "utf-8")
    event_schema.FILE.write_text(event_schema.text(), "utf-8")


if __name__ == "__main__":
    main()
