"""What it costs to look at runs that are over."""

import shutil
from pathlib import Path

from bench.graphs import chain
from bench.process import BenchError, measure
from bench.rounds import Case, Contender, Row, Sample
from bench.setting import Setting, fresh_directory

RUNS = 200
STEPS = 10


def runs(setting: Setting) -> Case:
    """One run, and copies of its directory: a project keeps fewer, and this must not depend on that."""
    row = f"dagnats runs --all, {RUNS} runs"

    def sample() -> Sample:
        with fresh_directory() as directory:
            setting.dagnats.write(chain(STEPS), directory)
            measure(setting.dagnats.argv(1), directory)
            kept = directory / ".dagnats" / "runs"
            _copy(next(kept.iterdir()), RUNS - 1)
            listing = directory / "listing.txt"
            done = measure([setting.dagnats.program, "runs", "--all"], directory, stdout=listing)
            lines = listing.read_text().splitlines()
            if len(lines) != RUNS + 1:
                raise BenchError(f"{RUNS} runs were listed in {len(lines)} lines")
            return {row: done.seconds}

    return Case("runs", "The list of many runs", [Contender(row, sample)], [Row(row, "s", at_most=0.5)], most_rounds=7)


def _copy(run: Path, times: int) -> None:
    for number in range(times):
        shutil.copytree(run, run.with_name(f"copied-owl-{number}"))
