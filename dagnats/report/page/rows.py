"""What the HTML report tells of each step, before it is drawn: one row a step, an instance, or a step of a pipeline."""

from collections.abc import Iterator, Mapping, Sequence
from html import escape

from msgspec import Struct

from dagnats.core.events import Reason, StepCancelled, StepFailed, StepSucceeded
from dagnats.core.planstate import PlanState
from dagnats.core.state import TERMINAL, Status, StepState
from dagnats.report.record import Attempt, Record
from dagnats.report.view import clean, sums_up, took_s, why

ATTEMPTS_MAX = 20  # of one step, the newest
ALL_ATTEMPTS_MAX = 3_000
_ATTEMPTS_MIN = 2
_ID_MAX = 120
_TEXT_MAX = 300

# a sign and a class of the style for each status; the word is always said too
LOOKS: Mapping[Status, tuple[str, str]] = {
    Status.PENDING: ("·", "skip"),
    Status.QUEUED: ("·", "skip"),
    Status.RUNNING: ("▸", "run"),
    Status.WAITING: ("↻", "run"),
    Status.SUCCEEDED: ("✓", "ok"),
    Status.WARNING: ("!", "warn"),
    Status.FAILED: ("✗", "fail"),
    Status.TIMED_OUT: ("✗", "fail"),
    Status.CANCELLED: ("\u2013", "stop"),
    Status.SKIPPED: ("\u2013", "skip"),
    Status.BLOCKED: ("\u2013", "skip"),
}


class Row(Struct, frozen=True):
    """One step as the report shows it.

    `state` is None for a step of an attempt of its pipeline that was followed by another: only its attempts are known. `attempts` are the newest,
    `hidden` is how many there were before. `ready_at` is when nothing but the runner let it wait any more, or None when that is not known. `above` is the step whose instance it is, or which runs its pipeline.
    """

    anchor: str
    id: str
    depth: int
    status: Status
    why: str
    attempts: tuple[Attempt, ...]
    hidden: int
    state: StepState | None = None
    ready_at: float | None = None
    critical: bool = False
    above: str = ""

    @property
    def span(self) -> tuple[float, float | None] | None:
        """From its first start to its end, which is None while it runs, or None when it never started."""
        if self.state is not None:
            began_at, ended_at = self.state.first_started_at, self.state.ended_at
            return (began_at, ended_at) if began_at is not None else None
        return (self.attempts[0].started_at, self.attempts[-1].ended_at) if self.attempts else None

    @property
    def took_s(self) -> float | None:
        """How long it took in all, if it has started and ended."""
        if self.span is None or self.span[1] is None:
            return None
        return took_s(self.state) if self.state is not None else max(0.0, self.span[1] - self.span[0])


def word(status: str) -> str:
    """Give a status as people say it."""
    return status.replace("_", " ")


def text(value: str, most: int = _TEXT_MAX) -> str:
    """Give one line of text as HTML, without what could steer how it is shown, and cut when it is long."""
    return escape(clean(value if len(value) <= most else value[: most - 1] + "…"))


def id_text(id_: str) -> str:
    """Give the id of a step as HTML."""
    return text(id_, _ID_MAX)


def sign(status: Status) -> str:
    """Give the sign of a status, and its word for those who do not see it."""
    shown, look = LOOKS[status]
    return f'<b class="{look}" role="img" aria-label="{word(status)}">{shown}</b>'


def attempt_status(attempt: Attempt) -> Status:
    """Say how one attempt ended, whatever became of its step."""
    match attempt.end:
        case StepSucceeded():
            return Status.SUCCEEDED
        case StepFailed(reason=Reason.TIMEOUT | Reason.IDLE_TIMEOUT):
            return Status.TIMED_OUT
        case StepFailed():
            return Status.FAILED
        case StepCancelled():
            return Status.CANCELLED
        case _:
            return Status.RUNNING


