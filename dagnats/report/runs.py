"""The list of runs, as text and as data."""

from collections.abc import Iterator, Sequence

from msgspec import Struct

from dagnats.core.pipeline import JSON
from dagnats.report.listing import RUNNING, Brief
from dagnats.report.shown import moment
from dagnats.report.style import Style
from dagnats.report.view import SIGNS, clean, duration

INTERRUPTED, PARKED, DAMAGED = "interrupted", "parked", "damaged"
_HEAD = ("run", "pipeline", "status", "started", "took", "steps")
_STATUS = _HEAD.index("status")
_DIM = "2"
_CODES = {status.value: code for status, (_, code) in SIGNS.items()} | {INTERRUPTED: "33", PARKED: "33", DAMAGED: "31"}
_PIPELINE_MAX = 40


class Run(Struct, frozen=True):
    """A run in the list; `is_held` says that somebody runs it now, `is_opened` that it ran elsewhere and came in a bundle."""

    brief: Brief
    is_held: bool = False
    is_opened: bool = False

    @property
    def status(self) -> str:
        """How it is: what was to go on and is held by nobody was parked, where it can only wait, or interrupted."""
        if self.brief.status != RUNNING or self.is_held:
            return self.brief.status
        return PARKED if self.brief.only_waits else INTERRUPTED

    def took_s(self, now: float) -> float:
        """How long it took, or takes until now."""
        return max(0.0, (now if self.status == RUNNING else self.brief.at) - self.brief.started_at)


def runs_lines(runs: Sequence[Run], now: float, style: Style) -> Iterator[str]:
    """Give a line for each run below a line of titles."""
    rows = [_cells(run, now) for run in runs]
    widths = [max(len(row[place]) for row in (_HEAD, *rows)) for place in range(len(_HEAD))]
    yield style.paint("  ".join(_padded([*_HEAD, ""], widths)).rstrip(), _DIM)
    for run, row in zip(runs, rows, strict=True):
        cells = _padded([*row, _remark(run)], widths)
        code = _CODES.get(run.status)
        if code is not None:
            cells[_STATUS] = style.paint(cells[_STATUS], code)
        yield "  ".join(cells).rstrip()


def _padded(cells: Sequence[str], widths: Sequence[int]) -> list[str]:
    return [f"{cell:<{width}}" for cell, width in zip(cells, [*widths, 0], strict=True)]


def _cells(run: Run, now: float) -> tuple[str, ...]:
    brief = run.brief
    known = brief.started_at > 0
    return (
        brief.run,
        _cut(clean(brief.pipeline)),
        run.status.replace("_", " "),
        moment(brief.started_at) if known else "",
        duration(run.took_s(now)) if known else "",
        f"{brief.ended}/{brief.total}" if brief.total else "",
    )


def _cut(text: str) -> str:
    return text if len(text) <= _PIPELINE_MAX else text[: _PIPELINE_MAX - 1] + "…"


def _remark(run: Run) -> str:
    """Say what failed, what runs, or what to do."""
    brief = run.brief
    if run.status in (INTERRUPTED, PARKED):
        waits = f"{', '.join(brief.waits)} wait{'s' * (len(brief.waits) == 1)}; " if run.status == PARKED else ""
        return f"{waits}dagnats " + (f"rerun {brief.run} --failed" if run.is_opened else f"resume {brief.run}")
    if brief.problem:
        return clean(brief.problem)
    if brief.failures:
        more = brief.failed - len(brief.failures)
        return f"{', '.join(brief.failures)}{f' and {more:,} more' if more > 0 else ''} failed"
    now = [*brief.under_way, *brief.waits] if run.status == RUNNING else []
    return f"now {', '.join(now)}" if now else ""


def runs_data(runs: Sequence[Run], now: float) -> JSON:
    """Give the same as data."""
    return [
        {
            "run": run.brief.run,
            "pipeline": run.brief.pipeline,
            "status": run.status,
            "started_at": run.brief.started_at or None,
            "took_s": run.took_s(now) if run.brief.started_at else None,
            "steps": run.brief.total,
            "ended": run.brief.ended,
            "failed": run.brief.failed,
            "failures": list(run.brief.failures),
            "running": list(run.brief.under_way) if run.status == RUNNING else [],
            "waiting": list(run.brief.waits),
            "problem": run.brief.problem or None,
        }
        for run in runs
    ]
