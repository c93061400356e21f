"""Container runtimes: what is known of the one that is used, and its command lines, which docker and podman write nearly alike."""

import re
import secrets
from collections.abc import Iterable, Mapping, Sequence
from typing import Literal

from msgspec import Struct, field

Kind = Literal["docker", "podman"]

# Variables of a step that would act on the program of the runtime, whose environment they would pass through.
_ACTS_ON_CLIENT = re.compile(
    r"PATH|HOME|TMPDIR|USER|LOGNAME|HOSTALIASES|LOCALDOMAIN|RES_OPTIONS|GODEBUG|GOGC|GOMAXPROCS|GOMEMLIMIT|GOTRACEBACK|GOCOVERDIR|"
    r"(DOCKER|MOBY|BUILDKIT|BUILDX|CONTAINERS?|_CONTAINERS|PODMAN|BUILDAH|STORAGE|REGISTRY|CNI|NETAVARK|CONMON|"
    r"LD|DYLD|XDG|SSL_CERT|SSH|OTEL|DBUS|NOTIFY|LISTEN|LIBPOD|DAGNATS_STEP)_.*|(?i:[a-z]+_proxy)"
)
# Variables that a shell has for itself, or would stumble over.
_SHELLS_OWN = frozenset(
    ("UID", "EUID", "PPID", "SHELLOPTS", "BASHOPTS", "BASH_VERSINFO", "OPTIND", "LINENO", "IFS", "_")
)
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_NOISE = re.compile(r"time=\"|See '|Run '|Usage:|\s*$")
_SAID_MAX = 600
_HEADS = ("Error: ", "docker: ", "Error response from daemon: ")
# What the runtime wraps around the one thing that went wrong.
_WRAPPINGS = re.compile(
    r"^.*unable to start container process: |^unable to start container [0-9a-f]+: |: unknown\.?$|: OCI runtime [a-z ]+ (not found|denied)( error)?$"
)
_BY_INIT = re.compile(
    rb"\[FATAL tini[^\]]*\] exec [^\n]* failed: ([^\n]+)|ERROR \(catatonit:[0-9]+\): failed to exec pid1: ([^\n]+)"
)
_NO_INIT = re.compile(r"init binary|docker-init|catatonit", re.IGNORECASE)
_NO_LIMITS = re.compile(r"(?i)limit.*(ignored|discarded|not supported)")


class Runtime(Struct, frozen=True):
    """A container runtime that answers.

    `maps_caller` says that root within is the caller without, `keeps_id` that the caller can be the same within, `has_init` that there is a small init.
    """

    program: str
    kind: Kind
    maps_caller: bool = False
    keeps_id: bool = False
    has_init: bool = True


class Mount(Struct, frozen=True):
    """What is seen at `target`: a path of the machine, or a volume of the runtime."""

    source: str
    target: str
    read_only: bool = False
    is_volume: bool = False


class Made(Struct, frozen=True):
    """A container that is to be made. `env_names` are variables whose values are in the environment of the command; those of `env` are no secret.

    Without an `entrypoint` the image's own is used, and without `words` its own command. `user` is None for that of the image.
    """

    name: str
    image: str
    labels: Mapping[str, str] = field(default_factory=dict)
    mounts: tuple[Mount, ...] = ()
    workdir: str | None = None
    user: str | None = None
    keeps_id: bool = False
    env_names: tuple[str, ...] = ()
    env: Mapping[str, str] = field(default_factory=dict)
    entrypoint: str | None = None
    words: tuple[str, ...] = ()
    network: str = "default"
    memory: str | None = None
    cpus: float | None = None
    options: tuple[str, ...] = ()


def create(runtime: Runtime, made: Made) -> list[str]:
    """Make it. No image is fetched, no proxy of the caller is handed in, and nothing that it prints is kept by the runtime."""
    argv = [runtime.program, "create", "--name", made.name, "--pull=never", "--log-driver=none"]
    argv += [
        "--security-opt=label=disable"
    ]  # files of the caller keep their labels, which else would keep the container out
    argv += ["--init"] if runtime.has_init else []
    argv += ["--env", "TINI_KILL_PROCESS_GROUP=1"] if runtime.has_init and runtime.kind == "docker" else []
    argv += ["--http-proxy=false"] if runtime.kind == "podman" else []
    argv += _pairs("--label", made.labels)
    for mount in made.mounts:
        argv += ["--mount", mount_value(mount)]
    argv += ["--workdir", made.workdir] if made.workdir is not None else []
    argv += ["--user", made.user] if made.user is not None else []
    argv += ["--userns=keep-id"] if made.keeps_id else []
    argv += ["--entrypoint", made.entrypoint] if made.entrypoint is not None else []
    for name in made.env_names:
        argv += ["--env", name]
    argv += _pairs("--env", made.env)
    argv += ["--network", made.network] if made.network != "default" else []
    argv += ["--memory", made.memory] if made.memory is not None else []
    argv += ["--cpus", f"{made.cpus:g}"] if made.cpus is not None else []
    return [*argv, *made.options, made.image, *made.words]


def _pairs(flag: str, values: Mapping[str, str]) -> list[str]:
    return [word for name, value in values.items() for word in (flag, f"{name}={value}")]


def mount_value(mount: Mount) -> str:
    """Write a mount as a record of CSV, so that a path may hold what it likes."""
    fields = [f"type={'volume' if mount.is_volume else 'bind'}", f"src={mount.source}", f"dst={mount.target}"]
    fields += ["readonly"] if mount.read_only else []
    return ",".join(map(_csv, fields))


def _csv(text: str) -> str:
    return '"' + text.replace('"', '""') + '"' if re.search(r'[",\s]', text) else text


