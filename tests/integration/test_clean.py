"""`dagnats clean`, after runs that were killed together with all that would have cleaned up after them."""

import contextlib
import fcntl
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from running_containers import NAMES, Engine, engine, orphans_of_runc
from running_dagnats import Running, dagnats, processes_of, run_directory, servers_of, write_pipeline

from dagnats import proctree
from dagnats.workers.finding import VARIABLE

HOLDS = """
name: holds
steps:
  - id: holds
    run: |
      echo holding
      setsid sleep 600 &
      sleep 600
"""
OVER = "name: over\nsteps: [{run: echo over}]\n"


def cleaned(workspace, *args, env=None):
    result = dagnats(["clean", *args], workspace, env)
    return result.code, result.text


def no_runtime(tmp_path) -> dict[str, str]:
    """Give a PATH without docker and podman, as what they have is not of these tests."""
    bin_ = tmp_path.parent / f"{tmp_path.name}-bin"
    bin_.mkdir(exist_ok=True)
    for name in ("sleep", "setsid", "bash", "sh", "git"):
        if not (bin_ / name).exists():
            found = next(Path(folder, name) for folder in os.environ["PATH"].split(":") if Path(folder, name).exists())
            (bin_ / name).symlink_to(found)
    return {"PATH": str(bin_), "TMPDIR": str(bin_)}


def crash(run: Running) -> None:
    """Kill the runner, and its guardian before that: nobody can end what they have started."""
    guardians = [
        pid
        for pid in proctree.children(run.process.pid)
        if any(b"dagnats.guardian" in word for word in proctree.words(pid))
    ]
    for pid in guardians:
        os.kill(pid, signal.SIGSTOP)  # it would do its work between the two
    run.process.kill()
    run.process.wait()
    for pid in guardians:
        os.kill(pid, signal.SIGKILL)


def test_processes_of_a_crashed_run_end_and_the_run_stays(tmp_path):
    env = no_runtime(tmp_path)
    write_pipeline(tmp_path, HOLDS)
    with Running(tmp_path, env=env) as run:
        run.wait_for("holding")
        code, text = cleaned(tmp_path, env=env)
        assert (code, text) == (0, "nothing to remove\n")  # as it goes on
        assert cleaned(tmp_path, "--all", env=env) == (0, "nothing to remove\n")
        crash(run)
        directory = run_directory(tmp_path)
        assert len(servers_of(tmp_path)) == 1
        code, text = cleaned(tmp_path, "--dry-run", env=env)
        assert code == 0
        assert f"processes of run {directory.name}\n" in text
        assert servers_of(tmp_path)
        code, text = cleaned(tmp_path, env=env)
        assert (code, "removed") == (0, text.split(" ")[0])
    assert processes_of(tmp_path) == {}
    assert directory.is_dir()  # it can be resumed
    code, text = cleaned(tmp_path, "--keep", "0", env=env)
    assert text == "nothing to remove\n"
    code, text = cleaned(tmp_path, directory.name[:-1], env=env)
    assert text.startswith(f"removed run {directory.name}\nremoved 1 run; ")
    assert list(directory.parent.iterdir()) == []


def test_old_runs_go_and_the_newest_stay(tmp_path):
    env = no_runtime(tmp_path)
    write_pipeline(tmp_path, OVER)
    names = []
    for _ in range(3):
        before = set(names)
        assert dagnats(["run", "-q"], tmp_path, env).code == 0
        names += [path.name for path in (tmp_path / ".dagnats" / "runs").iterdir() if path.name not in before]
    assert cleaned(tmp_path, env=env) == (0, "nothing to remove\n")
    assert cleaned(tmp_path, "--older-than", "1h", env=env) == (0, "nothing to remove\n")
    code, text = cleaned(tmp_path, "--keep", "1", "--dry-run", env=env)
    assert text.startswith(f"would remove run {names[1]}\nwould remove run {names[0]}\nwould remove 2 runs; ")
    code, text = cleaned(tmp_path, "--keep", "1", env=env)
    assert code == 0
    assert [path.name for path in (tmp_path / ".dagnats" / "runs").iterdir()] == [names[2]]
    code, text = cleaned(tmp_path, "nobody", env=env)
    assert code == 2
    code, text = cleaned(tmp_path, "--all", env=env)
    assert text.startswith(f"removed run {names[2]}\n")


