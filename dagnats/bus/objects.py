"""Large values: what does not fit into a message goes to the object store, and a stub that names it by digest travels instead."""

import asyncio
import hashlib
import json

from nats.js.errors import BadObjectMetaError, DigestMismatchError, InvalidObjectNameError, NotFoundError

from dagnats.bus.client import Client
from dagnats.errors import JournalError

BUCKET = "objects"
MESSAGE_MAX_BYTES = 256 << 10
PARTS_WITHIN_S = 30.0
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
    digest = digest_of(stub)
    try:
        bucket = await client.jetstream().object_store(BUCKET)
        async with asyncio.timeout(PARTS_WITHIN_S):
            found = (await bucket.get(digest)).data or b""
    except NotFoundError as error:
        raise JournalError(f"object {digest[:12]} is missing: {error}") from error
    except (BadObjectMetaError, DigestMismatchError, InvalidObjectNameError) as error:
        raise JournalError(f"object {digest[:12]} was altered") from error
    except TimeoutError as error:
        if client.is_closed:
            raise
        raise JournalError(f"object {digest[:12]} is not whole") from error
    if hashlib.sha256(found).hexdigest() != digest:
        raise JournalError(f"object {digest[:12]} was altered")
    return found


def digest_of(stub: bytes) -> str:
    """Give the object that a stub names. Raises JournalError when it can not be read."""
    try:
        digest = json.loads(stub)["object"]
    except (ValueError, KeyError, RecursionError) as error:
        raise JournalError(f"a large value is named in a way that can not be read: {error}") from error
    if not isinstance(digest, str):
        raise JournalError("a large value is named by what is no text")
    return digest
