"""Shell steps: a script or a command as a process of its own, watched from outside."""

import asyncio
import errno
import os
import shutil
import stat
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from dagnats.bus.tasks import Task
from dagnats.core.events import Reason
from dagnats.core.pipeline import JSON
from dagnats.core.shells import language
from dagnats.core.text import token
from dagnats.pipes import Stream, drain
from dagnats.process import DEFAULT_LADDER, KILL_LADDER, Exit, Guardian, GuardianDied, Process, SpawnError
from dagnats.workers.action import Ended, Failure, Sink, Stop
from dagnats.workers.outputs import OUTPUTS_MAX_BYTES, OutputError, parse_outputs

_Declared = Mapping[str, Mapping[str, Any]]

_PWSH_HEAD = "$ErrorActionPreference = 'Stop'\n"
_PWSH_TAIL = "\nif (Test-Path -LiteralPath variable:LASTEXITCODE) { exit $LASTEXITCODE }\n"
# What no step has done with the directory: a failure of the engine's surroundings.
_OF_THE_MACHINE = (errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EROFS, errno.EMFILE, errno.ENFILE)
_NOT_REGULAR = "$DAGNATS_OUTPUT is no regular file any more"
SUMMARY_MAX_BYTES = 64 << 10
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


class _Files:
    """The files of one attempt: its script and what it writes for the engine. 0600, in a 0700 directory, gone with the attempt.

    Measured: a Path, an object for a file or an exception costs a short step as much as the calls themselves.
    """

    def __init__(self, directory: Path, task: Task) -> None:
        name = f"{directory}/{token(task.step)}.{task.attempt}"
        self.output = f"{name}.outputs"
        self.summary = f"{name}.summary"  # made by the step, if at all
        self.script = name + _SUFFIX.get(language(task.shell), ".sh") if task.script is not None else None

    def write(self, task: Task) -> None:
        """Make the script, and an empty file for outputs, which the step may look at before it writes. Raises SpawnError."""
        path = self.output
        try:
            os.close(_created(path))
            if self.script is not None and task.script is not None:
                path = self.script
                text = _PWSH_HEAD + task.script + _PWSH_TAIL if task.shell == "pwsh" else task.script
                _write(path, text.encode("utf-8", "surrogateescape"))
        except OSError as error:
            if error.errno in _OF_THE_MACHINE:
                raise
            text = f"a file of the step can not be written: {path}: {error.strerror}"
            raise SpawnError(text, errno.EIO) from error

    def read_outputs(self) -> bytes:
        """Give what the step wrote; at most one byte more than it may. A file that it removed is an empty one."""
        try:
            descriptor = os.open(self.output, os.O_RDONLY | os.O_NONBLOCK)  # a pipe put in its place is not waited for
            try:
                return _content(descriptor)
            finally:
                os.close(descriptor)
        except FileNotFoundError:
            return b""
        except OSError as error:
            if error.errno in (errno.ELOOP, errno.ENXIO):  # a circle of links, a socket
                raise OutputError(_NOT_REGULAR) from error
            raise OutputError(f"$DAGNATS_OUTPUT can not be read: {error.strerror}") from error

    def read_summary(self, hide: Callable[[str], str]) -> str:
        """Give the Markdown that the step wrote, as far as it is kept; a file that can not be read is as good as none."""
        try:
            descriptor = os.open(self.summary, os.O_RDONLY | os.O_NONBLOCK)
        except OSError:
            return ""
        try:
            is_file = stat.S_ISREG(os.fstat(descriptor).st_mode)
            data = os.read(descriptor, 4 * SUMMARY_MAX_BYTES) if is_file else b""
        finally:
            os.close(descriptor)
        shown = hide(data.decode("utf-8", "replace"))  # before it is cut, which could leave a part of a secret
        kept = shown.encode("utf-8", "replace")[:SUMMARY_MAX_BYTES].decode("utf-8", "ignore")
        return kept if len(kept) == len(shown) else kept + _SUMMARY_CUT

    def remove(self) -> None:
        """Remove them, whatever the step has made of them."""
        summary = self.summary if os.path.lexists(self.summary) else None
        for path in (self.output, self.script, summary):
            try:
                if path is not None:
                    os.unlink(path)  # noqa: PTH108
            except OSError:
                shutil.rmtree(path or "", ignore_errors=True)  # gone already, or a directory in its place


def _created(path: str) -> int:
    """Open a file that is new and empty; what lies in its place is another attempt's that was given up."""
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_NONBLOCK, 0o600)


def _write(path: str, data: bytes) -> None:
    descriptor = _created(path)
    try:
        left = memoryview(data)
        while left:
            left = left[os.write(descriptor, left) :]
    finally:
        os.close(descriptor)


def _content(descriptor: int) -> bytes:
    facts = os.fstat(descriptor)
    if not stat.S_ISREG(facts.st_mode):
        raise OutputError(_NOT_REGULAR)
    data = b""
    while facts.st_size and len(data) <= OUTPUTS_MAX_BYTES:
        chunk = os.read(descriptor, OUTPUTS_MAX_BYTES + 1 - len(data))
        if not chunk:
            break
        data += chunk
    return data


