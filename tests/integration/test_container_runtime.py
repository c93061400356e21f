"""Which container runtime is used, and what is said where none can be."""

import os
import socket
from pathlib import Path

import pytest
from running_containers import NAMES, engine
from running_processes import guarded

from dagnats import sweep
from dagnats.errors import UsageError
from dagnats.workers import finding
from dagnats.workers.finding import VARIABLE, find

DOCKER = (
    'case "$1" in --version) echo "Docker version 1";; *) echo "$SAID" >&2; echo "$ANSWER"; exit "${CODE:-0}";; esac'
)
PODMAN = 'case "$1" in --version) echo "podman version 1";; *) echo "${ANSWER:-false}";; esac'


def program(folder: Path, name: str, text: str) -> Path:
    folder.mkdir(exist_ok=True)
    path = folder / name
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


def found(environ, *, base=None):
    """Look for one; gives it, or what is said."""
    result = []

    async def work(guardian):
        try:
            result.append(await find(guardian, environ))
        except UsageError as error:
            result.append(str(error))

    guarded(work, base_env={"PATH": os.environ["PATH"], **environ, **(base or {})})
    return result[0]


@pytest.mark.parametrize("name", NAMES)
def test_the_variable_decides(name):
    used = engine(name)
    runtime = found({**used.env, VARIABLE: name})
    assert (runtime.kind, Path(runtime.program).name) == (name, name)
    assert found({**used.env, VARIABLE: runtime.program}) == runtime


def test_the_first_that_answers_is_used(tmp_path):
    program(tmp_path, "docker", DOCKER)
    program(tmp_path, "podman", PODMAN)
    assert found({"PATH": str(tmp_path), "ANSWER": "25.0 [name=rootless]"}).kind == "docker"
    assert found({"PATH": str(tmp_path), "ANSWER": "25.0 [name=rootless]"}).maps_caller
    assert not found({"PATH": str(tmp_path), "ANSWER": "25.0 [name=seccomp]"}).maps_caller
    assert found({"PATH": str(tmp_path), "ANSWER": " []", "CODE": "1"}).kind == "podman"


def test_podman_by_the_name_of_docker_is_podman(tmp_path):
    program(tmp_path, "docker", PODMAN)
    runtime = found({"PATH": str(tmp_path), "ANSWER": "true 3"})
    assert (runtime.kind, runtime.maps_caller, runtime.keeps_id) == ("podman", True, True)
    runtime = found({"PATH": str(tmp_path), "ANSWER": "true 1"})
    assert (runtime.maps_caller, runtime.keeps_id) == (True, False)
    runtime = found({"PATH": str(tmp_path), "ANSWER": "false 0"})
    assert (runtime.maps_caller, runtime.keeps_id) == (False, False)


def test_where_there_is_none_it_is_said_what_was_looked_for(tmp_path):
    said = found({"PATH": str(tmp_path)})
    assert said == (
        "steps with a container need a container runtime: looked for docker and podman: docker: there is none on PATH; podman: there is none on PATH; "
        "install one of them, or name another in DAGNATS_CONTAINER_RUNTIME"
    )
    said = found({"PATH": str(tmp_path), VARIABLE: "podman"})
    assert said.endswith("DAGNATS_CONTAINER_RUNTIME names one that can not be used: podman: there is none on PATH")
    assert "relative path" in found({"PATH": str(tmp_path), VARIABLE: "./podman"})
    said = found({"PATH": str(tmp_path), VARIABLE: "/no/such"})
    assert "/no/such: command not found: /no/such" in said


def test_a_program_of_the_workspace_is_never_run(tmp_path, monkeypatch):
    program(tmp_path, "docker", "touch run")
    monkeypatch.chdir(tmp_path)
    assert "docker: there is none on PATH" in found({"PATH": f".::{Path('sub')}"})
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("said", "words"),
    [
        (
            "permission denied while trying to connect to the Docker daemon socket at unix:///var/run/docker.sock: Get …",
            "you may not use the socket of its daemon, unix:///var/run/docker.sock: have yourself added to the group",
        ),
        (
            "Cannot connect to the Docker daemon at tcp://192.0.2.1:2375. Is the docker daemon running?",
            "its daemon does not answer at tcp://192.0.2.1:2375: start it",
        ),
        ("error during connect: Get: dial tcp: lookup nosuch: no such host", "its daemon does not answer at its socket: start it"),
        ("something else", "it does not work: something else"),
    ],
)  # fmt: skip
def test_a_daemon_that_can_not_be_used(tmp_path, said, words):
    program(tmp_path, "docker", DOCKER)
    told = found({"PATH": str(tmp_path), "SAID": said, "ANSWER": " []", "CODE": "1"})
    assert f"docker: {words}" in told


def test_a_socket_that_may_not_be_used_by_the_real_one(tmp_path):
    used = engine("docker")
    assert "its daemon does not answer at unix:///no/such.sock" in found(
        {**used.env, "DOCKER_HOST": "unix:///no/such.sock", VARIABLE: "docker"}
    )


def test_a_daemon_that_is_silent_ends_in_time(tmp_path, monkeypatch):
    used = engine("docker")
    monkeypatch.setattr(finding, "ANSWERS_WITHIN_S", 0.5)
    with socket.socket(socket.AF_UNIX) as silent:
        silent.bind(str(tmp_path / "s"))
        silent.listen()
        said = found({**used.env, "DOCKER_HOST": f"unix://{tmp_path}/s", VARIABLE: "docker"})
    assert "info` did not answer within 0.5s" in said


# What the guardian has run when the runner is gone


def test_the_sweep_asks_until_nothing_more_turns_up():
    answers = ["", "a b\n", "c\n", "", ""]
    asked = []

    def run(argv):
        asked.append(list(argv))
        return answers.pop(0) if argv[1] == "ps" else ""

    sweep.sweep("k=v", ["/p", "rm", "--force"], run)
    assert answers == []
    assert [argv for argv in asked if argv[1] == "rm"] == [
        ["/p", "rm", "--force", "a", "b"],
        ["/p", "rm", "--force", "c"],
    ]
    assert asked[0] == ["/p", "ps", "--all", "--quiet", "--filter", "label=k=v"]


def test_a_cleanup_is_run_when_the_runner_is_gone_and_not_when_it_was_called_off(tmp_path):
    def guard(name, *, called_off):
        async def work(guardian):
            guardian.clean_up_at_end(["/bin/sh", "-c", f"echo x >> {tmp_path}/{name}"])
            if called_off:
                guardian.clean_up_at_end([])

        guarded(work)
        return (tmp_path / name).exists()

    assert guard("done", called_off=False)
    assert not guard("off", called_off=True)
