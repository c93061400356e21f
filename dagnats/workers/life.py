"""The life of one container, from its creation to its removal, by commands of its runtime. Each is a process of the guardian and has its time.

The client that is attached to a container is never signalled: a runtime whose client dies at the wrong moment leaves a container half made. An end is
asked of the container, and its removal is repeated until the client has ended.
"""

import asyncio
import os
from collections.abc import Callable, Coroutine, Mapping
from typing import Any, TypeVar

from msgspec.structs import replace

from dagnats.pipes import Captured, Stream, capture, drain
from dagnats.process import Exit, Guardian, Process
from dagnats.workers import runtime as commands
from dagnats.workers.action import Sink
from dagnats.workers.runtime import Made, Runtime
from dagnats.workers.verdict import State

ANSWER_S = 60.0  # what only answers, on a machine that is busy
POLITE: tuple[tuple[str, float], ...] = (("INT", 2.0), ("TERM", 2.0))  # signals, and how long each is given, as outside
_AGAIN_S = 0.05  # a signal is sent again so soon to a container that is only starting
_REMOVE_AGAIN_S = 0.3
_REMOVE_S = 30.0
_SETTLED_S = 2.0  # so long a runtime may need to know that a container has ended
_TAIL_BYTES = 2048

T = TypeVar("T")


class EndingError(Exception):
    """What is done is not wanted any more, as the attempt is ended."""


