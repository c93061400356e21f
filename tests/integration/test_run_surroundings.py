"""What a run leaves in the project and shows to others on the machine, where it reads from, and what happens when its reader goes away."""

import os
import signal
import stat
import subprocess
from pathlib import Path

import pytest
from running_dagnats import (
    BOUND_S,
    DAGNATS,
    EVENTS,
    Running,
    check_journal,
    dagnats,
    environment,
    processes_of,
    run_directory,
    write_pipeline,
)

GONE_WITHIN_S = 5.0
HELLO = "name: hello\nsteps:\n  - run: echo hello from $PWD\n"
WAITS = """
name: waits
steps:
  - run: |
      echo "waits here"
      until test -e go; do sleep 0.02; done
"""


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_what_a_run_keeps_is_private_and_ignored_by_git(tmp_path):
    write_pipeline(tmp_path, HELLO)
    old = os.umask(0)
    try:
        assert dagnats(["run", "pipeline.yaml"], tmp_path).code == 0
    finally:
        os.umask(old)
    kept = run_directory(tmp_path)
    assert mode(kept) == 0o700
    assert mode(kept / "nats.conf") == 0o600
    assert (tmp_path / ".dagnats" / ".gitignore").read_text() == "*\n"
    assert not (kept / "tmp").exists()


def test_the_secret_of_the_server_is_on_no_command_line_and_in_no_environment(tmp_path):
    write_pipeline(tmp_path, WAITS)
    with Running(tmp_path) as run:
        run.wait_for("waits here")
        config = (run_directory(tmp_path) / "nats.conf").read_text()
        token = config.partition('token: "')[2].partition('"')[0]
        assert len(token) == 64
        family = run.family()
        assert len(family.pids) >= 4, "the runner, its guardian, the server and the step"
        for pid in family.pids:
            for name in ("cmdline", "environ"):
                assert token.encode() not in Path(f"/proc/{pid}/{name}").read_bytes()
        (tmp_path / "go").touch()
        assert run.end().code == 0
    assert token not in (tmp_path / EVENTS).read_text()


def test_an_ephemeral_run_keeps_nothing(tmp_path):
    project, temporary = tmp_path / "project", tmp_path / "temporary"
    project.mkdir()
    temporary.mkdir()
    write_pipeline(project, HELLO)
    result = dagnats(["run", "pipeline.yaml", "--ephemeral"], project, {"TMPDIR": str(temporary)})
    assert result.code == 0, result.text
    assert [path.name for path in project.iterdir()] == ["pipeline.yaml"]
    assert list(temporary.iterdir()) == []


def test_an_ephemeral_run_that_is_killed_keeps_nothing_either(tmp_path):
    project, temporary = tmp_path / "project", tmp_path / "temporary"
    project.mkdir()
    temporary.mkdir()
    (project / "kept").mkdir()
    write_pipeline(project, WAITS.replace("waits here", 'waits here"; ln -s "$PWD/kept" "$DAGNATS_OUTPUT.link'))
    with Running(project, "--ephemeral", env={"TMPDIR": str(temporary)}) as run:
        run.wait_for("waits here")
        family = run.family()
        assert len(list(temporary.iterdir())) == 1
        run.signal(signal.SIGKILL)
        assert family.alive_after(GONE_WITHIN_S) == []
    assert list(temporary.iterdir()) == []
    assert (project / "kept").exists()


def test_the_newest_runs_are_kept(tmp_path):
    write_pipeline(tmp_path, HELLO)
    runs = tmp_path / ".dagnats" / "runs"
    for number in range(30):
        (runs / f"old-run-{number}").mkdir(parents=True)
    assert dagnats(["run", "pipeline.yaml"], tmp_path).code == 0
    assert len(list(runs.iterdir())) == 20


def test_two_runs_beside_each_other_in_one_project(tmp_path):
    write_pipeline(tmp_path, WAITS)
    with Running(tmp_path) as first, Running(tmp_path, "--events", "other.jsonl") as second:
        first.wait_for("waits here")
        second.wait_for("waits here")
        (tmp_path / "go").touch()
        assert first.end().code == 0
        assert second.end().code == 0
    assert len(list((tmp_path / ".dagnats" / "runs").iterdir())) == 2


@pytest.mark.parametrize(("text", "code"), [(HELLO, 0), ("name: hello\n", 2), ("", 2)], ids=["right", "wrong", "empty"])
def test_validation_of_stdin(tmp_path, text, code):
    done = subprocess.run(
        [DAGNATS, "validate", "-", "-"],
        input=text,
        cwd=tmp_path,
        env=environment(),
        capture_output=True,
        timeout=BOUND_S,
        check=False,
        text=True,
    )
    assert done.returncode == code, done.stderr
    assert done.stdout.startswith("<stdin>:") is bool(code)
    assert ("1 file checked, no problems" in done.stderr) is not bool(code)


