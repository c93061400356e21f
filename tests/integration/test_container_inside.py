"""Steps in containers, on each runtime: what is within them, their variables and files, and what must not be seen of these from outside."""

import asyncio
import base64
import os
import socket
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar

import pytest
from containing import Place, command_lines, image, within
from running_containers import NAMES, Engine, engine
from running_processes import guarded

from dagnats.core.events import Reason
from dagnats.workers.action import Ended, Failure
from dagnats.workers.kinds import actions


@pytest.fixture(params=NAMES)
def used(request) -> Engine:
    return engine(request.param)


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
        root = Path(used.ask("info", "--format", "{{.Store.GraphRoot}}"))
        (kept,) = [file for file in (root / "db.sql", root / "libpod" / "bolt_state.db") if file.exists()]
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
        programs = {"sh": b"->busybox", "echo": b"->busybox"}
        with (
            image(used, *changes, **programs) as made,
            image(used, 'ENV PATH="/bin"', 'ENTRYPOINT ["no"]', 'CMD ["echo", "of words"]', **programs) as of_words,
        ):
            container = {"image": made}
            said = []
            for arguments, fields in (
                ((None, ["given"]), {}),
                ((None, None), {}),
                ((None, []), {}),
                ((None, ["given"]), {"env": {"PATH": "/bin"}}),
                ((None, None), {"env": {"PATH": "/bin"}}),
                ((None, ["echo", "given"]), {"container": {**container, "entrypoint": []}}),
                ((None, None), {"container": {"image": of_words, "entrypoint": []}}),
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
                "entry given\n", "entry own words\n", "entry own words\n", "entry given\n", "entry own words\n", "given\n", "of words\n", "given",
                "script\n", "mine\nscript\n",
            ]  # fmt: skip

    within(used, tmp_path, work)


@pytest.mark.parametrize("env", [{}, {"PATH": "/bin"}])
def test_an_image_whose_entrypoint_does_not_exist(used, tmp_path, env):
    async def work(place):
        with image(used, 'ENV PATH="/bin"', 'ENTRYPOINT ["/no/such", "x"]', sh=b"->busybox") as made:
            for argv in (["given"], []):
                failure = (await place.ended(None, argv, env=env, container={"image": made})).failure
                assert failure == Failure(Reason.SPAWN, f"command not found in the image {made}: /no/such", 127)

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
        if os.geteuid() == 0:  # without root the runtime may give it one of the caller's numbers for that
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


def test_a_step_does_not_see_the_directory_of_runs(used, tmp_path):
    """There are the scripts and secrets of other steps."""

    async def act(guardian):
        action = actions(guardian, scratch, None, await used.runtime(guardian))["container"]
        place = Place(action, used, tmp_path, "calm-otter-1")
        assert await place.ended("ls -A; ls -A .dagnats; echo n=1 >> $DAGNATS_OUTPUT") == Ended(outputs={"n": "1"})
        assert place.out == ".dagnats\n"

    scratch = tmp_path / ".dagnats" / "runs" / "calm-otter-1" / "tmp"
    scratch.mkdir(parents=True)
    guarded(act, base_env=dict(used.env))


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


class Registry(BaseHTTPRequestHandler):
    """Asks everybody who they are, keeps what they say, and has nothing."""

    said: ClassVar[list[str]] = []

    def do_GET(self):
        login = self.headers.get("Authorization")
        if login is not None:
            self.said.append(login)
        self.send_response(401 if login is None else 404)
        if login is None:
            self.send_header("WWW-Authenticate", 'Basic realm="test"')
        self.send_header("Docker-Distribution-Api-Version", "registry/2.0")
        self.send_header("Content-Length", "0")
        self.end_headers()

    do_HEAD = do_GET  # noqa: N815 - the server calls it so

    def log_message(self, *_):
        pass


def test_a_registry_is_told_the_login_of_the_step(used, tmp_path):
    word = f"word-{os.urandom(8).hex()}"
    expected = "Basic " + base64.b64encode(f"somebody:{word}".encode()).decode()
    with ThreadingHTTPServer(("127.0.0.1", 0), Registry) as server:
        place = f"127.0.0.1:{server.server_port}"
        threading.Thread(target=server.serve_forever, daemon=True).start()
        (tmp_path / "registries.conf").write_text(f'[[registry]]\nlocation = "{place}"\ninsecure = true\n')
        plain = Engine(used.name, {**used.env, "CONTAINERS_REGISTRIES_CONF": str(tmp_path / "registries.conf")})

        async def work(at):
            login = {"username": "somebody", "password": word}
            container = {"image": f"{place}/team/x:1", "pull": "missing", "credentials": login}
            failure = (await at.ended("true", container=container)).failure
            assert (failure.reason, failure.exit_code) == (Reason.SPAWN, 125)
            assert f"the image {place}/team/x:1 could not be fetched: " in failure.message
            assert expected in Registry.said

        within(plain, tmp_path, work)
        server.shutdown()
