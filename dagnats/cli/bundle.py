"""`dagnats bundle` and `dagnats open`: a run in one file, and out of it again."""

import asyncio
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from dagnats import rundir
from dagnats.bundle.form import ENDING, BundleError, Manifest
from dagnats.bundle.opened import Bundle, Read, fill, refuse_space
from dagnats.bundle.written import new_file, write
from dagnats.bus.link import Link
from dagnats.definition.project import project_root
from dagnats.errors import EngineError, JournalError, UsageError
from dagnats.naming import label, runs_in
from dagnats.report.kept import size
from dagnats.report.listing import brief, encoded
from dagnats.rundir import RunDirectory, journal_end
from dagnats.stored import find, served, use

STDOUT = "-"


def write_bundle(run: str | None, target: str | None, *, force: bool) -> int:
    """Write the bundle of a run."""
    directory = find(run)
    path = Path(target or f"{directory.name}{ENDING}")
    if target == STDOUT and sys.stdout.isatty():
        raise UsageError("a bundle is nothing for a terminal: `-o FILE`, or `-o - > FILE`")

    def written(file: IO[bytes]) -> Manifest:
        async def work(link: Link, is_live: bool) -> Manifest:
            file.seek(0)
            file.truncate()
            end = None if is_live else journal_end(directory)
            return await write(link, directory.name, end, file, directory)

        return use(directory, work)

    if target == STDOUT:
        with tempfile.TemporaryFile(dir=directory) as passing:  # it may have to be written a second time
            written(passing)
            passing.seek(0)
            shutil.copyfileobj(passing, sys.stdout.buffer)
        return 0
    with new_file(path, force=force) as file:
        written(file)
    sys.stderr.write(
        f"run {directory.name} is in {path} ({size(path.stat().st_size)}): `dagnats open {path}` elsewhere\n"
    )
    return 0


def open_bundle(name: str) -> int:
    """Make a run of this project of what is in a file."""
    workspace = project_root("-")
    with _file(name) as file:
        bundle = Bundle(file)
        run, known = bundle.manifest.run, workspace / ".dagnats" / "runs"
        same = _same(known, bundle.manifest)
        if same is not None:
            sys.stderr.write(f"run {label(same)} is here already, as it is in {name}\n")
            return 0
        directory = rundir.opening(workspace)
        try:
            refuse_space(bundle.manifest, directory.path, shutil.disk_usage)
            read = asyncio.run(_filled(bundle, directory.path))
            place = _placed(directory, read, name)
        except BaseException:
            directory.refuse()
            raise
        finally:
            directory.close()
    sys.stderr.write(f"run {label(place)} is here now{_as(run, place)}: `dagnats report {label(place)}` shows it\n")
    return 0


def _as(run: str, place: Path) -> str:
    return f" (another one is called {run})" if label(place) != run else ""


@contextmanager
def _file(name: str) -> Iterator[IO[bytes]]:
    try:
        if not os.path.isfile(name) and os.path.exists(name):  # noqa: PTH110, PTH113 (as typed)
            raise UsageError(f"{name} is no file")
        with Path(name).open("rb") as file:
            yield file
    except BundleError as error:
        raise UsageError(f"{name}: {error}; nothing was changed") from error
    except JournalError as error:
        raise JournalError(f"{name}: {error}; nothing was changed") from error
    except OSError as error:
        raise UsageError(f"{name} can not be read: {error.strerror or error}") from error


def _same(runs: Path, manifest: Manifest) -> Path | None:
    """Find the run itself, if the project has it: the end of its journal is no other's."""
    found = runs_in(runs) if runs.is_dir() else []
    end = (manifest.commits, manifest.last)
    return next((one for one in found if one.name == manifest.run and journal_end(one) == end), None)


async def _filled(bundle: Bundle, path: Path) -> Read:
    async with served(path) as link:
        return await fill(link, bundle, path)


def _placed(directory: RunDirectory, read: Read, name: str) -> Path:
    """Let it be a run, once all of it is there."""
    path = directory.path
    (path / rundir.OPENED).write_text(f"{Path(name).name}\n", errors="replace")
    for left in ("nats.conf", rundir.CONNECTION, rundir.READER):
        (path / left).unlink(missing_ok=True)
    if read.state is None:
        raise EngineError("there is no run to be placed")
    if read.state.finished is not None:
        directory.seal(read.commits, read.last)
    rundir.write_status(path, encoded(brief(read.state)))
    return rundir.settle(directory, read.run)
