"""The files of an attempt in a container, and the shell script that begins it there.

One directory on the machine, `STEP.ATTEMPT.box`, private like the directory it lies in. Two below it are what the container sees: `in`, which it can
not write, and `out`. Who it runs as may be nobody we know, so that what lies in the two can be used by anybody who gets there; only the container does.
"""

import errno
import os
from collections.abc import Callable, Sequence
from pathlib import Path

from dagnats.bus.tasks import Task
from dagnats.core.text import token
from dagnats.process import SpawnError
from dagnats.remains import BOX, remove_all
from dagnats.workers.attempt import (
    OF_THE_MACHINE,
    create_file,
    read_outputs,
    read_summary,
    script_bytes,
    script_suffix,
)
from dagnats.workers.outputs import OutputError
from dagnats.workers.runtime import Mount

INSIDE = "/dagnats"
OUTPUT = f"{INSIDE}/out/outputs"
SUMMARY = f"{INSIDE}/out/summary"
_TOLD = "told"  # a file of `out` in which the beginning says how it went, one word a line
BEGAN, NO_BASH, NO_DIRECTORY, NO_PROGRAM = "began", "no-bash", "no-directory", "no-program"
_PODMAN_INIT = "/run/podman-init"
_HOMELESS = "/tmp"  # noqa: S108 - of the container: its own, and gone with it

# $1 is the working directory; what follows is a command, or `--script FILE`, for which there may be a bash. The init of podman passes signals to the one
# process that it has started; a second one, started so, passes them to all that a script has in the foreground, as the terminal of a shell does.
_BEGINNING = f"""\
tell() {{ echo "$1" >> {INSIDE}/out/{_TOLD}; }}
tell {BEGAN}
[ -w "${{HOME:-}}" ] || export HOME={_HOMELESS}
. {INSIDE}/in/env
cd "$1" 2> /dev/null || {{ tell {NO_DIRECTORY}; exit 126; }}
shift
group=
if [ -x {_PODMAN_INIT} ]; then group="{_PODMAN_INIT} -g --"; fi
if [ "$1" = --script ]; then
    if command -v bash > /dev/null 2>&1; then exec $group bash -eu -o pipefail "$2"; fi
    tell {NO_BASH}
    exec $group sh -eu "$2"
fi
command -v "$1" > /dev/null 2>&1 || {{ tell {NO_PROGRAM}; exit 127; }}
exec $group "$@"
"""


class Box:
    """The files of one attempt. `shared` says that the container may run as somebody else than the caller."""

    def __init__(self, directory: Path, task: Task, *, shared: bool) -> None:
        self.path = f"{directory}/{token(task.step)}.{task.attempt}{os.fsdecode(BOX)}"
        self._script = "script" + script_suffix(task)
        self._shared = shared
        self.script = f"{INSIDE}/in/{self._script}"

    def mounts(self, hidden: str | None) -> tuple[Mount, ...]:
        """Give what the container sees of it; in place of a directory that is to be `hidden`, it sees an empty one."""
        instead = (Mount(f"{self.path}/empty", hidden),) if hidden is not None else ()
        return (
            Mount(f"{self.path}/in", f"{INSIDE}/in", read_only=True),
            Mount(f"{self.path}/out", f"{INSIDE}/out"),
            *instead,
        )

    def write(self, task: Task, exports: bytes) -> None:
        """Make all of it. Raises SpawnError."""
        files = {"env": exports, "begin": _BEGINNING.encode()}
        if task.script is not None:
            files[self._script] = script_bytes(task)
        try:
            self.remove()
            os.mkdir(self.path, 0o700)  # noqa: PTH102
            for name, mode in (("in", 0o755), ("out", 0o777), ("empty", 0o777)):
                os.mkdir(f"{self.path}/{name}")  # noqa: PTH102
                os.chmod(f"{self.path}/{name}", mode if self._shared else 0o700)  # noqa: PTH101
            for name, data in files.items():
                self._create(f"in/{name}", data, 0o644)
            for name in ("outputs", _TOLD):
                self._create(f"out/{name}", b"", 0o666)
        except OSError as error:
            if error.errno in OF_THE_MACHINE:
                raise
            text = f"the files of the step can not be written: {self.path}: {error.strerror}"
            raise SpawnError(text, errno.EIO) from error

    def _create(self, name: str, data: bytes, mode: int) -> None:
        path = f"{self.path}/{name}"
        create_file(path, data)
        if self._shared:
            os.chmod(path, mode)  # noqa: PTH101

    def begin(self, cwd: str, words: Sequence[str]) -> tuple[str, ...]:
        """Give the words by which a shell in the container begins a command, or a script behind `--script`."""
        return ("sh", f"{INSIDE}/in/begin", cwd, *words)

    def told(self) -> list[str]:
        """Give what the beginning told; once the step has it in hand, it may be anything."""
        path = f"{self.path}/out/{_TOLD}"
        try:
            return (
                read_outputs(path, flags=os.O_NOFOLLOW).decode("ascii", "replace").split()
                if os.path.lexists(path)
                else [BEGAN]
            )
        except OutputError:
            return [BEGAN]

    def read_outputs(self) -> bytes:
        """Give what was written to the file of outputs. No link is followed: it would lead out of the container."""
        return read_outputs(f"{self.path}/out/outputs", flags=os.O_NOFOLLOW)

    def read_summary(self, hide: Callable[..., str]) -> str:
        """Give the Markdown that was written."""
        return read_summary(f"{self.path}/out/summary", hide, flags=os.O_NOFOLLOW)

    def remove(self) -> None:
        """Remove them, whatever the container has made of them."""
        if os.path.lexists(self.path):
            remove_all(os.fsencode(self.path))
