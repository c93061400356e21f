"""What the tests of the program share: its installed command, started in a directory, and its journal, read back from the run's own store."""

import asyncio
import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from dagnats import proctree
from dagnats.bus import journal
from dagnats.bus.link import Link
from dagnats.bus.server import Server
from dagnats.core.codec import decode_commit
from dagnats.core.events import AnyEvent
from dagnats.core.state import RunState, fold
from dagnats.process import Guardian

DAGNATS = str(Path(sys.executable).parent / "dagnats")
EVENTS = "events.jsonl"
BOUND_S = 30.0
_OURS = ("DAGNATS_", "CI", "GITHUB_", "GITLAB_", "FORCE_COLOR", "CLICOLOR", "NO_COLOR")


def environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """Give an environment in which nothing of the caller's decides what the program does or how it looks."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(_OURS)}
    return kept | {"NO_COLOR": "1", "LC_ALL": "C.UTF-8"} | dict(extra or {})


@dataclass(frozen=True)
class Result:
    code: int
    text: str  # stdout and stderr, in the order in which they were written
    took_s: float


def dagnats(
    args: Sequence[str], cwd: Path, env: Mapping[str, str] | None = None, *, timeout_s: float = BOUND_S
) -> Result:
    """Run the command to its end."""
    began_at = time.monotonic()
    done = subprocess.run(
        [DAGNATS, *args],
        cwd=cwd,
        env=environment(env),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=timeout_s,
        check=False,
    )
    return Result(done.returncode, done.stdout.decode("utf-8", "replace"), time.monotonic() - began_at)


def write_pipeline(directory: Path, text: str) -> None:
    (directory / "pipeline.yaml").write_text(text)


def read_events(file: Path) -> list[AnyEvent]:
    """Read what `--events` wrote."""
    records = [json.loads(line) for line in file.read_text().splitlines()]
    commit = {"v": 1, "run": "", "previous": "", "events": records}
    return decode_commit(json.dumps(commit).encode("utf-8", "surrogatepass"), "", "", 1)


def run_directory(workspace: Path) -> Path:
    """Give the directory of the only run there."""
    (found,) = (workspace / ".dagnats" / "runs").iterdir()
    return found


async def read_journal(directory: Path) -> list[AnyEvent]:
    """Start a server on the store that a run left, and read its journal."""
    guardian = Guardian.start()
    guardian.attach(asyncio.get_running_loop())
    link = Link()
    try:
        server = Server(guardian, directory)
        server.start()
        await link.connect(await server.ready())
        return [event async for commit in journal.read(link, directory.name) for event in commit]
    finally:
        await link.close()
        await guardian.close()


def check_journal(workspace: Path) -> RunState:
    """Fold the stored journal; it says the same as the events that the run wrote while it happened."""
    stored = asyncio.run(asyncio.wait_for(read_journal(run_directory(workspace)), BOUND_S))
    told = read_events(workspace / EVENTS)
    state, live = fold(stored), fold(told)
    assert stored == told
    assert statuses(state) == statuses(live)
    assert state.finished == live.finished
    return state


def statuses(state: RunState) -> dict[str, str]:
    return {id_: str(step.status) for id_, step in state.steps.items()}


class Running:
    """The command while it runs; `wait_for` follows what it prints."""

    def __init__(
        self, cwd: Path, *args: str, env: Mapping[str, str] | None = None, command: Sequence[str] | None = None
    ) -> None:
        self.cwd = cwd
        self.text = b""
        self.process = subprocess.Popen(
            [DAGNATS, *(command or ["run", "pipeline.yaml", "--events", EVENTS]), *args],
            cwd=cwd,
            env=environment(env),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()

    def wait_for(self, text: str, times: int = 1, within_s: float = BOUND_S) -> None:
        """Read until this was printed so many times."""
        until = time.monotonic() + within_s
        while self.text.count(text.encode()) < times:
            assert self._read(until - time.monotonic()), f"no {text!r} in {self.text.decode(errors='replace')}"

    def end(self, within_s: float = BOUND_S) -> Result:
        """Read to the end, and wait for it."""
        began_at = time.monotonic()
        while self._read(began_at + within_s - time.monotonic()):
            pass
        code = self.process.wait(max(0.1, began_at + within_s - time.monotonic()))
        return Result(code, self.text.decode("utf-8", "replace"), time.monotonic() - began_at)

    def signal(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def family(self) -> "Family":
        """Take hold of every process below the command, and of the command."""
        return Family(proctree.with_descendants([self.process.pid]))

    def _read(self, within_s: float) -> bytes:
        stream = self.process.stdout
        ready, _, _ = select.select([stream], [], [], max(0.0, within_s))
        assert ready, f"nothing more in time after {self.text.decode(errors='replace')}"
        chunk = os.read(stream.fileno(), 65536)
        self.text += chunk
        return chunk


class Family:
    """Processes that are held by descriptor, so that no other one with the same number can be taken for one of them."""

    def __init__(self, pids: set[int]) -> None:
        self.pids = pids
        self._held = {pid: fd for pid in pids if (fd := _hold(pid)) is not None}

    def alive_after(self, within_s: float) -> list[int]:
        """Wait until all have ended; gives those that have not."""
        until = time.monotonic() + within_s
        alive = []
        for pid, fd in self._held.items():
            poll = select.poll()
            poll.register(fd, select.POLLIN)
            if not poll.poll(max(0.0, until - time.monotonic()) * 1000):
                alive.append(pid)
            os.close(fd)
        self._held = {}
        return alive


def _hold(pid: int) -> int | None:
    try:
        return os.pidfd_open(pid)
    except ProcessLookupError:
        return None


def processes_of(workspace: Path | str) -> dict[int, str]:
    """Find every living process whose command line or environment names the workspace, or another word: servers, steps and what steps left."""
    found = {}
    word = os.fsencode(workspace)
    for pid in proctree.processes():
        if pid == os.getpid() or not proctree.is_alive(pid):
            continue
        told = _proc(pid, "cmdline")
        if word in told or word in _proc(pid, "environ"):
            found[pid] = told.replace(b"\0", b" ").decode(errors="replace")
    return found


def servers_of(workspace: Path) -> list[int]:
    return [pid for pid, command in processes_of(workspace).items() if "nats-server" in command.partition(" ")[0]]


def _proc(pid: int, name: str) -> bytes:
    try:
        return Path(f"/proc/{pid}/{name}").read_bytes()
    except OSError:
        return b""
