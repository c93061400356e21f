"""The graph of a run as SVG: who needed whom, how each step ended, and the critical path."""

import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise

from dagnats.core.graph import Graph, levels
from dagnats.core.state import Status
from dagnats.report.page.layout import Layout, Measures, Point, layout
from dagnats.report.page.rows import LOOKS, Row, id_text, text, word
from dagnats.report.record import Record
from dagnats.report.view import clean, duration

FULL_MAX = 150  # steps that are drawn with their names; more are drawn as signs
SMALL_MAX = 2_000  # and no more than so many as signs
EDGES_MAX = 3_000  # more would be a web in which nobody sees anything
_LABEL_MAX = 26
_CHAR = 7.3  # of a monospaced letter of 12px
_MEASURES = Measures()
_PAD = 14.0
_TITLE = 22.0  # above what is in `finally`
_CELL, _CELL_GAP, _CELLS_HIGH = 16.0, 4.0, 24  # of a graph that is drawn as signs
_BLOCK_GAP = 28.0
_TALL = 640.0  # what is higher is scrolled in its box


class _Part:
    """One of the two lists of steps: those of `steps`, or of `finally`."""

    def __init__(self, graph: Graph, row_of: Mapping[str, Row]) -> None:
        needs = {id_: tuple(need for need in needs if need in row_of) for id_, needs in graph.needs.items()}
        self.needs = {id_: needs[id_] for id_ in needs if id_ in row_of}
        if sum(map(len, self.needs.values())) > EDGES_MAX:
            self.needs = {id_: _latest(needs, row_of) for id_, needs in self.needs.items()}
        dependents: dict[str, list[str]] = {id_: [] for id_ in self.needs}
        for id_, wanted in self.needs.items():
            for need in wanted:
                dependents[need].append(id_)
        self.graph = Graph(self.needs, {id_: tuple(waiting) for id_, waiting in dependents.items()})


def _latest(needs: Sequence[str], row_of: Mapping[str, Row]) -> tuple[str, ...]:
    """Give the one that ended last, which is the one it has waited for."""
    ended = [(row.span[1] if (row := row_of[need]).span is not None else None) or 0.0 for need in needs]
    return (needs[ended.index(max(ended))],) if needs else ()


def graph(record: Record, found: Sequence[Row]) -> Iterator[str]:
    """Draw the run's own steps; a step with instances, or one that runs a pipeline, is one node."""
    row_of = {
        row.id: row
        for row in found
        if row.state is not None and row.state.within is record.state.own and row.depth == 0
    }
    if not row_of:
        yield "<p>No step belongs to this run.</p>"
        return
    own = record.state.own
    edge_count = sum(len(needs) for graph in (own.graph, own.final_graph) for needs in graph.needs.values())
    parts = [_Part(graph, row_of) for graph in (own.graph, own.final_graph)]
    critical = _critical_edges(record, row_of)
    notes = []
    if edge_count > EDGES_MAX:
        notes.append(f"It has {edge_count:,} edges: of each step only the one from the need that ended last is drawn.")
    if len(row_of) > SMALL_MAX:
        notes.append(f"Only the first {SMALL_MAX:,} of {len(row_of):,} steps are drawn.")
    if len(row_of) > FULL_MAX:
        notes.append("Each sign is a step, and each block of signs a level; point at one to see its name.")
    yield "".join(f'<p class="note">{note}</p>' for note in notes)
    draw = _full if len(row_of) <= FULL_MAX else _small
    yield from draw(parts, row_of, critical)


def _critical_edges(record: Record, row_of: Mapping[str, Row]) -> set[tuple[str, str]]:
    path = [id_ for id_ in record.critical()[1] if id_ in row_of and row_of[id_].critical]
    return set(pairwise(path))


def _svg(width: float, height: float, inside: Sequence[str]) -> Iterator[str]:
    yield (
        f'<div class="box{" tall" if height > _TALL else ""}" role="region" aria-label="Graph" tabindex="0">'
        f'<svg width="{width:.0f}" height="{height:.0f}" viewBox="0 0 {width:.0f} {height:.0f}" role="group" aria-labelledby="graph">'
    )
    yield from inside
    yield "</svg></div>\n"


