"""Removes old runs of a project, and what a crash has left: processes, temporary directories, half-removed runs, containers.

What is alive is told by locks, which the operating system releases however a runner ends: nothing of a run whose lock somebody holds is touched.
"""

import asyncio
import contextlib
import fcntl
import os
import re
import shutil
import stat
import tempfile
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from pathlib import Path

from msgspec import Struct, field

from dagnats import fence, proctree, rundir, stored
from dagnats.definition.project import project_root
from dagnats.errors import DagnatsError, UsageError
from dagnats.naming import inner, label
from dagnats.process import Guardian
from dagnats.remains import GONE
from dagnats.rundir import KEPT_RUNS
from dagnats.workers.finding import find_all
from dagnats.workers.leftovers import Container, Leftovers

__all__ = ["KEPT_RUNS", "Cleaned", "Run", "Wish", "chosen", "clean", "size"]

MADE_WITHIN_S = 60.0  # a directory without a lock may be one that is just being made
_TEMPORARY = re.compile(r"dagnats-[a-z0-9_]{8}")
_RUN = re.compile(r"[a-z]+-[a-z]+-[0-9]+")


class Wish(Struct, frozen=True):
    """Which runs are to be removed: those that are named, all, those that ended so long ago, or all but the newest."""

    names: Sequence[str] = ()
    all: bool = False
    older_than_s: float | None = None
    keep: int = KEPT_RUNS


class Run(Struct, frozen=True):
    """A run that is kept. `last_at` is when it was last touched, and one that is not over can be resumed."""

    path: Path
    last_at: float
    is_over: bool


class Cleaned(Struct):
    """What was removed, or would be: lines for a person, and counts by kind; what could not be, and what nobody can tell."""

    lines: list[str] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)
    freed_bytes: int = 0
    problems: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def add(self, kind: str, what: str, freed_bytes: int = 0, count: int = 1) -> None:
        """Note something."""
        self.lines.append(what)
        self.counts[kind] = self.counts.get(kind, 0) + count
        self.freed_bytes += freed_bytes


def chosen(runs: Sequence[Run], wish: Wish, now: float) -> list[Run]:
    """Give the runs that a wish removes; `runs` are the newest first. One that can be resumed goes only by its name or with all."""
    if wish.names:
        return [run for run in runs if label(run.path) in wish.names]
    if wish.all:
        return list(runs)
    over = [run for run in runs if run.is_over]
    if wish.older_than_s is not None:
        return [run for run in over if run.last_at < now - wish.older_than_s]
    return [run for run in runs[wish.keep :] if run.is_over]


def clean(wish: Wish, *, dry_run: bool, environ: Mapping[str, str]) -> Cleaned:
    """Do it, or only find it. Raises UsageError for a run that is not there, or that goes on."""
    runs, kept = _project()
    wish = _with_whole_names(wish)
    cleaned = Cleaned()
    _clean_runs(chosen(kept, wish, time.time()), kept, wish, cleaned, dry_run=dry_run)
    if runs.is_dir():
        _clean_halves(runs, cleaned, dry_run=dry_run)
    _clean_temporary(cleaned, dry_run=dry_run)
    asyncio.run(_clean_containers(None if wish.all else str(runs.parent.parent), cleaned, environ, dry_run=dry_run))
    return cleaned


def _project() -> tuple[Path, list[Run]]:
    """Give where the runs of the project are, and these, the newest first."""
    try:
        runs, paths = stored.kept()
    except UsageError:
        return project_root("-") / ".dagnats" / "runs", []
    return runs, [Run(path, _last_at(path), rundir.journal_end(path) is not None) for path in paths]


def _with_whole_names(wish: Wish) -> Wish:
    names = [label(stored.find(name)) for name in wish.names]
    return Wish(names, wish.all, wish.older_than_s, wish.keep)


def _last_at(path: Path) -> float:
    times = []
    for name in ("lock", rundir.END):
        with contextlib.suppress(OSError):
            times.append((path / name).stat().st_mtime)
    return max(times, default=0.0)


