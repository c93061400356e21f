"""The commands for those who write pipelines. They start nothing; what each does is imported when it is called."""

from collections.abc import Callable, Sequence
from typing import Any

import click

from dagnats.cli.options import Command, complete_file, complete_path, params_options, selection_options
from dagnats.cli.rerun import mode_of
from dagnats.cli.runs import complete_file_or_run, complete_run


def _format_option(variable: str, *formats: str) -> Callable[[Command], Command]:
    # a variable a command: what one of them knows is an error for another
    return click.option(
        "--format",
        "form",
        type=click.Choice(formats),
        default=formats[0],
        envvar=variable,
        show_default=True,
        help="What to print.",
    )


_FILE = click.argument("file", required=False, shell_complete=complete_file)


@click.command()
@_FILE
@params_options
@selection_options
@click.option(
    "--rerun",
    is_flag=False,
    flag_value="",
    metavar="[RUN]",
    envvar="DAGNATS_PLAN_RERUN",
    shell_complete=complete_run,
    help="Show what `dagnats rerun RUN` would do with `--failed`, `--from` or `--only`; the newest run unless given.",
)
@click.option("--failed", is_flag=True, envvar="DAGNATS_RERUN_FAILED", help="With --rerun: run what did not succeed.")
@_format_option("DAGNATS_PLAN_FORMAT", "text", "json")
def plan(
    file: str | None,
    params: tuple[str, ...],
    params_file: str | None,
    form: str,
    *,
    rerun: str | None,
    failed: bool,
    **flags: Any,
) -> int:
    """Show what a run of FILE would do. Nothing is executed.

    Steps of one level can run beside each other. A condition that is settled before the run says so; what a script gives is known when the run starts.
    With `--rerun` it is the file of that run, and each step says whether it would be reused or run again, and why.
    """
    from dagnats.cli.plan import show_plan  # noqa: PLC0415 - measured: --help and --version must not pay for it
    from dagnats.cli.sources import reported  # noqa: PLC0415 - the same

    if rerun is not None:
        from dagnats.cli.plan_rerun import show_rerun  # noqa: PLC0415 - the same

        if file is not None or flags["until"] or flags["skip"]:
            raise click.UsageError(
                "--rerun takes the file of that run: FILE, --until and --skip have no place beside it"
            )
        mode = mode_of(failed=failed, start=flags["start"], only=flags["only"])
        steps = (*flags["start"], *flags["only"])
        return reported(lambda: show_rerun((rerun or None, mode, steps), params, params_file, form))
    if failed:
        raise click.UsageError("--failed says what of a run shall run again: give the run with --rerun")
    return reported(lambda: show_plan(file, params, params_file, flags, form))


@click.command()
@click.argument("file", metavar="[FILE|RUN]", required=False, shell_complete=complete_file_or_run)
@selection_options
@_format_option("DAGNATS_GRAPH_FORMAT", "ascii", "mermaid", "dot", "json")
@click.option("--ascii-only", is_flag=True, envvar="DAGNATS_ASCII_ONLY", help="Draw with ASCII characters alone.")
def graph(file: str | None, form: str, *, ascii_only: bool, **flags: Any) -> int:
    """Draw which step of FILE waits for which; of a RUN, with status, durations, critical path and slack.

    What a step needs is above it, and a line leads from there to it. mermaid is for Markdown, dot for Graphviz. A word that is no file is the name of a run, or
    the beginning of it.
    """
    from dagnats.cli.graph import show_graph  # noqa: PLC0415 - the same
    from dagnats.cli.sources import reported  # noqa: PLC0415 - the same

    return reported(lambda: show_graph(file, flags, form, ascii_only=ascii_only))


@click.command()
@_FILE
@params_options
@_format_option("DAGNATS_RENDER_FORMAT", "yaml", "json")
def render(file: str | None, params: tuple[str, ...], params_file: str | None, form: str) -> int:
    """Print FILE with all that is known before a run.

    Defaults are in their steps, params and vars have their values, needs are written out: a file that can be run and gives the same plan. Templates that are
    only known later stay, and so do those of scripts, as a value never becomes code.
    """
    from dagnats.cli.render import render_file  # noqa: PLC0415 - the same
    from dagnats.cli.sources import reported  # noqa: PLC0415 - the same

    return reported(lambda: render_file(file, params, params_file, form))


@click.command()
@click.argument("path", required=False, shell_complete=complete_path)
@click.option(
    "--events",
    is_flag=True,
    envvar="DAGNATS_SCHEMA_EVENTS",
    help="Print the JSON Schema of the lines that `dagnats run` writes with `--events` and `--output json`.",
)
def schema(path: str | None, *, events: bool) -> int:
    """Explain the part of the format at PATH.

    PATH is a key, or keys joined by dots, such as `steps.retry`. Without PATH, the JSON Schema of pipelines is printed.
    """
    from dagnats.cli.schema import show_events_schema, show_schema  # noqa: PLC0415 - the same

    if events and path is not None:
        raise click.UsageError(f"`--events` prints a whole schema: leave out `{path}`, or `--events`")
    return show_events_schema() if events else show_schema(path)


@click.command()
@click.argument("file", default="pipeline.yaml", shell_complete=complete_file)
@click.option(
    "--template",
    type=click.Choice(["minimal", "python", "node"]),
    default="minimal",
    envvar="DAGNATS_TEMPLATE",
    show_default=True,
    help="What the pipeline is for.",
)
def init(file: str, template: str) -> int:
    """Write a first pipeline, which runs as it is.

    FILE is pipeline.yaml unless given; a file that is there already is not written over.
    """
    from dagnats.cli.init import write_template  # noqa: PLC0415 - the same

    return write_template(template, file)


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> int:
    """Print the script with which a shell completes dagnats.

    For bash: add `eval "$(dagnats completion bash)"` to ~/.bashrc; for zsh the same to ~/.zshrc, after compinit. For fish: `dagnats completion fish >
    ~/.config/fish/completions/dagnats.fish`.
    """
    from dagnats.cli.completion import print_script  # noqa: PLC0415 - the same

    return print_script(shell, click.get_current_context().find_root().command)


COMMANDS: Sequence[click.Command] = (plan, graph, render, schema, init, completion)
