"""Writes `docs/reference` from what the program itself goes by: `python -m docs.generate`, in a checkout.

`format.md` is made from the schema of pipelines, `cli.md` from the commands of the command line. A test says when a page is not what this would write.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

import click

from dagnats.cli.main import cli
from dagnats.definition.explain import Part, find

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
    return {"format.md": "\n".join(format_page()) + "\n", "cli.md": "\n".join(cli_page()) + "\n"}


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
    for name, command in cli.commands.items():
        yield f"| [`dagnats {name}`](#dagnats-{name}) | {_cell(command.get_short_help_str(limit=200))} |"
    for name, command in cli.commands.items():
        yield ""
        yield from _command(name, command, click.Context(command, info_name=name, parent=context))


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
    """Write the pages."""
    REFERENCE.mkdir(exist_ok=True)
    for name, text in pages().items():
        (REFERENCE / name).write_text(text, "utf-8")


if __name__ == "__main__":
    main()
