"""`dagnats schema`: the format, as a schema or in words, and the schema of events."""

import click

from dagnats.definition import schema_text
from dagnats.definition.explain import explanation, find
from dagnats.definition.schema import EVENTS


def show_schema(path: str | None) -> int:
    """Print the schema, or explain one part of it."""
    click.echo(schema_text() if path is None else "\n".join(explanation(find(path))), nl=path is not None)
    return 0


def show_events_schema() -> int:
    """Print the schema of a line of `--events` and `--output json`."""
    click.echo(schema_text(EVENTS), nl=False)
    return 0
