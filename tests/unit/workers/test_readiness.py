"""Whether a service is ready, against real sockets."""

import asyncio

import pytest

from dagnats.core.pipeline import Ready
from dagnats.workers import readiness
from dagnats.workers.readiness import Probe, is_ready

HOST = "127.0.0.1"
BOUND_S = 10.0
TCP, HTTP = Ready("tcp", 1), Ready("http", "/health")


async def closes(reader, writer):
    writer.close()


async def waits(reader, writer):
    await reader.read()
    writer.close()


async def greets(reader, writer):
    writer.write(b"+OK\r\n")
    await writer.drain()
    await waits(reader, writer)


def says(answer: bytes, asked: list[bytes] | None = None):
    async def serve(reader, writer):
        head = await reader.readuntil(b"\r\n\r\n")
        if asked is not None:
            asked.append(head)
        writer.write(answer)
        await writer.drain()
        writer.close()

    return serve


def looked(ready: Ready, serve, **more) -> bool:
    """Look once at a server of this kind."""

    async def work() -> bool:
        served = []

        async def handled(reader, writer):
            served.append(asyncio.current_task())
            try:
                await serve(reader, writer)
            finally:
                writer.close()
                await asyncio.gather(writer.wait_closed(), return_exceptions=True)

        async with await asyncio.start_server(handled, HOST, 0) as server:
            found = await is_ready(ready, probe(server.sockets[0].getsockname()[1], **more))
        await asyncio.wait_for(asyncio.gather(*served, return_exceptions=True), BOUND_S)
        return found

    return asyncio.run(work())


def probe(port: int | None, *, printed: bytes = b"", ran: list[tuple[str, ...]] | None = None, ends_well: bool = True):
    async def execute(words):
        if ran is not None:
            ran.append(tuple(words))
        return ends_well

    return Probe(HOST, port, printed, execute)


def free_port() -> int:
    async def work() -> int:
        server = await asyncio.start_server(waits, HOST, 0)
        async with server:
            return server.sockets[0].getsockname()[1]

    return asyncio.run(work())


@pytest.mark.parametrize(("serve", "expected"), [(closes, False), (waits, True), (greets, True)])
def test_a_port_takes_connections_when_it_keeps_them(serve, expected):
    assert looked(TCP, serve) is expected


@pytest.mark.parametrize("ready", [TCP, HTTP])
def test_nobody_listens(ready):
    assert not asyncio.run(is_ready(ready, probe(free_port())))


@pytest.mark.parametrize("ready", [TCP, HTTP])
def test_there_is_no_port(ready):
    assert not asyncio.run(is_ready(ready, probe(None)))


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (b"HTTP/1.1 200 OK\r\n\r\n", True),
        (b"HTTP/1.0 204\r\n\r\n", True),
        (b"HTTP/1.1 302 Found\r\nLocation: /\r\n\r\n", True),
        (b"HTTP/1.1 404 Not Found\r\n\r\n", False),
        (b"HTTP/1.1 503 Service Unavailable\r\n\r\n", False),
        (b"HTTP/1.1 2", False),
        (b"HTTP/1.1", False),
        (b"SSH-2.0-x 200 OK\r\n", False),
        (b"\0\xff\xfe", False),
        (b"", False),
    ],
)
def test_an_address_answers_without_an_error(answer, expected):
    assert looked(HTTP, says(answer)) is expected


def test_an_answer_may_come_in_pieces():
    async def serve(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        for piece in (b"HT", b"TP/1.1 2", b"00 OK\r\n\r\n"):
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(0)
        writer.close()

    assert looked(HTTP, serve)


def test_what_is_asked_of_an_address():
    asked = []
    assert looked(Ready("http", "8080/a/b?c=d"), says(b"HTTP/1.1 200 OK\r\n\r\n", asked))
    assert asked[0].startswith(b"GET /a/b?c=d HTTP/1.1\r\nHost: 127.0.0.1:")


def test_a_server_that_says_nothing_is_given_up(monkeypatch):
    monkeypatch.setattr(readiness, "LOOK_S", 0.2)
    assert not looked(HTTP, waits)


@pytest.mark.parametrize("ends_well", [True, False])
@pytest.mark.parametrize(("value", "words"), [("a b", ("sh", "-c", "a b")), (("a", "b"), ("a", "b"))])
def test_a_command_ends_well(value, words, ends_well):
    ran = []
    assert asyncio.run(is_ready(Ready("cmd", value), probe(None, ran=ran, ends_well=ends_well))) is ends_well
    assert ran == [words]


@pytest.mark.parametrize(("printed", "expected"), [(b"x ready y", True), (b"read", False), (b"", False)])
def test_a_text_was_printed(printed, expected):
    assert asyncio.run(is_ready(Ready("log", "ready"), probe(None, printed=printed))) is expected
