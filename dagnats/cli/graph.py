"""`dagnats graph`: which step waits for which."""

import sys
from typing import Any

import click

from dagnats.cli.sources import read_pipeline, selection_of
from dagnats.core.text import encode_json
from dagnats.definition import load
from dagnats.definition.select import select
from dagnats.report.graph import ascii_lines, dot_lines, graph_data, mermaid_lines


def show_graph(file: str | None, flags: dict[str, Any], form: str, *, ascii_only: bool) -> int:
    """Print the graph."""
    plan = select(load(*read_pipeline(file)), selection_of(flags))
    match form:
        case "json":
            click.echo(encode_json(graph_data(plan)))
        case "mermaid":
            click.echo("\n".join(mermaid_lines(plan)))
        case "dot":
            click.echo("\n".join(dot_lines(plan)))
        case _:
            is_unicode = (sys.stdout.encoding or "ascii").lower().startswith("utf")
            click.echo("\n".join(ascii_lines(plan, unicode=is_unicode and not ascii_only)))
    return 0
