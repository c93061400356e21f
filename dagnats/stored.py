"""Runs that are over, found by name in their project, and read from the store that each has left."""

import asyncio
import fcntl
import os
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

from dagnats.bus.link import Link
from dagnats.bus.server import Server
from dagnats.definition.problems import quoted
from dagnats.definition.project import project_root
from dagnats.errors import EngineError, UsageError
from dagnats.process import Guardian

OTHERS_S = 2.0  # so long a run is waited for that is locked
NAMED = 5  # runs, in the text of an error
Result = TypeVar("Result")


def find(name: str | None) -> Path:
    """Give the directory of a run of this project: by its name, or the beginning of it, else the newest. Raises UsageError."""
    here, root = Path.cwd(), project_root("-")
    bases = [base for base in (here, *here.parents) if base.is_relative_to(root)]
    runs = next((runs for base in bases if (runs := base / ".dagnats" / "runs").is_dir()), None)
    if runs is None:
        raise UsageError(
            f"no run is kept in {root}: a run is kept in `.dagnats` of its project, unless it is ephemeral"
        )
    known = sorted((path for path in runs.iterdir() if (path / "lock").exists()), key=_started_at, reverse=True)
    found = [path for path in known if name is None or path.name == name]
    found = found or [path for path in known if name is not None and path.name.startswith(name)]
    if not found:
        kept = ", ".join(path.name for path in known[:NAMED]) or "none"
        raise UsageError(
            f"there is no run {quoted(name or '')} in {runs}; the newest are: {kept}"
            if name
            else f"no run is kept in {runs}"
        )
    if name is not None and len(found) > 1:
        raise UsageError(
            f"{quoted(name)} is the beginning of several runs: {', '.join(path.name for path in found[:NAMED])}"
        )
    return found[0]


def _started_at(path: Path) -> float:
    return (path / "lock").stat().st_mtime


def read(directory: Path, use: Callable[[Link], Awaitable[Result]]) -> Result:
    """Start a server on the store of a run, and use it. Raises UsageError while the run goes on, and what `use` raises."""
    try:
        lock = os.open(directory / "lock", os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        raise EngineError(f"run {directory.name} can not be read: {error.strerror}") from error
    try:
        if not _locked(lock):
            raise UsageError(f"run {directory.name} is still going on: try again when it has ended")
        return asyncio.run(_read(directory, use))
    except OSError as error:
        raise EngineError(f"run {directory.name} can not be read: {error.strerror}: {error.filename}") from error
    finally:
        os.close(lock)


def _locked(lock: int) -> bool:
    """Take the lock; another reader needs only a moment."""
    until = time.monotonic() + OTHERS_S
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > until:
                return False
            time.sleep(0.05)
        else:
            return True


async def _read(directory: Path, use: Callable[[Link], Awaitable[Result]]) -> Result:
    guardian = Guardian.start()
    guardian.attach(asyncio.get_running_loop())
    link = Link()
    try:
        server = Server(guardian, directory)
        server.start()
        await link.connect(await server.ready())
        return await use(link)
    finally:
        await link.close()
        await guardian.close()
