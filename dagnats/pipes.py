"""Reads what processes print: chunks as they come, a bounded wait for the rest, and whole outputs of short commands."""

import asyncio
import contextlib
import fcntl
import os
import signal
from collections.abc import Callable, Mapping, Sequence

from msgspec import Struct

from dagnats.process import Exit, Guardian, Ladder, Process

PIPE_BYTES = 1024 * 1024
HELD_S = 2.0  # at most so long after the end of a process its pipes are read
IDLE_S = 0.25  # and only so long without a byte
FIRST_LOOK_S = 0.005  # what ends sooner is read once, at its end
_READ_BYTES = 256 * 1024
_FIRST_READ_BYTES = 32 * 1024
_QUICK: Ladder = ((signal.SIGTERM, 1.0), (signal.SIGKILL, 0.0))


class Stream:
    """The reading end of a pipe, read as the bytes come: `on_bytes` gets every chunk, `eof` is done when there are no more."""

    def __init__(self, fd: int, on_bytes: Callable[[bytes], None]) -> None:
        self._loop = asyncio.get_running_loop()
        self._on_bytes = on_bytes
        self._fd = fd
        os.set_blocking(self._fd, False)
        self._size = _FIRST_READ_BYTES
        self.last_at = self._loop.time()
        self.is_paused = False
        self._is_watched = False
        self.eof: asyncio.Future[None] = self._loop.create_future()
        self._beginning = self._loop.call_later(FIRST_LOOK_S, self._begin)

    def pause(self) -> None:
        """Read no more for now: the process will block once the pipe is full."""
        if not self.is_paused and not self.eof.done():
            self.is_paused = True
            if self._is_watched:
                self._loop.remove_reader(self._fd)

    def resume(self) -> None:
        """Read on."""
        if self.is_paused and not self.eof.done():
            self.is_paused = False
            if self._is_watched:
                self._loop.add_reader(self._fd, self._on_readable)

    def take(self) -> None:
        """Read what is in the pipe now, paused or not, and no more than it can hold."""
        left = PIPE_BYTES
        while left > 0 and not self.eof.done() and (count := self._read()):
            left -= count

    def close(self) -> None:
        """Read no more. Whoever still writes gets an error."""
        if not self.eof.done():
            if self._is_watched:
                self._loop.remove_reader(self._fd)
            self._beginning.cancel()
            os.close(self._fd)
            self.eof.set_result(None)

    def _begin(self) -> None:
        if not self.eof.done():
            self._is_watched = True
            if not self.is_paused:
                self._loop.add_reader(self._fd, self._on_readable)

    def _on_readable(self) -> None:
        self._read()

    def _read(self) -> int:
        try:
            data = os.read(self._fd, self._size)
        except BlockingIOError:
            return 0
        if not data:
            self.close()
            return 0
        if len(data) == self._size:
            if self._size == _FIRST_READ_BYTES:
                _enlarge(self._fd)
            self._size = _READ_BYTES  # a talkative one; for others the smaller buffers are cheaper
        self.last_at = self._loop.time()
        self._on_bytes(data)
        return len(data)


def _enlarge(fd: int) -> None:
    """Let the pipe hold more, so that a process runs on while the loop is busy. Linux only, and only within a user's limit."""
    if hasattr(fcntl, "F_SETPIPE_SZ"):
        with contextlib.suppress(PermissionError):
            fcntl.fcntl(fd, fcntl.F_SETPIPE_SZ, PIPE_BYTES)


async def drain(process: Process, streams: Sequence[Stream]) -> bool:
    """After the end of a process, read the rest; true if something else still held its output when the wait was over.

    All that the process itself wrote is read in any case. The streams are closed then.
    """
    loop = asyncio.get_running_loop()
    ended_at = loop.time() if process.ended_at is None else process.ended_at
    for stream in streams:
        stream.take()
    while held := [stream for stream in streams if not stream.eof.done()]:
        idle_since = max(ended_at, *(stream.last_at for stream in held))
        deadline = ended_at + HELD_S
        if not any(stream.is_paused for stream in held):
            deadline = min(deadline, idle_since + IDLE_S)
        if loop.time() >= deadline:
            break
        await asyncio.wait([stream.eof for stream in held], timeout=deadline - loop.time())
    for stream in held:
        stream.take()
        stream.close()
    return bool(held)


class Captured(Struct, frozen=True):
    """What a command left: how it ended, what it printed, and whether more was printed than is kept."""

    exit: Exit
    stdout: bytes
    stderr: bytes
    is_truncated: bool = False
    timed_out: bool = False


class _Buffer:
    """Keeps the first bytes."""

    def __init__(self, limit_bytes: int) -> None:
        self._limit_bytes = limit_bytes
        self.data = bytearray()
        self.is_truncated = False

    def add(self, chunk: bytes) -> None:
        room = self._limit_bytes - len(self.data)
        self.data += chunk[:room]
        self.is_truncated |= len(chunk) > room


async def capture(
    guardian: Guardian,
    argv: Sequence[str],
    *,
    cwd: str | os.PathLike[str],
    env: Mapping[str, str] | None = None,
    timeout_s: float | None = None,
    limit_bytes: int = PIPE_BYTES,
    client: bool = False,
) -> Captured:
    """Run a command to its end, and keep the first `limit_bytes` of each output. Nothing is left of it afterwards, but what a `client` had made by others."""
    buffers = _Buffer(limit_bytes), _Buffer(limit_bytes)
    pipes = [os.pipe() for _ in buffers]
    streams = [Stream(pipe[0], buffer.add) for pipe, buffer in zip(pipes, buffers, strict=True)]
    process = None
    timed_out = False
    try:
        process = guardian.spawn(argv, cwd=cwd, env=env, stdout=pipes[0][1], stderr=pipes[1][1], client=client)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout_s) as limit:
                await process.wait()
        timed_out = limit.expired()
        if timed_out:
            process.stop(_QUICK)
        end = await process.wait()
        await drain(process, streams)
        await process.finish()
    except asyncio.CancelledError:
        if process is not None:
            process.kill()
            await process.finish()
        raise
    finally:
        for stream in streams:
            stream.close()
    first, second = buffers
    truncated = first.is_truncated or second.is_truncated
    return Captured(end, bytes(first.data), bytes(second.data), is_truncated=truncated, timed_out=timed_out)
