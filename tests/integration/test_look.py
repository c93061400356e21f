"""Looking at runs from other processes: what viewers show is what the run shows, whenever they come, and nothing that they do touches the run."""

import json
import os
import re
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest
from running_dagnats import BOUND_S, DAGNATS, Running, dagnats, environment, processes_of, run_directory, write_pipeline

SCENARIOS = Path(__file__).parents[1] / "scenarios"
# a token is new in each showing, as what a step printed may name an old one; the value of a secret is kept nowhere
ONCE = re.compile(rb"\b[0-9a-f]{32}\b|^::add-mask::.*\n", re.MULTILINE)

# It prints and waits until the test lets it go on, so that who comes when is certain.
GATED = """
name: gated
max_parallel: 3
steps:
  - id: talk
    run: |
      echo begun; echo warned >&2
      while ! test -e middle; do sleep 0.02; done
      for i in 1 2 3; do echo "middle $i"; printf 'half '; done
      while ! test -e end; do sleep 0.02; done
      printf '\\377\\000 unfinished'
  - {id: quick, run: echo quick}
  - {id: after, needs: [quick], run: "echo after; exit 3", retry: {max_attempts: 2}}
finally:
  - {id: tidy, run: echo tidied}
"""


class Viewer:
    """A command whose stdout and stderr are kept apart, in files."""

    def __init__(self, cwd: Path, name: str, *args: str) -> None:
        self.out, self.err = cwd / f"{name}.out", cwd / f"{name}.err"
        with self.out.open("wb") as out, self.err.open("wb") as err:
            self.process = subprocess.Popen(
                [DAGNATS, *args], cwd=cwd, env=environment(), stdin=subprocess.DEVNULL, stdout=out, stderr=err
            )

    def wait_for(self, text: bytes) -> None:
        until = time.monotonic() + BOUND_S
        while text not in self.out.read_bytes() + self.err.read_bytes():
            assert time.monotonic() < until, self.said
            time.sleep(0.02)

    def end(self) -> int:
        return self.process.wait(BOUND_S)

    @property
    def said(self) -> tuple[bytes, bytes]:
        return self.out.read_bytes(), self.err.read_bytes()


@pytest.fixture
def place(tmp_path):
    viewers = []

    def start(name: str, *args: str) -> Viewer:
        viewers.append(Viewer(tmp_path, name, *args))
        return viewers[-1]

    start.path = tmp_path
    yield start
    for viewer in viewers:
        if viewer.process.poll() is None:
            viewer.process.kill()
            viewer.process.wait()


def gated(place, *args: str) -> Viewer:
    write_pipeline(place.path, GATED)
    run = place("run", "run", "pipeline.yaml", *args)
    until = time.monotonic() + BOUND_S
    while not list(place.path.glob(".dagnats/runs/*/connection")):
        assert time.monotonic() < until, run.said
        time.sleep(0.01)
    return run


@pytest.mark.parametrize("mode", ["prefixed", "json"])
def test_viewers_show_what_the_run_shows_whenever_they_come(place, mode):
    run = gated(place, "--output", mode)
    early = [place(f"early{number}", "attach", "--output", mode) for number in range(3)]
    run.wait_for(b"begun")
    (place.path / "middle").touch()
    run.wait_for(b"middle 3")
    middle = place("middle", "attach", "--output", mode)
    middle.wait_for(b"middle 3")
    (place.path / "end").touch()
    last = place("last", "attach", "--output", mode)

    assert run.end() == 1
    after = place("after", "attach", "--output", mode)
    for viewer in (*early, middle, last, after):
        assert viewer.end() == 1, viewer.said
        assert viewer.said == run.said
    assert processes_of(place.path) == {}


def test_a_viewer_that_is_stopped_or_killed_or_unread_touches_nothing(place):
    run = gated(place, "--output", "prefixed")
    stopped = place("stopped", "attach", "--output", "prefixed")
    killed = place("killed", "attach", "--output", "prefixed")
    unread = subprocess.Popen(
        [DAGNATS, "logs", "-f"], cwd=place.path, env=environment(), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE
    )
    for viewer in (stopped, killed):
        viewer.wait_for(b"begun")
    stopped.process.send_signal(signal.SIGSTOP)
    killed.process.kill()
    (place.path / "middle").touch()
    (place.path / "end").touch()

    began_at = time.monotonic()
    assert run.end() == 1
    assert time.monotonic() - began_at < 10
    stopped.process.send_signal(signal.SIGCONT)
    assert stopped.end() == 1
    assert stopped.said == run.said
    out, _ = unread.communicate(timeout=BOUND_S)
    assert out == run.out.read_bytes()


