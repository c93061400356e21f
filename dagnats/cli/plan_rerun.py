"""`dagnats plan --rerun`: what a rerun would take over, and what would run again, and why."""

import os
import sys
from collections.abc import Sequence

import click

from dagnats.cli.reruns import asked_for
from dagnats.cli.sources import read_assignments
from dagnats.core.text import encode_json
from dagnats.definition import load, params
from dagnats.definition.known import known_values
from dagnats.definition.project import project_root
from dagnats.definition.reuse import Mode, Now
from dagnats.report.plan import plan_data, plan_text
from dagnats.report.rerun import rerun_data, rerun_notes
from dagnats.report.style import Style, wants_color


def show_rerun(
    asked: tuple[str | None, Mode, Sequence[str]], assigned: Sequence[str], params_file: str | None, form: str
) -> int:
    """Print the plan of the rerun that is asked for; nothing is executed."""
    rerun, file, _ = asked_for(*asked)
    given, from_file = read_assignments(assigned, params_file)
    plan = rerun.selected(load(file, None))
    carried = rerun.params(plan.params, {*given, *from_file})
    values = params.resolve(plan.params, given, {**carried, **from_file}, os.environ)
    known = known_values(plan, values, os.environ, str(project_root(file)))
    now = Now(
        workspace=str(project_root(file)),
        params=known.params,
        vars=known.vars,
        env=known.env,
        later=frozenset({*(f"vars.{one}" for one in known.later), "git"}),
    )
    found = rerun.found(plan, now)
    if form == "json":
        data = plan_data(plan, known)
        data["rerun"] = rerun_data(found)
        click.echo(encode_json(data))
    else:
        style = Style(color=wants_color("auto", os.environ, terminal=sys.stdout.isatty()))
        click.echo("\n".join(plan_text(plan, known, style, rerun_notes(found))), color=style.color)
    return 0
