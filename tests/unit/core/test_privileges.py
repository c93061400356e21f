"""What a container may not have unless the command line allows it, and what no option may set, in every spelling."""

import pytest

from dagnats.core.pipeline import Container, Volume
from dagnats.core.privileges import misused, refusals, refused

ROOT = "is the whole machine"
SOCKET = "has the machine"
REFUSED = [
    (["--privileged"], "all rights"),
    (["--privileged=true"], "all rights"),
    (["--privileged=1"], "all rights"),
    (["--privileged=yes"], "all rights"),
    (["--read-only", "--privileged"], "all rights"),
    (["--hostname", "x", "--privileged"], "all rights"),
    (["--unknown-switch=true", "--privileged"], "all rights"),
    (["--pid=host"], "the processes"),
    (["--pid", "host"], "the processes"),
    (["--pid=ns:/proc/1/ns/pid"], "the processes"),
    (["--ipc=host"], "shared memory"),
    (["--uts", "host"], "host name"),
    (["--userns=host"], "the users"),
    (["--cgroupns=host"], "control groups"),
    (["--cap-add=ALL"], "rights"),
    (["--cap-add", "all"], "rights"),
    (["--cap-add=SYS_ADMIN"], "rights"),
    (["--cap-add=cap_sys_admin"], "rights"),
    (["--cap-add=NET_RAW,SYS_ADMIN"], "rights"),
    (["--cap-add", "SYS_MODULE"], "rights"),
    (["--cap-add", "DAC_READ_SEARCH"], "rights"),
    (["--security-opt=seccomp=unconfined"], "separates"),
    (["--security-opt", "seccomp:unconfined"], "separates"),
    (["--security-opt", "apparmor=unconfined"], "separates"),
    (["--security-opt=systempaths=unconfined"], "separates"),
    (["--security-opt", "label=disable"], "separates"),
    (["--security-opt", "label:type:spc_t"], "separates"),
    (["--security-opt=unmask=ALL"], "separates"),
    (["--device", "/dev/sda"], "device"),
    (["--device=/dev/kvm:/dev/kvm:rw"], "device"),
    (["--device-cgroup-rule=a *:* rwm"], "device"),
    (["-v/:/x"], ROOT),
    (["-v=/:/x"], ROOT),
    (["-v", "/:/x"], ROOT),
    (["-v", "/:/x:ro"], ROOT),
    (["-v", "//:/x"], ROOT),
    (["-v", "/usr/..:/x"], ROOT),
    (["-v", "/./:/x"], ROOT),
    (["-Pv/:/x"], ROOT),
    (["-Pv", "/:/x"], ROOT),
    (["-" + "P" * 10 + "v/:/x"], ROOT),
    (["-P=true", "-v", "/:/x"], ROOT),
    (["--volume=/:/x"], ROOT),
    (["--volume", "/:/x"], ROOT),
    (["--volume=/var/run/docker.sock:/s"], SOCKET),
    (["-v", "/run/docker.sock:/s"], SOCKET),
    (["-v", "/run/user/1000/podman/podman.sock:/s"], SOCKET),
    (["-v", "/home/me/.docker/run/docker.sock:/s"], SOCKET),
    (["-v", "/run/containerd/containerd.sock:/s"], SOCKET),
    (["-v", "/var/run:/s"], "sockets"),
    (["-v", "/var/run/:/s"], "sockets"),
    (["-v", "/private/var/run:/s"], "sockets"),
    (["-v", "/run:/s"], "sockets"),
    (["-v", "/run/podman:/s"], "sockets"),
    (["-v", "/run/user/1000:/s"], "sockets"),
    (["-v", "/run/user/1000/podman:/s"], "sockets"),
    (["-v", "/Users/me/.docker/run:/s"], "sockets"),
    (["-v", "/var:/s"], "sockets"),
    (["-v", "/dev:/s"], "own"),
    (["-v", "/proc/sys:/s"], "own"),
    (["-v", "/sys/fs/cgroup:/s"], "own"),
    (["-v", "/var/lib:/s"], "own"),
    (["-v", "/var/lib/docker/volumes/x:/s"], "own"),
    (["--mount=type=bind,src=/,dst=/x"], ROOT),
    (["--mount", "type=bind,source=/,target=/x"], ROOT),
    (["--mount", "TYPE=bind,SOURCE=/,target=/x"], ROOT),
    (["--mount", "type=bind,src=/tmp,source=/,target=/x"], ROOT),
    (["--mount", "type=bind,source=/,src=/tmp,target=/x"], ROOT),
    (["--mount", 'type=bind,"source=/",target=/x'], ROOT),
    (["--mount", "type=bind,source=/run/docker.sock,target=/x"], SOCKET),
    (["--mount", "type=volume,dst=/x,volume-opt=type=none,volume-opt=device=/,volume-opt=o=bind"], "any part"),
    (["--mount", "type=glob,src=/*,dst=/x"], "any part"),
    (["--mount", "type=devpts,dst=/x"], "any part"),
    (["--volumes-from", "other"], "another one"),
    (["--use-api-socket"], "socket"),
    (["--mount", "type=image,type=bind,src=/,dst=/x"], ROOT),
    (["--runtime=/tmp/x"], "a program"),
]
ALLOWED = [
    [],
    ["--privileged=false"],
    ["--network=host"],
    ["--network", "host"],
    ["--hostname=--privileged"],
    ["--pid=private", "--ipc", "shareable", "--userns=keep-id"],
    ["--cap-drop=ALL", "--cap-add=NET_ADMIN", "--cap-add", "SYS_PTRACE"],
    ["--security-opt=no-new-privileges", "--security-opt", "seccomp=/etc/profile.json"],
    ["--device-read-bps=/dev/sda:1mb"],
    ["-v", "/srv/data:/x", "-v/cache", "-v", "name:/y", "--volume=/etc/ssl/certs:/c:ro"],
    ["-v", "/home/me/run:/s", "-v", "/running:/r", "-v", "/device:/d"],
    ["--mount=type=image,src=ghcr.io/a/b:1,dst=/x", "--use-api-socket=false"],
    ["--mount=type=tmpfs,dst=/x,tmpfs-size=1g", "--mount", "type=volume,src=v,dst=/v"],
    ["--runtime=runsc", "--gpus", "all", "--shm-size=1g", "--ulimit", "nofile=1:2", "--tmpfs", "/t"],
    ["-p", "8080:80", "-h", "ci", "-P", "-c", "512"],
]
MISUSED = [
    (["--name=x"], "can not be set"),
    (["--name", "x"], "can not be set"),
    (["--label=a=b"], "can not be set"),
    (["-la=b"], "can not be set"),
    (["--label-file", "x"], "can not be set"),
    (["--detach"], "can not be set"),
    (["-d"], "can not be set"),
    (["-it"], "can not be set"),
    (["-ti=true"], "can not be set"),
    (["-Pd"], "can not be set"),
    (["--rm"], "can not be set"),
    (["--rm=false"], "can not be set"),
    (["--restart=always"], "can not be set"),
    (["--cidfile", "x"], "can not be set"),
    (["--rootfs"], "can not be set"),
    (["--http-proxy=true"], "can not be set"),
    (["--log-driver=none"], "can not be set"),
    (["--help"], "can not be set"),
    (["-a", "stdin"], "can not be set"),
    (["--entrypoint=sh"], "a key of its own"),
    (["--env-file", ".env"], "a key of its own"),
    (["--env-host"], "a key of its own"),
    (["-eA=b"], "a key of its own"),
    (["-e=A=b"], "a key of its own"),
    (["--env", "A"], "a key of its own"),
    (["--user=root"], "a key of its own"),
    (["-uroot"], "a key of its own"),
    (["-m1g"], "a key of its own"),
    (["--pull=never"], "a key of its own"),
    (["--creds=a:b"], "a key of its own"),
    (["--workdir=/x"], "a key of its own"),
    (["--timeout=3"], "a key of its own"),
    (["--root=/x"], "for the runtime"),
    (["--url", "tcp://x"], "for the runtime"),
    (["alpine"], "is no option"),
    (["--read-only", "alpine"], "is no option"),
    (["--privileged", "false"], "is no option"),
    (["--hostname", "x", "alpine"], "is no option"),
    (["--"], "is no option"),
    (["-"], "is no option"),
    ([""], "is no option"),
    (["--hostname"], "has no value"),
    (["-v"], "has no value"),
    (["--hostname=" + "x" * 5000], "characters"),
    (["-" + "P" * 11 + "v/:/x"], "too many switches"),
    (["--hostname", "--privileged"], "has no value"),
    (["--oom-score-adj", "-500"], "has no value"),
    (["-v", "./a:/b"], "relative path"),
    (["-v", "../../..:/b"], "relative path"),
    (["--mount=type=bind,src=a/b,dst=/x"], "relative path"),
]


