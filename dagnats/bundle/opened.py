"""Opening a bundle: what it holds becomes the store of a run of this project, and is checked on its way. A file that is no bundle, or not a whole one, changes nothing.

Whoever made the file is not trusted: names, sizes and digests are those that the manifest says and within bounds, nothing is written under a name that the
file gives but that of the run, and every event is read as it would be for a report.
"""

import asyncio
import gzip
import hashlib
import re
import tarfile
import tempfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any

from msgspec import Struct, ValidationError, convert, field, to_builtins

from dagnats.bundle import form
from dagnats.bundle.form import BundleError, Frame, Manifest, Part, frames
from dagnats.bundle.written import objects_of
from dagnats.bus import blobs
from dagnats.bus.link import Link, RefusedError, checked
from dagnats.bus.objects import digest_of, is_stub
from dagnats.bus.topology import set_up
from dagnats.core.codec import commit_hash, decode_commit
from dagnats.core.events import AnyEvent, RunStarted
from dagnats.core.fanout import INSTANCES_MAX
from dagnats.core.state import RunState
from dagnats.errors import EngineError, JournalError

_BLOCK = 1 << 20
_ON_THE_WAY = 64  # messages that are not acknowledged yet
_ROUND = 4  # of a bundle's size, that the disk has to have free: the store, and what is on its way
_FREE_MIN = 64 << 20
_NUMBER = re.compile(r"[0-9]{1,18}")
BROKEN = (tarfile.TarError, EOFError, zlib.error, gzip.BadGzipFile, RecursionError, ValueError)


class _Header(tarfile.TarInfo):
    """A member of a bundle: a plain file, whose header needs no other."""

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> "_Header":
        info = super().frombuf(buf, encoding, errors)
        is_large = info.type == tarfile.XHDTYPE and 0 <= info.size <= 4096  # of a file of 8 GiB or more
        if not is_large and (info.type not in (tarfile.REGTYPE, tarfile.AREGTYPE) or info.size < 0):
            raise tarfile.ReadError("it holds something else than files")
        return info


class Bundle:
    """A bundle that is read from its beginning to its end, once."""

    def __init__(self, file: IO[bytes]) -> None:
        try:
            self._tar = tarfile.open(fileobj=file, mode="r|gz", tarinfo=_Header)  # noqa: SIM115 - it is read as a stream
            info = self._tar.next()
            if info is None or info.name != form.MANIFEST or info.size > form.MANIFEST_MAX:
                raise BundleError("it is no bundle of a run")
            data = self._content(info).read()
        except BROKEN as error:
            raise BundleError(f"it is no bundle of a run: {error}") from error
        self.manifest: Manifest = form.manifest_from(data)

    def _content(self, info: tarfile.TarInfo) -> IO[bytes]:
        content = self._tar.extractfile(info)
        if content is None:
            raise BundleError("it holds something else than files")
        return content

    def parts(self) -> Iterator[tuple[Part, "Content"]]:
        """Give each part, which has to be read to its end before the next. Raises BundleError when it is not what the manifest says."""
        for part in self.manifest.parts:
            try:
                self._tar.members = []  # type: ignore[attr-defined]  # which would grow with each
                info = self._tar.next()
            except BROKEN as error:
                raise BundleError(f"it is not whole: {error}") from error
            if info is None or info.name != part.name or info.size != part.bytes:
                raise BundleError(f"it is not whole: {part.name[:20]} is missing, or is not what the manifest says")
            content = Content(self._content(info))
            yield part, content
            if content.size != part.bytes or content.digest() != part.sha256:
                raise BundleError(f"it is damaged: {part.name[:20]} is not what it was when the bundle was written")