class Life:
    """A container. `end` may be called at any time, more than once; with kill it means at once."""

    def __init__(self, guardian: Guardian, runtime: Runtime, name: str) -> None:
        self.name = name
        self.runtime = runtime
        self._guardian = guardian
        self._ending = asyncio.Event()
        self._hurry = asyncio.Event()
        self._client: Process | None = None
        self._is_there = False

    def end(self, kill: bool) -> None:
        """Begin its end."""
        self._ending.set()
        if kill:
            self._hurry.set()

    async def ask(self, argv: list[str], env: Mapping[str, str], timeout_s: float = ANSWER_S) -> Captured:
        """Run a command of the runtime to its end."""
        return await capture(self._guardian, argv, cwd="/", env=env, timeout_s=timeout_s, client=True)

    async def unless_ending(self, work: Coroutine[Any, Any, T]) -> T:
        """Await what can be given up. Raises EndingError if an end is wanted before it is done."""
        doing = asyncio.ensure_future(work)
        try:
            await self._first(doing, self._ending)
        finally:
            if not doing.done():
                doing.cancel()
                await asyncio.wait([doing])
        if doing.cancelled():
            raise EndingError
        return doing.result()

    async def create(self, made: Made, env: Mapping[str, str]) -> Captured:
        """Make it, to the end, whatever comes: half a container is what nobody can find."""
        if self._ending.is_set():
            raise EndingError
        self._is_there = True
        creating = asyncio.ensure_future(self.ask(commands.create(self.runtime, made), env))
        try:
            created = await asyncio.shield(creating)
        except asyncio.CancelledError:
            await asyncio.wait([creating])
            raise
        if self._ending.is_set():
            raise EndingError
        return created

    async def run(self, sink: Sink) -> State:
        """Start it and pass on what it prints, until it has ended or an end was wanted."""
        out, out_end = os.pipe()
        err, err_end = os.pipe()
        tail = b""

        def put_err(chunk: bytes) -> None:
            nonlocal tail
            tail = (tail + chunk[-_TAIL_BYTES:])[-_TAIL_BYTES:]
            sink.put("err", chunk)

        streams = [Stream(out, lambda chunk: sink.put("out", chunk)), Stream(err, put_err)]
        sink.throttles(*streams)
        try:
            argv = commands.start(self.runtime, self.name)
            client = self._client = self._guardian.spawn(argv, cwd="/", stdout=out_end, stderr=err_end, client=True)
            waiting = asyncio.ensure_future(client.wait())
            await self._first(waiting, self._ending)
            if not waiting.done():
                await self._bring_down(waiting)
            await waiting
            state = State("removed", 0) if self._ending.is_set() else await self._state()
            await drain(client, streams)
            return replace(state, tail=tail)
        finally:
            for stream in streams:
                stream.close()

    async def remove(self) -> bool:
        """Have nothing left of it, if there is one. False if the runtime did not do it in time."""
        if not self._is_there:
            return True
        removing = asyncio.ensure_future(self._remove())
        try:
            await asyncio.shield(removing)
        except asyncio.CancelledError:
            await asyncio.wait([removing])
            raise
        return not self._is_there

    async def _remove(self) -> None:
        client = self._client
        if client is not None:
            waiting = asyncio.ensure_future(client.wait())
            await self._push_out(waiting)
            await waiting
        gone = await self._again(lambda removed: removed.exit.ok or commands.is_unknown(removed.stderr))
        if client is not None:
            await client.finish()
        self._is_there = not gone

    async def _push_out(self, waiting: "asyncio.Future[Exit]") -> None:
        """Remove it again and again until the client has ended, which may be starting it at this moment."""
        if not waiting.done():
            await asyncio.sleep(0)  # it may have ended before anybody asked
        if not waiting.done():
            await self._again(lambda _: waiting.done(), waiting)
        if not waiting.done() and self._client is not None:
            self._client.kill()  # the runtime does not answer: there is nothing better left

    async def _again(self, is_done: Callable[[Captured], bool], waiting: "asyncio.Future[Exit] | None" = None) -> bool:
        loop = asyncio.get_running_loop()
        until = loop.time() + _REMOVE_S
        while loop.time() < until:
            removed = await self.ask([*commands.remove(self.runtime), self.name], {}, until - loop.time() + 1)
            if is_done(removed):
                return True
            if waiting is None:
                await asyncio.sleep(_REMOVE_AGAIN_S)
            else:
                await asyncio.wait([waiting], timeout=_REMOVE_AGAIN_S)
            if waiting is not None and waiting.done():
                return True
        return False

    async def _bring_down(self, waiting: "asyncio.Future[Exit]") -> None:
        """End what runs in it, in steps; a kill that is wanted meanwhile is done at once."""
        loop = asyncio.get_running_loop()
        for signal, grace_s in POLITE:
            until = loop.time() + grace_s
            sent = False
            while not sent and not self._is_over(waiting) and loop.time() < until:
                sent = (await self.ask(commands.kill(self.runtime, self.name, signal), {})).exit.ok
                await self._first(waiting, self._hurry, 0 if sent else _AGAIN_S)
            await self._first(waiting, self._hurry, max(0.0, until - loop.time()))
            if self._is_over(waiting):
                break
        await self._push_out(waiting)

    def _is_over(self, waiting: "asyncio.Future[Exit]") -> bool:
        return waiting.done() or self._hurry.is_set()

    async def _state(self) -> State:
        """Ask the runtime how it ended: its client's exit code also says what went wrong with the client."""
        loop = asyncio.get_running_loop()
        until = loop.time() + _SETTLED_S
        while True:
            answer = await self.ask(commands.inspect(self.runtime, self.name), {})
            words = answer.stdout.decode("utf-8", "replace").split()
            if answer.exit.ok and len(words) == 3 and (words[0] not in _UNSETTLED or loop.time() >= until):
                return State(words[0], int(words[1]), words[2] == "true")
            if loop.time() >= until:
                return State("unknown", 0)
            await asyncio.sleep(_AGAIN_S)

    @staticmethod
    async def _first(done: "asyncio.Future[Any]", event: asyncio.Event, timeout_s: float | None = None) -> None:
        """Wait for one of the two."""
        waiting = asyncio.ensure_future(event.wait())
        try:
            await asyncio.wait({done, waiting}, timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED)
        finally:
            waiting.cancel()


_UNSETTLED = ("running", "stopping", "stopped", "removing")
