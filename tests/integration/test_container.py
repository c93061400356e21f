"""Steps in containers, on each runtime: how they end, what they print, and that nothing of them is left. The contract of all actions is in tests/contract."""

import asyncio
import hashlib
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from acting import Sink
from containing import Place, within
from running_containers import NAMES, Engine, engine, orphans_of_runc
from running_processes import guarded

from dagnats.core.events import Reason
from dagnats.workers.action import Ended, Failure, Stop
from dagnats.workers.kinds import actions

CANCELS = 20
ROOT = Path(__file__).parents[2]


@pytest.fixture(params=NAMES)
def used(request) -> Engine:
    return engine(request.param)


# Exit codes


@pytest.mark.parametrize("code", [7, 125, 126, 127, 255])
def test_the_exit_code_of_a_script_is_its_own(used, tmp_path, code):
    async def work(place):
        expected = Ended(Failure(Reason.EXIT, f"exit code {code}", code))
        assert await place.ended(f"exit {code}") == expected
        assert await place.ended(None, ["sh", "-c", f"exit {code}"]) == expected

    within(used, tmp_path, work)


def test_who_is_killed_has_an_exit_code_that_says_so(used, tmp_path):
    async def work(place):
        failure = (await place.ended("kill -KILL $$")).failure
        assert failure == Failure(Reason.EXIT, "exit code 137 (killed, perhaps out of memory)", 137)
        failure = (await place.ended("kill -TERM $$")).failure
        assert failure == Failure(Reason.EXIT, "exit code 143", 143)

    within(used, tmp_path, work)


def test_who_takes_too_much_memory_is_told_so(used, tmp_path):
    async def work(place):
        failure = (await place.ended("tail /dev/zero", container={"memory": "8m"})).failure
        assert (failure.reason, failure.exit_code) == (Reason.EXIT, 137)
        assert "out of memory" in failure.message

    within(used, tmp_path, work)


@pytest.mark.parametrize(
    ("words", "code", "fields"),
    [
        ("command not found in the image {image}: no-such-program", 127, {"argv": ["no-such-program"]}),
        ("command not found in the image {image}: no-such-program", 127, {"argv": ["no-such-program"], "env": {"PATH": "/bin"}}),
        ("command not found in the image {image}: /no/such", 127, {"argv": ["x"], "container": {"entrypoint": ["/no/such"]}}),
        ("the `entrypoint` /no/such did not start the script", 127, {"script": "true", "container": {"entrypoint": ["/no/such"]}}),
        ("the `entrypoint` true did not start the script", 127, {"script": "true", "container": {"entrypoint": ["true"]}}),
        ("there is no command to run", 126, {"argv": [""]}),
        ("working directory does not exist: /no/such", 127, {"script": "true", "cwd": "/no/such"}),
        ("working directory does not exist: /no/such", 127, {"argv": ["true"], "cwd": "/no/such"}),
        ("working directory does not exist: {workspace}/sub", 127, {"script": "true", "cwd": "{workspace}/sub"}),
        ("no-such-option", 125, {"argv": ["true"], "container": {"options": ["--no-such-option"]}}),
        ("no-such-network", 125, {"argv": ["true"], "container": {"network": "no-such-network"}}),
        ("volumes: ./gone does not exist", 125, {"argv": ["true"], "container": {"volumes": [{"source": "./gone", "target": "/x"}]}}),
        ("environment variable BIG", 126, {"script": "true", "env": {"BIG": "x" * (128 << 10)}}),
        ("argument 1 of echo", 126, {"argv": ["echo", "x" * (128 << 10)]}),
        ("the image nosuch.invalid/x:1 is not there, and `pull: never`", 125, {"argv": ["true"], "container": {"image": "nosuch.invalid/x:1"}}),
        ("the image 127.0.0.1:1/x:1 could not be fetched", 125, {"argv": ["true"], "container": {"image": "127.0.0.1:1/x:1", "pull": "missing"}}),
        ("the image 127.0.0.1:1/x:1 could not be fetched", 125, {"argv": ["true"], "container": {"image": "127.0.0.1:1/x:1", "pull": "always"}}),
    ],
)  # fmt: skip
def test_what_can_not_be_started_is_said_in_one_line(used, tmp_path, words, code, fields):
    async def work(place):
        known = dict(fields)
        if "cwd" in known:
            known["cwd"] = known["cwd"].format(workspace=place.workspace)
        failure = (await place.ended(known.pop("script", None), known.pop("argv", None), **known)).failure
        assert (failure.reason, failure.exit_code) == (Reason.SPAWN, code)
        assert words.format(image=used.image, workspace=place.workspace) in failure.message
        assert "\n" not in failure.message
        assert not (place.workspace / "gone").exists()

    within(used, tmp_path, work)


# Output


def test_output_is_byte_exact_and_its_streams_are_apart(used, tmp_path):
    async def work(place):
        out, err = random.randbytes(8_000_000), random.randbytes(2_000_000)
        (place.workspace / "out").write_bytes(out)
        (place.workspace / "err").write_bytes(err)
        assert await place.ended("cat out & cat err >&2; wait") == Ended()
        assert hashlib.sha256(place.last.out).digest() == hashlib.sha256(out).digest()
        assert hashlib.sha256(place.last.err).digest() == hashlib.sha256(err).digest()

    within(used, tmp_path, work)


