"""What the tests of steps in containers share: a place to act in, images of their own, and what can be seen of a machine's processes."""

import contextlib
import io
import os
import subprocess
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from acting import Sink
from running_containers import Engine
from running_processes import guarded

from dagnats import proctree
from dagnats.bus.tasks import Task
from dagnats.workers.action import Action, Ended, Stop
from dagnats.workers.kinds import actions

BOUND_S = 120.0


@dataclass
class Place:
    """An action, and a workspace for its tasks."""

    action: Action
    used: Engine
    workspace: Path
    run: str
    last: Sink | None = None

    def task(self, script: str | None = None, argv: list[str] | None = None, /, **fields: Any) -> Task:
        container = {"image": self.used.image, "network": "none", "pull": "never", **fields.pop("container", {})}
        env = {"DAGNATS_WORKSPACE": str(self.workspace), **fields.pop("env", {})}
        known = {"run": self.run, "step": "a", "attempt": 1, "cwd": str(self.workspace), "shell": "sh", **fields}
        return Task(kind="container", script=script, argv=argv, env=env, container=container, **known)

    async def ended(self, script: str | None = None, argv: list[str] | None = None, /, **fields: Any) -> Ended:
        self.last = Sink()
        return await self.action.run(self.task(script, argv, **fields), self.last, Stop())

    @property
    def out(self) -> str:
        return self.last.out.decode()


def within(used: Engine, directory: Path, work, *, name: str = "work", dotenv=None) -> None:
    """Run a test's coroutine; afterwards nothing is left, neither of containers nor of files."""
    workspace, scratch = directory / name, directory / "scratch"
    workspace.mkdir(parents=True)
    scratch.mkdir(mode=0o700)
    run = f"calm-otter-{os.urandom(4).hex()}"

    async def act(guardian):
        action = actions(guardian, scratch, dotenv, await used.runtime(guardian))["container"]
        await work(Place(action, used, workspace, run))

    guarded(act, base_env=dict(used.env), within_s=BOUND_S)
    assert used.left(run) == {"containers": [], "processes": []}
    assert list(scratch.iterdir()) == []


def archive(used: Engine, files: dict[str, bytes]) -> bytes:
    """Give a root directory with the busybox of the test image, and some files."""
    id_ = used.ask("create", used.image, "true")
    exported = subprocess.run(
        [used.name, "export", id_], env=used.env, capture_output=True, timeout=BOUND_S, check=True
    )
    used.ask("rm", "-f", id_)
    given = io.BytesIO()
    with tarfile.open(fileobj=io.BytesIO(exported.stdout)) as whole, tarfile.open(fileobj=given, mode="w") as made:
        member = next(member for member in whole if member.name.endswith("bin/busybox") and member.isfile())
        made.addfile(member, whole.extractfile(member))
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.mode, info.size = 0o755, len(data)
            if data.startswith(b"->"):
                info.type, info.linkname, info.size = tarfile.SYMTYPE, data[2:].decode(), 0
            made.addfile(info, io.BytesIO(data) if info.size else None)
    return given.getvalue()


@contextlib.contextmanager
def image(used: Engine, *changes: str, **files: bytes) -> Iterator[str]:
    """Have an image of busybox and some programs of `bin`."""
    name = f"localhost/dagnats-test-{os.urandom(4).hex()}:1"
    data = archive(used, {f"bin/{file}": data for file, data in files.items()})
    flags = [word for change in changes for word in ("-c", change)]
    subprocess.run(
        [used.name, "import", *flags, "-", name], env=used.env, input=data, capture_output=True, timeout=BOUND_S, check=True
    )  # fmt: skip
    try:
        yield name
    finally:
        used.ask("rmi", "-f", name)


def command_lines() -> bytes:
    found = []
    for pid in proctree.processes():
        with contextlib.suppress(OSError):
            found.append(Path(f"/proc/{pid}/cmdline").read_bytes())
    return b"\n".join(found)
