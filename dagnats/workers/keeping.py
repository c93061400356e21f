"""Artifacts of an attempt: kept when it has ended, and those of steps before it brought back before it begins."""

import asyncio
import hashlib
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

from msgspec.structs import replace

from dagnats.bus import blobs
from dagnats.bus.link import Link
from dagnats.bus.tasks import Task
from dagnats.core.events import Artifact, Reason
from dagnats.core.keeping import BYTES_MAX, FILES_MAX, is_kept
from dagnats.errors import EngineError, JournalError
from dagnats.workers.action import Ended, Failure, Stop
from dagnats.workers.archive import Bounds, StoppedError, pack, unpack
from dagnats.workers.tree import Found, TreeError, find

RESTORED = "restored"  # the file that says which objects a run has brought back


class Keeper:
    """Keeps and brings back files; `directory` is private to the worker, and what lies beside it stays with the run."""

    def __init__(self, link: Link, directory: Path | None) -> None:
        self._link = link
        self._directory = directory
        self._restored: set[str] | None = None
        self._restoring = asyncio.Lock()

    async def keep(self, task: Task, ended: Ended, stop: Stop) -> Ended:
        """Keep what the step asks for, if it has ended in the way that it says; gives the end with what is kept of it."""
        asked: Mapping[str, Any] = task.artifacts or {}
        if ended.stopped or not is_kept(asked["when"], failed=ended.failure is not None):
            return ended
        try:
            kept, note = await self._kept(_workspace(task), asked["paths"], stop)
        except StoppedError:
            return Ended(stopped=True, note=ended.note)
        except (TreeError, EngineError) as error:
            return _failed(ended, f"the artifacts `{asked['name']}` could not be kept: {error}")
        if note:
            ended = _noted(ended, f"artifacts: {note}")
        return replace(ended, artifacts={asked["name"]: kept}) if kept is not None else ended

    async def _kept(self, workspace: str, paths: list[str], stop: Stop) -> tuple[Artifact | None, str]:
        with tempfile.TemporaryFile(dir=self._directory) as file:
            found = await asyncio.to_thread(find, workspace, paths)
            if not found.files:
                return None, found.note() or "there is no file in what they name"
            digest = await asyncio.to_thread(_packed, workspace, found, file, stop)
            await blobs.put(self._link, digest, file, lambda: _unless_stopped(stop))
            return Artifact(object=digest, bytes=found.bytes, files=found.files), found.note()

    async def restore(self, task: Task, stop: Stop) -> Ended | None:
        """Bring back what the step needs, each object once in a run; gives an end when that can not be."""
        async with self._restoring:
            for one in task.restores:
                if one["object"] in self._known():
                    continue
                try:
                    await self._restore(_workspace(task), one, stop)
                except StoppedError:
                    return Ended(stopped=True)
                except (TreeError, EngineError, JournalError) as error:
                    text = f"the artifacts `{one['name']}` of {one['step']} could not be brought back: {error}"
                    return Ended(Failure(Reason.ARTIFACTS, text))
                self._note(one["object"])
        return None

    async def _restore(self, workspace: str, one: Mapping[str, Any], stop: Stop) -> None:
        bounds = Bounds(min(one["bytes"], BYTES_MAX), min(one["files"], FILES_MAX))
        with tempfile.TemporaryFile(dir=self._directory) as file:
            async for chunk in blobs.get(self._link, one["object"]):
                _unless_stopped(stop)
                file.write(chunk)
            file.seek(0)
            await asyncio.to_thread(unpack, workspace, file, bounds, lambda: stop.ordered)

    def _known(self) -> set[str]:
        if self._restored is None:
            path = self._record()
            self._restored = set(path.read_text().split()) if path is not None and path.exists() else set()
        return self._restored

    def _note(self, digest: str) -> None:
        """Remember it, also for who takes up the run after a crash: a step may have changed the files since."""
        self._known().add(digest)
        path = self._record()
        if path is not None:
            with path.open("a") as file:
                file.write(f"{digest}\n")

    def _record(self) -> Path | None:
        return self._directory.parent / RESTORED if self._directory is not None else None


def _workspace(task: Task) -> str:
    return task.env.get("DAGNATS_WORKSPACE") or task.cwd


def _unless_stopped(stop: Stop) -> None:
    if stop.ordered:
        raise StoppedError


def _packed(workspace: str, found: Found, file: IO[bytes], stop: Stop) -> str:
    """Write the archive, and give its digest."""
    pack(workspace, found, file, lambda: stop.ordered)
    file.seek(0)
    return hashlib.file_digest(file, "sha256").hexdigest()  # type: ignore[arg-type]  # a file that was opened as bytes


def _failed(ended: Ended, text: str) -> Ended:
    """A failure of the step itself counts more."""
    if ended.failure is not None:
        return _noted(ended, text)
    return replace(ended, failure=Failure(Reason.ARTIFACTS, text, 0))


def _noted(ended: Ended, text: str) -> Ended:
    return replace(ended, note="; ".join(filter(None, (ended.note, text))))
