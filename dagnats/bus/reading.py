"""What a stream holds of a subject, read in order through a consumer that needs no acknowledgement and is gone afterwards."""

import asyncio
import json
import secrets
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, NamedTuple

from dagnats.bus.link import Link, Message, RefusedError
from dagnats.errors import EngineError, UnreadableError

BATCH = 500
NO_MESSAGE = 10037  # with this JetStream refuses to give the last message of a subject that has none
TIMED_OUT = "408"  # what was asked for did not come within EXPIRES_NS
NO_STREAM = 10059  # the same, where there is no such stream
EXPIRES_NS = 5_000_000_000
SILENT_S = 10.0
STANDING = 128  # messages that a reader asks for who goes on
STANDING_NS = 30_000_000_000
_GONE = ("404", "503")  # of a consumer that the server has forgotten


class Cursor:
    """Reads a subject of a stream in order, from a sequence on, and goes on with what is stored later; ends at what was there, if it is `bounded`.

    It asks for a batch when it has nothing left, so that one who does not read holds up nobody: the server forgets him, and he begins anew where he was.
    `arrived` is set when something has come.
    """

    def __init__(
        self, link: Link, stream: str, subject: str, arrived: asyncio.Event, *, start: int, bounded: bool
    ) -> None:
        self._link = link
        self._stream = stream
        self._subject = subject
        self._arrived = arrived
        self._next = start
        self._left: int | None = None if not bounded else 0
        self._name = ""
        self._got: deque[Message] = deque()
        self._inbox = f"_INBOX.{secrets.token_hex(8)}"
        self._asked = 0  # messages that are on their way, if there are so many
        self._received = 0  # from the consumer that there is now
        self._forget: Callable[[], Awaitable[None]] | None = None

    async def open(self) -> None:
        """Begin."""
        self._forget = await self._link.client.handle(self._inbox, self._take)
        try:
            made = await self._create()
        except RefusedError as error:
            if error.code == NO_STREAM and self._left is not None:
                return  # the run was killed before it had one
            raise
        if self._left is not None:
            self._left = int(made["num_pending"])
        self._ask()

    async def _create(self) -> dict[str, Any]:
        config = _consumer(self._subject, self._next)
        made = await self._link.call(
            f"$JS.API.CONSUMER.CREATE.{self._stream}", {"stream_name": self._stream, "config": config}
        )
        self._name, self._asked, self._received = made["name"], 0, 0
        return made

    def _ask(self) -> None:
        if self._left == 0 or self._asked:
            return
        self._asked = STANDING
        request = json.dumps({"batch": STANDING, "expires": STANDING_NS}).encode()
        self._link.publish(f"$JS.API.CONSUMER.MSG.NEXT.{self._stream}.{self._name}", request, reply=self._inbox)

    def _take(self, message: Message) -> None:
        if message.status:
            self._asked = 0
            gone = message.status in _GONE or "Deleted" in (message.headers or {}).get("Description", "")
            self._name = "" if gone else self._name
        else:
            self._got.append(message)
            self._asked -= 1
            self._received += 1
        self._arrived.set()

    async def take(self) -> Message | None:
        """Give the next message that has come, and ask for more when there is none."""
        if not self._got:
            if not self._name and self._left != 0:
                await self._create()
            self._ask()
            return None
        message = self._got.popleft()
        self._next = position(message).sequence + 1
        if self._left is not None:
            self._left = max(0, self._left - 1)
        return message

    async def is_drained(self) -> bool:
        """Whether all was taken that the stream held when this was called."""
        if self._got:
            return False
        if self._left is not None:
            return self._left == 0
        try:
            info = await self._link.call(f"$JS.API.CONSUMER.INFO.{self._stream}.{self._name}")
        except RefusedError:
            self._name = ""
            return False
        return not self._got and info["num_pending"] == 0 and info["delivered"]["consumer_seq"] == self._received

    async def close(self) -> None:
        """Leave nothing behind."""
        if self._forget is not None and not self._link.lost.is_set():
            await self._forget()
            self._link.publish(f"$JS.API.CONSUMER.DELETE.{self._stream}.{self._name}", b"")


class Position(NamedTuple):
    """Where a message is in its stream, and when it was stored, in nanoseconds."""

    sequence: int
    at_ns: int


def position(message: Message) -> Position:
    """Read what JetStream says of a message: `$JS.ACK.<stream>.<consumer>.<deliveries>.<sequence>.<delivered>.<time>.<pending>`.

    What was opened from a bundle says itself when it was stored first.
    """
    words = message.reply.split(".")
    return Position(int(words[-4]), int((message.headers or {}).get("At", 0)) or int(words[-2]))


def _consumer(subject: str, start: int) -> dict[str, Any]:
    return {
        "filter_subject": subject,
        "ack_policy": "none",
        "deliver_policy": "by_start_sequence",
        "opt_start_seq": max(1, start),
        "mem_storage": True,
        "inactive_threshold": EXPIRES_NS,
    }


async def messages(
    link: Link, stream: str, subject: str, *, start: int = 1, batch: int = BATCH
) -> AsyncIterator[Message]:
    """Give all that the stream holds of the subject now, from a sequence on; nothing where there is no such stream. Raises EngineError when it can not be read, and UnreadableError when it is damaged."""
    wanted = {"stream_name": stream, "config": _consumer(subject, start)}
    try:
        made = await link.call(f"$JS.API.CONSUMER.CREATE.{stream}", wanted)
    except RefusedError as error:
        if error.code == NO_STREAM:
            return
        raise
    got: asyncio.Queue[Message] = asyncio.Queue()
    inbox = f"_INBOX.{secrets.token_hex(8)}"
    forget = await link.client.handle(inbox, got.put_nowait)
    try:
        pending, silent = int(made["num_pending"]), 0
        while pending > 0:
            asked = min(pending, batch)
            request = json.dumps({"batch": asked, "expires": EXPIRES_NS}).encode()
            link.publish(f"$JS.API.CONSUMER.MSG.NEXT.{stream}.{made['name']}", request, reply=inbox)
            for _ in range(asked):
                message = await asyncio.wait_for(got.get(), SILENT_S)
                if message.status == TIMED_OUT and silent == 0:
                    silent = 1  # the machine may be busy: ask again
                    break
                if message.status == TIMED_OUT:
                    raise UnreadableError(
                        f"the store is damaged: {pending:,} messages of {stream} can not be read any more"
                    )
                if message.status:
                    raise EngineError(f"the stream {stream} could not be read: nats-server answered {message.status}")
                pending, silent = pending - 1, 0
                yield message
    except TimeoutError:
        raise EngineError(f"the stream {stream} could not be read: nats-server does not answer") from None
    finally:
        await forget()
        link.publish(f"$JS.API.CONSUMER.DELETE.{stream}.{made['name']}", b"")
