"""A graph drawn as lanes, one row a step, each below all that it needs.

A step that others wait for keeps a lane open, a vertical line, until the last of them is drawn. A step is joined to the lanes of its needs by one
horizontal line; a lane that it does not need is crossed without a joint. Lanes on which the same steps still wait become one when there are many.
"""

from collections.abc import Iterator, Mapping, Sequence

from msgspec import Struct, field

from dagnats.core.graph import Graph, graph_of, topological
from dagnats.core.pipeline import Step

MANY_LANES = 6  # from here on lanes that lead to the same steps are joined, so that a wide graph stays narrow
MAX_ALIGNED = 30  # cells of a drawing up to which all labels begin in one column

_ASCII = str.maketrans({"●": "*", "│": "|", "─": "-", "├": "+", "┤": "+", "┼": "+", "┴": "+", "╰": "`", "╯": "'"})


def drawn(steps: Sequence[Step], labels: Mapping[str, str], *, unicode: bool) -> Iterator[str]:
    """Draw the steps of one list, with a label each."""
    drawing = _Drawing(graph_of(steps))
    for id_ in topological(drawing.graph):
        drawing.add(id_)
    width = max((len(row.cells) for row in drawing.rows), default=0)
    for row in drawing.rows:
        cells = row.cells if unicode else row.cells.translate(_ASCII)
        gap = " " * (width - len(cells)) if width <= MAX_ALIGNED else ""
        yield f"{cells}{gap}  {labels[row.id]}" if row.id is not None else cells.rstrip()


class _Row(Struct, frozen=True):
    cells: str
    id: str | None = None


class _Drawing(Struct):
    """What is drawn so far. `lanes` are the lines that are open, by column: the steps that still wait on each, or None for a free column."""

    graph: Graph
    rows: list[_Row] = field(default_factory=list)
    lanes: list[set[str] | None] = field(default_factory=list)
    last_column: int = -1

    def add(self, id_: str) -> None:
        """Draw one more step."""
        joined = [column for column, waiting in enumerate(self.lanes) if waiting is not None and id_ in waiting]
        ending = [column for column in joined if self.lanes[column] == {id_}]
        column = ending[0] if ending else self._free(joined[0] + 1 if joined else 0)
        if column == self.last_column:
            self._spacer(column, connected=column in joined)
        self.rows.append(_Row(self._row(column, joined, set(ending)), id_))
        for joint in joined:
            waiting = self.lanes[joint]
            if joint in ending or waiting is None:
                self.lanes[joint] = None
            else:
                waiting.discard(id_)
        self.last_column = column
        self._open(id_, column)

    def _free(self, start: int) -> int:
        for column in range(start, len(self.lanes)):
            # straight below a step that nobody waits for, a new one would look like its follower
            if self.lanes[column] is None and column != self.last_column:
                return column
        column = max(start, len(self.lanes))
        self.lanes.extend([None] * (column + 1 - len(self.lanes)))
        return column

    def _spacer(self, column: int, *, connected: bool) -> None:
        cells = ["│" if lane is not None else " " for lane in self.lanes]
        cells[column] = "│" if connected else " "
        self.rows.append(_Row(" ".join(cells)))

    def _row(self, column: int, joined: list[int], ending: set[int]) -> str:
        ends = [column, *joined]
        first, last = min(ends), max(ends)
        cells = ""
        for place, lane in enumerate(self.lanes):
            inside = first <= place <= last
            if place == column:
                cell = "●"
            elif place in joined:
                cell = _joint(is_first=place == first, is_last=place == last, ends=place in ending)
            elif lane is not None:
                cell = "│"
            else:
                cell = "─" if inside else " "
            cells += cell + ("─" if first <= place < last else " ")
        return cells.rstrip()

    def _open(self, id_: str, column: int) -> None:
        """Open the step's lane, or let it run into one on which the same steps wait."""
        waiting = set(self.graph.dependents[id_])
        self.lanes[column] = waiting or None
        others = [other for other, lane in enumerate(self.lanes) if lane == waiting and other != column]
        if waiting and others and sum(lane is not None for lane in self.lanes) >= MANY_LANES:
            self.rows.append(_Row(self._merging(column, others[0])))
            self.last_column = -1
            self.lanes[column] = None
        while self.lanes and self.lanes[-1] is None:
            self.lanes.pop()

    def _merging(self, column: int, other: int) -> str:
        first, last = sorted((column, other))
        cells = ""
        for place, lane in enumerate(self.lanes):
            if place == column:
                cell = "╰" if place == first else "╯"
            elif place == other:
                cell = "├" if place == first else "┤"
            elif lane is not None:
                cell = "│"
            else:
                cell = "─" if first < place < last else " "
            cells += cell + ("─" if first <= place < last else " ")
        return cells.rstrip()


def _joint(*, is_first: bool, is_last: bool, ends: bool) -> str:
    if is_first:
        return "╰" if ends else "├"
    if is_last:
        return "╯" if ends else "┤"
    return "┴" if ends else "┼"
