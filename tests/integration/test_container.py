"""Steps in containers, on each runtime: what its parts promise beyond the contract of all actions (tests/contract)."""

import asyncio
import contextlib
import hashlib
import io
import os
import random
import signal
import socket
import subprocess
import sys
import tarfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from acting import Sink
from running_containers import NAMES, Engine, engine
from running_processes import guarded

from dagnats import proctree
from dagnats.bus.tasks import Task
from dagnats.core.events import Reason
from dagnats.workers.action import Action, Ended, Failure, Stop
from dagnats.workers.kinds import actions

BOUND_S = 120.0
CANCELS = 20
ROOT = Path(__file__).parents[2]


@pytest.fixture(params=NAMES)
def used(request) -> Engine:
    return engine(request.param)


@dataclass
class Place:
    """An action, and a workspace for its tasks."""

    action: Action
    used: Engine
    workspace: Path
    run: str
    last: Sink | None = None

    def task(self, script: str | None = None, argv: list[str] | None = None, /, **fields: Any) -> Task:
        container = {"image": self.used.image, "network": "none", "pull": "never", **fields.pop("container", {})}
        env = {"DAGNATS_WORKSPACE": str(self.workspace), **fields.pop("env", {})}
        known = {"run": self.run, "step": "a", "attempt": 1, "cwd": str(self.workspace), "shell": "sh", **fields}
        return Task(kind="container", script=script, argv=argv, env=env, container=container, **known)

    async def ended(self, script: str | None = None, argv: list[str] | None = None, /, **fields: Any) -> Ended:
        self.last = Sink()
        return await self.action.run(self.task(script, argv, **fields), self.last, Stop())

    @property
    def out(self) -> str:
        return self.last.out.decode()


def within(used: Engine, directory: Path, work, *, name: str = "work", dotenv=None) -> None:
    """Run a test's coroutine; afterwards nothing is left, neither of containers nor of files."""
    workspace, scratch = directory / name, directory / "scratch"
    workspace.mkdir(parents=True)
    scratch.mkdir(mode=0o700)
    run = f"calm-otter-{os.urandom(4).hex()}"

    async def act(guardian):
        action = actions(guardian, scratch, dotenv, await used.runtime(guardian))["container"]
        await work(Place(action, used, workspace, run))

    guarded(act, base_env=dict(used.env), within_s=BOUND_S)
    assert used.left(run) == {"containers": [], "processes": []}
    assert list(scratch.iterdir()) == []


def archive(used: Engine, files: dict[str, bytes]) -> bytes:
    """Give a root directory with the busybox of the test image, and some files."""
    id_ = used.ask("create", used.image, "true")
    exported = subprocess.run(
        [used.name, "export", id_], env=used.env, capture_output=True, timeout=BOUND_S, check=True
    )
    used.ask("rm", "-f", id_)
    given = io.BytesIO()
    with tarfile.open(fileobj=io.BytesIO(exported.stdout)) as whole, tarfile.open(fileobj=given, mode="w") as made:
        member = next(member for member in whole if member.name.endswith("bin/busybox") and member.isfile())
        made.addfile(member, whole.extractfile(member))
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.mode, info.size = 0o755, len(data)
            if data.startswith(b"->"):
                info.type, info.linkname, info.size = tarfile.SYMTYPE, data[2:].decode(), 0
            made.addfile(info, io.BytesIO(data) if info.size else None)
    return given.getvalue()


@contextlib.contextmanager
def image(used: Engine, *changes: str, **files: bytes) -> Iterator[str]:
    """Have an image of busybox and some programs of `bin`."""
    name = f"localhost/dagnats-test-{os.urandom(4).hex()}:1"
    data = archive(used, {f"bin/{file}": data for file, data in files.items()})
    flags = [word for change in changes for word in ("-c", change)]
    subprocess.run(
        [used.name, "import", *flags, "-", name], env=used.env, input=data, capture_output=True, timeout=BOUND_S, check=True
    )  # fmt: skip
    try:
        yield name
    finally:
        used.ask("rmi", "-f", name)


