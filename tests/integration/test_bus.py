"""The journal, the queue and the workers on a real nats-server: what is sent twice, written by two, too large, or held by a worker that is lost."""

import asyncio
import base64
import contextlib

import pytest
from running_bus import ACK_WAIT_S, RUN, Told, on_bus, started, stored, worker

from dagnats.bus.journal import COMMIT_MAX_BYTES, Journal, last_commit_id
from dagnats.bus.link import Link
from dagnats.bus.server import Address
from dagnats.core.events import CancelledBy, Reason, RunFinished, StepFailed, StepScheduled, StepStarted
from dagnats.core.state import fold
from dagnats.definition import load
from dagnats.dispatch import Dispatch
from dagnats.engine import Engine
from dagnats.errors import DiskFullError, JournalError, RunLostError


class Writer:
    """A journal's writing end whose appends can be awaited."""

    def __init__(self, link):
        self.broken = asyncio.get_running_loop().create_future()
        self._journal = Journal(link, RUN, self.broken.set_exception)

    def append(self, events):
        stored = asyncio.Event()
        self._journal.append(events, stored.set)
        return asyncio.create_task(stored.wait())


def scheduled(seq):
    return StepScheduled(seq=seq, at=2.0, step="a", attempt=1)


def test_a_journal_reads_back_as_it_was_written(tmp_path):
    async def work(bus):
        link = await bus.link()
        journal = Writer(link)
        commits = [[started()], [scheduled(2)], [StepStarted(seq=3, at=3.0, step="a", attempt=1, worker="w")]]
        for commit in commits:
            await journal.append(commit)
        assert await stored(await bus.link()) == commits

    on_bus(tmp_path, work)


class DeafProxy:
    """A way to the server on which, from `deaf` on, no answer comes back."""

    def __init__(self, address):
        self._to = address.url.removeprefix("nats://").rsplit(":", 1)
        self._token = address.token
        self.deaf = False

    async def start(self):
        self._server = await asyncio.start_server(self._connected, "127.0.0.1", 0)
        port = self._server.sockets[0].getsockname()[1]
        return Address(f"nats://127.0.0.1:{port}", self._token)

    async def _connected(self, reader, writer):
        up_reader, up_writer = await asyncio.open_connection(self._to[0], int(self._to[1]))
        both = [self._pass(reader, up_writer, answers=False), self._pass(up_reader, writer, answers=True)]
        await asyncio.wait([asyncio.ensure_future(one) for one in both], return_when=asyncio.FIRST_COMPLETED)
        up_writer.close()
        writer.close()

    async def _pass(self, reader, writer, *, answers):
        while data := await reader.read(65536):
            if not (answers and self.deaf):
                writer.write(data)

    async def close(self):
        self._server.close()
        await self._server.wait_closed()


def test_a_commit_whose_acknowledgement_was_lost_is_stored_once(tmp_path):
    async def work(bus):
        observer = await bus.link()
        proxy = DeafProxy(bus.address)
        link = Link()
        await link.connect(await proxy.start())
        bus.links.append(link)
        journal = Writer(link)
        await journal.append([started()])
        proxy.deaf = True
        acknowledged = journal.append([scheduled(2)])
        while (await last_commit_id(observer, RUN))[1] < 2:
            pass
        assert not acknowledged.done()
        await link.client.close()
        await link.connect(bus.address)
        await acknowledged
        await journal.append([StepStarted(seq=3, at=3.0, step="a", attempt=1, worker="w")])
        assert [len(commit) for commit in await stored(observer)] == [1, 1, 1]
        await proxy.close()

    on_bus(tmp_path, work)


def test_what_was_not_acknowledged_is_sent_again_after_a_reconnect(tmp_path):
    async def work(bus):
        link = await bus.link()
        journal = Writer(link)
        await journal.append([started()])
        await link.client.close()
        acknowledged = journal.append([scheduled(2)])
        assert not acknowledged.done()
        await link.connect(bus.address)
        await acknowledged
        assert await stored(link) == [[started()], [scheduled(2)]]

    on_bus(tmp_path, work)


def test_a_second_writer_has_lost_and_changes_nothing(tmp_path):
    async def work(bus):
        first, second = Writer(await bus.link()), Writer(await bus.link())
        await first.append([started()])
        acknowledged = second.append([started(params={"from": "the other"})])
        with pytest.raises(RunLostError, match="another engine"):
            await second.broken
        acknowledged.cancel()
        await first.append([scheduled(2)])
        assert await stored(await bus.link()) == [[started()], [scheduled(2)]]

    on_bus(tmp_path, work)


