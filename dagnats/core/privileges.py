"""What would give a container the machine, or break what the worker does with it: options and volumes, however they are spelt.

Options are read as Docker and Podman read them: `--flag=value`, `--flag value`, `-v value`, `-vVALUE`, and switches in one word, `-it`.
"""

import posixpath
import re
from collections.abc import Callable, Iterator, Sequence

from msgspec import Struct

from dagnats.core.containers import Wrong, is_path
from dagnats.core.pipeline import Container
from dagnats.core.text import has_template

# Flags that take no value. One that is new to us is written `--flag=true`.
_SWITCHES = frozenset(
    """detach disable-content-trust env-host help http-proxy init interactive no-healthcheck no-hostname no-hosts oom-kill-disable
    passwd privileged publish-all quiet read-only read-only-tmpfs replace rm rootfs sig-proxy tls-verify tty unsetenv-all use-api-socket""".split()  # noqa: SIM905 - as a list it is four times as long
)
_SHORT = {
    "a": "attach", "c": "cpu-shares", "d": "detach", "e": "env", "h": "hostname", "i": "interactive", "l": "label", "m": "memory", "p": "publish",
    "P": "publish-all", "q": "quiet", "t": "tty", "u": "user", "v": "volume", "w": "workdir",
}  # fmt: skip
_SHORT_SWITCHES = "".join(letter for letter, name in _SHORT.items() if name in _SWITCHES)
_CLUSTER_MAX = 10
_WORD_MAX = 4096
_FALSE = frozenset(["0", "f", "F", "false", "FALSE", "False"])

_KEYS = {
    "cpus": "cpus` of `container",
    "creds": "credentials` of `container",
    "entrypoint": "entrypoint` of `container",
    "env": "env",
    "env-file": "env",
    "env-host": "env",
    "memory": "memory` of `container",
    "pull": "pull` of `container",
    "timeout": "timeout",
    "user": "user` of `container",
    "workdir": "working_dir",
}
_OWNED = frozenset(
    """attach cidfile conmon-pidfile detach detach-keys help http-proxy init init-ctr interactive label label-file latest log-driver log-opt name
    pidfile pod pod-id-file preserve-fd preserve-fds quiet replace requires restart rm rootfs sig-proxy stop-signal stop-timeout tty""".split()  # noqa: SIM905 - as a list it is four times as long
)
_OF_RUNTIME = frozenset(
    """cgroup-manager config conmon connection context db-backend events-backend hooks-dir host identity imagestore log-level module network-cmd-path
    network-config-dir out remote root runroot ssh storage-driver syslog tmpdir trace transient-store url volumepath""".split()  # noqa: SIM905 - as a list it is four times as long
)

_NAMESPACES = {
    "pid": "the processes", "ipc": "the shared memory", "uts": "the host name", "userns": "the users", "cgroupns": "the control groups",
}  # fmt: skip
_CAPABILITIES = frozenset(["ALL", "BPF", "DAC_READ_SEARCH", "SYS_ADMIN", "SYS_BOOT", "SYS_MODULE", "SYS_RAWIO"])
_SOCKETS = frozenset(["docker.sock", "podman.sock", "containerd.sock", "crio.sock", "buildkitd.sock"])
# Directories in which such a socket is, and those above them.
_AROUND_SOCKETS = re.compile(
    r"/(?:run|var|run/user|run/user/[0-9]+|run/(?:user/[0-9]+/)?(?:docker|podman|containerd|crio|buildkit))|.*/\.docker/run"
)
_OF_THE_MACHINE = ("/proc", "/sys", "/dev", "/var/lib/docker", "/var/lib/containers", "/var/lib/containerd")


class Refusal(Struct, frozen=True):
    """Why a container needs what only the command line can allow: `reason`, because of the `index`-th of its `key`."""

    key: str
    index: int
    reason: str


class _Flag(Struct, frozen=True):
    name: str
    value: str | None  # None where a template makes it
    shown: str
    index: int


