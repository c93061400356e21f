"""The connection to NATS, and everything that was sent over it and not yet answered.

A request stays here until its answer comes. After a reconnect, and when an answer is overdue, it is sent again with the same bytes: every
receiver of ours drops what it has seen (`Nats-Msg-Id` and the expected sequence in streams, admission in the engine), so sending twice is harmless
and losing is not possible. What is too large for a message travels as an object, which nobody above notices.

What is sent to a subject that the same process listens to is handed over here: a worker beside its engine need not ask a server to say so. It is the same
message, and whoever sends or receives it can not tell.

Nothing here waits but `connect`, `call` and `settled`: sending puts bytes into a buffer, and handlers are called as messages are read.
"""

import asyncio
import itertools
import json
import secrets
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeVar

from msgspec import Struct, field
from nats.errors import Error as NatsError
from nats.js.errors import APIError

from dagnats.bus.client import Client, Handler, Message
from dagnats.bus.objects import MESSAGE_MAX_BYTES, fetch, is_stub, store
from dagnats.bus.server import Address
from dagnats.errors import EngineError, JournalError

ANSWER_OVERDUE_S = 5.0  # then a request is sent again
TICK_S = 0.5
TAKE_UP_S = 5.0
OBJECT_TRIES = 5

Result = TypeVar("Result")

__all__ = ["Handler", "Link", "Message", "RefusedError", "checked"]

Answer = Callable[[bytes], None]
Lost = Callable[[Message, JournalError], None]


class RefusedError(EngineError):
    """JetStream answered with an error; `code` is its number."""

    def __init__(self, code: int, description: str) -> None:
        super().__init__(f"nats-server refused: {description} ({code})")
        self.code = code
        self.description = description


class _Request(Struct):
    """`payload` is None while it is on its way to the object store."""

    subject: str
    payload: bytes | None
    headers: dict[str, str] | None
    on_answer: Answer
    first_at: float
    here: bool = False  # handed over in this process, which loses nothing
    sent_at: float = field(default=0.0)


