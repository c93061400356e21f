"""From the loop to whoever shows the run: events and output in one order, shown by a thread, so that a slow terminal never holds up the engine.

Output waits when too much is unshown (`room`), as a pipe would; events never do.
"""

import asyncio
import queue
import threading
from collections.abc import Sequence
from typing import Protocol

from dagnats.core.events import AnyEvent

UNSHOWN_MAX_BYTES = 4 << 20


class Reporter(Protocol):
    """Shows a run; called from one thread, in the order of what happened."""

    def events(self, events: Sequence[AnyEvent]) -> None:
        """Take stored events."""

    def output(self, step: str, attempt: int, stream: str, chunk: bytes) -> None:
        """Take what a step printed."""

    def note(self, text: str) -> None:
        """Take a word of the program's own."""

    def flush(self) -> None:
        """Write out what is ready: nothing more is waiting right now."""

    def close(self) -> None:
        """The run is over."""


class Feed:
    """Hands everything to the reporters, in order, from a thread of its own."""

    def __init__(self, reporters: Sequence[Reporter]) -> None:
        self._reporters = list(reporters)
        self._items: queue.SimpleQueue[tuple[object, ...] | None] = queue.SimpleQueue()
        self._unshown = 0
        self._lock = threading.Lock()
        self._loop = asyncio.get_running_loop()
        self._room = asyncio.Event()
        self._room.set()
        self._closed = asyncio.Event()
        self.broken: Exception | None = None
        self._thread = threading.Thread(target=self._show, name="report", daemon=True)
        self._thread.start()

    def events(self, events: Sequence[AnyEvent]) -> None:
        """Show the events of a commit."""
        self._items.put(("events", events))

    def output(self, step: str, attempt: int, stream: str, chunk: bytes) -> None:
        """Show a chunk of output."""
        with self._lock:
            self._unshown += len(chunk)
            if self._unshown > UNSHOWN_MAX_BYTES:
                self._room.clear()
        self._items.put(("output", step, attempt, stream, chunk))

    def note(self, text: str) -> None:
        """Show a word of the program's own."""
        self._items.put(("note", text))

    async def room(self) -> None:
        """Wait while too much is unshown."""
        await self._room.wait()

    async def close(self) -> None:
        """Show what is left, and end. A second call does nothing."""
        if not self._closed.is_set():
            self._items.put(None)
        await self._closed.wait()

    def _show(self) -> None:
        while (item := self._items.get()) is not None:
            kind, *facts = item
            self._tell(str(kind), *facts)
            if kind == "output":
                self._shown(len(facts[3]))  # type: ignore[arg-type]
            if self._items.empty():
                self._tell("flush")
        self._tell("close")
        self._loop.call_soon_threadsafe(self._closed.set)

    def _tell(self, what: str, *facts: object) -> None:
        """Whatever breaks a reporter (a reader that went away, a full disk) ends the showing, not the run."""
        for reporter in list(self._reporters):
            try:
                getattr(reporter, what)(*facts)
            except BrokenPipeError:
                self._reporters.remove(reporter)
            except Exception as error:  # noqa: BLE001 - the thread must live, or the run would wait for it for ever
                self._reporters.remove(reporter)
                self.broken = self.broken or error

    def _shown(self, size: int) -> None:
        with self._lock:
            full = self._unshown > UNSHOWN_MAX_BYTES // 2
            self._unshown -= size
            if full and self._unshown <= UNSHOWN_MAX_BYTES // 2:
                self._loop.call_soon_threadsafe(self._room.set)
