"""The commands that look at a run, from any terminal and while it goes on, and the one that asks for its end. What each does is imported when it is called."""

from collections.abc import Callable, Sequence
from typing import Any

import click

from dagnats.cli.options import Command
from dagnats.cli.runs import complete_run, complete_run_step

_RUN = click.argument("name", metavar="[RUN]", required=False, shell_complete=complete_run)
_FOLLOW = click.option("-f", "--follow", is_flag=True, envvar="DAGNATS_FOLLOW", help="Go on until the run ends.")


def _shown_options(command: Command) -> Command:
    """Add what says how a run is shown, as `run` has it."""
    options: Sequence[Callable[[Command], Command]] = (
        click.option(
            "--output",
            type=click.Choice(["auto", "live", "prefixed", "grouped", "failures", "github", "json", "none"]),
            default="auto",
            envvar="DAGNATS_OUTPUT_MODE",
            show_default=True,
            help="How to show the run, as for `dagnats run`.",
        ),
        _COLOR,
        click.option("-q", "--quiet", is_flag=True, envvar="DAGNATS_QUIET", help="Say nothing of steps that did well."),
        click.option("-v", "--verbose", is_flag=True, envvar="DAGNATS_VERBOSE", help="Say also when steps start."),
    )
    for option in reversed(options):
        command = option(command)
    return command


_COLOR = click.option(
    "--color",
    type=click.Choice(["auto", "always", "never"]),
    default="auto",
    envvar="DAGNATS_COLOR",
    show_default=True,
    help="Colours.",
)


@click.command()
@_RUN
@click.argument("step", metavar="[STEP]", required=False, shell_complete=complete_run_step)
@_FOLLOW
@click.option(
    "--attempt",
    type=click.IntRange(1),
    metavar="N",
    envvar="DAGNATS_ATTEMPT_SHOWN",
    help="Show this attempt of STEP. [default: the last]",
)
@click.option("--tail", type=click.IntRange(0), metavar="N", envvar="DAGNATS_TAIL", help="Begin with the last N lines.")
@_COLOR
def logs(name: str | None, step: str | None, **flags: Any) -> int:
    """Print what the steps of RUN have printed, each line with its step's name.

    RUN is its name or the beginning of it, and the newest unless given, as `-` does. With STEP, whose name alone does for the newest run, it is what that one printed, as it was printed; of a step with
    instances, or that runs a pipeline, all of its parts. `test[shard=1]` is one instance, `deploy/build` an inner step.
    """
    from dagnats.cli.watch import show_printed  # noqa: PLC0415 - measured: --help and --version must not pay for it

    return show_printed(name, step, **flags)


@click.command()
@_RUN
@_FOLLOW
def events(name: str | None, *, follow: bool) -> int:
    """Print the events of RUN, one JSON object a line, as `dagnats run --events FILE` writes them."""
    from dagnats.cli.watch import show_events  # noqa: PLC0415 - the same

    return show_events(name, follow=follow)


@click.command()
@_RUN
@_shown_options
def attach(name: str | None, **shown: Any) -> int:
    """Show RUN here while it goes on, from its beginning, and exit as it does.

    An interrupt ends only this view. Of a run that is over it shows all, and ends.
    """
    from dagnats.cli.watch import attach_to  # noqa: PLC0415 - the same

    return attach_to(name, **shown)


@click.command()
@_RUN
@_shown_options
@click.option(
    "--speed",
    type=click.FloatRange(min=0, min_open=True),
    metavar="N",
    envvar="DAGNATS_SPEED",
    help="Take the time that the run took, divided by N. [default: as fast as can be]",
)
def replay(name: str | None, *, speed: float | None, **shown: Any) -> int:
    """Show once more what `dagnats run` has shown of RUN, which is over.

    With the same `--output`, stdout and stderr get the same bytes.
    """
    from dagnats.cli.watch import replay_run  # noqa: PLC0415 - the same

    return replay_run(name, speed, **shown)


@click.command()
@_RUN
@click.option("-m", "--message", "why", metavar="WHY", default="", envvar="DAGNATS_WHY", help="Why, for the record.")
@click.option(
    "--force", is_flag=True, envvar="DAGNATS_FORCE", help="Kill everything; `finally` does not run, or runs no more."
)
def cancel(name: str | None, why: str, *, force: bool) -> int:
    """Ask for the end of RUN: its steps are stopped, and `finally` runs.

    This returns when the request is recorded; `dagnats attach` shows the end. The run itself exits with 143.
    """
    from dagnats.cli.cancel import cancel_run  # noqa: PLC0415 - the same

    return cancel_run(name, why, force=force)


COMMANDS: Sequence[click.Command] = (logs, events, attach, replay, cancel)
