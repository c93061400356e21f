"""Where each node of a graph stands, and which way its edges take: levels from left to right, few crossings, straight lines where that is possible.

An edge that passes a level takes a place of its own there, so that it runs between the nodes; all edges of one node share it.
"""

from bisect import bisect_right, insort
from collections.abc import Mapping, Sequence

from msgspec import Struct

from dagnats.core.graph import Graph, levels

Item = tuple[str, int]  # a node and 0, or the node from which an edge comes and the level that it passes
Point = tuple[float, float]
_SWEEPS = 4
_PASSING_MAX = 4_000  # more edges than that go straight across


class Layout(Struct, frozen=True):
    """The middle of each node's left side, how wide each level is, and each edge as the points through which it goes."""

    places: Mapping[str, Point]
    widths: Mapping[str, float]
    edges: Sequence[tuple[str, str, Sequence[Point]]]
    width: float
    height: float


class Measures(Struct, frozen=True):
    """How large things are: nodes are so high, and so far is it to the next level, and to the neighbour."""

    node_height: float = 44.0
    passing_height: float = 14.0
    level_gap: float = 56.0
    node_gap: float = 14.0


class _Net(Struct):
    """The items of each level in order, and who is linked to whom in the levels beside."""

    columns: list[list[Item]]
    before: dict[Item, list[Item]]
    after: dict[Item, list[Item]]


def layout(graph: Graph, node_widths: Mapping[str, float], measures: Measures) -> Layout:
    """Lay out a graph that has at least one node."""
    level_of = levels(graph)
    net = _net(graph, level_of)
    _order(net)
    tops = _heights(net, measures)
    left, places, widths = 0.0, {}, {}
    columns: list[tuple[float, float]] = []  # the left side and the width of each level
    for column in net.columns:
        width = max((node_widths[id_] for id_, passing in column if not passing), default=0.0)
        columns.append((left, width))
        for item in column:
            if not item[1]:
                places[item[0]] = (left, tops[item])
                widths[item[0]] = width
        left += width + measures.level_gap
    edges = [
        (need, id_, _way(need, id_, level_of, columns, tops)) for id_, needs in graph.needs.items() for need in needs
    ]
    height = max(top + _half(item, measures) for item, top in tops.items())
    return Layout(places, widths, edges, left - measures.level_gap, height)


def _way(
    source: str,
    target: str,
    level_of: Mapping[str, int],
    columns: Sequence[tuple[float, float]],
    tops: dict[Item, float],
) -> list[Point]:
    first, last = level_of[source], level_of[target]
    left, width = columns[first - 1]
    points = [(left + width, tops[source, 0])]
    for level in range(first + 1, last):
        if (source, level) in tops:
            left, width = columns[level - 1]
            points += [(left, tops[source, level]), (left + width, tops[source, level])]
    return [*points, (columns[last - 1][0], tops[target, 0])]


def _net(graph: Graph, level_of: Mapping[str, int]) -> _Net:
    columns: list[list[Item]] = [[] for _ in range(max(level_of.values()))]
    for id_ in graph.needs:
        columns[level_of[id_] - 1].append((id_, 0))
    net = _Net(columns, {}, {})
    reach = {
        id_: max((level_of[other] for other in dependents), default=0) for id_, dependents in graph.dependents.items()
    }
    passing = sum(max(0, far - level_of[id_] - 1) for id_, far in reach.items()) <= _PASSING_MAX
    for id_, far in reach.items():
        chain = [(id_, level) for level in range(level_of[id_] + 1, far)] if passing else []
        for item in chain:
            columns[item[1] - 1].append(item)
        for one, other in zip([(id_, 0), *chain], chain, strict=False):
            _link(net, one, other)
    for id_, needs in graph.needs.items():
        level = level_of[id_]
        for need in needs:
            beside = level_of[need] == level - 1
            if beside or passing:
                _link(net, (need, 0) if beside else (need, level - 1), (id_, 0))
    return net


def _link(net: _Net, one: Item, other: Item) -> None:
    net.after.setdefault(one, []).append(other)
    net.before.setdefault(other, []).append(one)


def _order(net: _Net) -> None:
    """Order each level by the middle of its neighbours in the one beside, there and back, and keep the order with the fewest crossings."""
    best, fewest = [list(column) for column in net.columns], _crossings(net)
    for sweep in range(_SWEEPS):
        if not fewest:
            break
        forth = sweep % 2 == 0
        links = net.before if forth else net.after
        order = range(1, len(net.columns)) if forth else range(len(net.columns) - 2, -1, -1)
        for level in order:
            beside = {item: place for place, item in enumerate(net.columns[level - 1 if forth else level + 1])}
            column = net.columns[level]
            middle = {
                item: _mean([float(beside[other]) for other in links.get(item, ())], float(place))
                for place, item in enumerate(column)
            }
            column.sort(key=middle.__getitem__)
        crossings = _crossings(net)
        if crossings < fewest:
            best, fewest = [list(column) for column in net.columns], crossings
    net.columns = best


def _crossings(net: _Net) -> int:
    count = 0
    for column, following in zip(net.columns, net.columns[1:], strict=False):
        place = {item: at for at, item in enumerate(following)}
        seen: list[int] = []
        for item in column:
            ends = sorted(place[other] for other in net.after.get(item, ()))
            count += sum(len(seen) - bisect_right(seen, end) for end in ends)
            for end in ends:
                insort(seen, end)
    return count


def _mean(values: Sequence[float], otherwise: float) -> float:
    return sum(values) / len(values) if values else otherwise


def _half(item: Item, measures: Measures) -> float:
    return (measures.passing_height if item[1] else measures.node_height) / 2


def _heights(net: _Net, measures: Measures) -> dict[Item, float]:
    """Give each item its height: as near to that of its neighbours as the others in its level let it."""
    tops: dict[Item, float] = {}
    for column in net.columns:
        _place(column, dict.fromkeys(column, 0.0), tops, measures)
    for links, forth in ((net.before, True), (net.after, False), (net.before, True)):
        for column in net.columns if forth else reversed(net.columns):
            wanted = {item: _mean([tops[other] for other in links.get(item, ())], tops[item]) for item in column}
            _place(column, wanted, tops, measures)
    highest = min(top - _half(item, measures) for item, top in tops.items())
    return {item: top - highest for item, top in tops.items()}


def _place(column: Sequence[Item], wanted: Mapping[Item, float], tops: dict[Item, float], measures: Measures) -> None:
    """Move the items of one level as little as possible from where they want to be so that none overlaps another."""
    offsets, offset = [], 0.0
    for place, item in enumerate(column):
        offset += _half(column[place - 1], measures) + measures.node_gap + _half(item, measures) if place else 0.0
        offsets.append(offset)
    # neighbours that would overlap become one block, which stands at the mean of what they want
    blocks: list[tuple[float, int]] = []
    for item, offset in zip(column, offsets, strict=True):
        mean, count = wanted[item] - offset, 1
        while blocks and blocks[-1][0] > mean:
            before, size = blocks.pop()
            mean, count = (before * size + mean * count) / (size + count), size + count
        blocks.append((mean, count))
    means = [mean for mean, count in blocks for _ in range(count)]
    for item, offset, mean in zip(column, offsets, means, strict=True):
        tops[item] = mean + offset
