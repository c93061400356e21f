"""Walks a checked tree with the values of a run: nothing is executed that is not written here, and all of it is counted."""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, ClassVar, Final

from jinja2 import nodes

from dagnats.core.pipeline import JSON
from dagnats.template.check import is_pasted, unpasted
from dagnats.template.errors import RefusedError, TemplateError
from dagnats.template.filters import FILTERS, TESTS
from dagnats.template.operators import BINARY, compare, cut, field
from dagnats.template.values import Missing, bounded, is_number, kind, require, room, to_text

MAX_TURNS: Final = 10_000
TIME_LIMIT_S: Final = 2.0

Context = Mapping[str, JSON]
Functions = Mapping[str, Callable[[], bool]]
Clock = Callable[[], float]
_Rules = Mapping[type[nodes.Node], Callable[["Evaluator", Any], JSON]]


class Evaluator:
    """One evaluation of one template; the bounds hold for all of it."""

    def __init__(
        self, context: Context, clock: Clock, functions: Functions, interpolate: Callable[[JSON], str] = to_text
    ) -> None:
        self._scopes: list[dict[str, JSON]] = [{}]
        self._context = context
        self._functions = functions
        self._interpolate = interpolate
        self._clock = clock
        self._deadline = clock() + TIME_LIMIT_S
        self._turns = 0
        self._written = 0
        self._line = 1

    def text(self, body: Iterable[nodes.Node]) -> str:
        """What the statements write."""
        with self._sentences():
            return "".join(self._statements(body))

    def value(self, node: nodes.Expr) -> JSON:
        """The value of an expression."""
        with self._sentences():
            return bounded(self._need(node))

    @contextmanager
    def _sentences(self) -> Iterator[None]:
        try:
            yield
        except RefusedError as error:
            raise TemplateError(error.message, self._line, hint=error.hint) from None
        except ZeroDivisionError:
            raise TemplateError("division by zero", self._line) from None
        except OverflowError:
            raise TemplateError("a number is out of range", self._line) from None
        except (RecursionError, MemoryError):
            raise TemplateError("a value is nested too deep or too large", self._line) from None
        except (TypeError, ValueError, AttributeError) as error:
            raise TemplateError(f"can not be evaluated: {error}", self._line) from None

    def _statements(self, body: Iterable[nodes.Node]) -> Iterator[str]:
        for node in body:
            match node:
                case nodes.Output():
                    for child in node.nodes:
                        piece = self._piece(child)
                        self._written += len(piece)
                        room(self._written)
                        yield piece
                case nodes.If():
                    yield from self._branch(node)
                case nodes.For():
                    yield from self._loop(node)
                case nodes.Assign():
                    self._assign(node.target, self._need(node.node))

    def _piece(self, node: nodes.Node) -> str:
        if isinstance(node, nodes.TemplateData):
            return node.data
        if isinstance(node, nodes.Expr) and is_pasted(node):
            return to_text(self._need(unpasted(node)))
        return self._interpolate(self._need(node))

    def _branch(self, node: nodes.If) -> Iterator[str]:
        for branch in (node, *node.elif_):
            if self._need(branch.test):
                yield from self._statements(branch.body)
                return
        yield from self._statements(node.else_)

    def _loop(self, node: nodes.For) -> Iterator[str]:
        values = self._need(node.iter)
        if not isinstance(values, list | Mapping):
            raise RefusedError(f"can not loop over {kind(values)}", "`| split` makes a list of a string")
        values = [value for value in values if node.test is None or self._passes(node, value)]
        for index, value in enumerate(values):
            self._turn()
            self._scopes.append({"loop": _position(index, len(values))})
            self._assign(node.target, value)
            yield from self._statements(node.body)
            self._scopes.pop()
        if not values:
            yield from self._statements(node.else_)

    def _passes(self, node: nodes.For, value: JSON) -> bool:
        self._turn()
        self._scopes.append({})
        self._assign(node.target, value)
        passes = bool(self._need(node.test))
        self._scopes.pop()
        return passes

    def _turn(self) -> None:
        self._turns += 1
        if self._turns > MAX_TURNS:
            raise RefusedError(f"the loops of the template take over {MAX_TURNS:,} turns")

    def _assign(self, target: nodes.Node, value: JSON) -> None:
        if isinstance(target, nodes.Name):
            self._scopes[-1][target.name] = value
            return
        names = [item.name for item in target.iter_child_nodes() if isinstance(item, nodes.Name)]
        if not isinstance(value, list) or len(value) != len(names):
            what = f"a list of {len(value)}" if isinstance(value, list) else kind(value)
            raise RefusedError(f"expected a list of {len(names)} for `{', '.join(names)}`, got {what}")
        self._scopes[-1].update(zip(names, value, strict=True))

    def _need(self, node: nodes.Node | None) -> JSON:
        value = self._evaluate(node)
        if isinstance(value, Missing) and node is not None:
            self._line = node.lineno or self._line
        return require(value)

    def _evaluate(self, node: nodes.Node | None) -> JSON:
        if node is None:
            return None
        if self._clock() > self._deadline:
            raise RefusedError(f"the template takes over {TIME_LIMIT_S:g} seconds")
        self._line = node.lineno or self._line
        if type(node) in self._CHOSEN:
            return self._CHOSEN[type(node)](self, node)
        return bounded(self._BUILT[type(node)](self, node))

    def _binary(self, node: nodes.BinExpr) -> JSON:
        return BINARY[node.operator](self._need(node.left), self._need(node.right))

    def _unary(self, node: nodes.UnaryExpr) -> JSON:
        value = self._need(node.node)
        if not is_number(value):
            raise RefusedError(f"expected a number after `{node.operator}`, got {kind(value)}")
        return -value if node.operator == "-" else value

    def _concat(self, node: nodes.Concat) -> str:
        parts = [to_text(self._need(part)) for part in node.nodes]
        room(sum(map(len, parts)))
        return "".join(parts)

    def _list(self, node: nodes.List | nodes.Tuple) -> list[JSON]:
        return [self._need(item) for item in node.items]

    def _dict(self, node: nodes.Dict) -> dict[str, JSON]:
        return {self._key(pair.key): self._need(pair.value) for pair in node.items}

    def _and(self, node: nodes.And) -> JSON:
        return self._need(node.left) and self._need(node.right)

    def _or(self, node: nodes.Or) -> JSON:
        return self._need(node.left) or self._need(node.right)

    def _not(self, node: nodes.Not) -> bool:
        return not self._need(node.node)

    def _key(self, node: nodes.Node) -> str:
        key = self._need(node)
        if not isinstance(key, str):
            raise RefusedError(f"the keys of a map are strings, got {kind(key)}")
        return key

    def _name(self, node: nodes.Name) -> JSON:
        for scope in reversed(self._scopes):
            if node.name in scope:
                return scope[node.name]
        return field(self._context, node.name, node.name)

    def _attribute(self, node: nodes.Getattr) -> JSON:
        return field(self._need(node.node), node.attr, path_of(node))

    def _item(self, node: nodes.Getitem) -> JSON:
        container = self._need(node.node)
        if isinstance(node.arg, nodes.Slice):
            bounds = (node.arg.start, node.arg.stop, node.arg.step)
            return cut(container, *[self._need(bound) for bound in bounds])
        key = self._need(node.arg)
        return field(container, key, path_of(node.node) + _step(key))

    def _compare(self, node: nodes.Compare) -> bool:
        left = self._need(node.expr)
        for operand in node.ops:
            right = self._need(operand.expr)
            if not compare(operand.op, left, right):
                return False
            left = right
        return True

    def _choice(self, node: nodes.CondExpr) -> JSON:
        if self._need(node.test):
            return self._evaluate(node.expr1)
        if node.expr2 is None:
            return Missing("the condition after `if` is false, and there is no `else`")
        return self._evaluate(node.expr2)

    def _filter(self, node: nodes.Filter) -> JSON:
        arguments = [self._need(argument) for argument in node.args]
        named = {str(pair.key): self._need(pair.value) for pair in node.kwargs}
        if node.name in ("default", "d"):
            return _default(self._evaluate(node.node), *arguments, **named)
        return self._applied(FILTERS[node.name], node, self._need(node.node), arguments, named)

    def _test(self, node: nodes.Test) -> bool:
        arguments = [self._need(argument) for argument in node.args]
        named = {str(pair.key): self._need(pair.value) for pair in node.kwargs}
        value = self._evaluate(node.node) if node.name in ("defined", "undefined") else self._need(node.node)
        return bool(self._applied(TESTS[node.name], node, value, arguments, named))

    def _applied(
        self,
        function: Callable[..., JSON],
        node: nodes.Filter | nodes.Test,
        value: JSON,
        arguments: list[JSON],
        named: dict[str, JSON],
    ) -> JSON:
        self._line = node.lineno or self._line
        try:
            return function(value, *arguments, **named)
        except RefusedError as error:
            raise RefusedError(f"`{node.name}`: {error.message}", error.hint) from None

    def _call(self, node: nodes.Call) -> JSON:
        name = node.node.name if isinstance(node.node, nodes.Name) else ""
        if name == "range":
            return _range([self._need(argument) for argument in node.args])
        if name not in self._functions:
            raise RefusedError(f"`{name}()` is not known here")
        return self._functions[name]()

    # What gives a value that is there already; it may be missing, and is as large as it was.
    _CHOSEN: ClassVar[_Rules] = {
        nodes.Const: lambda _, node: node.value,
        nodes.Name: _name,
        nodes.Getattr: _attribute,
        nodes.Getitem: _item,
        nodes.CondExpr: _choice,
        nodes.And: _and,
        nodes.Or: _or,
        nodes.Not: _not,
        nodes.Test: _test,
        nodes.Compare: _compare,
    }

    # What makes a new value, which is measured.
    _BUILT: ClassVar[_Rules] = {
        **dict.fromkeys((nodes.Add, nodes.Sub, nodes.Mul, nodes.Div, nodes.FloorDiv, nodes.Mod, nodes.Pow), _binary),
        **dict.fromkeys((nodes.Neg, nodes.Pos), _unary),
        **dict.fromkeys((nodes.List, nodes.Tuple), _list),
        nodes.Concat: _concat,
        nodes.Dict: _dict,
        nodes.Filter: _filter,
        nodes.Call: _call,
    }


