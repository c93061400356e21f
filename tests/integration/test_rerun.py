"""A rerun takes over what still holds: nothing of that runs twice, and what was said beforehand is what happens."""

import json
import shutil
import signal
import subprocess
from collections import Counter
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from running_dagnats import DAGNATS, EVENTS, Running, dagnats, environment, read_events, write_pipeline

from dagnats.core.state import RunState, fold

PIPELINE = """\
name: ci
params: {python: {type: string, default: "3.12"}}
steps:
  - id: build
    outputs: {version: {required: true}}
    run: |
      echo build >> ran
      echo "version=1.{{ params.python }}" >> "$DAGNATS_OUTPUT"
  - id: lint
    needs: []
    allow_failure: true
    run: echo lint >> ran; exit 3
  - id: docs
    needs: []
    if: params.python == 'none'
    run: echo docs >> ran
  - id: test
    needs: [build]
    matrix: {os: [linux, mac, bsd]}
    run: |
      echo "test-{{ matrix.os }}-{{ steps.build.outputs.version }}" >> ran
      test "{{ matrix.os }}" != mac || test -e mended
  - id: ship
    needs: [test, lint, docs]
    run: echo "ship-{{ steps.build.outputs.version }}-{{ steps.lint.exit_code }}" >> ran
finally:
  - id: down
    run: echo down >> ran
"""


def project(folder: Path, text: str = PIPELINE) -> Path:
    """Give a project whose run has failed."""
    write_pipeline(folder, text)
    assert dagnats(["run"], folder).code == 1
    return folder


def ran(folder: Path) -> Counter[str]:
    """Count what has run since this was asked last."""
    file = folder / "ran"
    found = Counter(file.read_text().split()) if file.exists() else Counter()
    file.unlink(missing_ok=True)
    return found


def runs(folder: Path) -> list[str]:
    """Name the runs, the oldest first."""
    found = (folder / ".dagnats" / "runs").iterdir()
    return [path.name for path in sorted(found, key=lambda path: (path / "lock").stat().st_mtime_ns)]


def rerun(folder: Path, *args: str, code: int = 0) -> RunState:
    """Run again, and read what it said of itself."""
    done = dagnats(["rerun", *args, "--events", EVENTS], folder)
    assert done.code == code, done.text
    return fold(read_events(folder / EVENTS))


def test_what_succeeded_does_not_run_again(tmp_path):
    project(tmp_path)
    first = {"build": 1, "lint": 1, "test-linux-1.3.12": 1, "test-mac-1.3.12": 1, "test-bsd-1.3.12": 1, "down": 1}
    assert ran(tmp_path) == first
    (tmp_path / "mended").touch()
    state = rerun(tmp_path, "--failed")
    assert ran(tmp_path) == {"test-mac-1.3.12": 1, "ship-1.3.12-3": 1, "down": 1}
    (before, now) = runs(tmp_path)
    assert (state.run, state.started.rerun.run, state.started.rerun.mode) == (now, before, "failed")
    assert state.steps["build"].reused.from_run == before
    assert state.steps["build"].outputs == {"version": "1.3.12"}
    assert state.steps["lint"].status == "warning"
    assert state.steps["docs"].status == "skipped"
    assert state.finished.outcome == "succeeded"


def test_it_is_said_at_once_and_shown(tmp_path):
    project(tmp_path)
    (tmp_path / "mended").touch()
    (before,) = runs(tmp_path)
    done = dagnats(["rerun", before[:-2], "--failed"], tmp_path)
    assert f"rerun of {before}" in done.text.splitlines()[0]
    assert f"= build  reused from {before}" in done.text
    assert f"! lint  exit code 3 (allowed), reused from {before}" in done.text
    assert f"= test[os=linux]  reused from {before}" in done.text
    assert "6 succeeded (3 reused), 1 warning (1 reused), 1 skipped" in done.text


@pytest.mark.parametrize("mode", ["live", "prefixed", "grouped", "failures", "github", "json", "none"])
def test_every_mode_shows_it(mode, tmp_path):
    project(tmp_path)
    done = dagnats(["rerun", "--failed", "--output", mode], tmp_path)
    assert done.code == 1
    assert "Traceback" not in done.text
    if mode in ("grouped", "github"):
        assert "= build  reused from" in done.text
    if mode == "json":
        records = [json.loads(line) for line in done.text.splitlines()]
        assert [one["step"] for one in records if one["type"] == "StepReused"][:1] == ["build"]


