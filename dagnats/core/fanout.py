"""The instances of a step: the cells of a matrix, the names of all, and what they are together when they have ended."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from itertools import product
from math import prod

from dagnats.core.pipeline import JSON, FanOut
from dagnats.core.status import Status
from dagnats.core.text import text_of

INSTANCES_MAX = 10_000  # of all steps of a run
_LABEL_MAX = 60


def count(fan_out: FanOut) -> int:
    """At most so many cells has the matrix: known before any is made."""
    return (prod(len(values) for values in fan_out.axes.values()) if fan_out.axes else 0) + len(fan_out.include)


def cells(fan_out: FanOut) -> list[Mapping[str, JSON]]:
    """Give the cells of a matrix, in the order of its axes, by the rules of GitHub.

    `exclude` takes away every cell that has all its values. An entry of `include` adds its values to every cell whose own values it does not change; if there
    is none, it is a cell.
    """
    axes = fan_out.axes
    grid = [dict(zip(axes, values, strict=True)) for values in product(*axes.values())] if axes else []
    kept = [cell for cell in grid if not any(_matches(cell, pattern) for pattern in fan_out.exclude)]
    made: list[Mapping[str, JSON]] = []
    extended = [dict(cell) for cell in kept]
    for entry in fan_out.include:
        fitting = [place for place, cell in enumerate(kept) if _agrees(cell, entry)]
        for place in fitting:
            extended[place] |= entry
        if not fitting:
            made.append(entry)
    return [*extended, *made]


def _matches(cell: Mapping[str, JSON], pattern: Mapping[str, JSON]) -> bool:
    return bool(pattern) and all(name in cell and same(cell[name], value) for name, value in pattern.items())


def _agrees(cell: Mapping[str, JSON], entry: Mapping[str, JSON]) -> bool:
    return all(same(cell[name], value) for name, value in entry.items() if name in cell)


def same(one: JSON, other: JSON) -> bool:
    """Whether two values are equal, and `true` is not 1."""
    return isinstance(one, bool) is isinstance(other, bool) and bool(one == other)


def labels(fan_out: FanOut, values: Sequence[JSON]) -> list[str]:
    """Name each instance where that is short and tells it from the others, else by its place: a cell by its axes, or by all its values if it lacks one."""
    texts = [_cell_text(value, fan_out.axes) if fan_out.is_matrix else _text(value) for value in values]
    seen: dict[str, int] = {}
    for text in texts:
        seen[text] = seen.get(text, 0) + 1
    return [text if _is_label(text) and seen[text] == 1 else f"#{place}" for place, text in enumerate(texts)]


def _cell_text(cell: Mapping[str, JSON], axes: Collection[str]) -> str:
    names = axes if axes and all(name in cell for name in axes) else cell
    return ",".join(f"{name}={_text(cell[name])}" for name in names)


def _text(value: JSON) -> str:
    return "" if isinstance(value, list | dict) else text_of(value)


def _is_label(text: str) -> bool:
    return 0 < len(text) <= _LABEL_MAX and text.isprintable() and not set(text) & set("[]") and text[0] != "#"


def instance_id(step: str, label: str) -> str:
    """Give the id by which events, tasks and output know an instance."""
    return f"{step}[{label}]"


def together(statuses: Iterable[Status]) -> Status:
    """Say what instances that have all ended are together."""
    found: Collection[Status] = set(statuses)
    for status in (Status.FAILED, Status.TIMED_OUT, Status.CANCELLED, Status.WARNING):
        if status in found:
            return status
    return Status.SKIPPED if found == {Status.SKIPPED} else Status.SUCCEEDED
