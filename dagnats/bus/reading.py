"""What a stream holds of a subject, read in order through a consumer that needs no acknowledgement and is gone afterwards."""

import asyncio
import json
import secrets
from collections.abc import AsyncIterator

from dagnats.bus.link import Link, Message, RefusedError
from dagnats.errors import EngineError

BATCH = 500
NO_MESSAGE = 10037  # with this JetStream refuses to give the last message of a subject that has none
NO_STREAM = 10059  # the same, where there is no such stream
EXPIRES_NS = 5_000_000_000
SILENT_S = 10.0


def sequence_of(message: Message) -> int:
    """Give the place in its stream of a message that `messages` gave: `$JS.ACK.<stream>.<consumer>.<deliveries>.<sequence>.…`."""
    return int(message.reply.split(".")[5])


def stored_at_ns(message: Message) -> int:
    """Give when a message that `messages` gave was stored, in nanoseconds since 1970."""
    return int(message.reply.split(".")[7])


async def messages(
    link: Link, stream: str, subject: str, *, start: int = 1, batch: int = BATCH
) -> AsyncIterator[Message]:
    """Give all that the stream holds of the subject now, from a sequence on; nothing where there is no such stream. Raises EngineError when it can not be read."""
    config = {
        "filter_subject": subject,
        "ack_policy": "none",
        "deliver_policy": "by_start_sequence",
        "opt_start_seq": max(1, start),
        "mem_storage": True,
        "inactive_threshold": EXPIRES_NS,
    }
    try:
        made = await link.call(f"$JS.API.CONSUMER.CREATE.{stream}", {"stream_name": stream, "config": config})
    except RefusedError as error:
        if error.code == NO_STREAM:
            return
        raise
    got: asyncio.Queue[Message] = asyncio.Queue()
    inbox = f"_INBOX.{secrets.token_hex(8)}"
    forget = await link.client.handle(inbox, got.put_nowait)
    try:
        pending = int(made["num_pending"])
        while pending > 0:
            asked = min(pending, batch)
            request = json.dumps({"batch": asked, "expires": EXPIRES_NS}).encode()
            link.publish(f"$JS.API.CONSUMER.MSG.NEXT.{stream}.{made['name']}", request, reply=inbox)
            for _ in range(asked):
                message = await asyncio.wait_for(got.get(), SILENT_S)
                if message.status:
                    raise EngineError(f"the stream {stream} could not be read: nats-server answered {message.status}")
                pending -= 1
                yield message
    except TimeoutError:
        raise EngineError(f"the stream {stream} could not be read: nats-server does not answer") from None
    finally:
        await forget()
        link.publish(f"$JS.API.CONSUMER.DELETE.{stream}.{made['name']}", b"")