class Content:
    """What a part holds; it counts what was read."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self._found = hashlib.sha256()
        self.size = 0

    def read(self, size: int) -> bytes:
        """Give at most so many bytes. Raises BundleError."""
        try:
            data = self._stream.read(size)
        except BROKEN as error:
            raise BundleError(f"it is not whole: {error}") from error
        self._found.update(data)
        self.size += len(data)
        return data

    def digest(self) -> str:
        """Give the SHA-256 of what was read."""
        return self._found.hexdigest()


class _Publisher:
    """Stores messages in order, some at a time."""

    def __init__(self, link: Link) -> None:
        self._link = link
        self._places = asyncio.Semaphore(_ON_THE_WAY)
        self._error: RefusedError | None = None

    async def send(self, subject: str, frame: Frame, headers: dict[str, str]) -> None:
        await self._places.acquire()
        self._link.request(subject, frame.payload, headers or None, self._answered, form.TOTAL_MAX)
        self._raise()

    def _answered(self, answer: bytes) -> None:
        self._places.release()
        try:
            checked(answer)
        except RefusedError as error:
            self._error = error

    def _raise(self) -> None:
        if self._error is not None:
            raise EngineError(f"what the bundle holds could not be stored: {self._error}")

    async def settled(self) -> None:
        await self._link.settled()
        self._raise()


class Read(Struct):
    """How far the journal of a bundle was read, and what it makes of the run."""

    run: str
    commits: int = 0
    last: str = ""
    needs: set[str] = field(default_factory=set)
    names: set[str] = field(default_factory=set)
    state: RunState | None = None

    def take(self, event: AnyEvent) -> None:
        """Take the next event into account. Raises JournalError for what a run can not have come to."""
        try:
            convert(
                to_builtins(event), type(event)
            )  # what is of another type than it says would break whoever shows it
            self._apply(event)
            self.names |= set(objects_of(event))
        except JournalError:
            raise
        except ValidationError as error:
            raise JournalError(f"event {event.seq} of run {self.run} can not be read: {error}") from error
        except Exception as error:  # a plan that nobody has checked can be wrong in any way
            raise JournalError(f"event {event.seq} of run {self.run} can not be: {error!r}") from error

    def _apply(self, event: AnyEvent) -> None:
        if self.state is not None:
            self.state.apply(event)
        elif isinstance(event, RunStarted) and event.seq == 1 and event.run == self.run:
            self.state = RunState(event)
        else:
            raise JournalError(f"the journal of run {self.run} does not begin with the start of that run")
        if self.state.instance_count > INSTANCES_MAX:
            raise JournalError(f"run {self.run} has more instances than a run can have")


async def fill(link: Link, bundle: Bundle, directory: Path) -> Read:
    """Put all that a bundle holds into an empty store. Raises BundleError, JournalError and EngineError."""
    await set_up(link)
    run, read = bundle.manifest.run, Read(bundle.manifest.run)
    publisher = _Publisher(link)
    for part, content in bundle.parts():
        if part.name == form.HISTORY:
            for frame in frames(content):  # type: ignore[arg-type]  # it is read, and nothing else
                await _take_commit(link, publisher, read, frame)
            _check_end(bundle.manifest, read)
        elif part.name == form.OUTPUT:
            for frame in frames(content):  # type: ignore[arg-type]  # the same
                _check_output(frame)
                await publisher.send(f"output.{run}.{frame.subject}", frame, {**frame.headers, "At": str(frame.at_ns)})
        else:
            await _take_object(link, part, content, directory)
    await publisher.settled()
    if read.state is None:
        raise JournalError(f"run {run} has no journal in this bundle")
    return read


def _check_output(frame: Frame) -> None:
    """Refuse what whoever shows it could not read."""
    numbers = [frame.headers[name] for name in ("Offset", "After") if name in frame.headers]
    stream = frame.headers.get("Stream", "out")
    if not frame.subject or stream not in ("out", "err") or not all(_NUMBER.fullmatch(number) for number in numbers):
        raise BundleError("it holds output as no step has printed it")


async def _take_commit(link: Link, publisher: _Publisher, read: Read, frame: Frame) -> None:
    if is_stub(frame.payload):
        read.needs.add(digest_of(frame.payload))
    whole = await link.whole(frame.payload)
    read.commits += 1
    for event in decode_commit(whole, read.run, read.last, read.commits):
        read.take(event)
    read.last = commit_hash(whole)
    headers = {**frame.headers, "At": str(frame.at_ns), "Nats-Msg-Id": f"{read.run}.{read.commits}.opened"}
    await publisher.send(f"history.{read.run}", frame, headers)


def _check_end(manifest: Manifest, read: Read) -> None:
    if (read.commits, read.last) != (manifest.commits, manifest.last):
        raise JournalError(
            f"the journal of run {read.run} is damaged: it has {read.commits} commits, and had {manifest.commits}"
        )
    digests = [part.sha256 for part in manifest.parts if part.name.startswith(form.OBJECT)]
    if set(digests[: manifest.objects]) != read.needs or set(digests[manifest.objects :]) != read.names - read.needs:
        raise BundleError("it does not hold the objects that its journal names")


async def _take_object(link: Link, part: Part, content: Content, directory: Path) -> None:
    with tempfile.TemporaryFile(dir=directory) as file:
        while block := await asyncio.to_thread(content.read, _BLOCK):
            file.write(block)
        if content.digest() != part.sha256:
            raise BundleError(f"it is damaged: {part.name[:20]} is not what it was when the bundle was written")
        await blobs.put(link, part.sha256, file, lambda: None)


def refuse_space(manifest: Manifest, directory: Path, free: Callable[[Path], Any]) -> None:
    """Refuse a bundle for which the disk has no room. Raises EngineError."""
    needed = sum(part.bytes for part in manifest.parts)
    left: int = free(directory).free
    if needed * _ROUND // 3 + _FREE_MIN > left:
        raise EngineError(
            f"the bundle holds {needed >> 20:,} MiB, and {directory} has {left >> 20:,} MiB left: free some space first"
        )
