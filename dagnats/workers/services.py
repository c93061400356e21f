"""Services: containers beside the steps of a run. They start with the first step that waits for one, and end with the worker.

All default ones share the network of the first of them, the anchor, which publishes their ports on the loopback of the machine: a step on the machine
reaches them there, a step in a container joins that network. So names need no resolving, which not every network of a runtime does.
"""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from msgspec import Struct, field
from msgspec.structs import replace

from dagnats.bus.output import OutputStream
from dagnats.bus.tasks import Task
from dagnats.core.codec import container_record, service_from
from dagnats.core.pipeline import Ready, Service
from dagnats.workers.action import Ended, Failure, Over, Pausable, Sink, Stop
from dagnats.workers.readiness import Probe, is_ready
from dagnats.workers.runtime import service_name
from dagnats.workers.sink import OutputSink
from dagnats.workers.vault import Vault

TAIL_LINES = 20
TAIL_MAX_BYTES = 64 << 10
LOOK_FIRST_S, LOOK_MOST_S = 0.05, 0.5
HOST = "127.0.0.1"


class ServiceError(Exception):
    """A service is not there; the text says which, and why. `tail` are the last lines that it printed."""

    def __init__(self, message: str, tail: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.tail = tail


class Host(Protocol):
    """Carries services out."""

    async def run(
        self, task: Task, sink: Sink, stop: Stop, *, name: str | None = None, over: Over | None = None
    ) -> Ended:
        """Run a container of this name until it ends or is stopped; `over` is told how it ended before it is removed."""

    async def is_running(self, name: str) -> bool:
        """Whether it has been started."""

    async def published(self, name: str, port: int) -> int | None:
        """The port of the machine on which a port of it is reached; None if there is none."""

    async def execute(self, name: str, words: Sequence[str]) -> bool:
        """Whether a command in it ends well."""


class Reach(Struct, frozen=True):
    """How a step reaches its services: variables for it on the machine, and in a container that joins `network`."""

    outside: Mapping[str, str]
    inside: Mapping[str, str]
    network: str | None


class _Tap:
    """The output of a service: stored like that of a step, and the end of it kept to be looked at."""

    def __init__(self, sink: OutputSink) -> None:
        self._sink = sink
        self.tail = b""

    def put(self, stream: str, chunk: bytes) -> None:
        """Take bytes of "out" or "err"."""
        self.tail = (self.tail + chunk)[-TAIL_MAX_BYTES:]
        self._sink.put(stream, chunk)

    def throttles(self, *sources: Pausable) -> None:
        """Name the sources that are paused while a reader is slow."""
        self._sink.throttles(*sources)

    def hide(self, text: str, *, goes_on: bool = False) -> str:
        """Give a text without secrets."""
        return self._sink.hide(text, goes_on=goes_on)

    def silent_s(self) -> float:
        """A service may be silent."""
        return 0.0

    def lines(self) -> list[str]:
        """Give its last lines, without secrets."""
        return self.hide(self.tail.decode("utf-8", "replace")).splitlines()[-TAIL_LINES:]


class _Running(Struct):
    """One service from its start to its end."""

    name: str
    service: Service
    container: str
    tap: _Tap
    stop: Stop = field(default_factory=Stop)
    whole: "asyncio.Task[Ended] | None" = None
    ready: "asyncio.Task[None] | None" = None
    outside_port: int | None = None
    over: "asyncio.Future[Failure | None]" = field(default_factory=lambda: asyncio.get_running_loop().create_future())
    shares: "list[_Running]" = field(default_factory=list)

    def is_over(self, failure: Failure | None) -> None:
        """Take note of its end, though its container is still there; those that share its network go with it, or it could not be removed."""
        if not self.over.done():
            self.over.set_result(failure)
        for other in self.shares:
            other.stop.order()

    def ended(self) -> str | None:
        """Say how it ended, if it has."""
        if self.over.done():
            return self._message(self.over.result())
        if self.whole is None or not self.whole.done():
            return None
        if self.whole.cancelled() or self.whole.exception() is not None:
            return f"service {self.name} could not be kept running"
        return self._message(self.whole.result().failure)

    def _message(self, failure: Failure | None) -> str:
        return f"service {self.name} has ended: {failure.message if failure is not None else 'exit code 0'}"

    def ends(self) -> "list[asyncio.Future[Any]]":
        """Give what is done when it has ended."""
        return [self.over, *([self.whole] if self.whole is not None else [])]


class Services:
    """The services of one worker, by the part of a run that they belong to."""

    def __init__(self, host: Host, stream: OutputStream, vault: Vault | None) -> None:
        self._host = host
        self._stream = stream
        self._vault = vault
        self._groups: dict[tuple[str, str], dict[str, _Running]] = {}

    async def ready(self, task: Task) -> Reach:
        """Start what the task's pipeline has, and wait for what it uses. Raises ServiceError."""
        group = self._group(task)
        for name in task.uses:
            running = group[name]
            if running.ready is not None:
                await asyncio.shield(running.ready)
            self._check(task)
        return self._reach([group[name] for name in task.uses], group)

    async def lost(self, task: Task) -> ServiceError:
        """Wait until one of those that the task uses has ended."""
        group = self._group(task)
        waiting = [end for running in _needed(task, group) for end in running.ends()]
        await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        return self.why_lost(task) or ServiceError("a service has ended")

    def why_lost(self, task: Task) -> ServiceError | None:
        """Say which of those that the task uses has ended."""
        for running in _needed(task, self._group(task)):
            message = running.ended()
            if message is not None:
                return ServiceError(message, running.tap.lines())
        return None

    def end(self, *, kill: bool = False) -> None:
        """Begin to end all of them."""
        for running in self._everyone():
            running.stop.order(kill=kill)
            if running.ready is not None:
                running.ready.cancel()

    def _everyone(self) -> list[_Running]:
        return [running for group in self._groups.values() for running in group.values()]

    async def close(self) -> None:
        """End all of them, and wait until nothing is left."""
        self.end()
        everyone = self._everyone()
        await asyncio.gather(*(running.whole for running in everyone if running.whole), return_exceptions=True)
        await asyncio.gather(*(running.ready for running in everyone if running.ready), return_exceptions=True)

    def _check(self, task: Task) -> None:
        error = self.why_lost(task)
        if error is not None:
            raise error

    def _group(self, task: Task) -> dict[str, _Running]:
        """Give the services of the task's part of the run; they are started with the first task that asks."""
        key = task.run, str(task.services[0]["scope"])
        group = self._groups.get(key)
        if group is None:
            group = self._groups[key] = {}
            self._start(task, group)
        return group

    def _start(self, task: Task, group: dict[str, _Running]) -> None:
        parts = {str(one["name"]): (one, service_from(one["service"])) for one in task.services}
        joined = [name for name, (_, service) in parts.items() if service.container.network == "default"]
        ports = [port for name in joined for port in parts[name][1].ports]
        anchor = service_name(task.run, key_of(task), joined[0]) if joined else ""
        for name, (record, service) in parts.items():
            container = service.container
            if name in joined[:1]:
                publish = tuple(word for port in ports for word in ("--publish", f"{HOST}::{port}"))
                container = replace(container, options=(*container.options, *publish))
            elif name in joined:
                container = replace(container, network=f"container:{anchor}")
            own = anchor if name in joined[:1] else service_name(task.run, key_of(task), name)
            part = Task(
                run=task.run,
                step=f"{key_of(task)}services.{name}",
                attempt=1,
                cwd=task.env.get("DAGNATS_WORKSPACE", task.cwd),
                kind="service",
                env=record.get("env", {}),
                secret_env=record.get("secret_env", {}),
                secret_credentials=record.get("secret_credentials", {}),
                argv=list(service.command),
                context=record.get("context", {}),
                pipeline=task.pipeline,
                container=container_record(container),
            )
            unsealed = self._vault.unseal(part) if self._vault is not None else None
            sink = OutputSink(part, self._stream, None, unsealed.masker if unsealed is not None else None)
            running = group[name] = _Running(name, service, own, _Tap(sink))
            before = group[joined[0]] if name in joined[1:] else None
            if before is not None:
                before.shares.append(running)
            if unsealed is not None and unsealed.failed is not None:
                running.whole = asyncio.ensure_future(_given(unsealed.failed))
                continue
            part = unsealed.task if unsealed is not None else part
            running.whole = asyncio.create_task(self._carry_out(running, part, sink, before))
            running.ready = asyncio.create_task(self._become_ready(running, anchor if name in joined else ""))

    async def _carry_out(self, running: _Running, part: Task, sink: OutputSink, before: _Running | None) -> Ended:
        try:
            if before is not None:  # whose network it joins
                await self._until_running(before)
                if before.whole is not None and before.whole.done():
                    return before.whole.result()
            return await self._host.run(part, running.tap, running.stop, name=running.container, over=running.is_over)
        finally:
            await sink.finish()

    async def _until_running(self, running: _Running) -> None:
        wait_s = LOOK_FIRST_S
        while running.whole is not None and not running.whole.done():
            if await self._host.is_running(running.container):
                return
            await asyncio.wait([running.whole], timeout=wait_s)
            wait_s = min(LOOK_MOST_S, wait_s * 2)

    async def _become_ready(self, running: _Running, anchor: str) -> None:
        """Wait until it is ready. Raises ServiceError when that takes too long; when it has ended, the caller sees."""
        service, wait_s = running.service, LOOK_FIRST_S
        ready = service.ready or (Ready("tcp", service.ports[0]) if service.ports else None)
        timeout_s = ready.timeout_s if ready is not None else Ready("log", "").timeout_s
        try:
            async with asyncio.timeout(timeout_s):
                await self._until_running(running)
                if service.ports and running.ended() is None:
                    running.outside_port = await self._outside(running, service.ports[0], anchor)
                while running.ended() is None:
                    if ready is None or await is_ready(ready, await self._probe(running, ready, anchor)):
                        return
                    if running.whole is not None:
                        await asyncio.wait([running.whole], timeout=wait_s)
                    wait_s = min(LOOK_MOST_S, wait_s * 2)
        except TimeoutError:
            what = f"{ready.kind} {ready.value}" if ready is not None else "it does not run"
            message = f"service {running.name} was not ready within {timeout_s:g}s ({what})"
            raise ServiceError(message, running.tap.lines()) from None

    async def _outside(self, running: _Running, port: int, anchor: str) -> int | None:
        if running.service.container.network == "host":
            return port
        return await self._host.published(anchor or running.container, port)

    async def _probe(self, running: _Running, ready: Ready, anchor: str) -> Probe:
        port = ready.port
        return Probe(
            host=HOST,
            port=await self._outside(running, port, anchor) if port is not None else running.outside_port,
            printed=running.tap.tail,
            execute=lambda words: self._host.execute(running.container, words),
        )

    def _reach(self, used: Sequence[_Running], group: Mapping[str, _Running]) -> Reach:
        outside: dict[str, str] = {}
        inside: dict[str, str] = {}
        for running in used:
            name = running.name.upper().replace("-", "_")
            outside[f"{name}_HOST"] = inside[f"{name}_HOST"] = HOST
            if running.service.ports:
                inside[f"{name}_PORT"] = str(running.service.ports[0])
                if running.outside_port is not None:
                    outside[f"{name}_PORT"] = str(running.outside_port)
        joined = [one for one in group.values() if one.service.container.network == "default"]
        shared = [one for one in used if one.service.container.network == "default"]
        return Reach(outside, inside, f"container:{joined[0].container}" if shared else "host" if used else None)


def _needed(task: Task, group: Mapping[str, _Running]) -> list[_Running]:
    """Give the services that must live while the task runs: those that it uses, and before them the one whose network they share."""
    used = [group[name] for name in task.uses]
    joined = (running for running in group.values() if running.service.container.network == "default")
    anchor = next(joined, None) if any(one.service.container.network == "default" for one in used) else None
    return used if anchor is None or anchor in used else [anchor, *used]


def key_of(task: Task) -> str:
    """Give what stands before the names of the steps of a task's pipeline."""
    return str(task.services[0]["scope"]) if task.services else ""


async def _given(ended: Ended) -> Ended:
    return ended
