"""From the loop to whoever shows the run: events and output in one order, shown by a thread, so that a slow terminal never holds up the engine.

Output waits when too much is unshown (`room`), as a pipe would; events never do. The thread is woken at most every `PAUSE_S` unless much has come: two
threads that wake each other for every event take more time from the loop than showing does.
"""

import asyncio
import contextlib
import queue
import threading
from collections.abc import Callable, Sequence
from operator import methodcaller

from dagnats.core.events import AnyEvent, CancelledBy, CancelRequested
from dagnats.report.early import Early
from dagnats.report.reporter import Item, Note, Output, Reporter

UNSHOWN_MAX_BYTES = 4 << 20
PAUSE_S = 0.01
AT_ONCE_BYTES = 256 << 10


class Feed:
    """Hands everything to the reporters, in order, from a thread of its own. What has happened `before` the run goes on they are told first."""

    def __init__(self, reporters: Sequence[Reporter], before: Sequence[AnyEvent] = ()) -> None:
        self._reporters = list(reporters)
        self._batches: queue.SimpleQueue[list[Item] | None] = queue.SimpleQueue()
        self._batch: list[Item] = []
        self._batch_bytes = 0
        self._handed_over_at = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._early = Early()
        self._seq = before[-1].seq if before else 0
        self._unshown = 0
        self._is_hurried = False
        self._lock = threading.Lock()
        self._loop = asyncio.get_running_loop()
        self._room = asyncio.Event()
        self._room.set()
        self._closed = asyncio.Event()
        self.broken: Exception | None = None
        self._thread = threading.Thread(target=self._show, name="report", daemon=True)
        for reporter in reporters if before else ():
            reporter.before(before)
        self._thread.start()

    def events(self, events: Sequence[AnyEvent]) -> None:
        """Show the events of a commit; what an attempt printed before them comes after them, but before its end."""
        for item in self._early.events(events):
            self._put(item)
        self._seq = events[-1].seq
        for event in events:
            if isinstance(event, CancelRequested) and event.by is CancelledBy.USER:
                self.hurry()

    def output(self, step: str, attempt: int, stream: str, chunk: bytes) -> int:
        """Show a chunk of output; gives the number of the last event that was taken before it."""
        with self._lock:
            self._unshown += len(chunk)
            if self._unshown > UNSHOWN_MAX_BYTES and not self._is_hurried:
                self._room.clear()
        item = Output(step, attempt, stream, chunk)
        if self._early.output(item):
            self._put(item, len(chunk))
        return self._seq

    def note(self, text: str) -> int:
        """Show a word of the program's own; gives what `output` gives."""
        self._put(Note(text))
        return self._seq

    def _put(self, item: Item, size: int = 0) -> None:
        self._batch.append(item)
        self._batch_bytes += size
        if self._batch_bytes > AT_ONCE_BYTES:
            self._hand_over()
        elif self._timer is None:
            due = self._handed_over_at + PAUSE_S
            if self._loop.time() < due:
                self._timer = self._loop.call_at(due, self._hand_over)
            else:
                self._hand_over()

    def _hand_over(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        batch, self._batch, self._batch_bytes = self._batch, [], 0
        self._handed_over_at = self._loop.time()
        self._batches.put(batch)

    def hurry(self) -> None:
        """The run is being cancelled: nothing waits any more for a reader that does not read."""
        self._is_hurried = True
        self._room.set()
        for reporter in list(self._reporters):
            reporter.hurry()

    def leave(self) -> None:
        """Leave the terminal as it was found: the program ends at once, or stops until `back`."""
        for reporter in list(self._reporters):
            reporter.leave()

    def back(self) -> None:
        """Take the terminal again."""
        for reporter in list(self._reporters):
            reporter.back()

    async def room(self) -> None:
        """Wait while too much is unshown."""
        await self._room.wait()

    async def close(self) -> None:
        """Show what is left, and end. A second call does nothing."""
        if not self._closed.is_set():
            self._batch += self._early.rest()
            self._hand_over()
            self._batches.put(None)
        await self._closed.wait()

    def _show(self) -> None:
        while (batch := self._next()) is not None:
            for item in batch:
                self._tell(methodcaller("take", item))
                if isinstance(item, Output):
                    self._shown(len(item.data))
            if self._batches.empty():
                self._tell(methodcaller("flush"))
        self._tell(methodcaller("close"))
        self._loop.call_soon_threadsafe(self._closed.set)

    def _next(self) -> list[Item] | None:
        """Wait for what comes next; whoever wants to hear that time passes hears it meanwhile."""
        while True:
            ticks_s = [reporter.tick_s for reporter in self._reporters if reporter.tick_s is not None]
            try:
                return self._batches.get(timeout=min(ticks_s, default=None))
            except queue.Empty:
                self._tell(methodcaller("tick"))

    def _tell(self, say: Callable[[Reporter], None]) -> None:
        """Whatever breaks a reporter (a reader that went away, a full disk) ends the showing, not the run."""
        for reporter in list(self._reporters):
            try:
                say(reporter)
            except Exception as error:  # noqa: BLE001 - the thread must live, or the run would wait for it for ever
                self._reporters.remove(reporter)
                with contextlib.suppress(Exception):
                    reporter.leave()
                self.broken = self.broken or error

    def _shown(self, size: int) -> None:
        with self._lock:
            full = self._unshown > UNSHOWN_MAX_BYTES // 2
            self._unshown -= size
            if full and self._unshown <= UNSHOWN_MAX_BYTES // 2:
                self._loop.call_soon_threadsafe(self._room.set)
