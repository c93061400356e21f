"""Operators and variables of shells and of other languages in an expression: what is written here instead.

Patterns are text here: they are compiled when an expression is wrong, and most are not.
"""

import re
from typing import NamedTuple

QUOTED = r"'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\""
BRACES = r"\{\{(.*?)\}\}"
COMPARED = r"[=!]=\s*([A-Za-z_][\w./-]*)(?![\w(\[])"


MAX_LOOKED_AT = 4096


class Foreign(NamedTuple):
    """A piece of another language: where it begins in the text, what it is, and what is said about it."""

    start: int
    piece: str
    message: str
    hint: str


RULES: tuple[tuple[str, str, str], ...] = (
    (r"(?:^|(?<=[\s(]))\.([A-Za-z]\w*)", "`{piece}` is of a Go template", "write `{{{{ vars.{name} }}}}`, or `{{% raw %}}…{{% endraw %}}` around braces for another program"),
    (r"&&", "`&&` is no operator here", "write `and`"),
    (r"\|\|", "`||` is no operator here", "write `or`"),
    (r"[=!]==", "`{piece}` is no operator here", "write `==` or `!=`"),
    (r"!(?!=)", "`!` is no operator here", "write `not`"),
    (r"=~", "`=~` is no operator here", "write `'text' in value`, or compare a part: `value[:5] == 'text/'`"),
    (r"\$\{?(\w+)\}?", "`{piece}` is a variable of a shell", "write `env.{name}`, the environment of the runner"),
    (r"\$\(", "`$(` runs a command in a shell", "make a var of it: `vars: {{name: {{sh: …}}}}`"),
    (r"\[\[? *-[a-z]\b", "this is a test of a shell", "an `if` asks for values; let `run` look at files"),
)  # fmt: skip


def foreign_parts(text: str, *, expression: bool) -> list[Foreign]:
    """What of an expression, or of the expressions in braces of a text, is of another language; nothing of it in quotes."""
    if len(text) > MAX_LOOKED_AT:
        return []
    spans = (
        [(0, text)] if expression else [(found.start(1), found[1]) for found in re.finditer(BRACES, text, re.DOTALL)]
    )
    parts: list[Foreign] = []
    for start, inner in spans:
        blank = re.sub(QUOTED, lambda found: " " * len(found[0]), inner, flags=re.DOTALL)
        for pattern, message, hint in RULES:
            for found in re.finditer(pattern, blank):
                name = found[1] if found.re.groups else ""
                said = (words.format(piece=found[0], name=name) for words in (message, hint))
                parts.append(Foreign(start + found.start(), found[0], *said))
    return sorted(parts)


def unquoted_text(expression: str, name: str) -> str:
    """The text that stands without quotes behind `==`, and in which `name` is a word; nothing if there is none."""
    blank = re.sub(QUOTED, lambda found: " " * len(found[0]), expression[:MAX_LOOKED_AT], flags=re.DOTALL)
    for found in re.finditer(COMPARED, blank):
        if name in re.split(r"[./-]", found[1]):
            return found[1]
    return ""
