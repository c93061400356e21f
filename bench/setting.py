"""What every case is given: the runners, and a fresh directory for each measurement."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.graphs import Graph
from bench.peers import Peers
from bench.process import Finished, measure
from bench.runners import Runner


@contextmanager
def fresh_directory() -> Iterator[Path]:
    """An empty directory that is gone afterwards; never a directory that an earlier run has left something in."""
    with tempfile.TemporaryDirectory(prefix="dagnats-bench-", ignore_cleanup_errors=True) as directory:
        yield Path(directory)


@dataclass(frozen=True, slots=True)
class Setting:
    """The runners that take part: ours, and the peers that could be installed."""

    dagnats: Runner
    peers: Peers

    @property
    def runners(self) -> tuple[Runner, ...]:
        return (self.dagnats, *self.peers.runners)

    def go_task(self) -> tuple[Runner, ...]:
        return self.peers.named("go-task")


def run(runner: Runner, graph: Graph, parallel: int = 1) -> Finished:
    """One whole run of a graph by a runner."""
    with fresh_directory() as directory:
        runner.write(graph, directory)
        return measure(runner.argv(parallel), directory)
