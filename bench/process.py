"""Runs one command to its end and says how long that took and how much memory it needed."""

import os
import signal
import subprocess
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

TIME_LIMIT_S = 900.0
CHUNK_BYTES = 1 << 20
TAIL_BYTES = 2000
SAMPLE_INTERVAL_S = 0.25


class BenchError(Exception):
    """A measurement that says nothing: the command failed, or did not do what it was asked."""


@dataclass(frozen=True, slots=True)
class Finished:
    """What a command needed. `read_bytes` and `read_lines` are what came through its pipe, if it had one."""

    seconds: float
    peak_rss_bytes: int
    tree_rss_bytes: int = 0
    read_bytes: int = 0
    read_lines: int = 0


def environment() -> dict[str, str]:
    """The caller's environment without what would change how a runner behaves, prints, or keeps its compiled modules."""
    others = ("DAGNATS_", "TASK_", "JUST_", "PYTHON")
    env = {name: value for name, value in os.environ.items() if not name.startswith(others)}
    return env | {"NO_COLOR": "1"}


def measure(
    argv: Sequence[str | Path], directory: Path, *, stdout: Path | None = None, pipe: bool = False, tree: bool = False
) -> Finished:
    """Run `argv` in `directory`, which must end with 0; its output goes to a file, or through a pipe that is read at once.

    With `tree` the memory of all its processes together is sampled, where the system tells it (Linux).
    """
    console = directory / "console.txt"
    with console.open("wb") as diagnostics, (stdout or console).open("ab") as output:
        start = time.perf_counter()
        child = subprocess.Popen(
            [str(part) for part in argv],
            cwd=directory,
            env=environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE if pipe else output,
            stderr=diagnostics,
            start_new_session=True,
        )
        limit = threading.Timer(TIME_LIMIT_S, os.killpg, (child.pid, signal.SIGKILL))
        limit.start()
        sampler = _TreeSampler(child.pid) if tree else None
        try:
            read_bytes, read_lines = _drain(child) if pipe else (0, 0)
            _, status, usage = os.wait4(child.pid, 0)
            seconds = time.perf_counter() - start
        except KeyboardInterrupt:
            os.killpg(child.pid, signal.SIGKILL)
            raise
        finally:
            limit.cancel()
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode != 0:
        raise BenchError(f"{_shown(argv)} ended with {child.returncode} after {seconds:.1f} s: {_tail(console)}")
    return Finished(seconds, _rss_bytes(usage.ru_maxrss), sampler.stop() if sampler else 0, read_bytes, read_lines)


def _drain(child: subprocess.Popen[bytes]) -> tuple[int, int]:
    if child.stdout is None:
        return 0, 0
    read_bytes = read_lines = 0
    with child.stdout as pipe:
        while chunk := os.read(pipe.fileno(), CHUNK_BYTES):
            read_bytes += len(chunk)
            read_lines += chunk.count(b"\n")
    return read_bytes, read_lines


def _rss_bytes(ru_maxrss: int) -> int:
    return ru_maxrss if os.uname().sysname == "Darwin" else ru_maxrss * 1024


def _shown(argv: Sequence[str | Path]) -> str:
    return " ".join([Path(argv[0]).name, *(str(part) for part in argv[1:])])


def _tail(path: Path) -> str:
    return path.read_bytes()[-TAIL_BYTES:].decode(errors="replace").strip() or "it printed nothing"


class _TreeSampler:
    """Asks now and then how much memory a process and all below it have, and keeps the most."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._peak_bytes = 0
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._sample, daemon=True)
        self._thread.start()

    def stop(self) -> int:
        self._ended.set()
        self._thread.join()
        return self._peak_bytes

    def _sample(self) -> None:
        page_bytes = os.sysconf("SC_PAGE_SIZE")
        while not self._ended.wait(SAMPLE_INTERVAL_S):
            self._peak_bytes = max(self._peak_bytes, _resident_pages(self._pid) * page_bytes)


def _resident_pages(pid: int) -> int:
    process = Path("/proc") / str(pid)
    try:
        pages = int((process / "statm").read_text().split()[1])
        children = [
            child for thread in (process / "task").iterdir() for child in (thread / "children").read_text().split()
        ]
    except (OSError, IndexError):
        return 0
    return pages + sum(_resident_pages(int(child)) for child in children)
