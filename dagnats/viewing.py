"""Looking at a run from another process: its store is read, over the connection that there is, and shown; the run takes no notice of it."""

import asyncio
import os
import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from msgspec import Struct

from dagnats.bus import journal
from dagnats.bus.link import Link
from dagnats.core.state import RunState, fold
from dagnats.errors import EngineError, NoJournalError, ParkedError
from dagnats.naming import label
from dagnats.report.console import Console
from dagnats.report.follow import ALL, Following
from dagnats.report.listing import brief
from dagnats.report.reporter import Reporter
from dagnats.report.stage import Clock, Stage
from dagnats.rundir import journal_end, origin
from dagnats.stored import LostError, opened, unless_lost

FIRST_LOOK_S = 0.05


class View(Struct, frozen=True):
    """How a run is looked at: see `Following` and `Stage`."""

    reporters: Sequence[Reporter]
    console: Console
    subject: str | None = ALL
    clock: Clock | None = None
    speed: float | None = None


class GoneError(EngineError):
    """The run did not come to its end, and nobody runs it."""

    def __init__(self, directory: Path) -> None:
        run = label(directory)
        super().__init__(f"run {run} did not come to its end: the run's process is gone; {_what_next(directory)}")


def _what_next(directory: Path) -> str:
    run, bundle = label(directory), origin(directory)
    if bundle is not None:
        return f"it was opened from {bundle}, and `dagnats rerun {run} --failed` runs it again here"
    return f"`dagnats resume {run}` goes on with it"


def _left(directory: Path, state: RunState | None) -> GoneError | ParkedError:
    """Say why nobody runs a run that has not ended: it only waits, or its process was killed."""
    now = brief(state) if state is not None else None
    if now is None or not now.only_waits:
        return GoneError(directory)
    waits = ", ".join(now.waits)
    return ParkedError(f"run {label(directory)} is parked, as {waits} waits; {_what_next(directory)}")


def watch(
    directory: Path, view: Callable[[RunState, bool], View], *, follow: bool, farewell: str = ""
) -> RunState | None:
    """Show a run, and to `follow` it to its end if it goes on. `view` is told how far it is, and whether it goes on.

    Gives its state as far as it was shown; None when whoever read it has left. Raises GoneError when it is followed, and nobody runs it, and what `view`
    raises. `farewell` is said when somebody interrupts this.
    """
    return asyncio.run(_Viewing(directory, view, follow=follow, farewell=farewell).run())


class _Viewing:
    def __init__(self, directory: Path, view: Callable[[RunState, bool], View], *, follow: bool, farewell: str) -> None:
        self._directory = directory
        self._view = view
        self._follow = follow
        self._farewell = farewell
        self._following: Following | None = None
        self._stage: Stage | None = None
        self._showing: asyncio.Task[None] | None = None

    async def run(self) -> RunState | None:
        self._listen_for_signals()
        is_gone = False
        try:
            is_gone = await self._read_all()
        finally:
            if self._stage is not None:
                self._stage.is_complete.set()
            if self._showing is not None:
                await self._showing
        following = self._following
        state = following.projection.state if following is not None and following.is_read else None
        if is_gone:
            raise _left(self._directory, state)
        return state

    async def _read_all(self) -> bool:
        """Read until it is over, or nobody looks any more; true when it is not over, and nobody runs it."""
        while True:
            try:
                async with opened(self._directory) as (link, is_live):
                    following, showing = await self._begun(link, is_live=is_live)
                    following.end = None if is_live else journal_end(self._directory)
                    reading = asyncio.ensure_future(
                        unless_lost(link, following.read(link, goes_on=is_live and self._follow))
                    )
                    await asyncio.wait([reading, showing], return_when=asyncio.FIRST_COMPLETED)
                    if showing.done():
                        reading.cancel()
                        await asyncio.gather(reading, return_exceptions=True)
                        return False
                    await reading
                    return self._follow and not following.is_over
            except LostError:
                continue

    async def _begun(self, link: Link, *, is_live: bool) -> tuple[Following, asyncio.Task[None]]:
        if self._following is None or self._showing is None:
            run = self._directory.name
            state = await unless_lost(link, _state(link, run, is_live=is_live))
            view = self._view(state, is_live)
            self._following = Following(run, view.subject)
            self._stage = Stage(self._following, view.reporters, view.console, view.clock, view.speed)
            self._showing = asyncio.create_task(self._stage.run())
        return self._following, self._showing

    def _listen_for_signals(self) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            loop.add_signal_handler(number, self._interrupted, number)
        if signal.getsignal(signal.SIGTSTP) is signal.SIG_DFL:
            loop.add_signal_handler(signal.SIGTSTP, self._stopped)

    def _interrupted(self, number: signal.Signals) -> None:
        """Leave at once. The server forgets who reads no more, and one of ours is ended by the guardian."""
        if self._stage is not None:
            self._stage.leave()
        if self._farewell and number is signal.SIGINT:
            print(self._farewell, file=sys.stderr, flush=True)  # noqa: T201 - nothing is shown any more
        os._exit(128 + number)

    def _stopped(self) -> None:
        """Stop, as Ctrl-Z asks, and leave the terminal to the shell until this is continued."""
        if self._stage is not None:
            self._stage.leave()
        loop = asyncio.get_running_loop()
        loop.remove_signal_handler(signal.SIGTSTP)
        os.kill(os.getpid(), signal.SIGTSTP)
        loop.add_signal_handler(signal.SIGTSTP, self._stopped)
        if self._stage is not None:
            self._stage.back()


async def _state(link: Link, run: str, *, is_live: bool) -> RunState:
    """Give the state of a run as it is now; one that has just begun is waited for."""
    while (await journal.last_commit_id(link, run))[1] == 0:
        if not is_live:
            raise NoJournalError(f"run {run} has no journal here")
        await asyncio.sleep(FIRST_LOOK_S)
    return fold([event async for commit in journal.read(link, run) for event in commit])
