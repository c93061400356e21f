"""A step that prints much: how fast it comes through with a prefix on every line, and whether the step has to wait."""

import sys
from collections.abc import Sequence
from pathlib import Path

from bench.cases.mask import SECRETS, secret_values, secrets_text
from bench.graphs import Graph, Node
from bench.process import BenchError, Finished, measure
from bench.rounds import Case, Contender, Row, Sample
from bench.runners import Runner
from bench.setting import Setting, fresh_directory

LINES = 1_000_000
LINE = b"x" * 79 + b"\n"
OTHER_LINES = 1_000  # what a runner may say of its own beside the step's lines
PREFIXED = ("--output", "prefixed")
MB = 1e6

PRODUCER = f"""\
import os
block = memoryview(b"{LINE[:-1].decode()}\\n" * 10_000)
for _ in range({LINES} // 10_000):
    rest = block
    while rest:
        rest = rest[os.write(1, rest):]
"""

WORKER = f"""\
import hashlib, os, time
start = time.perf_counter()
digest = b""
for _ in range(10_000):
    for _ in range(200):
        digest = hashlib.sha256(digest + b"{LINE[:-1].decode()}").digest()
    os.write(1, b"{LINE[:-1].decode()}\\n")
open("seconds.txt", "w").write(str(time.perf_counter() - start))
"""

Argv = Sequence[str | Path]


def output(setting: Setting) -> Case:
    """The producer alone is the floor; the goal is go-task, which neither masks nor stores, whether there are secrets or not."""
    alone = Runner("producer alone", Path(sys.executable), "unused", lambda _: "", lambda _: ["producer.py"])
    runners = [alone, setting.dagnats, *setting.go_task()]
    contenders, rows = [], []
    for target in ("file", "pipe"):
        for runner in runners:
            name = f"{runner.name} to a {target}"
            ours = runner is setting.dagnats
            options = () if runner is alone else PREFIXED
            contenders.append(_throughput(name, runner, options, target))
            rows.append(
                Row(name, "MB/s", over=f"go-task to a {target}" if ours else None, at_least=1.0 if ours else None)
            )
        masked = f"{setting.dagnats.name}, {SECRETS} secrets, to a {target}"
        contenders.append(_throughput(masked, setting.dagnats, PREFIXED, target, secret_values()))
        rows.append(Row(masked, "MB/s", over=f"go-task to a {target}", at_least=1.0))
    return Case("output", "1,000,000 lines of 80 bytes from one step", contenders, rows, most_rounds=3)


def slowdown(setting: Setting) -> Case:
    """The step says itself how long it took: alone with a reader, and in a run whose reader keeps up."""
    alone = "the step alone"
    return Case(
        "slowdown",
        "A step that computes and prints 10,000 lines, by its own clock",
        [
            Contender(alone, lambda: {alone: _own_seconds([sys.executable, "step.py"])}),
            Contender("dagnats", lambda: {"dagnats": _own_seconds(setting.dagnats.argv(1, PREFIXED), setting.dagnats)}),
        ],
        [Row(alone, "s"), Row("dagnats", "s", over=alone, at_most=1.05)],
        most_rounds=5,
    )


def _graph(script: str) -> Graph:
    return {"step": Node((sys.executable, script))}


def _throughput(
    name: str, runner: Runner, options: Sequence[str], target: str, secrets: Sequence[str] = ()
) -> Contender:
    def sample() -> Sample:
        with fresh_directory() as directory:
            (directory / "producer.py").write_text(PRODUCER)
            runner.write(_graph("producer.py"), directory)
            if secrets:
                pipeline = directory / runner.file_name
                pipeline.write_text(pipeline.read_text() + secrets_text(directory, secrets))
            argv = runner.argv(1, options)
            if target == "file":
                printed = directory / "printed.txt"
                done = measure(argv, directory, stdout=printed)
                _check_lines(printed)
            else:
                done = measure(argv, directory, pipe=True)
                _check_counts(done)
            return {name: LINES * len(LINE) / MB / done.seconds}

    return Contender(name, sample)


def _check_lines(printed: Path) -> None:
    """Every line of the step is there, whole, at the end of a line."""
    with printed.open("rb") as lines:
        found = sum(line.endswith(LINE) for line in lines)
    if found != LINES:
        raise BenchError(f"{found} lines of {LINES} were shown")


def _check_counts(done: Finished) -> None:
    enough = done.read_bytes >= LINES * len(LINE)
    if not enough or not LINES <= done.read_lines <= LINES + OTHER_LINES:
        raise BenchError(
            f"{done.read_lines} lines and {done.read_bytes} bytes came through the pipe, not {LINES} lines"
        )


def _own_seconds(argv: Argv, runner: Runner | None = None) -> float:
    with fresh_directory() as directory:
        (directory / "step.py").write_text(WORKER)
        if runner:
            runner.write(_graph("step.py"), directory)
        measure(argv, directory, pipe=True)
        return float((directory / "seconds.txt").read_text())
