"""The run of which `rerun` and `plan --rerun` speak: its journal, and its file as it is now."""

import os
import tempfile
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from dagnats.bus import blobs, journal
from dagnats.bus.link import Link
from dagnats.core.events import AnyEvent, RunStarted
from dagnats.definition.problems import printable
from dagnats.definition.project import STDIN
from dagnats.definition.rerun import Rerun, before
from dagnats.definition.reuse import Mode
from dagnats.errors import UsageError
from dagnats.naming import project
from dagnats.request import Request
from dagnats.rundir import journal_end, origin
from dagnats.stored import find, opened, use


class Asked(NamedTuple):
    """What is asked for, the path of the file as it is seen from here, and the directory of the run of before."""

    rerun: Rerun
    file: str
    directory: Path


def asked_for(name: str | None, mode: Mode, steps: Sequence[str]) -> Asked:
    """Read the run, and find its file. Raises UsageError where there is no such run, where it goes on, or where its file is gone."""
    directory = find(name)
    events = use(directory, lambda link, live: _events(link, directory, live=live))
    rerun = Rerun(before(directory.name, events), mode, tuple(steps))
    root = project(directory)
    file = file_of(rerun.before.state.started, root)
    if origin(directory) is not None and not Path(file).resolve().is_relative_to(root.resolve()):
        raise UsageError(f"run {directory.name} was opened, and names a file outside of the project: {printable(file)}")
    return Asked(rerun, file, directory)


async def _events(link: Link, directory: Path, *, live: bool) -> list[AnyEvent]:
    if live:
        raise UsageError(f"run {directory.name} still goes on: wait for its end, or cancel it")
    commits = journal.read(link, directory.name, journal_end(directory))
    return [event async for commit in commits for event in commit]


async def bring(directory: Path, link: Link, digests: Sequence[str], room: Path) -> None:
    """Copy objects from the store of a run; they pass through a file in `room`. Raises EngineError, and JournalError for one that is gone."""
    async with opened(directory) as found:
        for digest in digests:
            with tempfile.TemporaryFile(dir=room) as file:
                async for chunk in blobs.get(found.link, digest):
                    file.write(chunk)
                await blobs.put(link, digest, file, lambda: None)


def request_of(asked: Asked, **given: Any) -> Request:
    """Give what `run` is asked to do."""
    return Request(file=asked.file, rerun=asked.rerun, bring=partial(bring, asked.directory), **given)


def file_of(started: RunStarted, root: Path) -> str:
    """Give the path of a run's file as it is seen from here. What comes from another machine has the place in its project that it had there."""
    named = started.plan.file
    if named == STDIN:
        raise UsageError(
            f"run {started.run} took its pipeline from stdin, and there is no file that could be run again"
        )
    there = os.path.normpath(os.path.join(started.workspace, started.directory, named))  # noqa: PTH118 (of another machine)
    file = os.path.normpath(root / os.path.relpath(there, started.workspace))
    if not Path(file).is_file():
        raise UsageError(f"the file of run {started.run} is not there any more: {printable(os.path.relpath(file))}")
    return file if Path(named).is_absolute() else os.path.relpath(file)
