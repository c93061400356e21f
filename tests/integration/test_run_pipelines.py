"""Pipelines that steps run: what ends a run ends them too, and what is asked of the run's own holds for them."""

import os
import signal
from pathlib import Path

import pytest
from running_dagnats import (
    EVENTS,
    Running,
    check_journal,
    dagnats,
    processes_of,
    read_events,
    servers_of,
    statuses,
    write_pipeline,
)

from dagnats.core.events import StepScheduled, StepSucceeded

CANCELLED_WITHIN_S = 7.0
OUTER = """
name: outer
steps:
  - id: deploy
    pipeline: inner.yaml
  - id: after
    run: echo never
finally:
  - run: echo "outer {{ run.outcome }}"
"""
INNER = """
name: inner
steps:
  - id: waits
    run: |
      echo "waits here"
      until test -e go; do sleep 0.02; done
      echo "word=kept" >> "$DAGNATS_OUTPUT"
  - id: says
    run: echo "the word is {{ steps.waits.outputs.word }}"
finally:
  - id: cleans
    run: |
      echo "inner {{ run.outcome }}"
      until test ! -e hold; do sleep 0.02; done
"""


@pytest.fixture
def project(tmp_path):
    write_pipeline(tmp_path, OUTER)
    (tmp_path / "inner.yaml").write_text(INNER)
    return tmp_path


def test_a_cancellation_is_passed_down_and_both_clean_up(project):
    with Running(project) as run:
        run.wait_for("waits here")
        run.signal(signal.SIGINT)
        result = run.end(CANCELLED_WITHIN_S)
    assert result.code == 130, result.text
    assert result.text.index("inner cancelled") < result.text.index("outer cancelled")
    assert statuses(check_journal(project)) == {
        "deploy": "cancelled",
        "after": "cancelled",
        "finally-1": "succeeded",
        "deploy/waits": "cancelled",
        "deploy/says": "cancelled",
        "deploy/cleans": "succeeded",
    }
    assert processes_of(project) == {}


def test_a_second_signal_reaches_what_cleans_up(project):
    (project / "hold").touch()
    with Running(project) as run:
        run.wait_for("waits here")
        run.signal(signal.SIGINT)
        run.wait_for("inner cancelled")
        run.signal(signal.SIGINT)
        result = run.end(CANCELLED_WITHIN_S)
    assert result.code == 130, result.text
    found = statuses(check_journal(project))
    assert (found["deploy/cleans"], found["deploy"], found["finally-1"]) == ("cancelled", "cancelled", "cancelled")
    assert processes_of(project) == {}


def end_after_a_kill_of_the_server(run: Running, project: Path) -> None:
    """Kill the server, let the run go on, and see that it ends as if nothing had been."""
    (pid,) = servers_of(project)
    os.kill(pid, signal.SIGKILL)
    run.wait_for("started again on its store")
    (project / "go").touch()
    result = run.end()
    assert result.code == 0, result.text
    assert "the word is kept" in result.text
    assert set(statuses(check_journal(project)).values()) == {"succeeded"}


def test_it_survives_its_server(project):
    with Running(project) as run:
        run.wait_for("waits here")
        end_after_a_kill_of_the_server(run, project)


def test_it_survives_its_server_while_it_is_opened(project):
    inner = INNER.replace("steps:", 'vars: {slow: {sh: ": > opening; until test -e go; do sleep 0.02; done"}}\nsteps:')
    (project / "inner.yaml").write_text(inner)
    os.mkfifo(project / "opening")
    with Running(project) as run:
        (project / "opening").read_bytes()
        end_after_a_kill_of_the_server(run, project)


def test_a_cancellation_finds_a_pipeline_that_is_opened(project):
    inner = INNER.replace("steps:", 'vars: {slow: {sh: ": > opening; exec sleep 600"}}\nsteps:')
    (project / "inner.yaml").write_text(inner)
    os.mkfifo(project / "opening")
    with Running(project) as run:
        (project / "opening").read_bytes()
        run.signal(signal.SIGINT)
        result = run.end(CANCELLED_WITHIN_S)
    assert result.code == 130, result.text
    assert statuses(check_journal(project)) == {"deploy": "cancelled", "after": "cancelled", "finally-1": "succeeded"}
    assert processes_of(project) == {}