def refused(container: Container, *, rendered: bool = False, real: Callable[[str], str] = str) -> str | None:
    """Say why a container would have the machine, or None.

    Until it is `rendered`, what a template makes is not known; afterwards nothing is a template, whatever it looks like. `real` gives the path behind links.
    """
    return next((refusal.reason for refusal in refusals(container, rendered=rendered, real=real)), None)


def refusals(container: Container, *, rendered: bool = False, real: Callable[[str], str] = str) -> Iterator[Refusal]:
    """Everything in a container that gives it the machine."""
    later = _never if rendered else has_template
    for index, volume in enumerate(container.volumes):
        if is_path(volume.source) and not later(volume.source) and (why := _path(volume.source, real)):
            yield Refusal("volumes", index, why)
    for flag in _read(container.options, later):
        if isinstance(flag, _Flag) and (why := _refused(flag, real)):
            yield Refusal("options", flag.index, f"`{flag.shown}` {why}")


def misused(options: Sequence[str], *, rendered: bool = False) -> Iterator[tuple[int, Wrong]]:
    """Every word of the options that is none, or sets what is a key of its own or the worker's business; with its place."""
    for flag in _read(options, _never if rendered else has_template):
        if not isinstance(flag, _Flag):
            yield flag
        elif (wrong := _misused(flag)) is not None:
            yield flag.index, wrong


def _never(_text: str) -> bool:
    return False


def _read(words: Sequence[str], later: Callable[[str], bool]) -> Iterator[_Flag | tuple[int, Wrong]]:
    at = 0
    while at < len(words):
        word, start = words[at], at
        at += 1
        if len(word) > _WORD_MAX:
            yield start, Wrong(f"has more than {_WORD_MAX:,} characters")
            continue
        if later(word) and not word.startswith("--"):
            at += at < len(words) and not words[at].startswith("-")  # it may be the value of what the template makes
            continue
        switches = len(word) - 1 - len(word[1:].lstrip(_SHORT_SWITCHES)) if not word.startswith("--") else 0
        if switches > _CLUSTER_MAX:
            yield start, Wrong("has too many switches in one word", "write each by itself")
            continue
        if not word.startswith("-") or word in ("-", "--"):
            yield (
                start,
                Wrong("is no option, which begins with `-`", "an option and its value are two words, or one with `=`"),
            )
            continue
        for name, value, shown in _long(word) if word.startswith("--") else _cluster(word):
            if value is not None:
                yield _Flag(name, None if later(value) else value, shown, start)
                continue
            following = words[at] if at < len(words) else "-"
            if following.startswith("-") or len(following) > _WORD_MAX:
                yield start, Wrong("has no value", f"write `{shown}=VALUE`; for a switch, `{shown}=true`")
                continue
            at += 1
            yield _Flag(name, None if later(following) else following, f"{shown} {following}", start)


def _long(word: str) -> Iterator[tuple[str, str | None, str]]:
    name, equals, value = word[2:].partition("=")
    yield name, value if equals else "true" if name in _SWITCHES else None, word


def _cluster(word: str) -> Iterator[tuple[str, str | None, str]]:
    for place, letter in enumerate(word[1 : _CLUSTER_MAX + 2], start=1):
        name, rest = _SHORT.get(letter, letter), word[place + 1 :]
        if name in _SWITCHES and not (rest.startswith("=") and len(rest) > 1):
            yield name, "true", word
            continue
        yield name, rest[1:] if rest.startswith("=") and len(rest) > 1 else rest or None, word
        return


