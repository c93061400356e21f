"""Large values: what does not fit into a message goes to the object store, and a stub that names it by digest travels instead."""

import hashlib
import json

from nats.js.errors import NotFoundError

from dagnats.bus.client import Client
from dagnats.errors import JournalError

BUCKET = "objects"
MESSAGE_MAX_BYTES = 256 << 10
_STUB = b'{"object":"'


def is_stub(payload: bytes) -> bool:
    """Whether the payload stands for an object."""
    return payload.startswith(_STUB)


async def store(client: Client, payload: bytes) -> bytes:
    """Store the payload, and give its stub. Raises nats-py's errors when it can not be stored."""
    digest = hashlib.sha256(payload).hexdigest()
    objects = client.jetstream()
    try:
        bucket = await objects.object_store(BUCKET)
    except NotFoundError:
        bucket = await objects.create_object_store(BUCKET)
    await bucket.put(digest, payload)
    return json.dumps({"object": digest, "bytes": len(payload)}, separators=(",", ":")).encode()


async def fetch(client: Client, stub: bytes) -> bytes:
    """Give back what was stored. Raises JournalError when it is gone or altered, and nats-py's errors."""
    digest = json.loads(stub)["object"]
    try:
        bucket = await client.jetstream().object_store(BUCKET)
        found = (await bucket.get(digest)).data or b""
    except NotFoundError as error:
        raise JournalError(f"object {digest[:12]} is missing: {error}") from error
    if hashlib.sha256(found).hexdigest() != digest:
        raise JournalError(f"object {digest[:12]} was altered")
    return found