def test_time_is_up_for_what_takes_care_of_a_failure_too(tmp_path):
    write_pipeline(tmp_path, "name: outer\nsteps:\n  - id: x\n    timeout: 1s\n    pipeline: inner.yaml\n")
    (tmp_path / "inner.yaml").write_text(
        "name: inner\nfail_fast: true\nsteps:\n  - run: exit 1\n    on_failure:\n      - run: exec sleep 600\n"
    )
    result = dagnats(["run", "pipeline.yaml"], tmp_path)
    assert result.code == 1, result.text
    assert "✗ x  ran longer than its timeout of 1s" in result.text


@pytest.mark.parametrize("flags", [[], ["-j", "4"]])
def test_max_parallel_of_the_pipeline_bounds_its_steps(tmp_path, flags):
    write_pipeline(tmp_path, "name: outer\nmax_parallel: 4\nsteps:\n  - id: x\n    pipeline: inner.yaml\n")
    steps = '  - {needs: [], run: "true"}\n' * 4
    (tmp_path / "inner.yaml").write_text(f"name: inner\nmax_parallel: 1\nsteps:\n{steps}")
    result = dagnats(["run", "pipeline.yaml", "--events", EVENTS, *flags], tmp_path)
    assert result.code == 0, result.text
    under_way: set[str] = set()
    ended = 0
    for event in read_events(tmp_path / EVENTS):
        if isinstance(event, StepScheduled) and event.step != "x":
            under_way.add(event.step)
            assert len(under_way) == 1
        if isinstance(event, StepSucceeded) and event.step != "x":
            under_way.remove(event.step)
            ended += 1
    assert ended == 4


def test_who_waits_for_a_mutex_does_not_hold_up_the_end(tmp_path):
    write_pipeline(
        tmp_path,
        """
name: outer
steps:
  - id: holds
    needs: []
    mutex: m
    run: |
      touch held
      until test -e cleaned; do sleep 0.02; done
  - id: x
    needs: []
    timeout: 1s
    pipeline: inner.yaml
""",
    )
    (tmp_path / "inner.yaml").write_text(
        """
name: inner
max_parallel: 1
steps:
  - {id: first, run: "until test -e held; do sleep 0.02; done"}
  - {id: waits, mutex: m, run: echo never}
  - {id: behind, needs: [first], run: echo never}
finally:
  - run: touch cleaned
"""
    )
    result = dagnats(["run", "pipeline.yaml"], tmp_path)
    assert result.code == 1, result.text
    assert "✗ x  ran longer than its timeout of 1s" in result.text
    assert "waits  cancelled before it started" in result.text


def test_an_interrupt_counts_after_a_failure_has_cancelled(tmp_path):
    write_pipeline(
        tmp_path,
        """
name: outer
fail_fast: true
steps:
  - {id: fails, needs: [], run: exit 3}
  - {id: always, needs: [fails], if: always(), run: "echo waits here; exec sleep 600"}
""",
    )
    with Running(tmp_path) as run:
        run.wait_for("waits here")
        run.signal(signal.SIGINT)
        result = run.end(CANCELLED_WITHIN_S)
    assert result.code == 130, result.text


SECRET = "s3cr3t-0123456789abcdef"


