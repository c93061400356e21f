"""Steps that only wait: the run should take as long as the longest way through its graph."""

from bench.graphs import sleeps as layers_of_sleeps
from bench.rounds import Case, Contender, Row
from bench.runners import Runner
from bench.setting import Setting, run

CRITICAL_PATH = "critical path"
PARALLEL = 64  # more than there are steps: only the graph may hold one back


def sleeps(setting: Setting) -> Case:
    graph, longest_s = layers_of_sleeps()

    def contender(runner: Runner) -> Contender:
        return Contender(runner.name, lambda: {runner.name: run(runner, graph, PARALLEL).seconds})

    return Case(
        "sleeps",
        f"{len(graph)} sleeps in layers, start and end of the run included",
        [
            Contender(CRITICAL_PATH, lambda: {CRITICAL_PATH: longest_s}),
            *(contender(runner) for runner in (setting.dagnats, *setting.go_task())),
        ],
        [
            Row(CRITICAL_PATH, "s"),
            Row("dagnats", "s", over=CRITICAL_PATH, at_most=1.05),
            *(Row(peer.name, "s", over=CRITICAL_PATH) for peer in setting.go_task()),
        ],
        most_rounds=3,
    )