def planned(folder: Path, *args: str) -> dict:
    done = dagnats(["plan", "--format", "json", *args], folder)
    assert done.code == 0, done.text
    return json.loads(done.text)["rerun"]


@pytest.mark.parametrize(
    ("args", "again"),
    [
        (("--failed",), {"test", 'test[{"os":"mac"}]', "ship", "down"}),
        (("--from", "build"), {"build", "test", "ship", "down"}),
        (("--from", "lint"), {"lint", "test", 'test[{"os":"mac"}]', "ship", "down"}),
        (("--failed", "-p", "python=3.13"), {"build", "docs", "test", "ship", "down"}),
    ],
)
def test_what_the_plan_says_is_what_happens(args, again, tmp_path):
    project(tmp_path)
    (tmp_path / "mended").touch()
    (before,) = runs(tmp_path)
    said = planned(tmp_path, "--rerun", before, *args)
    assert set(said["again"]) == again
    state = rerun(tmp_path, before, *args)
    assert set(state.started.rerun.again) == again
    assert set(state.started.rerun.reused) == set(said["reused"])
    for id_ in ("build", "lint", "ship"):
        assert (state.steps[id_].reused is None) is (id_ in again)


def test_a_param_that_is_another_and_why(tmp_path):
    project(tmp_path)
    (before,) = runs(tmp_path)
    said = dagnats(["plan", "--rerun", before, "--failed", "-p", "python=3.13"], tmp_path)
    assert "build  runs: params.python changed" in said.text
    assert "lint   reused from" in said.text
    assert "ship   runs: needs docs, test, which run again" in said.text or "needs test, docs" in said.text
    assert 'params.python = "3.13"' in said.text


def test_a_step_that_was_mended_in_the_file(tmp_path):
    project(tmp_path, "name: p\nsteps:\n- {id: a, run: echo a >> ran}\n- {id: b, run: echo b >> ran; exit 1}\n")
    ran(tmp_path)
    write_pipeline(tmp_path, "name: p\nsteps:\n- {id: a, run: echo a >> ran}\n- {id: b, run: echo mended >> ran}\n")
    (before,) = runs(tmp_path)
    assert "b  runs: changed: run" in dagnats(["plan", "--rerun", before, "--failed"], tmp_path).text
    rerun(tmp_path, "--failed")
    assert ran(tmp_path) == {"mended": 1}


def test_a_script_of_a_var_that_says_something_else(tmp_path):
    text = "name: p\nvars: {x: {sh: cat x}}\nsteps:\n- {id: a, run: 'echo a-{{ vars.x }} >> ran'}\n- {id: b, run: exit 1}\n"
    (tmp_path / "x").write_text("one")
    project(tmp_path, text)
    (before,) = runs(tmp_path)
    said = dagnats(["plan", "--rerun", before, "--failed"], tmp_path).text
    assert f"a  reused from {before}, unless vars.x has changed" in said
    ran(tmp_path)
    rerun(tmp_path, before, "--failed", code=1)
    assert ran(tmp_path) == {}
    (tmp_path / "x").write_text("two")
    state = rerun(tmp_path, before, "--failed", code=1)
    assert ran(tmp_path) == {"a-two": 1}
    assert state.started.rerun.again["a"].names == ("vars.x",)


def test_only_one_step(tmp_path):
    project(tmp_path)
    (tmp_path / "mended").touch()
    rerun(tmp_path, "--failed")
    ran(tmp_path)
    state = rerun(tmp_path, "--only", "test")
    assert ran(tmp_path) == {"test-linux-1.3.12": 1, "test-mac-1.3.12": 1, "test-bsd-1.3.12": 1, "down": 1}
    assert set(state.plan.left_out) == {"lint", "docs", "ship"}


INNER = """\
name: deploy
params: {target: {type: string, required: true}}
steps:
  - id: push
    run: echo "push-{{ params.target }}" >> ran
  - id: switch
    run: echo "switch-{{ params.target }}" >> ran; test "{{ params.target }}" != us || test -e mended
"""
OUTER = """\
name: p
steps:
  - id: deploy
    pipeline: deploy.yaml
    matrix: {target: [eu, us]}
    params: {target: "{{ matrix.target }}"}
"""