def _clean_runs(going: Sequence[Run], kept: Sequence[Run], wish: Wish, cleaned: Cleaned, *, dry_run: bool) -> None:
    marked = _marked()
    for run in kept:
        with _held(run.path) as is_ours:
            if not is_ours:
                if label(run.path) in wish.names:
                    name = label(run.path)
                    raise UsageError(f"run {name} goes on, or is being read: `dagnats cancel {name}` ends it")
                continue
            _end_processes(run.path, marked, cleaned, dry_run=dry_run)
            if run in going:
                holder = run.path if label(run.path) == run.path.name else run.path.parent
                _remove("runs", f"run {label(run.path)}", holder, cleaned, None if dry_run else rundir.discard)


def _end_processes(directory: Path, marked: Mapping[str, set[int]], cleaned: Cleaned, *, dry_run: bool) -> None:
    """End what a runner has left that is gone."""
    for owner in rundir.owners(directory):
        left = marked.get(owner.mark, set())
        if not left:
            continue
        try:
            count = len(proctree.with_descendants(left)) if dry_run else fence.fence(owner)
        except DagnatsError as error:
            cleaned.problems.append(str(error))
            continue
        if count:
            words = f"{count} process{'es' if count != 1 else ''} of run {directory.name}"
            cleaned.add("processes", words, count=count)


def _marked() -> dict[str, set[int]]:
    """Give all processes that have the mark of a runner, by the mark; the guardian of one has it among its words."""
    found: dict[str, set[int]] = {}
    for pid in proctree.processes() if proctree.AVAILABLE else ():
        for word in proctree.marks(pid) or []:
            found.setdefault(word.partition(b".")[0].decode(errors="replace"), set()).add(pid)
        for mark in _guarded(pid):
            found.setdefault(mark, set()).add(pid)
    return found


def _guarded(pid: int) -> list[str]:
    """Give the mark of which a process is the guardian."""
    words = proctree.words(pid)
    return (
        [word.decode(errors="replace") for word in words[-2:]]
        if any(b"dagnats.guardian" in one for one in words)
        else []
    )


def _clean_halves(runs: Path, cleaned: Cleaned, *, dry_run: bool) -> None:
    """Remove what a removal has left that did not come to its end, and a run that was killed while its directory was made."""
    for path in sorted(runs.iterdir()):
        if path.is_symlink() or not path.is_dir():
            continue
        is_hidden, is_gone = path.name.startswith("."), path.suffix == GONE
        with _held(inner(path)) as is_ours:
            is_half = is_ours and _is_old(path) and (is_hidden or not (inner(path) / "lock").exists())
        if is_gone or is_half:
            _remove(
                "half-removed runs", f"half-removed run {path.name}", path, cleaned, None if dry_run else shutil.rmtree
            )


def _clean_temporary(cleaned: Cleaned, *, dry_run: bool) -> None:
    """Remove what ephemeral runs have left."""
    marked = _marked()
    for holder in _temporary():
        with contextlib.ExitStack() as stack:
            inside = list(holder.iterdir())
            if not all(stack.enter_context(_held(run)) for run in inside):
                continue
            for run in inside:
                _end_processes(run, marked, cleaned, dry_run=dry_run)
            what = f"temporary directory {holder}"
            _remove("temporary directories", what, holder, cleaned, None if dry_run else shutil.rmtree)


def _temporary() -> Iterator[Path]:
    """Give the directories of ephemeral runs: ours, private, and with nothing in them but a run."""
    for path in sorted(Path(tempfile.gettempdir()).glob("dagnats-*")):
        try:
            found = path.lstat()
            if not (stat.S_ISDIR(found.st_mode) and found.st_uid == os.geteuid() and _TEMPORARY.fullmatch(path.name)):
                continue
            inside = list(path.iterdir())
        except OSError:
            continue
        is_private = stat.S_IMODE(found.st_mode) == stat.S_IRWXU
        if is_private and all(_RUN.fullmatch(one.name) and one.is_dir() for one in inside) and _settled(path, inside):
            yield path


