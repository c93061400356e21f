"""`dagnats graph`: which step waits for which; of a run, with what became of each."""

import sys
from pathlib import Path
from typing import Any

import click

from dagnats.cli.sources import read_pipeline, selection_of
from dagnats.core.text import encode_json
from dagnats.definition import load
from dagnats.definition.select import select
from dagnats.errors import UsageError
from dagnats.report.graph import ascii_lines, dot_lines, graph_data, mermaid_lines


def show_graph(file: str | None, flags: dict[str, Any], form: str, *, ascii_only: bool) -> int:
    """Print the graph."""
    unicode = (sys.stdout.encoding or "ascii").lower().startswith("utf") and not ascii_only
    directory = _run_of(file)
    if directory is not None:
        return _show_run(directory, flags, form, unicode=unicode)
    plan = select(load(*read_pipeline(file)), selection_of(flags))
    match form:
        case "json":
            click.echo(encode_json(graph_data(plan)))
        case "mermaid":
            click.echo("\n".join(mermaid_lines(plan)))
        case "dot":
            click.echo("\n".join(dot_lines(plan)))
        case _:
            click.echo("\n".join(ascii_lines(plan, unicode=unicode)))
    return 0


def _run_of(name: str | None) -> Path | None:
    """Give the directory of the run that has this name; a file wins."""
    if name is None or name == "-" or Path(name).exists():
        return None
    from dagnats.kept import find  # noqa: PLC0415 - only for what is no file

    try:
        return find(name)
    except UsageError:
        return None


def _show_run(directory: Path, flags: dict[str, Any], form: str, *, unicode: bool) -> int:
    from dagnats.cli.look import facts_of  # noqa: PLC0415 - measured: the graph of a file needs no server
    from dagnats.cli.looks import put, put_json  # noqa: PLC0415 - the same
    from dagnats.report.rungraph import run_graph, run_graph_data  # noqa: PLC0415 - the same
    from dagnats.report.style import Style  # noqa: PLC0415 - the same

    if any(flags.values()):
        raise UsageError(f"{directory.name} is a run: what was selected of its file was said when it began")
    facts = facts_of(directory)
    if form == "json":
        put_json(encode_json(run_graph_data(facts)))
    else:
        put(run_graph(facts, form, unicode=unicode), Style())
    return 0