def test_a_large_commit_travels_by_the_object_store(tmp_path):
    async def work(bus):
        link = await bus.link()
        event = started(params={"large": "x" * (COMMIT_MAX_BYTES + 1)})
        journal = Writer(link)
        await journal.append([event])
        await journal.append([scheduled(2)])
        answer = await link.call("$JS.API.STREAM.MSG.GET.HISTORY", {"seq": 1})
        assert len(base64.b64decode(answer["message"]["data"])) < 1000
        assert await stored(await bus.link()) == [[event], [scheduled(2)]]
        await link.client.jetstream().delete_object_store("objects")
        with pytest.raises(JournalError, match="missing"):
            await stored(link)

    on_bus(tmp_path, work)


def test_a_journal_with_a_gap_is_refused(tmp_path):
    async def work(bus):
        link = await bus.link()
        journal = Writer(link)
        for events in ([started()], [scheduled(2)], [StepStarted(seq=3, at=3.0, step="a", attempt=1, worker="w")]):
            await journal.append(events)
        await link.call("$JS.API.STREAM.MSG.DELETE.HISTORY", {"seq": 2})
        with pytest.raises(JournalError, match="commit 2"):
            await stored(link)

    on_bus(tmp_path, work)


def test_a_run_without_a_journal_is_said_to_have_none(tmp_path):
    async def work(bus):
        link = await bus.link()
        assert await last_commit_id(link, RUN) == ("", 0)
        with pytest.raises(JournalError, match="no journal"):
            await stored(link)

    on_bus(tmp_path, work)


class Shown:
    """What a worker shows; `any` is set once a step has printed."""

    def __init__(self):
        self.any = asyncio.Event()

    def output(self, step, attempt, stream, chunk):
        self.any.set()

    async def room(self):
        """There is always room."""


LOST = """
name: lost
steps:
  - id: a
    retry: {max_attempts: 2, on: [lost]}
    run: |
      echo "$DAGNATS_ATTEMPT" >> attempts
      echo "runs"
      if [ "$DAGNATS_ATTEMPT" = 1 ]; then trap 'echo stopped >> attempts' EXIT; sleep 600; fi
"""


@pytest.mark.parametrize("ending", ["closed", "frozen"])
def test_a_lost_worker_s_step_goes_to_another(tmp_path, ending):
    async def work(bus):
        told = Told()
        plan = load("lost.yaml", LOST.encode())
        link = await bus.link()
        engine = Engine(link, Dispatch({}, {}), told, started(tmp_path, plan))
        running = asyncio.create_task(engine.run())
        # one that is frozen goes on with the step and never tells the queue that it does
        patience_s = 1000.0 if ending == "frozen" else ACK_WAIT_S
        shown = Shown()
        first = await worker(bus, tmp_path, "first", patience_s, shown)
        await shown.any.wait()
        assert (await told.event(StepStarted)).worker == first.name
        if ending == "closed":
            await first.close()
        second = await worker(bus, tmp_path, "second", ACK_WAIT_S)
        failed = await told.event(StepFailed)
        assert (failed.attempt, failed.reason) == (1, Reason.LOST)
        await told.event(RunFinished)
        state = await running
        assert state.outcome == "succeeded"
        assert state.steps["a"].attempt == 2
        events = [event for commit in await stored(link) for event in commit]
        assert events == told.all
        assert fold(events).outcome == "succeeded"
        for each in (first, second):
            with contextlib.suppress(asyncio.CancelledError):
                await each.close()

    on_bus(tmp_path, work)
    assert [line for line in (tmp_path / "attempts").read_text().split() if line != "stopped"] == ["1", "2"]


def test_an_engine_that_was_told_of_a_failure_around_it_decides_nothing_more(tmp_path):
    """The exit code says that the run broke; its journal must not say that it ended."""

    async def work(bus):
        told = Told()
        link = await bus.link()
        engine = Engine(link, Dispatch({}, {}), told, started(tmp_path))
        running = asyncio.create_task(engine.run())
        await told.event(StepScheduled)
        engine.crash(DiskFullError("disk full: there"))
        engine.cancel(CancelledBy.SIGNAL, "received SIGINT", force=True)
        with pytest.raises(DiskFullError):
            await running
        await link.settled()
        assert [event for commit in await stored(link) for event in commit] == told.all
        assert not isinstance(told.all[-1], RunFinished)

    on_bus(tmp_path, work)
