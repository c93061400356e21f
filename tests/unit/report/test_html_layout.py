"""Where the nodes of a graph stand: in levels, none on another, and where they need not, no edge over another."""

import itertools

from hypothesis import given
from hypothesis import strategies as st

from dagnats.core.graph import Graph, graph_of, levels
from dagnats.core.pipeline import Step
from dagnats.report.page.layout import Layout, Measures, layout

MEASURES = Measures()


def graph(**needs: str) -> Graph:
    return graph_of([Step(id=id_, needs=tuple(names.split())) for id_, names in needs.items()])


def laid_out(given_graph: Graph, width: float = 80.0) -> Layout:
    return layout(given_graph, dict.fromkeys(given_graph.needs, width), MEASURES)


def check(given_graph: Graph, made: Layout) -> None:
    level_of = levels(given_graph)
    by_level: dict[int, list[float]] = {}
    for id_, (x, y) in made.places.items():
        assert x >= 0
        assert x + made.widths[id_] <= made.width + 0.01
        assert MEASURES.node_height / 2 <= y + 0.01
        assert y + MEASURES.node_height / 2 <= made.height + 0.01
        by_level.setdefault(level_of[id_], []).append(y)
    for tops in by_level.values():
        tops.sort()
        assert all(low - high >= MEASURES.node_height for high, low in itertools.pairwise(tops))
    assert len(made.edges) == sum(map(len, given_graph.needs.values()))
    for source, target, points in made.edges:
        assert len(points) % 2 == 0
        assert points[0] == (made.places[source][0] + made.widths[source], made.places[source][1])
        assert points[-1] == made.places[target]
        assert [x for x, _ in points] == sorted(x for x, _ in points)


def test_a_chain_is_a_straight_line():
    made = laid_out(graph(a="", b="a", c="b"))
    assert len({y for _, y in made.places.values()}) == 1
    assert made.height == MEASURES.node_height
    assert made.width == 3 * 80 + 2 * MEASURES.level_gap


def test_edges_do_not_cross_where_they_need_not():
    crossed = graph(a="", b="", c="b", d="a", e="c", f="d")
    made = laid_out(crossed)
    check(crossed, made)
    order = [sorted(ids, key=lambda id_: made.places[id_][1]) for ids in ("ab", "cd", "ef")]
    assert ["".join(ids) for ids in order] in (["ab", "dc", "fe"], ["ba", "cd", "ef"])


def test_an_edge_goes_around_what_stands_between():
    shortcut = graph(a="", b="a", c="a b", d="a c")
    made = laid_out(shortcut)
    check(shortcut, made)
    way = next(points for source, target, points in made.edges if (source, target) == ("a", "d"))
    for x, y in way[1:-1]:
        for id_, (left, top) in made.places.items():
            assert not (left <= x <= left + made.widths[id_] and abs(y - top) < MEASURES.node_height / 2)


def test_edges_of_a_dense_graph_go_straight():
    names = [f"s{number}" for number in range(120)]
    dense = graph_of([Step(id=name, needs=tuple(names[:at])) for at, name in enumerate(names)])
    made = laid_out(dense)
    check(dense, made)
    assert {len(points) for _, _, points in made.edges} == {2}


@given(st.lists(st.sets(st.integers(0, 11), max_size=4), min_size=1, max_size=12))
def test_any_graph_fits_its_frame(wanted: list[set[int]]):
    steps = [
        Step(id=f"s{at}", needs=tuple(f"s{need}" for need in needs if need < at)) for at, needs in enumerate(wanted)
    ]
    any_graph = graph_of(steps)
    check(any_graph, laid_out(any_graph))
