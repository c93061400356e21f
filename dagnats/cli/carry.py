"""The commands that take something out of a run, or a whole run to another machine."""

from collections.abc import Sequence

import click


@click.command()
@click.argument("run", required=False)
@click.argument("step", required=False)
@click.option("--name", envvar="DAGNATS_ARTIFACTS_NAME", help="Only those of this name.")
@click.option(
    "-o",
    "--to",
    "target",
    type=click.Path(),
    metavar="DIR",
    envvar="DAGNATS_ARTIFACTS_TO",
    help="Bring them back into this directory, each into one of its own if they are several.",
)
@click.option(
    "--format",
    "form",
    type=click.Choice(["text", "json"]),
    default="text",
    envvar="DAGNATS_ARTIFACTS_FORMAT",
    show_default=True,
    help="What to print.",
)
def artifacts(run: str | None, step: str | None, name: str | None, target: str | None, form: str) -> int:
    """List the files that RUN has kept, or bring them back.

    RUN is the newest run unless given. With STEP, only what that step has kept, its instances, and the steps of its pipeline.
    """
    from dagnats.cli.artifacts import show_artifacts  # noqa: PLC0415 - measured: --help and --version must not pay for it

    return show_artifacts(run, step, name, target, form)


@click.command()
@click.argument("run", required=False)
@click.option(
    "-o",
    "--to",
    "target",
    metavar="FILE",
    envvar="DAGNATS_BUNDLE_TO",
    help="Where to write it, - is stdout. [default: RUN.dagnats.tgz]",
)
@click.option("--force", is_flag=True, envvar="DAGNATS_BUNDLE_FORCE", help="Write over a file that is there.")
def bundle(run: str | None, target: str | None, *, force: bool) -> int:
    """Write all that is stored of RUN into one file, for `dagnats open` on another machine.

    RUN is the newest run unless given. The file has its journal, what its steps printed, and its artifacts: no secrets but those that are in artifacts.
    """
    from dagnats.cli.bundle import write_bundle  # noqa: PLC0415 - the same

    return write_bundle(run, target, force=force)


@click.command("open")
@click.argument("file")
def open_(file: str) -> int:
    """Make the run in FILE, which `dagnats bundle` has written, one of this project's runs.

    It can be looked at as any other one: `report`, `artifacts` and all commands that take the name of a run. It is not gone on with.
    """
    from dagnats.cli.bundle import open_bundle  # noqa: PLC0415 - the same

    return open_bundle(file)


COMMANDS: Sequence[click.Command] = (artifacts, bundle, open_)
