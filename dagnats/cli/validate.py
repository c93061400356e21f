"""`dagnats validate`: every problem of every file."""

from collections.abc import Mapping, Sequence

import click

from dagnats.cli.options import said
from dagnats.core.text import encode_json
from dagnats.definition import InvalidPipelineError, Problem, format_text, load, summary, to_json
from dagnats.definition.privileged import privileged
from dagnats.errors import UsageError


def validate_files(files: Sequence[str], form: str, *, strict: bool) -> int:
    """Check the files; 0 when all can be run, else 2."""
    files = list(dict.fromkeys(files))  # stdin can be read once
    problems: dict[Problem, None] = {}  # a file that others include or run is looked at with each of them
    sources: dict[str, bytes] = {}
    total = 0
    notes: dict[str, None] = {}
    for file in files:
        try:
            notes |= dict.fromkeys(privileged(load(*_source(file), strict=strict)))
        except InvalidPipelineError as error:
            fresh = dict.fromkeys(problem for problem in error.problems if problem not in problems)
            total += len(fresh) + error.total - len(error.problems)
            problems |= fresh
            sources |= error.sources
        except UsageError as error:
            total += 1
            problems[Problem(file, 0, 0, 0, str(error), "")] = None
    wrong = len({problem.file for problem in problems})
    _print(list(problems), sources, total, form)
    if form in ("text", "github"):
        for note in notes:
            click.echo(said(f"{note}; `dagnats run` needs --allow-privileged for that"), err=True)
    if form in ("text", "github") and wrong:
        click.echo(summary(total, wrong), err=True)
    elif form in ("text", "github"):
        click.echo(f"{len(files)} file{'s' if len(files) != 1 else ''} checked, no problems", err=True)
    return 2 if wrong else 0


def _source(file: str) -> tuple[str, bytes | None]:
    if file != "-":
        return file, None
    from dagnats.cli.sources import read_pipeline  # noqa: PLC0415 - measured: 18 ms that files do not pay

    return read_pipeline(file)


def _print(problems: Sequence[Problem], sources: Mapping[str, bytes], total: int, form: str) -> None:
    match form:
        case "json":
            click.echo(encode_json(to_json(problems)))
        case "sarif":
            from dagnats.definition.annotations import to_sarif  # noqa: PLC0415 - measured: urllib is only for those who need it

            click.echo(encode_json(to_sarif(problems)))
        case "github":
            from dagnats.definition.annotations import to_github  # noqa: PLC0415 - the same

            for line in to_github(problems):
                click.echo(line)
        case _ if problems:
            click.echo(format_text(problems, sources, total))
