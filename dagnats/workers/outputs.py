"""What a step wrote to the file named by `$DAGNATS_OUTPUT`: `name=value` lines, and `name<<END … END` for values of several lines."""

import json
import math
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NoReturn

from dagnats.core.pipeline import JSON

OUTPUTS_MAX_BYTES = 1 << 20
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_-]{0,99}")
_INTEGER = re.compile(r"\s*[+-]?[0-9]+\s*", re.ASCII)  # `int` alone takes 1_000 and digits of every script
_SHOWN = 60
_DEPTH_MAX = 32


class OutputError(Exception):
    """The file can not be used; the text names the line."""


def parse_outputs(
    content: bytes, declared: Mapping[str, Mapping[str, Any]], hide: Callable[[str], str] = str
) -> dict[str, JSON]:
    """Read the file's content and give each value the declared type. Raises OutputError, whose text shows only what `hide` leaves."""
    if len(content) > OUTPUTS_MAX_BYTES:
        raise OutputError(
            f"the outputs are more than {OUTPUTS_MAX_BYTES >> 20} MiB: write large results to a file, and its path to $DAGNATS_OUTPUT"
        )
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise OutputError(f"$DAGNATS_OUTPUT line {line}: not UTF-8") from error
    outputs: dict[str, JSON] = {}
    for number, name, value in _entries(text, hide):
        if name in outputs:
            raise OutputError(f"$DAGNATS_OUTPUT line {number}: output `{name}` is set twice")
        outputs[name] = _typed(number, name, value, str(declared.get(name, {}).get("type", "string")), hide)
    missing = [name for name, spec in declared.items() if spec.get("required") and name not in outputs]
    if missing:
        names = ", ".join(f"`{name}`" for name in missing)
        raise OutputError(f"required output {names} was not written to $DAGNATS_OUTPUT")
    return outputs


def _entries(text: str, hide: Callable[[str], str]) -> Iterator[tuple[int, str, str]]:
    """Give line number, name and text of each entry."""
    lines = text.split("\n")
    numbers = iter(range(len(lines)))
    for at in numbers:
        line = lines[at].removesuffix("\r")
        if not line.strip():
            continue
        match = _NAME.match(line)
        rest = line[match.end() :] if match else ""
        if match and rest.startswith("="):
            yield at + 1, match.group(), rest[1:]
        elif match and rest.startswith("<<") and rest[2:].strip():
            end = rest[2:].strip()
            block: list[str] = []
            for inner in numbers:
                if lines[inner].removesuffix("\r") == end:
                    break
                block.append(lines[inner])
            else:
                raise OutputError(
                    f"$DAGNATS_OUTPUT line {at + 1}: `{match.group()}<<{end}` is never closed by a line `{end}`"
                )
            yield at + 1, match.group(), "\n".join(block)
        else:
            shown = _shown(line, hide)
            raise OutputError(f"$DAGNATS_OUTPUT line {at + 1}: expected `name=value` or `name<<END`, got {shown}")


def _shown(text: str, hide: Callable[[str], str]) -> str:
    text = hide(text)
    return repr(text if len(text) <= _SHOWN else text[:_SHOWN] + "…")


def _typed(number: int, name: str, value: str, kind: str, hide: Callable[[str], str]) -> JSON:
    try:
        match kind:
            case "integer":
                return int(value) if _INTEGER.fullmatch(value) else _refuse(value)
            case "number":
                return _number(_json(value))
            case "boolean":
                return {"true": True, "false": False}[value.strip()]
            case "json":
                return _json(value)
            case _:
                return value
    except (ValueError, KeyError, RecursionError) as error:
        raise OutputError(
            f"$DAGNATS_OUTPUT line {number}: output `{name}` is declared as {kind}, got {_shown(value, hide)}"
        ) from error


def _json(text: str) -> JSON:
    """Read JSON that can be written again: no number beyond a float, no depth that exhausts the stack of whoever copies it."""
    value = json.loads(text, parse_constant=_refuse, parse_float=_finite)
    return value if _shallow(value, _DEPTH_MAX) else _refuse(text)


def _shallow(value: JSON, levels: int) -> bool:
    if not isinstance(value, list | dict):
        return True
    inner = value.values() if isinstance(value, dict) else value
    return levels > 0 and all(_shallow(item, levels - 1) for item in inner)


def _number(value: JSON) -> JSON:
    return value if isinstance(value, int | float) and not isinstance(value, bool) else _refuse(str(value))


def _finite(text: str) -> float:
    number = float(text)
    return number if math.isfinite(number) else _refuse(text)


def _refuse(text: str) -> NoReturn:
    raise ValueError(text)
