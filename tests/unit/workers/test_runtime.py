"""The command lines of container runtimes, and what is read out of what they say."""

import csv

import pytest

from dagnats.core.pipeline import Container, Credentials
from dagnats.workers import inside
from dagnats.workers import runtime as commands
from dagnats.workers.images import with_login
from dagnats.workers.runtime import Made, Mount, Runtime

DOCKER = Runtime("/usr/bin/docker", "docker")
PODMAN = Runtime("/usr/bin/podman", "podman")
NOT_FOUND = 'unable to start container process: exec: "x": executable file not found in $PATH'


def test_a_container_with_all_that_it_may_have():
    made = Made(
        name="n", image="i:1", labels={"dagnats.run": "r"}, mounts=(Mount("/w", "/w"),), workdir="/w", user="1:2",
        env_names=("A",), env={"DAGNATS_OUTPUT": "/o"}, entrypoint="sh", words=("x", "y"), network="none", memory="1g", cpus=0.5,
        options=("--read-only",),
    )  # fmt: skip
    argv = commands.create(DOCKER, made)
    assert argv == [
        "/usr/bin/docker", "create", "--name", "n", "--pull=never", "--log-driver=none", "--security-opt=label=disable", "--init",
        "--env", "TINI_KILL_PROCESS_GROUP=1", "--label", "dagnats.run=r", "--mount", "type=bind,src=/w,dst=/w", "--workdir", "/w",
        "--user", "1:2", "--entrypoint", "sh", "--env", "A", "--env", "DAGNATS_OUTPUT=/o", "--network", "none", "--memory", "1g",
        "--cpus", "0.5", "--read-only", "i:1", "x", "y",
    ]  # fmt: skip
    assert "--http-proxy=false" in commands.create(PODMAN, made)
    assert commands.create(PODMAN, Made(name="n", image="i", keeps_id=True))[-2:] == ["--userns=keep-id", "i"]


@pytest.mark.parametrize("path", ["/a b", '/a,"b"', "/a:b", "/a=b", "/ä'"])
def test_a_mount_is_a_record_of_csv(path):
    (fields,) = csv.reader([commands.mount_value(Mount(path, path, read_only=True))])
    assert fields == ["type=bind", f"src={path}", f"dst={path}", "readonly"]


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("Error: nosuch/x:1: image not known\n", "nosuch/x:1: image not known"),
        ('time="2026" level=warning msg="x"\nError: unknown flag: --x\nSee \'podman create --help\'\n', "unknown flag: --x"),
        ("unknown flag: --x\n\nUsage:  docker create [OPTIONS]\n\nRun 'docker create --help' for more information\n", "unknown flag: --x"),
        ("Unable to find image\nError response from daemon: No such image: x\n", "No such image: x"),
        (
            f"Error response from daemon: failed to create shim task: OCI runtime create failed: runc create failed: {NOT_FOUND}: unknown\n",
            'exec: "x": executable file not found in $PATH',
        ),
        (
            f"Error: unable to start container 1f: runc: runc create failed: {NOT_FOUND}: OCI runtime attempted to invoke a command that was not found\n",
            'exec: "x": executable file not found in $PATH',
        ),
        (f"Error: unable to start container {'1f' * 32}: could not find slirp4netns\n", "could not find slirp4netns"),
        ("", "it said nothing"),
    ],
)  # fmt: skip
def test_what_a_runtime_says_is_one_line(text, line):
    assert commands.said(text.encode()) == line


@pytest.mark.parametrize(
    ("tail", "problem"),
    [
        (b"x\nERROR (catatonit:6): failed to exec pid1: No such file or directory\n", "No such file or directory"),
        (b"[FATAL tini (7)] exec nosuch failed: Permission denied\n", "Permission denied"),
        (b"nothing of the kind\n", None),
    ],
)
def test_what_the_init_of_a_runtime_says(tail, problem):
    assert commands.init_failed(tail) == problem


