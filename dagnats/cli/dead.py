"""`dagnats dead`: tasks that nobody could carry out."""

from collections.abc import Sequence

import click


@click.group()
def dead() -> None:
    """Look at tasks that no worker could carry out.

    A task that can not be read, is of a kind that nobody knows, or that nobody claims is kept as a dead letter, with what was the matter, and its attempt
    fails.
    """


@dead.command("list")
@click.argument("run", required=False)
@click.option(
    "--format",
    "form",
    type=click.Choice(["text", "json"]),
    default="text",
    envvar="DAGNATS_DEAD_FORMAT",
    show_default=True,
    help="What to print.",
)
def list_(run: str | None, form: str) -> int:
    """Show the dead letters of RUN, the newest run unless given."""
    from dagnats import letters  # noqa: PLC0415 - measured: --help and --version must not pay for it
    from dagnats.bus.dead import read  # noqa: PLC0415 - the same
    from dagnats.stored import find, use  # noqa: PLC0415 - the same

    directory = find(run)
    found = use(directory, lambda link, _: read(link, directory.name))
    if form == "json":
        click.echo(letters.as_json(found))
    elif found:
        click.echo(letters.as_text(found))
    else:
        click.echo(letters.NOTHING, err=True)
    return 0


@dead.command()
@click.argument("run")
@click.argument("number", type=click.IntRange(1))
def replay(run: str, number: int) -> int:
    """Put the task of a dead letter of RUN into its queue again.

    NUMBER is what `dead list` shows. It is an error, with what to do instead, when the run does not wait for that attempt any more.
    """
    from dagnats import letters  # noqa: PLC0415 - the same
    from dagnats.stored import find, use  # noqa: PLC0415 - the same

    directory = find(run)
    done = use(directory, lambda link, is_live: letters.replay(link, directory.name, number, is_live=is_live))
    click.echo(done, err=True)
    return 0


COMMANDS: Sequence[click.Command] = (dead,)
