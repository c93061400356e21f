"""`dagnats schema`: the format, as a schema or in words."""

import click

from dagnats.definition import schema_text
from dagnats.definition.explain import explanation, find


def show_schema(path: str | None) -> int:
    """Print the schema, or explain one part of it."""
    click.echo(schema_text() if path is None else "\n".join(explanation(find(path))), nl=path is not None)
    return 0
