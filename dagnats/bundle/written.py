"""Writing a bundle: what the store of a run holds, as it is there, into one file."""

import asyncio
import contextlib
import gzip
import hashlib
import io
import os
import tarfile
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from msgspec import Struct, field

from dagnats import __version__
from dagnats.bundle.form import (
    HISTORY,
    KIND,
    MANIFEST,
    OBJECT,
    OUTPUT,
    VERSION,
    Frame,
    Manifest,
    Part,
    frame_bytes,
    manifest_bytes,
    refuse_total,
)
from dagnats.bus import blobs
from dagnats.bus.link import Link, Message
from dagnats.bus.objects import digest_of, is_stub
from dagnats.bus.reading import messages, position
from dagnats.core.codec import commit_hash, decode_commit
from dagnats.core.events import AnyEvent
from dagnats.errors import EngineError, JournalError, NoJournalError, UsageError

_AHEAD = 64  # messages of 128 KiB
_GZIP_LEVEL = 6


class _Messages:
    """Messages on their way into a bundle, in a file that has no name."""

    def __init__(self, name: str, directory: Path) -> None:
        self._name = name
        self._found = hashlib.sha256()
        self._size = 0
        self.file = tempfile.TemporaryFile(dir=directory)  # noqa: SIM115 - closed by who made it

    def add(self, frame: Frame) -> None:
        data = frame_bytes(frame)
        self._found.update(data)
        self._size += len(data)
        self.file.write(data)

    def part(self) -> Part:
        return Part(self._name, self._size, self._found.hexdigest())


class _Journal(Struct):
    """What was read of a journal: how many commits, the hash of the last, and the objects that it needs and that artifacts name."""

    commits: int = 0
    last: str = ""
    needs: dict[str, None] = field(default_factory=dict)
    names: dict[str, None] = field(default_factory=dict)


async def write(link: Link, run: str, end: tuple[int, str] | None, target: IO[bytes], directory: Path) -> Manifest:
    """Write the bundle of a run, whose journal ends there if that is known; what is on its way goes through unnamed files in the directory.

    Of a run that goes on it is what has happened until now. Raises JournalError, EngineError, and UsageError when it would be too large.
    """
    history, output = _Messages(HISTORY, directory), _Messages(OUTPUT, directory)
    with history.file, output.file:
        journal = await _read_journal(link, run, history)
        if end is not None and (journal.commits, journal.last) != end:
            raise JournalError(
                f"the journal of run {run} is damaged: it has {journal.commits} commits that can be read, and had {end[0]}"
            )
        prefix = f"output.{run}."
        async for message in messages(link, "OUTPUT", f"{prefix}>", batch=_AHEAD):
            output.add(_framed(message, message.subject.removeprefix(prefix)))
        needs = [Part(OBJECT + one, await blobs.size(link, one), one) for one in journal.needs]
        names = [
            Part(OBJECT + one, await blobs.size(link, one), one) for one in journal.names if one not in journal.needs
        ]
        parts = (*needs, history.part(), output.part(), *names)
        try:
            refuse_total(sum(part.bytes for part in parts))
        except UsageError as error:
            raise UsageError(f"run {run} is too large for a bundle: {error}") from None
        manifest = Manifest(KIND, VERSION, run, __version__, journal.commits, journal.last, len(needs), parts)
        files = {HISTORY: history.file, OUTPUT: output.file}
        with (
            gzip.GzipFile("", "wb", _GZIP_LEVEL, target, mtime=0) as packed,
            tarfile.open(fileobj=packed, mode="w|", format=tarfile.PAX_FORMAT) as tar,
        ):
            _add(tar, MANIFEST, io.BytesIO(data := manifest_bytes(manifest)), len(data))
            for part in parts:
                if part.name in files:
                    await asyncio.to_thread(_add, tar, part.name, files[part.name], part.bytes)
                else:
                    await _add_object(link, tar, part, directory)
    return manifest


async def _read_journal(link: Link, run: str, history: _Messages) -> _Journal:
    journal = _Journal()
    async for message in messages(link, "HISTORY", f"history.{run}", batch=_AHEAD):
        if is_stub(message.data):
            journal.needs[digest_of(message.data)] = None
        whole = await link.whole(message.data)
        journal.commits += 1
        for event in decode_commit(whole, run, journal.last, journal.commits):
            journal.names |= dict.fromkeys(objects_of(event))
        journal.last = commit_hash(whole)
        history.add(_framed(message, ""))
    if journal.commits == 0:
        raise NoJournalError(f"run {run} has no journal here")
    return journal


def objects_of(event: AnyEvent) -> Iterator[str]:
    """Name the objects that an event refers to."""
    for artifact in getattr(event, "artifacts", {}).values():
        yield artifact.object


def _framed(message: Message, subject: str) -> Frame:
    headers = {name: value for name, value in (message.headers or {}).items() if not name.startswith("Nats-")}
    at_ns = int(headers.pop("At", 0)) or position(message).at_ns  # what was opened from a bundle knows it from there
    return Frame(message.data, subject, headers, at_ns)


async def _add_object(link: Link, tar: tarfile.TarFile, part: Part, directory: Path) -> None:
    with tempfile.TemporaryFile(dir=directory) as file:
        async for chunk in blobs.get(link, part.sha256):
            file.write(chunk)
        await asyncio.to_thread(_add, tar, part.name, file, part.bytes)


def _add(tar: tarfile.TarFile, name: str, file: IO[bytes], size: int) -> None:
    info = tarfile.TarInfo(name)
    info.size, info.mode = size, 0o600
    file.seek(0)
    tar.addfile(info, file)


@contextlib.contextmanager
def new_file(path: Path, *, force: bool) -> Iterator[IO[bytes]]:
    """Give a file that is there under its name once it is whole. Raises UsageError when there is one already, unless that is to be replaced."""
    if path.is_dir():
        raise UsageError(f"{path} is a directory: say the name of the file")
    if os.path.lexists(path) and (path.is_symlink() or not path.is_file()):
        raise UsageError(f"{path} is no regular file: `-o FILE` writes elsewhere, and `-o -` to stdout")
    if not force and os.path.lexists(path):
        raise UsageError(f"{path} is there already: `--force` writes over it, and `-o FILE` writes elsewhere")
    passing = None
    try:
        descriptor, passing = tempfile.mkstemp(dir=path.parent, prefix=".dagnats-", suffix=".tmp")
        with os.fdopen(descriptor, "wb") as file:
            yield file
        Path(passing).replace(path)
        passing = None
    except OSError as error:
        raise EngineError(f"{path} can not be written: {error.strerror or error}") from error
    finally:
        if passing is not None:
            Path(passing).unlink(missing_ok=True)
