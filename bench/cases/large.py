"""Ten thousand steps: the last thousand may not cost more than the first, and the memory is bounded."""

import json
from collections.abc import Callable
from pathlib import Path

from bench.graphs import Graph
from bench.graphs import chain as chain_of
from bench.graphs import fan_out as fan_out_of
from bench.process import BenchError, measure
from bench.rounds import Case, Contender, Row, Sample
from bench.runners import Runner
from bench.setting import Setting, fresh_directory

STEPS = 10_000
PART = 1_000
MB = 1e6


def large(setting: Setting) -> Case:
    return Case(
        "large",
        "10,000 steps of `sh -c true`, as a chain and four at a time",
        [_contender(setting, "chain", chain_of, 1), _contender(setting, "fan-out", fan_out_of, 4)],
        [*_rows("chain"), *_rows("fan-out")],
        most_rounds=2,
    )


def _contender(setting: Setting, name: str, graph_of: Callable[[int], Graph], parallel: int) -> Contender:
    return Contender(name, lambda: _sample(setting.dagnats, name, graph_of(STEPS), parallel))


def _rows(name: str) -> list[Row]:
    first = f"{name}: first thousand"
    return [
        Row(first, "ms/step"),
        Row(f"{name}: last thousand", "ms/step", over=first, at_most=1.5),
        Row(f"{name}: peak memory of the runner", "MB", at_most=500),
        Row(f"{name}: peak memory with all below it", "MB"),
    ]


def _sample(runner: Runner, name: str, graph: Graph, parallel: int) -> Sample:
    with fresh_directory() as directory:
        runner.write(graph, directory)
        done = measure(runner.argv(parallel, ["--events", "events.jsonl"]), directory, tree=True)
        started, ended = _times(directory / "events.jsonl")
    sample = {
        f"{name}: first thousand": (ended[PART - 1] - started) * 1e3 / PART,
        f"{name}: last thousand": (ended[-1] - ended[-PART - 1]) * 1e3 / PART,
        f"{name}: peak memory of the runner": done.peak_rss_bytes / MB,
    }
    if done.tree_rss_bytes:
        sample[f"{name}: peak memory with all below it"] = done.tree_rss_bytes / MB
    return sample


def _times(path: Path) -> tuple[float, list[float]]:
    """When the first step started, and when each ended, in order."""
    with path.open() as lines:
        events = [json.loads(line) for line in lines]
    started = min((event["at"] for event in events if event["type"] == "StepStarted"), default=0.0)
    ended = sorted(event["at"] for event in events if event["type"] == "StepSucceeded")
    if len(ended) != STEPS:
        raise BenchError(f"{path.name} tells of {len(ended)} steps that succeeded, not {STEPS}")
    return started, ended
