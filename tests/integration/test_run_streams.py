"""What becomes of a run whose output is closed, full, or read by nobody, and of a signal that comes before its first event."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from running_dagnats import BOUND_S, DAGNATS, EVENTS, environment, write_pipeline

FAILS = "name: fails\nsteps:\n  - id: good\n    run: echo fine\n  - id: bad\n    run: echo broken; exit 3\n"
GOOD = "name: good\nsteps:\n  - run: echo fine\n"
FLOODS = "name: floods\nsteps:\n  - run: yes\nfinally:\n  - run: touch cleaned\n"


def shell(command: str, cwd: Path, **env: str) -> subprocess.CompletedProcess[str]:
    """Run a line in which `dagnats` is the installed command."""
    script = f'dagnats() {{ "{DAGNATS}" "$@"; }}; {command}'
    return subprocess.run(
        ["bash", "-c", script],
        cwd=cwd,
        env=environment(env),
        capture_output=True,
        text=True,
        timeout=BOUND_S,
        check=False,
    )


@pytest.mark.parametrize(
    ("command", "code", "said"),
    [
        ("dagnats run pipeline.yaml >&-", 0, "succeeded"),
        ("dagnats run pipeline.yaml --output none >&-", 0, ""),
        ("dagnats validate pipeline.yaml >&-", 0, "no problems"),
        ("dagnats run pipeline.yaml 2>&-", 0, "step-1 | fine"),
        ("dagnats run pipeline.yaml 2>/dev/full", 0, "step-1 | fine"),
        ("dagnats run - <&-", 2, "stdin, which is closed"),
        ("dagnats run pipeline.yaml >/dev/full", 3, "No space left"),
        ("dagnats --version >/dev/full", 3, "No space left"),
    ],
)
def test_a_stream_that_is_closed_or_full(command: str, code: int, said: str, tmp_path: Path):
    write_pipeline(tmp_path, GOOD)
    done = shell(command, tmp_path)
    assert done.returncode == code, done.stderr
    assert said in done.stdout + done.stderr
    assert "Traceback" not in done.stderr


def test_a_failure_is_told_on_stderr_when_the_reader_of_stdout_has_left(tmp_path: Path):
    write_pipeline(tmp_path, FAILS)
    done = shell("(dagnats run pipeline.yaml; echo code $? >&2) | head -1", tmp_path)
    assert done.stdout == "good | fine\n"
    assert "✗ bad  exit code 3" in done.stderr
    assert "code 1" in done.stderr


def test_a_pipe_for_events_that_nobody_reads_is_refused(tmp_path: Path):
    write_pipeline(tmp_path, GOOD)
    os.mkfifo(tmp_path / "pipe")
    done = shell("dagnats run pipeline.yaml --events pipe", tmp_path)
    assert (done.returncode, done.stderr) == (2, "--events pipe: it is a pipe that nobody reads; nothing was started\n")


def test_the_flags_of_a_run_are_not_those_of_a_run_in_a_step(tmp_path: Path):
    (tmp_path / "inner.yaml").write_text(GOOD)
    write_pipeline(tmp_path, f'name: outer\nsteps:\n  - command: ["{DAGNATS}", run, inner.yaml]\n')
    done = shell("dagnats run pipeline.yaml", tmp_path, DAGNATS_EVENTS=EVENTS, DAGNATS_OUTPUT_MODE="none")
    assert done.returncode == 0, done.stderr
    assert "outer" in (tmp_path / EVENTS).read_text()
    assert '"name":"good"' not in (tmp_path / EVENTS).read_text()


class Interrupted:
    """A run whose stdout is a pipe that nobody reads, and which is interrupted."""

    def __init__(self, cwd: Path) -> None:
        self._reader, writer = os.pipe()
        self._said = (cwd / "stderr").open("wb")
        argv = [DAGNATS, "run", "pipeline.yaml", "--events", EVENTS]
        self.process = subprocess.Popen(argv, cwd=cwd, env=environment(), stdout=writer, stderr=self._said)
        os.close(writer)

    def end(self) -> int:
        self.process.send_signal(signal.SIGINT)
        code = self.process.wait(BOUND_S)
        os.close(self._reader)
        self._said.close()
        return code


def wait_for(file: Path, text: str) -> None:
    """Wait until a file has a text; inotify would tell, `tail` does too."""
    follow = ["bash", "-c", 'tail -F -c +1 "$0" 2>/dev/null | grep -m 1 -e "$1" >/dev/null', str(file), text]
    subprocess.run(follow, timeout=BOUND_S, check=True)


def test_a_reader_that_does_not_read_holds_up_neither_finally_nor_the_end(tmp_path: Path):
    write_pipeline(tmp_path, FLOODS)
    run = Interrupted(tmp_path)
    wait_for(tmp_path / EVENTS, "StepStarted")
    assert run.end() == 130
    assert (tmp_path / "cleaned").exists()
    said = (tmp_path / "stderr").read_text()
    assert "cancelling: received SIGINT" in said
    assert "nobody reads the output; the rest of it was not shown" in said


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_while_vars_are_resolved_ends_the_run_before_it_began(number: int, code: int, tmp_path: Path):
    write_pipeline(
        tmp_path, 'name: v\nvars: {w: {sh: "touch began; exec sleep 600"}}\nsteps:\n  - run: echo "{{ vars.w }}"\n'
    )
    process = subprocess.Popen(
        [DAGNATS, "run", "pipeline.yaml"], cwd=tmp_path, env=environment(), stderr=subprocess.PIPE, text=True
    )
    subprocess.run(
        ["bash", "-c", "until test -e began; do read -t 0.02 <> <(:) || :; done"],
        cwd=tmp_path,
        timeout=BOUND_S,
        check=True,
    )
    process.send_signal(number)
    _, said = process.communicate(timeout=BOUND_S)
    assert process.returncode == code
    assert "before the first step; nothing was started" in said
    assert "Traceback" not in said
    assert not (tmp_path / ".dagnats").exists()


@pytest.mark.skipif(sys.platform != "linux", reason="sends a signal at a system call")
def test_a_signal_at_any_moment_of_the_beginning_gives_no_traceback(tmp_path: Path):
    write_pipeline(tmp_path, GOOD)
    for count in range(1, 30, 4):
        inject = f"--inject=connect,epoll_wait,sendmsg:signal=SIGINT:when={count}"
        argv = ["strace", "-qq", "-o", "/dev/null", inject, DAGNATS, "run", "pipeline.yaml"]
        done = subprocess.run(
            argv, cwd=tmp_path, env=environment(), capture_output=True, text=True, timeout=BOUND_S, check=False
        )
        assert "Traceback" not in done.stderr, (count, done.stderr)
        assert done.returncode in (0, 130, -signal.SIGINT), (count, done.returncode, done.stderr)
