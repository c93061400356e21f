"""`dagnats render`: the file with all that is known before a run."""

import json
import os
from collections.abc import Sequence

import click

from dagnats.cli.sources import read_assignments, read_pipeline
from dagnats.definition import load_document
from dagnats.definition.emit import to_yaml
from dagnats.definition.known import known_values
from dagnats.definition.params import resolve
from dagnats.definition.render import document


def render_file(file: str | None, params: Sequence[str], params_file: str | None, form: str) -> int:
    """Print a file that gives the same plan, with everything in its place."""
    name, text = read_pipeline(file)
    given, from_file = read_assignments(params, params_file)
    root, plan = load_document(name, text)
    values = resolve(plan.params, given, from_file, os.environ)
    # where the file is, is known here, and may be another place when the result is run
    rendered = document(root, plan, known_values(plan, values, os.environ, None))
    if form == "json":
        click.echo(json.dumps(rendered, indent=2, ensure_ascii=False, allow_nan=False))
    else:
        click.echo(to_yaml(rendered), nl=False)
    return 0
