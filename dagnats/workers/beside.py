"""A step beside services: it starts when they are ready, and fails when one of them ends."""

import asyncio
from typing import Any

from msgspec.structs import replace

from dagnats.bus.tasks import Task
from dagnats.core.events import Reason
from dagnats.workers.action import Action, Ended, Failure, Sink, Stop
from dagnats.workers.services import ServiceError, Services


async def run_beside(services: Services, action: Action, task: Task, sink: Sink, stop: Stop) -> Ended:
    """Carry out an attempt once its services are ready."""
    waiting = asyncio.ensure_future(services.ready(task))
    stop.on_stop(lambda _kill: _give_up(waiting))
    try:
        reach = await waiting
    except asyncio.CancelledError:
        if not stop.ordered:
            raise
        return Ended(stopped=True)
    except ServiceError as error:
        return _failed(error, sink)
    if task.kind != "container" or task.container is None:
        return await _run(services, action, replace(task, env={**task.env, **reach.outside}), sink, stop)
    container = dict(task.container)
    joins = container.get("network", "default") == "default" and reach.network is not None
    if joins:
        container["network"] = reach.network
    env = {**task.env, **(reach.inside if joins else reach.outside)}
    return await _run(services, action, replace(task, env=env, container=container), sink, stop)


async def _run(services: Services, action: Action, task: Task, sink: Sink, stop: Stop) -> Ended:
    inner = Stop()
    stop.on_stop(lambda kill: inner.order(kill=kill))
    running = asyncio.ensure_future(action.run(task, sink, inner))
    lost = asyncio.ensure_future(services.lost(task))
    try:
        await asyncio.wait({running, lost}, return_when=asyncio.FIRST_COMPLETED)
        if not running.done():
            inner.order()
        ended = await running
    finally:
        lost.cancel()
        if not running.done():
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
    if stop.ordered or (ended.failure is None and not ended.stopped):
        return ended
    error = services.why_lost(task)
    return _failed(error, sink) if error is not None else ended


def _failed(error: ServiceError, sink: Sink) -> Ended:
    """Say why, with the last words of the service."""
    if error.tail:
        lines = "".join(f"    {line}\n" for line in error.tail)
        sink.put("err", f"dagnats: the last lines of the service:\n{lines}".encode())
    return Ended(Failure(Reason.SERVICE, str(error)))


def _give_up(waiting: "asyncio.Future[Any]") -> None:
    waiting.cancel()
