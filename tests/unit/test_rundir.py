"""Which runs of a project are kept."""

import os
import time
from pathlib import Path

from dagnats import rundir
from dagnats.rundir import KEPT_RUNS, RESUMABLE_S


def a_run(runs: Path, name: str, *, age_s: float, is_over: bool, has_begun: bool = True) -> None:
    run = runs / name
    run.mkdir(parents=True)
    (run / "lock").touch()
    if has_begun:
        (run / "seen").write_text("1 abc\n")
    if is_over:
        (run / "end").write_text("1 abc\n")
    at = time.time() - age_s
    os.utime(run, (at, at))


def test_the_newest_runs_are_kept_and_those_that_may_be_gone_on_with(tmp_path):
    runs = tmp_path / ".dagnats" / "runs"
    for number in range(KEPT_RUNS + 3):
        a_run(runs, f"over-{number}", age_s=60.0 * (number + 1), is_over=True)
    a_run(runs, "parked", age_s=RESUMABLE_S / 2, is_over=False)
    a_run(runs, "forgotten", age_s=RESUMABLE_S * 2, is_over=False)
    a_run(runs, "not-begun", age_s=RESUMABLE_S / 2, is_over=False, has_begun=False)
    directory = rundir.create(tmp_path, ephemeral=False)
    directory.close()
    left = {path.name for path in runs.iterdir()}
    assert left == {directory.name, "parked", *(f"over-{number}" for number in range(KEPT_RUNS - 1))}
