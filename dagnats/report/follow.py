"""Reads a run from its store in the order in which it showed itself, from its beginning, and on as long as it goes on."""

import asyncio
from collections import deque
from collections.abc import Iterator

from msgspec import Struct

from dagnats.bus.asks import SHOWN, ask
from dagnats.bus.link import Link
from dagnats.bus.output import NOTE, Chunk, chunk_of, place_of
from dagnats.bus.reading import SILENT_S, Cursor, position
from dagnats.core import codec
from dagnats.core.events import AnyEvent, StepFailed, StepScheduled, StepSucceeded
from dagnats.errors import EngineError, JournalError
from dagnats.report.merge import Commit, Merge, Once
from dagnats.report.projection import Projection
from dagnats.report.reporter import Events, Item, Note, Output

WAITING_MAX_BYTES = 32 << 20  # then reading waits for showing
EVENT_BYTES = 500  # about
ENGINE_SILENT_S = 1.0  # so long the engine is waited for that shall say what it has shown
AGAIN_S = 0.01
ALL = ">"
_NO_END = 1 << 62


class Shown(Struct, frozen=True):
    """What is to be shown, and when it was stored, in unix seconds."""

    item: Item
    at: float


class Following:
    """One run, read over one connection after the other; what was read waits in `ready` for whoever shows it.

    `subject` narrows what is read of the output, behind `output.<run>.`; None leaves it out. `is_over` says that all was read, the end of the run too.
    """

    def __init__(self, run: str, subject: str | None = ALL) -> None:
        self._run = run
        self._subject = subject
        self.end: tuple[int, str] | None = None  # of the journal, as noted outside of the store
        self._merge = Merge()
        self._once = Once()
        self._history_next, self._output_next = 1, 1
        self._commits, self._previous = 0, ""
        self._projection = Projection()
        self._steps: dict[str, tuple[str, int]] = {}  # attempts, by their places
        self._kept: dict[str, int] = {}  # bytes that came of each attempt
        self._owed: dict[str, int] = {}  # bytes that there must be of each attempt that has ended
        self._given = 0
        self._waiting_bytes = 0
        self._ready: deque[Shown] = deque()
        self._room = asyncio.Event()
        self._arrived = asyncio.Event()
        self.is_present = False  # all was ready that there was, once
        self.changed = asyncio.Event()  # something is ready
        self.is_read = False  # all that was asked for
        self.is_over = False

    @property
    def projection(self) -> Projection:
        """The state after what is ready, or was."""
        return self._projection

    def take(self, most_bytes: int) -> list[Shown]:
        """Give what is ready, about so many bytes of it."""
        taken: list[Shown] = []
        size = 0
        while self._ready and size < most_bytes:
            taken.append(self._ready.popleft())
            size += _size(taken[-1].item)
        self._waiting_bytes -= size
        if self._waiting_bytes <= WAITING_MAX_BYTES // 2:
            self._room.set()
        return taken

    async def read(self, link: Link, *, goes_on: bool) -> None:
        """Read on where the last call ended: to the end of the run if it `goes_on`, else all that is there. May be cancelled, and called again."""
        history = Cursor(
            link, "HISTORY", f"history.{self._run}", self._arrived, start=self._history_next, bounded=not goes_on
        )
        # the output first: what it refers to is then in the history
        output = (
            Cursor(
                link,
                "OUTPUT",
                f"output.{self._run}.{self._subject}",
                self._arrived,
                start=self._output_next,
                bounded=not goes_on,
            )
            if self._subject is not None
            else None
        )
        if output is None:
            self._merge.certain = _NO_END
        try:
            for cursor in (output, history):
                if cursor is not None:
                    await cursor.open()
            await self._read(link, history, output, goes_on=goes_on)
        finally:
            self._merge.all_commits, self._merge.all_chunks = False, False
            for cursor in (output, history):
                if cursor is not None:
                    await cursor.close()

    async def _read(self, link: Link, history: Cursor, output: Cursor | None, *, goes_on: bool) -> None:
        while True:
            self._give()
            if goes_on and self._finished:
                break
            await self._have_room()
            self._arrived.clear()
            if await self._take(link, history, output):
                continue
            if not goes_on:
                self._merge.all_commits = await history.is_drained()
                self._merge.all_chunks = output is None or await output.is_drained()
                if self._give():
                    continue
                if self._merge.all_commits and self._merge.all_chunks:
                    self._set_present()
                    break
                await self._wait(SILENT_S, is_needed=True)
            elif output is None or not self._merge.uncertain or not await output.is_drained():
                if not self.is_present and await history.is_drained() and (output is None or await output.is_drained()):
                    self._set_present()
                await self._wait(None)
            else:
                await self._ask(link, output)
        self._check(is_whole=not goes_on)
        self.is_read, self.is_over = True, self._finished

    def _set_present(self) -> None:
        self.is_present = True
        self.changed.set()

    async def _take(self, link: Link, history: Cursor, output: Cursor | None) -> bool:
        """Take what is needed to know what comes next; false when it has not come yet."""
        if self._merge.needs_commits and (message := await history.take()) is not None:
            whole = await link.whole(message.data)
            events = codec.decode_commit(whole, self._run, self._previous, self._commits + 1)
            at = position(message)
            self._previous = codec.commit_hash(whole)
            self._commits += 1
            self._history_next = at.sequence + 1
            self._merge.add(Commit(events, at.at_ns))
            return True
        if output is not None and self._merge.needs_chunks and (message := await output.take()) is not None:
            chunk = chunk_of(message)
            self._output_next = position(message).sequence + 1
            if chunk.place == NOTE or self._once.is_new(chunk):
                self._merge.add(chunk)
            return True
        return False

    async def _ask(self, link: Link, output: Cursor) -> None:
        """Have the engine say how far it is: what it had shown before that is stored by then."""
        try:
            shown = int((await ask(link, self._run, SHOWN, ENGINE_SILENT_S))["seq"])
        except EngineError:
            shown = self._merge.uncertain  # it is stopped, or has no time: what it has stored is shown all the same
        if await output.is_drained():
            self._merge.certain = max(self._merge.certain, shown)
        if self._merge.certain < self._merge.uncertain:
            await self._wait(AGAIN_S)

    async def _wait(self, limit_s: float | None, *, is_needed: bool = False) -> None:
        try:
            await asyncio.wait_for(self._arrived.wait(), limit_s)
        except TimeoutError:
            if is_needed:
                raise EngineError(f"run {self._run} could not be read: nats-server does not answer") from None

    async def _have_room(self) -> None:
        if self._waiting_bytes > WAITING_MAX_BYTES:
            self._room.clear()
            await self._room.wait()

    def _give(self) -> bool:
        """Have ready what is known to come next; false when that is nothing."""
        before = self._given
        while (found := self._merge.next()) is not None:
            for item in self._items(found):
                self._waiting_bytes += _size(item)
                self._ready.append(Shown(item, found.at_ns / 1e9))
            self._given += 1
            self.changed.set()
        return self._given > before

    def _items(self, found: Commit | Chunk) -> Iterator[Item]:
        if isinstance(found, Commit):
            for event in found.events:
                self._apply(event)
            yield Events(found.events)
        elif found.place == NOTE:
            yield Note(found.data.decode("utf-8", "replace"))
        else:
            step, attempt = self._steps.get(found.place) or (found.place.rpartition(".")[0], 1)
            self._kept[found.place] = self._kept.get(found.place, 0) + len(found.data)
            yield Output(step, attempt, found.stream, found.data)

    def _apply(self, event: AnyEvent) -> None:
        self._projection.apply(event)
        if isinstance(event, StepScheduled):
            self._steps[place_of(event.step, event.attempt)] = event.step, event.attempt
        elif isinstance(event, StepSucceeded | StepFailed) and event.attempt > 0:
            self._owed[place_of(event.step, event.attempt)] = event.output_bytes - event.dropped_bytes

    @property
    def _finished(self) -> bool:
        state = self._projection.state
        return state is not None and state.finished is not None

    def _check(self, *, is_whole: bool) -> None:
        """Raise JournalError when something is missing of a run that is over."""
        if not is_whole or not self._finished:
            return
        if self.end is not None and (self._commits, self._previous) != self.end:
            raise JournalError(
                f"the journal of run {self._run} is damaged: it has {self._commits} commits that can be read, and had {self.end[0]}"
            )
        for place, size in self._owed.items() if self._subject == ALL else ():
            if self._kept.get(place, 0) < size:
                step, attempt = self._steps.get(place, (place, 0))
                raise JournalError(
                    f"the store of run {self._run} is damaged: a part of what {step} printed in attempt {attempt} is missing"
                )


def _size(item: Item) -> int:
    match item:
        case Events(events):
            return EVENT_BYTES * len(events)
        case Output(_, _, _, data):
            return len(data)
        case Note(text):
            return len(text)
