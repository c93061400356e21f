"""Questions about text that cost nothing to ask."""

import hashlib
import json
import re
from collections.abc import Iterator, Mapping

from dagnats.core.pipeline import JSON

# `${#name}` is the length of a shell variable, and no comment of a template.
_TEMPLATE = re.compile(r"\{\{|\{%|(?<!\$)\{#")
_TOKEN_MAX = 180  # a name of a file may have 255 bytes, with what stands behind it
_TOKEN_HEAD = 100
_UNSAFE = re.compile(rb"[^A-Za-z0-9_-]")

_encode_json = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode


def has_template(text: str) -> bool:
    """Whether text holds anything for `dagnats.template`, which is slow to import, to do."""
    return _TEMPLATE.search(text) is not None


def encode_json(value: JSON) -> str:
    """Give compact JSON text."""
    return _encode_json(value)


def text_of(value: JSON) -> str:
    """Give a value as text, the way templates print it."""
    match value:
        case None:
            return ""
        case bool():
            return "true" if value else "false"
        case str():
            return value
        case _:
            return encode_json(value)


def workflow_command(name: str, message: str = "", **properties: str | int) -> str:
    """Give a command to GitHub Actions, as a line of output gives it; no text in it can end the line or begin another command."""
    written = ",".join(f"{key}={_property(str(value))}" for key, value in properties.items())
    return f"::{name}{' ' + written if written else ''}::{_data(message)}"


def no_command(line: str) -> str:
    """Give a line that GitHub Actions does not take for a command: those begin with `::`, or have `##[` anywhere."""
    line = line.replace("##[", "## [")
    return line.replace("::", ": :", 1) if line.lstrip().startswith("::") else line


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")


def token(id_: str) -> str:
    """Give an id as a part of a subject or of a file's name: what is no letter, digit, `_` or `-` is written as `%XX`, and a long one ends in its hash."""
    if id_.isalnum() and id_.isascii() and len(id_) <= _TOKEN_MAX:
        return id_
    data = id_.encode("utf-8", "surrogatepass")
    safe = _UNSAFE.sub(lambda found: b"%%%02X" % found[0][0], data).decode()
    return safe if len(safe) <= _TOKEN_MAX else f"{safe[:_TOKEN_HEAD]}%{hashlib.sha256(data).hexdigest()[:32]}"


def texts_in(value: JSON) -> Iterator[str]:
    """Give every text in a value."""
    match value:
        case str():
            yield value
        case Mapping():
            for item in value.values():
                yield from texts_in(item)
        case list() | tuple():
            for item in value:
                yield from texts_in(item)
