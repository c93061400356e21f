"""Whether a service is ready: one look, which is repeated by whoever waits."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Sequence

from msgspec import Struct

from dagnats.core.pipeline import Ready

LOOK_S = 2.0
CLOSED_S = 0.1  # a proxy of the runtime takes a connection and closes it at once while nobody listens behind it
LINE_MAX_BYTES = 4096


class Probe(Struct, frozen=True):
    """What can be looked at: a port of the machine (None if there is none), what the service has printed, and commands in it."""

    host: str
    port: int | None
    printed: bytes
    execute: Callable[[Sequence[str]], Awaitable[bool]]


async def is_ready(ready: Ready, probe: Probe) -> bool:
    """Look once."""
    match ready.kind:
        case "tcp":
            return await _connects(probe)
        case "http":
            return await _answers(probe, ready.path)
        case "cmd":
            return await probe.execute(ready.words)
        case "log":
            return str(ready.value).encode() in probe.printed


async def _connects(probe: Probe) -> bool:
    if probe.port is None:
        return False
    try:
        async with asyncio.timeout(LOOK_S):
            reader, writer = await asyncio.open_connection(probe.host, probe.port)
    except (OSError, TimeoutError):
        return False
    try:
        async with asyncio.timeout(CLOSED_S):
            return bool(await reader.read(1))
    except TimeoutError:
        return True  # it waits for us to speak
    except OSError:
        return False
    finally:
        await _close(writer)


async def _answers(probe: Probe, path: str) -> bool:
    if probe.port is None:
        return False
    try:
        async with asyncio.timeout(LOOK_S):
            reader, writer = await asyncio.open_connection(probe.host, probe.port, limit=LINE_MAX_BYTES)
            try:
                request = f"GET {path} HTTP/1.1\r\nHost: {probe.host}:{probe.port}\r\nConnection: close\r\n\r\n"
                writer.write(request.encode())
                await writer.drain()
                status = (await reader.readline()).split()
            finally:
                await _close(writer)
    except (OSError, TimeoutError, ValueError):  # or a first line without an end
        return False
    return (
        len(status) > 1
        and status[0].startswith(b"HTTP/")
        and len(status[1]) == len("200")
        and status[1][:1] in (b"2", b"3")
    )


async def _close(writer: asyncio.StreamWriter) -> None:
    writer.close()
    with contextlib.suppress(OSError):
        await writer.wait_closed()
