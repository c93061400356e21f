"""`dagnats resume`: what a killed runner has left goes on, and ends as an undisturbed run would."""

import json
import os
import signal
import time
from pathlib import Path

import pytest

from dagnats import rundir
from dagnats.bus import journal
from dagnats.bus.link import Link
from dagnats.core.events import AnyEvent, RunFinished, RunResumed, StepInterrupted, StepScheduled, StepStarted
from dagnats.core.state import fold
from dagnats.stored import use
from tests.running_dagnats import (
    Running,
    dagnats,
    processes_of,
    run_directory,
    write_pipeline,
)

STEPS = """\
name: p
steps:
  - {id: first, run: 'echo first >> log; echo "word=done" >> "$DAGNATS_OUTPUT"; echo one'}
  - {id: middle, run: 'echo middle >> log; echo begun; [ -e gate ] || sleep 1000; echo "{{ steps.first.outputs.word }}"'}
  - {id: last, run: 'echo last >> log'}
finally:
  - {id: tidy, run: 'echo tidy >> log'}
"""


def journal_of(directory: Path) -> list[AnyEvent]:
    async def read(link: Link, _: bool) -> list[AnyEvent]:
        return [event async for commit in journal.read(link, directory.name) for event in commit]

    return use(directory, read)


def killed(cwd: Path, *args: str, at: str = "begun") -> None:
    """Start a run, and kill its runner when it has printed a word."""
    with Running(cwd, *args) as running:
        running.wait_for(at)
        running.signal(signal.SIGKILL)
        running.process.wait()


def test_a_killed_run_goes_on_where_it_was(tmp_path):
    write_pipeline(tmp_path, STEPS)
    killed(tmp_path)
    (tmp_path / "gate").touch()
    resumed = dagnats(["resume", "--events", "events.jsonl"], tmp_path)
    assert resumed.code == 0, resumed.text
    assert (tmp_path / "log").read_text().split() == ["first", "middle", "middle", "last", "tidy"]
    assert "↻ resumed, 1 step had ended\n" in resumed.text
    assert "↻ middle: attempt 1 was interrupted\n" in resumed.text
    assert "| done\n" in resumed.text
    assert "| one\n" not in resumed.text  # it was shown by the run itself
    events = journal_of(run_directory(tmp_path))
    assert [type(event) for event in events if isinstance(event, RunResumed | StepInterrupted)] == [
        RunResumed,
        StepInterrupted,
    ]
    assert isinstance(events[-1], RunFinished)
    written = [json.loads(line)["type"] for line in (tmp_path / "events.jsonl").read_text().splitlines()]
    assert written == [type(event).__name__ for event in events]
    assert not processes_of(tmp_path)


def test_it_is_killed_again_and_again_and_comes_to_its_end(tmp_path):
    write_pipeline(tmp_path, STEPS)
    killed(tmp_path)
    for _ in range(3):
        with Running(tmp_path, command=["resume"]) as again:
            again.wait_for("begun")
            again.signal(signal.SIGKILL)
    (tmp_path / "gate").touch()
    assert dagnats(["resume"], tmp_path).code == 0
    state = fold(journal_of(run_directory(tmp_path)))
    assert (state.steps["middle"].attempt, state.steps["middle"].tries) == (5, 1)
    assert (tmp_path / "log").read_text().split().count("first") == 1


def test_what_a_killed_guardian_has_left_is_ended_before_its_step_runs_again(tmp_path):
    write_pipeline(
        tmp_path,
        "name: p\nsteps: [{id: a, run: 'echo begun; echo $$ >> pids; setsid sleep 1000 & [ -e gate ] || exec sleep 1000'}]\n",
    )
    with Running(tmp_path) as running:
        running.wait_for("begun")
        (owner,) = rundir.owners(run_directory(tmp_path))
        running.signal(signal.SIGSTOP)
        os.kill(owner.guardian, signal.SIGKILL)
        running.signal(signal.SIGKILL)
        running.process.wait()
    assert any("sleep 1000" in command for command in processes_of(tmp_path).values())
    (tmp_path / "gate").touch()
    assert dagnats(["resume"], tmp_path).code == 0
    assert not processes_of(tmp_path)


ONCE = "name: p\nsteps: [{id: pay, once: true, run: 'echo pay >> log; echo begun; [ -e gate ] || sleep 1000'}, {id: b, run: echo b}]\n"


@pytest.mark.parametrize(("more", "code", "runs"), [([], 1, 1), (["--again", "pay"], 0, 2)])
def test_a_step_that_is_once_runs_again_only_with_consent(tmp_path, more, code, runs):
    write_pipeline(tmp_path, ONCE)
    killed(tmp_path)
    (tmp_path / "gate").touch()
    resumed = dagnats(["resume", *more], tmp_path)
    assert resumed.code == code, resumed.text
    assert (tmp_path / "log").read_text().count("pay") == runs
    assert ("it is `once`: whether it has done its work is not known" in resumed.text) is not more


