"""What an attempt has whatever it runs in: its script, the files that it writes for the engine, the watch over its time, and how it ended."""

import asyncio
import errno
import os
import stat
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from dagnats.bus.tasks import Task
from dagnats.core.events import Reason
from dagnats.core.shells import language
from dagnats.workers.action import Ended, Failure, Sink, Stop
from dagnats.workers.outputs import OUTPUTS_MAX_BYTES, OutputError, parse_outputs

if TYPE_CHECKING:
    from dagnats.core.pipeline import JSON

_PWSH_HEAD = "$ErrorActionPreference = 'Stop'\n"
_PWSH_TAIL = "\nif (Test-Path -LiteralPath variable:LASTEXITCODE) { exit $LASTEXITCODE }\n"
# What no step has done with the directory: a failure of the engine's surroundings.
OF_THE_MACHINE = (errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EROFS, errno.EMFILE, errno.ENFILE)
NOT_REGULAR = "$DAGNATS_OUTPUT is no regular file any more"
SUMMARY_MAX_BYTES = 64 << 10
_LOOKED_AT_BYTES = 4 * SUMMARY_MAX_BYTES
_SUMMARY_CUT = f"\n\n_Of this summary the first {SUMMARY_MAX_BYTES >> 10} KiB are kept._\n"
_SUFFIX = {"python": ".py", "pwsh": ".ps1"}


def shell_argv(shell: str | Sequence[str], *, has_bash: bool) -> list[str]:
    """Give the argv in which `{0}` stands for the script's file."""
    match shell:
        case "bash":
            return ["bash", "-eu", "-o", "pipefail", "{0}"] if has_bash else ["sh", "-eu", "{0}"]
        case "sh":
            return ["sh", "-eu", "{0}"]
        case "python":
            return ["python3", "{0}"]
        case "pwsh":
            return ["pwsh", "-NoLogo", "-NoProfile", "-NonInteractive", "-File", "{0}"]
        case _:
            return list(shell)


def script_suffix(task: Task) -> str:
    """Give the end of the name of a script's file, by which some interpreters know it."""
    return _SUFFIX.get(language(task.shell), ".sh")


def script_bytes(task: Task) -> bytes:
    """Give the content of a script's file."""
    script = task.script or ""
    text = _PWSH_HEAD + script + _PWSH_TAIL if task.shell == "pwsh" else script
    return text.encode("utf-8", "surrogateescape")


def create_file(path: str, data: bytes = b"", mode: int = 0o600) -> None:
    """Make a file that is new; what lies in its place is another attempt's that was given up."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_NONBLOCK, mode)
    try:
        left = memoryview(data)
        while left:
            left = left[os.write(descriptor, left) :]
    finally:
        os.close(descriptor)


def read_outputs(path: str, *, flags: int = 0) -> bytes:
    """Give what a step wrote; at most one byte more than it may. A file that it removed is an empty one."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | flags)  # a pipe put in its place is not waited for
        try:
            return _content(descriptor)
        finally:
            os.close(descriptor)
    except FileNotFoundError:
        return b""
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.ENXIO):  # a circle of links, a socket
            raise OutputError(NOT_REGULAR) from error
        raise OutputError(f"$DAGNATS_OUTPUT can not be read: {error.strerror}") from error


def read_summary(path: str, hide: Callable[..., str], *, flags: int = 0) -> str:
    """Give the Markdown that a step wrote, as far as it is kept; a file that can not be read is as good as none."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | flags)
    except OSError:
        return ""
    try:
        is_file = stat.S_ISREG(os.fstat(descriptor).st_mode)
        data = os.read(descriptor, _LOOKED_AT_BYTES) if is_file else b""
    finally:
        os.close(descriptor)
    # hidden before it is cut, and not up to where it was read: either could leave a part of a secret
    is_cut = len(data) == _LOOKED_AT_BYTES
    shown = hide(data.decode("utf-8", "replace"), goes_on=is_cut)
    kept = shown.encode("utf-8", "replace")[:SUMMARY_MAX_BYTES].decode("utf-8", "ignore")
    return kept if len(kept) == len(shown) and not is_cut else kept + _SUMMARY_CUT


def _content(descriptor: int) -> bytes:
    facts = os.fstat(descriptor)
    if not stat.S_ISREG(facts.st_mode):
        raise OutputError(NOT_REGULAR)
    data = b""
    while facts.st_size and len(data) <= OUTPUTS_MAX_BYTES:
        chunk = os.read(descriptor, OUTPUTS_MAX_BYTES + 1 - len(data))
        if not chunk:
            break
        data += chunk
    return data


class Watchdog:
    """Ends an attempt for one cause, the first that comes: an order, its timeout, or its silence. None of them waits for output or events.

    `end(kill)` is called to begin an end; with kill, at once.
    """

    def __init__(self, task: Task, sink: Sink, stop: Stop, end: Callable[[bool], None]) -> None:
        self._end_it = end
        self._idle_timeout_s = task.idle_timeout_s
        self._sink = sink
        self._loop = asyncio.get_running_loop()
        self._timers: list[asyncio.TimerHandle] = []
        self.cause: Failure | None = None
        self.stopped = False
        if task.timeout_s is not None:
            late = Failure(Reason.TIMEOUT, f"ran longer than its timeout of {task.timeout_s:g}s")
            self._timers.append(self._loop.call_later(task.timeout_s, self._end, late))
        stop.on_stop(self._order)

    @property
    def is_ending(self) -> bool:
        """Whether there is a cause."""
        return self.stopped or self.cause is not None

    def watch_silence(self) -> None:
        """Begin to: from now on it may print."""
        if self._idle_timeout_s is not None:
            limit_s = self._idle_timeout_s
            self._timers.append(self._loop.call_later(limit_s, self._check_silence, limit_s))

    def _order(self, kill: bool) -> None:
        self.stopped = self.cause is None
        self._end_it(kill)

    def _end(self, cause: Failure) -> None:
        if not self.is_ending:
            self.cause = cause
            self._end_it(False)

    def _check_silence(self, limit_s: float) -> None:
        left_s = limit_s - self._sink.silent_s()
        if left_s > 0:
            self._timers.append(self._loop.call_later(left_s, self._check_silence, limit_s))
            return
        self._end(Failure(Reason.IDLE_TIMEOUT, f"printed nothing for its idle_timeout of {limit_s:g}s"))

    def close(self) -> None:
        """Watch no more."""
        for timer in self._timers:
            timer.cancel()


def concluded(
    task: Task,
    failure: Failure | None,
    watchdog: Watchdog,
    note: str,
    read: Callable[[], bytes],
    *,
    hide: Callable[[str], str],
) -> Ended:
    """Give the end of an attempt of which all has ended; `failure` is that of its process, `read` gives what it wrote to the file of outputs."""
    if watchdog.stopped:
        return Ended(stopped=True, note=note)
    declared: Mapping[str, Mapping[str, Any]] = task.outputs
    if failure is not None or watchdog.cause is not None:
        declared = {name: {**spec, "required": False} for name, spec in declared.items()}
    outputs: dict[str, JSON] = {}
    problem = None
    try:
        outputs = parse_outputs(read(), declared, hide)
    except OutputError as error:
        problem = Failure(Reason.OUTPUT, str(error), 0)
    return Ended(watchdog.cause or failure or problem, outputs=outputs, note=note)
