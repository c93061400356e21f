"""A script as a scanner for quotes sees it: the literal text, with a mark where a template has something."""

from collections.abc import Iterator
from typing import Final

import jinja2
from msgspec import Struct, field

from dagnats.template.errors import TemplateError
from dagnats.template.simple import is_simple, marked
from dagnats.template.syntax import ENVIRONMENT, hidden_text

VALUE: Final = "\ue000"  # an interpolation
TAG: Final = "\ue001"  # a statement


class Script(Struct):
    """The text with its marks; `lines` are those of the interpolations and `tags` the names of the statements, in order."""

    text: str = ""
    lines: list[int] = field(default_factory=list)
    tags: list[str] = field(default_factory=list)


def flatten(text: str) -> Script | None:
    """The script with marks, or None where the template has no valid syntax."""
    if is_simple(text):
        return Script(*marked(text.replace(VALUE, "?").replace(TAG, "?"), VALUE))
    script = Script()
    parts: list[str] = []
    inside: list[str] = []
    try:
        for line, sort, value in _lexed(text):
            if sort == "data":
                parts.append(value.replace(VALUE, "?").replace(TAG, "?"))
            elif sort in ("variable_begin", "block_begin"):
                inside = []
            elif sort in ("name", "operator"):
                inside.append(value)
            # What `raw` pastes is the author's own affair.
            elif sort == "variable_end" and inside[-2:] != ["|", "raw"]:
                script.lines.append(line)
                parts.append(VALUE)
            elif sort == "block_end":
                script.tags.append(inside[0] if inside else "")
                parts.append(TAG)
    except jinja2.TemplateSyntaxError:
        return None
    script.text = "".join(parts)
    return script


def _lexed(text: str) -> Iterator[tuple[int, str, str]]:
    return ENVIRONMENT.lexer.tokeniter(hidden_text(text), None)


class Findings(Struct):
    """What a scanner has found, and where in the marks it is."""

    script: Script
    problems: list[TemplateError] = field(default_factory=list)
    values: int = 0
    tags: int = 0

    def value(self, message: str = "", hint: str = "") -> None:
        """Pass an interpolation, with what is wrong about it."""
        if message:
            self.problems.append(TemplateError(message, self.script.lines[self.values], hint=hint))
        self.values += 1

    def tag(self) -> str:
        """Pass a statement; returns its name."""
        self.tags += 1
        return self.script.tags[self.tags - 1]