def test_steps_of_a_pipeline_that_failed(tmp_path):
    (tmp_path / "deploy.yaml").write_text(INNER)
    project(tmp_path, OUTER)
    ran(tmp_path)
    (tmp_path / "mended").touch()
    state = rerun(tmp_path, "--failed")
    assert ran(tmp_path) == {"switch-us": 1}
    assert state.steps["deploy[target=eu]"].reused is not None
    assert state.steps["deploy[target=us]/push"].reused is not None


def test_artifacts_come_along_through_several_reruns(tmp_path):
    text = """\
name: p
steps:
  - id: build
    artifacts: [dist]
    run: echo build >> ran; mkdir -p dist; echo made > dist/app
  - id: test
    run: cat dist/app >> ran; test -e mended
"""
    project(tmp_path, text)
    for _ in range(2):
        shutil.rmtree(tmp_path / "dist")
        ran(tmp_path)
        rerun(tmp_path, "--failed", code=1)
        assert ran(tmp_path) == {"made": 1}
        shutil.rmtree(tmp_path / ".dagnats" / "runs" / runs(tmp_path)[0])


def test_from_another_directory_and_by_the_beginning_of_a_name(tmp_path):
    (tmp_path / ".git").mkdir()
    sub = tmp_path / "sub"
    sub.mkdir()
    write_pipeline(sub, PIPELINE)
    assert dagnats(["run", "sub/pipeline.yaml"], tmp_path).code == 1
    (tmp_path / "mended").touch()
    ran(tmp_path)
    (before,) = runs(tmp_path)
    (sub / "deeper").mkdir()
    assert dagnats(["rerun", before[:4], "--failed"], sub / "deeper").code == 0
    assert ran(tmp_path) == {"test-mac-1.3.12": 1, "ship-1.3.12-3": 1, "down": 1}


def test_a_rerun_that_was_killed_is_resumed(tmp_path):
    text = """\
name: p
steps:
  - {id: a, run: echo a >> ran}
  - {id: b, run: echo b >> ran; test -e mended && while test -e wait; do sleep 0.05; done; test -e mended}
"""
    project(tmp_path, text)
    ran(tmp_path)
    (tmp_path / "mended").touch()
    (tmp_path / "wait").touch()
    with Running(tmp_path, command=["rerun", "--failed"]) as running:
        running.wait_for("= a  reused from")
        while not (tmp_path / "ran").exists():
            pass
        running.signal(signal.SIGKILL)
    (tmp_path / "wait").unlink()
    resumed = dagnats(["resume"], tmp_path)
    assert resumed.code == 0, resumed.text
    assert ran(tmp_path) == {"b": 2}
    assert "2 succeeded (1 reused)" in resumed.text


def test_logs_say_where_the_output_of_a_reused_step_is(tmp_path):
    project(tmp_path, "name: p\nsteps:\n- {id: a, run: echo once}\n- {id: b, run: exit 1}\n")
    (before,) = runs(tmp_path)
    rerun(tmp_path, "--failed", code=1)
    told = dagnats(["logs", "-", "a"], tmp_path)
    assert told.code == 0
    assert told.text == f"a is reused from run {before}, which has what it printed: dagnats logs {before} a\n"
    assert dagnats(["logs", before, "a"], tmp_path).text == "once\n"


def test_a_shell_completes_runs_and_their_steps(tmp_path):
    project(tmp_path, "name: p\nsteps:\n- {id: alpha, run: exit 1}\n- {id: beta, run: 'true'}\n")
    (before,) = runs(tmp_path)
    for words, offered in (
        (f"dagnats rerun {before[:3]}", [before]),
        ("dagnats rerun --from al", ["alpha"]),
        (f"dagnats rerun {before} --only be", ["beta"]),
        (f"dagnats plan --rerun {before[:3]}", [before]),
    ):
        env = {"COMP_WORDS": words, "COMP_CWORD": str(len(words.split()) - 1), "_DAGNATS_COMPLETE": "bash_complete"}
        assert dagnats([], tmp_path, env).text.split() == [f"plain,{word}" for word in offered], words