def test_a_step_that_is_once_begins_only_after_that_is_recorded(tmp_path):
    write_pipeline(tmp_path, ONCE)
    env = {"DAGNATS_TEST_CRASH": "before:StepStarted:1"}
    assert dagnats(["run"], tmp_path, env).code == -signal.SIGKILL
    assert not (tmp_path / "log").exists()
    (tmp_path / "gate").touch()
    assert dagnats(["resume"], tmp_path).code == 0
    assert (tmp_path / "log").read_text() == "pay\n"


def test_a_cancelled_run_is_cancelled_to_its_end(tmp_path):
    write_pipeline(
        tmp_path,
        "name: p\nsteps: [{id: a, run: 'trap \"\" INT TERM; echo begun; sleep 1000'}, {id: b, run: echo b >> log}]\n"
        "finally: [{id: tidy, run: echo tidy >> log}]\n",
    )
    with Running(tmp_path) as running:
        running.wait_for("begun")
        running.signal(signal.SIGINT)
        running.wait_for("cancelling")
        running.signal(signal.SIGKILL)
    assert dagnats(["resume"], tmp_path).code == 130
    assert (tmp_path / "log").read_text() == "tidy\n"


def test_a_retry_waits_for_its_time_and_is_not_counted_twice(tmp_path):
    write_pipeline(
        tmp_path,
        "name: p\nsteps: [{id: a, run: 'echo x >> log; [ $(wc -l < log) = 3 ]', retry: {max_attempts: 3, initial_delay: 2s}}]\n",
    )
    with Running(tmp_path) as running:
        running.wait_for("attempt 2 in 2")
        running.signal(signal.SIGKILL)
    assert dagnats(["resume"], tmp_path).code == 0
    times = [event for event in journal_of(run_directory(tmp_path)) if isinstance(event, StepScheduled | StepStarted)]
    waits = [event for event in times if isinstance(event, StepScheduled) and event.not_before is not None]
    starts = {event.attempt: event.at for event in times if isinstance(event, StepStarted)}
    assert len(waits) == 2
    assert all(starts[event.attempt] >= event.not_before for event in waits)


def test_the_time_without_a_runner_does_not_count(tmp_path):
    write_pipeline(
        tmp_path,
        "name: p\ntimeout: 3s\nsteps: [{id: a, run: 'echo begun; [ -e gate ] || sleep 1000'}, {id: b, run: sleep 0.1}]\n",
    )
    killed(tmp_path)
    directory = run_directory(tmp_path)
    os.utime(directory / "lock")
    (tmp_path / "gate").touch()
    until = time.time() + 3.0
    while time.time() < until:  # longer than the timeout, and nobody runs it
        journal_of(directory)
    assert dagnats(["resume"], tmp_path).code == 0


def test_secrets_and_dotenv_are_asked_for_again(tmp_path):
    write_pipeline(
        tmp_path,
        "name: p\nsecrets: [TOKEN]\ndotenv: [.env]\nsteps:\n"
        "  - {id: a, env: {T: '{{ secrets.TOKEN }}'}, run: 'echo begun $T $OTHER; [ -e gate ] || sleep 1000'}\n",
    )
    (tmp_path / ".env").write_text("OTHER=beside\n")
    with Running(tmp_path, env={"TOKEN": "hunter22"}) as running:
        running.wait_for("begun *** beside")
        running.signal(signal.SIGKILL)
    (tmp_path / "gate").touch()
    refused = dagnats(["resume"], tmp_path)
    assert refused.code == 2
    assert "TOKEN" in refused.text
    resumed = dagnats(["resume"], tmp_path, {"TOKEN": "hunter22"})
    assert resumed.code == 0
    assert "begun *** beside" in resumed.text


def test_pipelines_of_steps_and_instances_go_on(tmp_path):
    (tmp_path / "inner.yaml").write_text(
        "name: i\nparams: {n: 0}\nsteps: [{id: x, run: 'echo x{{ params.n }} >> log'},"
        " {id: y, run: 'echo y{{ params.n }} >> log; echo begun; [ -e gate ] || sleep 1000'}]\n"
    )
    write_pipeline(
        tmp_path,
        "name: p\nmax_parallel: 4\nsteps:\n"
        "  - {id: each, matrix: {n: [1, 2]}, pipeline: inner.yaml, params: {n: '{{ matrix.n }}'}}\n"
        "  - {id: last, run: echo last >> log}\n",
    )
    with Running(tmp_path) as running:
        running.wait_for("begun", times=2)
        running.signal(signal.SIGKILL)
    (tmp_path / "gate").touch()
    assert dagnats(["resume"], tmp_path).code == 0
    assert sorted((tmp_path / "log").read_text().split()) == sorted(["x1", "x2", "y1", "y1", "y2", "y2", "last"])