def test_much_output_waits_for_a_viewer_that_does_not_read_and_not_for_the_run(place):
    write_pipeline(
        place.path, 'name: x\nsteps: [{id: much, run: "while ! test -e go; do sleep 0.02; done; seq 1000000"}]'
    )
    run = place("run", "run", "pipeline.yaml", "--output", "prefixed")
    until = time.monotonic() + BOUND_S
    while not list(place.path.glob(".dagnats/runs/*/connection")):
        assert time.monotonic() < until
        time.sleep(0.01)
    unread = subprocess.Popen(
        [DAGNATS, "logs", "-f"], cwd=place.path, env=environment(), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE
    )
    (place.path / "go").touch()
    assert run.end() == 0
    out, _ = unread.communicate(timeout=BOUND_S)
    assert out == run.out.read_bytes()


def test_an_interrupt_ends_the_view_and_not_the_run(place):
    run = gated(place, "--output", "none")
    viewer = place("viewer", "attach", "--output", "prefixed")
    viewer.wait_for(b"begun")
    viewer.process.send_signal(signal.SIGINT)
    assert viewer.end() == 130
    name = run_directory(place.path).name
    assert f"run {name} goes on; `dagnats attach {name}` shows it again" in viewer.err.read_text()
    (place.path / "middle").touch()
    (place.path / "end").touch()
    assert run.end() == 1


def test_a_run_whose_process_was_killed_says_so_to_those_who_follow(place):
    run = gated(place, "--output", "none")
    viewer = place("viewer", "attach", "--output", "prefixed")
    viewer.wait_for(b"begun")
    run.process.kill()
    name = run_directory(place.path).name
    gone = f"run {name} did not come to its end: the run's process is gone; `dagnats resume {name}` goes on with it\n"
    assert viewer.end() == 3
    assert viewer.err.read_text().endswith(gone)
    for command, code in (("replay", 3), ("cancel", 3), ("attach", 3), ("logs", 0), ("events", 0)):
        result = dagnats([command], place.path)
        assert (command, result.code) == (command, code)
        assert (gone in result.text) == (code == 3)


def test_a_run_that_is_parked_says_so(tmp_path):
    write_pipeline(tmp_path, "name: parked\nsteps: [{id: ask, type: approval, prompt: Ship it?}]")
    assert dagnats(["run", "pipeline.yaml", "--detach-on-wait"], tmp_path).code == 4
    name = run_directory(tmp_path).name
    result = dagnats(["attach"], tmp_path)
    assert result.code == 4
    assert f"run {name} is parked, as ask waits; `dagnats resume {name}` goes on with it" in result.text


PLAIN_OUTPUT = ("prefixed", "json", "grouped", "failures", "github", "none")
RUNS = sorted(file.parent.name for file in SCENARIOS.glob("*/expected.json") if '"outcome"' in file.read_text())


@pytest.mark.parametrize("name", RUNS)
def test_a_replay_has_the_bytes_of_the_run(name, tmp_path):
    """Every scenario, each in one of the modes: all modes come up again and again."""
    mode = PLAIN_OUTPUT[RUNS.index(name) % len(PLAIN_OUTPUT)]
    workspace = tmp_path / "project"
    shutil.copytree(SCENARIOS / name, workspace)
    if (workspace / "setup").exists():
        subprocess.run(["sh", "-eu", "setup"], cwd=workspace, check=True, timeout=60)
    env, args = _command(workspace)
    end = args.index("--files") if "--files" in args else len(args)
    first = _apart([*args[:end], "--output", mode, *args[end:]], workspace, env)
    flags = [flag for flag in args if flag in ("-q", "--quiet", "-v", "--verbose")]
    again = _apart(["replay", "--output", mode, *flags], workspace, env)
    assert again.returncode == 0, again.stderr
    assert ONCE.sub(b"", again.stdout) == ONCE.sub(b"", first.stdout)
    assert again.stderr == first.stderr


