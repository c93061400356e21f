"""What `dagnats.bus.client` replaces of nats-py is what nats-py calls; else all would still work, and only take longer."""

import asyncio
from pathlib import Path

import pytest
from nats.errors import ConnectionClosedError, MaxPayloadError

from dagnats.bus.client import READ_BYTES, Client, Message
from dagnats.bus.server import MAX_PAYLOAD_BYTES, Server
from dagnats.process import Guardian

BOUND_S = 30.0


def with_client(directory: Path, work) -> None:
    """Run a test's coroutine with a client of a server of its own, and what its handlers raised."""

    async def main() -> None:
        guardian = Guardian.start()
        guardian.attach(asyncio.get_running_loop())
        server = Server(guardian, directory)
        server.start()
        address = await server.ready()
        broken: list[Exception] = []
        client = Client(broken.append)
        await client.connect(servers=[address.url], token=address.token, allow_reconnect=False)
        try:
            await asyncio.wait_for(work(client, broken), BOUND_S)
        finally:
            await client.close()
            await guardian.close()

    asyncio.run(main())


class Inbox:
    def __init__(self) -> None:
        self.got: list[Message] = []
        self._changed = asyncio.Event()

    def take(self, message: Message) -> None:
        self.got.append(message)
        self._changed.set()

    async def wait(self, count: int) -> list[Message]:
        while len(self.got) < count:
            self._changed.clear()
            await self._changed.wait()
        return self.got


def test_a_message_is_handled_where_it_is_parsed_and_sent_without_a_task(tmp_path):
    async def work(client, broken):
        inbox, stacks = Inbox(), []

        def take(message: Message) -> None:
            stacks.append(asyncio.current_task())
            inbox.take(message)

        await client.handle("here", take)
        client.send("here", b"plain")
        client.send("here", b"with", "reply.to", {"Status": "404"})
        got = await inbox.wait(2)
        headers = {"Status": "404"}
        assert got == [Message("here", "", b"plain"), Message("here", "reply.to", b"with", "404", headers)]
        assert set(stacks) == {client._reading_task}
        assert client._flush_queue.empty()
        assert client._transport._io_writer.transport.max_size == READ_BYTES
        assert broken == []

    with_client(tmp_path, work)


def test_what_is_not_urgent_goes_with_what_is_sent_next_or_soon(tmp_path):
    async def work(client, broken):
        inbox = Inbox()
        await client.handle("here", inbox.take)
        client.send("here", b"lazy", urgent=False)
        client.send("here", b"urgent")
        assert [message.data for message in await inbox.wait(2)] == [b"lazy", b"urgent"]
        client.send("here", b"alone", urgent=False)
        assert (await inbox.wait(3))[2].data == b"alone"

    with_client(tmp_path, work)


def test_a_handler_that_breaks_is_told_and_the_next_message_is_handled(tmp_path):
    async def work(client, broken):
        inbox = Inbox()

        def take(message: Message) -> None:
            inbox.take(message)
            raise ValueError(message.data.decode())

        await client.handle("here", take)
        client.send("here", b"one")
        client.send("here", b"two")
        await inbox.wait(2)
        assert [str(error) for error in broken] == ["one", "two"]

    with_client(tmp_path, work)


def test_nothing_is_handled_once_it_is_forgotten(tmp_path):
    async def work(client, broken):
        first, second = Inbox(), Inbox()
        forget = await client.handle("here", first.take)
        await client.handle("here", second.take)
        client.send("here", b"one")
        await second.wait(1)
        await forget()
        client.send("here", b"two")
        await second.wait(2)
        assert [message.data for message in first.got] == [b"one"]

    with_client(tmp_path, work)


def test_what_the_server_would_hang_up_on_is_refused_here(tmp_path):
    async def work(client, broken):
        with pytest.raises(MaxPayloadError):
            client.send("here", b"x" * (MAX_PAYLOAD_BYTES + 1))
        with pytest.raises(MaxPayloadError):
            client.send("here", b"x" * MAX_PAYLOAD_BYTES, headers={"A": "b"})
        await client.close()
        with pytest.raises(ConnectionClosedError):
            client.send("here", b"")

    with_client(tmp_path, work)
