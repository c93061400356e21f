"""The connection to NATS, and everything that was sent over it and not yet answered.

A request stays here until its answer comes. After a reconnect, and when an answer is overdue, it is sent again with the same bytes: every
receiver of ours drops what it has seen (`Nats-Msg-Id` and the expected sequence in streams, admission in the engine), so sending twice is harmless
and losing is not possible.
"""

import asyncio
import itertools
import json
import secrets
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from nats.aio.client import Client
from nats.aio.msg import Msg as Message
from nats.errors import Error as NatsError

from dagnats.bus.server import Address
from dagnats.errors import EngineError

ANSWER_OVERDUE_S = 5.0  # then a request is sent again
TICK_S = 0.5
LARGE = 1 << 30  # pending limits past which nats-py would silently drop


__all__ = ["Link", "Message", "RefusedError", "checked"]

Callback = Callable[[Message], Awaitable[None]]


class RefusedError(EngineError):
    """JetStream answered with an error; `code` is its number."""

    def __init__(self, code: int, description: str) -> None:
        super().__init__(f"nats-server refused: {description} ({code})")
        self.code = code
        self.description = description


@dataclass(slots=True)
class _Request:
    subject: str
    payload: bytes
    headers: dict[str, str] | None
    answer: asyncio.Future[bytes]
    first_at: float
    sent_at: float = field(default=0.0)


class Link:
    """One connection. `lost` is set while there is none."""

    def __init__(self) -> None:
        self._client: Client | None = None
        self._inbox = f"_INBOX.{secrets.token_hex(8)}"
        self._numbers = itertools.count()
        self._requests: dict[str, _Request] = {}
        self._subscriptions: list[tuple[str, Callback]] = []
        self._restored: list[Callable[[], Awaitable[None]]] = []
        self._ticker: asyncio.Task[None] | None = None
        self._connected_at = 0.0
        self.lost = asyncio.Event()

    async def connect(self, address: Address) -> None:
        """Connect, take up every subscription again, and send again what has no answer."""
        client = Client()
        try:
            await client.connect(
                servers=[address.url],
                token=address.token,
                allow_reconnect=False,
                connect_timeout=5,
                max_outstanding_pings=2,
                ping_interval=20,
                closed_cb=self._closed(client),
                error_cb=_ignore,
            )
        except (NatsError, OSError, TimeoutError) as error:
            raise EngineError(f"nats-server at {address.url} does not answer: {error}") from error
        self._client = client
        self._connected_at = asyncio.get_running_loop().time()
        self.lost.clear()
        try:
            await self._take_up()
        except NatsError as error:
            raise EngineError(f"nats-server at {address.url} was lost again: {error}") from error
        if self._ticker is None:
            self._ticker = asyncio.create_task(self._tick())

    async def _take_up(self) -> None:
        """Listen to everything again, and send again what has no answer."""
        await self._listen(f"{self._inbox}.*", self._answered)
        for subject, callback in self._subscriptions:
            await self._listen(subject, callback)
        for restore in self._restored:
            await restore()
        for token, request in list(self._requests.items()):
            await self._send(token, request)

    def on_connected(self, restore: Callable[[], Awaitable[None]]) -> None:
        """Call `restore` at each later connect: for what a server forgets, like a standing pull."""
        self._restored.append(restore)

    async def subscribe(self, subject: str, callback: Callback) -> None:
        """Listen now and after each reconnect. A subscription's messages are handled one after the other."""
        self._subscriptions.append((subject, callback))
        await self._listen(subject, callback)

    async def publish(self, subject: str, payload: bytes, reply: str = "") -> None:
        """Send once; it is lost if the connection is."""
        if self._client is not None and not self.lost.is_set():
            try:
                await self._client.publish(subject, payload, reply=reply)
            except NatsError:
                self.lost.set()

    async def request(
        self, subject: str, payload: bytes, headers: dict[str, str] | None = None
    ) -> asyncio.Future[bytes]:
        """Send until answered; gives the future answer."""
        loop = asyncio.get_running_loop()
        token = f"{self._inbox}.{next(self._numbers)}"
        request = _Request(subject, payload, headers, loop.create_future(), loop.time())
        self._requests[token] = request
        await self._send(token, request)
        return request.answer

    async def call(self, subject: str, payload: Any = None) -> dict[str, Any]:
        """Ask JetStream's API and wait for the answer. Raises RefusedError."""
        encoded = b"" if payload is None else json.dumps(payload).encode()
        return checked(await (await self.request(subject, encoded)))

    @property
    def client(self) -> Client:
        """The connected client of nats-py."""
        if self._client is None:
            raise EngineError("not connected to nats-server")
        return self._client

    def overdue_s(self) -> float:
        """How long the oldest request waits for its answer, in seconds of this connection."""
        oldest = next(iter(self._requests.values()), None)
        return 0.0 if oldest is None else asyncio.get_running_loop().time() - max(oldest.first_at, self._connected_at)

    async def settled(self) -> None:
        """Wait until nothing is unanswered."""
        while self._requests:
            await asyncio.wait([request.answer for request in self._requests.values()])

    async def close(self) -> None:
        """Drop the connection and whatever still waits."""
        if self._ticker is not None:
            self._ticker.cancel()
        for request in self._requests.values():
            request.answer.cancel()
        self._requests.clear()
        client, self._client = self._client, None
        self.lost.set()
        if client is not None:
            await client.close()

    def _closed(self, client: Client) -> Callable[[], Awaitable[None]]:
        async def closed() -> None:
            if self._client is client:
                self.lost.set()

        return closed

    async def _listen(self, subject: str, callback: Callback) -> None:
        await self.client.subscribe(subject, cb=callback, pending_msgs_limit=LARGE, pending_bytes_limit=LARGE)

    async def _send(self, token: str, request: _Request) -> None:
        request.sent_at = asyncio.get_running_loop().time()
        if self._client is None or self.lost.is_set():
            return
        try:
            await self._client.publish(request.subject, request.payload, reply=token, headers=request.headers)
        except NatsError:
            self.lost.set()

    async def _answered(self, message: Message) -> None:
        if message.headers and message.headers.get("Status") == "503":
            return  # nobody listens yet: the tick sends it again
        request = self._requests.pop(message.subject, None)
        if request is not None and not request.answer.done():
            request.answer.set_result(message.data)

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(TICK_S)
            late = asyncio.get_running_loop().time() - ANSWER_OVERDUE_S
            for token, request in list(self._requests.items()):
                if request.sent_at < late and token in self._requests:
                    await self._send(token, request)


async def _ignore(_: Exception) -> None:
    """Errors of the connection end it, and a lost connection is noticed by its owner."""


def checked(answer: bytes) -> dict[str, Any]:
    """Read an answer of JetStream. Raises RefusedError when it says no."""
    record: dict[str, Any] = json.loads(answer)
    error = record.get("error")
    if error is not None:
        raise RefusedError(
            int(error.get("err_code", error.get("code", 0))), str(error.get("description", "no reason given"))
        )
    return record