@pytest.mark.parametrize("mode", PLAIN_OUTPUT)
def test_a_replay_has_the_bytes_of_a_run_with_much_beside_each_other(mode, tmp_path):
    write_pipeline(
        tmp_path,
        """
name: many
max_parallel: 8
steps:
  - id: many
    matrix: {n: [1, 2, 3, 4, 5, 6, 7, 8]}
    run: "for i in $(seq 40); do echo {{ matrix.n }} $i; echo e$i >&2; printf x; sleep 0.00$(( i % 7 )); done"
  - {id: fails, needs: [many], retry: {max_attempts: 3}, run: "seq 5000; exit 1"}
""",
    )
    first = _apart(["run", "pipeline.yaml", "--output", mode], tmp_path, {})
    again = _apart(["replay", "--output", mode], tmp_path, {})
    assert ONCE.sub(b"", again.stdout) == ONCE.sub(b"", first.stdout)
    assert again.stderr == first.stderr


def test_a_replay_takes_its_time(tmp_path):
    write_pipeline(tmp_path, "name: x\nsteps: [{id: a, run: echo 1; sleep 1; echo 2}]")
    first = _apart(["run", "pipeline.yaml", "--output", "grouped"], tmp_path, {})
    began_at = time.monotonic()
    again = _apart(["replay", "--output", "grouped", "--speed", "2"], tmp_path, {})
    assert 0.5 < time.monotonic() - began_at < 5
    assert (again.stdout, again.stderr) == (first.stdout, first.stderr)


def test_a_replay_says_what_the_program_said(tmp_path):
    write_pipeline(tmp_path, 'name: x\nsecrets: {S: env://S}\nsteps: [{id: a, run: "true"}]')
    first = _apart(["run", "pipeline.yaml", "--output", "prefixed"], tmp_path, {"S": "abc"})
    assert b"secret `S` has fewer than 4 characters" in first.stderr
    assert _apart(["replay", "--output", "prefixed"], tmp_path, {}).stderr == first.stderr


def test_a_run_that_goes_on_is_not_replayed(place):
    gated(place, "--output", "none")
    result = dagnats(["replay"], place.path)
    assert result.code == 2
    assert "is still going on: `dagnats attach" in result.text


LOGS = """
name: logs
steps:
  - id: flaky
    retry: {max_attempts: 2}
    run: |
      echo "try $DAGNATS_ATTEMPT"; printf '\\377' >&2
      test "$DAGNATS_ATTEMPT" = 2
  - {id: test, matrix: {shard: [1, 2]}, run: "echo shard {{ matrix.shard }}"}
  - {id: deploy, pipeline: inner.yaml, needs: [flaky, test]}
"""


def test_logs(tmp_path):
    write_pipeline(tmp_path, LOGS)
    (tmp_path / "inner.yaml").write_text(
        "name: inner\nsteps: [{id: build, run: echo built}, {id: push, needs: [build], run: echo pushed}]"
    )
    assert dagnats(["run", "pipeline.yaml", "-j", "1"], tmp_path).code == 0
    name = run_directory(tmp_path).name

    def logs(*args: str) -> bytes:
        done = _apart(["logs", *args], tmp_path, {})
        assert (done.returncode, done.stderr) == (0, b"")
        return done.stdout

    assert logs("-", "flaky") == b"try 2\n\xff"
    assert logs("flaky") == logs("-", "flaky")
    assert logs(name, "flaky", "--attempt", "1") == b"try 1\n\xff"
    assert logs("-", "test") == b"test[shard=1] | shard 1\ntest[shard=2] | shard 2\n".replace(b"] |", b"] |")
    assert logs("-", "test[shard=2]") == b"shard 2\n"
    assert [line.split()[-1] for line in logs("-", "deploy").splitlines()] == [b"built", b"pushed"]
    assert logs("-", "deploy/push", "-f") == b"pushed\n"
    whole = logs()
    assert b"try 1" in whole
    assert whole.endswith(b"pushed\n")
    assert logs("--tail", "2") == b"".join(whole.splitlines(keepends=True)[-2:])
    assert logs("-", "flaky", "--tail", "0") == b""
    for args, why in (
        (["-", "flacky"], "has no step `flacky`; did you mean `flaky`?"),
        (["-", "test[shard=3]"], "has no step `test[shard=3]`"),
        (["-", "flaky", "--attempt", "3"], "has had 2 attempts"),
        (["nobody"], "there is no run `nobody`"),
        (["-", "--attempt", "1"], "name the step behind the run"),
    ):
        result = dagnats(["logs", *args], tmp_path)
        assert result.code == 2
        assert why in result.text


