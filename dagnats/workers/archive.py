"""Archives of artifacts: a gzipped tar that is the same for the same files, and that is read as if somebody else had written it.

What may be in one is what we write: files, directories, and links that lead to a place in the project. Nothing is written through a link, and every file
appears whole or not at all.
"""

import contextlib
import gzip
import os
import secrets
import stat
import tarfile
import zlib
from collections.abc import Callable, Iterator
from typing import IO, BinaryIO

from msgspec import Struct

from dagnats.core.globs import NEVER
from dagnats.workers.tree import Entry, Found, TreeError, in_order, leads_within, open_parent

_BLOCK = 1 << 20
_LEVEL = 1  # measured: a third of the time of the usual level, for a tenth more bytes
_HEADER_MAX = 64 << 10  # of a header with a long name; a longer one would be held in memory
_AROUND = 16 << 10  # of the archive for an entry: its headers, a long name, and the rest of a block
_LATE = 1 << 40  # seconds; no file is of a later time
_PLAIN = (tarfile.REGTYPE, tarfile.AREGTYPE, tarfile.DIRTYPE, tarfile.SYMTYPE)
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_WRITE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
BROKEN = (tarfile.TarError, EOFError, zlib.error, gzip.BadGzipFile, RecursionError, ValueError)


class StoppedError(Exception):
    """Somebody wants an end."""


class Bounds(Struct, frozen=True):
    """What an archive may hold at most."""

    bytes: int
    files: int


