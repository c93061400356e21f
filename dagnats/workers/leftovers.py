"""Containers that a runner left which was killed together with its guardian: found by their labels, and removed for good.

`remove_of` is the fence before an attempt starts anew: when it returns, nothing that earlier runners of the run made is left in any runtime.
"""

import asyncio
import contextlib
import json
import os
import signal
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from msgspec import Struct

from dagnats import proctree
from dagnats.errors import EngineError
from dagnats.pipes import Captured, capture
from dagnats.process import Guardian
from dagnats.workers import runtime as commands
from dagnats.workers.finding import find_all
from dagnats.workers.runtime import Runtime

ASKED_S = 60.0
TRIES = 4
MONITOR_ENDS_S = 2.0
_AGAIN_S = 0.3
_LOOK_S = 0.05
RUNNER = "dagnats.runner"
NAME_BEGINS = "dagnats-"


class Container(Struct, frozen=True):
    """One that has our labels, or, without any, what only the OCI runtime of podman knows."""

    runtime: Runtime
    id: str
    name: str
    run: str = ""
    workspace: str = ""
    runner: str = ""
    host: str = ""

    def said(self) -> str:
        """Name it for a person."""
        return f"{self.name} ({self.runtime.kind})"


class Before(Struct, frozen=True):
    """A run whose earlier runners are gone, and of which nobody else is one: whoever says so holds its lock. `marks` are of those that are known."""

    run: str
    workspace: str
    marks: Collection[str] = ()

    def had(self, container: Container) -> bool:
        """Whether a container is of an earlier runner. On another machine there may be a run of the same name, with the same daemon."""
        is_of_run = (container.run, container.workspace) == (self.run, self.workspace)
        return is_of_run and (container.runner in self.marks or container.host in ("", os.uname().nodename))