def test_logs_that_are_followed_begin_with_the_last_lines_of_what_was_there(place):
    gated(place, "--output", "none")
    whole = place("whole", "logs", "-f")
    whole.wait_for(b"begun")
    tail = place("tail", "logs", "-", "talk", "-f", "--tail", "1")
    tail.wait_for(b"warned")
    (place.path / "middle").touch()
    tail.wait_for(b"middle 3")
    (place.path / "end").touch()
    assert (whole.end(), tail.end()) == (0, 0)
    assert tail.said == (b"warned\n" + b"".join(b"middle %d\nhalf " % i for i in (1, 2, 3)) + b"\xff\0 unfinished", b"")


def test_a_reader_that_leaves_ends_the_command(place):
    gated(place, "--output", "none")
    done = subprocess.run(
        ["sh", "-c", f"'{DAGNATS}' logs -f | head -n 1"],
        cwd=place.path,
        env=environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        timeout=BOUND_S,
        check=True,
    )
    assert done.stdout.endswith(b"begun\n")


def test_events_are_those_that_the_run_wrote(place):
    run = gated(place, "--output", "none", "--events", "events.jsonl")
    followed = place("followed", "events", "-f")
    followed.wait_for(b"StepStarted")
    (place.path / "middle").touch()
    (place.path / "end").touch()
    run.end()
    assert followed.end() == 0
    written = (place.path / "events.jsonl").read_bytes()
    assert followed.said == (written, b"")
    assert _apart(["events"], place.path, {}).stdout == written


def test_a_run_is_cancelled_from_elsewhere(place):
    run = gated(place, "--output", "prefixed", "--events", "events.jsonl")
    run.wait_for(b"begun")
    result = dagnats(["cancel", "-m", "wrong\x1b branch"], place.path)
    assert (result.code, result.text) == (0, f"run {run_directory(place.path).name} is being cancelled\n")
    assert run.end() == 143
    assert b"tidy  | tidied" in run.out.read_bytes()
    assert b"asked for it: wrong  branch" in run.err.read_bytes()
    events = [json.loads(line) for line in (place.path / "events.jsonl").read_text().splitlines()]
    (asked,) = [event for event in events if event["type"] == "CancelRequested"]
    assert asked["by"] == "user"
    assert asked["who"] in asked["why"]
    late = dagnats(["cancel"], place.path)
    assert late.code == 2
    assert "has ended already" in late.text


SLOW_END = """
name: slow end
steps: [{id: a, run: echo begun; exec sleep 600}]
finally: [{id: tidy, run: "echo tidying; exec sleep 600"}]
"""


def test_a_second_cancel_is_accepted_and_one_with_force_ends_finally_too(place):
    write_pipeline(place.path, SLOW_END)
    with Running(place.path, "--output", "prefixed") as run:
        run.wait_for("begun")
        assert dagnats(["cancel"], place.path).code == 0
        run.wait_for("tidying")
        again = dagnats(["cancel"], place.path)
        assert again.code == 0
        assert "is being cancelled already; `--force` kills everything" in again.text
        assert dagnats(["cancel", "--force"], place.path).code == 0
        assert run.end().code == 143
    assert processes_of(place.path) == {}


def test_a_cancel_ends_a_run_that_waits_for_its_reader(place):
    write_pipeline(place.path, 'name: x\nsteps: [{id: a, run: "yes"}]')
    run = subprocess.Popen(
        [DAGNATS, "run", "pipeline.yaml", "--output", "prefixed"],
        cwd=place.path,
        env=environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    try:
        os.read(run.stdout.fileno(), 10)
        assert dagnats(["cancel"], place.path).code == 0
        assert run.wait(BOUND_S) == 143
    finally:
        run.kill()
        run.communicate()


def _command(workspace: Path) -> tuple[dict[str, str], list[str]]:
    import shlex

    file = workspace / "command"
    words = shlex.split(file.read_text() if file.exists() else "dagnats run pipeline.yaml")
    at = words.index("dagnats")
    args = words[at + 1 :]
    while "--output" in args:
        place = args.index("--output")
        del args[place : place + 2]
    return dict(word.split("=", 1) for word in words[:at]), [word for word in args if not word.startswith("--output=")]


def _apart(args: list[str], cwd: Path, env: dict[str, str]) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [DAGNATS, *args],
        cwd=cwd,
        env=environment(env),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=BOUND_S,
        check=False,
    )