def command_lines() -> bytes:
    found = []
    for pid in proctree.processes():
        with contextlib.suppress(OSError):
            found.append(Path(f"/proc/{pid}/cmdline").read_bytes())
    return b"\n".join(found)


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


def orphans_of_runc(used: Engine) -> set[str]:
    """Give what runc has and podman does not know. Another test may be making one, so that it is asked again for a while."""
    until = time.monotonic() + 10
    while True:
        listed = set(subprocess.run(["runc", "list", "-q"], capture_output=True, text=True, check=True).stdout.split())
        orphans = listed - set(used.ask("ps", "-aq", "--no-trunc", "--external").split())
        if not orphans or time.monotonic() > until:
            return orphans


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
    if used.name == "podman":
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
    if used.name == "podman":
        assert orphans_of_runc(used) == set()


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


# Variables and secrets

VALUES = {
    "PLAIN": "a value",
    "LINES": "one\ntwo 'quoted' \"twice\" $HOME `id` \\ \n\n",
    "EMPTY": "",
    "UMLAUT": "grüße",
    "EQUALS": "a=b=c",
    "LONG": "x" * 100_000,
}


def test_variables_are_what_they_are_and_the_runners_own_stay_outside(used, tmp_path):
    show = "".join(f'printf "%s\\0" "${name}" >> values;' for name in VALUES) + 'echo "${CI_IMAGE-none}"'

    async def work(place):
        expected = "".join(f"{value}\0" for value in VALUES.values())
        for arguments in ((show,), (None, ["sh", "-c", show])):
            assert await place.ended(*arguments, env=VALUES) == Ended()
            assert place.out == "none\n"
            assert (place.workspace / "values").read_text() == expected
            (place.workspace / "values").unlink()

    within(used, tmp_path, work)


def test_variables_that_would_act_on_the_runtime_reach_the_step_alone(used, tmp_path):
    env = {"PATH": "/bin:/of/the/step", "DOCKER_HOST": "tcp://192.0.2.1:1", "CONTAINERS_CONF": "/no/such", "LD_PRELOAD": "",
           "http_proxy": "http://user:word@192.0.2.1:1", "HOME": "/of/the/step"}  # fmt: skip

    async def work(place):
        for arguments in (("env",), (None, ["env"])):
            assert await place.ended(*arguments, env=env) == Ended()
            assert {f"{name}={value}" for name, value in env.items()} <= set(place.out.splitlines())

    within(used, tmp_path, work)


def test_a_proxy_of_the_runner_does_not_get_in(used, tmp_path):
    proxied = Engine(used.name, {**used.env, "http_proxy": "http://user:word@192.0.2.1:1"})

    async def work(place):
        assert await place.ended(None, ["env"]) == Ended()
        assert "http_proxy" not in place.out

    within(proxied, tmp_path, work)


@pytest.mark.parametrize("form", ["script", "command"])
def test_a_secret_is_in_no_command_line_and_the_runtime_does_not_know_it(used, tmp_path, form):
    secret = f"hunter-{os.urandom(12).hex()}"
    of_file = f"of-file-{os.urandom(12).hex()}"
    lines = 'printf "%s %s" "$TOKEN" "$OF_FILE" > got; echo ready; until test -e go; do sleep 0.05; done'

    async def work(place):
        arguments = (lines,) if form == "script" else (None, ["sh", "-c", lines])
        fields = {"env": {"TOKEN": secret}, "secret_env": {"TOKEN": "{{ secrets.TOKEN }}"}}
        running = asyncio.ensure_future(place.ended(*arguments, **fields))
        await asyncio.sleep(0)
        await place.last.said(b"ready\n")
        (id_,) = used.ask("ps", "-aq", "--filter", f"label=dagnats.run={place.run}").split()
        known = used.ask("inspect", id_).encode() + command_lines()
        assert secret.encode() not in known
        assert of_file.encode() not in known
        (place.workspace / "go").touch()
        assert await running == Ended()
        assert (place.workspace / "got").read_text() == f"{secret} {of_file}"

    within(used, tmp_path, work, dotenv={"": {"OF_FILE": of_file}})
    if used.name == "podman":
        kept = Path(used.ask("info", "--format", "{{.Store.GraphRoot}}")) / "libpod" / "bolt_state.db"
        assert secret.encode() not in kept.read_bytes()


