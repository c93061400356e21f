"""From a process's pipes to the stream and to whoever watches: collected into chunks, in order, and held back when a reader is slow."""

import asyncio
from collections import deque
from typing import TYPE_CHECKING, Protocol

from dagnats.bus.output import OutputStream, subject_of
from dagnats.bus.tasks import Task
from dagnats.workers.action import Pausable

if TYPE_CHECKING:
    from dagnats.workers.mask import MaskedStream, Masker

FLUSH_BYTES = 32 << 10
FLUSH_S = 0.05
CHUNK_MAX_BYTES = 128 << 10
HELD_MAX_BYTES = 1 << 20  # then the step's pipes are not read
WAIT_FOR_STORE_BYTES = 256 << 10


class Watcher(Protocol):
    """Somebody in this process who is shown the output as it comes."""

    def output(self, step: str, attempt: int, stream: str, chunk: bytes) -> int:
        """Take a chunk, and give the number of the last event that was taken before it; never waits."""

    async def room(self) -> None:
        """Wait while too much is unshown."""


class OutputSink:
    """The output of one attempt, without the secrets that its `masker` knows."""

    def __init__(
        self, task: Task, stream: OutputStream, watcher: Watcher | None, masker: "Masker | None" = None
    ) -> None:
        self._task = task
        self._masker = masker
        self._masked: dict[str, MaskedStream] = (
            {} if masker is None else {"out": masker.stream(), "err": masker.stream()}
        )
        self._stream = stream
        self._subject = subject_of(task.run, task.step, task.attempt)
        self._watcher = watcher
        self._loop = asyncio.get_running_loop()
        self._held: deque[tuple[str, bytes]] = deque()
        self._held_bytes = 0
        self._timer: asyncio.TimerHandle | None = None
        self._pump: asyncio.Task[None] | None = None
        self._sources: tuple[Pausable, ...] = ()
        self._paused = False
        self._last = self._loop.time()
        self.bytes = 0

    def put(self, stream: str, chunk: bytes) -> None:
        """Take bytes of "out" or "err"."""
        self._last = self._loop.time()
        if self._masked:
            chunk = self._masked[stream].feed(chunk)
        self._hold(stream, chunk)

    def hide(self, text: str, *, goes_on: bool = False) -> str:
        """Give a text without secrets, and without what may begin one at the end of a text that goes on."""
        if self._masker is None:
            return text
        if goes_on:
            return self._masker.stream().feed(text.encode("utf-8", "replace")).decode("utf-8", "ignore")
        return self._masker.text(text)

    def _hold(self, stream: str, chunk: bytes) -> None:
        if not chunk:
            return
        self._held.append((stream, chunk))
        self._held_bytes += len(chunk)
        if self._held_bytes >= FLUSH_BYTES:
            self._start_pump()
        elif self._timer is None:
            self._timer = self._loop.call_later(FLUSH_S, self._start_pump)
        if self._held_bytes > HELD_MAX_BYTES and not self._paused:
            self._paused = True
            for source in self._sources:
                source.pause()

    def throttles(self, *sources: Pausable) -> None:
        """Name the sources that are paused while a reader is slow."""
        self._sources = sources

    def silent_s(self) -> float:
        """How long nothing was put; while a reader is slow, that is not the step's silence."""
        return 0.0 if self._paused else self._loop.time() - self._last

    async def finish(self) -> int:
        """Pass on what is left, and give how many bytes of the attempt were not stored."""
        for name, masked in self._masked.items():
            self._hold(name, masked.end())
        if self._pump is not None:
            await self._pump
        await self._write_held()
        if self.bytes > WAIT_FOR_STORE_BYTES:
            await self._stream.settled(self._subject)
        return self._stream.dropped(self._subject)

    def _start_pump(self) -> None:
        if self._pump is None or self._pump.done():
            self._pump = self._loop.create_task(self._write_held())

    async def _write_held(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        while self._held:
            stream, chunk = self._next_chunk()
            after: int | None = None
            if self._watcher is not None:
                after = self._watcher.output(self._task.step, self._task.attempt, stream, chunk)
            offset, self.bytes = self.bytes, self.bytes + len(chunk)
            self._stream.write(self._subject, stream, offset, chunk, after)  # in the order in which chunks are shown
            if self._watcher is not None:
                await self._watcher.room()
            await self._stream.room()
            if self._paused and self._held_bytes <= HELD_MAX_BYTES // 2:
                self._paused = False
                self._last = self._loop.time()
                for source in self._sources:
                    source.resume()

    def _next_chunk(self) -> tuple[str, bytes]:
        """Take the longest run of one stream that fits into a chunk."""
        stream, chunk = self._held.popleft()
        parts, size = [chunk], len(chunk)
        while self._held and self._held[0][0] == stream and size + len(self._held[0][1]) <= CHUNK_MAX_BYTES:
            parts.append(self._held.popleft()[1])
            size += len(parts[-1])
        if size > CHUNK_MAX_BYTES:
            self._held.appendleft((stream, chunk[CHUNK_MAX_BYTES:]))
            parts, size = [chunk[:CHUNK_MAX_BYTES]], CHUNK_MAX_BYTES
        self._held_bytes -= size
        return stream, parts[0] if len(parts) == 1 else b"".join(parts)
