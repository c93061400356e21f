"""Why a container that ended by itself failed, told from what its runtime, its init and the script that begins it left behind."""

import errno
from collections.abc import Sequence

from msgspec import Struct

from dagnats.bus.tasks import Task
from dagnats.command import spawn_error
from dagnats.core.events import Reason
from dagnats.core.pipeline import Container
from dagnats.workers import runtime as commands
from dagnats.workers.action import Failure
from dagnats.workers.box import BEGAN, NO_DIRECTORY, NO_PROGRAM

_KILLED = 137


class State(Struct, frozen=True):
    """How a container ended, as its runtime has it; the tail is of its stderr, which is also that of the runtime's program."""

    status: str
    code: int
    is_out_of_memory: bool = False
    tail: bytes = b""


def failure_of(
    state: State, told: Sequence[str] | None, task: Task, container: Container, *, why: str, program: str
) -> Failure | None:
    """Give the failure, if it is one.

    `told` is what the script that begins told, None if there was none, and `why` what that was needed for; `program` is what was to be run.
    """
    if state.status != "exited":
        text = commands.said(state.tail)
        return Failure(Reason.SPAWN, f"the container could not be started: {text}", commands.spawn_code(text))
    found = _not_run(state, container, program) if told is None else _not_begun(told, task, container, why, program)
    if found is not None or state.code == 0:
        return found
    message = f"exit code {state.code}"
    if state.is_out_of_memory:
        message += ": out of memory" + (f", of which it may use {container.memory}" if container.memory else "")
    elif state.code == _KILLED:
        message += " (killed, perhaps out of memory)"
    return Failure(Reason.EXIT, message, state.code)


def _not_run(state: State, container: Container, program: str) -> Failure | None:
    """Give why the init of the runtime could not run the command."""
    problem = commands.init_failed(state.tail) if state.code != 0 else None
    if problem is None:
        return None
    if "no such file" in problem.lower():
        return _missing(container, program)
    return Failure(Reason.SPAWN, f"can not be run in the image {container.image}: {program}: {problem}", 126)


def _not_begun(told: Sequence[str], task: Task, container: Container, why: str, program: str) -> Failure | None:
    """Give why the script that begins could not begin, or go on."""
    if NO_DIRECTORY in told:
        error = spawn_error("", task.cwd, errno.ENOENT, "cwd")
        return Failure(Reason.SPAWN, str(error), error.exit_code)
    if NO_PROGRAM in told:
        return _missing(container, program)
    if BEGAN in told:
        return None
    if container.entrypoint and task.script is not None:
        text = f"the `entrypoint` {container.entrypoint[0]} did not start the script, or the image {container.image} has no `sh`"
    else:
        text = f"the image {container.image} has no `sh`, or its runtime does not see the files of this machine"
    return Failure(Reason.SPAWN, f"{text}; it is needed, because {why}", 127)


def _missing(container: Container, program: str) -> Failure:
    return Failure(Reason.SPAWN, f"command not found in the image {container.image}: {program}", 127)