def _full(parts: Sequence[_Part], row_of: Mapping[str, Row], critical: set[tuple[str, str]]) -> Iterator[str]:
    """Draw every step as a box with its name: first the graph of `steps`, then that of `finally` in a frame."""
    inside: list[str] = []
    own, final = (
        layout(part.graph, {id_: _node_width(row_of[id_]) for id_ in part.needs}, _MEASURES) if part.needs else None
        for part in parts
    )
    high = max(own.height if own is not None else 0.0, final.height + _TITLE if final is not None else 0.0)
    left, middle = _PAD, _PAD + high / 2
    if own is not None:
        top = _PAD + (high - own.height) / 2
        last = max(x for x, _ in own.places.values())
        ends = [y for x, y in own.places.values() if x == last]
        middle = top + sum(ends) / len(ends)
        inside += _drawn(own, (left, top), row_of, critical)
        left += own.width + (_MEASURES.level_gap if final is not None else 0.0)
    if final is not None:
        top = min(max(_PAD + _TITLE, middle - final.height / 2), _PAD + high - final.height)
        inside += _frame(left, top, final, middle=middle if own is not None else None)
        inside += _drawn(final, (left + _PAD, top), row_of, critical)
        left += final.width + 2 * _PAD
    yield from _svg(left + _PAD, high + 2 * _PAD, inside)


def _drawn(inner: Layout, origin: Point, row_of: Mapping[str, Row], critical: set[tuple[str, str]]) -> Iterator[str]:
    yield from _edges(inner.edges, origin, critical)
    for id_, (x, y) in inner.places.items():
        yield _node(row_of[id_], origin[0] + x, origin[1] + y, inner.widths[id_])


def _frame(left: float, top: float, inner: Layout, *, middle: float | None) -> Iterator[str]:
    if middle is not None:
        yield f'<path class="e j" d="M{left - _MEASURES.level_gap + 4:.0f} {middle:.1f}H{left:.0f}"/>'
    yield (
        f'<rect class="fin" x="{left:.1f}" y="{top - _TITLE:.1f}" width="{inner.width + 2 * _PAD:.1f}"'
        f' height="{inner.height + _TITLE + _PAD / 2:.1f}" rx="8"/>'
        f'<text class="m" x="{left + _PAD:.1f}" y="{top - 7:.1f}">finally</text>'
    )


def _edges(
    edges: Sequence[tuple[str, str, Sequence[Point]]], origin: Point, critical: set[tuple[str, str]]
) -> Iterator[str]:
    for look, wanted in (("e", False), ("e c", True)):
        ways = [_curve(points, origin) for one, other, points in edges if ((one, other) in critical) is wanted]
        if ways:
            yield f'<path class="{look}" d="{"".join(ways)}"/>'


def _curve(points: Sequence[Point], origin: Point) -> str:
    """Curve between levels, and go straight through them."""
    moved = [(origin[0] + x, origin[1] + y) for x, y in points]
    way = f"M{moved[0][0]:.0f} {moved[0][1]:.1f}"
    for place in range(0, len(moved), 2):
        (x, y), (to_x, to_y) = moved[place], moved[place + 1]
        if place:
            way += f"H{x:.0f}"
        bend = (to_x - x) / 2
        way += (
            f"H{to_x:.0f}"
            if abs(to_y - y) < 0.5
            else f"C{x + bend:.0f} {y:.1f} {to_x - bend:.0f} {to_y:.1f} {to_x:.0f} {to_y:.1f}"
        )
    return way


def _node(row: Row, x: float, y: float, width: float) -> str:
    shown, look = LOOKS[row.status]
    top = y - _MEASURES.node_height / 2
    name = _cut(row.id)
    below = text(_below(row), 60)
    return (
        f'<a href="#{row.anchor}" class="n{" c" if row.critical else ""}" aria-label="{_said(row)}"><title>{_said(row)}</title>'
        f'<rect x="{x:.1f}" y="{top:.1f}" width="{width:.1f}" height="{_MEASURES.node_height:.0f}" rx="6"/>'
        f'<text class="{look}" x="{x + 11:.1f}" y="{top + 19:.1f}">{shown}</text>'
        f'<text x="{x + 27:.1f}" y="{top + 19:.1f}">{name}</text>'
        f'<text class="m" x="{x + 27:.1f}" y="{top + 34:.1f}">{below}</text></a>'
    )