class Link:
    """One connection. `lost` is set while there is none; `connections` counts those that there were.

    `on_broken` is told what goes wrong where nobody waits: in a handler, or while a large value is stored.
    """

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._client: Client | None = None
        self._inbox = f"_INBOX.{secrets.token_hex(8)}"
        self._numbers = itertools.count()
        self._requests: dict[str, _Request] = {}
        self._subscriptions: list[tuple[str, Handler]] = []
        self._here: dict[str, Handler] = {}
        self._restored: list[Callable[[], Awaitable[None]]] = []
        self._background: set[asyncio.Task[None]] = set()
        self._ticker: asyncio.Task[None] | None = None
        self._connected_at = 0.0
        self._answered_all = asyncio.Event()
        self._back = asyncio.Event()
        self.lost = asyncio.Event()
        self.connections = 0
        self.on_broken: Callable[[BaseException], None] = _raise

    async def connect(self, address: Address) -> None:
        """Connect, take up every subscription again, and send again what has no answer."""
        client = Client(self._broken)
        try:
            await client.connect(
                servers=[address.url],
                token=address.token,
                allow_reconnect=False,
                max_reconnect_attempts=1,  # of the first connect: the server of a run that has just ended refuses, and nats-py would ask for two minutes
                reconnect_time_wait=0.05,
                connect_timeout=5,
                max_outstanding_pings=2,
                ping_interval=20,
                closed_cb=self._closed(client),
                error_cb=_ignore,
            )
        except (NatsError, OSError, TimeoutError) as error:
            raise EngineError(f"nats-server at {address.url} does not answer: {error}") from error
        self._client = client
        self._connected_at = self._loop.time()
        self.connections += 1
        self.lost.clear()
        self._back.set()
        if client.is_closed:  # lost before anybody could be told
            self._lose()
        if not await self._unless_lost(self._take_up(client)):
            raise EngineError(f"nats-server at {address.url} was lost again")
        if self._ticker is None:
            self._ticker = asyncio.create_task(self._tick())

    def _broken(self, error: Exception) -> None:
        self.on_broken(error)

    async def _take_up(self, client: Client) -> None:
        """Listen to everything again, and send again what has no answer."""
        await client.handle(f"{self._inbox}.*", self._answered)
        for subject, handler in self._subscriptions:
            await client.handle(subject, handler)
        for restore in self._restored:
            await restore()
        for token, request in list(self._requests.items()):
            if not request.here:
                self._send(token, request)

    async def _unless_lost(self, work: Coroutine[Any, Any, None]) -> bool:
        """Do the work; false if the connection is lost meanwhile, as then no answer comes."""
        working, lost = asyncio.ensure_future(work), asyncio.ensure_future(self.lost.wait())
        done, _ = await asyncio.wait([working, lost], timeout=TAKE_UP_S, return_when=asyncio.FIRST_COMPLETED)
        lost.cancel()
        if working not in done:
            working.cancel()
            return False
        return not isinstance(working.exception(), NatsError) and working.result() is None

    def on_connected(self, restore: Callable[[], Awaitable[None]]) -> None:
        """Call `restore` at each later connect, in the order of these calls: for what a server forgets, like a standing pull."""
        self._restored.append(restore)

    async def subscribe(self, subject: str, handler: Handler, lost: Lost | None = None) -> None:
        """Listen now and after each reconnect. A subscription's messages are handled one after the other.

        `lost` gets those that stand for an object which is missing or was altered; without it that breaks the run.
        """

        def take(message: Message) -> None:
            if is_stub(message.data):
                self._in_background(self._fetched(message, handler, lost))
            else:
                handler(message)

        self._subscriptions.append((subject, take))
        if "*" not in subject:
            self._here[subject] = handler
        await self.client.handle(subject, take)

    def publish(self, subject: str, payload: bytes, reply: str = "", *, urgent: bool = True) -> None:
        """Send once; it is lost if the connection is. What is not urgent may go along with what is sent next."""
        if subject in self._requests:
            self._answered(Message(subject, "", payload))
        elif self._client is not None and not self.lost.is_set():
            try:
                self._client.send(subject, payload, reply, urgent=urgent)
            except NatsError:
                self._lose()

    def request(
        self,
        subject: str,
        payload: bytes,
        headers: dict[str, str] | None,
        on_answer: Answer,
        limit_bytes: int = MESSAGE_MAX_BYTES,
    ) -> None:
        """Send until it is answered, as an object if it is larger than the limit; `on_answer` gets the answer's data."""
        token = f"{self._inbox}.{next(self._numbers)}"
        here = self._here.get(subject)
        large = len(payload) > limit_bytes and here is None
        request = _Request(subject, None if large else payload, headers, on_answer, self._loop.time(), here is not None)
        self._requests[token] = request
        if here is not None:
            self._hand_over(here, Message(subject, token, payload))
        elif large:
            self._in_background(self._stored(token, request, payload))
        else:
            self._send(token, request)

    def send(self, subject: str, payload: bytes) -> None:
        """Send once, as an object if it is large; it is lost if the connection is."""
        if len(payload) > MESSAGE_MAX_BYTES:
            self._in_background(self._send_stub(subject, payload))
        else:
            self.publish(subject, payload)

    async def _send_stub(self, subject: str, payload: bytes) -> None:
        self.publish(subject, await self.with_objects(lambda client: store(client, payload)))

    def flush(self) -> None:
        """Write what was sent now, not when the loop turns."""
        if self._client is not None:
            self._client.write()

    async def call(self, subject: str, payload: Any = None) -> dict[str, Any]:
        """Ask JetStream's API and wait for the answer. Raises RefusedError."""
        answer: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        encoded = b"" if payload is None else json.dumps(payload).encode()
        self.request(subject, encoded, None, lambda data: None if answer.done() else answer.set_result(data))
        return checked(await answer)

    @property
    def client(self) -> Client:
        """The connected client."""
        if self._client is None:
            raise EngineError("not connected to nats-server")
        return self._client

    def overdue_s(self) -> float:
        """How long the oldest request waits for its answer, in seconds of this connection."""
        oldest = next((request for request in self._requests.values() if not request.here), None)
        return 0.0 if oldest is None else self._loop.time() - max(oldest.first_at, self._connected_at)

    async def settled(self) -> None:
        """Wait until nothing is unanswered."""
        while self._requests:
            self._answered_all.clear()
            await self._answered_all.wait()

    async def close(self) -> None:
        """Drop the connection and whatever still waits."""
        if self._ticker is not None:
            self._ticker.cancel()
        for task in self._background:
            task.cancel()
        self._requests.clear()
        client, self._client = self._client, None
        self._lose()
        if client is not None:
            await client.close()

    def _closed(self, client: Client) -> Callable[[], Awaitable[None]]:
        async def closed() -> None:
            if self._client is client:
                self._lose()

        return closed

    def _lose(self) -> None:
        self._back.clear()
        self.lost.set()

    def _send(self, token: str, request: _Request) -> None:
        request.sent_at = self._loop.time()
        if request.payload is None or self._client is None or self.lost.is_set():
            return
        try:
            self._client.send(request.subject, request.payload, token, request.headers)
        except NatsError:
            self._lose()

    def _hand_over(self, handler: Handler, message: Message) -> None:
        try:
            handler(message)
        except Exception as error:  # noqa: BLE001 - whoever sent it is not to blame
            self.on_broken(error)

    def _answered(self, message: Message) -> None:
        if message.status == "503":
            return  # nobody listens yet: the tick sends it again
        request = self._requests.pop(message.subject, None)
        if request is not None:
            request.on_answer(message.data)
        if not self._requests:
            self._answered_all.set()

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(TICK_S)
            late = self._loop.time() - ANSWER_OVERDUE_S
            for token, request in list(self._requests.items()):
                if not request.here and request.sent_at < late and token in self._requests:
                    self._send(token, request)

    def _in_background(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._background.add(task)
        task.add_done_callback(self._worked)

    def _worked(self, task: asyncio.Task[None]) -> None:
        self._background.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self.on_broken(error)

    async def _stored(self, token: str, request: _Request, payload: bytes) -> None:
        request.payload = await self.with_objects(lambda client: store(client, payload))
        self._send(token, request)

    async def _fetched(self, message: Message, handler: Handler, lost: Lost | None) -> None:
        try:
            message.data = await self.whole(message.data)
        except JournalError as error:
            if lost is None:
                raise
            lost(message, error)
        else:
            handler(message)

    async def whole(self, payload: bytes) -> bytes:
        """Give what the payload stands for: itself, or the object that it names."""
        return await self.with_objects(lambda client: fetch(client, payload)) if is_stub(payload) else payload

    async def with_objects(self, use: Callable[[Client], Awaitable[Result]]) -> Result:
        """Use the object store, again when the connection is lost meanwhile. Raises EngineError when it refuses."""
        for _ in range(OBJECT_TRIES):
            await self._back.wait()
            try:
                return await use(self.client)
            except APIError as error:
                raise EngineError(f"a large value could not be stored or read: {error}") from error
            except (NatsError, OSError, TimeoutError):
                continue
        raise EngineError("a large value could not be stored or read: nats-server does not answer")


async def _ignore(_: Exception) -> None:
    """Errors of the connection end it, and a lost connection is noticed by its owner."""


def _raise(error: BaseException) -> None:
    raise error


def checked(answer: bytes) -> dict[str, Any]:
    """Read an answer of JetStream. Raises RefusedError when it says no."""
    record: dict[str, Any] = json.loads(answer)
    error = record.get("error")
    if error is not None:
        raise RefusedError(
            int(error.get("err_code", error.get("code", 0))), str(error.get("description", "no reason given"))
        )
    return record
