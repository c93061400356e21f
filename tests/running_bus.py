"""What the tests of journal, queue and workers share: a real nats-server with its streams, an engine's witness, and workers."""

import asyncio
from dataclasses import dataclass, field

from dagnats.bus import journal as journals
from dagnats.bus.link import Link
from dagnats.bus.server import Address, Server
from dagnats.bus.topology import set_up
from dagnats.core.events import RunStarted
from dagnats.core.pipeline import Pipeline, Step
from dagnats.process import Guardian
from dagnats.workers.kinds import actions
from dagnats.workers.worker import Worker

BOUND_S = 30.0
ACK_WAIT_S = 1.0
RUN = "calm-otter-1"


@dataclass
class Bus:
    """A server with its streams, and as many connections to it as a test asks for."""

    guardian: Guardian
    address: Address
    links: list[Link] = field(default_factory=list)

    async def link(self) -> Link:
        link = Link()
        await link.connect(self.address)
        self.links.append(link)
        return link


def on_bus(directory, work, within_s=BOUND_S):
    """Run a test's coroutine on a server of its own."""

    async def main():
        guardian = Guardian.start()
        guardian.attach(asyncio.get_running_loop())
        server = Server(guardian, directory)
        server.start()
        bus = Bus(guardian, await server.ready())
        try:
            await set_up(await bus.link(), ack_wait_s=ACK_WAIT_S)
            await asyncio.wait_for(work(bus), within_s)
        finally:
            for link in bus.links:
                await link.close()
            await guardian.close()

    asyncio.run(main())


def started(directory="/", plan=None, **values):
    plan = plan or Pipeline(name="p", file="p.yaml", steps=(Step(id="a", run="true"),))
    return RunStarted(seq=1, at=1.0, run=RUN, plan=plan, max_parallel=1, workspace=str(directory), **values)


async def stored(link):
    return [commit async for commit in journals.read(link, RUN)]


class Told:
    """The events that the engine says are stored; `event` waits for one of a kind."""

    def __init__(self):
        self.all = []
        self._changed = asyncio.Event()

    def events(self, events):
        self.all += events
        self._changed.set()

    async def event(self, kind):
        while not (found := [event for event in self.all if isinstance(event, kind)]):
            self._changed.clear()
            await self._changed.wait()
        return found[0]


async def worker(bus, directory, name, ack_wait_s, watcher=None, *, places=1):
    """Start a worker with a connection and a directory of its own."""
    scratch = directory / name
    scratch.mkdir()
    started_worker = Worker(await bus.link(), actions(bus.guardian, scratch), places, watcher, ack_wait_s=ack_wait_s)
    await started_worker.start()
    return started_worker