def _misused(flag: _Flag) -> Wrong | None:
    name = flag.name
    if has_template(name):
        return Wrong("begins with a template", "write the name of the option, and its value behind `=`")
    if name in _KEYS:
        return Wrong("is a key of its own", f"write it as `{_KEYS[name]}`")
    if name in _OWNED:
        return Wrong("can not be set: it is how containers are started, watched and removed here", "remove it")
    if name in _OF_RUNTIME:
        return Wrong("is for the runtime, and not for a container", "remove it")
    if any(is_path(source) and not source.startswith("/") for source in _sources(flag)):
        return Wrong("has a relative path", "write it under `volumes`, where paths are relative to the project's root")
    return None


def _refused(flag: _Flag, real: Callable[[str], str]) -> str:
    name, value = flag.name, flag.value
    if value is None:
        return ""  # a template makes it
    if name == "privileged":
        return "" if value in _FALSE else "gives the container all rights of the machine's root"
    if name in _NAMESPACES:
        shared = value.lower() == "host" or value.startswith("ns:")
        return f"shares {_NAMESPACES[name]} of the machine" if shared else ""
    if name == "cap-add":
        given = {word.strip().upper().removeprefix("CAP_") for word in value.split(",")}
        return "gives rights of the machine's root" if given & _CAPABILITIES else ""
    if name == "security-opt":
        plain = value.lower().replace(":", "=")
        weak = "unconfined" in plain or plain.startswith(("label=disable", "label=type=", "unmask"))
        return "takes away what separates the container from the machine" if weak else ""
    return _device(flag) or _mounted(flag, real)


def _device(flag: _Flag) -> str:
    if flag.name == "use-api-socket" and flag.value not in _FALSE:
        return "gives the container the socket of the runtime, and who has that has the machine"
    if flag.name in ("device", "device-cgroup-rule"):
        return "gives the container a device of the machine"
    if flag.name == "volumes-from":
        return "gives the container what another one was given"
    is_program = flag.name == "runtime" and "/" in (flag.value or "")
    return "runs a program of the machine" if is_program else ""


def _mounted(flag: _Flag, real: Callable[[str], str]) -> str:
    if flag.name == "mount":
        fields = _fields(flag)
        if "volume-opt" in fields or not {"glob", "devpts"}.isdisjoint(fields.get("type", ())):
            return "can mount any part of the machine"
    why = next(filter(None, (_path(source, real) for source in _sources(flag) if is_path(source))), "")
    return f"gives away too much: {why}" if why else ""


def _sources(flag: _Flag) -> list[str]:
    """What an option mounts; of several sources we do not ask which one the runtime takes."""
    if flag.name == "volume":
        source, colon, _ = (flag.value or "").partition(":")
        return [source] if colon else []
    if flag.name != "mount":
        return []
    fields = _fields(flag)
    if {"image", "artifact"}.issuperset(fields.get("type", ["volume"])):
        return []
    return [*fields.get("source", ()), *fields.get("src", ())]


def _fields(flag: _Flag) -> dict[str, list[str]]:
    """The `name=value` of `--mount`; a value with a comma stands in quotes, which hide nothing from us."""
    fields: dict[str, list[str]] = {}
    for part in (flag.value or "").split(","):
        name, _, value = part.strip().strip('"').partition("=")
        fields.setdefault(name.strip().lower(), []).append(value.strip('"'))
    return fields


def _path(path: str, real: Callable[[str], str]) -> str:
    """Say why a path of the machine is too much to give away, or nothing."""
    if path.startswith("/"):
        path = real(path)
    plain = re.sub(r"//+", "/", posixpath.normpath(path)).lower()
    plain = re.sub(r"^(?:/private)?/var/run(?=/|$)", "/run", plain)
    if plain == "/":
        return f"`{path}` is the whole machine"
    if plain.rsplit("/", 1)[-1] in _SOCKETS:
        return f"who has the socket `{path}` has the machine"
    if _AROUND_SOCKETS.fullmatch(plain):
        return f"in `{path}` are sockets, and who has those has the machine"
    if any(f"{plain}/".startswith(f"{one}/") or one.startswith(f"{plain}/") for one in _OF_THE_MACHINE):
        return f"`{path}` is the machine's own"
    return ""
