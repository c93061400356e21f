"""What steps print, in chunks with their offset, in the stream `OUTPUT`."""

import asyncio

from dagnats.bus.link import Link, RefusedError, checked

UNACKNOWLEDGED_MAX_BYTES = 8 << 20  # then a step's output waits, and with it the step


def subject_of(run: str, step: str, attempt: int) -> str:
    """Give the subject of what an attempt prints."""
    return f"output.{run}.{step}.{attempt}"


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
        self._waiting: set[asyncio.Future[bytes]] = set()

    async def write(self, subject: str, stream: str, offset: int, chunk: bytes) -> None:
        """Publish a chunk of an attempt's subject; `offset` counts the bytes of both streams of the attempt before it."""
        await self._room.wait()
        self._unacknowledged += len(chunk)
        if self._unacknowledged > UNACKNOWLEDGED_MAX_BYTES:
            self._room.clear()
        answer = await self._link.request(subject, chunk, {"Stream": stream, "Offset": str(offset)})
        self._waiting.add(answer)
        answer.add_done_callback(lambda done: self._answered(subject, len(chunk), done))

    def _answered(self, subject: str, size: int, answer: asyncio.Future[bytes]) -> None:
        self._unacknowledged -= size
        self._waiting.discard(answer)
        if self._unacknowledged <= UNACKNOWLEDGED_MAX_BYTES // 2:
            self._room.set()
        if answer.cancelled():
            return
        try:
            checked(answer.result())
        except RefusedError:
            self._dropped[subject] = self._dropped.get(subject, 0) + size

    async def settled(self) -> None:
        """Wait until all that was written up to now is stored or refused."""
        if self._waiting:
            await asyncio.wait(self._waiting)

    def dropped(self, subject: str) -> int:
        """Give how many bytes of the attempt were refused, and forget it."""
        return self._dropped.pop(subject, 0)