def test_a_run_whose_lock_is_held_is_not_removed(tmp_path):
    env = no_runtime(tmp_path)
    write_pipeline(tmp_path, OVER)
    assert dagnats(["run", "-q"], tmp_path, env).code == 0
    directory = run_directory(tmp_path)
    with (directory / "lock").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert cleaned(tmp_path, "--all", env=env) == (0, "nothing to remove\n")
        code, text = cleaned(tmp_path, directory.name, env=env)
        assert (code, text) == (
            2,
            f"run {directory.name} goes on, or is being read: `dagnats cancel {directory.name}` ends it\n",
        )
    assert (directory / "store").is_dir()


def test_half_removed_runs_go(tmp_path):
    env = no_runtime(tmp_path)
    runs = tmp_path / ".dagnats" / "runs"
    (runs / ".calm-otter-1.77.gone" / "store").mkdir(parents=True)
    (runs / "calm-otter-2" / "tmp").mkdir(parents=True)
    os.utime(runs / "calm-otter-2", (1.0, 1.0))
    (runs / "calm-otter-3").mkdir()  # just being made
    code, text = cleaned(tmp_path, env=env)
    assert (code, text) == (
        0,
        "removed half-removed run .calm-otter-1.77.gone\nremoved half-removed run calm-otter-2\nremoved 2 half-removed runs; 0 bytes freed\n",
    )
    assert [path.name for path in runs.iterdir()] == ["calm-otter-3"]


def test_an_ephemeral_run_that_was_killed_leaves_nothing_and_what_is_not_ours_stays(tmp_path):
    env = no_runtime(tmp_path)
    temporary = Path(env["TMPDIR"])
    write_pipeline(tmp_path, HOLDS)
    for name, mode in (
        ("dagnats-sources", 0o700),
        ("dagnats-abcdefgh", 0o755),
        ("dagnats-abcdefg1", 0o700),
        ("dagnats-abcdefg2", 0o700),
    ):
        (temporary / name).mkdir()
        (temporary / name).chmod(mode)
        os.utime(temporary / name, (1.0, 1.0))
    (temporary / "dagnats-abcdefg1" / "mine.txt").touch()
    with Running(tmp_path, "--ephemeral", env=env) as run:
        run.wait_for("holding")
        (holder,) = (path for path in temporary.glob("dagnats-*/*/lock"))
        holder = holder.parent.parent
        code, text = cleaned(tmp_path, "--all", env=env)
        assert f"removed temporary directory {temporary}/dagnats-abcdefg2\n" in text
        assert str(holder) not in text
        crash(run)
        code, text = cleaned(tmp_path, env=env)
        assert code == 0
        assert f"removed temporary directory {holder}\n" in text
    assert processes_of(holder) == {}
    assert sorted(path.name for path in temporary.glob("dagnats-*")) == [
        "dagnats-abcdefg1",
        "dagnats-abcdefgh",
        "dagnats-sources",
    ]


@pytest.mark.parametrize("args", [["--keep", "1", "--all"], ["x", "--older-than", "1h"]])
def test_two_wishes_at_once_are_refused(tmp_path, args):
    code, text = cleaned(tmp_path, *args)
    assert code == 2
    assert "say different things: give one of them" in text


@pytest.fixture(params=NAMES)
def used(request) -> Engine:
    return engine(request.param)


CONTAINED = """
name: contained
defaults: {container: {image: IMAGE, network: none, pull: never}}
steps:
  - id: holds
    run: |
      echo holding
      sleep 600
"""


def variables(used: Engine, other: str = "") -> dict[str, str]:
    needed = ("DOCKER_HOST", "CONTAINERS_CONF")
    return {name: used.env[name] for name in needed if name in used.env} | {VARIABLE: used.name}


