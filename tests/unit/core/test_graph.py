"""The graph of a plan and the longest way through it."""

from dagnats.core.graph import critical_path, graph_of, levels, topological
from dagnats.core.pipeline import Step


def steps(**needs: str) -> list[Step]:
    return [Step(id=id_, needs=tuple(listed.split())) for id_, listed in needs.items()]


def test_both_directions():
    graph = graph_of(steps(a="", b="a", c="a", d="b c"))
    assert graph.needs == {"a": (), "b": ("a",), "c": ("a",), "d": ("b", "c")}
    assert graph.dependents == {"a": ("b", "c"), "b": ("d",), "c": ("d",), "d": ()}


def test_order_is_that_of_the_file_where_that_puts_needs_first():
    assert topological(graph_of(steps(a="", b="a", c="", d="b", e="c"))) == ["a", "b", "c", "d", "e"]
    assert topological(graph_of(steps(last="b a", b="a", a="", other=""))) == ["a", "b", "last", "other"]


def test_a_cycle_and_what_is_behind_it_is_left_out():
    assert topological(graph_of(steps(a="", b="c", c="b", d="c", e="a"))) == ["a", "e"]


def test_critical_path_is_the_longest_chain():
    graph = graph_of(steps(a="", b="a", c="a", d="b c"))
    assert critical_path(graph, {"a": 1.0, "b": 5.0, "c": 2.0, "d": 1.5}) == (7.5, ("a", "b", "d"))
    assert critical_path(graph, {"a": 1.0, "c": 2.0}) == (3.0, ("a", "c"))


def test_critical_path_of_nothing():
    assert critical_path(graph_of([]), {}) == (0.0, ())


def test_a_level_is_the_longest_way_to_a_step():
    graph = graph_of(steps(a="", b="a", c="", d="b c", e="c"))
    assert levels(graph) == {"a": 1, "c": 1, "b": 2, "e": 2, "d": 3}
