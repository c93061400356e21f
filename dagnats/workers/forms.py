"""The shapes in which a secret may turn up in what a step prints: as it is, in parts, and as common encodings write it."""

import base64
import json
import re
from collections.abc import Iterable, Iterator
from itertools import islice
from urllib.parse import quote, quote_plus

VALUE_MIN = 4  # characters; a shorter value would blot out half of any output
PART_MIN = 6  # characters of a line, or of a leaf of JSON, that counts as a secret of its own
PARTS_MAX = 4_000  # lines and leaves of one value: more would make every start slow
DEPTH_MAX = 8
_WRAPPED_MIN = 8  # characters of a last line: fewer may stand anywhere
_LINE_WIDTHS = (76, 64)  # of `base64` and of PEM
_URL_SAFE = ("", "/", "!'()*")  # what is left as it is by libraries of this language and others
_NOT_PLAIN = re.compile(r"([^A-Za-z0-9_@%+=:,./-])")
_IN_DOUBLE_QUOTES = re.compile(r'(["\\$`])')


def forms_of(values: Iterable[str]) -> frozenset[bytes]:
    """Every form of the values and of their parts, each at least VALUE_MIN bytes long."""
    found: set[bytes] = set()
    for value in values:
        for text in islice(dict.fromkeys(_texts(value)), PARTS_MAX):
            found.update(_written(text))
            found.update(_encoded(encoded(text)))
    return frozenset(form for form in found if len(form) >= VALUE_MIN)


def encoded(text: str) -> bytes:
    """The bytes of a text: of the system, in which surrogates stand for bytes, or of JSON, which can hold half a pair."""
    try:
        return text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return text.encode("utf-8", "surrogatepass")


def has_too_many_parts(value: str) -> bool:
    """Whether not all parts of a value could be masked."""
    return next(islice(dict.fromkeys(_texts(value)), PARTS_MAX, None), None) is not None


def is_short(value: str) -> bool:
    """Whether a value is too short to be masked; blanks around it do not make it longer."""
    return len(value.strip()) < VALUE_MIN


def _texts(value: str, depth: int = 0) -> Iterator[str]:
    """Give the value, and the parts of it that are secrets too: without blanks at its ends, its lines, the leaves of its JSON."""
    if is_short(value):
        return
    yield value
    bare = value.strip()
    if len(bare) >= PART_MIN:
        yield bare
    lines = value.splitlines()
    if len(lines) > 1:
        for line in lines:
            if len(line.strip()) >= PART_MIN:
                yield line.strip()
    if bare[:1] in ("{", "[", '"') and depth < DEPTH_MAX:
        for leaf in _leaves(bare):
            if len(leaf) >= PART_MIN:
                yield from _texts(leaf, depth + 1)


def _leaves(text: str) -> Iterator[str]:
    try:
        # numbers as they are written: a float would print another way
        pending = [json.loads(text, parse_float=str, parse_int=str)]
    except (ValueError, RecursionError):
        return
    while pending:
        part = pending.pop()
        if isinstance(part, str):
            yield part
        elif isinstance(part, dict):
            pending.extend(part.values())
        elif isinstance(part, list):
            pending.extend(part)


def _written(text: str) -> Iterator[bytes]:
    """Give what quoting and escaping make of a text: of shells, JSON, URLs, and programming languages."""
    escaped = text.replace("\\", "\\\\").replace("\n", "\\n").replace("\r", "\\r").replace("\t", "\\t")
    json_ascii, json_plain = json.dumps(text)[1:-1], json.dumps(text, ensure_ascii=False)[1:-1]
    for form in (
        text,
        text.replace("\n", "\r\n"),
        text.replace("'", "'\\''"),
        text.replace("'", "'\"'\"'"),
        _NOT_PLAIN.sub(r"\\\1", text),
        _IN_DOUBLE_QUOTES.sub(r"\\\1", text),
        escaped,
        escaped.replace("'", "\\'"),
        json_ascii,
        json_plain,
        json_ascii.replace("/", "\\/"),
        json_plain.replace("/", "\\/"),
        repr(text)[1:-1],
    ):
        yield encoded(form)
    raw = encoded(text)
    for form in (*(quote(raw, safe) for safe in _URL_SAFE), quote_plus(raw)):
        yield form.encode()
        yield re.sub(r"%[0-9A-F]{2}", lambda found: found[0].lower(), form).encode()


def _encoded(raw: bytes) -> Iterator[bytes]:
    """Give hex and base64: also for bytes in the middle of others, which may stand at three places of a group."""
    yield raw.hex().encode()
    yield raw.hex().upper().encode()
    whole = base64.b64encode(raw)
    for form in (whole, whole.rstrip(b"="), *_wrapped(whole)):
        yield from _both_alphabets(form)
    for before in range(3):
        shifted = base64.b64encode(bytes(before) + raw)
        # only those characters whose bits are all the secret's
        first, end = (before * 8 + 5) // 6, (before + len(raw)) * 8 // 6
        yield from _both_alphabets(shifted[first:end])
        # where nothing follows, the last ones are its own too
        yield from _both_alphabets(shifted[first:])
        yield from _both_alphabets(shifted[first:].rstrip(b"="))


def _wrapped(text: bytes) -> Iterator[bytes]:
    for width in _LINE_WIDTHS:
        for start in range(0, len(text), width) if len(text) > width else ():
            line = text[start : start + width]
            if len(line) >= _WRAPPED_MIN:
                yield line


def _both_alphabets(text: bytes) -> Iterator[bytes]:
    yield text
    yield text.translate(_TO_URL_ALPHABET)


_TO_URL_ALPHABET = bytes.maketrans(b"+/", b"-_")
