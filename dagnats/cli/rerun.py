"""`dagnats rerun`: a new run that takes over from another what still holds."""

import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import click

from dagnats.cli.options import Command, params_options, told
from dagnats.cli.run_options import begin_options, shown_options, surroundings_options, words_options
from dagnats.cli.runs import complete_run, complete_step_of_run

if TYPE_CHECKING:
    from dagnats.definition.reuse import Mode

HOW = "one of `--failed`, `--from STEP` and `--only STEP` says what shall run again"


def _part_options(command: Command) -> Command:
    options: Sequence[Callable[[Command], Command]] = (
        click.option(
            "--failed",
            is_flag=True,
            envvar="DAGNATS_RERUN_FAILED",
            help="Run what did not succeed, and all that depends on it.",
        ),
        click.option(
            "--from",
            "start",
            multiple=True,
            metavar="STEP",
            envvar="DAGNATS_RERUN_FROM",
            shell_complete=complete_step_of_run,
            help="Run this step, and all that depends on it; may be given again.",
        ),
        click.option(
            "--only",
            multiple=True,
            metavar="STEP",
            envvar="DAGNATS_RERUN_ONLY",
            shell_complete=complete_step_of_run,
            help="Run this step with what it needs taken over, and leave out all others; may be given again.",
        ),
    )
    for option in reversed(options):
        command = option(command)
    return command


@click.command()
@click.argument("name", metavar="[RUN]", required=False, shell_complete=complete_run)
@_part_options
@params_options
@begin_options
@shown_options
@surroundings_options
@words_options
def rerun(
    name: str | None,
    params: tuple[str, ...],
    params_file: str | None,
    *,
    failed: bool,
    start: tuple[str, ...],
    only: tuple[str, ...],
    **flags: Any,
) -> int:
    """Run the pipeline of RUN again, and take over what still holds.

    RUN is its name or the beginning of it, and the newest unless given. It is a new run of the file as it is now, with the params that RUN had but for
    those of -p. A step that succeeded there is taken over, with its outputs, unless it, a value that it mentions, or anything before it is not what it was.
    Steps of `finally` always run. `dagnats plan --rerun RUN` says beforehand what would run, and why.
    """
    from dagnats.cli.reruns import asked_for, request_of  # noqa: PLC0415 - measured: --help and --version must not pay for it
    from dagnats.cli.sources import read_assignments, reported  # noqa: PLC0415 - the same
    from dagnats.run import run as run_pipeline  # noqa: PLC0415 - the same

    with told():
        asked = asked_for(name, mode_of(failed=failed, start=start, only=only), (*start, *only))
        given, from_file = read_assignments(params, params_file)
        before = asked.rerun.before.run
        again = ["dagnats", *sys.argv[1:]] if name else ["dagnats", "rerun", before, *sys.argv[2:]]
        request = request_of(asked, params=given, param_files=from_file, again=again, **flags)
    return reported(lambda: run_pipeline(request))


def mode_of(*, failed: bool, start: Sequence[str], only: Sequence[str]) -> "Mode":
    """Give the mode that flags ask for. Raises UsageError unless it is one."""
    if failed + bool(start) + bool(only) > 1:
        raise click.UsageError(f"only {HOW}: leave out the others")
    if failed:
        return "failed"
    if start:
        return "from"
    if only:
        return "only"
    raise click.UsageError(HOW)


COMMANDS: Sequence[click.Command] = (rerun,)
