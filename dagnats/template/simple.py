"""Text in which every template is a plain mention of a value, `{{ params.name }}`: to know what it says takes no parser.

Nearly all templates are of this kind, and Jinja's parser needs twenty times as long for one. What is in doubt is left to it.
"""

import re
from typing import Final

_NAMED: Final = (
    r"(?:params|vars|env|secrets|git|pipeline|run|steps|matrix|item|failed)(?:\s*\.\s*[A-Za-z_][A-Za-z0-9_]*)*"
)
# A third brace would begin a map.
_MENTION: Final = re.compile(rf"(?<!\{{)\{{\{{\s*({_NAMED})\s*\}}\}}")
_EXPRESSION: Final = re.compile(rf"\s*({_NAMED})\s*")
_OTHER: Final = re.compile(r"\{[{%#]|\r")
_FIELD: Final = re.compile(r"\s*\.\s*")

Mention = tuple[tuple[str, ...], int]


def simple_mentions(text: str, *, expression: bool = False) -> list[Mention] | None:
    """What a text mentions, each with its line; None where there is more in it than that."""
    if expression:
        whole = _EXPRESSION.fullmatch(text)
        return None if whole is None or "\r" in text else [_mention(whole[1], 1 + text.count("\n", 0, whole.start(1)))]
    if not is_simple(text):
        return None
    found: list[Mention] = []
    line, counted = 1, 0
    for match in _MENTION.finditer(text):
        line += text.count("\n", counted, match.start(1))
        counted = match.start(1)
        found.append(_mention(match[1], line))
    return found


def is_simple(text: str) -> bool:
    """Whether every template of a text is a plain mention."""
    return _OTHER.search(_MENTION.sub(" ", text)) is None


def marked(text: str, mark: str) -> tuple[str, list[int]]:
    """A simple text with a mark in place of each mention, and the lines on which they end."""
    lines: list[int] = []
    line, counted = 1, 0
    for match in _MENTION.finditer(text):
        line += text.count("\n", counted, match.end())
        counted = match.end()
        lines.append(line)
    return _MENTION.sub(mark, text), lines


def _mention(written: str, line: int) -> Mention:
    # Where nothing is between the names, as nearly always, no pattern is needed to part them.
    names = written.split(".")
    plain = all(name.isidentifier() for name in names)
    return tuple(names if plain else _FIELD.split(written)), line