def box(options=(), **fields) -> Container:
    return Container("alpine:3", options=tuple(options), **fields)


@pytest.mark.parametrize(
    ("options", "why"), REFUSED, ids=lambda value: " ".join(value) if isinstance(value, list) else ""
)
def test_what_gives_the_machine_is_refused(options, why):
    for rendered in (False, True):
        reason = refused(box(options), rendered=rendered)
        assert reason is not None
        assert why in reason


@pytest.mark.parametrize("options", ALLOWED, ids=" ".join)
def test_what_does_not_is_allowed(options):
    assert refused(box(options)) is None
    assert list(misused(options)) == []


@pytest.mark.parametrize(
    ("options", "why"), MISUSED, ids=lambda value: " ".join(value) if isinstance(value, list) else ""
)
def test_what_is_not_for_options_is_an_error(options, why):
    for rendered in (False, True):
        assert any(why in wrong.message for _, wrong in misused(options, rendered=rendered))


@pytest.mark.parametrize(
    "source",
    [
        "/",
        "//",
        "/usr/..",
        "/var/run/docker.sock",
        "/x/podman.sock",
        "/run",
        "/proc",
        "/dev/shm",
        "./docker.sock",
        "~/.docker/run",
    ],
)
def test_volumes_are_judged_like_options(source):
    assert refused(box(volumes=(Volume("cache", "/c"), Volume(source, "/x", read_only=True)))) is not None


