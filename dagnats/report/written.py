"""Reports of a run that is over, made from its journal and its stored output, so that they are the same whenever they are made."""

import errno
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import BinaryIO

from msgspec import Struct

from dagnats.bus import journal
from dagnats.bus.link import Link
from dagnats.bus.output import read_tails
from dagnats.errors import EngineError, JournalError, UsageError
from dagnats.report.record import Outputs, Owner, Printed, Record

STDOUT = ("-", "/dev/stdout")  # which is not to be emptied, should it be a file
NO_BOUND = 1 << 40
_LIMIT = (1 << 20) - (1 << 10)  # of the file that GitHub takes, with what others have written there


class Report(Struct, frozen=True):
    """A report to be written: its option, the file, and whether that already holds what others have written."""

    option: str
    path: str
    appends: bool = False


class _Kind(Struct, frozen=True):
    """How a report is made: what of the output it shows, and its bytes, within a bound if it can be kept."""

    wants: Callable[[Record], Mapping[Owner, int]]
    made: Callable[[Record, Outputs, int], bytes]


def check(reports: Sequence[Report], others: Mapping[str, str | None]) -> None:
    """Refuse files that can not be written, or are something else, while nothing has started. Raises UsageError.

    `others` are files that are used otherwise, by what they are for.
    """
    taken = {os.path.realpath(path): what for what, path in others.items() if path is not None}
    for report in reports:
        folder = os.path.dirname(report.path) or "."  # noqa: PTH120 (as typed)
        if report.path in STDOUT:
            continue
        why = ""
        if os.path.isdir(report.path):  # noqa: PTH112 (as typed)
            why = "it is a directory"
        elif not os.path.isdir(folder):  # noqa: PTH112
            why = f"there is no directory {folder}"
        elif not os.access(report.path if os.path.exists(report.path) else folder, os.W_OK):  # noqa: PTH110
            why = "it may not be written"
        elif (other := taken.setdefault(os.path.realpath(report.path), report.option)) != report.option:
            why = f"it is {other}" if " " in other else f"{other} writes it too"
        if why:
            raise UsageError(f"{report.option} {report.path}: {why}; nothing was started")


async def write(link: Link, run: str, reports: Sequence[Report], end: tuple[int, str] | None = None) -> Record:
    """Read the run back, whose journal ends there if that is known, and write its reports.

    Raises EngineError when one can not be written, after all others are, and JournalError.
    """
    record = Record([event async for commit in journal.read(link, run, end) for event in commit])
    kinds = {report.option: _kind(report.option) for report in reports}
    wanted = {option: kind.wants(record) for option, kind in kinds.items()}
    most: dict[Owner, int] = {}
    for sizes in wanted.values():
        for owner, size in sizes.items():
            most[owner] = max(size, most.get(owner, 0))
    kept = {
        (attempt.step, attempt.number): attempt.kept_bytes
        for attempts in record.attempts.values()
        for attempt in attempts
    }
    tails = await read_tails(link, run, most, sum(kept.values())) if most else {}
    for owner, tail in tails.items():
        if len(tail) < min(most[owner], kept.get(owner, 0)):
            raise JournalError(f"the store of run {run} is damaged: a part of what {owner[0]} printed is missing")
    problem: EngineError | None = None
    for report in reports:
        outputs = dict(_ends(tails, wanted[report.option], kept))
        try:
            _write(report, partial(kinds[report.option].made, record, outputs))
        except EngineError as error:
            problem = problem or error
    if problem is not None:
        raise problem
    return record


def _ends(
    tails: Mapping[Owner, bytes], sizes: Mapping[Owner, int], kept: Mapping[Owner, int]
) -> Iterator[tuple[Owner, Printed]]:
    for owner, size in sizes.items():
        data = tails[owner][-size:] if size else b""
        yield owner, Printed(data, max(0, kept.get(owner, 0) - len(data)))


def _kind(option: str) -> _Kind:
    if option == "--junit":
        from dagnats.report.junit import junit, junit_wants  # noqa: PLC0415 - each is only for those who ask for it

        return _Kind(junit_wants, lambda record, outputs, _: junit(record, outputs))
    if option == "--html":
        from dagnats.report.page import html, html_wants  # noqa: PLC0415 - the same

        return _Kind(html_wants, lambda record, outputs, _: "".join(html(record, outputs)).encode())
    from dagnats.report.markdown import summary, summary_wants  # noqa: PLC0415 - the same

    return _Kind(summary_wants, lambda record, outputs, most: summary(record, outputs, most).encode("utf-8", "replace"))


def _write(report: Report, made: Callable[[int], bytes]) -> None:
    try:
        if report.path in STDOUT:
            with os.fdopen(os.dup(1), "wb") as file:
                file.write(made(NO_BOUND))
        elif report.appends:
            append(report.path, lambda before: made(_LIMIT - before))
        else:
            with _opened(report.path, os.O_TRUNC) as file:
                file.write(made(NO_BOUND))
    except OSError as error:
        raise EngineError(f"{report.option} {report.path}: {why_not(error)}") from error


def append(path: str, made: Callable[[int], bytes]) -> None:
    """Add to a file what is made, which is told how long the file is. A line that somebody left unfinished is ended before. Raises OSError."""
    begun, before = b"", 0
    if os.path.isfile(path):  # noqa: PTH113 (as named)
        with open(path, "rb") as read:  # noqa: PTH123
            before = read.seek(0, os.SEEK_END)
            read.seek(max(0, before - 1))
            begun = b"\n" if before and read.read(1) != b"\n" else b""
    with _opened(path, os.O_APPEND) as file:
        file.write(begun + made(before))


def _opened(path: str, flag: int) -> BinaryIO:
    """Open to write. A pipe without a reader is refused, not waited for."""
    descriptor = os.open(path, os.O_WRONLY | flag | os.O_CREAT | os.O_CLOEXEC | os.O_NONBLOCK, 0o644)
    os.set_blocking(descriptor, True)
    return os.fdopen(descriptor, "wb")


def why_not(error: OSError) -> str:
    """Say why a file can not be written."""
    return "it is a pipe that nobody reads" if error.errno == errno.ENXIO else str(error.strerror)
