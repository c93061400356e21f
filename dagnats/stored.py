"""Runs, found by name in their project, and reached through their server: that of the runner while the run goes on, else one on the store that it left."""

import asyncio
import contextlib
import fcntl
import os
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import NamedTuple, TypeVar

from dagnats import rundir
from dagnats.bus.link import Link
from dagnats.bus.server import Address, Server
from dagnats.errors import EngineError, NoJournalError, NotBegunError
from dagnats.fence import Owner, fence
from dagnats.kept import find, kept
from dagnats.naming import label
from dagnats.process import Guardian
from dagnats.rundir import LOOK_S, OTHERS_S

__all__ = ["LostError", "Opened", "clear", "find", "is_live", "kept", "opened", "unless_lost", "use"]

Result = TypeVar("Result")


class LostError(EngineError):
    """The server went away: its run has ended meanwhile, or it is being started again."""


class Opened(NamedTuple):
    """A connection to the store of a run, and whether the run goes on."""

    link: Link
    is_live: bool


def is_live(directory: Path) -> bool:
    """Whether somebody runs it now. Raises EngineError when its lock is held, and nobody can be reached."""
    until = time.monotonic() + OTHERS_S
    with _lock(directory) as lock:
        while not _locked(lock):
            if rundir.connection(directory) is not None:
                return True
            if time.monotonic() > until:
                raise _held(directory)
            time.sleep(LOOK_S)  # somebody reads it, or has just begun to run it
    return False


def _held(directory: Path) -> EngineError:
    return EngineError(f"run {directory.name} is held by another process, whose server does not answer")


def use(directory: Path, work: Callable[[Link, bool], Awaitable[Result]]) -> Result:
    """Use the store of a run, whether it goes on or not, which is the second argument.

    The work is begun again when the server goes away before it is done, as that of a run that ends does: it must be harmless to do twice. Raises
    EngineError, and what the work raises.
    """
    return asyncio.run(_use(directory, work))


async def _use(directory: Path, work: Callable[[Link, bool], Awaitable[Result]]) -> Result:
    until = time.monotonic() + OTHERS_S
    while True:
        try:
            async with opened(directory) as (link, is_live):
                return await unless_lost(link, work(link, is_live))
        except LostError:
            if time.monotonic() > until:
                raise


async def unless_lost(link: Link, work: Awaitable[Result]) -> Result:
    """Do the work. Raises LostError when the connection is lost before it is done, as no answer would come any more."""
    working, lost = asyncio.ensure_future(work), asyncio.ensure_future(link.lost.wait())
    try:
        await asyncio.wait([working, lost], return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            raise LostError("nats-server went away")
        return working.result()
    finally:
        for future in (working, lost):
            future.cancel()
        await asyncio.gather(working, lost, return_exceptions=True)


@contextlib.asynccontextmanager
async def opened(directory: Path) -> AsyncIterator[Opened]:
    """Connect to the server of a run that goes on, else start one on its store, which nobody else uses meanwhile. Raises EngineError."""
    until = time.monotonic() + OTHERS_S
    with _lock(directory) as lock:
        while not _locked(lock):
            link = await _connected(directory)
            if link is not None:
                try:
                    yield Opened(link, is_live=True)
                finally:
                    await link.close()
                return
            if time.monotonic() > until:
                raise _held(directory)
            await asyncio.sleep(LOOK_S)
        async with served(directory) as link:
            try:
                yield Opened(link, is_live=False)
            except NoJournalError:
                if rundir.journal_seen(directory) is None and rundir.origin(directory) is None:
                    raise NotBegunError(label(directory)) from None
                raise


async def _connected(directory: Path) -> Link | None:
    """Connect to the server of a run; None when there is none, or not any more."""
    where = rundir.connection(directory)
    if where is None:
        return None
    link = Link()
    try:
        await link.connect(Address(*where))
    except EngineError:
        await link.close()
        return None
    return link


@contextlib.asynccontextmanager
async def served(directory: Path) -> AsyncIterator[Link]:
    """Start a server on a store that is locked by us. What a runner left that was killed may still use it, and is ended before."""
    clear(directory)
    guardian = Guardian.start()
    guardian.attach(asyncio.get_running_loop())
    link = Link()
    try:
        rundir.note_reader(directory, Owner(os.getpid(), guardian.pid, guardian.mark))
        server = Server(guardian, directory)
        server.start()
        await link.connect(await server.ready())
        yield link
    except OSError as error:
        raise EngineError(f"run {directory.name} can not be read: {error.strerror}: {error.filename}") from error
    finally:
        await link.close()
        await guardian.close()


def clear(directory: Path, *, is_lost: bool = False) -> None:
    """End what those have left who used the store before us, and were killed. Whoever calls this holds the lock."""
    for owner in rundir.owners(directory):
        fence(owner, is_lost=is_lost)
    rundir.disconnected(directory)


@contextlib.contextmanager
def _lock(directory: Path) -> Iterator[int]:
    try:
        lock = os.open(directory / "lock", os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        raise EngineError(f"run {directory.name} can not be read: {error.strerror}") from error
    try:
        yield lock
    finally:
        os.close(lock)


def _locked(lock: int) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
