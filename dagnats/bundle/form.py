"""The form of a bundle: its manifest, the messages in it, and how large all of it may be. Nothing here reads or writes anything but streams."""

import re
import struct
from collections.abc import Iterator, Mapping
from typing import IO

from msgspec import Struct, json

from dagnats.errors import UsageError

KIND = "dagnats bundle"
VERSION = 1
MANIFEST = "manifest.json"
HISTORY = "history"
OUTPUT = "output"
OBJECT = "objects/"
ENDING = ".dagnats.tgz"

MANIFEST_MAX = 16 << 20
HISTORY_MAX = 256 << 20
OUTPUT_MAX = 5 << 30  # a store keeps 4 GiB of output, and each chunk has a header here
OBJECT_MAX = 3 << 29  # artifacts of 1 GiB, with headers of 100,000 files
JOURNAL_OBJECT_MAX = 256 << 20  # a commit that is too large for a message; it is read as a whole
TOTAL_MAX = 16 << 30
PARTS_MAX = 50_000

_HEAD = struct.Struct(">II")
_HEADER_MAX = 16 << 10
_PAYLOAD_MAX = 1 << 20
_RUN = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+){0,9}")
_DIGEST = re.compile(r"[0-9a-f]{64}")
_SUBJECT = re.compile(r"[A-Za-z0-9_%-]+(?:\.[A-Za-z0-9_%-]+)*")
_HEADER_NAME = re.compile(r"[A-Za-z][A-Za-z0-9-]{0,63}")
_NAMES_MAX = 500


class BundleError(UsageError):
    """That file is no bundle, or not a whole one; nothing was changed."""


class Part(Struct, frozen=True):
    """One of the files in a bundle, with the SHA-256 of what it holds."""

    name: str
    bytes: int
    sha256: str


class Manifest(Struct, frozen=True):
    """What a bundle holds. `commits` and `last` say where its journal ends, and `objects` how many objects that needs: they are the first parts."""

    kind: str
    version: int
    run: str
    dagnats: str
    commits: int
    last: str
    objects: int
    parts: tuple[Part, ...]


class Frame(Struct, frozen=True):
    """A message: the end of its subject, its headers, and when it was stored, in nanoseconds since 1970."""

    payload: bytes
    subject: str = ""
    headers: Mapping[str, str] = {}
    at_ns: int = 0


class _Header(Struct, omit_defaults=True):
    subject: str = ""
    headers: dict[str, str] = {}
    at_ns: int = 0


def manifest_bytes(manifest: Manifest) -> bytes:
    """Give the manifest as it is written."""
    return json.format(json.encode(manifest), indent=1) + b"\n"


def manifest_from(data: bytes) -> Manifest:
    """Read a manifest, and judge whether what it says can be. Raises BundleError."""
    try:
        said = json.decode(data, type=dict[str, object])
    except (ValueError, RecursionError) as error:
        raise BundleError(f"it is no bundle of a run: its manifest can not be read: {error}") from error
    if said.get("kind") != KIND:
        raise BundleError("it is no bundle of a run")
    if said.get("version") != VERSION:
        raise BundleError(
            f"it is a bundle of version {said.get('version')!r}, and this program reads {VERSION}: use a newer dagnats"
        )
    try:
        manifest = json.decode(data, type=Manifest)
    except (ValueError, RecursionError) as error:
        raise BundleError(f"its manifest can not be read: {error}") from error
    _check(manifest)
    return manifest


def _check(manifest: Manifest) -> None:
    if not _RUN.fullmatch(manifest.run) or len(manifest.run) > 100:
        raise BundleError("its manifest names a run as no run is named")
    if len(manifest.parts) > PARTS_MAX:
        raise BundleError(f"it has more than {PARTS_MAX:,} parts")
    names = [part.name for part in manifest.parts]
    at = manifest.objects
    if at < 0 or names[at : at + 2] != [HISTORY, OUTPUT] or len(set(names)) < len(names):
        raise BundleError("its manifest does not name what a bundle holds")
    for place, part in enumerate(manifest.parts):
        digest = part.name.removeprefix(OBJECT)
        if part.bytes < 0 or not _DIGEST.fullmatch(part.sha256):
            raise BundleError("its manifest does not say what a part is")
        if part.name not in (HISTORY, OUTPUT) and (digest == part.name or digest != part.sha256):
            raise BundleError("its manifest names a part as none is named")
        most = _most(part.name, is_of_journal=place < at)
        if part.bytes > most:
            raise BundleError(f"its {part.name[:20]} has {part.bytes >> 20:,} MiB, and may have at most {most >> 20:,}")
    refuse_total(sum(part.bytes for part in manifest.parts))


def _most(name: str, *, is_of_journal: bool) -> int:
    if name == HISTORY:
        return HISTORY_MAX
    if name == OUTPUT:
        return OUTPUT_MAX
    return JOURNAL_OBJECT_MAX if is_of_journal else OBJECT_MAX


def refuse_total(count: int) -> None:
    """Refuse a bundle that holds too much. Raises BundleError."""
    if count > TOTAL_MAX:
        raise BundleError(f"it holds {count >> 30:,} GiB, and a bundle may hold at most {TOTAL_MAX >> 30}")


def frame_bytes(frame: Frame) -> bytes:
    """Give a message as it is written."""
    header = json.encode(_Header(frame.subject, dict(frame.headers), frame.at_ns))
    return _HEAD.pack(len(header), len(frame.payload)) + header + frame.payload


def frames(stream: IO[bytes]) -> Iterator[Frame]:
    """Give the messages of a part. Raises BundleError where it is none."""
    while head := _exactly(stream, _HEAD.size, at_end=True):
        header_size, size = _HEAD.unpack(head)
        if header_size > _HEADER_MAX or size > _PAYLOAD_MAX:
            raise BundleError("it holds a message that is too large to be one")
        try:
            header = json.decode(_exactly(stream, header_size), type=_Header)
        except (ValueError, RecursionError) as error:
            raise BundleError(f"it holds a message that can not be read: {error}") from error
        _check_header(header)
        yield Frame(_exactly(stream, size), header.subject, header.headers, header.at_ns)


def _check_header(header: _Header) -> None:
    """Refuse what would be something else than a subject and headers once it is sent."""
    good = (not header.subject or _SUBJECT.fullmatch(header.subject)) and len(header.subject) <= _NAMES_MAX
    named = all(_HEADER_NAME.fullmatch(name) and not name.startswith("Nats-") for name in header.headers)
    valued = all(
        value.isascii() and value.isprintable() and len(value) <= _NAMES_MAX for value in header.headers.values()
    )
    if not good or not named or not valued or len(header.headers) > 20 or not 0 <= header.at_ns < 1 << 63:
        raise BundleError("it holds a message with headers that no message of a run has")


def _exactly(stream: IO[bytes], size: int, *, at_end: bool = False) -> bytes:
    data = b""
    while len(data) < size:
        more = stream.read(size - len(data))
        if not more:
            break
        data += more
    if len(data) < size and (data or not at_end):
        raise BundleError("it ends in the middle of a message")
    return data
