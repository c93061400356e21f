"""The guardian: the parent of every process that a run starts, and the one that leaves none of them behind.

The runner starts it first, in a session of its own, and talks to it over a socket. It starts processes, reports how they
end, stops their whole trees, and adopts what they orphan. The end of the socket, for whatever reason, is the end of
everything: also when the runner was killed, all that it started is killed, and then the guardian ends too.

`exited` comes the moment the main process ends. If `clean`, nothing is left of it; else `finished` follows once nothing is,
after `finish` was asked for or FINISH_AFTER_S. What belongs to a process: its session, its descendants, and orphans that
carry its mark in their environment. An orphan that nobody can claim (own session, cleared environment) lives until the end
of the guardian. Where there is no /proc (macOS), what belongs to a process is its process group.

Only cheap modules are imported here, as nothing runs before the guardian does: no socket, signal, typing.
"""

from __future__ import annotations

import _socket
import errno
import os
import select
import sys
import time

from dagnats import proctree
from dagnats.frames import Frames, frame
from dagnats.lookup import resolve
from dagnats.orphans import NOBODY, Orphans
from dagnats.proctree import signalled
from dagnats.remains import remove_all, remove_files, run_bounded

TYPE_CHECKING = False
if TYPE_CHECKING:
    import signal as _signal
    from collections.abc import Callable, Sequence
else:
    import _signal  # `signal` wraps this in enumerations for 6 ms

FINISH_AFTER_S = 10.0
GIVE_UP_S = 5.0  # a process that may not be killed (another user's) or can not be (waiting for a dead disk)
CLEANUP_S = 8.0
SWEEP_S = 0.05
NEWS_S = 0.05  # what has ended by then was never said to have started
_RECEIVE_BYTES = 64 * 1024
_ANCILLARY_BYTES = 256
_CLOEXEC = getattr(_socket, "MSG_CMSG_CLOEXEC", 0)
_DONTWAIT = _socket.MSG_DONTWAIT
# Python ignores some signals, and what the runner's parent ignored (nohup) is inherited: a step begins with none ignored.
_IGNORED_SIGNALS = tuple(number for number in _signal.valid_signals() if _signal.getsignal(number) == _signal.SIG_IGN)


class Job:
    """One started process and all that came of it, until nothing of it is left."""

    __slots__ = ("deadline", "ended", "give_up_at", "is_client", "ladder", "leftovers", "number", "pid", "shot")

    def __init__(self, number: int, pid: int, is_client: bool) -> None:
        self.number, self.pid, self.is_client = number, pid, is_client
        self.ended = False
        self.ladder: list[tuple[int, float]] | None = None  # what is left of a stop that is under way
        self.deadline: float | None = None
        self.give_up_at: float | None = None  # set when it is being killed
        self.shot: set[int] = set()
        self.leftovers = 0