def _said(row: Row) -> str:
    parts = [word(row.status), duration(row.took_s) if row.took_s is not None else "", _times(row)]
    parts.append("on the critical path" if row.critical else "")
    return f"{id_text(row.id)}: {', '.join(part for part in parts if part)}"


def _below(row: Row) -> str:
    """Say below the name how long it took, or why it did not run."""
    took = duration(row.took_s) if row.took_s is not None else word(row.status)
    return f"{took} · {times}" if (times := _times(row)) else took


def _times(row: Row) -> str:
    step = row.state
    if step is not None and step.instances is not None:
        return f"\u00d7{len(step.instances.ids)}"
    if step is not None and step.subrun is not None:
        return f"{len(step.subrun.steps) + len(step.subrun.final_steps)} inside"
    return f"attempt {step.attempt}" if step is not None and step.attempt > 1 else ""


def _node_width(row: Row) -> float:
    return 27 + 12 + _CHAR * max(_columns(_cut(row.id, escaped=False)), _columns(_below(row)) * 0.9, 6)


def _columns(label: str) -> int:
    """How many columns a text takes: letters of the Far East take two."""
    return sum(1 + (unicodedata.east_asian_width(char) in "WF") for char in label)


def _cut(label: str, *, escaped: bool = True) -> str:
    shown = clean(label) if len(label) <= _LABEL_MAX else f"{clean(label[: _LABEL_MAX - 9])}…{clean(label[-8:])}"
    return text(shown) if escaped else shown


def _small(parts: Sequence[_Part], row_of: Mapping[str, Row], critical: set[tuple[str, str]]) -> Iterator[str]:
    """Draw every step as its sign, in blocks a level, and only the edges of the critical path."""
    left, shown = _PAD, set(list(row_of)[:SMALL_MAX])
    places: dict[str, Point] = {}
    bottom = 0.0
    for part in parts:
        level_of = levels(part.graph)
        columns: dict[int, list[str]] = {}
        for id_ in part.needs:
            columns.setdefault(level_of[id_], []).append(id_)
        for level in sorted(columns):
            ids = [id_ for id_ in columns[level] if id_ in shown]
            for at, id_ in enumerate(ids):
                column, line = divmod(at, _CELLS_HIGH)
                places[id_] = (left + column * (_CELL + _CELL_GAP), _PAD + line * (_CELL + _CELL_GAP))
                bottom = max(bottom, places[id_][1])
            if ids:
                left += -(-len(ids) // _CELLS_HIGH) * (_CELL + _CELL_GAP) - _CELL_GAP + _BLOCK_GAP
    inside = ["<defs>", *_signs(), "</defs>"]
    half, c = _CELL / 2, ' class="c"'
    ways = [
        _curve(
            [(places[one][0] + _CELL, places[one][1] + half), (places[other][0], places[other][1] + half)], (0.0, 0.0)
        )
        for one, other in sorted(critical)
        if one in places and other in places
    ]
    inside.append(f'<path class="e c" d="{"".join(ways)}"/>' if ways else "")
    for id_, (x, y) in places.items():
        row = row_of[id_]
        inside.append(
            f'<a href="#{row.anchor}"{c if row.critical else ""}><title>{_said(row)}</title>'
            f'<use href="#g-{row.status}" x="{x:.0f}" y="{y:.0f}"/></a>'
        )
    yield from _svg(left - _BLOCK_GAP + _PAD, bottom + _CELL + _PAD, inside)


def _signs() -> Iterator[str]:
    for status in Status:
        shown, look = LOOKS[status]
        yield (
            f'<g id="g-{status}"><rect class="k {look}" width="{_CELL:.0f}" height="{_CELL:.0f}" rx="3"/>'
            f'<text class="k {look}" x="{_CELL / 2:.0f}" y="12">{shown}</text></g>'
        )
