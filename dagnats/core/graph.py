"""The graph of a plan: who waits for whom, and the longest way through it."""

from collections.abc import Mapping, Sequence
from heapq import heappop, heappush

from msgspec import Struct

from dagnats.core.pipeline import Step


class Graph(Struct, frozen=True):
    """Edges of one list of steps, in both directions. A plan has no cycle: `definition` has refused those."""

    needs: Mapping[str, tuple[str, ...]]
    dependents: Mapping[str, tuple[str, ...]]


def graph_of(steps: Sequence[Step]) -> Graph:
    """Build both directions in one pass over the edges."""
    dependents: dict[str, list[str]] = {step.id: [] for step in steps}
    for step in steps:
        for need in step.needs:
            dependents[need].append(step.id)
    return Graph(
        needs={step.id: step.needs for step in steps},
        dependents={id_: tuple(waiting) for id_, waiting in dependents.items()},
    )


def topological(graph: Graph) -> list[str]:
    """Order the steps as the file does, wherever that puts each after its needs; a step that is in a cycle or behind one is left out."""
    ids = list(graph.needs)
    place = {id_: index for index, id_ in enumerate(ids)}
    open_needs = {id_: len(needs) for id_, needs in graph.needs.items()}
    ready = [place[id_] for id_, count in open_needs.items() if count == 0]  # in order, and so a heap
    order: list[str] = []
    while ready:
        order.append(ids[heappop(ready)])
        for dependent in graph.dependents[order[-1]]:
            open_needs[dependent] -= 1
            if open_needs[dependent] == 0:
                heappush(ready, place[dependent])
    return order


def critical_path(graph: Graph, durations_s: Mapping[str, float]) -> tuple[float, tuple[str, ...]]:
    """Give the longest chain by duration: its length in seconds and its steps in order."""
    longest: dict[str, float] = {}
    before: dict[str, str | None] = {}
    for id_ in topological(graph):
        best = max(graph.needs[id_], key=lambda need: longest[need], default=None)
        before[id_] = best
        longest[id_] = durations_s.get(id_, 0.0) + (longest[best] if best is not None else 0.0)
    if not longest:
        return 0.0, ()
    last: str | None = max(longest, key=lambda id_: longest[id_])
    total = longest[last] if last is not None else 0.0
    chain: list[str] = []
    while last is not None:
        chain.append(last)
        last = before[last]
    return total, tuple(reversed(chain))


def levels(graph: Graph) -> dict[str, int]:
    """Give each step its level, from 1: the length of the longest chain to it. Steps of one level can run beside each other."""
    found: dict[str, int] = {}
    for id_ in topological(graph):
        found[id_] = 1 + max((found[need] for need in graph.needs[id_]), default=0)
    return found


def slacks(graph: Graph, durations_s: Mapping[str, float]) -> dict[str, float]:
    """Say of each step how much longer it could have taken without the whole taking longer, if nothing but needs made anybody wait."""
    order = topological(graph)
    until: dict[str, float] = {}  # the longest way to the end of a step, and below from its beginning to the end of all
    after: dict[str, float] = {}
    for id_ in order:
        until[id_] = durations_s.get(id_, 0.0) + max((until[need] for need in graph.needs[id_]), default=0.0)
    for id_ in reversed(order):
        after[id_] = durations_s.get(id_, 0.0) + max((after[later] for later in graph.dependents[id_]), default=0.0)
    total = max(until.values(), default=0.0)
    return {id_: max(0.0, total - until[id_] - after[id_] + durations_s.get(id_, 0.0)) for id_ in order}
