"""What it costs to show a run: on a terminal, beside lines on the same terminal, and as a page of HTML afterwards."""

import fcntl
import os
import pty
import struct
import subprocess
import termios
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.graphs import Graph, Node
from bench.graphs import chain as chain_of
from bench.graphs import fan_out as fan_out_of
from bench.process import BenchError, environment, measure
from bench.rounds import Case, Contender, Row, Sample
from bench.setting import Setting, fresh_directory

STEPS = 1_000
SILENT_S = 10
WINDOW = (40, 120)
MB = 1e6


@dataclass(frozen=True, slots=True)
class Watched:
    """What a run in a terminal needed: the time that passed, and that of the processor in the runner and what it has waited for."""

    seconds: float
    processor_seconds: float


def live(setting: Setting) -> Case:
    """The same run in the same terminal, where somebody reads at once, in two modes."""
    contenders, rows = [], []
    for name, graph, parallel in (("a chain of 200", chain_of(200), 1), ("200 at once, -j 4", fan_out_of(200), 4)):
        for mode in ("prefixed", "live"):
            row = f"{name}, {mode}"
            contenders.append(_time(row, setting, graph, parallel, mode))
            other = f"{name}, prefixed" if mode == "live" else None
            rows.append(Row(row, "s", over=other, at_most=1.05 if other else None))
    for mode in ("prefixed", "live"):
        row = f"processor while nothing happens, {mode}"
        contenders.append(_idle(row, setting, mode))
        rows.append(Row(row, "% of a core", at_most=5.0 if mode == "live" else None))
    return Case("live", "A run on a terminal", contenders, rows, most_rounds=7)


def report(setting: Setting) -> Case:
    """The run is over and stored; a report starts a server on it."""
    time_row, size_row = f"dagnats report --html, {STEPS:,} steps", "the page"

    def sample() -> Sample:
        with fresh_directory() as directory:
            setting.dagnats.write(fan_out_of(STEPS), directory)
            measure(setting.dagnats.argv(4), directory)
            done = measure([setting.dagnats.program, "report", "--html", "page.html"], directory)
            return {time_row: done.seconds, size_row: (directory / "page.html").stat().st_size / MB}

    rows = [Row(time_row, "s", at_most=1.0), Row(size_row, "MB", at_most=2.0)]
    return Case("report", "The report of a run, afterwards", [Contender(time_row, sample)], rows, most_rounds=5)


def _time(row: str, setting: Setting, graph: Graph, parallel: int, mode: str) -> Contender:
    def sample() -> Sample:
        with fresh_directory() as directory:
            setting.dagnats.write(graph, directory)
            return {row: watch(setting.dagnats.argv(parallel, ["--output", mode]), directory).seconds}

    return Contender(row, sample)


def _idle(row: str, setting: Setting, mode: str) -> Contender:
    def run(seconds: int) -> Watched:
        with fresh_directory() as directory:
            setting.dagnats.write({"step": Node(("sleep", str(seconds)))}, directory)
            return watch(setting.dagnats.argv(1, ["--output", mode]), directory)

    def sample() -> Sample:
        short, long = run(1), run(SILENT_S + 1)
        more = long.processor_seconds - short.processor_seconds
        return {row: max(0.0, more) / (long.seconds - short.seconds) * 100}

    return Contender(row, sample)


def watch(argv: Sequence[str | Path], directory: Path) -> Watched:
    """Run in a terminal of its own to the end, which must be exit code 0."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(ours, termios.TIOCSWINSZ, struct.pack("HHHH", *WINDOW, 0, 0))
    env = {name: value for name, value in environment().items() if name != "CI"} | {"TERM": "xterm-256color"}
    start = time.perf_counter()
    child = subprocess.Popen(
        [str(part) for part in argv], cwd=directory, env=env, stdin=theirs, stdout=theirs, stderr=theirs
    )
    os.close(theirs)
    reader = threading.Thread(target=_read_all, args=(ours,))
    reader.start()
    _, status, usage = os.wait4(child.pid, 0)
    seconds = time.perf_counter() - start
    child.returncode = os.waitstatus_to_exitcode(status)
    reader.join()
    os.close(ours)
    if child.returncode != 0:
        raise BenchError(f"{argv[0]} ended with {child.returncode} in a terminal")
    return Watched(seconds, usage.ru_utime + usage.ru_stime)


def _read_all(terminal: int) -> None:
    try:
        while os.read(terminal, 1 << 16):
            pass
    except OSError:  # the last who had it open has gone
        return
