"""What it costs that a run outlives its process: the journal on a disk, every commit synced, and going on after a crash."""

import os
import subprocess
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from bench.graphs import chain, fan_out
from bench.process import BenchError, environment, measure
from bench.rounds import Case, Contender, Row, Sample
from bench.setting import Setting, fresh_directory

STEPS = 1000
SYNCED_STEPS = 100
LARGE = 10_000
DONE = 9_000
MEMORY = Path("/dev/shm")  # a file system in memory
WITHIN_S = 120.0


def durability(setting: Setting) -> Case:
    """The same run with its directory in memory and on a disk; and with every commit synced."""
    disk, memory = f"{STEPS} steps, -j 4, on a disk", f"{STEPS} steps, -j 4, in memory"
    synced = f"--durability disk, a commit of a chain of {SYNCED_STEPS}: more than process"

    def on_disk() -> Sample:
        with fresh_directory() as directory:
            return {disk: _run(setting, directory, ())}

    def in_memory() -> Sample:
        with tempfile.TemporaryDirectory(dir=MEMORY) as directory:
            return {memory: _run(setting, Path(directory), ())}

    def a_commit() -> Sample:
        took: list[float] = []
        commits = 1
        for more in ((), ("--durability", "disk")):
            with fresh_directory() as directory:
                setting.dagnats.write(chain(SYNCED_STEPS), directory)
                took.append(measure(setting.dagnats.argv(1, more), directory).seconds)
                (end,) = (directory / ".dagnats" / "runs").glob("*/end")
                commits = int(end.read_text().split()[0])
        return {synced: 1000 * (took[1] - took[0]) / commits}

    rows = [Row(memory, "s"), Row(disk, "s", over=memory, at_most=1.25), Row(synced, "ms", at_most=3.0)]
    contenders = [Contender(memory, in_memory), Contender(disk, on_disk), Contender(synced, a_commit)]
    return Case("durability", "A journal that outlives its process", contenders, rows)


def _run(setting: Setting, directory: Path, more: Sequence[str]) -> float:
    setting.dagnats.write(fan_out(STEPS), directory)
    return measure(setting.dagnats.argv(4, more), directory).seconds


def resume(setting: Setting) -> Case:
    """A large run that was killed near its end, until another runner has taken it up."""
    row = f"dagnats resume of {LARGE:,} steps, {DONE:,} of them done, until it goes on"

    def sample() -> Sample:
        with fresh_directory() as directory:
            setting.dagnats.write(fan_out(LARGE), directory)
            crash = {"DAGNATS_TEST_CRASH": f"after:StepSucceeded:{DONE}"}
            _killed([*setting.dagnats.argv(4), "--output", "none"], directory, crash)
            begun = time.perf_counter()
            with subprocess.Popen(
                [setting.dagnats.program, "resume", "--output", "json"],
                cwd=directory,
                env=environment(),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
            ) as going:
                first = going.stdout.readline() if going.stdout is not None else b""
                ready = time.perf_counter() - begun
                going.terminate()
                going.communicate()
            if b'"RunResumed"' not in first:
                raise BenchError(f"resume did not go on: {first[:200]!r}")
            return {row: ready}

    return Case("resume", "Going on after a crash", [Contender(row, sample)], [Row(row, "s", at_most=10.0)], 3)


def _killed(argv: Sequence[str], directory: Path, crash: dict[str, str]) -> None:
    env = environment() | crash
    done = subprocess.run(
        argv, cwd=directory, env=env, stdin=subprocess.DEVNULL, capture_output=True, timeout=WITHIN_S, check=False
    )
    if done.returncode != -9:
        raise BenchError(f"the run was not killed: exit code {done.returncode}; {os.fsdecode(done.stderr[-200:])}")
