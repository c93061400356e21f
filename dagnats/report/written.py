"""Reports of a run that is over, made from its journal and its stored output, so that they are the same whenever they are made."""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence

from msgspec import Struct

from dagnats.bus import journal
from dagnats.bus.link import Link
from dagnats.bus.output import read_tails
from dagnats.errors import EngineError, UsageError
from dagnats.report.record import Outputs, Owner, Printed, Record

STDOUT = "-"


class Report(Struct, frozen=True):
    """A report to be written: its option, the file, and whether that already holds what others have written."""

    option: str
    path: str
    appends: bool = False


class _Kind(Struct, frozen=True):
    """How a report is made: what of the output it shows, and its bytes."""

    wants: Callable[[Record], Mapping[Owner, int]]
    made: Callable[[Record, Outputs], bytes]


def check(reports: Sequence[Report]) -> None:
    """Refuse a file that can not be written while nothing has started. Raises UsageError."""
    for report in reports:
        folder = os.path.dirname(report.path) or "."  # noqa: PTH120 (as typed)
        if report.path == STDOUT:
            continue
        if os.path.isdir(report.path):  # noqa: PTH112 (as typed)
            raise UsageError(f"{report.option} {report.path}: it is a directory; nothing was started")
        if not os.path.isdir(folder):  # noqa: PTH112
            raise UsageError(f"{report.option} {report.path}: there is no directory {folder}; nothing was started")
        if not os.access(report.path if os.path.exists(report.path) else folder, os.W_OK):  # noqa: PTH110
            raise UsageError(f"{report.option} {report.path}: it may not be written; nothing was started")


async def write(link: Link, run: str, reports: Sequence[Report]) -> Record:
    """Read the run back, and write its reports. Raises EngineError when one can not be written, and JournalError."""
    record = Record([event async for commit in journal.read(link, run) for event in commit])
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
    for report in reports:
        outputs = dict(_ends(tails, wanted[report.option], kept))
        _write(report, kinds[report.option].made(record, outputs))
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

        return _Kind(junit_wants, junit)
    if option == "--html":
        from dagnats.report.page import html, html_wants  # noqa: PLC0415 - the same

        return _Kind(html_wants, lambda record, outputs: "".join(html(record, outputs)).encode())
    from dagnats.report.markdown import summary, summary_wants  # noqa: PLC0415 - the same

    return _Kind(summary_wants, lambda record, outputs: summary(record, outputs).encode("utf-8", "replace"))


def _write(report: Report, data: bytes) -> None:
    try:
        if report.path == STDOUT:
            with os.fdopen(os.dup(1), "wb") as file:
                file.write(data)
        else:
            with open(report.path, "ab" if report.appends else "wb") as file:  # noqa: PTH123 (as typed)
                file.write(data)
    except OSError as error:
        raise EngineError(f"{report.option} {report.path}: {error.strerror}") from error
