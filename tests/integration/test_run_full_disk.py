"""The disk that holds a run fills up while it goes on: a person is told so, and what was acknowledged is still there."""

import asyncio
import os
import subprocess
from pathlib import Path

import pytest
from running_dagnats import BOUND_S, dagnats, processes_of, read_events, read_journal, run_directory, write_pipeline

from dagnats.core.events import StepSucceeded
from dagnats.core.state import fold

SMALL = "24m"
TOLD_WITHIN_S = 45.0  # a server that answers nothing is waited for
FULL = """
name: full
steps:
  - id: before
    run: echo "word=kept" >> "$DAGNATS_OUTPUT"
  - id: fills
    run: {fills}
  - id: after
    run: seq 1 100000
"""


@pytest.fixture
def small_disk(tmp_path):
    """A file system that is soon full, for which one must be allowed to mount."""
    disk = tmp_path / "disk"
    disk.mkdir()
    if os.geteuid() != 0:
        pytest.skip("only root may mount a small file system")
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={SMALL}", "tmpfs", disk],
        capture_output=True,
        timeout=BOUND_S,
        check=False,
    )
    if mounted.returncode != 0:
        pytest.skip(f"no small file system can be mounted here: {mounted.stderr.decode().strip()}")
    yield disk
    subprocess.run(["umount", disk], timeout=BOUND_S, check=True)


@pytest.mark.parametrize(
    "fills",
    [
        pytest.param("head -c 30000000 /dev/zero > filled || true", id="by a file"),
        pytest.param("head -c 30000000 /dev/urandom | base64", id="by what is printed"),
    ],
)
def test_a_full_disk_is_named_and_no_acknowledged_event_is_lost(small_disk: Path, tmp_path: Path, fills: str):
    write_pipeline(small_disk, FULL.format(fills=fills))
    events = tmp_path / "events.jsonl"  # on another disk
    result = dagnats(["run", "pipeline.yaml", "--quiet", "--events", str(events)], small_disk, timeout_s=TOLD_WITHIN_S)
    assert result.code == 3, result.text[-2000:]
    assert f"disk full: {run_directory(small_disk)}" in result.text
    assert "Traceback" not in result.text
    assert processes_of(small_disk) == {}

    (small_disk / "filled").unlink(missing_ok=True)
    told = read_events(events)
    stored = asyncio.run(asyncio.wait_for(read_journal(run_directory(small_disk)), BOUND_S))
    assert stored[: len(told)] == told, "what was told was acknowledged"
    assert any(isinstance(event, StepSucceeded) and event.step == "before" for event in told)
    state = fold(stored)
    assert state.finished is None
    assert state.steps["before"].outputs == {"word": "kept"}


def test_a_disk_that_is_full_from_the_start_is_told_too(small_disk: Path):
    write_pipeline(small_disk, FULL.format(fills="exit 0"))
    subprocess.run(
        "head -c 30000000 /dev/zero > filled || true", cwd=small_disk, shell=True, timeout=BOUND_S, check=True
    )
    result = dagnats(["run", "pipeline.yaml"], small_disk)
    assert result.code == 3, result.text
    assert "No space left on device" in result.text
    assert "Traceback" not in result.text


def test_a_run_goes_on_when_its_disk_was_freed(small_disk: Path):
    write_pipeline(small_disk, FULL.format(fills="'[ -e freed ] || head -c 30000000 /dev/zero > filled || true'"))
    assert dagnats(["run", "--quiet"], small_disk, timeout_s=TOLD_WITHIN_S).code == 3
    still_full = dagnats(["resume"], small_disk, timeout_s=TOLD_WITHIN_S)
    assert still_full.code == 3, still_full.text[-2000:]
    assert "Traceback" not in still_full.text
    (small_disk / "filled").unlink()
    (small_disk / "freed").touch()
    resumed = dagnats(["resume", "--quiet"], small_disk, timeout_s=TOLD_WITHIN_S)
    assert resumed.code == 0, resumed.text[-2000:]
    state = fold(asyncio.run(read_journal(run_directory(small_disk))))
    assert {str(step.status) for step in state.steps.values()} == {"succeeded"}
    assert state.steps["before"].attempt == 1
    assert not processes_of(small_disk)
