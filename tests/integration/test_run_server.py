"""The nats-server of a run is killed while it goes on: it is started again on its store, and the run ends as if nothing had been."""

import os
import signal

import pytest
from running_dagnats import Running, check_journal, processes_of, servers_of, statuses, write_pipeline

from dagnats.keeper import SERVER_STARTS_MAX

RESTARTED = "started again on its store"


def kill_server(workspace) -> int:
    """Kill the run's server; gives its process id."""
    (pid,) = servers_of(workspace)
    os.kill(pid, signal.SIGKILL)
    return pid


def test_a_run_survives_its_server(tmp_path):
    write_pipeline(
        tmp_path,
        """
name: survives
steps:
  - id: first
    run: |
      echo "first runs"
      until test -e go; do sleep 0.02; done
      echo "word=kept" >> "$DAGNATS_OUTPUT"
  - id: second
    run: echo "the word is {{ steps.first.outputs.word }}"
""",
    )
    with Running(tmp_path) as run:
        run.wait_for("first runs")
        killed = kill_server(tmp_path)
        run.wait_for(RESTARTED)
        (tmp_path / "go").touch()
        run.wait_for("the word is kept")
        assert servers_of(tmp_path) != [killed]
        result = run.end()
        assert result.code == 0, result.text
    assert statuses(check_journal(tmp_path)) == {"first": "succeeded", "second": "succeeded"}
    assert processes_of(tmp_path) == {}


@pytest.mark.parametrize("moment", ["step 3 runs", "✓ step-4", "step 7 runs", "✓ step-8"])
def test_a_chain_survives_a_kill_at_any_moment(tmp_path, moment):
    steps = "".join(f"  - run: echo step {number} runs >> ran && echo step {number} runs\n" for number in range(1, 13))
    last = "  - run: until test -e go; do sleep 0.02; done\n"
    write_pipeline(tmp_path, f"name: chain\nsteps:\n{steps}{last}")
    with Running(tmp_path) as run:
        run.wait_for(moment)
        kill_server(tmp_path)
        (tmp_path / "go").touch()
        result = run.end()
        assert result.code == 0, result.text
    assert (tmp_path / "ran").read_text().splitlines() == [f"step {number} runs" for number in range(1, 13)]
    assert set(statuses(check_journal(tmp_path)).values()) == {"succeeded"}


def test_several_kills_while_steps_run_beside_each_other(tmp_path):
    steps = "".join(
        f"  - id: part-{number}\n    needs: []\n    run: |\n      echo part {number} runs\n"
        f"      until test -e go-{number}; do sleep 0.02; done\n"
        for number in range(1, 5)
    )
    write_pipeline(tmp_path, f"name: several\nmax_parallel: 2\nsteps:\n{steps}")
    with Running(tmp_path) as run:
        for number in (1, 2, 3):
            run.wait_for(f"part {number} runs")
            kill_server(tmp_path)
            (tmp_path / f"go-{number}").touch()
            run.wait_for(f"✓ part-{number}")
        assert run.text.count(RESTARTED.encode()) == 3
        (tmp_path / "go-4").touch()
        result = run.end()
        assert result.code == 0, result.text
    assert set(statuses(check_journal(tmp_path)).values()) == {"succeeded"}


def test_no_line_is_lost_or_doubled_when_the_server_is_killed_while_a_step_prints(tmp_path):
    half, count = 100_000, 200_000
    write_pipeline(
        tmp_path,
        f"""
name: prints
steps:
  - id: p
    run: |
      seq 1 {half}
      until test -e go; do sleep 0.02; done
      seq {half + 1} {count}
""",
    )
    with Running(tmp_path) as run:
        run.wait_for("| 1000\n")
        kill_server(tmp_path)
        (tmp_path / "go").touch()
        result = run.end()
        assert result.code == 0, result.text[-2000:]
    shown = [line.removeprefix("p | ") for line in result.text.splitlines() if line.startswith("p | ")]
    assert shown == [str(number) for number in range(1, count + 1)]
    assert statuses(check_journal(tmp_path)) == {"p": "succeeded"}


def test_a_server_that_is_killed_again_while_it_starts(tmp_path):
    write_pipeline(
        tmp_path,
        """
name: again
steps:
  - run: |
      echo "waits here"
      until test -e go; do sleep 0.02; done
  - run: echo "the end"
""",
    )
    with Running(tmp_path) as run:
        run.wait_for("waits here")
        killed = kill_server(tmp_path)
        run.wait_for(RESTARTED)
        while killed in (found := servers_of(tmp_path)) or not found:
            pass
        kill_server(tmp_path)
        (tmp_path / "go").touch()
        run.wait_for("the end")
        result = run.end()
        assert result.code == 0, result.text
    assert set(statuses(check_journal(tmp_path)).values()) == {"succeeded"}


def test_a_server_that_ends_again_and_again_ends_the_run_and_says_what_became_of_it(tmp_path):
    write_pipeline(tmp_path, "name: doomed\nsteps:\n  - run: echo step runs; sleep 600\n")
    with Running(tmp_path) as run:
        run.wait_for("step runs")
        killed: set[int] = set()
        while run.process.poll() is None:
            for pid in set(servers_of(tmp_path)) - killed:
                killed.add(pid)
                os.kill(pid, signal.SIGKILL)
        result = run.end()
    assert result.code == 3
    assert len(killed) == SERVER_STARTS_MAX
    assert f"nats-server ended {len(killed)} times; the steps that ran were stopped and the run is incom" in result.text
    assert processes_of(tmp_path) == {}
