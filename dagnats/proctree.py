"""What /proc tells about processes: children, descendants, sessions, marks.

Linux only: elsewhere `AVAILABLE` is false and a process group is all that can be reached. Imported by the guardian, whose
start-up counts: nothing but `os` is imported with it.
"""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable

MARK = b"DAGNATS_STEP_TOKEN"
AVAILABLE = os.path.exists("/proc/self/stat")  # noqa: PTH110  # pathlib would double the guardian's start-up
_PR_SET_CHILD_SUBREAPER = 36


def become_subreaper() -> None:
    """Have every orphan below this process adopted by it instead of by init."""
    if AVAILABLE:
        import ctypes  # noqa: PLC0415  # 3 ms, and only the guardian needs it

        ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def children(pid: int) -> list[int]:
    """The children of a process, of all its threads; empty when it is gone."""
    try:
        threads = os.listdir(f"/proc/{pid}/task")  # noqa: PTH208
    except OSError:
        return []
    lists = [_read(f"/proc/{pid}/task/{thread}/children") for thread in threads]
    if None in lists and os.path.exists(f"/proc/{pid}/stat"):  # noqa: PTH110
        return children_by_scan(pid)
    return [int(word) for text in lists if text for word in text.split()]


class OwnChildren:
    """The children of this process, which has one thread; asked for at the end of each, so the file stays open."""

    def __init__(self) -> None:
        pid = os.getpid()
        try:
            self._fd: int | None = os.open(f"/proc/{pid}/task/{pid}/children", os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            self._fd = None

    def read(self) -> list[int]:
        """Complete, unlike other processes' lists: no child vanishes from it while nobody waits for one."""
        if self._fd is None:
            return children_by_scan(os.getpid()) if AVAILABLE else []
        text = os.pread(self._fd, 65536, 0)
        while more := os.pread(self._fd, 65536, len(text)):
            text += more
        return [int(word) for word in text.split()]


def children_by_scan(pid: int) -> list[int]:
    """The same from every process's status, for a kernel without lists of children."""
    return [other for other in processes() if _status(other)[1] == pid]


def with_descendants(roots: Iterable[int]) -> set[int]:
    """These processes and all below them."""
    found: set[int] = set()
    todo = list(roots)
    while todo:
        pid = todo.pop()
        if pid not in found:
            found.add(pid)
            todo += children(pid)
    return found


def processes() -> list[int]:
    """Every process there is."""
    return [int(name) for name in os.listdir("/proc") if name.isdigit()]  # noqa: PTH208


def session(pid: int) -> int | None:
    """The session of a process; None when it is gone."""
    return _status(pid)[3]


def is_alive(pid: int) -> bool:
    """Whether a process still runs: neither gone nor waiting to be reaped."""
    return _status(pid)[0] not in (b"", b"Z", b"X")


def marks(pid: int) -> list[bytes] | None:
    """The marks in a process's environment, the outermost first: a runner may run below another runner.

    None when there is no environment to read, as for the moment in which a process becomes another program. One that was cleared looks the same.
    """
    environment = _read(f"/proc/{pid}/environ")
    if not environment:
        return None
    _, found, rest = (b"\0" + environment).partition(b"\0" + MARK + b"=")
    return rest.partition(b"\0")[0].split(b"/") if found else []


def words(pid: int) -> list[bytes]:
    """The words of a process's command line; empty when it is gone."""
    return (_read(f"/proc/{pid}/cmdline") or b"").split(b"\0")


def belonging(mark: bytes, sessions: Collection[int]) -> list[int]:
    """All living processes that are in one of these sessions or carry a mark that begins so."""
    return [
        pid
        for pid in processes()
        if is_alive(pid) and (session(pid) in sessions or any(word.startswith(mark) for word in marks(pid) or ()))
    ]


def _status(pid: int) -> tuple[bytes, int | None, int | None, int | None]:
    """State, parent, group and session. The name before them may hold anything, closing parentheses too."""
    fields = (_read(f"/proc/{pid}/stat") or b"").rpartition(b")")[2].split()
    if len(fields) < 4:
        return b"", None, None, None
    return fields[0], int(fields[1]), int(fields[2]), int(fields[3])


def _read(path: str) -> bytes | None:
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        return b"".join(iter(lambda: os.read(fd, 65536), b""))
    except OSError:  # the process ended while it was read
        return None
    finally:
        os.close(fd)


def signalled(how: Callable[[int, int], None], target: int, number: int) -> bool:
    """Signal, if it is there. A process that may not be signalled is there too."""
    try:
        how(target, number)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