class _Watchdog:
    """Ends a process for one cause, the first that comes: an order, its timeout, or its silence. None of them waits for output or events."""

    def __init__(self, process: Process, task: Task, sink: Sink, stop: Stop) -> None:
        self._process = process
        self._idle_timeout_s = task.idle_timeout_s
        self._sink = sink
        self._loop = asyncio.get_running_loop()
        self._timers: list[asyncio.TimerHandle] = []
        self.cause: Failure | None = None
        self.stopped = False
        if task.timeout_s is not None:
            late = Failure(Reason.TIMEOUT, f"ran longer than its timeout of {task.timeout_s:g}s")
            self._timers.append(self._loop.call_later(task.timeout_s, self._end, late))
        if task.idle_timeout_s is not None:
            self._timers.append(self._loop.call_later(task.idle_timeout_s, self._check_silence, task.idle_timeout_s))
        stop.on_stop(self._order)

    def _order(self, kill: bool) -> None:
        self.stopped = self.cause is None
        self._process.stop(KILL_LADDER if kill else DEFAULT_LADDER)

    def _end(self, cause: Failure) -> None:
        if self.cause is None and not self.stopped:
            self.cause = cause
            self._process.stop(DEFAULT_LADDER)

    def _check_silence(self, limit_s: float) -> None:
        left_s = limit_s - self._sink.silent_s()
        if left_s > 0:
            self._timers.append(self._loop.call_later(left_s, self._check_silence, limit_s))
            return
        self._end(Failure(Reason.IDLE_TIMEOUT, f"printed nothing for its idle_timeout of {limit_s:g}s"))

    def close(self) -> None:
        for timer in self._timers:
            timer.cancel()


class ShellAction:
    """Runs scripts and commands through the guardian; `directory` is private to the worker, and `dotenv` has variables by the `pipeline` of tasks."""

    def __init__(
        self, guardian: Guardian, directory: Path, dotenv: Mapping[str, Mapping[str, str]] | None = None
    ) -> None:
        self._guardian = guardian
        self._directory = directory
        self._dotenv = dotenv or {}
        self._has_bash = shutil.which("bash") is not None

    async def run(self, task: Task, sink: Sink, stop: Stop) -> Ended:
        """Carry out one attempt."""
        files = _Files(self._directory, task)
        try:
            files.write(task)
            return await self._run(task, files, sink, stop)
        except SpawnError as error:
            return Ended(Failure(Reason.SPAWN, str(error), error.exit_code))
        except GuardianDied as error:
            return Ended(Failure(Reason.ENGINE, str(error)))
        finally:
            files.remove()

    async def _run(self, task: Task, files: _Files, sink: Sink, stop: Stop) -> Ended:
        out, out_end = os.pipe()
        err, err_end = os.pipe()
        streams = [Stream(out, lambda chunk: sink.put("out", chunk)), Stream(err, lambda chunk: sink.put("err", chunk))]
        sink.throttles(*streams)
        process = self._guardian.spawn(
            self._argv(task, files),
            cwd=task.cwd,
            env={
                **self._dotenv.get(task.pipeline, {}),
                **task.env,
                "DAGNATS_OUTPUT": files.output,
                "DAGNATS_SUMMARY": files.summary,
            },
            stdout=out_end,
            stderr=err_end,
        )
        watchdog = _Watchdog(process, task, sink, stop)
        try:
            exit_ = await process.wait()
        finally:
            watchdog.close()
        held = await drain(process, streams)
        left = await process.finish()
        note = "a background process still held the output; it was stopped" if held and left else ""
        ended = self._ended(
            task, exit_, watchdog, note, lambda declared: parse_outputs(files.read_outputs(), declared, sink.hide)
        )
        summary = files.read_summary(sink.hide)
        return replace(ended, summary=summary) if summary else ended

    def _argv(self, task: Task, files: _Files) -> list[str]:
        if task.argv is not None:
            return list(task.argv)
        argv = shell_argv(task.shell, has_bash=self._has_bash)
        return [part.replace("{0}", files.script or "") for part in argv]

    def _ended(
        self, task: Task, exit_: Exit, watchdog: _Watchdog, note: str, read: Callable[[_Declared], dict[str, JSON]]
    ) -> Ended:
        if watchdog.stopped:
            return Ended(stopped=True, note=note)
        outputs, problem = {}, None
        try:
            required = (
                task.outputs
                if exit_.code == 0
                else {name: {**spec, "required": False} for name, spec in task.outputs.items()}
            )
            outputs = read(required)
        except OutputError as error:
            problem = Failure(Reason.OUTPUT, str(error), exit_.code)
        if watchdog.cause is not None:
            return Ended(watchdog.cause, outputs=outputs, note=note)
        if exit_.signal is not None:
            return Ended(Failure(Reason.SIGNAL, exit_.describe(), 128 + exit_.signal), outputs=outputs, note=note)
        if exit_.code != 0:
            return Ended(Failure(Reason.EXIT, exit_.describe(), exit_.code), outputs=outputs, note=note)
        return Ended(problem, outputs=outputs, note=note)
