"""The directory of one run: its store, its connection file, its lock; private to the user, and kept for the newest runs.

| file | holds |
| --- | --- |
| `lock` | who runs it, or ran it last; the operating system's lock on it is held by whoever runs it or reads its store |
| `connection` | the address of the server while it runs; its age says when the runner was last seen alive |
| `reader` | who read the store last, when nobody ran it |
| `seen`, `end` | how many commits the journal has, and the hash of the last, while it goes on, and once it is over |
| `store`, `nats.conf` | the server's |
| `tmp` | the files of attempts while they run |
"""

import contextlib
import fcntl
import os
import shutil
import tempfile
import threading
import time
from pathlib import Path

from msgspec import json

from dagnats.errors import EngineError
from dagnats.fence import Owner, owner_from
from dagnats.naming import AGAIN, inner, said
from dagnats.remains import GONE

KEPT_RUNS = 20
RESUMABLE_S = 30 * 24 * 3600.0  # so long a run is kept that is not over
BEAT_S = 2.0  # so often a runner says that it is alive
OTHERS_S = 10.0  # so long one is waited for that somebody reads
LOOK_S = 0.02
LEASE_S = 30.0  # one that has not for so long has lost its run, should somebody else take it over
CONNECTION = "connection"
READER = "reader"
SEEN = "seen"  # the same, of a run that goes on or was killed: it has at least so many
END = "end"  # the file that says how many commits a journal has that is over, and the hash of the last
STATUS = "status.json"  # the file that says for the list of runs how far a run is
OPENED = (
    "opened"  # the file that says from which bundle a run was opened; such a run is looked at, and not gone on with
)


