"""How a run ends before its time, and that nothing of it is left: not after success or failure, not after a cancellation, not after a kill."""

import signal
import time

import pytest
from running_dagnats import EVENTS, Running, check_journal, processes_of, read_events, statuses, write_pipeline

from dagnats.core.events import CancelRequested
from dagnats.core.state import fold

CANCELLED_WITHIN_S = 7.0  # GitHub kills what still runs 7.5 s after its first signal
GONE_WITHIN_S = 5.0

PATIENT = """
name: patient
max_parallel: 2
steps:
  - id: waits
    needs: []
    run: |
      echo "waits here"
      exec sleep 600
  - id: done
    needs: []
    run: echo "done before"
  - id: never
    needs: [waits]
    run: echo "never"
finally:
  - id: cleans
    run: echo "cleaned after {{ run.outcome }}"
"""
STUBBORN = """
name: stubborn
steps:
  - id: ignores
    run: |
      trap '' INT TERM HUP
      echo "ignores signals"
      while :; do sleep 1; done
finally:
  - id: cleans
    run: echo "cleaned"
"""
# a child in the background, one in a session of its own, and one that forked twice: each holds nothing of the step's but its environment
ESCAPES = """
  - id: escapes
    needs: []
    run: |
      sleep 600 > /dev/null 2>&1 &
      setsid sleep 600 > /dev/null 2>&1 &
      (setsid sh -c 'sleep 600 & sleep 600' > /dev/null 2>&1 &)
      echo "all are out"
      touch out
"""


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)], ids=["INT", "TERM", "HUP"]
)
def test_one_signal_cancels_and_runs_finally(tmp_path, number, code):
    write_pipeline(tmp_path, PATIENT)
    with Running(tmp_path) as run:
        run.wait_for("waits here")
        run.wait_for("✓ done")
        family = run.family()
        run.signal(number)
        result = run.end(CANCELLED_WITHIN_S)
        assert result.code == code, result.text
        assert family.alive_after(GONE_WITHIN_S) == []
    assert "cleaned after cancelled" in result.text
    assert f"received {number.name}" in result.text
    state = check_journal(tmp_path)
    assert statuses(state) == {"waits": "cancelled", "done": "succeeded", "never": "cancelled", "cleans": "succeeded"}
    assert state.finished.outcome == "cancelled"
    assert processes_of(tmp_path) == {}


def test_a_step_that_ignores_signals_is_killed_in_time(tmp_path):
    write_pipeline(tmp_path, STUBBORN)
    with Running(tmp_path) as run:
        run.wait_for("ignores signals")
        family = run.family()
        run.signal(signal.SIGINT)
        result = run.end(CANCELLED_WITHIN_S)
        assert result.code == 130, result.text
        assert family.alive_after(GONE_WITHIN_S) == []
    assert statuses(check_journal(tmp_path)) == {"ignores": "cancelled", "cleans": "succeeded"}


def test_the_second_signal_kills_at_once(tmp_path):
    write_pipeline(tmp_path, STUBBORN)
    with Running(tmp_path) as run:
        run.wait_for("ignores signals")
        family = run.family()
        run.signal(signal.SIGINT)
        run.wait_for("cancelling")
        began_at = time.monotonic()
        run.signal(signal.SIGINT)
        result = run.end(CANCELLED_WITHIN_S)
        assert time.monotonic() - began_at < 2, "the ladder of a single signal takes longer than this"
        assert result.code == 130, result.text
        assert family.alive_after(GONE_WITHIN_S) == []
    state = check_journal(tmp_path)
    assert statuses(state) == {"ignores": "cancelled", "cleans": "cancelled"}
    assert [event.force for event in read_events(tmp_path / EVENTS) if isinstance(event, CancelRequested)] == [
        False,
        True,
    ]


def test_the_third_signal_leaves_and_the_guardian_cleans_up(tmp_path):
    write_pipeline(tmp_path, STUBBORN)
    with Running(tmp_path) as run:
        run.wait_for("ignores signals")
        family = run.family()
        for _ in range(3):
            run.signal(signal.SIGTERM)
        result = run.end(CANCELLED_WITHIN_S)
        assert result.code == 143, result.text
        assert family.alive_after(GONE_WITHIN_S) == []
    assert processes_of(tmp_path) == {}


@pytest.mark.parametrize(("last", "code"), [("exit 0", 0), ("exit 1", 1)], ids=["success", "failure"])
def test_nothing_is_left_behind_by_a_run_that_ended(tmp_path, last, code):
    write_pipeline(tmp_path, f"name: ended\nsteps:\n{ESCAPES}  - id: last\n    run: {last}\n")
    with Running(tmp_path) as run:
        run.wait_for("all are out")
        family = run.family()
        assert run.end().code == code
        assert family.alive_after(GONE_WITHIN_S) == []
    assert processes_of(tmp_path) == {}
    check_journal(tmp_path)


def test_nothing_is_left_behind_by_a_runner_that_was_killed(tmp_path):
    write_pipeline(tmp_path, f"name: killed\nmax_parallel: 2\nsteps:\n{ESCAPES}      exec sleep 600\n{WAITS}")
    with Running(tmp_path) as run:
        run.wait_for("all are out")
        run.wait_for("waits here")
        family = run.family()
        marked = processes_of(tmp_path)
        assert len(marked) >= 6, marked
        run.process.kill()
        assert family.alive_after(GONE_WITHIN_S) == []
    assert processes_of(tmp_path) == {}
    state = fold(read_events(tmp_path / EVENTS))
    assert state.finished is None


WAITS = """
  - id: waits
    needs: []
    run: |
      until test -e out; do sleep 0.02; done
      echo "waits here"
      exec sleep 600
"""