def test_containers_of_a_crashed_run_go_and_those_of_one_that_goes_on_stay(used, tmp_path):
    env = variables(used)
    crashed, alive = tmp_path / "crashed", tmp_path / "alive"
    for workspace in (crashed, alive):
        workspace.mkdir()
        write_pipeline(workspace, CONTAINED.replace("IMAGE", used.image))
    with Running(crashed, env=env) as run, Running(alive, "--ephemeral", env=env) as other:
        run.wait_for("holding")
        other.wait_for("holding")
        name = run_directory(crashed).name
        crash(run)
        assert used.left(name)["containers"]
        code, text = cleaned(alive, env=env)
        assert "container" not in text  # neither its own, as it goes on, nor that of another project
        code, text = cleaned(crashed, "--dry-run", env=env)
        assert f"would remove container dagnats-{name}-holds-1-" in text
        code, text = cleaned(crashed, env=env)
        assert code == 0, text
        assert f"removed container dagnats-{name}-holds-1-" in text
        gone(used, name)
        other.signal(signal.SIGINT)
        assert other.end().code == 130


def gone(used: Engine, run: str) -> None:
    until = time.monotonic() + 10
    while (left := used.left(run)) != {"containers": [], "processes": []}:
        assert time.monotonic() < until, left
    if used.name == "podman" and os.geteuid() == 0:
        assert orphans_of_runc(used) == set()


@pytest.mark.parametrize("moment_s", [0.0, 0.1, 0.2, 0.3, 0.4])
def test_a_crash_while_a_container_starts_leaves_nothing_that_clean_does_not_find(used, tmp_path, moment_s):
    """The clients of the runtime are killed too, as by a reboot of a part of the machine: podman forgets such a container, its OCI runtime does not."""
    env = variables(used)
    write_pipeline(tmp_path, CONTAINED.replace("IMAGE", used.image))
    with Running(tmp_path, "-v", env=env) as run:
        run.wait_for("holds")
        guardian = next(pid for pid in proctree.children(run.process.pid))
        until = time.monotonic() + moment_s
        while time.monotonic() < until:
            pass
        os.kill(guardian, signal.SIGSTOP)
        clients = proctree.with_descendants([guardian]) - {guardian}
        run.process.kill()
        run.process.wait()
        for pid in (guardian, *clients):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        name = run_directory(tmp_path).name
        code, text = cleaned(tmp_path, env=env)
        assert code == 0, text
        gone(used, name)
    if used.name == "podman":
        code, text = cleaned(tmp_path, env=env)
        assert text == "nothing to remove\n"


AGAIN = """
name: again
steps:
  - id: holds
    container: {image: IMAGE, network: none, pull: never}
    retry: {max_attempts: 3, on: [lost]}
    run: |
      echo begun >> began
      echo holding
      until test -e go; do sleep 0.1; done
      echo ended >> began
"""


def test_a_run_that_is_resumed_removes_its_containers_before_an_attempt_starts_again(used, tmp_path):
    env = variables(used)
    write_pipeline(tmp_path, AGAIN.replace("IMAGE", used.image))
    with Running(tmp_path, env=env) as run:
        run.wait_for("holding")
        crash(run)
        name = run_directory(tmp_path).name
        assert len(used.left(name)["containers"]) == 1
        (tmp_path / "began").write_text("")
        result = resumed(tmp_path, name, env)
        assert result.code == 0, result.text
        assert "removed 1 container that the runner before has left" in result.text
    assert (tmp_path / "began").read_text().split() == ["begun", "ended"]  # the one before has not gone on
    gone(used, name)


def resumed(workspace, name, env):
    """Go on, and let the step end once it has begun again."""
    watcher = "import pathlib, sys, time\nwhile 'begun' not in pathlib.Path('began').read_text(): time.sleep(0.02)\npathlib.Path('go').touch()"
    with subprocess.Popen([sys.executable, "-c", watcher], cwd=workspace):
        return dagnats(["resume", name, "-v"], workspace, env, timeout_s=60)
