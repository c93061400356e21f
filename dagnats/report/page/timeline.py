"""The timeline of a run: a bar an attempt, on one axis."""

from collections.abc import Iterator, Sequence

from dagnats.core.state import Status
from dagnats.report.page.rows import LOOKS, Row, attempt_status, id_text, is_open, sign, word
from dagnats.report.record import Attempt, Record
from dagnats.report.view import duration

_TICKS_MAX = 8
_STEPS_S = (
    0.01,
    0.02,
    0.05,
    0.1,
    0.2,
    0.5,
    1,
    2,
    5,
    10,
    15,
    30,
    60,
    120,
    300,
    600,
    900,
    1800,
    3600,
    7200,
    14400,
    21600,
    43200,
    86400,
)
_SHORTEST = 0.05  # percent
_TALL = 50  # more lines are scrolled in their box
_DEPTH_MAX = 4  # further in, nothing is indented more


def timeline(record: Record, found: Sequence[Row]) -> Iterator[str]:
    """Write a table with a line for each step that has started."""
    started = [row for row in found if row.span is not None]
    if not started:
        yield '<p class="note">No step has started.</p>'
        return
    axis = _Axis(record.began_at, record.ended_at)
    tick_s, ticks = axis.ticks()
    labels = "".join(f'<span style="left:{axis.part(at):.2f}%">{_tick(at)}</span>' for at in ticks)
    yield (
        f'<div class="box{" tall" if len(started) > _TALL else ""}" role="region" aria-label="Timeline" tabindex="0">'
        f'<table class="time" style="--tick:{axis.part(tick_s):.4f}%"><caption class="sr">When each step waited and ran</caption>'
        f'<thead><tr><th scope="col">Step</th><td><div class="t">{labels}</div></td><th scope="col">Took</th></tr></thead><tbody>\n'
    )
    for row in started:
        yield _line(row, axis)
    yield "</tbody></table></div>\n"
    if len(started) < len(found):
        yield f'<p class="note">{len(found) - len(started):,} of {len(found):,} steps never started and are not shown here.</p>'


class _Axis:
    """Where a time stands, in percent."""

    def __init__(self, began_at: float, ended_at: float) -> None:
        self.began_at = began_at
        self.ended_at = max(began_at, ended_at)
        self.length_s = max(ended_at - began_at, 0.001)

    def part(self, seconds: float) -> float:
        return min(100.0, max(0.0, 100 * seconds / self.length_s))

    def at(self, at: float) -> float:
        return self.part(at - self.began_at)

    def ticks(self) -> tuple[float, list[float]]:
        """Give a round distance, and the times from the beginning at which a line is drawn."""
        step = next((step for step in _STEPS_S if self.length_s / step <= _TICKS_MAX), 0.0)
        if not step:
            step = 86400.0 * -(-self.length_s // (86400 * _TICKS_MAX))
        return step, [step * place for place in range(int(self.length_s / step) + 1)]


def _tick(seconds: float) -> str:
    if seconds < 1:
        return f"{seconds * 1000:.0f}ms" if seconds else "0"
    minutes, rest = divmod(round(seconds, 2), 60)
    hours, minutes = divmod(int(minutes), 60)
    parts = [f"{hours}h" if hours else "", f"{minutes}m" if minutes else "", f"{rest:g}s" if rest else ""]
    return "".join(parts)


def _line(row: Row, axis: _Axis) -> str:
    # rows are many: what they repeat is short
    bars = "".join(_bars(row, axis))
    took = duration(row.took_s) if row.took_s is not None else word(row.status)
    look = f"d{min(row.depth, _DEPTH_MAX)}" + (" c" if row.critical else "")
    said = '<span class="sr"> (critical path)</span>' if row.critical else ""
    return (
        f'<tr class="{look}"><th scope="row">{sign(row.status)} <a href="#{row.anchor}">{id_text(row.id.removeprefix(row.above))}</a>{said}</th>'
        f'<td><div class="t">{bars}</div></td><td>{took}</td></tr>\n'
    )


def _bars(row: Row, axis: _Axis) -> Iterator[str]:
    if row.span is None:
        return
    began_at, ended_at = row.span
    last_at = row.attempts[-1].started_at if row.attempts else began_at
    waiting_at = min(began_at, row.ready_at) if row.ready_at is not None and not row.hidden else began_at
    if axis.at(last_at) - axis.at(waiting_at) >= _SHORTEST:
        yield _bar("w", axis.at(waiting_at), axis.at(last_at), f"waited {duration(began_at - waiting_at)} to start")
    if not row.attempts:
        look = f"g {LOOKS[row.status][1]}"
        yield _bar(look, axis.at(began_at), axis.at(axis.ended_at if ended_at is None else ended_at), "its instances")
    for attempt in row.attempts:
        yield _attempt(row, attempt, axis)


def _attempt(row: Row, attempt: Attempt, axis: _Axis) -> str:
    status = attempt_status(attempt)
    is_last = attempt is row.attempts[-1]
    if is_last and not is_open(row.status):
        status = row.status  # which says also that the failure was allowed
    end = axis.ended_at if attempt.ended_at is None else attempt.ended_at
    took = f", {duration(max(0.0, end - attempt.started_at))}" if attempt.ended_at is not None else ""
    said = f"attempt {attempt.number}: {word(status)}{took}" if len(row.attempts) > 1 else f"{word(status)}{took}"
    look = "g " if row.state is not None and row.state.subrun is not None else ""
    look += LOOKS[status][1] if attempt.ended_at is not None else LOOKS[Status.RUNNING][1]
    return _bar(look, axis.at(attempt.started_at), axis.at(end), said)


def _bar(look: str, left: float, right: float, said: str) -> str:
    return f'<i class="{look}" style="left:{left:.2f}%;width:{max(right - left, _SHORTEST):.2f}%" title="{said}"></i>'
