"""The filters and tests that templates may use: an allow-list of pure functions over JSON values.

None of them sees an undefined value (`default` and the test `defined` are the evaluator's), and what they return is
measured afterwards; those that could build something huge from something small look before they do.
"""

import json
import posixpath
from collections.abc import Callable, Iterable
from typing import Any, Final

from dagnats.core.pipeline import JSON
from dagnats.template.errors import RefusedError
from dagnats.template.operators import compare, contains, field
from dagnats.template.values import (
    Missing,
    is_number,
    kind,
    require,
    room,
    room_for_items,
    to_json,
    to_text,
)


def _list(value: JSON) -> list[JSON]:
    if isinstance(value, str | dict):
        room_for_items(len(value))
        return list(value)
    if not isinstance(value, list):
        raise RefusedError(f"expected a list, got {kind(value)}")
    return value


def _map(value: JSON) -> dict[str, JSON]:
    if not isinstance(value, dict):
        raise RefusedError(f"expected a map, got {kind(value)}")
    return value


def _number(value: JSON) -> Any:
    if not is_number(value):
        raise RefusedError(f"expected a number, got {kind(value)}", "write `| int` or `| float` before it")
    return value


def _index(value: JSON, what: str, largest: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or abs(value) > largest:
        raise RefusedError(f"{what} must be an integer of at most {largest}")
    return value


def _replace(value: JSON, old: str, new: str) -> str:
    text, old, new = to_text(value), to_text(old), to_text(new)
    room(len(text) + text.count(old) * (len(new) - len(old)))
    return text.replace(old, new)


def _join(value: JSON, separator: str = "") -> str:
    parts, separator = [to_text(part) for part in _list(value)], to_text(separator)
    room(sum(map(len, parts)) + len(separator) * len(parts))
    return separator.join(parts)


def _split(value: JSON, separator: str | None = None) -> list[str]:
    text = to_text(value)
    if separator is None:
        return text.split()
    if not to_text(separator):
        raise RefusedError("split needs a separator that is not empty")
    room_for_items(text.count(to_text(separator)))
    return text.split(to_text(separator))


def _indent(value: JSON, width: int = 4, first: bool = False) -> str:
    text = to_text(value)
    space = " " * _index(width, "the width of indent", 100)
    room(len(text) + text.count("\n") * len(space))
    lines = text.split("\n")
    lines[1:] = [space + line if line else line for line in lines[1:]]
    return (space if first else "") + "\n".join(lines)


def _truncate(value: JSON, length: int = 255, end: str = "...") -> str:
    text, end = to_text(value), to_text(end)
    if len(text) <= _index(length, "the length of truncate", 1024 * 1024):
        return text
    return text[: max(0, length - len(end))] + end


def _length(value: JSON) -> int:
    if not isinstance(value, str | list | dict):
        raise RefusedError(f"{kind(value)} has no length")
    return len(value)


def _end(position: int) -> Callable[[JSON], JSON]:
    def pick(value: JSON) -> JSON:
        values = _list(value)
        return values[position] if values else Missing("the list is empty, it has no first and no last element")

    return pick


def _extreme(choose: Callable[..., JSON]) -> Callable[[JSON], JSON]:
    def pick(value: JSON) -> JSON:
        values = _orderable(_list(value))
        return choose(values) if values else Missing("the list is empty, it has no smallest and no largest element")

    return pick


def _orderable(values: list[JSON]) -> list[JSON]:
    if not (all(map(is_number, values)) or all(isinstance(value, str) for value in values)):
        raise RefusedError("only numbers with numbers, and strings with strings, can be put in order")
    return values


def _sort(value: JSON, reverse: bool = False, attribute: str | None = None) -> list[JSON]:
    values = _list(value)
    keys = _orderable(values if attribute is None else _attribute(values, attribute))
    order = sorted(range(len(values)), key=keys.__getitem__, reverse=bool(reverse))
    return [values[position] for position in order]


def _unique(value: JSON) -> list[JSON]:
    found: dict[str, JSON] = {}
    for item in _list(value):
        found.setdefault(to_json(item), item)
    return list(found.values())


def _reverse(value: JSON) -> JSON:
    return value[::-1] if isinstance(value, str) else _list(value)[::-1]


def _attribute(values: Iterable[JSON], attribute: str) -> list[JSON]:
    return [require(field(value, attribute, f"an element's `{attribute}`")) for value in values]


def _map_attribute(value: JSON, attribute: str) -> list[JSON]:
    return _attribute(_list(value), attribute)


def _chosen(wanted: bool, by_attribute: bool) -> Callable[..., list[JSON]]:
    def choose(values: list[JSON], keys: list[JSON], test: str | None, args: tuple[JSON, ...]) -> list[JSON]:
        if test is None:
            return [value for value, key in zip(values, keys, strict=True) if bool(key) is wanted]
        check = TESTS.get(test) if isinstance(test, str) else None
        if check is None:
            raise RefusedError(f"there is no test `{to_text(test)}`", "tests: " + ", ".join(sorted(TESTS)))
        return [value for value, key in zip(values, keys, strict=True) if check(key, *args) is wanted]

    def select(value: JSON, test: str | None = None, *args: JSON) -> list[JSON]:
        return choose(_list(value), _list(value), test, args)

    def select_by_attribute(value: JSON, attribute: str, test: str | None = None, *args: JSON) -> list[JSON]:
        values = _list(value)
        return choose(values, _attribute(values, attribute), test, args)

    return select_by_attribute if by_attribute else select


def _int(value: JSON, default: JSON = None) -> JSON:
    try:
        return int(_readable(value))
    except (ValueError, OverflowError):
        return _fallback(value, default, "an integer")


def _float(value: JSON, default: JSON = None) -> JSON:
    try:
        return float(_readable(value))
    except (ValueError, OverflowError):
        return _fallback(value, default, "a number")


def _readable(value: JSON) -> str | int | float:
    if isinstance(value, str | int | float):
        return value
    raise ValueError(value)


def _fallback(value: JSON, default: JSON, wanted: str) -> JSON:
    if default is None:
        what = f"'{value[:40]}'" if isinstance(value, str) else kind(value)
        raise RefusedError(f"can not read {what} as {wanted}", "give a default, as in `| int(0)`")
    return default


def _round(value: JSON, precision: int = 0) -> JSON:
    return round(_number(value), _index(precision, "the precision of round", 15) or None)


def _sum(value: JSON, attribute: str | None = None) -> JSON:
    values = _list(value)
    return sum(_number(item) for item in (values if attribute is None else _attribute(values, attribute)))


def _tojson(value: JSON, indent: int | None = None) -> str:
    return to_json(value, None if indent is None else _index(indent, "the indent of tojson", 8))


def _fromjson(value: JSON) -> JSON:
    def refuse(name: str) -> JSON:
        raise RefusedError(f"{name} is not JSON")

    text = to_text(value)
    try:
        return json.loads(text, parse_constant=refuse)
    except json.JSONDecodeError as error:
        raise RefusedError(f"not JSON: {error.msg} at line {error.lineno} column {error.colno}") from None


def _text(change: Callable[[str], str]) -> Callable[[JSON], str]:
    def changed(value: JSON) -> str:
        return change(to_text(value))

    return changed


def _trim(value: JSON, chars: str | None = None) -> str:
    return to_text(value).strip(chars if chars is None else to_text(chars))


def _items(value: JSON) -> list[JSON]:
    return [[key, item] for key, item in _map(value).items()]


FILTERS: Final[dict[str, Callable[..., JSON]]] = {
    "abs": lambda value: abs(_number(value)),
    "basename": _text(posixpath.basename),
    "capitalize": _text(str.capitalize),
    "count": _length,
    "dirname": _text(posixpath.dirname),
    "first": _end(0),
    "float": _float,
    "fromjson": _fromjson,
    "indent": _indent,
    "int": _int,
    "items": _items,
    "join": _join,
    "keys": lambda value: list(_map(value)),
    "last": _end(-1),
    "length": _length,
    "list": _list,
    "lower": _text(str.lower),
    "map": _map_attribute,
    "max": _extreme(max),
    "min": _extreme(min),
    "reject": _chosen(wanted=False, by_attribute=False),
    "rejectattr": _chosen(wanted=False, by_attribute=True),
    "replace": _replace,
    "reverse": _reverse,
    "round": _round,
    "select": _chosen(wanted=True, by_attribute=False),
    "selectattr": _chosen(wanted=True, by_attribute=True),
    "sort": _sort,
    "split": _split,
    "string": to_text,
    "sum": _sum,
    "title": _text(str.title),
    "tojson": _tojson,
    "trim": _trim,
    "truncate": _truncate,
    "unique": _unique,
    "upper": _text(str.upper),
    "values": lambda value: list(_map(value).values()),
}


def _integer(value: JSON) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise RefusedError(f"expected an integer, got {kind(value)}")
    return value


TESTS: Final[dict[str, Callable[..., bool]]] = {
    "boolean": lambda value: isinstance(value, bool),
    "defined": lambda value: not isinstance(value, Missing),
    "divisibleby": lambda value, number: _integer(value) % _integer(number) == 0,
    "eq": lambda value, other: compare("eq", value, other),
    "equalto": lambda value, other: compare("eq", value, other),
    "even": lambda value: _integer(value) % 2 == 0,
    "false": lambda value: value is False,
    "ge": lambda value, other: compare("gteq", value, other),
    "gt": lambda value, other: compare("gt", value, other),
    "in": lambda value, container: contains(container, value),
    "integer": lambda value: isinstance(value, int) and not isinstance(value, bool),
    "le": lambda value, other: compare("lteq", value, other),
    "lt": lambda value, other: compare("lt", value, other),
    "mapping": lambda value: isinstance(value, dict),
    "ne": lambda value, other: compare("ne", value, other),
    "none": lambda value: value is None,
    "number": is_number,
    "odd": lambda value: _integer(value) % 2 == 1,
    "sequence": lambda value: isinstance(value, list | str),
    "string": lambda value: isinstance(value, str),
    "true": lambda value: value is True,
    "undefined": lambda value: isinstance(value, Missing),
}
