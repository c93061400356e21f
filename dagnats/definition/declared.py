"""`params`: what the shape of a file can not say of them, and how the plan holds them."""

from typing import Any

from msgspec.structs import replace

from dagnats.core.pipeline import Param, ParamType
from dagnats.definition import values
from dagnats.definition.once import Once
from dagnats.definition.params import check_value
from dagnats.definition.patterns import PatternError, steps_of
from dagnats.definition.problems import Effort, Problems, printable, quoted
from dagnats.definition.tree import Node

NOTHING = Node({}, 0, 0)
# Measured: 0.3 µs for a step of a program, and at most 1.3 µs for a character, which counts twice; 0.1 s for a pattern that is too large.
MAX_MATCHING = 1_000_000
TOO_LARGE = 400_000
MAX_PATTERN = 1000
TYPES: dict[type, ParamType] = {
    str: "string",
    bool: "boolean",
    int: "integer",
    float: "number",
    list: "array",
    dict: "object",
}


def declared(node: Node, problems: Problems) -> dict[str, Param]:
    """The params of a file."""
    work = _Work(problems)
    return {name: _param(name, value, work, problems) for name, value in node.fields().items()}


class _Work:
    """What aliases bring to many params is looked at once, and patterns only as long as that takes little."""

    def __init__(self, problems: Problems) -> None:
        self.once = Once()
        self._effort = Effort(MAX_MATCHING)
        self._problems = problems
        self._is_done = False

    def may_match(self, effort: int, place: Node) -> bool:
        """Whether a pattern may be looked at; the first one that may not is a problem."""
        if not self._effort.spend(effort) and not self._is_done:
            self._is_done = True
            message = "the patterns of this file are too large, or look at too much; what follows was not checked"
            self._problems.add(place, message, "write simpler ones, and shorter defaults")
        return not self._is_done

    def check(self, name: str, param: Param, node: Node) -> None:
        """Note what is wrong with a value of the file."""
        is_text = param.pattern is not None and isinstance(node.value, str)
        if is_text and not self.may_match(2 * len(node.value), node):
            param = replace(param, pattern=None)
        message = check_value(name, param, node.plain())
        if message is not None:
            self._problems.add(node, message)


def _param(name: str, node: Node, work: _Work, problems: Problems) -> Param:
    long = isinstance(node.value, dict)
    default = node.get("default") if long else node
    given = default.plain() if default is not None else None
    kind: Any = values.text(node.get("type")) or TYPES.get(type(given), "string")
    required = node.get("required")
    enum = node.get("enum")
    param = Param(
        type=kind if kind in TYPES.values() else "string",
        default=given,
        required=default is None and (required is None or values.flag(required)),
        enum=tuple(item.plain() for item in enum.items()) if enum is not None else None,
        minimum=_bound(node.get("minimum")),
        maximum=_bound(node.get("maximum")),
        help=values.text(node.get("help")) or "",
        pattern=_pattern(name, kind, node, work, problems),
    )
    if default is not None and default.value is not None:
        _check_default(name, param, default, work, problems)
    if default is not None and required is not None and values.flag(required):
        problems.add(
            node.keys["required"], f"param {quoted(name)} is required and has a default", "remove one of the two"
        )
    _check_limits(name, param, node, work, problems)
    return param


def _pattern(name: str, kind: str, node: Node, work: _Work, problems: Problems) -> str | None:
    place = node.get("pattern")
    pattern = values.text(place)
    if place is None or not pattern or len(pattern) > MAX_PATTERN or not work.may_match(0, place):
        return None
    if kind != "string":
        problems.add(node.keys["pattern"], f"`pattern` is for text, and param {quoted(name)} is of type {kind}")
        return None
    try:
        may_match = work.may_match(steps_of(pattern), place)
    except PatternError as error:
        work.may_match(TOO_LARGE if "too large" in str(error) else len(pattern), place)
        problems.add(
            place,
            f"the pattern of param {quoted(name)} is no regular expression of RE2: {printable(str(error))}",
            error.hint,
        )
        return None
    return pattern if may_match else None


def _check_default(name: str, param: Param, default: Node, work: _Work, problems: Problems) -> None:
    if work.once(values.holds_template, default):
        problems.add(
            default,
            f"the default of param {quoted(name)} may hold no template",
            "use `vars` for values that are made from others",
        )
        return
    work.check(name, param, default)


def _check_limits(name: str, param: Param, node: Node, work: _Work, problems: Problems) -> None:
    free = replace(param, enum=None, minimum=None, maximum=None)
    for item in (node.get("enum") or NOTHING).items():
        work.check(name, free, item)
    if param.type not in ("integer", "number"):
        for field in ("minimum", "maximum"):
            if field in node.keys:
                problems.add(
                    node.keys[field],
                    f"{quoted(field)} is for numbers, and param {quoted(name)} is of type {param.type}",
                )
    elif param.minimum is not None and param.maximum is not None and param.minimum > param.maximum:
        problems.add(node.keys["maximum"], f"the maximum of param {quoted(name)} is below its minimum")


def _bound(node: Node | None) -> float | None:
    number = node.value if node is not None else None
    return number if isinstance(number, int | float) and not isinstance(number, bool) else None