def _settled(path: Path, inside: Sequence[Path]) -> bool:
    """Whether it is not just being made."""
    return (bool(inside) and all((one / "lock").exists() for one in inside)) or _is_old(path)


def _is_old(path: Path) -> bool:
    try:
        return path.lstat().st_mtime < time.time() - MADE_WITHIN_S
    except OSError:
        return False


@contextlib.contextmanager
def _held(directory: Path) -> Iterator[bool]:
    """Hold the lock of a run, if there is one; false when somebody else does."""
    try:
        lock = os.open(directory / "lock", os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        yield True
        return
    except OSError:
        yield False
        return
    try:
        yield _locked(lock)
    finally:
        os.close(lock)


def _locked(lock: int) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def _remove(kind: str, what: str, path: Path, cleaned: Cleaned, remove: Callable[[Path], None] | None) -> None:
    freed = size(path)
    try:
        if remove is not None:
            remove(path)
    except OSError as error:
        cleaned.problems.append(f"{what} can not be removed: {error.filename or path}: {error.strerror}")
        return
    cleaned.add(kind, what, freed)


def size(path: Path) -> int:
    """Give how many bytes of the disk are beneath a directory."""
    total = 0
    for folder, _, files in os.walk(path):
        for name in files:
            with contextlib.suppress(OSError):
                total += (Path(folder) / name).lstat().st_blocks * 512
    return total


async def _clean_containers(
    project: str | None, cleaned: Cleaned, environ: Mapping[str, str], *, dry_run: bool
) -> None:
    """Remove the containers of runners that are gone: of this project, or of all when it is None."""
    guardian = Guardian.start()
    guardian.attach(asyncio.get_running_loop())
    try:
        runtimes, reasons = await find_all(guardian, environ)
        cleaned.notes += [f"{reason}; what containers there are is not known" for reason in reasons]
        seen: set[str] = set()
        for runtime in runtimes:
            leftovers = Leftovers(guardian, runtime)
            try:
                found = [one for one in await leftovers.found() if project in (None, one.workspace)]
                dead = [one for one in _dead(found, cleaned) if one.id not in seen]
                dead += [one for one in await leftovers.strays() if one.id not in seen]
                seen |= {one.id for one in dead}
                left = [] if dry_run else await leftovers.remove(dead)
            except DagnatsError as error:
                cleaned.problems.append(str(error))
                continue
            cleaned.problems += [f"container {one.said()} can not be removed" for one in left]
            for one in dead:
                if one not in left:
                    cleaned.add("containers", f"container {one.said()}")
    finally:
        await guardian.close()


def _dead(found: Sequence[Container], cleaned: Cleaned) -> list[Container]:
    """Give those whose runner is gone. Of one on another machine, or in another container, nobody here can tell."""
    here = os.uname().nodename
    guarded = {mark for pid in (proctree.processes() if proctree.AVAILABLE and found else ()) for mark in _guarded(pid)}
    dead = []
    for one in found:
        if one.host not in ("", here):
            cleaned.notes.append(f"container {one.said()} is of a runner on {one.host}, and is left alone")
        elif one.runner not in guarded and not _is_held(one, _places(one)):
            dead.append(one)
    return dead


def _places(container: Container) -> Collection[Path]:
    """Where the directory of its run may be."""
    return [
        Path(container.workspace) / ".dagnats" / "runs" / container.run,
        *Path(tempfile.gettempdir()).glob(f"dagnats-*/{container.run}"),
    ]


def _is_held(container: Container, places: Collection[Path]) -> bool:
    """Whether somebody runs it: a run that is resumed has another runner, which removes the container itself."""
    for place in places if container.run else ():
        with _held(place) as is_ours:
            if not is_ours:
                return True
    return False
