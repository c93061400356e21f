"""What the list of runs says of one: a few facts, counted from its state, that the runner leaves beside its store.

They are a cache of the fold, so that a list of many runs reads a small file for each; nothing is ever decided by them.
"""

import msgspec
from msgspec import Struct

from dagnats.core.state import RunState, Status
from dagnats.report.tally import counted

VERSION = 1
RUNNING = "running"
NAMED = 3  # of the steps that run or have failed
_UNDER_WAY = (Status.QUEUED, Status.RUNNING)


class Brief(Struct, frozen=True, kw_only=True):
    """A run in brief: the newest of its events has the number `seq` and came at `at`. `total`, `ended` and `failed` count steps as the recap does.

    `failures` and `under_way` name a few of those that have failed and those that run, `waits` those that wait for a time, a signal or an approval; with
    `only_waits` nothing else is left to be done until one of these ends. `problem` says what is wrong with a journal that is damaged.
    """

    v: int = VERSION
    run: str
    pipeline: str = ""
    status: str
    started_at: float = 0.0
    at: float = 0.0
    seq: int = 0
    total: int = 0
    ended: int = 0
    failed: int = 0
    failures: tuple[str, ...] = ()
    under_way: tuple[str, ...] = ()
    waits: tuple[str, ...] = ()
    only_waits: bool = False
    problem: str = ""


def brief(state: RunState) -> Brief:
    """Sum up a run."""
    total = ended = failed = 0
    failures: list[str] = []
    for id_, step in state.steps.items():
        counts, has_ended, has_failed = counted(state, step)
        total, ended, failed = total + counts, ended + has_ended, failed + has_failed
        if has_failed and len(failures) < NAMED:
            failures.append(id_)
    named = (id_ for id_ in state.running if state.steps[id_].status in _UNDER_WAY)
    return Brief(
        run=state.run,
        pipeline=state.plan.name,
        status=str(state.finished.outcome) if state.finished is not None else RUNNING,
        started_at=state.started.at,
        at=state.at,
        seq=state.seq,
        total=total,
        ended=ended,
        failed=failed,
        failures=tuple(failures),
        waits=tuple(id_ for id_, _ in zip(state.awaited.open, range(NAMED), strict=False)),
        only_waits=bool(state.awaited.open) and not state.running and not state.dispatched,
        under_way=tuple(id_ for id_, _ in zip(named, range(NAMED), strict=False)),
    )


def encoded(found: Brief) -> bytes:
    """Give its bytes."""
    return msgspec.json.encode(found)


def decoded(data: bytes) -> Brief | None:
    """Read it back; None where it is none."""
    try:
        return msgspec.json.decode(data, type=Brief)
    except msgspec.DecodeError:
        return None


def is_newer(data: bytes) -> bool:
    """Whether a later version of this program has written it."""
    try:
        record = msgspec.json.decode(data)
    except msgspec.DecodeError:
        return False
    version = record.get("v") if isinstance(record, dict) else None
    return isinstance(version, int) and version > VERSION
