"""Text to a checked tree: Jinja's parser, and what of its language a pipeline may use.

The tree is evaluated by `dagnats.template.evaluator` and never compiled to Python, so nothing is computed before it is
reached, and what is not in the tables here does not exist.
"""

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from functools import lru_cache
from typing import Final, TypeVar

import jinja2
from jinja2 import nodes
from jinja2.parser import Parser
from msgspec import Struct

from dagnats.template.check import Check, Reference, unpasted
from dagnats.template.errors import RefusedError, TemplateError
from dagnats.template.values import MAX_SOURCE

Tree = TypeVar("Tree", bound=nodes.Node)

ENVIRONMENT: Final = jinja2.Environment(autoescape=False, keep_trailing_newline=True)  # noqa: S701 - nothing here is HTML
_LITERAL_HINT: Final = "braces that are not meant for the template are written {% raw %}...{% endraw %}"


class Program(Struct, frozen=True):
    """A checked template. `single` is its expression if it is nothing else, so that a value keeps its type.

    `nodes` says how large it is.
    """

    body: tuple[nodes.Node, ...]
    single: nodes.Expr | None
    references: tuple[Reference, ...]
    functions: frozenset[str]
    nodes: int


@lru_cache(maxsize=512)
def parse_template(text: str) -> Program:
    """The checked tree of text with templates in it."""
    check_length(text)
    hidden = hidden_text(text)
    blanks = _blanks(text) if hidden is not text else []

    def parse() -> nodes.Template:
        tree = Parser(ENVIRONMENT, hidden).parse()
        # A walk over all nodes takes as long as the parser: only where something is hidden.
        for node in tree.find_all((nodes.TemplateData, nodes.Const)) if blanks else ():
            _restore(node, blanks)
        return tree

    try:
        tree = _parse(text, parse)
    except TemplateError as error:
        error.hint = error.hint or _LITERAL_HINT
        raise
    return _checked(tuple(tree.body), expression=False)


@lru_cache(maxsize=512)
def parse_expression(text: str) -> Program:
    """The checked tree of one expression, with or without braces around it."""
    check_length(text)
    stripped = text.strip()
    if not stripped:
        raise TemplateError("the expression is empty")

    def parse() -> nodes.Expr:
        parser = Parser(ENVIRONMENT, text, state="variable")
        found = parser.parse_expression()
        if not parser.stream.eos:
            parser.fail(f"there is more after the expression: '{parser.stream.current.value}'", found.lineno)
        return found

    if not (stripped.startswith("{{") and stripped.endswith("}}")):
        try:
            tree = _parse(text, parse)
        except TemplateError as error:
            if "{{" in text:
                error.hint = "write one expression, without braces"
            elif error.message.endswith("'='"):
                error.hint = "`==` compares"
            raise
        return _checked((nodes.Output([tree], lineno=1),), expression=True)
    body = _parse(text, lambda: Parser(ENVIRONMENT, stripped).parse()).body
    if len(body) != 1 or not isinstance(body[0], nodes.Output) or len(body[0].nodes) != 1:
        raise TemplateError("expected one expression", hint="write the whole expression without braces")
    return _checked(tuple(body), expression=True)


def check_length(text: str) -> None:
    """Refuse a template that is too long."""
    if len(text) > MAX_SOURCE or len(text.encode(errors="replace")) > MAX_SOURCE:
        raise TemplateError(f"the template is over {MAX_SOURCE // 1024} KiB", hint="put long text into a file")


def hidden_text(text: str) -> str:
    """Text in which what Jinja would change or misread is hidden from it.

    It makes a newline of a carriage return, and a comment of the `${#name}` of a shell. Spare blanks stand for them.
    """
    if "\r" not in text and "${#" not in text:
        return text
    blanks = _blanks(text)
    return text.replace("\r", blanks[0]).replace("${#", "${" + blanks[1] + "#") if blanks else text


def _blanks(text: str) -> list[str]:
    spare = [blank for blank in "\x1c\x1d\x1e\x1f" if blank not in text]
    return spare[:2] if len(spare) >= 2 else []


def _restore(node: nodes.Node, blanks: list[str]) -> None:
    if isinstance(node, nodes.TemplateData):
        node.data = node.data.replace(blanks[0], "\r").replace(blanks[1], "")
    elif isinstance(node, nodes.Const) and isinstance(node.value, str):
        node.value = node.value.replace(blanks[0], "\r").replace(blanks[1], "")


@contextmanager
def _silence() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def _parse(text: str, parse: Callable[[], Tree]) -> Tree:
    try:
        # An unknown escape in a literal is kept as it is written. To keep Python from warning takes as long as a short template.
        with _silence() if "\\" in text else nullcontext():
            return parse()
    except jinja2.TemplateSyntaxError as error:
        message = (error.message or "syntax error").rstrip(".")
        raise TemplateError(message[:1].lower() + message[1:], max(1, error.lineno)) from None
    except (RecursionError, MemoryError):
        raise TemplateError("the template is nested too deep") from None
    except (ValueError, OverflowError):
        raise TemplateError("a number in the template has too many digits") from None


def _checked(body: tuple[nodes.Node, ...], *, expression: bool) -> Program:
    check = Check(expression)
    try:
        check.statements(body)
    except RefusedError as error:
        raise TemplateError(error.message, check.line, hint=error.hint) from None
    return Program(body, _single(body), tuple(check.references), frozenset(check.functions), check.nodes)


def _single(body: tuple[nodes.Node, ...]) -> nodes.Expr | None:
    if len(body) != 1 or not isinstance(body[0], nodes.Output):
        return None
    first, *rest = body[0].nodes
    # A block of YAML ends with a newline that nobody meant.
    blank = all(isinstance(node, nodes.TemplateData) and not node.data.strip("\n") for node in rest)
    return unpasted(first) if blank and not isinstance(first, nodes.TemplateData) else None
