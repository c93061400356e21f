"""The commands. Each turns its arguments into one call, and that call's result into an exit code."""

import contextlib
import gc
import io
import os
import signal
import sys
from collections.abc import Callable
from typing import Any

import click

from dagnats import __version__
from dagnats.cli import author, carry, clean, dead, doctor, facts, rerun, resume, steer, viewers
from dagnats.cli.options import (
    FILES_GIVEN,
    FilesLast,
    complete_file,
    params_options,
    report_options,
    said,
    selection_options,
    told,
)
from dagnats.cli.run_options import begin_options, shown_options, surroundings_options, words_options
from dagnats.errors import DagnatsError


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="dagnats", message="%(prog)s %(version)s")
def cli() -> None:
    """Run pipelines: steps with needs, as processes, with a journal of everything that happens."""


@cli.command(cls=FilesLast)
@click.argument("file", required=False, shell_complete=complete_file)
@params_options
@click.option(
    "--files",
    multiple=True,
    metavar="NAME...",
    help="Set the parameter `files` to the names that follow, to the end of the line.",
)
@begin_options
@shown_options
@selection_options
@surroundings_options
@click.option(
    "--help-params", is_flag=True, envvar="DAGNATS_HELP_PARAMS", help="Show the parameters of FILE and run nothing."
)
@words_options
def run(
    file: str | None,
    params: tuple[str, ...],
    params_file: str | None,
    files: tuple[str, ...],
    *,
    help_params: bool,
    **flags: Any,
) -> int:
    """Run the pipeline in FILE.

    `-` reads it from stdin; without FILE it is dagnats.yaml or pipeline.yaml in this directory.
    """
    from dagnats.cli.sources import read_assignments, read_pipeline, reported, seen_from_project, selection_of  # noqa: PLC0415 - the same as below
    from dagnats.request import Request  # noqa: PLC0415 - measured: --help and --version must not pay for it
    from dagnats.run import run as run_pipeline  # noqa: PLC0415 - the same

    with told():
        name, text = read_pipeline(file)
        if help_params:
            from dagnats.cli.help_params import show_params  # noqa: PLC0415 - only for those who ask

            return reported(lambda: show_params(name, text))
        given, from_file = read_assignments(params, params_file)
        has_files = click.get_current_context().meta.get(FILES_GIVEN)
        request = Request(
            file=name,
            text=text,
            params=given,
            param_files=from_file,
            files=seen_from_project(name, files) if has_files else None,
            selection=selection_of(flags),
            again=["dagnats", *sys.argv[1:]],
            **flags,
        )
    return reported(lambda: run_pipeline(request))


@cli.command()
@click.argument("files", nargs=-1, required=True, metavar="FILE...", shell_complete=complete_file)
@click.option(
    "--format",
    "form",
    type=click.Choice(["text", "json", "sarif", "github"]),
    default="text",
    envvar="DAGNATS_FORMAT",
    show_default=True,
    help="How to report.",
)
@click.option(
    "--strict",
    is_flag=True,
    envvar="DAGNATS_STRICT",
    help="Report also what is allowed and often a mistake, as a problem.",
)
def validate(files: tuple[str, ...], form: str, *, strict: bool) -> int:
    """Check pipeline files, and report every problem of each."""
    from dagnats.cli.validate import validate_files  # noqa: PLC0415 - measured: --help and --version must not pay for it

    return validate_files(files, form, strict=strict)


@cli.command()
@click.argument("name", metavar="[RUN]", required=False)
@report_options
def report(name: str | None, **files: str | None) -> int:
    """Write reports of a RUN that is over; without files, its summary to stdout.

    RUN is its name or the beginning of it, and the newest unless given. They are what `run` would have written with the same options; `-` is stdout.
    """
    from dagnats.cli.report import write_reports  # noqa: PLC0415 - measured: --help and --version must not pay for it

    return write_reports(name, {kind.removesuffix("_file"): path for kind, path in files.items()})


GROUPS = (author, carry, clean, dead, doctor, facts, resume, rerun, steer, viewers)
for command in (command for group in GROUPS for command in group.COMMANDS):
    cli.add_command(command)


def guarded(call: Callable[[], int | None]) -> int:
    """Call, and turn every error that a person can cause into its text and its exit code."""
    try:
        return call() or 0
    except DagnatsError as error:
        click.echo(said(str(error)), err=True)
        return error.exit_code
    except click.ClickException as error:
        shown = io.StringIO()
        error.show(shown)
        click.echo(said(shown.getvalue().rstrip("\n")), err=True)
        return error.exit_code
    except (KeyboardInterrupt, click.Abort):
        return 130
    except BrokenPipeError:
        # whoever read us has gone: what Python would flush at its end has nowhere to go
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return 141
    except OSError as error:
        if error.filename is not None:
            raise
        with contextlib.suppress(OSError):  # stderr may be what is full
            click.echo(f"the output can not be written: {error.strerror}", err=True)
        return 3


def main() -> None:
    """Run the command line, and leave at once: all is written and closed by then, and taking modules apart costs a fifth of a short run.

    Nothing is collected while modules load, as they stay: that is a twentieth of it. Whoever runs for longer (`drive`) collects again.
    """
    gc.disable()
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # no traceback of imports; a run listens for itself
    code = guarded(lambda: cli.main(prog_name="dagnats", standalone_mode=False))
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:  # closed by whoever started us
            with contextlib.suppress(OSError, ValueError):
                stream.flush()
    os._exit(code)
