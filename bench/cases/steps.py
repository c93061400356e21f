"""What a step costs once a run has started: the time of 100 steps less the time of one, divided by 99."""

from collections.abc import Callable

from bench.floors import raw_spawn_s
from bench.graphs import Graph
from bench.graphs import chain as chain_of
from bench.graphs import fan_out as fan_out_of
from bench.rounds import Case, Contender, Row
from bench.runners import Runner
from bench.setting import Setting, run

STEPS = 100
THREADS = 4
FLOOR = "raw spawn"
UNIT = "ms/step"


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
    ours = Row("dagnats", UNIT, over=FLOOR, at_most=goal)
    return [Row(FLOOR, UNIT), ours, *(Row(peer.name, UNIT, over=FLOOR) for peer in setting.peers.runners)]


def _contenders(setting: Setting, graph_of: Callable[[int], Graph], parallel: int) -> list[Contender]:
    floor = Contender(FLOOR, lambda: {FLOOR: raw_spawn_s(STEPS, parallel) * 1e3 / STEPS})
    return [floor, *(_contender(runner, graph_of, parallel) for runner in setting.runners)]


def _contender(runner: Runner, graph_of: Callable[[int], Graph], parallel: int) -> Contender:
    def cost_ms() -> float:
        one = run(runner, graph_of(1), parallel).seconds
        return (run(runner, graph_of(STEPS), parallel).seconds - one) * 1e3 / (STEPS - 1)

    return Contender(runner.name, lambda: {runner.name: cost_ms()})
