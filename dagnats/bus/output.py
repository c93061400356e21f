"""What steps print, in chunks with their offset, in the stream `OUTPUT`."""

import asyncio
from collections import deque
from collections.abc import Mapping

from msgspec import Struct, field

from dagnats.bus.link import Link, Message, RefusedError, checked
from dagnats.bus.reading import NO_MESSAGE, messages, position
from dagnats.core.text import token

AT_ONCE_MAX_BYTES = 32 << 20  # of a run; up to here all of it is read in one pass
NOTE = "note"
FIRST_WINDOW = 64  # messages of the stream that are looked through for the end of one attempt's output
UNACKNOWLEDGED_MAX_BYTES = 8 << 20  # then a step's output waits, and with it the step


def subject_of(run: str, step: str, attempt: int) -> str:
    """Give the subject of what an attempt prints."""
    return f"output.{run}.{token(step)}.{attempt}"


def store_note(link: Link, run: str, text: str, after: int) -> None:
    """Keep a word of the program's own among what steps print; `after` is that of `OutputStream.write`."""
    link.request(note_subject(run), text.encode("utf-8", "replace"), {"After": str(after)}, lambda _: None)


def note_subject(run: str) -> str:
    """Give the subject of the program's own words, which is no attempt's: those have a number more."""
    return f"output.{run}.{NOTE}"


class Chunk(Struct, frozen=True):
    """A chunk as it is stored. `place` names the attempt within its run, as the subject does, and is "note" for a word of the program's own.

    `after` is the number of the last event that was shown before it, or None where nobody in the runner's process has shown it.
    """

    place: str
    stream: str
    offset: int
    data: bytes
    after: int | None
    at_ns: int


def chunk_of(message: Message) -> Chunk:
    """Read a chunk back."""
    headers = message.headers or {}
    after = headers.get("After")
    return Chunk(
        place=message.subject.split(".", 2)[2],
        stream=headers.get("Stream", "out"),
        offset=int(headers.get("Offset", "0")),
        data=message.data,
        after=int(after) if after is not None else None,
        at_ns=position(message).at_ns,
    )


def place_of(step: str, attempt: int) -> str:
    """Name an attempt as `Chunk.place` does."""
    return f"{token(step)}.{attempt}"


def step_subject(step: str) -> str:
    """Name all attempts of a step, behind `output.<run>.`."""
    return f"{token(step)}.*"


class OutputStream:
    """The writing end for all attempts of one worker.

    A chunk that the stream refuses because it is full is dropped; `dropped` says how many bytes of an attempt that were.
    """

    def __init__(self, link: Link) -> None:
        self._link = link
        self._unacknowledged = 0
        self._room = asyncio.Event()
        self._room.set()
        self._dropped: dict[str, int] = {}
        self._on_the_way: dict[str, int] = {}
        self._waiting: dict[str, asyncio.Future[None]] = {}

    async def room(self) -> None:
        """Wait while too much is on its way."""
        await self._room.wait()

    def write(self, subject: str, stream: str, offset: int, chunk: bytes, after: int | None = None) -> None:
        """Publish a chunk of an attempt's subject; `offset` counts the bytes of both streams of the attempt before it.

        `after` is the number of the last event that was shown before the chunk, where it is shown too.
        """
        self._unacknowledged += len(chunk)
        if self._unacknowledged > UNACKNOWLEDGED_MAX_BYTES:
            self._room.clear()
        size = len(chunk)
        self._on_the_way[subject] = self._on_the_way.get(subject, 0) + size
        headers = {"Stream": stream, "Offset": str(offset)} | ({} if after is None else {"After": str(after)})
        self._link.request(subject, chunk, headers, lambda answer: self._answered(subject, size, answer))

    def _answered(self, subject: str, size: int, answer: bytes) -> None:
        self._unacknowledged -= size
        if self._unacknowledged <= UNACKNOWLEDGED_MAX_BYTES // 2:
            self._room.set()
        try:
            checked(answer)
        except RefusedError:
            self._dropped[subject] = self._dropped.get(subject, 0) + size
        self._on_the_way[subject] -= size
        if self._on_the_way[subject] == 0:
            del self._on_the_way[subject]
            if (waiting := self._waiting.pop(subject, None)) is not None and not waiting.done():
                waiting.set_result(None)

    async def settled(self, subject: str) -> None:
        """Wait until all that the attempt wrote is stored or refused."""
        if subject in self._on_the_way:
            waiting = self._waiting[subject] = asyncio.get_running_loop().create_future()
            await waiting

    def dropped(self, subject: str) -> int:
        """Give how many bytes of the attempt were refused, and forget it."""
        return self._dropped.pop(subject, 0)


class _Tail(Struct):
    """The last chunks of an attempt, at least as many bytes as are wanted, if there are so many."""

    wanted: int
    chunks: deque[bytes] = field(default_factory=deque)
    size: int = 0

    def add(self, chunk: bytes) -> None:
        self.chunks.append(chunk)
        self.size += len(chunk)
        while self.chunks and self.size - len(self.chunks[0]) >= self.wanted:
            self.size -= len(self.chunks.popleft())

    def data(self) -> bytes:
        return b"".join(self.chunks)[-self.wanted :] if self.wanted else b""


async def read_tails(
    link: Link, run: str, wanted: Mapping[tuple[str, int], int], kept: int
) -> dict[tuple[str, int], bytes]:
    """Give the end of what attempts printed, of each (step, attempt) at most so many bytes; `kept` says how many the whole run has kept.

    Raises EngineError when it can not be read.
    """
    subjects = {subject_of(run, *owner): owner for owner in wanted}
    if kept <= AT_ONCE_MAX_BYTES and len(subjects) > 1:
        tails = {subject: _Tail(wanted[owner]) for subject, owner in subjects.items()}
        async for message in messages(link, "OUTPUT", f"output.{run}.>"):
            if (tail := tails.get(message.subject)) is not None:
                tail.add(message.data)
        return {owner: tails[subject].data() for subject, owner in subjects.items()}
    return {owner: await _read_tail(link, subject, wanted[owner]) for subject, owner in subjects.items()}


async def _read_tail(link: Link, subject: str, wanted: int) -> bytes:
    """Read the end of one subject without reading all of it: look from ever further back until there is enough."""
    try:
        last = await link.call("$JS.API.STREAM.MSG.GET.OUTPUT", {"last_by_subj": subject})
    except RefusedError as error:
        if error.code == NO_MESSAGE:
            return b""
        raise
    sequence, window = int(last["message"]["seq"]), FIRST_WINDOW
    while True:
        start, tail = max(1, sequence - window), _Tail(wanted)
        async for message in messages(link, "OUTPUT", subject, start=start):
            tail.add(message.data)
        if tail.size >= wanted or start == 1:
            return tail.data()
        window *= 8
