"""nats-py's client without its queues: what is sent leaves in one write a turn of the loop, and what comes is handled where it is parsed.

nats-py hands each message to a task of its subscription, and each write to a task that flushes; both cost turns of the loop, of which a short step has
few. Three methods of its client are replaced here for that. Should a later release not call them any more, all goes its usual way and only takes longer:
`test_client.py` says which of the two is the case.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from msgspec import Struct
from nats.aio.client import Client as NatsClient
from nats.errors import ConnectionClosedError, MaxPayloadError
from nats.protocol.command import hpub_cmd, pub_cmd

READ_BYTES = 64 << 10  # asyncio's own 256 KiB are mapped and unmapped by the system at every read
SOON_S = 0.005
LARGE = 1 << 30  # pending limits past which nats-py would silently drop


class Message(Struct):
    """What came on a subscription; `status` is JetStream's word in place of data, like "404", or ""."""

    subject: str
    reply: str
    data: bytes
    status: str = ""
    headers: Mapping[str, str] | None = None


Handler = Callable[[Message], None]


class Client(NatsClient):
    """One connection. What a handler raises goes to `broken`, as nobody else is there to take it."""

    def __init__(self, broken: Callable[[Exception], None]) -> None:
        super().__init__()
        self._broken = broken
        self._handlers: dict[int, Handler] = {}
        self._is_write_due = False
        self._lazy: asyncio.TimerHandle | None = None

    async def connect(self, **options: Any) -> None:  # type: ignore[override]  # ours are given by name
        """Connect."""
        await super().connect(**options)
        with contextlib.suppress(AttributeError):
            transport: Any = self._transport
            transport._io_writer.transport.max_size = READ_BYTES  # noqa: SLF001 - without it all goes on as well

    def send(
        self,
        subject: str,
        payload: bytes,
        reply: str = "",
        headers: Mapping[str, str] | None = None,
        *,
        urgent: bool = True,
    ) -> None:
        """Publish; it is on its way when the loop turns next, or with what is sent next. Raises nats-py's errors when it can not be."""
        if self.is_closed:
            raise ConnectionClosedError
        if headers is None:
            command, size = pub_cmd(subject, reply, payload), len(payload)
        else:
            lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
            block = f"NATS/1.0\r\n{lines}\r\n".encode()
            command, size = hpub_cmd(subject, reply, block, payload), len(block) + len(payload)
        if size > self._max_payload:
            raise MaxPayloadError
        self._pending.append(command)
        self._pending_data_size += len(command)
        if urgent:
            self._write_soon()
        elif self._lazy is None:
            self._lazy = asyncio.get_running_loop().call_later(SOON_S, self.write)

    async def handle(self, subject: str, handler: Handler) -> Callable[[], Awaitable[None]]:
        """Have every message of the subject handled, in order; gives what ends that."""

        async def by_its_task(message: Any) -> None:
            self._call(handler, message.subject, message.reply, message.data, message.headers)

        subscription = await self.subscribe(
            subject, cb=by_its_task, pending_msgs_limit=LARGE, pending_bytes_limit=LARGE
        )
        number = subscription._id  # noqa: SLF001 - the only name that a message has for its subscription
        self._handlers[number] = handler

        async def forget() -> None:
            self._handlers.pop(number, None)
            await subscription.unsubscribe()

        return forget

    def _call(self, handler: Handler, subject: str, reply: str, data: bytes, headers: Mapping[str, str] | None) -> None:
        try:
            handler(Message(subject, reply, data, headers.get("Status", "") if headers else "", headers))
        except Exception as error:  # noqa: BLE001 - nats-py would note it, stop reading, and let the run hang
            self._broken(error)

    def _build_message(
        self, sid: int, subject: bytes, reply: bytes, data: bytes, headers: dict[str, str] | None
    ) -> Any:
        """Handle the message; None tells nats-py that there is nothing to put into a queue."""
        handler = self._handlers.get(sid)
        if handler is None:
            return super()._build_message(sid, subject, reply, data, headers)
        self._call(handler, subject.decode(), reply.decode(), data, headers)
        return None

    async def _flush_pending(self, force_flush: bool = False) -> Any:  # noqa: ARG002 - nats-py's signature
        self._write_soon()

    def _write_soon(self) -> None:
        if not self._is_write_due:
            self._is_write_due = True
            asyncio.get_running_loop().call_soon(self.write)

    def write(self) -> None:
        """Write what was sent now."""
        self._is_write_due = False
        if self._lazy is not None:
            self._lazy.cancel()
            self._lazy = None
        if self._pending and self._transport and not self.is_closed:
            pending, self._pending, self._pending_data_size = self._pending, [], 0
            self._transport.write(b"".join(pending))
