"""`dagnats runs`: what is kept in this project. It reads a small file for each run, and starts a server only for one that has none, once."""

import contextlib
import fcntl
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from msgspec.structs import replace

from dagnats.cli.looks import put, put_json, style_of_stdout
from dagnats.core.text import encode_json
from dagnats.errors import EngineError, JournalError, NewerVersionError, NotBegunError
from dagnats.kept import find, kept
from dagnats.naming import label
from dagnats.report.listing import RUNNING, Brief, decoded, encoded, is_newer
from dagnats.report.runs import DAMAGED, Run, runs_data, runs_lines
from dagnats.rundir import STATUS, connection, origin, write_status

UNKNOWN = "unknown"
RUNNER, READER = "runner", "reader"


def show_runs(form: str, number: int | None) -> int:
    """Print the list."""
    _, directories = kept()
    chosen = directories[:number]
    runs = sorted((_run(directory) for directory in chosen), key=_order, reverse=True)
    if form == "json":
        put_json(encode_json(runs_data(runs, time.time())))
        return 0
    style = style_of_stdout()
    put(runs_lines(runs, time.time(), style), style)
    if len(directories) > len(chosen):
        more = len(directories) - len(chosen)
        print(f"and {more:,} older run{'s' if more != 1 else ''}: --all lists them", file=sys.stderr)  # noqa: T201 - a word beside the list
    return 0


def _order(run: Run) -> tuple[float, str]:
    return run.brief.started_at, run.brief.run


def _run(directory: Path) -> Run:
    try:
        data = (directory / STATUS).read_bytes()
    except OSError:
        data = b""
    if is_newer(data):
        return Run(Brief(run=label(directory), status=UNKNOWN, problem="a newer dagnats has written it"))
    found = decoded(data)
    if found is None and _holder(directory):
        return Run(Brief(run=label(directory), status=RUNNING), is_held=True)  # it begins, or is of an earlier version
    brief = replace(found or _folded(directory), run=label(directory))
    if brief.status == RUNNING:
        return Run(brief, is_held=_holder(directory) == RUNNER, is_opened=origin(directory) is not None)
    if not (directory / "store").is_dir():
        return Run(Brief(run=label(directory), status=DAMAGED, problem="its store is gone"))
    return Run(brief)


def _holder(directory: Path) -> str:
    """Say who holds the lock of a run: its runner, which says how it can be reached, or somebody who reads or begins it; nothing if nobody does."""
    try:
        lock = os.open(directory / "lock", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return ""
    try:
        fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return RUNNER if connection(directory) is not None else READER
    else:
        return ""
    finally:
        os.close(lock)


def _folded(directory: Path) -> Brief:
    """Read the journal of a run that has left no word, as one of an earlier version, and note what it says."""
    from dagnats.cli.look import read  # noqa: PLC0415 - measured: asyncio and all that is only for such runs
    from dagnats.core.state import fold  # noqa: PLC0415 - the same
    from dagnats.report.listing import brief  # noqa: PLC0415 - the same

    before = directory.stat()
    try:
        found = brief(fold(read(directory).events))
    except (NewerVersionError, NotBegunError) as error:
        return Brief(run=directory.name, status=UNKNOWN, problem=str(error))
    except JournalError as error:
        return Brief(run=directory.name, status=DAMAGED, problem=str(error))
    except EngineError as error:
        return Brief(run=directory.name, status=UNKNOWN, problem=str(error))
    write_status(directory, encoded(found))
    with contextlib.suppress(OSError):  # what is old is removed first, and being listed is no use of it
        os.utime(directory, ns=(before.st_atime_ns, before.st_mtime_ns))
    return found


def note_damage(directory: Path, error: JournalError) -> None:
    """Have the list say what was found wrong, beside what it knows."""
    known = _noted(directory) or Brief(run=directory.name, status=DAMAGED)
    write_status(directory, encoded(replace(known, status=DAMAGED, problem=str(error))))


def note_repair(directory: Path) -> None:
    """Have the journal read again for the next list, if damage was found in it before."""
    known = _noted(directory)
    if known is not None and known.status == DAMAGED:
        with contextlib.suppress(OSError):
            (directory / STATUS).unlink()


def _noted(directory: Path) -> Brief | None:
    try:
        return decoded((directory / STATUS).read_bytes())
    except OSError:
        return None


def steps_of(name: str | None) -> Sequence[str]:
    """Give the ids of the steps of a run, for a shell."""
    from dagnats.cli.look import read  # noqa: PLC0415 - as above
    from dagnats.core.state import fold  # noqa: PLC0415 - as above

    return list(fold(read(find(name)).events).steps)