@pytest.mark.parametrize("source", [".", "./data", "/srv/x", "cache", "docker.sock.d", "run", "~/.m2"])
def test_other_volumes_are_fine(source):
    assert refused(box(volumes=(Volume(source, "/x"),))) is None


def test_the_network_of_the_machine_is_a_key_and_no_privilege():
    assert refused(box(network="host")) is None


def test_links_are_followed_where_somebody_can_ask():
    real = {"/srv/link": "/", "/srv/s": "/run/docker.sock"}.get
    for source in ("/srv/link", "/srv/s"):
        assert refused(box(volumes=(Volume(source, "/x"),))) is None
        assert refused(box(volumes=(Volume(source, "/x"),)), real=real) is not None
        assert refused(box(["-v", f"{source}:/x"]), real=real) is not None


def test_what_a_template_makes_is_judged_when_it_has_made_it():
    made = box(
        ["{{ a }}", "x", "--hostname", "{{ b }}", "-v{{ c }}:/x", "--mount={{ d }}", "--pid={{ e }}"],
        volumes=(Volume("/{{ f }}", "/x"),),
    )
    assert refused(made) is None
    assert list(misused(made.options)) == []
    assert [index for index, _ in misused(["--{{ a }}=1"])] == [0]


@pytest.mark.parametrize("value", ["-v/:/x{{ }}", "--privileged={{ 1 }}", "--volume=/:/{{ x }}"])
def test_a_value_that_looks_like_a_template_hides_nothing(value):
    assert refused(box([value])) is None
    assert refused(box([value]), rendered=True) is not None


def test_each_reason_knows_its_place():
    made = box(["--read-only", "--pid", "host", "--privileged"], volumes=(Volume("a", "/a"), Volume("/", "/b")))
    assert [(one.key, one.index) for one in refusals(made)] == [("volumes", 1), ("options", 1), ("options", 3)]
