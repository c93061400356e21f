"""What held up one step, and how long: read off the state after every event of the run."""

from collections.abc import Iterable, Sequence
from math import inf

from msgspec import Struct

from dagnats.core.events import AnyEvent, RunStarted, StepStarted
from dagnats.core.state import TERMINAL, RunState, Status, StepState
from dagnats.errors import JournalError

NAMED = 10  # of those that held a place


class Wait(Struct, frozen=True):
    """A time in which a step waited for one thing; times are unix seconds.

    `what` is "needs", "steps" (a step of `finally`, for all others), "instances" (the bound of its own instances), "pipeline" (that of its pipeline),
    "mutex", "places" (`max_parallel` of the run), "worker" (its task waits to be taken), "delay" (of a retry), or what a step does
    that runs nothing: "sleep", "signal", "approval". `by` names those that it waited for,
    in the order in which they came to hold it up; for needs, in that in which they ended.
    """

    what: str
    since: float
    until: float
    by: tuple[str, ...] = ()
    goes_on: bool = False


def waits(events: Sequence[AnyEvent], id_: str, now: float) -> list[Wait]:
    """Give in order what a step waited for."""
    started = events[0]
    if not isinstance(started, RunStarted):
        raise JournalError("a journal begins with RunStarted")
    watch = _Watch(RunState(started), id_)
    for event in events[1:]:
        watch.take(event)
    watch.close(max(now, watch.since), goes_on=watch.state.finished is None)
    return watch.found


class _Watch:
    """Looks at one step after every event; who holds it up is only asked where that can change, as a run may have thousands of steps."""

    def __init__(self, state: RunState, id_: str) -> None:
        self.state = state
        self.found: list[Wait] = []
        self.since = state.at
        self._id = id_
        self._what = _what(state, id_)
        self._by = self._holders()

    def take(self, event: AnyEvent) -> None:
        """Take the next event."""
        self.state.apply(event)
        what = _what(self.state, self._id)
        if what != self._what:
            # its start is recorded a little later than it was
            own = isinstance(event, StepStarted) and event.step == self._id
            at = max(self.since, event.at if own else self.state.at)
            self.close(at)
            self._what, self.since = what, at
            self._by = self._holders()
        elif what in ("mutex", "places") and len(self._by) < NAMED:
            self._by = tuple(dict.fromkeys((*self._by, *self._holders())))

    def close(self, at: float, *, goes_on: bool = False) -> None:
        """Note what it waited for until now."""
        if self._what:
            by = _in_order(self.state, self._what, self._id) or self._by[:NAMED]
            self.found.append(Wait(self._what, self.since, at, by, goes_on))

    def _holders(self) -> tuple[str, ...]:
        state, step = self.state, self.state.steps.get(self._id)
        if step is None:
            return ()
        match self._what:
            case "mutex":
                return (state.places.mutexes[step.step.mutex or ""][0],)
            case "places":
                return tuple(one for one in state.running if one != self._id)
            case "pipeline":
                return _open(state, (one.id for one in step.within.steps), step.within.held)
            case "instances":
                group = state.steps[step.parent or ""].instances
                return _open(state, group.ids, group.held) if group is not None else ()
            case _:
                return ()


def _in_order(state: RunState, what: str, id_: str) -> tuple[str, ...]:
    """Give those whose end a step waits for, in the order in which they ended, and those last that go on."""
    step = state.steps.get(id_)
    if step is None or what not in ("needs", "steps"):
        return ()
    ids = step.step.needs if what == "needs" else [one.id for one in step.within.steps]
    return tuple(sorted(ids, key=lambda one: state.steps[one].ended_at or inf))


def _open(state: RunState, ids: Iterable[str], held: Iterable[str]) -> tuple[str, ...]:
    """Give those that have a place: what can run, has not ended, and is not held."""
    waiting = set(held)
    steps = (state.steps[id_] for id_ in ids if id_ not in waiting)
    return tuple(step.step.id for step in steps if step.status not in TERMINAL and step.open_needs == 0)


def _what(state: RunState, id_: str) -> str:
    """Say what holds up the step in this state; nothing where it runs, has ended, or is no step yet."""
    step = state.steps.get(id_)
    if step is None:
        return ""
    match step.status:
        case Status.PENDING:
            return _pending(state, step)
        case Status.QUEUED:
            return "places" if len(state.running) >= state.started.max_parallel else "worker"
        case Status.WAITING:
            wait = state.awaited.open.get(id_)
            return "delay" if wait is None else wait.kind
        case _:
            return ""


def _pending(state: RunState, step: StepState) -> str:
    id_ = step.step.id
    if step.open_needs > 0:
        return "needs"
    if step.final and not step.within.in_finally:
        return "steps"
    group = state.steps[step.parent].instances if step.parent is not None else None
    if group is not None and id_ in group.held:
        return "instances"
    if id_ in step.within.held:
        return "pipeline"
    return "mutex" if id_ in state.places.waiting else "places"