def test_a_runtime_that_does_not_keep_limits():
    said = b"WARNING: Your kernel does not support memory limit capabilities or the cgroup is not mounted. Limitation discarded.\n"
    assert "discarded" in commands.ignores_limits(said)
    assert commands.ignores_limits(b"Resource limits are not supported and ignored on cgroups V1 rootless systems\n")
    assert commands.ignores_limits(b"1f2e\n") is None
    assert commands.lacks_init(b"Error: container-init binary not found on the host: stat catatonit: no such file\n")
    assert not commands.lacks_init(b"Error: initializing: nothing\n")


@pytest.mark.parametrize("name", ["PATH", "HOME", "DOCKER_HOST", "CONTAINERS_CONF", "LD_PRELOAD", "https_proxy", "NO_PROXY", "XDG_DATA_HOME"])  # fmt: skip
def test_variables_that_act_on_the_runtime_go_by_file(name):
    assert commands.must_go_by_file(name)
    assert commands.can_go_by_file(name)


@pytest.mark.parametrize("name", ["CI", "TOKEN", "MYPATH", "DOCKER", "DAGNATS_STEP", "DAGNATS_RUN_ID", "PROXY_OF"])
def test_others_may_go_by_name(name):
    assert not commands.must_go_by_file(name)


@pytest.mark.parametrize("name", ["UID", "a-b", "1st", "IFS"])
def test_variables_that_no_shell_can_set(name):
    assert not commands.can_go_by_file(name)


@pytest.mark.parametrize(
    ("runtime", "uid", "user", "expected"),
    [
        (DOCKER, 1000, None, ("1000:100", False)),
        (DOCKER, 0, None, (None, False)),
        (DOCKER, 1000, "node", ("node", False)),
        (Runtime("d", "docker", maps_caller=True), 1000, None, (None, False)),
        (Runtime("p", "podman", maps_caller=True, keeps_id=True), 1000, None, (None, True)),
        (Runtime("p", "podman", maps_caller=True, keeps_id=True), 1000, "0", ("0", False)),
        (Runtime("p", "podman", maps_caller=True), 1000, None, (None, False)),
        (PODMAN, 0, None, (None, False)),
    ],
)
def test_files_are_the_callers(runtime, uid, user, expected):
    assert inside.user(Container(image="i", user=user), runtime, uid, 100, "container") == expected


def test_a_service_is_whom_its_image_names():
    assert inside.user(Container(image="i"), DOCKER, 1000, 100, "service") == (None, False)
    assert inside.user(Container(image="i", user="1"), DOCKER, 1000, 100, "service") == ("1", False)


@pytest.mark.parametrize(
    ("image", "registry"),
    [("python:3.12", None), ("library/x", None), ("ghcr.io/a/b", "ghcr.io"), ("localhost:5000/x", "localhost:5000"), ("localhost/x", "localhost")],
)  # fmt: skip
def test_the_registry_of_an_image(image, registry):
    assert commands.registry_of(image) == registry


def test_a_login_is_added_to_the_callers_configuration():
    config = {"credsStore": "desktop", "credHelpers": {"ghcr.io": "x", "other.example": "y"}, "auths": {"other.example": {}}, "currentContext": "c"}  # fmt: skip
    expected = {
        "credHelpers": {"other.example": "y"},
        "auths": {"other.example": {}, "ghcr.io": {"auth": "dTpw"}},
        "currentContext": "c",
    }
    assert with_login(config, DOCKER, "ghcr.io/a/b:1", Credentials("u", "p")) == expected
    assert set(with_login({}, DOCKER, "python", Credentials("u", "p"))["auths"]) == {"https://index.docker.io/v1/"}
    assert set(with_login({}, PODMAN, "python", Credentials("u", "p"))["auths"]) == {"docker.io"}


def test_the_name_of_a_container_says_whose_it_is():
    assert (
        commands.container_name("calm-otter-1", "deploy/a b[x=1]", 2, "u") == "dagnats-calm-otter-1-deploy-a-b-x-1-2-u"
    )
    assert len(commands.container_name("r" * 200, "s" * 300, 1, "u")) < 100
    assert commands.container_name("r", "ä", 1, "u") == "dagnats-r-1-u"


def test_variables_as_a_file_for_a_shell():
    assert commands.exports({"A": "it's\n", "B": ""}) == "export A='it'\\''s\n'\nexport B=''\n"
