"""What an attempt is within a container: its command, how each of its variables gets there, whom it runs as, and what it sees."""

import errno
import os
import re
from collections.abc import Mapping

from msgspec import Struct

from dagnats.bus.tasks import Task
from dagnats.command import encode_argv, encode_env, spawn_error
from dagnats.core.pipeline import Container, Volume
from dagnats.workers import runtime as commands
from dagnats.workers.attempt import shell_argv
from dagnats.workers.box import OUTPUT, SUMMARY
from dagnats.workers.runtime import Mount, Runtime

OF_THE_RUNTIME = 125  # the exit code of what is no step's, as runtimes themselves have it
_HOMELESS = "/tmp"  # noqa: S108 - of the container


class RefusedError(Exception):
    """A container can not be made or started; the text says why."""

    def __init__(self, message: str, exit_code: int = OF_THE_RUNTIME) -> None:
        super().__init__(message)
        self.exit_code = exit_code


class Variables(Struct, frozen=True):
    """Variables by the way in which they get into a container: with its making, or in a file that a shell reads there, so that no runtime keeps them."""

    by_name: Mapping[str, str]
    by_file: Mapping[str, str]


def variables(task: Task, dotenv: Mapping[str, str]) -> Variables:
    """Sort the variables of a task. Raises SpawnError, RefusedError."""
    env = {**dotenv, **task.env}
    encode_env(env)
    all_by_file = reads_by_shell(task) or task.secret_script
    private = {*task.secret_env, *dotenv}
    by_file = {}
    for name, value in env.items():
        if all_by_file or name in private or commands.must_go_by_file(name):
            if commands.can_go_by_file(name):
                by_file[name] = value
            elif name in private or "*" in name:
                raise RefusedError(
                    f"a shell can not set the variable {name}, and no other way is safe: give it another name"
                )
        elif "*" in name:  # of which podman makes all variables of its own that match
            raise RefusedError(f"the variable {name} can not be given to a container: give it another name")
    return Variables({name: value for name, value in env.items() if name not in by_file}, by_file)


def reads_by_shell(task: Task) -> bool:
    """Whether a script is for the shell of the image, which reads its variables before it."""
    return task.script is not None and task.shell in ("bash", "sh")


def why_a_shell(task: Task, sorted_: Variables, workspace: str) -> str:
    """Give why the image must have a shell; empty if it need not."""
    if reads_by_shell(task):
        return "the step is a script"
    if sorted_.by_file:
        return (
            f"only a shell can give the step the variables {', '.join(sorted_.by_file)}, which the runtime must not see"
        )
    return "" if is_below(task.cwd, workspace) else "its `working_dir` is not in the workspace"


def words(task: Task, script: str, *, by_shell: bool) -> tuple[str, ...]:
    """Give the command; none for that of the image. The shell that begins a script looks for bash by itself. Raises SpawnError."""
    if task.script is None:
        if task.argv:
            encode_argv(task.argv)
        return tuple(task.argv or ())
    if task.shell == "bash" and by_shell:
        return ("--script", script)
    return tuple(part.replace("{0}", script) for part in shell_argv(task.shell, has_bash=True))


def is_below(path: str, workspace: str) -> bool:
    """Whether a path is in the workspace."""
    return os.path.normpath(path) == workspace or os.path.normpath(path).startswith(workspace.rstrip("/") + "/")


def mounts(task: Task, container: Container, workspace: str) -> tuple[Mount, ...]:
    """Give what the container sees of the machine: for a service only its volumes. Raises SpawnError, RefusedError."""
    if task.kind == "service":
        return tuple(_mount(volume, workspace) for volume in container.volumes)
    if is_below(task.cwd, workspace) and not os.path.isdir(task.cwd):  # noqa: PTH112
        raise spawn_error("", task.cwd, errno.ENOTDIR if os.path.lexists(task.cwd) else errno.ENOENT, "cwd")
    return (Mount(workspace, workspace), *(_mount(volume, workspace) for volume in container.volumes))


def _mount(volume: Volume, workspace: str) -> Mount:
    if "/" not in volume.source and not volume.source.startswith((".", "~")):
        return Mount(volume.source, volume.target, volume.read_only, is_volume=True)
    source = os.path.normpath(os.path.join(workspace, os.path.expanduser(volume.source)))  # noqa: PTH111, PTH118
    if not os.path.exists(source):  # noqa: PTH110
        raise RefusedError(f"volumes: {volume.source} does not exist")  # docker would make it, and it would be root's
    return Mount(source, volume.target, volume.read_only)


def user(container: Container, runtime: Runtime, uid: int, gid: int, kind: str) -> tuple[str | None, bool]:
    """Give whom a container runs as, and whether it keeps the caller's ids, so that files in the workspace are the caller's. None for the image's own."""
    if container.user is not None:
        return container.user, False
    if uid == 0 or kind == "service":
        return None, False
    if runtime.maps_caller:
        return None, runtime.keeps_id
    return f"{uid}:{gid}", False


def may_be_another(container: Container, runtime: Runtime, uid: int, kind: str) -> bool:
    """Whether the container may run as somebody else than the caller."""
    own = runtime.maps_caller and not runtime.keeps_id
    return kind == "service" or container.user is not None or uid == 0 or own


def fixed_env(who: str | None, keeps_id: bool, given: Variables) -> dict[str, str]:
    """Give the variables that are ours. A user that no image knows has `/` for its home, and can not write there."""
    unknown = keeps_id or re.fullmatch(r"[1-9][0-9]*(:.*)?", who or "")
    home = {"HOME": _HOMELESS} if unknown and "HOME" not in given.by_file else {}
    return {"DAGNATS_OUTPUT": OUTPUT, "DAGNATS_SUMMARY": SUMMARY, **home}
