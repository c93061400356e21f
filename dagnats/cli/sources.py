"""Where the commands take a pipeline, its parameters and its selection from."""

import os
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from msgspec import Struct

from dagnats.cli.options import said
from dagnats.core.pipeline import JSON, Pipeline
from dagnats.definition import InvalidPipelineError, load, load_mapping, step_ids, summary
from dagnats.definition import params as parameters
from dagnats.definition.project import STDIN, project_root
from dagnats.definition.select import Selection, select
from dagnats.errors import DagnatsError, UsageError

if TYPE_CHECKING:
    from dagnats.definition.known import Known

DEFAULT_FILES = ("dagnats.yaml", "pipeline.yaml")
STDIN_MAX_BYTES = 1 << 20


def read_pipeline(file: str | None) -> tuple[str, bytes | None]:
    """Give the name of the pipeline's file, and its text when that comes from stdin."""
    path = file if file is not None else _default_file()
    if path == "-" and sys.stdin is None:
        raise UsageError("the pipeline shall come from stdin, which is closed")
    if path == "-":
        return STDIN, sys.stdin.buffer.read(STDIN_MAX_BYTES + 1)
    return path, None


def read_assignments(params: Sequence[str], params_file: str | None) -> tuple[dict[str, str], dict[str, JSON]]:
    """Give what `-p` and `--params-file` say."""
    given = parameters.parse_assignments(list(params))
    return given, load_mapping(params_file) if params_file is not None else {}


def seen_from_project(pipeline: str, files: Sequence[str]) -> list[str]:
    """Give names of files, which are seen from here, as the steps of a pipeline see them."""
    root = project_root(pipeline)
    if root == Path.cwd():
        return list(files)
    return [file if Path(file).is_absolute() else os.path.relpath(file, root) for file in files]


def selection_of(flags: dict[str, Any]) -> Selection:
    """Take the selection out of a command's flags."""
    return Selection(**{name: tuple(flags.pop(name)) for name in ("only", "start", "until", "skip")})


class Selected(Struct, frozen=True):
    """A plan as a run would begin with it, and all that is known by then."""

    plan: Pipeline
    known: "Known"


def selected(file: str | None, params: Sequence[str], params_file: str | None, selection: Selection) -> Selected:
    """Read, check and select, as `run` does before it starts anything."""
    from dagnats.definition.known import known_values  # noqa: PLC0415 - measured: a run does without

    name, text = read_pipeline(file)
    given, from_file = read_assignments(params, params_file)
    plan = select(load(name, text), selection)
    values = parameters.resolve(plan.params, given, from_file, os.environ)
    return Selected(plan, known_values(plan, values, os.environ, str(project_root(name))))


def step_names(file: str | None) -> Iterator[tuple[str, str | None]]:
    """Give ids and names of the steps, also of a file with problems; nothing where there is no file to read."""
    try:
        yield from step_ids(file if file is not None else _default_file())
    except DagnatsError:
        return


def reported(call: Callable[[], int]) -> int:
    """Call, and tell what is wrong with a file as `validate` does."""
    try:
        return call()
    except InvalidPipelineError as error:
        click.echo(said(f"{error}\n{summary(error.total, error.files)}; nothing was started"), err=True)
        return error.exit_code


def _default_file() -> str:
    for name in DEFAULT_FILES:
        if Path(name).exists():
            return name
    raise UsageError(f"no pipeline file here: give its path, or call it {' or '.join(DEFAULT_FILES)}")