class RunDirectory:
    """A run's directory while the run goes on; the lock is the operating system's, so it is released however the runner ends."""

    def __init__(
        self, path: Path, lock: int, *, holder: Path | None, made: Path | None = None, is_taken: bool = False
    ) -> None:
        self.path = path
        self.name = path.name
        self._holder = holder
        self._made = made
        self._is_refused = False
        self._lock = lock
        self._seen: int | None = None
        self.is_taken = is_taken  # from a runner that is not gone, but was not heard of for too long
        # beside the run: removing a large store takes as long as a short run
        self._pruning = threading.Thread(target=_prune, args=(path.parent,), name="prune")
        if holder is None:
            self._pruning.start()

    @property
    def scratch(self) -> Path:
        """Where scripts and outputs of attempts live while they run."""
        return self.path / "tmp"

    @property
    def passing(self) -> Path:
        """What of it is removed at the end: all of an ephemeral one, the files of attempts of another."""
        return self._holder or self.scratch

    def seal(self, commits: int, last: str) -> None:
        """Note where the journal ends, outside of the store, which can lose its end without a word."""
        with contextlib.suppress(OSError):
            (self.path / END).write_text(f"{commits} {last}\n")

    def note_status(self, status: bytes) -> None:
        """Leave word for the list of runs; it is never half written, and missing rather than an error."""
        if self._holder is None:
            write_status(self.path, status)

    def owned_by(self, owner: Owner) -> None:
        """Write down who runs it, before anything is started that would have to be found."""
        os.ftruncate(self._lock, 0)
        os.pwrite(self._lock, owner.text().encode(), 0)

    def connected(self, url: str, token: str) -> None:
        """Tell other processes of this user where the server is."""
        path = self.path / f"{CONNECTION}.new"
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(json.encode({"url": url, "token": token}))
        path.replace(self.path / CONNECTION)

    def beat(self) -> None:
        """Say that the runner is alive."""
        with contextlib.suppress(OSError):
            os.utime(self.path / CONNECTION)

    def note_commit(self, place: int, last: str) -> None:
        """Note outside of the store how far the journal has come: that can lose its end without a word."""
        with contextlib.suppress(OSError):
            if self._seen is None:
                self._seen = os.open(self.path / SEEN, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
            os.pwrite(self._seen, f"{place:12} {last}\n".encode(), 0)  # always as long: there is no half of it

    @property
    def is_ours(self) -> bool:
        """Whether the run is still this runner's: another may have taken it over while this one was stopped."""
        try:
            there, held = (self.path / "lock").stat(), os.fstat(self._lock)
        except OSError:
            return False
        return (there.st_dev, there.st_ino) == (held.st_dev, held.st_ino)

    def refuse(self) -> None:
        """Have nothing kept: the run was refused at the last moment."""
        self._is_refused = True

    def close(self) -> None:
        """Release it; an ephemeral or refused one is removed, and so are runs that are too old by now."""
        if self._holder is None:
            self._pruning.join()
        if self.is_ours:
            disconnected(self.path)
        shutil.rmtree(self.path if self._is_refused and self._holder is None else self.passing, ignore_errors=True)
        if self._is_refused and self._made is not None:
            _remove_state(self._made)
        for descriptor in (self._lock, self._seen):
            if descriptor is not None:
                os.close(descriptor)


def write_status(directory: Path, status: bytes) -> None:
    """Put the file there at once and whole, if the disk takes it."""
    new = directory / f"{STATUS}.{os.getpid()}"
    with contextlib.suppress(OSError):
        new.write_bytes(status)
        new.replace(directory / STATUS)
    with contextlib.suppress(OSError):
        new.unlink()


def journal_end(directory: Path) -> tuple[int, str] | None:
    """Give where the journal of a run ends, or None for a run that did not come to its end."""
    return _commit(directory / END)


def journal_seen(directory: Path) -> tuple[int, str] | None:
    """Give a commit near the end of a journal, by its place and hash, or None if none was noted."""
    return _commit(directory / END) or _commit(directory / SEEN)


def _commit(path: Path) -> tuple[int, str] | None:
    try:
        commits, last = path.read_text().split()
        return int(commits), last
    except (OSError, ValueError):
        return None


def connection(directory: Path) -> tuple[str, str] | None:
    """Give the url and the token of the server of a run that goes on, or None when it has none right now."""
    try:
        record = json.decode((directory / CONNECTION).read_bytes(), type=dict[str, str])
        return record["url"], record["token"]
    except (OSError, ValueError, KeyError):
        return None


def silent_s(directory: Path) -> float | None:
    """How long nobody has heard of the runner; None when there is none to hear of."""
    try:
        return max(0.0, time.time() - (directory / CONNECTION).stat().st_mtime)
    except OSError:
        return None


def owners(directory: Path) -> list[Owner]:
    """Give who runs it, or ran it last, and who read its store last."""
    found = (_owner_in(directory / name) for name in ("lock", READER))
    return [owner for owner in found if owner is not None]


def _owner_in(path: Path) -> Owner | None:
    try:
        return owner_from(path.read_text())
    except (OSError, ValueError):
        return None


def note_reader(directory: Path, owner: Owner) -> None:
    """Write down who reads the store."""
    (directory / READER).write_text(owner.text())


def disconnected(directory: Path) -> None:
    """Forget the server of a runner that is gone."""
    with contextlib.suppress(OSError):
        (directory / CONNECTION).unlink()


def reopen(path: Path) -> RunDirectory:
    """Take a run over whose runner is gone, or has not been heard of for too long. Raises EngineError when somebody runs it."""
    try:
        lock = os.open(path / "lock", os.O_RDWR | os.O_CLOEXEC)
        until, is_taken = time.monotonic() + OTHERS_S, False
        while not _try_lock(lock):
            silent = silent_s(path)
            if silent is not None and silent >= LEASE_S and not _is_heard_of(path):
                os.close(lock)
                lock, is_taken = _taken_over(path), True
                break
            if silent is not None or time.monotonic() > until:
                os.close(lock)
                raise _held(path)
            time.sleep(LOOK_S)  # somebody reads it
        with contextlib.suppress(FileExistsError):
            (path / "tmp").mkdir(mode=0o700)
    except OSError as error:
        raise EngineError(f"run {path.name} can not be taken up: {error.strerror}: {error.filename}") from error
    return RunDirectory(path, lock, holder=None, is_taken=is_taken)


def _held(path: Path) -> EngineError:
    owner = _owner_in(path / "lock")
    who = f" in process {owner.runner}" if owner is not None else ""
    return EngineError(f"run {path.name} is still going on{who}: `dagnats attach {path.name}` shows it")


def _is_heard_of(path: Path) -> bool:
    """Wait whether the runner says that it is alive after all: its machine may just have woken up."""
    until = time.monotonic() + 2.5 * BEAT_S
    while time.monotonic() < until:
        silent = silent_s(path)
        if silent is None or silent < LEASE_S:
            return True
        time.sleep(LOOK_S)
    return False


def _taken_over(path: Path) -> int:
    """Put a lock of ours in the place of the one that a stopped runner holds, which finds that out when it goes on."""
    before = _owner_in(path / "lock")
    lock = os.open(path / "lock.new", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    if not _try_lock(lock) or _owner_in(path / "lock") != before or silent_s(path) is None:
        os.close(lock)
        raise _held(path)  # another has been quicker
    if before is not None:
        os.pwrite(lock, before.text().encode(), 0)  # until what it has left is ended
    (path / "lock.new").replace(path / "lock")
    disconnected(path)
    return lock


def _try_lock(lock: int) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def create(workspace: Path, *, ephemeral: bool) -> RunDirectory:
    """Make the directory of a new run beneath the project, or beneath the system's temporary directory when it shall not be kept."""
    state = workspace / ".dagnats"
    made = None if ephemeral or state.exists() else state
    try:
        if ephemeral:
            runs = Path(tempfile.mkdtemp(prefix="dagnats-"))
        else:
            runs = state / "runs"
            runs.mkdir(mode=0o700, parents=True, exist_ok=True)
        path = _named(runs)
        if not ephemeral:
            _ignored_by_git(state)
        (path / "tmp").mkdir(mode=0o700)
        return RunDirectory(path, _locked(path), holder=runs if ephemeral else None, made=made)
    except OSError as error:
        hint = "" if ephemeral else "; `--ephemeral` keeps the run outside the project"
        raise EngineError(
            f"the run's directory can not be made beneath {workspace}: {error.strerror or error}{hint}"
        ) from error


def opening(workspace: Path) -> RunDirectory:
    """Make a directory for a run that comes from elsewhere; until it has its place, nobody takes it for a run. Raises EngineError."""
    state = workspace / ".dagnats"
    made = None if state.exists() else state
    try:
        runs = state / "runs"
        runs.mkdir(mode=0o700, parents=True, exist_ok=True)
        path = Path(tempfile.mkdtemp(prefix=".opening-", dir=runs))
        _ignored_by_git(state)
        return RunDirectory(path, _locked(path), holder=path, made=made)
    except OSError as error:
        raise EngineError(
            f"the run's directory can not be made beneath {workspace}: {error.strerror or error}"
        ) from error


def settle(directory: RunDirectory, name: str) -> Path:
    """Give a run that was opened its place: its name or, where another run has it, a directory of its own, in which it has it."""
    runs = directory.path.parent
    for number in range(1, 10_000):
        holder = runs / (name if number == 1 else f"{name}{AGAIN}{number}")
        try:
            holder.mkdir(mode=0o700)
        except FileExistsError:
            continue
        place = holder if number == 1 else holder / name
        directory.path.replace(place)  # an empty directory is replaced
        return place
    raise EngineError(f"too many runs in {runs} are called {name}: remove some of them")


def origin(directory: Path) -> str | None:
    """Give the bundle from which a run was opened, or None for one that ran here."""
    try:
        return (directory / OPENED).read_text(errors="replace").strip()
    except OSError:
        return None


def _ignored_by_git(state: Path) -> None:
    ignore = state / ".gitignore"
    if not ignore.exists():
        ignore.write_text("*\n")


def _remove_state(state: Path) -> None:
    """Remove what the first run of a project made for all, unless another run has come to use it."""
    try:
        (state / "runs").rmdir()
        (state / ".gitignore").unlink()
        state.rmdir()
    except OSError:
        return


def _named(runs: Path) -> Path:
    """Make a directory with a name that can be said, and that no other run here has."""
    pair = said()
    for number in range(1, 10_000):
        path = runs / f"{pair}-{number}"
        try:
            path.mkdir(mode=0o700)
        except FileExistsError:
            continue
        except FileNotFoundError:  # a run that was refused has just removed what it had made
            runs.mkdir(mode=0o700, parents=True, exist_ok=True)
            continue
        return path
    raise EngineError(f"no free name for a run in {runs}: remove old runs there")


def _locked(path: Path) -> int:
    descriptor = os.open(path / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    return descriptor


def discard(path: Path) -> None:
    """Remove the directory of a run, whose lock the caller holds. It is no run any more at once, whatever happens meanwhile. Raises OSError."""
    gone = path.with_name(f".{path.name}.{os.getpid()}{GONE}")
    path.rename(gone)
    shutil.rmtree(gone)


def _waits_for_resume(entry: os.DirEntry[str]) -> bool:
    """Whether a run has begun and is not over, as one that is parked, and is young enough for somebody to come back to it."""
    young = time.time() - entry.stat(follow_symlinks=False).st_mtime < RESUMABLE_S
    run = inner(Path(entry.path))
    return young and (run / SEEN).exists() and not (run / END).exists()


def _prune(runs: Path) -> None:
    """Remove all but the newest runs; one that somebody holds the lock of is running, and stays, as does one that may be gone on with, for a time."""
    try:
        entries = [entry for entry in os.scandir(runs) if entry.is_dir(follow_symlinks=False)]
        entries.sort(key=lambda entry: entry.stat(follow_symlinks=False).st_mtime, reverse=True)
    except OSError:
        return  # another run is removing them just now
    for entry in entries[KEPT_RUNS:]:
        try:
            if _waits_for_resume(entry):
                continue
            lock = _locked(inner(Path(entry.path)))
        except OSError:
            continue
        with contextlib.suppress(OSError):
            discard(Path(entry.path))
        os.close(lock)
