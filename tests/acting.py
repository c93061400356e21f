"""What the contract of an action is tested with: the kinds, a place for each to act in, and a sink that remembers.

A new kind is an entry of `MAKERS`: how a task of that kind carries out a script of `sh` in a directory that both sides see.
"""

import asyncio
import itertools
import os
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from running_containers import NAMES, engine
from running_processes import guarded

from dagnats.bus.tasks import Task
from dagnats.process import Guardian
from dagnats.workers.action import Action, Ended, Pausable, Stop
from dagnats.workers.kinds import actions


def shell_task(directory: Path, script: str, **fields: Any) -> Task:
    return Task(kind="shell", cwd=str(directory), shell="sh", script=script, **fields)


def container_task(directory: Path, script: str, **fields: Any) -> Task:
    env = {"DAGNATS_WORKSPACE": str(directory), **fields.pop("env")}
    return Task(kind="container", cwd=str(directory), shell="sh", script=script, env=env, **fields)


MAKERS: Mapping[str, Callable[..., Task]] = {"shell": shell_task, **dict.fromkeys(NAMES, container_task)}


CONTAINERS_BOUND_S = 120.0  # a container costs some 0.3 s of both processors

SECRET = "hunter2-hunter2"


class Sink:
    """Keeps what is put; `said` waits for it. One that is slow has its sources wait after every chunk until the loop turns."""

    def __init__(self, *, slow: bool = False) -> None:
        self.texts = {"out": bytearray(), "err": bytearray()}
        self.pauses = 0
        self._slow = slow
        self._sources: tuple[Pausable, ...] = ()
        self._changed = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        self._last = self._loop.time()
        self._closed = False

    def put(self, stream: str, chunk: bytes) -> None:
        assert not self._closed, f"{chunk!r} was put after the end"
        self._last = self._loop.time()
        self.texts[stream] += chunk
        self._changed.set()
        if self._slow:
            for source in self._sources:
                self.pauses += 1
                source.pause()
                self._loop.call_soon(source.resume)

    def throttles(self, *sources: Pausable) -> None:
        self._sources = sources

    def hide(self, text: str, *, goes_on: bool = False) -> str:
        text = text.replace(SECRET, "***")
        begun = next((size for size in range(len(SECRET) - 1, 0, -1) if goes_on and text.endswith(SECRET[:size])), 0)
        return text[: len(text) - begun]

    def silent_s(self) -> float:
        return self._loop.time() - self._last

    def close(self) -> None:
        """Take nothing any more."""
        self._closed = True

    async def said(self, text: bytes, stream: str = "out", times: int = 1) -> None:
        while self.texts[stream].count(text) < times:
            self._changed.clear()
            await self._changed.wait()

    @property
    def out(self) -> bytes:
        return bytes(self.texts["out"])

    @property
    def err(self) -> bytes:
        return bytes(self.texts["err"])


@dataclass
class Attempt:
    """One task in an action's hands."""

    task: Task
    sink: Sink
    stop: Stop
    end: asyncio.Task[Ended]

    async def ended(self) -> Ended:
        """Wait for the end; from then on nothing may be put."""
        ended = await self.end
        self.sink.close()
        return ended


@dataclass
class Stage:
    """An action of one kind, and a directory for its tasks. `word` is in the environment of all that they start."""

    action: Action
    make: Callable[..., Task]
    directory: Path
    word: str
    _attempts: Any = field(default_factory=lambda: itertools.count(1))

    def task(self, script: str, **fields: Any) -> Task:
        """Ask for a script; `$LONG` in it is a command that runs for longer than any test, with the word even in an environment that was cleared."""
        env = {"WORD": self.word, "LONG": f"env {self.word}= sleep 600", **fields.pop("env", {})}
        known = {"run": "calm-otter-1", "step": "a", "attempt": next(self._attempts)}
        return self.make(self.directory, script, **{**known, **fields}, env=env)

    def begin(self, task: Task, *, sink: Sink | None = None, stop: Stop | None = None) -> Attempt:
        """Hand it to the action, as a worker does."""
        sink, stop = sink or Sink(), stop or Stop()
        return Attempt(task, sink, stop, asyncio.ensure_future(self.action.run(task, sink, stop)))

    async def ended(self, script: str, **fields: Any) -> Ended:
        """Run a script to its end."""
        return await self.begin(self.task(script, **fields)).ended()


def on_stage(kind: str, directory: Path, work: Callable[[Stage], Awaitable[None]]) -> None:
    """Run a test's coroutine with an action of this kind."""
    scratch = directory / "scratch"
    scratch.mkdir(mode=0o700)
    (directory / "work").mkdir()

    word = f"LEFT_{os.urandom(8).hex()}"
    if kind not in NAMES:

        async def act(guardian: Guardian) -> None:
            await work(Stage(actions(guardian, scratch)[kind], MAKERS[kind], directory / "work", word))

        guarded(act)
    else:
        used = engine(kind)
        run = f"calm-otter-{os.urandom(4).hex()}"

        def make(folder: Path, script: str, **fields: Any) -> Task:
            container = {"image": used.image, "network": "none", "pull": "never"}
            return container_task(folder, script, **{**fields, "run": run}, container=container)

        async def act_within(guardian: Guardian) -> None:
            action = actions(guardian, scratch, {}, await used.runtime(guardian))["container"]
            await work(Stage(action, make, directory / "work", word))

        guarded(act_within, base_env=dict(used.env), within_s=CONTAINERS_BOUND_S)
        left = used.left(run)
        assert left == {"containers": [], "processes": []}, left
    assert list(scratch.iterdir()) == [], "files of an attempt are left"
