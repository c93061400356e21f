"""What steps print, in chunks with their offset, in the stream `OUTPUT`."""

import asyncio

from dagnats.bus.link import Link, RefusedError, checked
from dagnats.core.text import token

UNACKNOWLEDGED_MAX_BYTES = 8 << 20  # then a step's output waits, and with it the step


def subject_of(run: str, step: str, attempt: int) -> str:
    """Give the subject of what an attempt prints."""
    return f"output.{run}.{token(step)}.{attempt}"


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

    async def write(self, subject: str, stream: str, offset: int, chunk: bytes) -> None:
        """Publish a chunk of an attempt's subject; `offset` counts the bytes of both streams of the attempt before it."""
        await self._room.wait()
        self._unacknowledged += len(chunk)
        if self._unacknowledged > UNACKNOWLEDGED_MAX_BYTES:
            self._room.clear()
        size = len(chunk)
        self._on_the_way[subject] = self._on_the_way.get(subject, 0) + size
        headers = {"Stream": stream, "Offset": str(offset)}
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
