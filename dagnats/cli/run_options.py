"""The options of commands that run something. Nothing here may be slow to import."""

from collections.abc import Callable, Sequence

import click

from dagnats.cli.options import Command, complete_step, report_options


def _with(command: Command, options: Sequence[Callable[[Command], Command]]) -> Command:
    for option in reversed(options):
        command = option(command)
    return command


def shown_options(command: Command) -> Command:
    """Add what says how a run is shown, and what is written of it."""
    options: Sequence[Callable[[Command], Command]] = (
        click.option(
            "--output",
            type=click.Choice(["auto", "live", "prefixed", "grouped", "failures", "github", "json", "none"]),
            default="auto",
            envvar="DAGNATS_OUTPUT_MODE",
            show_default=True,
            help="How to show the run; auto is live on a terminal, github on GitHub Actions, else prefixed.",
        ),
        click.option(
            "--color",
            type=click.Choice(["auto", "always", "never"]),
            default="auto",
            envvar="DAGNATS_COLOR",
            show_default=True,
            help="Colours.",
        ),
        click.option(
            "--events",
            "events_file",
            metavar="FILE",
            envvar="DAGNATS_EVENTS",
            help="Write the events there, one JSON object a line.",
        ),
        report_options,
        click.option(
            "--github-annotations/--no-github-annotations",
            default=True,
            envvar="DAGNATS_GITHUB_ANNOTATIONS",
            help="Whether `--output github` annotates the steps that failed. [default: yes]",
        ),
        click.option(
            "--github-summary/--no-github-summary",
            default=True,
            envvar="DAGNATS_GITHUB_SUMMARY",
            help="Whether `--output github` writes the summary of the job. [default: yes]",
        ),
        click.option(
            "--exit-code-from",
            metavar="STEP",
            envvar="DAGNATS_EXIT_CODE_FROM",
            shell_complete=complete_step,
            help="Exit with the exit code of this step.",
        ),
    )
    return _with(command, options)


def begin_options(command: Command) -> Command:
    """Add what is settled when a run begins."""
    options: Sequence[Callable[[Command], Command]] = (
        click.option(
            "-j",
            "--jobs",
            type=click.IntRange(1, 10_000),
            metavar="N",
            envvar="DAGNATS_JOBS",
            help="Steps at once. [default: max_parallel, else the processors]",
        ),
        click.option(
            "--ephemeral", is_flag=True, envvar="DAGNATS_EPHEMERAL", help="Keep nothing of the run in the project."
        ),
    )
    return _with(command, options)


def surroundings_options(command: Command) -> Command:
    """Add what says what a run may have, and how safely it is kept."""
    options: Sequence[Callable[[Command], Command]] = (
        click.option(
            "--secrets-file",
            metavar="FILE",
            envvar="DAGNATS_SECRETS_FILE",
            help="Read values of secrets from a YAML or JSON file that only its owner may read.",
        ),
        click.option(
            "--allow-privileged",
            is_flag=True,
            envvar="DAGNATS_ALLOW_PRIVILEGED",
            help="Let containers have what gives them this machine: privileges, devices, sockets of runtimes, `/`.",
        ),
        click.option(
            "--durability",
            type=click.Choice(["process", "disk"]),
            default="process",
            envvar="DAGNATS_DURABILITY",
            show_default=True,
            help="What the journal outlives: the death of any process, or of the machine too, which costs time.",
        ),
        click.option(
            "--detach-on-wait",
            is_flag=True,
            envvar="DAGNATS_DETACH_ON_WAIT",
            help="Leave the run, with exit code 4, once it only waits: for an approval, a signal, or a time that is far.",
        ),
    )
    return _with(command, options)


def words_options(command: Command) -> Command:
    """Add `-q` and `-v`."""
    options: Sequence[Callable[[Command], Command]] = (
        click.option(
            "-q",
            "--quiet",
            is_flag=True,
            envvar="DAGNATS_QUIET",
            help="Say nothing of steps that did well; what steps print is shown all the same.",
        ),
        click.option("-v", "--verbose", is_flag=True, envvar="DAGNATS_VERBOSE", help="Say also when steps start."),
    )
    return _with(command, options)
