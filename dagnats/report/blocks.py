"""The modes that show a step's output in one piece: `grouped`, `failures`, `live` and `github`. What differs is how they paint it."""

import time
from collections.abc import Callable, Sequence

from msgspec import Struct

from dagnats.core.events import (
    AnyEvent,
    CancelledBy,
    CancelRequested,
    RunStarted,
    StepCancelled,
    StepFailed,
    StepScheduled,
    StepSucceeded,
)
from dagnats.core.state import TERMINAL, RunState, Status
from dagnats.report.lines import Lines
from dagnats.report.painter import Painter
from dagnats.report.projection import Projection, Tails
from dagnats.report.reporter import Reporter
from dagnats.report.spool import Owner, Spool
from dagnats.report.style import Style
from dagnats.report.turns import Turns
from dagnats.report.view import asks, event_line, group_line, note_lines, recap, tail_blocks

_BAD = (Status.FAILED, Status.TIMED_OUT)


class Manner(Struct, frozen=True):
    """How much is shown, and when: `streams` lets the attempt that has the focus stream, `only_failed` shows nothing of steps that did not fail."""

    streams: bool = False
    only_failed: bool = False
    quiet: bool = False
    verbose: bool = False
    tails: bool = True
    is_kept: bool = False


class Blocks(Reporter):
    """The reporter of these modes."""

    def __init__(
        self,
        painter: Painter,
        style: Style,
        again: Sequence[str],
        manner: Manner,
        clock: Callable[[], float] | None = None,
    ) -> None:
        self._painter = painter
        self._style = style
        self._again = again
        self._manner = manner
        self._projection = Projection()
        self._tails = Tails()
        self._lines = Lines()
        self._turns = Turns(painter, Spool(), streams=manner.streams, clock=clock or time.monotonic)
        self.tick_s = painter.tick_s

    @property
    def painter(self) -> Painter:
        """What draws."""
        return self._painter

    def tick(self) -> None:
        """Time has passed."""
        self._turns.tick()
        self._painter.tick()

    def before(self, events: Sequence[AnyEvent]) -> None:
        """Know of it, and show the title."""
        self._painter.begin_run(self._projection.past(events))

    def events(self, events: Sequence[AnyEvent]) -> None:
        """Show what is worth a line, and the output of what has ended when its turn has come."""
        for event in events:
            state = self._projection.apply(event)
            if isinstance(event, RunStarted):
                self._painter.begin_run(state)
                continue
            self._painter.applied(state, event)
            self._event(state, event)

    def _event(self, state: RunState, event: AnyEvent) -> None:
        id_ = getattr(event, "step", None) or ""
        step = state.steps.get(id_)
        status = step.status if step is not None else None
        attempt = getattr(event, "attempt", 0)
        if isinstance(event, StepSucceeded | StepFailed | StepCancelled):
            for rest in self._lines.end(id_):
                self._turns.output((id_, attempt), rest + b"\n")
        self._tails.event(event, status)
        said = list(self._said(state, event, status))
        if isinstance(event, CancelRequested):
            for line in said:
                self._painter.say(line)
        elif isinstance(event, StepScheduled) and attempt > 1:
            self._turns.over((id_, attempt - 1), said, is_shown=not self._manner.only_failed)
        elif status in TERMINAL:
            self._turns.over((id_, attempt), said, is_shown=not self._manner.only_failed or _is_to_blame(state, status))
        elif said:
            self._turns.over((id_, -1), said)

    def _said(self, state: RunState, event: AnyEvent, status: Status | None) -> Sequence[str]:
        is_silent = self._manner.only_failed and not _is_to_blame(state, status) and status is not None
        if (self._manner.quiet or is_silent) and not asks(event):
            return ()
        line = event_line(state, event, self._style, verbose=self._manner.verbose)
        lines = (line, *note_lines(event), group_line(state, event, self._style))
        return [said for said in lines if said is not None]

    def output(self, step: str, attempt: int, stream: str, chunk: bytes) -> None:
        """Take output: whole lines are shown or kept, the rest of one waits for its end."""
        self._tails.add(step, attempt, chunk)
        owner: Owner = (step, attempt)
        whole = self._lines.feed(step, stream, chunk)
        if whole is not None:
            self._turns.output(owner, whole + b"\n")
        if self._turns.focused == owner:
            self._painter.unfinished(self._lines.unfinished(step))

    def note(self, text: str) -> None:
        """Show a word of the program's own."""
        self._painter.note(f"dagnats: {text}")

    def hurry(self) -> None:
        """Wait for no reader any more."""
        self._painter.hurry()

    def flush(self) -> None:
        """Write what is held."""
        self._painter.flush()

    def leave(self) -> None:
        """Leave the terminal as it was found."""
        self._painter.leave()

    def back(self) -> None:
        """Take the terminal again."""
        self._painter.back()

    def close(self) -> None:
        """Show what waits still, and sum up."""
        self._turns.close()
        state = self._projection.state
        if state is not None and state.finished is not None:
            is_worth_it = state.outcome != "succeeded" or not self._manner.quiet
            if is_worth_it and self._manner.tails:
                for title, tail in tail_blocks(state, self._tails.failed):
                    self._painter.tail(title, tail)
            summed = recap(state, self._again, self._style, is_kept=self._manner.is_kept)
            for said in summed if is_worth_it else ():
                self._painter.say(said)
            self._painter.end_run(state)
        self._painter.close()


def _is_to_blame(state: RunState, status: Status | None) -> bool:
    """Whether a step has failed, or was still running when the run had taken too long."""
    timed_out = state.cancel is not None and state.cancel.by is CancelledBy.TIMEOUT and state.cancel.step is None
    return status in _BAD or (timed_out and status is Status.CANCELLED)