def start(runtime: Runtime, name: str) -> list[str]:
    """Start it, and pass on what it prints until it ends. Attached before the start, so that no byte is lost."""
    return [runtime.program, "start", "--attach", name]


def inspect(runtime: Runtime, name: str) -> list[str]:
    """Ask how it ended."""
    shown = "{{.State.Status}} {{.State.ExitCode}} {{.State.OOMKilled}}"
    return [runtime.program, "container", "inspect", "--format", shown, name]


def kill(runtime: Runtime, name: str, signal: str) -> list[str]:
    """Send a signal to what runs in it."""
    return [runtime.program, "kill", "--signal", signal, name]


def remove(runtime: Runtime) -> list[str]:
    """Remove, at once and with what images declare as volumes, those whose names follow."""
    return [runtime.program, "rm", "--force", "--volumes", *(["--time=0"] if runtime.kind == "podman" else [])]


def pull(runtime: Runtime, image: str, auth_file: str | None) -> list[str]:
    """Fetch an image; docker takes its credentials from its environment."""
    by_file = ["--authfile", auth_file] if auth_file is not None and runtime.kind == "podman" else []
    return [runtime.program, "pull", "--quiet", *by_file, image]


def inspect_image(runtime: Runtime, image: str) -> list[str]:
    """Ask what an image runs by itself; fails where it is missing."""
    shown = '{"entrypoint": {{json .Config.Entrypoint}}, "cmd": {{json .Config.Cmd}}}'
    return [runtime.program, "image", "inspect", "--format", shown, image]


def must_go_by_file(name: str) -> bool:
    """Whether a variable can not pass through the environment of the runtime's program."""
    return _ACTS_ON_CLIENT.fullmatch(name) is not None


def can_go_by_file(name: str) -> bool:
    """Whether a shell can set a variable."""
    return _NAME.fullmatch(name) is not None and name not in _SHELLS_OWN


def exports(env: Mapping[str, str]) -> str:
    """Write variables as a file that a shell reads."""
    return "".join(f"export {name}='{value.replace(chr(39), _QUOTE)}'\n" for name, value in env.items())


_QUOTE = "'\\''"


def said(stderr: bytes) -> str:
    """Give the one line of what the runtime said that helps whoever reads it."""
    lines = [line for line in stderr.decode("utf-8", "replace").splitlines() if not _NOISE.match(line)]
    marked = [line for line in lines if line.startswith(_HEADS)]
    line = (marked or lines or ["it said nothing"])[-1].strip()
    for head in _HEADS:
        line = line.removeprefix(head)
    shorter = line
    while (shorter := _WRAPPINGS.sub("", line)) != line:
        line = shorter
    return line if len(line) <= _SAID_MAX else line[:_SAID_MAX] + "…"


def init_failed(stderr_tail: bytes) -> str | None:
    """Give why the init of the runtime could not start the program in an image, if that is what it said last."""
    found = list(_BY_INIT.finditer(stderr_tail))
    return (found[-1][1] or found[-1][2]).decode("utf-8", "replace") if found else None


def lacks_init(stderr: bytes) -> bool:
    """Whether a container was not made because the runtime has no init."""
    return _NO_INIT.search(said(stderr)) is not None


def ignores_limits(stderr: bytes) -> str | None:
    """Give the line in which a runtime says that it does not keep a limit, which it does with exit code 0."""
    return next(filter(_NO_LIMITS.search, stderr.decode("utf-8", "replace").splitlines()), None)


def is_unknown(stderr: bytes) -> bool:
    """Whether the runtime says that there is no such container."""
    return re.search(rb"(?i)no such container|no container with", stderr) is not None


def registry_of(image: str) -> str | None:
    """Give the registry that an image's name begins with; None for that of Docker."""
    head, slash, _ = image.partition("/")
    return head if slash and (head == "localhost" or re.search(r"[.:]", head)) else None


def container_name(run: str, step: str, attempt: int, unique: str) -> str:
    """Give a name that says whose it is, and that no other container has."""
    safe = [re.sub(r"[^A-Za-z0-9_.-]+", "-", part)[:40].strip("-") for part in (run, step)]
    return "-".join(filter(None, ("dagnats", *safe, str(attempt), unique)))


def service_name(run: str, scope: str, service: str) -> str:
    """Give the name of the container of a service, of which a run has one."""
    return container_name(run, scope + "services-" + service, 1, secrets.token_hex(4))


def port(runtime: Runtime, name: str, number: int) -> list[str]:
    """Ask on which port of the machine one of the container is reached."""
    return [runtime.program, "port", name, f"{number}/tcp"]


def execute(runtime: Runtime, name: str, words: Sequence[str]) -> list[str]:
    """Run a command in a container that runs."""
    return [runtime.program, "exec", name, *words]


def words_of(texts: Iterable[str] | None) -> tuple[str, ...]:
    """Give words of an image, which may have none."""
    return tuple(texts or ())


def spawn_code(said_text: str) -> int:
    """Give the exit code of what could not be started: as a shell has it, or 125 for what is the runtime's."""
    if re.search(r"not found in \$PATH|no such file or directory", said_text, re.IGNORECASE):
        return 127
    return 126 if re.search(r"permission denied|exec format", said_text, re.IGNORECASE) else 125


def program_and(entrypoint: Sequence[str] | None, words: Sequence[str]) -> tuple[str | None, tuple[str, ...]]:
    """Split what is run into the two that command lines of runtimes know: the program, and the words behind it."""
    whole = (*(entrypoint or ()), *words)
    return (whole[0], whole[1:]) if whole else (None, ())
