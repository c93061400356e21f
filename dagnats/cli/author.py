"""The commands for those who write pipelines. They start nothing; what each does is imported when it is called."""

from collections.abc import Callable, Sequence
from typing import Any

import click

from dagnats.cli.options import Command, complete_file, complete_path, params_options, selection_options


def _format_option(*formats: str) -> Callable[[Command], Command]:
    return click.option(
        "--format",
        "form",
        type=click.Choice(formats),
        default=formats[0],
        envvar="DAGNATS_FORMAT",
        show_default=True,
        help="What to print.",
    )


_FILE = click.argument("file", required=False, shell_complete=complete_file)


@click.command()
@_FILE
@params_options
@selection_options
@_format_option("text", "json")
def plan(file: str | None, params: tuple[str, ...], params_file: str | None, form: str, **flags: Any) -> int:
    """Show what a run of FILE would do: levels, needs, and the conditions that are known already."""
    from dagnats.cli.plan import show_plan  # noqa: PLC0415 - measured: --help and --version must not pay for it

    return show_plan(file, params, params_file, flags, form)


@click.command()
@_FILE
@selection_options
@_format_option("ascii", "mermaid", "dot", "json")
@click.option("--ascii-only", is_flag=True, envvar="DAGNATS_ASCII_ONLY", help="Draw with ASCII characters alone.")
def graph(file: str | None, form: str, *, ascii_only: bool, **flags: Any) -> int:
    """Draw the graph of FILE: which step waits for which."""
    from dagnats.cli.graph import show_graph  # noqa: PLC0415 - the same

    return show_graph(file, flags, form, ascii_only=ascii_only)


@click.command()
@_FILE
@params_options
@_format_option("yaml", "json")
def render(file: str | None, params: tuple[str, ...], params_file: str | None, form: str) -> int:
    """Print FILE after defaults and all values that are known before a run, as a file that can be run."""
    from dagnats.cli.render import render_file  # noqa: PLC0415 - the same

    return render_file(file, params, params_file, form)


@click.command()
@click.argument("path", required=False, shell_complete=complete_path)
def schema(path: str | None) -> int:
    """Print the JSON Schema of pipelines, or explain the part at PATH, such as `steps.retry`."""
    from dagnats.cli.schema import show_schema  # noqa: PLC0415 - the same

    return show_schema(path)


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
    """Write a pipeline that runs to FILE, which is pipeline.yaml unless given and must not be there yet."""
    from dagnats.cli.init import write_template  # noqa: PLC0415 - the same

    return write_template(template, file)


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> int:
    """Print the script that teaches SHELL to complete dagnats.

    For bash: add `eval "$(dagnats completion bash)"` to ~/.bashrc; for zsh the same to ~/.zshrc, after compinit. For fish: `dagnats completion fish >
    ~/.config/fish/completions/dagnats.fish`.
    """
    from dagnats.cli.completion import print_script  # noqa: PLC0415 - the same

    return print_script(shell, click.get_current_context().find_root().command)


COMMANDS: Sequence[click.Command] = (plan, graph, render, schema, init, completion)