def newest(record: Record) -> dict[str, tuple[Attempt, ...]]:
    """Give the attempts that are shown: of every step the newest, and fewer of each where there are many steps."""
    most = max(_ATTEMPTS_MIN, min(ATTEMPTS_MAX, ALL_ATTEMPTS_MAX // max(1, len(record.attempts))))
    return {id_: tuple(attempts[-most:]) for id_, attempts in record.attempts.items()}


def rows(record: Record) -> list[Row]:
    """Give all rows in the order of the file: below a step its instances, or the steps of its pipeline, those of earlier attempts first."""
    shown, gone = newest(record), _gone(record)
    length_s, path = record.critical()
    critical = frozenset(path if length_s > 0 else ())
    ready = _Ready(record)
    found: list[Row] = []
    for step in record.steps():
        id_ = step.step.id
        found.append(
            Row(
                anchor=f"s{len(found) + 1}",
                id=id_,
                depth=_depth(record, step),
                status=step.status,
                why=why(step),
                attempts=shown.get(id_, ()),
                hidden=len(record.attempts.get(id_, ())) - len(shown.get(id_, ())),
                state=step,
                ready_at=ready.at(step),
                critical=id_ in critical and step.status in TERMINAL,
                above=_above(step) or "",
            )
        )
        for before in gone.get(id_, ()):
            found.append(_before(before, shown[before], record, f"s{len(found) + 1}", step))
    return found


def _before(id_: str, attempts: tuple[Attempt, ...], record: Record, anchor: str, owner: StepState) -> Row:
    end = attempts[-1].end
    return Row(
        anchor=anchor,
        id=id_,
        depth=_depth(record, owner) + 1,
        status=attempt_status(attempts[-1]),
        why=end.message if isinstance(end, StepFailed) else "",
        attempts=attempts,
        hidden=len(record.attempts[id_]) - len(attempts),
        above=owner.step.id,
    )


def _gone(record: Record) -> dict[str, list[str]]:
    """Find steps of earlier attempts of pipelines, by the step that ran them: the fold forgets them when the next attempt begins."""
    gone = [id_ for id_ in record.attempts if id_ not in record.state.steps]
    owners = [id_ for id_, step in record.state.steps.items() if step.step.pipeline is not None] if gone else []
    found: dict[str, list[str]] = {}
    for id_ in gone:
        above = (owner for owner in owners if id_.startswith((f"{owner}/", f"{owner}#")))
        found.setdefault(max(above, key=len, default=""), []).append(id_)
    return found


def _depth(record: Record, step: StepState) -> int:
    above = _above(step)
    return 1 + _depth(record, record.state.steps[above]) if above is not None else 0


def _above(step: StepState) -> str | None:
    return step.parent if step.parent is not None else step.within.owner


class _Ready:
    """When the needs of each step had ended."""

    def __init__(self, record: Record) -> None:
        self._record = record
        self._steps = record.state.steps
        self._final: dict[str | None, float | None] = {}

    def at(self, step: StepState) -> float | None:
        if step.parent is not None:
            return self.at(self._steps[step.parent])
        if step.step.needs:
            return self._last_end(step.step.needs)
        if step.final and step.within.steps:
            if step.within.owner not in self._final:
                self._final[step.within.owner] = self._last_end([one.id for one in step.within.steps])
            return self._final[step.within.owner]
        return self._begin(step.within)

    def _last_end(self, ids: Sequence[str]) -> float | None:
        ends = [self._steps[id_].ended_at for id_ in ids]
        return max((end for end in ends if end is not None), default=None)

    def _begin(self, plan: PlanState) -> float | None:
        if plan.owner is None:
            return self._record.began_at
        last = self._record.last_attempt(plan.owner)
        return last.started_at if last is not None else None


def worst_first(counted: Mapping[Status, int]) -> Iterator[tuple[Status, int]]:
    """Order what was counted as people ask for it."""
    order = (Status.FAILED, Status.TIMED_OUT, Status.WARNING, Status.CANCELLED, Status.BLOCKED)
    for status in (*order, *(one for one in Status if one not in order)):
        if status in counted:
            yield status, counted[status]


def is_bad(row: Row) -> bool:
    """Whether the step failed itself: not one that an earlier attempt of a pipeline left behind."""
    return row.state is not None and row.status in (Status.FAILED, Status.TIMED_OUT)


def causes(found: Sequence[Row], record: Record) -> list[Row]:
    """Give the steps that failed, without those that only sum up what failed below them."""
    return [row for row in found if is_bad(row) and row.state is not None and not sums_up(record.state, row.state)]


def is_open(status: Status) -> bool:
    """Whether a step has not ended."""
    return status not in TERMINAL
