"""The graphs that are run: plain values, which every runner's file is written from."""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

NO_OP = ("sh", "-c", "true")
LAYERS = 6
LAYER_STEPS = 5
SEED = 7


@dataclass(frozen=True, slots=True)
class Node:
    """A step: what it runs, and what must have ended before."""

    command: Sequence[str]
    needs: Sequence[str] = ()


Graph = Mapping[str, Node]


def chain(steps: int, command: Sequence[str] = NO_OP) -> Graph:
    """One after the other."""
    return {f"s{n}": Node(command, (f"s{n - 1}",) if n else ()) for n in range(steps)}


def fan_out(steps: int, command: Sequence[str] = NO_OP) -> Graph:
    """All of them at once."""
    return {f"s{n}": Node(command) for n in range(steps)}


def sleeps() -> tuple[Graph, float]:
    """Layers of sleeps, each of which needs two of the layer above; and how many seconds the longest way through takes."""
    chance = random.Random(SEED)
    graph: dict[str, Node] = {}
    ends: dict[str, float] = {}
    above: list[str] = []
    for layer in range(LAYERS):
        names = [f"s{layer}-{n}" for n in range(LAYER_STEPS)]
        for name in names:
            seconds = chance.randint(20, 120) / 100
            needs = chance.sample(above, 2) if above else []
            graph[name] = Node(("sleep", str(seconds)), needs)
            ends[name] = seconds + max((ends[need] for need in needs), default=0.0)
        above = names
    return graph, max(ends.values())