def pack(root: str, found: Found, target: IO[bytes], is_stopped: Callable[[], bool]) -> None:
    """Write the archive of what was found. Raises TreeError, StoppedError, and OSError where it can not be written."""
    top = os.open(os.path.realpath(root), os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        with (
            gzip.GzipFile("", "wb", _LEVEL, target, mtime=0) as packed,
            tarfile.open(
                fileobj=packed, mode="w", format=tarfile.PAX_FORMAT, encoding="utf-8", errors="surrogateescape"
            ) as tar,
        ):
            for entry in in_order(found):
                if is_stopped():
                    raise StoppedError
                _add(tar, top, entry, is_stopped)
                tar.members.clear()  # type: ignore[attr-defined]  # which would grow with every file
    finally:
        os.close(top)


def _add(tar: tarfile.TarFile, top: int, entry: Entry, is_stopped: Callable[[], bool]) -> None:
    info = tarfile.TarInfo(entry.path)
    info.mode, info.mtime = stat.S_IMODE(entry.mode), entry.mtime
    if entry.target is not None:
        info.type, info.linkname = tarfile.SYMTYPE, entry.target
        tar.addfile(info)
    elif entry.is_directory:
        info.type, info.mtime = (
            tarfile.DIRTYPE,
            0,
        )  # it says when something was put into it, also by whoever brings it back
        tar.addfile(info)
    else:
        with _opened(top, entry) as file:
            info.size = entry.size
            tar.addfile(info, _Content(file, entry, is_stopped))  # type: ignore[arg-type]  # it is read, and nothing else


def _opened(top: int, entry: Entry) -> IO[bytes]:
    try:
        parent = open_parent(top, entry.path)
        try:
            descriptor = os.open(entry.path.rpartition("/")[2], _READ, dir_fd=parent)
        finally:
            os.close(parent)
    except FileNotFoundError as error:
        raise TreeError(f"{entry.path} has gone while it was to be kept") from error
    except OSError as error:
        raise TreeError(f"{entry.path} can not be read: {error.strerror}") from error
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise TreeError(f"{entry.path} is no file any more")
    return os.fdopen(descriptor, "rb", buffering=0)


class _Content:
    """What a file holds, as far as it did when it was found."""

    def __init__(self, file: IO[bytes], entry: Entry, is_stopped: Callable[[], bool]) -> None:
        self._file = file
        self._entry = entry
        self._is_stopped = is_stopped

    def read(self, size: int) -> bytes:
        """Give exactly so many bytes."""
        if self._is_stopped():
            raise StoppedError
        parts, left = [], size
        while left > 0:
            try:
                part = self._file.read(min(left, _BLOCK))
            except OSError as error:
                raise TreeError(f"{self._entry.path} can not be read: {error.strerror}") from error
            if not part:
                raise TreeError(f"{self._entry.path} has become shorter while it was kept")
            parts.append(part)
            left -= len(part)
        return b"".join(parts)


class _Member(tarfile.TarInfo):
    """A header that can not make its reader hold more than it needs to."""

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> "_Member":
        info = super().frombuf(buf, encoding, errors)
        if info.size < 0 or (info.type not in _PLAIN and (info.size > _HEADER_MAX or info.type != tarfile.XHDTYPE)):
            raise tarfile.ReadError("it holds something that no archive of ours does")
        return info


class _Bounded:
    """A stream that does not give more than it may."""

    def __init__(self, file: IO[bytes], most: int) -> None:
        self._file = file
        self._left = most

    def read(self, size: int) -> bytes:
        part = self._file.read(size)
        self._left -= len(part)
        if self._left < 0:
            raise tarfile.ReadError("it holds more than it may")
        return part


def members(source: BinaryIO, bounds: Bounds) -> Iterator[tuple[tarfile.TarInfo, IO[bytes] | None]]:
    """Give what is in an archive, one after the other, with the content of a file. Raises TreeError where it is none of ours, or holds more than it may."""
    entries = 3 * bounds.files + 1000  # directories, too
    most, held, count = bounds.bytes + entries * _AROUND, 0, 0
    try:
        stream: IO[bytes] = _Bounded(gzip.GzipFile(fileobj=source, mode="rb"), most)  # type: ignore[assignment, arg-type]  # it is read, and nothing else
        with tarfile.open(
            fileobj=stream, mode="r|", tarinfo=_Member, encoding="utf-8", errors="surrogateescape"
        ) as tar:
            while (info := tar.next()) is not None:
                count, held = count + 1, held + (info.size if info.isreg() else 0)
                if held > bounds.bytes or count > entries:
                    raise TreeError("the archive holds more than it may")
                _check(info)
                yield info, tar.extractfile(info) if info.isreg() else None
                tar.members.clear()  # type: ignore[attr-defined]
    except BROKEN as error:
        raise TreeError(f"the archive can not be read: {error}") from error


def _check(info: tarfile.TarInfo) -> None:
    """Refuse what leads out of the place where it is put, as the filter `data` of tarfile does, and more."""
    parts = info.name.split("/")
    if info.type not in _PLAIN:
        raise TreeError(f"the archive holds {info.name!r}, which is neither a file, a directory nor a link")
    if not info.name or info.name.startswith("/") or "\0" in info.name or {"", ".", ".."} & set(parts):
        raise TreeError(f"the archive holds {info.name!r}, which is no path beneath the project")
    if any(part in NEVER for part in parts):
        raise TreeError(f"the archive holds {info.name!r}, which is never kept")
    if not 0 <= info.mtime < _LATE:
        raise TreeError(f"the archive holds {info.name!r}, which is of no time that a file can have")
    if info.issym() and ("\0" in info.linkname or not leads_within(info.name, info.linkname)):
        raise TreeError(f"the archive holds the link {info.name!r}, which leads out of the project")


def unpack(root: str, source: BinaryIO, bounds: Bounds, is_stopped: Callable[[], bool]) -> None:
    """Put what is in an archive into its place beneath the root. Raises TreeError and StoppedError."""
    top = os.open(os.path.realpath(root), os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        for info, content in members(source, bounds):
            if is_stopped():
                raise StoppedError
            try:
                parent = open_parent(top, info.name, make=True)
                try:
                    _put(parent, info, content)
                finally:
                    os.close(parent)
            except BROKEN as error:
                raise TreeError(f"the archive can not be read: {error}") from error
            except OSError as error:
                raise TreeError(f"{info.name} can not be written: {_why(error)}") from error
    finally:
        os.close(top)


def _why(error: OSError) -> str:
    if isinstance(error, NotADirectoryError):
        return "what is above it is no directory, or a link, which is not gone through"
    return error.strerror or str(error)


def _put(parent: int, info: tarfile.TarInfo, content: IO[bytes] | None) -> None:
    name = info.name.rpartition("/")[2]
    if info.isdir():
        try:
            os.mkdir(name, dir_fd=parent)
        except FileExistsError:
            if not stat.S_ISDIR(os.lstat(name, dir_fd=parent).st_mode):
                raise
        return
    passing = f".dagnats-{secrets.token_hex(8)}"
    try:
        if content is None:
            os.symlink(info.linkname, passing, dir_fd=parent)
        else:
            _write(parent, passing, info, content)
        os.replace(passing, name, src_dir_fd=parent, dst_dir_fd=parent)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(passing, dir_fd=parent)
        raise


def _write(parent: int, passing: str, info: tarfile.TarInfo, content: IO[bytes]) -> None:
    with os.fdopen(os.open(passing, _WRITE, 0o600, dir_fd=parent), "wb") as file:
        while block := content.read(_BLOCK):
            file.write(block)
        file.flush()
        # others may not write to it, and it is no program with the rights of its owner
        os.fchmod(file.fileno(), (info.mode & 0o755) | 0o600)
        os.utime(file.fileno(), (info.mtime, info.mtime))