def test_a_pipeline_has_the_secrets_and_variables_that_its_own_file_names(tmp_path):
    write_pipeline(
        tmp_path,
        """
name: outer
secrets: {TOKEN: env://OUTER_TOKEN}
dotenv: [outer.env]
steps:
  - id: x
    pipeline: parts/inner.yaml
  - id: own
    env: {TOKEN: "{{ secrets.TOKEN }}"}
    run: test "$TOKEN" = outer-secret-1 && test "$FROM_OUTER" = o && test -z "${FROM_INNER:-}" && echo "own $TOKEN"
""",
    )
    (tmp_path / "parts").mkdir()
    (tmp_path / "parts" / "inner.yaml").write_text(
        """
name: inner
secrets: {TOKEN: env://INNER_TOKEN}
dotenv: [inner.env]
vars:
  seen: {sh: 'echo "$FROM_INNER"'}
  leaked: {sh: 'cat secret.txt'}
steps:
  - id: uses
    env: {TOKEN: "{{ secrets.TOKEN }}", FROM_ENV: e}
    run: |
      test "$TOKEN" = "$(cat secret.txt)" && test "$FROM_INNER" = i && test "$FROM_ENV" = e && test "{{ vars.seen }}" = i
      test -z "${FROM_OUTER:-}"
      echo "inner $TOKEN {{ vars.leaked }}"
  - id: without
    run: test -z "${INNER_TOKEN:-}${OUTER_TOKEN:-}${TOKEN:-}"
"""
    )
    (tmp_path / "outer.env").write_text("FROM_OUTER=o\n")
    (tmp_path / "inner.env").write_text("FROM_INNER=i\nFROM_ENV=file\n")
    (tmp_path / "secret.txt").write_text(SECRET)
    env = {"OUTER_TOKEN": "outer-secret-1", "INNER_TOKEN": SECRET}
    result = dagnats(["run", "pipeline.yaml", "--events", EVENTS, "-v"], tmp_path, env)
    assert result.code == 0, result.text
    assert "inner *** ***" in result.text
    assert "own ***" in result.text
    assert "var `leaked` held a secret, which is replaced by ***: vars are recorded" in result.text
    kept = [file for file in (tmp_path / ".dagnats").rglob("*") if file.is_file()]
    for file in [*kept, tmp_path / EVENTS]:
        assert SECRET.encode() not in file.read_bytes(), file


@pytest.mark.parametrize(
    ("inner", "message"),
    [
        ("secrets: {TOKEN: env://NO_SUCH_TOKEN}", "`env://NO_SUCH_TOKEN` is not set (of inner.yaml)"),
        ("dotenv: [missing.env]", "inner.yaml: dotenv: missing.env: there is no such file"),
        ('env: {A: "{{ env.NO_SUCH_VARIABLE }}"}', "inner.yaml: `env.NO_SUCH_VARIABLE` is not set"),
    ],
)
def test_what_a_pipeline_lacks_is_said_before_anything_starts(tmp_path, inner, message):
    write_pipeline(tmp_path, "name: outer\nsteps:\n  - run: touch started\n  - pipeline: inner.yaml\n")
    (tmp_path / "inner.yaml").write_text(f"name: inner\n{inner}\nsteps:\n  - run: echo never\n")
    result = dagnats(["run", "pipeline.yaml"], tmp_path)
    assert result.code == 2, result.text
    assert message in result.text
    assert not (tmp_path / "started").exists()


def test_a_pipeline_that_is_left_out_is_asked_for_nothing(tmp_path):
    write_pipeline(tmp_path, "name: outer\nsteps:\n  - id: a\n    run: echo a\n  - id: b\n    pipeline: inner.yaml\n")
    (tmp_path / "inner.yaml").write_text("name: inner\nsecrets: [NO_SUCH_TOKEN]\nsteps:\n  - run: echo never\n")
    assert dagnats(["run", "pipeline.yaml", "--only", "a"], tmp_path).code == 0
    assert dagnats(["run", "pipeline.yaml", "--only", "b"], tmp_path).code == 2


def test_a_chain_of_nine_files_is_refused_and_one_of_eight_runs(tmp_path):
    for number in range(9):
        inner = f"- pipeline: {number + 1}.yaml" if number < 8 else '- run: echo "deep as $DAGNATS_STEP"'
        (tmp_path / f"{number}.yaml").write_text(f"name: level {number}\nsteps:\n  {inner}\n")
    result = dagnats(["run", "0.yaml"], tmp_path)
    assert result.code == 0, result.text
    assert "deep as " + "step-1/" * 8 + "step-1" in result.text
    (tmp_path / "8.yaml").write_text("name: level 8\nsteps:\n  - pipeline: 9.yaml\n")
    (tmp_path / "9.yaml").write_text("name: level 9\nsteps:\n  - run: echo never\n")
    result = dagnats(["run", "0.yaml"], tmp_path)
    assert result.code == 2
    assert "8.yaml:3:15: pipelines run each other more than 8 levels deep" in result.text
