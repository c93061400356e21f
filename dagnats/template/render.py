"""Templates with the values of a run: to a value, to text, and to a script with its environment."""

import time
from collections.abc import Callable, Mapping
from typing import Final

from dagnats.core.pipeline import JSON
from dagnats.core.shells import PYTHON, language
from dagnats.core.text import has_template
from dagnats.template.check import Reference
from dagnats.template.errors import RefusedError, TemplateError
from dagnats.template.evaluator import Clock, Context, Evaluator, Functions
from dagnats.template.simple import simple_mentions
from dagnats.template.syntax import check_length, parse_expression, parse_template
from dagnats.template.values import MAX_TEXT, room, to_text

MAX_VARIABLE: Final = 128 * 1024  # what Linux takes as one string of an environment, its name included


def check(text: str, *, expression: bool = False) -> tuple[Reference, ...]:
    """Every reference to a context variable in a template; raises `TemplateError` for what can not be used."""
    check_length(text)
    simple = simple_mentions(text, expression=expression)
    if simple is not None:
        return tuple(Reference(path, line) for path, line in simple)
    return (parse_expression(text) if expression else parse_template(text)).references


def nodes(text: str, *, expression: bool = False) -> int:
    """How many nodes a parser makes of a template that can be used; none where `check` needs no parser."""
    if simple_mentions(text, expression=expression) is not None:
        return 0
    return (parse_expression(text) if expression else parse_template(text)).nodes


def status_functions(expression: str) -> frozenset[str]:
    """Which of success, failure, always and cancelled the expression of an `if` calls."""
    if simple_mentions(expression, expression=True) is not None:
        return frozenset()
    return parse_expression(expression).functions


def evaluate(
    expression: str, context: Context, functions: Functions | None = None, *, clock: Clock = time.monotonic
) -> JSON:
    """The value of an expression, with or without braces around it."""
    program = parse_expression(expression)
    if program.single is None:
        raise TemplateError("expected one expression")
    return Evaluator(context, clock, functions or {}).value(program.single)


def render(text: str, context: Context, *, clock: Clock = time.monotonic) -> JSON:
    """The value of a string: of its type if it is exactly one expression, else a string."""
    if not has_template(text):
        return text
    program = parse_template(text)
    if program.single is None:
        return sized(Evaluator(context, clock, {}).text(program.body))
    return Evaluator(context, clock, {}).value(program.single)


def render_text(text: str, context: Context, *, clock: Clock = time.monotonic) -> str:
    """A string with its templates replaced by the text of their values."""
    if not has_template(text):
        return text
    return sized(Evaluator(context, clock, {}).text(parse_template(text).body))


def render_script(
    text: str, context: Context, shell: str | tuple[str, ...], *, clock: Clock = time.monotonic
) -> tuple[str, dict[str, str]]:
    """A script in which each interpolation is a reference, and the environment with the values: none becomes code."""
    if not has_template(text):
        return text, {}
    values = ScriptValues(shell)
    script = Evaluator(context, clock, {}, values.reference).text(parse_template(text).body)
    return sized(script), {name: value for value, name in values.names.items()}


def sized(text: str) -> str:
    """The text, if it is within the bounds."""
    try:
        size = len(text.encode())
    except UnicodeEncodeError:
        raise TemplateError("the result is not valid Unicode: it holds half of a surrogate pair") from None
    if size > MAX_TEXT:
        raise TemplateError(f"the result is over {MAX_TEXT // 1024 // 1024} MiB")
    return text


class ScriptValues:
    """The values that a script refers to, each under one name. Where there are `literals`, they are what Python gets instead."""

    def __init__(self, shell: str | tuple[str, ...], *, literals: bool = True) -> None:
        self.names: dict[str, str] = {}
        self._size = 0
        spoken = language(shell)
        self._refer = _REFERENCES.get(spoken)
        self._literal = literals and spoken == PYTHON

    def reference(self, value: JSON) -> str:
        """What stands in the script for a value."""
        text = to_text(value)
        if self._literal:
            return _python_literal(text)
        if self._refer is None:
            raise RefusedError("a value can not be given to a script in this language", "put it into `env`")
        if text not in self.names:
            name = f"DAGNATS_V{len(self.names) + 1}"
            self._admit(name, text)
            self.names[text] = name
        return self._refer(self.names[text])

    def _admit(self, name: str, text: str) -> None:
        if "\0" in text:
            raise RefusedError("a value with a NUL character can not be given to a script")
        try:
            size = len(name) + len(text.encode()) + 2
        except UnicodeEncodeError:
            raise RefusedError("the value is not valid Unicode: it holds half of a surrogate pair") from None
        if size > MAX_VARIABLE:
            raise RefusedError(
                f"a value of over {MAX_VARIABLE // 1024} KiB can not be given to a script", "pass a file"
            )
        self._size += size
        room(self._size)


_REFERENCES: Final[Mapping[str, Callable[[str], str]]] = {
    **dict.fromkeys(("bash", "sh"), "${{{}}}".format),
    "pwsh": "${{env:{}}}".format,
    "python": "__import__('os').environ['{}']".format,
}


def _python_literal(text: str) -> str:
    """A Python string that stays data wherever it is pasted.

    Nothing in it can end another literal, and if its own quotes end one, the escape that follows is a syntax error.
    """
    plain = frozenset(" _-./,:=+@")
    parts = [
        character
        if position and character.isascii() and (character.isalnum() or character in plain)
        else _escape(character)
        for position, character in enumerate(text)
    ]
    return "'" + "".join(parts) + "'"


def _escape(character: str) -> str:
    code = ord(character)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