class Keeper:
    """The guardian's state, and its loop."""

    def __init__(self, channel: _socket.socket, mark: bytes) -> None:
        self._channel = channel
        self._mark = mark + b"."
        self._orphans = Orphans(self._mark, lambda session: job.number if (job := self._mains.get(session)) else NOBODY)
        self._outer = b""
        self._base: dict[bytes, bytes] = {}
        self._remains: tuple[bytes, bool] | None = None  # a folder, and whether it goes with all that is in it
        self._cleanup: list[bytes] = []  # a command that removes what daemons keep for the runner
        self._jobs: dict[int, Job] = {}
        self._mains: dict[int, Job] = {}
        self._fds: list[int] = []
        self._inbox = Frames()
        self._outbox = bytearray()
        # processes of which was not said yet that they started: pid, and when it will be
        self._news: dict[int, tuple[int, float]] = {}
        self._children = proctree.OwnChildren()
        self._wake, writer = os.pipe()
        os.set_blocking(self._wake, False)
        os.set_blocking(writer, False)
        _signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
        _signal.signal(_signal.SIGCHLD, lambda *_: None)  # without a handler nothing is written to the pipe
        _signal.pthread_sigmask(_signal.SIG_UNBLOCK, [_signal.SIGCHLD])

    def serve(self) -> None:
        """Work until the runner has closed its end of the socket, or is gone."""
        poll = select.poll()
        poll.register(self._wake, select.POLLIN)
        poll.register(self._channel, select.POLLIN)
        while True:
            ready = dict(poll.poll(self._timeout_ms()))
            if self._wake in ready:
                self._reap()
            if ready.get(self._channel.fileno(), 0) & ~select.POLLOUT and not self._receive():
                return
            self._tick()
            self._flush()
            poll.modify(self._channel, select.POLLIN | (select.POLLOUT if self._outbox else 0))

    def kill_everything(self) -> None:
        """Kill all that was ever started or adopted, and return when it is gone."""
        if self._cleanup:
            self._clean_up(time.monotonic() + CLEANUP_S)
        give_up_at = time.monotonic() + GIVE_UP_S
        poll = select.poll()
        poll.register(self._wake, select.POLLIN)
        while self._reap() and time.monotonic() < give_up_at:
            for job in self._jobs.values():
                if not job.ended or not proctree.AVAILABLE:
                    signalled(os.killpg, job.pid, _signal.SIGKILL)
            for pid in proctree.with_descendants(self._children.read()):
                signalled(os.kill, pid, _signal.SIGKILL)
            self._flush()
            poll.poll(SWEEP_S * 1000)
        self._flush()
        if self._remains is not None:
            folder, whole = self._remains
            (remove_all if whole else remove_files)(folder)

    def _clean_up(self, until: float) -> None:
        """Have removed what daemons keep for the runner. Their clients are killed after that, as they could leave it half made; all others before."""
        for job in [job for job in self._jobs.values() if not job.is_client]:
            self._kill(job)
        is_last = False
        while not is_last and time.monotonic() < until:
            is_last = not any(job.is_client and not job.ended for job in self._jobs.values())
            run_bounded(self._cleanup, self._base, until)
            self._reap()

    # What the runner asks for

    def _receive(self) -> bool:
        try:
            data, ancillary, _, _ = self._channel.recvmsg(_RECEIVE_BYTES, _ANCILLARY_BYTES, _DONTWAIT | _CLOEXEC)
        except BlockingIOError:
            return True
        except ConnectionError:
            return False
        for level, kind, payload in ancillary:
            if (level, kind) == (_socket.SOL_SOCKET, _socket.SCM_RIGHTS):
                self._fds += (
                    int.from_bytes(payload[at : at + 4], sys.byteorder) for at in range(0, len(payload) - 3, 4)
                )
        if not _CLOEXEC:
            for fd in self._fds:
                os.set_inheritable(fd, False)
        handlers: dict[str, Callable[..., None]] = {
            "base": self._on_base,
            "remains": self._on_remains,
            "cleanup": self._on_cleanup,
            "spawn": self._on_spawn,
            "stop": self._on_stop,
            "finish": self._on_finish,
        }
        for name, *arguments in self._inbox.feed(data):
            handlers[name](*arguments)
        return bool(data)

    def _on_base(self, env: dict[bytes, bytes]) -> None:
        self._base = env
        outer = env.get(proctree.MARK)
        self._outer = outer + b"/" if outer else b""

    def _on_remains(self, folder: bytes, whole: bool) -> None:
        self._remains = folder, whole

    def _on_cleanup(self, argv: list[bytes]) -> None:
        self._cleanup = argv

    def _on_spawn(
        self, number: int, argv: list[bytes], cwd: bytes, changes: dict[bytes, bytes | None], means: tuple[int, bool]
    ) -> None:
        count, client = means
        fds, self._fds = self._fds[:count], self._fds[count:]
        merged = self._base | changes
        env = {name: value for name, value in merged.items() if value is not None}
        if not client:  # what that leaves behind is its daemon's
            env[proctree.MARK] = self._outer + self._mark + str(number).encode()
        part = "cwd"
        try:
            os.chdir(cwd)
            part = "program"
            pid = os.posix_spawn(
                resolve(argv[0], env.get(b"PATH")),
                argv,
                env,
                file_actions=((os.POSIX_SPAWN_DUP2, fds[0], 1), (os.POSIX_SPAWN_DUP2, fds[-1], 2)),
                setsid=True,
                setsigmask=(),
                setsigdef=_IGNORED_SIGNALS,
            )
        except (OSError, ValueError) as error:
            self._send("failed", number, getattr(error, "errno", errno.EINVAL), part)
        else:
            self._jobs[number] = self._mains[pid] = Job(number, pid, client)
            self._news[number] = pid, time.monotonic() + NEWS_S
        finally:
            os.chdir("/")
            for fd in fds:
                os.close(fd)

    def _on_stop(self, number: int, ladder: Sequence[tuple[int, float]]) -> None:
        job = self._jobs.get(number)
        if job is not None:
            job.ladder, job.give_up_at = list(ladder), None
            self._next_rung(job)

    def _on_finish(self, number: int) -> None:
        job = self._jobs.get(number)
        if job is not None and job.ended and job.ladder is None and job.give_up_at is None:
            self._kill(job)

    # What happens to the processes

    def _reap(self) -> bool:
        """Take the ends of all that ended; false when no child is left."""
        try:  # noqa: SIM105  # contextlib takes 4 ms to import
            os.read(self._wake, 4096)
        except BlockingIOError:
            pass
        ended = []
        has_children = True
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                has_children = False
                break
            if pid == 0:
                break
            self._orphans.forget(pid)
            job = self._mains.get(pid)
            if job is not None and not job.ended:
                job.ended = True
                ended.append((job, os.waitstatus_to_exitcode(status)))
        for job, code in ended:
            self._exited(job, code)
        self._settle()
        return has_children

    def _settle(self) -> None:
        """Go on with every job of which something may have ended or turned up."""
        for job in [job for job in self._jobs.values() if job.ended or job.give_up_at is not None]:
            if job.give_up_at is not None:
                self._sweep(job)
            elif self._is_gone(job):
                self._conclude(job)

    def _exited(self, job: Job, code: int) -> None:
        clean = self._is_gone(job)
        self._news.pop(job.number, None)
        self._send("exited", job.number, job.pid, code, clean)
        if clean:
            self._forget(job)
        elif job.deadline is None:
            job.deadline = time.monotonic() + FINISH_AFTER_S

    def _family(self, job: Job) -> set[int]:
        """All that lives of a job. Exact when the main process has ended: what is left has a child of ours at its top."""
        if not proctree.AVAILABLE:
            return {job.pid} if not job.ended or signalled(os.killpg, job.pid, 0) else set()
        roots = [] if job.ended else [job.pid]
        for pid in self._children.read():
            main = self._mains.get(pid)
            if main is not None and not main.ended:
                continue
            owner = self._orphans.owner(pid)
            if owner == job.number:
                roots.append(pid)
            elif owner != NOBODY and owner not in self._jobs:  # it could not be read while its job was there
                for late in proctree.with_descendants([pid]):
                    signalled(os.kill, late, _signal.SIGKILL)
        return proctree.with_descendants(roots)

    def _is_gone(self, job: Job) -> bool:
        """Whether nothing of a job is left, nor anybody who may still turn out to be of it."""
        return not self._family(job) and self._orphans.look_at is None

    def _next_rung(self, job: Job) -> None:
        job.deadline = None
        if job.ladder:
            number, grace_s = job.ladder.pop(0)
            if number == _signal.SIGKILL:
                self._kill(job)
                return
            family = self._family(job)
            self._signal(job, family, number)
            self._signal(job, family, _signal.SIGCONT)  # a stopped process gets its signal when it goes on
            job.deadline = time.monotonic() + grace_s
        else:
            job.ladder = None
            if job.ended:
                self._kill(job)

    def _kill(self, job: Job) -> None:
        job.ladder, job.give_up_at = None, time.monotonic() + GIVE_UP_S
        self._sweep(job)

    def _sweep(self, job: Job) -> None:
        """Kill what there is. Comes again after each end and every SWEEP_S, for what was forked meanwhile."""
        family = self._family(job)
        now = time.monotonic()
        if not family and self._orphans.look_at is None:
            self._conclude(job)
        elif job.give_up_at is not None and now >= job.give_up_at:
            if not job.ended:
                self._send("exited", job.number, job.pid, None, False)
            self._conclude(job)
        else:
            if job.ended:
                job.leftovers += len(family - job.shot)
            job.shot |= family
            self._signal(job, family, _signal.SIGKILL)
            job.deadline = now + SWEEP_S

    def _signal(self, job: Job, family: set[int], number: int) -> None:
        """Signal each process of a family once: twice would be a second interrupt, which many programs take as "now"."""
        grouped = not job.ended or not proctree.AVAILABLE
        if grouped:
            signalled(os.killpg, job.pid, number)
        for pid in family - {job.pid}:
            try:
                if not grouped or os.getpgid(pid) != job.pid:
                    signalled(os.kill, pid, number)
            except ProcessLookupError:
                continue

    def _conclude(self, job: Job) -> None:
        self._send("finished", job.number, job.leftovers)
        self._forget(job)

    def _forget(self, job: Job) -> None:
        del self._jobs[job.number]
        if self._mains.get(job.pid) is job:
            del self._mains[job.pid]

    # The loop's clock and its mouth

    def _timeout_ms(self) -> int | None:
        deadlines = [job.deadline for job in self._jobs.values() if job.deadline is not None]
        deadlines += [at for _, at in self._news.values()]
        deadlines += [at for at in (self._orphans.look_at,) if at is not None]
        return max(0, int((min(deadlines) - time.monotonic()) * 1000) + 1) if deadlines else None

    def _tick(self) -> None:
        now = time.monotonic()
        for number in [number for number, (_, at) in self._news.items() if at <= now]:
            self._send("started", number, self._news.pop(number)[0])
        if self._orphans.look_at is not None and self._orphans.look_at <= now:
            self._orphans.look_at = None
            self._settle()
        for job in [job for job in self._jobs.values() if job.deadline is not None and job.deadline <= now]:
            if job.give_up_at is not None:
                self._sweep(job)
            elif job.ladder is not None:
                self._next_rung(job)
            else:
                self._kill(job)

    def _send(self, *message: object) -> None:
        self._outbox += frame(*message)

    def _flush(self) -> None:
        """Never waits: a runner that does not read must not keep the guardian from its work."""
        while self._outbox:
            try:
                del self._outbox[: self._channel.send(self._outbox, _DONTWAIT)]
            except BlockingIOError:
                return
            except OSError:  # the runner is gone; the socket's end tells so
                self._outbox.clear()


def main(fd: int, mark: str) -> None:
    """Be the guardian: `fd` is the socket to the runner, `mark` what all its processes carry."""
    os.chdir("/")
    os.set_inheritable(fd, False)
    for name in os.listdir("/dev/fd"):  # noqa: PTH208
        if int(name) not in (2, fd):
            try:
                os.close(int(name))
            except OSError:  # the one that listed them
                continue
    os.set_inheritable(os.open(os.devnull, os.O_RDONLY), True)  # 0: the stdin of every process
    while os.open(os.devnull, os.O_WRONLY) < 2:
        pass
    proctree.become_subreaper()
    keeper = Keeper(_socket.socket(fileno=fd), mark.encode())
    try:
        keeper.serve()
    finally:
        keeper.kill_everything()
    os._exit(0)  # nothing is left to tidy, and the runner waits for this end