def test_a_secret_needs_a_shell_in_the_image(used, tmp_path):
    async def work(place):
        with image(used, 'ENV PATH="/bin"', echo=b"->busybox") as bare:
            fields = {"container": {"image": bare}, "env": {"TOKEN": "hunter2-hunter2"}}
            assert await place.ended(None, ["echo", "said"], **fields) == Ended()
            assert place.out == "said\n"
            failure = (await place.ended(None, ["echo"], secret_env={"TOKEN": ""}, **fields)).failure
            assert (failure.reason, failure.exit_code) == (Reason.SPAWN, 127)
            assert f"the image {bare} has no `sh`" in failure.message
            assert "the variables TOKEN" in failure.message
            failure = (await place.ended("true", container={"image": bare})).failure
            assert "has no `sh`" in failure.message

    within(used, tmp_path, work)


# What an image has of its own


def test_bash_is_used_where_there_is_one_and_else_it_is_said(used, tmp_path):
    async def work(place):
        ended = await place.ended("false | true; echo reached", shell="bash")
        assert ended == Ended(note=f"the image {used.image} has no bash: the script was run by its sh")
        assert place.out == "reached\n"
        with image(
            used, 'ENV PATH="/bin"', sh=b"->busybox", bash=b'#!/bin/sh\necho "bash $1 $2 $3"; exec sh "$@"\n'
        ) as made:
            failure = (await place.ended("false | true; echo reached", shell="bash", container={"image": made})).failure
            assert failure == Failure(Reason.EXIT, "exit code 1", 1)
            assert place.out == "bash -eu -o pipefail\n"

    within(used, tmp_path, work)


def test_the_entrypoint_and_the_command_of_an_image(used, tmp_path):
    async def work(place):
        changes = ('ENV PATH="/bin"', 'ENTRYPOINT ["echo", "entry"]', 'CMD ["own", "words"]')
        with image(used, *changes, sh=b"->busybox", echo=b"->busybox") as made:
            container = {"image": made}
            said = []
            for arguments, fields in (
                ((None, ["given"]), {}),
                ((None, None), {}),
                ((None, []), {}),
                ((None, ["given"]), {"env": {"PATH": "/bin"}}),
                ((None, None), {"env": {"PATH": "/bin"}}),
                ((None, ["echo", "given"]), {"container": {**container, "entrypoint": []}}),
                ((None, ["given"]), {"container": {**container, "entrypoint": ["echo", "-n"]}}),
                (("echo script",), {}),
                (
                    ("echo script",),
                    {"container": {**container, "entrypoint": ["sh", "-c", 'echo mine; exec "$@"', "-"]}},
                ),
            ):
                assert await place.ended(*arguments, **{"container": container, **fields}) == Ended()
                said.append(place.out)
            assert said == [
                "entry given\n", "entry own words\n", "entry own words\n", "entry given\n", "entry own words\n", "given\n", "given",
                "script\n", "mine\nscript\n",
            ]  # fmt: skip

    within(used, tmp_path, work)


def test_a_script_of_another_language(used, tmp_path):
    async def work(place):
        shell = ["awk", "-f", "{0}"]
        assert await place.ended('BEGIN { print "by awk " ENVIRON["N"] }', shell=shell, env={"N": "3"}) == Ended()
        assert place.out == "by awk 3\n"

    within(used, tmp_path, work)


# Files


