"""What a step costs.

After start-up, which is what the goal bounds: from the first to the last event of a run of 100 steps, divided by 100. Peers write no events, so all are
measured in one more way: the time of 100 steps less the time of one, divided by 99, which holds the reading of the larger file too.
"""

import json
from collections.abc import Callable

from bench.floors import raw_spawn_s
from bench.graphs import Graph
from bench.graphs import chain as chain_of
from bench.graphs import fan_out as fan_out_of
from bench.process import measure
from bench.rounds import Case, Contender, Row, Sample
from bench.runners import Runner
from bench.setting import Setting, fresh_directory, run

STEPS = 100
THREADS = 4
FLOOR = "raw spawn"
UNIT = "ms/step"
AFTER_START = "dagnats, after start-up"


def chain(setting: Setting) -> Case:
    return Case(
        "chain",
        "100 steps of `sh -c true`, one after the other",
        _contenders(setting, chain_of, 1),
        _rows(setting, goal=1.7),
    )


def fanout(setting: Setting) -> Case:
    return Case(
        "fanout",
        "100 steps of `sh -c true`, four at a time",
        _contenders(setting, fan_out_of, THREADS),
        _rows(setting, goal=1.5),
    )


def _rows(setting: Setting, goal: float) -> list[Row]:
    ours = [Row(AFTER_START, UNIT, over=FLOOR, at_most=goal), Row("dagnats", UNIT, over=FLOOR)]
    return [Row(FLOOR, UNIT), *ours, *(Row(peer.name, UNIT, over=FLOOR) for peer in setting.peers.runners)]


def _contenders(setting: Setting, graph_of: Callable[[int], Graph], parallel: int) -> list[Contender]:
    floor = Contender(FLOOR, lambda: {FLOOR: raw_spawn_s(STEPS, parallel) * 1e3 / STEPS})
    after_start = Contender(AFTER_START, lambda: _after_start(setting.dagnats, graph_of(STEPS), parallel))
    return [floor, after_start, *(_contender(runner, graph_of, parallel) for runner in setting.runners)]


def _after_start(runner: Runner, graph: Graph, parallel: int) -> Sample:
    with fresh_directory() as directory:
        runner.write(graph, directory)
        measure(runner.argv(parallel, ["--events", "events.jsonl"]), directory)
        lines = (directory / "events.jsonl").read_text().splitlines()
    first, last = json.loads(lines[0]), json.loads(lines[-1])
    return {AFTER_START: (last["at"] - first["at"]) * 1e3 / STEPS}


def _contender(runner: Runner, graph_of: Callable[[int], Graph], parallel: int) -> Contender:
    def cost_ms() -> float:
        one = run(runner, graph_of(1), parallel).seconds
        return (run(runner, graph_of(STEPS), parallel).seconds - one) * 1e3 / (STEPS - 1)

    return Contender(runner.name, lambda: {runner.name: cost_ms()})
