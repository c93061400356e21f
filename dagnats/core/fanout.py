"""The instances of a step: the cells of a matrix, the names of all, and what they are together when they have ended."""

from collections.abc import Collection, Hashable, Iterable, Iterator, Mapping, Sequence
from itertools import product
from math import prod

from dagnats.core.pipeline import JSON, FanOut
from dagnats.core.status import Status
from dagnats.core.text import text_of

INSTANCES_MAX = 10_000  # of all steps of a run
CELL_VALUES_MAX = 200_000  # of all cells of a matrix
COUNTED_MAX = 10**15
_LABEL_MAX = 60


def count(fan_out: FanOut) -> int:
    """At most so many cells has the matrix: known before any is made. Beyond a bound, no more is counted."""
    lengths = [len(values) for values in fan_out.axes.values()]
    grid = int(bool(lengths) and all(lengths))
    for length in lengths:
        if grid >= COUNTED_MAX:
            break
        grid *= length
    return min(grid + len(fan_out.include), COUNTED_MAX)


def cells(fan_out: FanOut) -> list[Mapping[str, JSON]]:
    """Give the cells of a matrix, in the order of its axes, by the rules of GitHub.

    `exclude` takes away every cell that has all its values. An entry of `include` adds its values to every cell whose own values it does not change; if there
    is none, it is a cell.
    """
    grid = _Grid(fan_out)
    axes = fan_out.axes
    made: dict[int, dict[str, JSON]] = {}
    for place, values in enumerate(product(*axes.values()) if axes else ()):
        if grid.kept >> place & 1:
            made[place] = dict(zip(axes, values, strict=True))
    others: list[Mapping[str, JSON]] = []
    for entry in fan_out.include:
        fitting = grid.fitting(entry)
        if not fitting:
            others.append(entry)
        for place in _members(fitting):
            made[place] |= entry
    return [*made.values(), *others]


def size(fan_out: FanOut) -> int:
    """How many values the cells get, known before any is made: entries of `include` can each give to each cell."""
    grid = _Grid(fan_out)
    given = sum(max(grid.fitting(entry).bit_count(), 1) * len(entry) for entry in fan_out.include)
    return grid.kept.bit_count() * len(fan_out.axes) + given


class _Grid:
    """The combinations of the axes. A set of them is an integer with a bit for each: to find what 10,000 entries fit takes no comparison of each with each."""

    def __init__(self, fan_out: FanOut) -> None:
        self._axes = fan_out.axes
        self._count = prod(len(values) for values in fan_out.axes.values()) if fan_out.axes else 0
        self._all = (1 << self._count) - 1
        self._with: dict[str, dict[Hashable, int]] = {}
        self._period = dict(zip(self._axes, self._periods(), strict=True))
        gone = 0
        for pattern in fan_out.exclude:
            gone |= self._matching(pattern) if pattern else 0
        self.kept = self._all & ~gone

    def _periods(self) -> Iterator[int]:
        """After how many combinations the values of each axis begin again."""
        period = self._count
        for values in self._axes.values():
            yield period
            period //= len(values) or 1

    def _matching(self, pattern: Mapping[str, JSON]) -> int:
        """The combinations that have all values of a pattern."""
        found = self._all
        if not found:
            return 0
        for name, value in pattern.items():
            found &= self._having(name).get(_comparable(value), 0) if name in self._axes else 0
            if not found:
                break
        return found

    def fitting(self, entry: Mapping[str, JSON]) -> int:
        """The cells of which an entry changes no value."""
        return self.kept & self._matching({name: value for name, value in entry.items() if name in self._axes})

    def _having(self, axis: str) -> dict[Hashable, int]:
        if axis not in self._with:
            values, period = self._axes[axis], self._period[axis]
            length = period // len(values)
            # A bit where each period begins: times the bits of one value, these are all of its combinations.
            begins = self._all // ((1 << period) - 1)
            masks: dict[Hashable, int] = {}
            for place, value in enumerate(values):
                key = _comparable(value)
                masks[key] = masks.get(key, 0) | (((1 << length) - 1) << place * length) * begins
            self._with[axis] = masks
        return self._with[axis]


def _members(places: int) -> Iterator[int]:
    bits = f"{places:b}"[::-1]
    place = bits.find("1")
    while place >= 0:
        yield place
        place = bits.find("1", place + 1)


def _comparable(value: JSON) -> Hashable:
    """What two values share that are equal, and `true` is not 1; it can be looked up."""
    return isinstance(value, bool), _frozen(value)


def _frozen(value: JSON) -> Hashable:
    if isinstance(value, dict):
        return dict, frozenset((name, _frozen(inner)) for name, inner in value.items())
    return (list, *map(_frozen, value)) if isinstance(value, list) else value


def repeated(values: Iterable[JSON]) -> int | None:
    """The place of the first value that was there before, if there is one."""
    seen: set[Hashable] = set()
    for place, value in enumerate(values):
        key = _comparable(value)
        if key in seen:
            return place
        seen.add(key)
    return None


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


def tells_more(status: Status, before: Status | None) -> bool:
    """Whether the end of an instance says more of why its step failed than that of the one before: a failure that was allowed says less."""
    failed = (Status.FAILED, Status.TIMED_OUT)
    return before not in failed if status in failed else status is Status.WARNING and before is None


def together(statuses: Iterable[Status]) -> Status:
    """Say what instances that have all ended are together."""
    found: Collection[Status] = set(statuses)
    for status in (Status.FAILED, Status.TIMED_OUT, Status.CANCELLED, Status.WARNING):
        if status in found:
            return status
    return Status.SKIPPED if found == {Status.SKIPPED} else Status.SUCCEEDED
