"""The commands that say what runs are and why; what each does is imported when it is called."""

from collections.abc import Callable, Sequence

import click

from dagnats.cli.options import Command
from dagnats.cli.runs import complete_run, complete_run_step


def _format_option(variable: str) -> Callable[[Command], Command]:
    return click.option(
        "--format",
        "form",
        type=click.Choice(["text", "json"]),
        default="text",
        envvar=variable,
        show_default=True,
        help="What to print.",
    )


@click.command()
@_format_option("DAGNATS_RUNS_FORMAT")
@click.option(
    "-n",
    "--number",
    type=click.IntRange(1),
    default=20,
    metavar="N",
    envvar="DAGNATS_RUNS_NUMBER",
    show_default=True,
    help="How many, the newest first.",
)
@click.option("--all", "everything", is_flag=True, envvar="DAGNATS_RUNS_ALL", help="All that are kept.")
def runs(form: str, number: int, *, everything: bool) -> int:
    """List the runs of this project, the newest first.

    A run whose program was killed is `interrupted`.
    """
    from dagnats.cli.listed import show_runs  # noqa: PLC0415 - measured: --help and --version must not pay for it

    return show_runs(form, None if everything else number)


@click.command()
@click.argument("name", metavar="[RUN]", required=False, shell_complete=complete_run)
@click.argument("step", metavar="[STEP]", required=False, shell_complete=complete_run_step)
@click.option(
    "--at",
    metavar="TIME",
    envvar="DAGNATS_SHOW_AT",
    help="As it was then: 14:03:05, 2026-01-31T14:03:05, +12s from its start, -5m before now or its end.",
)
@click.option(
    "--seq", type=int, metavar="N", envvar="DAGNATS_SHOW_SEQ", help="As it was after the first N of its events."
)
@_format_option("DAGNATS_SHOW_FORMAT")
def show(name: str | None, step: str | None, at: str | None, seq: int | None, form: str) -> int:
    """Show what a RUN is, or was, from its journal; with STEP, all about one step.

    RUN is a name or the beginning of one, and the newest unless given. It may go on meanwhile. `queue` is how long a step waited when all it needs had ended,
    `slack` how much longer it could have taken without the run taking longer; those on the critical path are marked.
    """
    from dagnats.cli.look import show_run  # noqa: PLC0415 - the same

    return show_run(name, step, form, at=at, seq=seq)


@click.command()
@click.argument("words", nargs=-1, required=True, metavar="[RUN] STEP", shell_complete=complete_run_step)
@_format_option("DAGNATS_WHY_FORMAT")
def why(words: Sequence[str], form: str) -> int:
    """Say why a STEP of a RUN is as it is: skipped, blocked, failed, cancelled, waiting, or late.

    RUN is a name or the beginning of one, and the newest unless given.
    """
    from dagnats.cli.look import show_why  # noqa: PLC0415 - the same

    return show_why(words, form)


COMMANDS: tuple[click.Command, ...] = (runs, show, why)
