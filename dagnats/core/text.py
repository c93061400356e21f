"""Questions about text that cost nothing to ask."""

import json
import re
from collections.abc import Iterator, Mapping

from dagnats.core.pipeline import JSON

# `${#name}` is the length of a shell variable, and no comment of a template.
_TEMPLATE = re.compile(r"\{\{|\{%|(?<!\$)\{#")
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


def token(id_: str) -> str:
    """Give an id as a part of a subject or of a file's name: what is no letter, digit, `_` or `-` is written as `%XX`."""
    if id_.isalnum() and id_.isascii():
        return id_
    return _UNSAFE.sub(lambda found: b"%%%02X" % found[0][0], id_.encode("utf-8", "surrogatepass")).decode()


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
