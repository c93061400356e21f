"""Shell steps: a script or a command as a process of its own, watched from outside."""

import errno
import os
import shutil
from collections.abc import Mapping
from pathlib import Path

from msgspec.structs import replace

from dagnats.bus.tasks import Task
from dagnats.core.events import Reason
from dagnats.core.text import token
from dagnats.pipes import Stream, drain
from dagnats.process import DEFAULT_LADDER, KILL_LADDER, Exit, Guardian, GuardianDied, SpawnError
from dagnats.workers.action import Ended, Failure, Sink, Stop
from dagnats.workers.attempt import (
    OF_THE_MACHINE,
    Watchdog,
    concluded,
    create_file,
    read_outputs,
    read_summary,
    script_bytes,
    script_suffix,
    shell_argv,
)


class _Files:
    """The files of one attempt: its script and what it writes for the engine. 0600, in a 0700 directory, gone with the attempt.

    Measured: a Path, an object for a file or an exception costs a short step as much as the calls themselves.
    """

    def __init__(self, directory: Path, task: Task) -> None:
        name = f"{directory}/{token(task.step)}.{task.attempt}"
        self.output = f"{name}.outputs"
        self.summary = f"{name}.summary"  # made by the step, if at all
        self.script = name + script_suffix(task) if task.script is not None else None

    def write(self, task: Task) -> None:
        """Make the script, and an empty file for outputs, which the step may look at before it writes. Raises SpawnError."""
        path = self.output
        try:
            create_file(path)
            if self.script is not None:
                path = self.script
                create_file(path, script_bytes(task))
        except OSError as error:
            if error.errno in OF_THE_MACHINE:
                raise
            text = f"a file of the step can not be written: {path}: {error.strerror}"
            raise SpawnError(text, errno.EIO) from error

    def remove(self) -> None:
        """Remove them, whatever the step has made of them."""
        summary = self.summary if os.path.lexists(self.summary) else None
        for path in (self.output, self.script, summary):
            try:
                if path is not None:
                    os.unlink(path)  # noqa: PTH108
            except OSError:
                shutil.rmtree(path or "", ignore_errors=True)  # gone already, or a directory in its place


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
        watchdog = Watchdog(task, sink, stop, lambda kill: process.stop(KILL_LADDER if kill else DEFAULT_LADDER))
        watchdog.watch_silence()
        try:
            exit_ = await process.wait()
        finally:
            watchdog.close()
        held = await drain(process, streams)
        left = await process.finish()
        note = "a background process still held the output; it was stopped" if held and left else ""
        ended = concluded(task, _failure(exit_), watchdog, note, lambda: read_outputs(files.output), hide=sink.hide)
        summary = read_summary(files.summary, sink.hide)
        return replace(ended, summary=summary) if summary else ended

    def _argv(self, task: Task, files: _Files) -> list[str]:
        if task.argv is not None:
            return list(task.argv)
        argv = shell_argv(task.shell, has_bash=self._has_bash)
        return [part.replace("{0}", files.script or "") for part in argv]


def _failure(exit_: Exit) -> Failure | None:
    if exit_.signal is not None:
        return Failure(Reason.SIGNAL, exit_.describe(), 128 + exit_.signal)
    return None if exit_.code == 0 else Failure(Reason.EXIT, exit_.describe(), exit_.code)