@pytest.mark.parametrize("name", ["a b", "a,b:c", '"a" b', "a'b\\c", "grüße", "x=y,src=z"])
def test_a_workspace_may_have_any_name(used, tmp_path, name):
    async def work(place):
        (place.workspace / "sub").mkdir()
        script = 'pwd; echo made > file; echo n=1 >> "$DAGNATS_OUTPUT"; echo "# Sum" > "$DAGNATS_SUMMARY"'
        ended = await place.ended(script, cwd=str(place.workspace / "sub"))
        assert ended == Ended(outputs={"n": "1"}, summary="# Sum\n")
        assert place.out == f"{place.workspace}/sub\n"
        assert (place.workspace / "sub" / "file").read_text() == "made\n"

    within(used, tmp_path, work, name=name)


@pytest.mark.parametrize("form", ["script", "command"])
def test_another_user_has_a_home_and_can_say_what_it_made(used, tmp_path, form):
    tmp_path.chmod(0o755)
    lines = 'id -u; id -g; touch file "$HOME/file"; echo n=1 > "$DAGNATS_OUTPUT"; echo "# Sum" > "$DAGNATS_SUMMARY"'

    async def work(place):
        place.workspace.chmod(0o777)
        arguments = (lines,) if form == "script" else (None, ["sh", "-euc", lines])
        ended = await place.ended(*arguments, container={"user": "12345:12346"})
        assert ended == Ended(outputs={"n": "1"}, summary="# Sum\n")
        assert place.out == "12345\n12346\n"
        facts = (place.workspace / "file").stat()
        assert (facts.st_uid, facts.st_gid) == (12345, 12346)

    within(used, tmp_path, work)


def test_volumes(used, tmp_path):
    async def work(place):
        (place.workspace / "data, more").mkdir()
        (place.workspace / "data, more" / "file").write_text("found\n")
        volumes = [
            {"source": "./data, more", "target": "/data set", "read_only": True},
            {"source": str(place.workspace), "target": "/again"},
        ]
        script = "cat '/data set/file'; touch /again/made; ! touch '/data set/x' 2> /dev/null"
        assert await place.ended(script, container={"volumes": volumes}) == Ended()
        assert place.out == "found\n"
        assert (place.workspace / "made").exists()

    within(used, tmp_path, work)


def test_a_link_in_place_of_the_files_for_the_engine_is_not_followed(used, tmp_path):
    async def work(place):
        (place.workspace / "outputs").write_text("n=1\n")
        ended = await place.ended('ln -sf "$PWD/outputs" "$DAGNATS_OUTPUT"; ln -s "$PWD/outputs" "$DAGNATS_SUMMARY"')
        assert ended == Ended(Failure(Reason.OUTPUT, "$DAGNATS_OUTPUT is no regular file any more", 0))

    within(used, tmp_path, work)


def test_a_script_of_a_megabyte(used, tmp_path):
    async def work(place):
        script = "".join(f": {number:>90}\n" for number in range(11_000)) + "echo the end\n"
        assert len(script) > 1_000_000
        assert await place.ended(script) == Ended()
        assert place.out == "the end\n"

    within(used, tmp_path, work)


# Registries


@pytest.mark.parametrize("pull", ["missing", "always"])
def test_a_registry_that_does_not_answer_ends_with_the_timeout_and_no_login_is_seen(used, tmp_path, pull):
    async def work(place):
        with socket.create_server(("127.0.0.1", 0)) as silent:
            name = f"127.0.0.1:{silent.getsockname()[1]}/x:1"
            login = {"username": "somebody", "password": f"word-{os.urandom(8).hex()}"}
            began_at = time.monotonic()
            container = {"image": name, "pull": pull, "credentials": login}
            running = asyncio.ensure_future(place.ended("true", timeout_s=3.0, container=container))
            connection, _ = await asyncio.get_running_loop().run_in_executor(None, silent.accept)
            told = command_lines()
            assert name.encode() in told
            assert login["password"].encode() not in told
            failure = (await running).failure
            connection.close()
        assert failure == Failure(Reason.TIMEOUT, "ran longer than its timeout of 3s")
        assert time.monotonic() - began_at < 8
        assert place.last.err == f"dagnats: fetching the image {name}\n".encode()

    within(used, tmp_path, work)