def path_of(node: nodes.Node) -> str:
    """What the template calls a value, for messages."""
    match node:
        case nodes.Name():
            return node.name
        case nodes.Getattr():
            return f"{path_of(node.node)}.{node.attr}"
        case nodes.Getitem():
            return path_of(node.node) + (_step(node.arg.value) if isinstance(node.arg, nodes.Const) else "[...]")
    return "(...)"


def _step(key: JSON) -> str:
    if isinstance(key, str) and key.isidentifier():
        return f".{key[:80]}"
    return f"[{json.dumps(key, ensure_ascii=False)[:80]}]"


def _position(index: int, length: int) -> dict[str, JSON]:
    return {
        "index": index + 1,
        "index0": index,
        "revindex": length - index,
        "revindex0": length - index - 1,
        "first": index == 0,
        "last": index == length - 1,
        "length": length,
    }


def _default(value: JSON, default_value: JSON = "", boolean: JSON = False) -> JSON:
    return default_value if isinstance(value, Missing) or (boolean and not value) else value


def _range(bounds: list[Any]) -> list[int]:
    if any(isinstance(bound, bool) or not isinstance(bound, int) for bound in bounds):
        raise RefusedError("`range` takes integers")
    numbers = range(*bounds)
    if len(numbers) > MAX_TURNS:
        raise RefusedError(f"the range has over {MAX_TURNS:,} numbers")
    return list(numbers)