def test_a_pipeline_from_stdin(tmp_path):
    done = subprocess.run(
        [DAGNATS, "run", "-", "--events", EVENTS],
        input=HELLO.encode(),
        cwd=tmp_path,
        env=environment(),
        capture_output=True,
        timeout=BOUND_S,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.decode() == f"step-1 | hello from {tmp_path}\n"
    check_journal(tmp_path)


def test_steps_run_in_the_root_of_the_repository(tmp_path):
    (tmp_path / ".git").mkdir()
    inner = tmp_path / "ci" / "pipelines"
    inner.mkdir(parents=True)
    write_pipeline(inner, HELLO)
    result = dagnats(["run", "pipeline.yaml"], inner)
    assert result.code == 0, result.text
    assert f"hello from {tmp_path}\n" in result.text
    assert (tmp_path / ".dagnats").exists()


def test_every_byte_of_a_large_output_is_shown(tmp_path):
    lines = 300_000
    write_pipeline(tmp_path, f"name: large\nsteps:\n  - {{id: p, run: seq 1 {lines}}}\n")
    result = dagnats(["run", "pipeline.yaml", "--quiet"], tmp_path)
    assert result.code == 0, result.text[-1000:]
    assert result.text.splitlines() == [f"p | {number}" for number in range(1, lines + 1)]


def test_a_reader_that_goes_away_does_not_stop_the_run(tmp_path):
    write_pipeline(
        tmp_path,
        """
name: reader
steps:
  - run: |
      seq 1 100000
      touch printed
  - run: touch done-too
""",
    )
    reader, writer = os.pipe()
    os.close(reader)
    process = subprocess.Popen(
        [DAGNATS, "run", "pipeline.yaml", "--events", EVENTS],
        cwd=tmp_path,
        env=environment(),
        stdin=subprocess.DEVNULL,
        stdout=writer,
        stderr=subprocess.PIPE,
    )
    os.close(writer)
    text = process.communicate(timeout=BOUND_S)[1].decode()
    assert "Traceback" not in text
    assert (tmp_path / "done-too").exists()
    assert check_journal(tmp_path).outcome == "succeeded"
    assert processes_of(tmp_path) == {}


def test_an_events_file_that_can_not_be_written_is_refused(tmp_path):
    write_pipeline(tmp_path, HELLO)
    result = dagnats(["run", "pipeline.yaml", "--events", "absent/events.jsonl"], tmp_path)
    assert result.code == 2, result.text
    assert "absent/events.jsonl" in result.text
    assert "Traceback" not in result.text
    assert "hello from" not in result.text
    assert [path.name for path in tmp_path.iterdir()] == ["pipeline.yaml"]


def test_a_run_that_is_refused_leaves_what_others_made(tmp_path):
    write_pipeline(tmp_path, HELLO)
    state = tmp_path / ".dagnats"
    state.mkdir()
    assert dagnats(["run", "pipeline.yaml", "--events", "absent/events.jsonl"], tmp_path).code == 2
    assert list((state / "runs").iterdir()) == [], "the directory is somebody's"
    assert dagnats(["run", "pipeline.yaml"], tmp_path).code == 0
    kept = run_directory(tmp_path)
    assert dagnats(["run", "pipeline.yaml", "--events", "absent/events.jsonl"], tmp_path).code == 2
    assert run_directory(tmp_path) == kept


def test_a_run_that_is_refused_takes_nothing_from_one_that_goes_on(tmp_path):
    write_pipeline(tmp_path, WAITS)
    with Running(tmp_path) as run:
        run.wait_for("waits here")
        assert dagnats(["run", "pipeline.yaml", "--events", "absent/events.jsonl"], tmp_path).code == 2
        (tmp_path / "go").touch()
        assert run.end().code == 0
    assert (tmp_path / ".dagnats" / ".gitignore").exists()
    check_journal(tmp_path)


def test_a_project_whose_path_is_not_utf8(tmp_path):
    workspace = Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9"))
    workspace.mkdir()
    write_pipeline(workspace, 'name: p\nsteps: [{run: "pwd; echo reached"}]\n')
    result = dagnats(["run", "pipeline.yaml", "--summary", "s.md", "--html", "h.html", "--junit", "j.xml"], workspace)
    assert result.code == 0, result.text
    assert "step-1 | reached" in result.text
    assert dagnats(["report"], workspace).text == (workspace / "s.md").read_text()