def test_nothing_that_is_printed_is_kept_by_the_runtime(used, tmp_path):
    async def work(place):
        running = asyncio.ensure_future(place.ended("echo said; until test -e go; do sleep 0.05; done"))
        await asyncio.sleep(0)
        await place.last.said(b"said\n")
        (id_,) = used.ask("ps", "-aq", "--filter", f"label=dagnats.run={place.run}").split()
        assert used.ask("inspect", "--format", "{{.HostConfig.LogConfig.Type}}", id_) == "none"
        (place.workspace / "go").touch()
        assert await running == Ended()

    within(used, tmp_path, work)


# Nothing is left


def test_cancels_at_any_moment_leave_nothing(used, tmp_path):
    async def work(place):
        for number in range(CANCELS):
            sink, stop = Sink(), Stop()
            task = place.task("echo begins; sleep 600", attempt=number)
            ending = asyncio.ensure_future(place.action.run(task, sink, stop))
            await asyncio.sleep(random.random() * 0.5)
            stop.order(kill=number % 2 == 0)
            assert await ending == Ended(stopped=True)

    within(used, tmp_path, work)
    if used.name == "podman" and os.geteuid() == 0:
        assert orphans_of_runc(used) == set()


RUNNER = """
import asyncio, os, sys
sys.path[:0] = [{tests!r}]
from pathlib import Path
from acting import Sink
from dagnats.bus.tasks import Task
from dagnats.process import Guardian
from dagnats.workers.action import Stop
from dagnats.workers.kinds import actions
from running_containers import engine

class Told(Sink):
    def put(self, stream, chunk):
        os.write(1, chunk)

async def main():
    used = engine({name!r})
    guardian = Guardian.start(dict(used.env))
    guardian.attach(asyncio.get_running_loop())
    guardian.remove_at_end({scratch!r})
    found = actions(guardian, Path({scratch!r}), None, await used.runtime(guardian))
    fields = dict(run={run!r}, attempt=1, cwd={workspace!r}, shell="sh", script="echo ready; sleep 600")
    container = dict(image=used.image, network="none", pull="never")
    tasks = [Task(kind="container", step=f"s{{n}}", container=container, **fields) for n in range(2)]
    print("starts", flush=True)
    await asyncio.gather(*(found["container"].run(task, Told(), Stop()) for task in tasks))

asyncio.run(main())
"""


@pytest.mark.parametrize("delay_s", [None, 0.0, 0.1, 0.2, 0.3])
def test_a_runner_that_is_killed_leaves_nothing(used, tmp_path, delay_s):
    scratch = tmp_path / "scratch"
    scratch.mkdir(mode=0o700)
    run = f"calm-otter-{os.urandom(4).hex()}"
    text = RUNNER.format(
        tests=str(ROOT / "tests"), name=used.name, scratch=str(scratch), run=run, workspace=str(tmp_path)
    )
    with subprocess.Popen([sys.executable, "-c", text], stdout=subprocess.PIPE, cwd=ROOT) as runner:
        assert runner.stdout.readline() == b"starts\n"
        if delay_s is None:
            assert [runner.stdout.readline() for _ in range(2)] == [b"ready\n", b"ready\n"]
        else:
            time.sleep(delay_s)
        runner.send_signal(signal.SIGKILL)
    until = time.monotonic() + 20
    while (left := used.left(run)) != {"containers": [], "processes": []} or scratch.exists():
        assert time.monotonic() < until, left
    if used.name == "podman" and os.geteuid() == 0:
        assert orphans_of_runc(used) == set()


def test_a_guardian_that_is_killed_leaves_nothing(used, tmp_path):
    async def act(guardian):
        action = actions(guardian, tmp_path, None, await used.runtime(guardian))["container"]
        place = Place(action, used, tmp_path, run)
        running = asyncio.ensure_future(place.ended("echo ready; sleep 600"))
        await asyncio.sleep(0)
        await place.last.said(b"ready\n")
        os.kill(guardian.pid, signal.SIGKILL)
        assert (await running).failure.reason is Reason.ENGINE

    run = f"calm-otter-{os.urandom(4).hex()}"
    guarded(act, base_env=dict(used.env))
    until = time.monotonic() + 20
    while (left := used.left(run)) != {"containers": [], "processes": []}:
        assert time.monotonic() < until, left


def test_all_that_a_script_runs_hears_of_an_end(used, tmp_path):
    inner = 'trap "echo inner; exit 0" INT; echo ready; while :; do sleep 0.02; done'

    async def work(place):
        task = place.task('sh -c "$INNER"; echo not reached', env={"INNER": inner})
        sink, stop = Sink(), Stop()
        running = asyncio.ensure_future(place.action.run(task, sink, stop))
        await sink.said(b"ready\n")
        began_at = time.monotonic()
        stop.order()
        assert await running == Ended(stopped=True)
        assert time.monotonic() - began_at < 2
        assert sink.out == b"ready\ninner\n"

    within(used, tmp_path, work)


def test_whoever_awaits_a_step_can_give_it_up(used, tmp_path):
    async def work(place):
        for delay_s in (0.0, 0.05, 0.15, 0.4):
            running = asyncio.ensure_future(place.ended("sleep 600"))
            await asyncio.sleep(delay_s)
            running.cancel()
            with pytest.raises(asyncio.CancelledError):
                await running

    within(used, tmp_path, work)
