"""Parser events of ruamel.yaml: from its C extension where that is installed (25 times faster), else from its pure parser.

Only events are used. The composer and the constructors above them recurse, build whatever a tag asks for, and expand merge keys
without bound.
"""

import re
import sys
from collections.abc import Iterator
from itertools import chain
from typing import Any

from ruamel.yaml.error import MarkedYAMLError
from ruamel.yaml.events import (
    AliasEvent,
    DocumentStartEvent,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
)

from dagnats.definition.pure import PureParser

try:
    from _ruamel_yaml import CParser
except ImportError:
    CParser = None

__all__ = [
    "AliasEvent",
    "DocumentStartEvent",
    "MappingEndEvent",
    "MappingStartEvent",
    "MarkedYAMLError",
    "ScalarEvent",
    "SequenceEndEvent",
    "SequenceStartEvent",
    "events",
]

# In `[python:3.12]` and `{url: http://x/?q}` the extension takes `:` and `?` inside a word for indicators, as YAML 1.1 did.
WORD_COLON = re.compile(r""":(?<=[^\s\[\]{},"']:)(?=[^\s,\[\]{}])""")
WORD_QUESTION = re.compile(r"\?(?<=[^\s\[\]{},]\?)")
ESCAPE = re.compile(r"\\(?:u([0-9A-Fa-f]{4})|U(00[01][0-9A-Fa-f]{5}))")
# More characters than a file of 1 MiB can hold; the first ones are for private use, and in hardly any file.
STAND_INS = (range(0xE000, 0xF900), range(0x20000, 0x10FFFE))


def events(text: str, *, pure: bool = False) -> Iterator[Any]:
    """The events of a text, one by one, so that whoever reads them can stop at a limit."""
    # Where the last line has no end, the two parsers disagree on the position of the end.
    text, restore = _hide(text if text.endswith("\n") else text + "\n")
    parser = PureParser(text) if pure or CParser is None else CParser(text)
    stream: Iterator[Any] = iter(parser.get_event, None)
    return _restored(stream, restore) if restore else stream


def _hide(text: str) -> tuple[str, dict[int, str]]:
    """Put a character that the text does not hold in place of `:` and `?` inside words; positions stay as they are."""
    restore: dict[int, str] = {}
    found = [
        (pattern, c) for pattern, c in ((WORD_COLON, ":"), (WORD_QUESTION, "?")) if c in text and pattern.search(text)
    ]
    if found:
        present = set(text) | {chr(int(four or eight, 16)) for four, eight in _escapes(text)}
        unused = (chr(code) for code in chain(*STAND_INS) if chr(code) not in present)
        for pattern, character in found:
            stand_in = next(unused)
            text = pattern.sub(stand_in, text)
            restore[ord(stand_in)] = character
    return text, restore


def _escapes(text: str) -> list[tuple[str, str]]:
    """What stands in a text as an escape is in its values too."""
    return [found for found in ESCAPE.findall(text) if found[0] or int(found[1], 16) <= sys.maxunicode]


def _restored(stream: Iterator[Any], restore: dict[int, str]) -> Iterator[Any]:
    for event in stream:
        if type(event) is ScalarEvent and not event.value.isascii():
            event.value = event.value.translate(restore)
        yield event
