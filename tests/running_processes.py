"""What the tests of processes share: a guardian for one test, one command through it, and waiting for the end of strangers."""

import asyncio
import os
import select
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from dagnats.pipes import Stream, drain
from dagnats.process import Exit, Guardian, Process

BOUND_S = 30.0


def guarded(
    work: Callable[[Guardian], Awaitable[None]], *, base_env: dict[str, str] | None = None, within_s: float = BOUND_S
) -> None:
    """Run a test's coroutine with a guardian that is closed after it."""

    async def main() -> None:
        guardian = Guardian.start(base_env)
        guardian.attach(asyncio.get_running_loop())
        try:
            await asyncio.wait_for(work(guardian), within_s)
        finally:
            await guardian.close()

    asyncio.run(main())


class Running:
    """A process whose output is collected in one buffer; `line` waits for what it says."""

    def __init__(self, guardian: Guardian, argv: list[str], cwd: str = "/", **options) -> None:
        reader, writer = os.pipe()
        self.output = bytearray()
        self.changed = asyncio.Event()
        self.stream = Stream(reader, self._add)
        self.process: Process = guardian.spawn(argv, cwd=cwd, stdout=writer, stderr=writer, **options)

    def _add(self, chunk: bytes) -> None:
        self.output += chunk
        self.changed.set()

    async def lines(self, count: int) -> list[str]:
        """Wait for so many lines."""
        while self.output.count(b"\n") < count:
            assert not self.stream.eof.done(), bytes(self.output)
            self.changed.clear()
            await self.changed.wait()
        return self.output.decode().splitlines()[:count]

    async def end(self) -> "Ended":
        """Wait for the end, the rest of the output, and the end of all that is left."""
        began_at = time.monotonic()
        end = await self.process.wait()
        held = await drain(self.process, [self.stream])
        left = await self.process.finish()
        return Ended(end, bytes(self.output), held, left, time.monotonic() - began_at)


@dataclass(frozen=True)
class Ended:
    exit: Exit
    output: bytes
    held: bool
    left: int
    took_s: float


def gone(pid: int, within_s: float) -> bool:
    """Whether a process ends within a time."""
    try:
        fd = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        poll = select.poll()
        poll.register(fd, select.POLLIN)
        return bool(poll.poll(within_s * 1000))
    finally:
        os.close(fd)


def escape(shell_prefix: str, fifo: str) -> str:
    """A script that forks twice into a session of its own and goes on once the survivor has told its pid, which it prints."""
    return f"mkfifo {fifo}; ({shell_prefix} sh -c 'echo $$ > {fifo}; exec sleep 600 > /dev/null 2>&1' &); cat {fifo}"
