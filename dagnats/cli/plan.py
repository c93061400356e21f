"""`dagnats plan`: what would run."""

import os
import sys
from collections.abc import Sequence
from typing import Any

import click

from dagnats.cli.sources import selected, selection_of
from dagnats.core.text import encode_json
from dagnats.report.plan import plan_data, plan_text
from dagnats.report.style import Style, wants_color


def show_plan(
    file: str | None, params: Sequence[str], params_file: str | None, flags: dict[str, Any], form: str
) -> int:
    """Print the plan as it would be run; nothing is executed."""
    found = selected(file, params, params_file, selection_of(flags))
    if form == "json":
        click.echo(encode_json(plan_data(found.plan, found.known)))
    else:
        style = Style(color=wants_color("auto", os.environ, terminal=sys.stdout.isatty()))
        click.echo("\n".join(plan_text(found.plan, found.known, style)), color=style.color)
    return 0
