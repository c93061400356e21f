"""Objects that are too large for memory: stored from a file, and read in chunks. Like all objects they are named by the SHA-256 of what is stored."""

import hashlib
from collections.abc import AsyncIterator, Callable
from typing import IO

from nats.js.api import ObjectInfo
from nats.js.errors import NotFoundError

from dagnats.bus.client import Client
from dagnats.bus.link import Link
from dagnats.bus.objects import BUCKET
from dagnats.bus.reading import messages
from dagnats.errors import JournalError

_CHUNKS_AHEAD = 16  # of 128 KiB each


class _Reader:
    """A file as nats-py reads it. `check` is called before each chunk, and raises to give up."""

    def __init__(self, file: IO[bytes], check: Callable[[], None]) -> None:
        self._file = file
        self._check = check

    def readinto(self, buffer: bytearray) -> int:
        self._check()
        data = self._file.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)


async def put(link: Link, digest: str, file: IO[bytes], check: Callable[[], None]) -> None:
    """Store what a file holds, unless it is stored already. Raises EngineError when the server refuses, and what `check` raises."""

    async def store(client: Client) -> None:
        objects = client.jetstream()
        try:
            bucket = await objects.object_store(BUCKET)
        except NotFoundError:
            bucket = await objects.create_object_store(BUCKET)
        try:
            await bucket.get_info(digest)
        except NotFoundError:
            file.seek(0)
            await bucket.put(digest, _Reader(file, check))  # type: ignore[arg-type]  # it is read by `readinto`

    await link.with_objects(store)


async def size(link: Link, digest: str) -> int:
    """Give how many bytes an object has. Raises JournalError when it is gone."""
    return int((await _info(link, digest)).size or 0)


async def get(link: Link, digest: str) -> AsyncIterator[bytes]:
    """Give an object in chunks. Raises JournalError when it is gone, or at its end when it was altered, and EngineError when it can not be read."""
    info = await _info(link, digest)
    found = hashlib.sha256()
    if info.size:
        subject = f"$O.{BUCKET}.C.{info.nuid}"
        async for message in messages(link, f"OBJ_{BUCKET}", subject, batch=_CHUNKS_AHEAD):
            found.update(message.data)
            yield message.data
    if found.hexdigest() != digest:
        raise JournalError(f"object {digest[:12]} was altered")


async def _info(link: Link, digest: str) -> ObjectInfo:
    async def ask(client: Client) -> ObjectInfo:
        try:
            bucket = await client.jetstream().object_store(BUCKET)
            return await bucket.get_info(digest)
        except NotFoundError as error:
            raise JournalError(f"object {digest[:12]} is missing: {error}") from error

    return await link.with_objects(ask)
