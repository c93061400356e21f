"""Operators over JSON values: what they cost is known before it is paid, and no value has attributes or methods."""

import operator
from collections.abc import Callable, Mapping
from typing import Any, Final

from dagnats.core.pipeline import JSON
from dagnats.template.errors import RefusedError
from dagnats.template.values import MAX_BITS, Missing, is_number, kind, room, room_for_items


def add(left: JSON, right: JSON) -> JSON:
    """`+` of two numbers, two strings or two lists."""
    if is_number(left) and is_number(right):
        return left + right
    if isinstance(left, str) and isinstance(right, str):
        room(len(left) + len(right))
        return left + right
    if isinstance(left, list) and isinstance(right, list):
        room_for_items(len(left) + len(right))
        return left + right
    hint = "`~` joins values as text" if isinstance(left, str) or isinstance(right, str) else ""
    raise RefusedError(f"can not add {kind(left)} and {kind(right)}", hint)


def multiply(left: JSON, right: JSON) -> JSON:
    """`*` of two numbers, or of a string or a list and how many times."""
    if is_number(left) and is_number(right):
        if isinstance(left, int) and isinstance(right, int):
            _room_for_bits(left.bit_length() + right.bit_length())
        return left * right
    if isinstance(left, int) and not isinstance(left, bool):
        left, right = right, left
    if isinstance(right, int) and not isinstance(right, bool):
        if isinstance(left, str):
            room(len(left) * right)
            return left * right
        if isinstance(left, list):
            room_for_items(len(left) * right)
            return left * right
    raise RefusedError(f"can not multiply {kind(left)} and {kind(right)}")


def power(left: JSON, right: JSON) -> JSON:
    """`**` of two numbers."""
    left, right = _numbers("raise to a power", left, right)
    if isinstance(left, int) and isinstance(right, int):
        _room_for_bits(left.bit_length() * abs(right))
    if left < 0 and not float(right).is_integer():
        raise RefusedError("a negative number has no such power")
    return left**right


def remainder(left: JSON, right: JSON) -> JSON:
    """`%` of two numbers; formatting text with it is not offered."""
    if isinstance(left, str):
        raise RefusedError("text can not be formatted with `%`", "`~` joins values as text")
    left, right = _numbers("take the remainder", left, right)
    return left % right


def _arithmetic(verb: str, apply: Callable[[Any, Any], Any]) -> Callable[[JSON, JSON], JSON]:
    def applied(left: JSON, right: JSON) -> JSON:
        return apply(*_numbers(verb, left, right))

    return applied


def _numbers(verb: str, left: JSON, right: JSON) -> tuple[Any, Any]:
    if not (is_number(left) and is_number(right)):
        raise RefusedError(f"can not {verb} with {kind(left)} and {kind(right)}", "`| int` reads text as an integer")
    return left, right


def _room_for_bits(bits: int) -> None:
    if bits > MAX_BITS:
        raise RefusedError(f"the integer would be too large: it would have over {MAX_BITS} bits")


BINARY: Final[Mapping[str, Callable[[JSON, JSON], JSON]]] = {
    "+": add,
    "-": _arithmetic("subtract", operator.sub),
    "*": multiply,
    "/": _arithmetic("divide", operator.truediv),
    "//": _arithmetic("divide", operator.floordiv),
    "%": remainder,
    "**": power,
}

_ORDER: Final[Mapping[str, Callable[[Any, Any], bool]]] = {
    "lt": operator.lt,
    "lteq": operator.le,
    "gt": operator.gt,
    "gteq": operator.ge,
}


def compare(name: str, left: JSON, right: JSON) -> bool:
    """One comparison, by the parser's name for it."""
    if name in ("in", "notin"):
        return contains(right, left) is (name == "in")
    if name in ("eq", "ne"):
        return (left == right) is (name == "eq")
    if not ((is_number(left) and is_number(right)) or (isinstance(left, str) and isinstance(right, str))):
        raise RefusedError(f"can not compare {kind(left)} with {kind(right)}", "`| int` reads text as an integer")
    return _ORDER[name](left, right)


def contains(container: JSON, value: JSON) -> bool:
    """Whether a string, a list or the keys of a map hold a value."""
    if isinstance(container, str):
        if not isinstance(value, str):
            raise RefusedError(f"can not look for {kind(value)} in a string", "`| string` makes it a string")
        return value in container
    if isinstance(container, list):
        return value in container
    if isinstance(container, Mapping):
        return isinstance(value, str) and value in container
    raise RefusedError(f"can not look for something in {kind(container)}")


def field(container: JSON, key: JSON, path: str) -> JSON:
    """The element of a map, a list or a string, or `Missing`; `path` is what the template calls it."""
    if isinstance(container, Mapping):
        if isinstance(key, str) and key in container:
            return container[key]
        return Missing(f"`{path}` is not defined", str(key), container)
    if isinstance(container, list | str) and isinstance(key, int) and not isinstance(key, bool):
        if -len(container) <= key < len(container):
            return container[key]
        return Missing(f"`{path}` is not defined: {kind(container)} of {len(container)} has no element {key}")
    return Missing(f"`{path}` is not defined: {kind(container)} has no fields")


def cut(container: JSON, start: JSON, stop: JSON, step: JSON) -> JSON:
    """A slice of a list or a string."""
    if not isinstance(container, list | str):
        raise RefusedError(f"can not take a part of {kind(container)}")
    for bound in (start, stop, step):
        if bound is not None and (isinstance(bound, bool) or not isinstance(bound, int)):
            raise RefusedError(f"the bounds of a part must be integers, got {kind(bound)}")
    if step == 0:
        raise RefusedError("the step of a part can not be 0")
    return container[start:stop:step]
