"""The only place that starts processes: the runner's side of the guardian, which is the parent of them all.

    guardian = Guardian.start()                         # cheap; processes can be spawned before an event loop runs
    process = guardian.spawn(["sh", "-c", "true"], cwd="/", stdout=writer, stderr=writer)
    guardian.attach(loop)                               # from here on, ends are reported
    end = await process.wait()                          # the main process's end, at once; its pipes may still be held
    left = await process.finish()                       # now nothing of it is left
    await guardian.close()                              # now nothing of any is left

Every process has a session of its own, no terminal, /dev/null for its stdin, and no descriptor but its three. asyncio is not
imported here, so that the first process can be started while it is. Pipes are read by `dagnats.pipes`.
"""

from __future__ import annotations

import _socket
import contextlib
import errno
import itertools
import os
import signal
import sys
import time
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from msgspec import Struct

from dagnats import proctree
from dagnats.command import SpawnError, encode_argv, encode_env, encode_string, spawn_error
from dagnats.errors import DagnatsError, EngineError
from dagnats.frames import Frames, frame

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Iterable, Mapping, Sequence
    from typing import Self

# Signals, and the seconds that each is given; KILL is repeated until nothing is left.
Ladder = tuple[tuple[int, float], ...]

DEFAULT_LADDER: Ladder = ((signal.SIGINT, 2.0), (signal.SIGTERM, 2.0), (signal.SIGKILL, 0.0))
KILL_LADDER: Ladder = ((signal.SIGKILL, 0.0),)
_CLOSE_S = 10.0
# What the interpreter itself may need, and the mark by which a guardian above this one knows its own.
_KEPT = ("LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "DYLD_FRAMEWORK_PATH", os.fsdecode(proctree.MARK))
_BOOT = (
    "import sys; sys.path.append(sys.argv[1]); from dagnats.guardian import main; main(int(sys.argv[2]), sys.argv[3])"
)

__all__ = ["DEFAULT_LADDER", "KILL_LADDER", "Exit", "Guardian", "GuardianDied", "Ladder", "Process", "SpawnError"]

T = TypeVar("T")


class GuardianDied(EngineError):  # noqa: N818  # it says what happened
    """The guardian was killed, and with it everything that it kept."""

    def __init__(self) -> None:
        super().__init__(
            "the guardian process, the parent of all steps, ended unexpectedly; what it had started has been killed too. "
            "See whether a step or the system kills processes that it does not own, and run the pipeline again."
        )


class Exit(Struct, frozen=True):
    """How a process ended: an exit code, or the signal that killed it; neither if it survives even SIGKILL."""

    code: int | None = None
    signal: int | None = None

    @property
    def ok(self) -> bool:
        """Whether it ended as a success."""
        return self.code == 0

    def describe(self) -> str:
        """Say it in words."""
        if self.code is not None:
            return f"exit code {self.code}"
        if self.signal is None:
            return "could not be killed"
        try:
            return f"killed by {signal.Signals(self.signal).name}"
        except ValueError:
            return f"killed by signal {self.signal}"


class _Once(Generic[T]):
    """A value, or an error, that comes once. It may come before a loop runs, and any number may wait for it."""

    __slots__ = ("_error", "_guardian", "_value", "_waiters")

    def __init__(self, guardian: Guardian) -> None:
        self._guardian = guardian
        self._value: tuple[T] | None = None
        self._error: DagnatsError | None = None
        self._waiters: list[asyncio.Future[None]] = []

    @property
    def is_set(self) -> bool:
        return self._value is not None or self._error is not None

    def set(self, value: T) -> None:
        if not self.is_set:
            self._value = (value,)
            self._wake()

    def fail(self, error: DagnatsError) -> None:
        if not self.is_set:
            self._error = error
            self._wake()

    async def get(self) -> T:
        if not self.is_set:
            waiter = self._guardian.loop.create_future()
            self._waiters.append(waiter)
            await waiter
        if self._error is not None:
            raise self._error
        assert self._value is not None  # noqa: S101
        return self._value[0]

    def _wake(self) -> None:
        for waiter in self._waiters:
            if not waiter.done():
                waiter.set_result(None)
        self._waiters.clear()


class Process:
    """One started process and everything that it starts in turn."""

    def __init__(self, guardian: Guardian, number: int, argv: Sequence[str], cwd: str) -> None:
        self.argv = tuple(argv)
        self.cwd = cwd
        self.pid: int | None = None
        self.ended_at: float | None = None  # on the monotonic clock
        self.number = number
        self._guardian = guardian
        self._started: _Once[int] = _Once(guardian)
        self._exit: _Once[Exit] = _Once(guardian)
        self._leftovers: _Once[int] = _Once(guardian)

    async def started(self) -> int:
        """Wait until it runs, and give its pid."""
        return await self._started.get()

    async def wait(self) -> Exit:
        """Wait for the end of the main process, whatever still holds its pipes."""
        return await self._exit.get()

    def stop(self, ladder: Ladder = DEFAULT_LADDER) -> None:
        """Begin to stop the whole tree, step by step; a later call replaces an earlier one. Harmless after the end."""
        self._ask("stop", [(int(number), grace_s) for number, grace_s in ladder])

    def kill(self) -> None:
        """Kill the whole tree at once."""
        self.stop(KILL_LADDER)

    async def finish(self) -> int:
        """Wait until nothing is left, and give the number of processes that had to be killed after the main one's end.

        A stop that is under way keeps its pace; else what is left is killed now.
        """
        await self._exit.get()
        self._ask("finish")
        return await self._leftovers.get()

    def _ask(self, what: str, *arguments: Any) -> None:
        if not self._leftovers.is_set:
            with contextlib.suppress(GuardianDied):  # then everything is being killed, and whoever waits is told
                self._guardian.send(what, self.number, *arguments)

    def on_started(self, pid: int) -> None:
        """Take the guardian's word that it runs."""
        self.pid = pid
        self._started.set(pid)

    def on_exited(self, pid: int, code: int | None, clean: bool) -> None:
        """Take the guardian's word that the main process ended, and whether anything is left of it."""
        self.on_started(pid)
        self.ended_at = time.monotonic()
        self._exit.set(Exit() if code is None else Exit(code=code) if code >= 0 else Exit(signal=-code))
        if clean:
            self._leftovers.set(0)

    def on_finished(self, leftovers: int) -> None:
        """Take the guardian's word that nothing is left."""
        self._leftovers.set(leftovers)

    def on_failed(self, error: DagnatsError) -> None:
        """Have everybody who waits know that there will be nothing to wait for."""
        for once in (self._started, self._exit, self._leftovers):
            once.fail(error)


class Guardian:
    """The runner's handle on the guardian process."""

    def __init__(self, channel: _socket.socket, pid: int, mark: str) -> None:
        self.pid = pid
        self._channel = channel
        self.mark = mark
        self._inbox = Frames()
        self._numbers = itertools.count(1)
        self._processes: dict[int, Process] = {}
        self._loop: asyncio.AbstractEventLoop | None = None
        self._is_open = True
        self._is_closing = False
        self._gone: _Once[None] = _Once(self)
        self._base: dict[bytes, bytes] = {}
        self._cleanup: list[bytes] = []

    @classmethod
    def start(cls, base_env: Mapping[str, str] | None = None) -> Self:
        """Start it. `base_env` (by default this process's own) is what every process gets before its own changes."""
        # Were one of the first three closed, a descriptor of ours would take its place and be taken for it.
        while (spare := os.open(os.devnull, os.O_RDWR)) <= 2:
            pass
        os.close(spare)
        ours, theirs = _socket.socketpair(_socket.AF_UNIX, _socket.SOCK_STREAM)
        os.set_inheritable(theirs.fileno(), True)
        mark = os.urandom(8).hex()
        root = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))  # noqa: PTH100, PTH120  # pathlib is not needed before
        pid = os.posix_spawn(
            sys.executable,
            [sys.executable, "-I", "-S", "-c", _BOOT, root, str(theirs.fileno()), mark],
            # A step may read its environment in /proc: no secret of the runner's must be there.
            {name: os.environ[name] for name in _KEPT if name in os.environ},
            setsid=True,
            setsigmask=signal.valid_signals() - {signal.SIGCHLD},
        )
        theirs.close()
        guardian = cls(ours, pid, mark)
        env = os.environ if base_env is None else base_env
        guardian._base = {os.fsencode(name): os.fsencode(value) for name, value in env.items() if name}
        guardian.send("base", guardian._base)
        return guardian

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        """The loop in which ends are reported."""
        if self._loop is None:
            raise RuntimeError("nothing can be awaited before Guardian.attach")
        return self._loop

    def spawn(
        self,
        argv: Sequence[str],
        *,
        cwd: str | os.PathLike[str],
        env: Mapping[str, str] | None = None,
        unset: Iterable[str] = (),
        stdout: int,
        stderr: int,
        client: bool = False,
    ) -> Process:
        """Start a process; what goes wrong with that is raised here or by whatever is awaited of it, as `SpawnError`.

        `stdout` and `stderr` (which may be the same) are closed here in any case: they are the process's from now on. A `client` has a daemon do its
        work: what goes on in sessions of others when it has ended is not taken for a part of it, and `clean_up_at_end` comes before its kill.
        """
        fds = [stdout] if stdout == stderr else [stdout, stderr]
        number = next(self._numbers)
        try:
            folder = encode_string(os.fspath(cwd), "working directory")
            changes = dict.fromkeys(map(os.fsencode, unset)) | encode_env(env or {})
            self.send("spawn", number, encode_argv(argv), folder, changes, (len(fds), client), fds=fds)
        finally:
            for fd in fds:
                os.close(fd)
        # After the message, for the guardian is at work by now; its answer comes through the loop.
        process = self._processes[number] = Process(self, number, argv, os.fspath(cwd))
        return process

    def remove_at_end(self, folder: str | os.PathLike[str], *, whole: bool = False) -> None:
        """Have the files in a folder, and the folder, removed when all has ended, also when this process can not; `whole` with all beneath it."""
        self.send("remains", os.fsencode(folder), whole)

    def clean_up_at_end(self, argv: Sequence[str]) -> None:
        """Have a command run when this process is gone, whatever happened to it, which removes what daemons keep for it; without words, none any more."""
        self._cleanup = encode_argv(argv) if argv else []
        self.send("cleanup", self._cleanup)

    def attach(self, loop: asyncio.AbstractEventLoop) -> None:
        """Have the loop deliver what the guardian reports, from the first process on."""
        self._loop = loop
        loop.add_reader(self._channel.fileno(), self._on_readable)

    async def close(self) -> None:
        """Kill everything that still runs, and return when it is gone, and the guardian too."""
        if self._is_open and not self._is_closing:
            self._is_closing = True
            with contextlib.suppress(OSError):
                self._channel.shutdown(_socket.SHUT_WR)
            overdue = self.loop.call_later(_CLOSE_S, os.kill, self.pid, signal.SIGKILL)
            try:
                await self._gone.get()
            finally:
                overdue.cancel()

    def send(self, *message: Any, fds: Sequence[int] = ()) -> None:
        """Send a message. It may block for the moment that the guardian needs to read, never longer: that always reads."""
        if not self._is_open or self._is_closing:
            raise GuardianDied
        data = memoryview(frame(*message))
        rights = b"".join(fd.to_bytes(4, sys.byteorder) for fd in fds)
        ancillary = [(_socket.SOL_SOCKET, _socket.SCM_RIGHTS, rights)] if fds else []
        try:
            while data:
                data = data[self._channel.sendmsg([data], ancillary) :]
                ancillary = []
        except OSError as error:
            if error.errno not in (errno.EPIPE, errno.ECONNRESET):
                raise
            raise GuardianDied from None  # the loop finds the end of the socket, and tells all others

    def _on_readable(self) -> None:
        try:
            data = self._channel.recv(65536, _socket.MSG_DONTWAIT)
        except BlockingIOError:
            return
        except ConnectionResetError:
            data = b""
        for kind, number, *facts in self._inbox.feed(data):
            process = self._processes[number]
            if kind == "started":
                process.on_started(*facts)
            elif kind == "exited":
                process.on_exited(*facts)
                if facts[-1]:
                    del self._processes[number]
            elif kind == "finished":
                process.on_finished(*facts)
                del self._processes[number]
            else:
                process.on_failed(spawn_error(process.argv[0], process.cwd, *facts))
                del self._processes[number]
        if not data:
            self._on_end()

    def _on_end(self) -> None:
        self._is_open = False
        self.loop.remove_reader(self._channel.fileno())
        self._channel.close()
        with contextlib.suppress(ChildProcessError):
            os.waitpid(self.pid, 0)
        if self._cleanup and not self._is_closing:  # the guardian was killed, and can not do it
            with contextlib.suppress(OSError):
                os.posix_spawn(self._cleanup[0], self._cleanup, self._base, setsid=True)
        if self._processes:
            _kill_orphans(self.mark, {process.pid for process in self._processes.values() if process.pid is not None})
        for process in self._processes.values():
            process.on_failed(GuardianDied())
        self._processes.clear()
        self._gone.set(None)


def _kill_orphans(mark: str, sessions: set[int]) -> None:
    """Kill what a guardian left behind. After an orderly end there is nothing."""
    for pid in sessions:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(pid, signal.SIGKILL)
    if not proctree.AVAILABLE:
        return
    shot: set[int] = set()
    while new := set(proctree.belonging(mark.encode() + b".", sessions)) - shot:
        for pid in new:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
        shot |= new
