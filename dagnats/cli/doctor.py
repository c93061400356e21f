"""`dagnats doctor`: what runs need, and whether it is there."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from dagnats.doctor import Found

_SIGNS = {"ok": "✓", "warning": "!", "absent": "-", "wrong": "✗"}
_PLAIN = {"ok": "ok", "warning": "!!", "absent": "--", "wrong": "XX"}
_OTHERS = ("DAGNATS_CONTAINER_RUNTIME", "DAGNATS_STEP_TOKEN")  # no flag has them


@click.command()
@click.option(
    "--format",
    "form",
    type=click.Choice(["text", "json"]),
    default="text",
    envvar="DAGNATS_DOCTOR_FORMAT",
    show_default=True,
    help="What to print.",
)
def doctor(form: str) -> int:
    """Check what runs need: the server, the disk, processes, shells, container runtimes.

    Each line says what was found and, where it is not well, what to do. Ends with 1 when something is missing that every run needs, else with 0: what only
    some pipelines want is a warning.
    """
    import os  # noqa: PLC0415 - measured: --help and --version must not pay for it

    from dagnats.core.text import encode_json  # noqa: PLC0415 - the same
    from dagnats.doctor import examine, exit_code  # noqa: PLC0415 - the same

    root = click.get_current_context().find_root().command
    found = examine(os.environ, [*_OTHERS, *_variables(root)])
    code = exit_code(found)
    if form == "json":
        checks = [{"check": one.check, "status": one.status, "found": one.found, "advice": one.advice} for one in found]
        click.echo(encode_json({"ok": code == 0, "checks": checks}))
        return code
    _show(found)
    return code


def _variables(command: click.Command) -> Iterator[str]:
    """Give the variables of all flags of a command and of those below it."""
    for option in command.params:
        names = option.envvar
        yield from [names] if isinstance(names, str) else names or ()
    if isinstance(command, click.Group):
        for inner in command.commands.values():
            yield from _variables(inner)


def _show(found: "Sequence[Found]") -> None:
    import sys  # noqa: PLC0415 - is there already

    signs = _SIGNS if (sys.stdout.encoding or "").lower().startswith("utf") else _PLAIN
    width = max(len(one.check) for one in found)
    for one in found:
        text = "".join(char if char.isprintable() else "?" for char in one.found)
        click.echo(f"{signs[one.status]} {one.check:<{width}}  {text}")
        if one.advice:
            click.echo(f"{' ' * (len(signs[one.status]) + width + 3)}{one.advice}")
    wrong = sum(one.status == "wrong" for one in found)
    warnings = sum(one.status == "warning" for one in found)
    more = f"; {warnings} warning{'s' if warnings != 1 else ''}" if warnings else ""
    if wrong:
        click.echo(
            f"{wrong} thing{'s' if wrong != 1 else ''} that every run needs {'are' if wrong != 1 else 'is'} not well{more}",
            err=True,
        )
    else:
        click.echo(f"all that every run needs is here{more}", err=True)


COMMANDS: Sequence[click.Command] = (doctor,)
