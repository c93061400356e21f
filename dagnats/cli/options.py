"""Options that several commands share, and what a shell is offered to complete them. Nothing here may be slow to import."""

import contextlib
import os
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import click

from dagnats.errors import DagnatsError, UsageError

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

FILES_GIVEN = "dagnats.files"  # whether there was `--files`, be it without a name, in a context's `meta`
Command = TypeVar("Command", bound=Callable[..., Any])


def said(text: str) -> str:
    """Give what is said of an error, so that on GitHub Actions no text in it, such as the name of a file, is a command."""
    if os.environ.get("GITHUB_ACTIONS") != "true":
        return text
    from dagnats.core.text import no_command  # noqa: PLC0415 - only there

    return "\n".join(map(no_command, text.splitlines()))


@contextlib.contextmanager
def told() -> Iterator[None]:
    """Tell the job, on GitHub Actions, when a command line is wrong, as it is told of every other end of a run."""
    try:
        yield
    except (click.UsageError, DagnatsError) as error:
        if os.environ.get("GITHUB_ACTIONS") == "true":
            from dagnats.report.github_files import Job  # noqa: PLC0415 - only there

            wrong = UsageError(error.format_message()) if isinstance(error, click.UsageError) else error
            Job(os.environ.get("GITHUB_OUTPUT", ""), annotates=True, events_file=None).refused(wrong)
        raise


def _item(value: str, **more: Any) -> "CompletionItem":
    from click.shell_completion import CompletionItem  # noqa: PLC0415 - measured: only a completion needs it

    return CompletionItem(value, **more)


def complete_file(_ctx: click.Context, _param: click.Parameter, incomplete: str) -> "list[CompletionItem]":
    """Let the shell complete the name of a file."""
    return [_item(incomplete, type="file")]


def complete_step(ctx: click.Context, _param: click.Parameter, incomplete: str) -> "list[CompletionItem]":
    """Offer the steps of the pipeline that the command line names, else of the one that is here."""
    from dagnats.cli.sources import step_names  # noqa: PLC0415 - measured: only a completion of steps reads a file

    # the option that is being completed lacks its value, and then click leaves arguments where they are
    loose = next((word for word in ctx.args if not word.startswith("-")), None)
    named = step_names(ctx.params.get("file") or loose)
    return [_item(id_, help=name) for id_, name in named if id_.startswith(incomplete)]


def complete_path(_ctx: click.Context, _param: click.Parameter, incomplete: str) -> "list[CompletionItem]":
    """Offer the keys of the format, one level at a time."""
    from dagnats.definition.explain import find  # noqa: PLC0415 - the same
    from dagnats.errors import UsageError  # noqa: PLC0415 - the same

    try:
        keys = find(incomplete.rpartition(".")[0]).parts()
    except UsageError:
        return []
    paths = [(".".join(key.path), key.summary) for key in keys]
    return [_item(path, help=summary) for path, summary in paths if path.startswith(incomplete)]


def params_options(command: Command) -> Command:
    """Add `-p` and `--params-file`."""
    option = click.option(
        "--params-file",
        metavar="FILE",
        envvar="DAGNATS_PARAMS_FILE",
        shell_complete=complete_file,
        help="Read parameters from a YAML or JSON file.",
    )
    given = click.option(
        "-p", "--param", "params", multiple=True, metavar="NAME=VALUE", help="Set a parameter; may be given again."
    )
    return given(option(command))


class FilesLast(click.Command):
    """A command whose option `--files` takes the rest of the line, as pre-commit and xargs put names of files at its end, whatever they look like."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Give each of the files the option of its own that click wants."""
        if "--files" in args:
            at = args.index("--files")
            ctx.meta[FILES_GIVEN] = True
            args = args[:at] + [f"--files={name}" for name in args[at + 1 :]]
        with told():
            return super().parse_args(ctx, args)


def report_options(command: Command) -> Command:
    """Add the files for reports."""
    options: Sequence[tuple[str, str]] = (
        ("html", "Write a page of HTML there: graph, timeline, critical path, and what each step printed."),
        ("summary", "Write a page of Markdown there: table, graph, timeline, the end of what failed."),
        ("junit", "Write the steps there as tests, in the XML that CI servers read."),
    )
    for name, words in options:
        command = click.option(
            f"--{name}",
            f"{name}_file",
            metavar="FILE",
            envvar=f"DAGNATS_{name.upper()}_FILE",
            shell_complete=complete_file,
            help=words,
        )(command)
    return command


def selection_options(command: Command) -> Command:
    """Add `--only`, `--from`, `--until` and `--skip`."""
    options: Sequence[tuple[Sequence[str], str]] = (
        (["--skip"], "Leave this step out"),
        (["--until"], "Run this step, and all that it needs"),
        (["--from", "start"], "Run this step, and all that follow on it"),
        (["--only"], "Run this step, and no other"),
    )
    for names, words in options:
        variable = f"DAGNATS_{names[0].removeprefix('--').upper()}"
        command = click.option(
            *names,
            multiple=True,
            metavar="STEP",
            envvar=variable,
            shell_complete=complete_step,
            help=f"{words}; may be given again.",
        )(command)
    return command
