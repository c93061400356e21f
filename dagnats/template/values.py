"""JSON values in a template: what they are called, how they become text, and how large they may be."""

import difflib
import itertools
import json
import math
from collections.abc import Collection
from typing import Final

from msgspec import Struct

from dagnats.core.pipeline import JSON
from dagnats.template.errors import RefusedError

MAX_SOURCE: Final = 64 * 1024
MAX_TEXT: Final = 1024 * 1024
MAX_ITEMS: Final = 100_000
MAX_BITS: Final = 4096  # of an integer; more digits than Python prints without being asked are a mistake


class Missing(Struct, frozen=True):
    """The result of looking for what is not there: only `default` and `is defined` may touch it."""

    message: str
    name: str = ""
    known: Collection[str] = ()


def require(value: JSON) -> JSON:
    """The value, which must be there."""
    if not isinstance(value, Missing):
        return value
    # Likeness costs the square of the length.
    known = [name for name in itertools.islice(value.known, 1000) if len(name) <= 100]
    near = difflib.get_close_matches(value.name[:100], known, n=1)
    raise RefusedError(value.message + (f"; did you mean `{near[0]}`?" if near else ""))


def kind(value: JSON) -> str:
    """What people call the type of a value, with its article."""
    if value is None:
        return "nothing (none)"
    if isinstance(value, bool):
        return "a boolean"
    names: dict[type, str] = {int: "an integer", float: "a number", str: "a string", list: "a list", dict: "a map"}
    return names.get(type(value), "not a JSON value")


def is_number(value: JSON) -> bool:
    """Whether a value is an integer or a number; booleans are neither."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def room(characters: int) -> None:
    """Refuse a text that would be too long, before it is built."""
    if characters > MAX_TEXT:
        raise RefusedError(f"the result would be over {MAX_TEXT // 1024 // 1024} MiB of text")


def room_for_items(count: int) -> None:
    """Refuse a list that would be too long, before it is built."""
    if count > MAX_ITEMS:
        raise RefusedError(f"the result would have over {MAX_ITEMS:,} items")


def bounded(value: JSON) -> JSON:
    """The value, if it is JSON and within the bounds, counted as if nothing in it were shared."""
    if isinstance(value, Missing):
        return value
    items = characters = 0
    open_values = [value]
    while open_values:
        current = open_values.pop()
        if isinstance(current, str):
            characters += len(current)
            room(characters)
        elif isinstance(current, list | dict):
            items += len(current)
            room_for_items(items)
            if isinstance(current, dict):
                open_values.extend(current)
                open_values.extend(current.values())
            else:
                open_values.extend(current)
        else:
            _scalar(current)
    return value


def _scalar(value: JSON) -> None:
    if value is None or isinstance(value, bool):
        return
    if isinstance(value, int):
        if value.bit_length() > MAX_BITS:
            raise RefusedError(f"the integer is too large: it has over {MAX_BITS} bits")
    elif not isinstance(value, float):
        raise RefusedError("the result is not a JSON value")
    elif not math.isfinite(value):
        raise RefusedError("the result is not a finite number")


def to_json(value: JSON, indent: int | None = None) -> str:
    """A value as JSON text, compact unless indented."""
    separators = (",", ":") if indent is None else (",", ": ")
    return json.dumps(value, ensure_ascii=False, allow_nan=False, indent=indent, separators=separators)


def to_text(value: JSON) -> str:
    """A value as text: true and false, nothing for none, numbers plainly, lists and maps as compact JSON."""
    require(value)
    if isinstance(value, str):
        return value
    if value is None:
        return ""
    text = to_json(bounded(value))
    room(len(text))
    return text