class Leftovers:
    """What there is in one runtime."""

    def __init__(self, guardian: Guardian, runtime: Runtime) -> None:
        self._guardian = guardian
        self._runtime = runtime
        self._oci: str | None = None

    async def found(self, label: str = RUNNER) -> list[Container]:
        """Give all that have the label."""
        ids = await self._ids(f"--filter=label={label}")
        if not ids:
            return []
        shown = "{{.Id}}\t{{.Name}}\t{{json .Config.Labels}}"
        answer = await self._ask("container", "inspect", "--format", shown, *ids)  # one may have gone meanwhile
        lines = (line.split("\t") for line in answer.stdout.decode("utf-8", "replace").splitlines())
        return [self._container(*parts) for parts in lines if len(parts) == 3]

    def _container(self, id_: str, name: str, labels: str) -> Container:
        told = json.loads(labels) or {}
        values = (str(told.get(f"dagnats.{key}", "")) for key in ("run", "workspace", "runner", "host"))
        return Container(self._runtime, id_, name.removeprefix("/"), *values)

    async def strays(self) -> list[Container]:
        """Give what podman has forgotten: it was removed while the client that was to start it had been killed."""
        if self._runtime.kind != "podman" or not proctree.AVAILABLE:
            return []
        first = await self._unknown()
        if not first:
            return []
        await asyncio.sleep(_AGAIN_S)  # one that is just being removed is gone by then
        return [stray for id_, stray in (await self._unknown()).items() if id_ in first]

    async def _unknown(self) -> dict[str, Container]:
        monitored = {id_: one.name for id_, one in _monitors().items() if one.name.startswith(NAME_BEGINS)}
        known = await self._ids("--external") if monitored else []
        return {id_: Container(self._runtime, id_, name) for id_, name in monitored.items() if id_ not in known}

    async def remove(self, containers: Sequence[Container]) -> list[Container]:
        """Remove them; gives those that are still there. What shares the network of another goes before that, so that it takes several turns."""
        left = list(containers)
        for turn in range(TRIES):
            if turn:
                await asyncio.sleep(_AGAIN_S)
            left = [one for one in left if not await self._remove(one)]
            if not left:
                break
        return left

    async def _remove(self, container: Container) -> bool:
        is_podman = self._runtime.kind == "podman"
        if is_podman and not await self._is_running(container.id):
            await self._delete(container.id)  # before podman forgets it, as it may not know that there is something
        removed = await capture(
            self._guardian,
            [*commands.remove(self._runtime), container.id],
            cwd="/",
            timeout_s=ASKED_S,
            client=True,
        )
        gone = removed.exit.ok or commands.is_unknown(removed.stderr)
        if gone and is_podman:
            await self._end_monitor(container.id)
            await self._delete(container.id)
        return gone

    async def _end_monitor(self, id_: str) -> None:
        """Let the monitor of a container that is gone end by itself, as it tidies up, or kill it."""
        loop = asyncio.get_running_loop()
        until = loop.time() + MONITOR_ENDS_S
        while (monitor := _monitors().get(id_)) is not None:
            if loop.time() > until:
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.kill(monitor.pid, signal.SIGKILL)
                return
            await asyncio.sleep(_LOOK_S)

    async def _is_running(self, id_: str) -> bool:
        status = await self._ask("container", "inspect", "--format", "{{.State.Status}}", id_)
        return status.exit.ok and status.stdout.strip() == b"running"

    async def _delete(self, id_: str) -> None:
        """Delete what the OCI runtime of podman may have of a container."""
        if self._oci is None:
            answer = await self._ask("info", "--format", "{{.Host.OCIRuntime.Path}}")
            self._oci = answer.stdout.decode("utf-8", "replace").strip() if answer.exit.ok else ""
        if self._oci.startswith("/"):
            await capture(
                self._guardian, [self._oci, "delete", "--force", id_], cwd="/", timeout_s=ASKED_S, client=True
            )

    async def _ids(self, *flags: str) -> list[str]:
        answer = await self._ask("ps", "--all", "--quiet", "--no-trunc", *flags)
        if not answer.exit.ok:
            raise EngineError(f"{self._runtime.kind} does not list its containers: {commands.said(answer.stderr)}")
        return answer.stdout.decode("utf-8", "replace").split()

    async def _ask(self, *words: str) -> Captured:
        return await capture(
            self._guardian,
            [self._runtime.program, *words],
            cwd="/",
            timeout_s=ASKED_S,
            limit_bytes=8 << 20,
            client=True,
        )


async def remove_of(guardian: Guardian, environ: Mapping[str, str], before: Before) -> int:
    """Remove all containers that earlier runners of a run have left, whichever runtime has them; gives how many. Raises EngineError when one stays."""
    runtimes, _ = await find_all(guardian, environ)
    count = 0
    for runtime in runtimes:
        leftovers = Leftovers(guardian, runtime)
        found = [one for one in await leftovers.found(f"dagnats.run={before.run}") if before.had(one)]
        left = await leftovers.remove(found)
        if left:
            raise EngineError(
                f"the container {left[0].said()} of the run before can not be removed; remove it, and try again"
            )
        count += len(found)
    return count


class _Monitor(NamedTuple):
    pid: int
    name: str


def _monitors() -> dict[str, _Monitor]:
    """Give the monitors of podman that are this user's, by the ids of the containers that they watch over."""
    found = {}
    for pid in proctree.processes() if proctree.AVAILABLE else ():
        words = [word.decode("utf-8", "replace") for word in proctree.words(pid)]
        if words and Path(words[0]).name == "conmon" and _is_own(pid):
            found[_after(words, "-c")] = _Monitor(pid, _after(words, "-n"))
    return found


def _after(words: Sequence[str], flag: str) -> str:
    at = words.index(flag) + 1 if flag in words else len(words)
    return words[at] if at < len(words) else ""


def _is_own(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}").stat().st_uid == os.geteuid()
    except OSError:
        return False