def test_reports_say_what_is_reused(tmp_path):
    project(tmp_path)
    (before,) = runs(tmp_path)
    rerun(tmp_path, "--failed", "--junit", "j.xml", "--summary", "s.md", "--html", "h.html", code=1)
    suite = ET.parse(tmp_path / "j.xml").getroot()[0]
    assert suite.find("properties/property[@name='rerun_of']").get("value") == before
    build = suite.find("testcase[@name='build']")
    assert [child.tag for child in build] == ["system-out"]
    assert build[0].text == f"reused from {before}"
    assert f"| reused from {before} |" in (tmp_path / "s.md").read_text()
    assert f"reused from {before}" in (tmp_path / "h.html").read_text()


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["--failed"], "nothing to do: run RUN succeeded, and nothing that it did has changed since"),
        ([], "one of `--failed`, `--from STEP` and `--only STEP` says what shall run again"),
        (["--failed", "--only", "a"], "only one of `--failed`, `--from STEP` and `--only STEP`"),
        (["--from", "aa"], "--from: pipeline.yaml has no step `aa`; did you mean `a`?"),
        (["no-such-run", "--failed"], "there is no run `no-such-run`"),
        (["--from", "a", "-p", "x=1"], "param `x` is not declared"),
    ],
)
def test_what_is_refused(args, message, tmp_path):
    write_pipeline(tmp_path, "name: p\nsteps:\n- {id: a, run: 'true'}\n")
    assert dagnats(["run"], tmp_path).code == 0
    (name,) = runs(tmp_path)
    refused = dagnats(["rerun", *args], tmp_path)
    assert refused.code == 2
    assert message.replace("RUN", name) in refused.text
    assert "Traceback" not in refused.text
    assert runs(tmp_path) == [name]


def test_a_run_whose_file_is_gone_or_came_from_stdin(tmp_path):
    project(tmp_path, "name: p\nsteps:\n- {id: a, run: exit 1}\n")
    (tmp_path / "pipeline.yaml").unlink()
    gone = dagnats(["rerun", "--failed"], tmp_path)
    assert gone.code == 2
    assert gone.text.endswith(" is not there any more: pipeline.yaml\n")
    given = subprocess.run(
        [DAGNATS, "run", "-"],
        cwd=tmp_path,
        env=environment(),
        input=b"name: p\nsteps: [{run: exit 1}]",
        capture_output=True,
        check=False,
    )
    assert b"dagnats rerun" not in given.stderr
    refused = dagnats(["rerun", "--failed"], tmp_path)
    assert refused.code == 2
    assert "took its pipeline from stdin, and there is no file that could be run again" in refused.text


def test_a_run_that_goes_on(tmp_path):
    write_pipeline(
        tmp_path, "name: p\nsteps:\n- {id: a, run: 'echo begun; while test ! -e stop; do sleep 0.05; done'}\n"
    )
    with Running(tmp_path) as running:
        running.wait_for("begun")
        refused = dagnats(["rerun", "--failed"], tmp_path)
        (tmp_path / "stop").touch()
        assert running.end().code == 0
    assert refused.code == 2
    assert "still goes on: wait for its end, or cancel it" in refused.text


def test_a_journal_that_is_damaged(tmp_path):
    project(tmp_path, "name: p\nsteps:\n- {id: a, run: exit 1}\n")
    (before,) = runs(tmp_path)
    blocks = list((tmp_path / ".dagnats" / "runs" / before).rglob("HISTORY/msgs/*.blk"))
    for block in blocks:
        block.write_bytes(block.read_bytes()[:-40])
    assert blocks
    refused = dagnats(["rerun", "--failed"], tmp_path)
    assert refused.code == 5, refused.text


def test_an_ephemeral_run_offers_no_rerun(tmp_path):
    write_pipeline(tmp_path, "name: p\nsteps:\n- {id: a, run: exit 1}\n")
    assert "dagnats rerun" in dagnats(["run"], tmp_path).text
    assert "dagnats rerun" not in dagnats(["run", "--ephemeral"], tmp_path).text


def test_a_value_of_before_that_does_not_fit_any_more(tmp_path):
    text = "name: p\nparams: {n: {type: string, default: many}}\nsteps:\n- {id: a, run: exit 1}\n"
    project(tmp_path, text)
    (before,) = runs(tmp_path)
    write_pipeline(tmp_path, text.replace("string", "integer").replace("many", "1"))
    refused = dagnats(["rerun", "--failed"], tmp_path)
    assert refused.code == 2
    assert f"param `n`: expected integer, got 'many' (of run {before}); give another with -p n=..." in refused.text
