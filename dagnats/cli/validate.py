"""`dagnats validate`: every problem of every file."""

from collections.abc import Sequence

import click

from dagnats.core.text import encode_json
from dagnats.definition import InvalidPipelineError, Problem, format_text, load, summary, to_json
from dagnats.errors import UsageError


def validate_files(files: Sequence[str], form: str, *, strict: bool) -> int:
    """Check the files; 0 when all can be run, else 2."""
    problems: list[Problem] = []
    sources: dict[str, bytes] = {}
    total = wrong = 0
    for file in files:
        try:
            load(file, strict=strict)
        except InvalidPipelineError as error:
            wrong += error.files
            total += error.total
            problems += error.problems
            sources |= error.sources
        except UsageError as error:
            wrong += 1
            total += 1
            problems.append(Problem(file, 0, 0, 0, str(error), ""))
    if form == "json":
        click.echo(encode_json(to_json(problems)))
    elif problems:
        click.echo(format_text(problems, sources, total))
        click.echo(summary(total, wrong), err=True)
    else:
        click.echo(f"{len(files)} file{'s' if len(files) != 1 else ''} checked, no problems", err=True)
    return 2 if wrong else 0
