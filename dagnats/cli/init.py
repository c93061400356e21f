"""`dagnats init`: a first pipeline, which runs as it is."""

import os
from pathlib import Path

import click

from dagnats.errors import UsageError

TEMPLATES = Path(__file__).parent / "templates"


def write_template(template: str, file: str) -> int:
    """Write a pipeline to a file that does not exist yet, and say what to do with it."""
    text = (TEMPLATES / f"{template}.yaml").read_bytes()
    try:
        # created by this call or not at all: nobody's file is written over
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
    except FileExistsError:
        raise UsageError(f"{file} is there already; give another name: dagnats init ANOTHER.yaml") from None
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise UsageError(f"{file} can not be written: {reason}") from error
    with open(descriptor, "wb") as written:  # noqa: PTH123 - a descriptor
        written.write(text)
    click.echo(f"wrote {file}; next:\n  dagnats graph {file}\n  dagnats run {file}\n  dagnats schema steps", err=True)
    return 0
