"""Where reporters write: stdout for data, stderr for what the program says itself, both by one thread, in the order of what happened.

One of them may be closed, full, or read by nobody any more: then the other goes on.
"""

import contextlib
import os
import select
import stat
import time

HELD_MAX_BYTES = 256 << 10
PIPE_WRITE_BYTES = 4096  # a pipe that is writable takes so much without making its writer wait
POLL_S = 0.1
FULL_S = 0.01
HURRY_S = 1.0  # so long has a reader to go on, once the run is being cancelled


def write_all(descriptor: int, data: bytes) -> None:
    """Write to the end; raises OSError when the reader is gone."""
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]


class StalledError(OSError):
    """Nobody reads what is written."""

    def __init__(self) -> None:
        super().__init__("nobody reads the output; the rest of it was not shown")


def _opened_again(descriptor: int) -> int | None:
    """Open the terminal behind a descriptor once more, to write without waiting: on the descriptor itself that would hold for all who share it."""
    try:
        return os.open(os.ttyname(descriptor), os.O_WRONLY | os.O_NOCTTY | os.O_NONBLOCK)
    except OSError:
        return None  # no terminal, or one that is out of reach


class Console:
    """Collects what goes to stdout and stderr, and keeps their order."""

    def __init__(self, stdout: int = 1, stderr: int = 2) -> None:
        self._stdout = stdout
        self._stderr = stderr
        self._held: list[bytes] = []
        self._size = 0
        self._to = stdout
        self._gone: dict[int, OSError] = {}
        self._give_up_at: float | None = None
        self._terminals: dict[int, int | None] = {}

    def out(self, data: bytes) -> None:
        """Write data."""
        self._put(self._stdout, data)

    def say(self, text: str) -> None:
        """Write a line of the program's own."""
        self._put(self._stderr, text.encode("utf-8", "replace") + b"\n")

    def hurry(self) -> None:
        """Wait no longer for a reader that does not read. May be called from another thread."""
        self._give_up_at = time.monotonic() + HURRY_S

    def _put(self, descriptor: int, data: bytes) -> None:
        if descriptor != self._to or self._size > HELD_MAX_BYTES:
            self.flush()
            self._to = descriptor
        self._held.append(data)
        self._size += len(data)

    @property
    def is_gone(self) -> bool:
        """Whether whoever read stdout has left, or it can not be written for another reason."""
        poll = select.poll()
        poll.register(self._stdout, 0)
        return self._stdout in self._gone or any(found & select.POLLERR for _, found in poll.poll(0))

    def flush(self) -> None:
        """Write what is held; what can not be written is dropped, and `close` tells of it."""
        held, self._held, self._size = self._held, [], 0
        if held and self._to not in self._gone:
            try:
                self._write(self._to, b"".join(held))
            except OSError as error:
                self._gone[self._to] = error

    def at_once(self, data: bytes) -> None:
        """Write a few bytes to stdout, now or never. May be called from another thread."""
        poll = select.poll()
        poll.register(self._stdout, select.POLLOUT)
        if poll.poll(0):
            with contextlib.suppress(OSError):
                os.write(self._terminal(self._stdout), data)

    def close(self) -> None:
        """Write what is held. Raises OSError when not all data could be written, unless its reader has left, as `head` does, or was given up."""
        self.flush()
        error = self._gone.get(self._stdout)
        if isinstance(error, StalledError):
            self.say(f"dagnats: {error}")
            self.flush()
        elif error is not None and not isinstance(error, BrokenPipeError):
            raise error

    def _write(self, descriptor: int, data: bytes) -> None:
        mode = os.fstat(descriptor).st_mode
        if not (stat.S_ISFIFO(mode) or stat.S_ISCHR(mode) or stat.S_ISSOCK(mode)):
            write_all(descriptor, data)
            return
        target = self._terminal(descriptor) if stat.S_ISCHR(mode) else descriptor
        poll = select.poll()
        poll.register(target, select.POLLOUT)
        view = memoryview(data)
        while view:
            while not poll.poll(POLL_S * 1000):
                self._check_patience()
            try:
                view = view[os.write(target, view[:PIPE_WRITE_BYTES]) :]
            except BlockingIOError:  # a terminal may have room, and not for a newline, which it makes two characters of
                self._check_patience()
                time.sleep(FULL_S)

    def _terminal(self, descriptor: int) -> int:
        """Give a descriptor of a terminal that never makes its writer wait: somebody may stop it, with Ctrl-S, while something is written."""
        if descriptor not in self._terminals:
            self._terminals[descriptor] = _opened_again(descriptor)
        again = self._terminals[descriptor]
        return descriptor if again is None else again

    def _check_patience(self) -> None:
        if self._give_up_at is not None and time.monotonic() > self._give_up_at:
            raise StalledError
