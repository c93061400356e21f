"""Large values: what does not fit into a message goes to the object store, and a stub that names it by digest travels instead."""

import hashlib
import json

from nats.js.errors import Error as JetStreamError
from nats.js.errors import NotFoundError

from dagnats.bus.link import Link
from dagnats.errors import EngineError, JournalError

BUCKET = "objects"
MESSAGE_MAX_BYTES = 256 << 10
_STUB = b'{"object":"'


async def pack(link: Link, payload: bytes, limit_bytes: int = MESSAGE_MAX_BYTES) -> bytes:
    """Give the payload itself, or the stub of it after it was stored."""
    if len(payload) <= limit_bytes:
        return payload
    digest = hashlib.sha256(payload).hexdigest()
    store = link.client.jetstream()
    try:
        try:
            bucket = await store.object_store(BUCKET)
        except NotFoundError:
            bucket = await store.create_object_store(BUCKET)
        await bucket.put(digest, payload)
    except JetStreamError as error:
        raise EngineError(f"a value of {len(payload):,} bytes could not be stored: {error}") from error
    return json.dumps({"object": digest, "bytes": len(payload)}, separators=(",", ":")).encode()


async def unpack(link: Link, payload: bytes) -> bytes:
    """Give back what `pack` was given. Raises JournalError when the object is gone or altered."""
    if not payload.startswith(_STUB):
        return payload
    digest = json.loads(payload)["object"]
    try:
        bucket = await link.client.jetstream().object_store(BUCKET)
        found = (await bucket.get(digest)).data or b""
    except JetStreamError as error:
        raise JournalError(f"object {digest[:12]} is missing: {error}") from error
    if hashlib.sha256(found).hexdigest() != digest:
        raise JournalError(f"object {digest[:12]} was altered")
    return found
