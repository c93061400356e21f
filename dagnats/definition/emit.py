"""Data as YAML that people like to read and that our own reader reads back as the same data."""

import re
from collections.abc import Iterator
from typing import Any

from dagnats.core.pipeline import JSON
from dagnats.definition.scalars import NumberError, resolve

# Text that needs no quotes wherever it stands; `resolve` says whether it would be read as text at all.
PLAIN = re.compile(r"[\w/.$(](?:[^\s:#]|(?<=\S)#|:(?=\S)| (?=[^\s#]))*")
WORD = re.compile(r"(?:--?(?=[A-Za-z0-9]))?[A-Za-z0-9_/.][A-Za-z0-9_/.+-]*")  # the same within `[…]`, and as a key
MAX_FLOW = 80
_ESCAPES = {"\\": "\\\\", '"': '\\"', "\n": "\\n", "\t": "\\t", "\r": "\\r"}


def to_yaml(value: JSON) -> str:
    """Give a document in block style; lists of short words stand on one line."""
    return "\n".join(_lines(value, 0)) + "\n"


def scalar(value: JSON) -> str:
    """Give a value on one line, as it may stand anywhere."""
    match value:
        case None:
            return "null"
        case bool():
            return "true" if value else "false"
        case int() | float():
            return repr(value)
        case str():
            return value if _is_plain(value, WORD) else _quoted(value)
        case list():
            return "[" + ", ".join(scalar(item) for item in value) + "]"
        case _:
            return "{" + ", ".join(f"{_key(key)}: {scalar(item)}" for key, item in value.items()) + "}"


def _lines(value: JSON, depth: int) -> Iterator[str]:
    indent = "  " * depth
    if isinstance(value, dict) and value:
        for key, item in value.items():
            yield from _entry(f"{indent}{_key(key)}:", item, depth)
    elif isinstance(value, list) and value:
        for item in value:
            yield from _item(item, depth)
    else:
        yield indent + _one_line(value)


def _entry(head: str, value: JSON, depth: int) -> Iterator[str]:
    if isinstance(value, str) and _is_block(value):
        yield f"{head} {'|' if value.endswith(chr(10)) else '|-'}"
        indent = "  " * (depth + 1)
        yield from (indent + line if line else "" for line in value.removesuffix("\n").split("\n"))
    elif isinstance(value, dict | list) and value and not _is_short(value):
        yield head
        yield from _lines(value, depth + 1)
    else:
        yield f"{head} {_one_line(value)}"


def _item(value: JSON, depth: int) -> Iterator[str]:
    indent = "  " * depth
    if isinstance(value, dict) and value:
        # the first key stands beside the dash, the others below it
        lines = list(_lines(value, depth + 1))
        yield f"{indent}- {lines[0].lstrip(' ')}"
        yield from lines[1:]
    else:
        yield from _entry(f"{indent}-", value, depth)


def _one_line(value: JSON) -> str:
    return value if isinstance(value, str) and _is_plain(value, PLAIN) else scalar(value)


def _key(key: str) -> str:
    return key if _is_plain(key, WORD) else _quoted(key)


def _is_plain(text: str, pattern: re.Pattern[str]) -> bool:
    if not pattern.fullmatch(text) or text.startswith("...") or not text.isprintable():
        return False
    try:
        return resolve(text) == text
    except NumberError:
        return False


def _is_block(text: str) -> bool:
    """Whether the text may stand as it is below a `|`."""
    body = text.removesuffix("\n")
    if "\n" not in text or not body or body[0] in " \t\n" or body.endswith("\n"):
        return False
    return body.replace("\n", "").replace("\t", "").isprintable()


def _is_short(value: Any) -> bool:
    return (
        isinstance(value, list)
        and not any(isinstance(item, dict | list) for item in value)
        and not any(isinstance(item, str) and any(map(str.isspace, item)) for item in value)
        and len(scalar(value)) <= MAX_FLOW
    )


def _quoted(text: str) -> str:
    if '"' in text and "'" not in text and text.isprintable():
        return f"'{text}'"
    return '"' + "".join(_escaped(c) for c in text) + '"'


def _escaped(character: str) -> str:
    if character in _ESCAPES:
        return _ESCAPES[character]
    if character.isprintable():
        return character
    code = ord(character)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
