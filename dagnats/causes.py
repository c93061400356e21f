"""What makes an engine consider, and what becomes of it: the records that pass between its parts."""

from collections.abc import Sequence
from typing import NamedTuple, Protocol

from dagnats.bus.asks import Ask
from dagnats.bus.reports import Told
from dagnats.core.decide import Failed, Started
from dagnats.core.events import AnyEvent, CancelRequested


class Witness(Protocol):
    """Somebody who is told of events once they are stored."""

    def events(self, events: Sequence[AnyEvent]) -> None:
        """Take the events of one commit."""


class Commit(NamedTuple):
    """Events that become true together, and who is answered then, with what."""

    events: Sequence[AnyEvent]
    answers: Sequence[tuple[Told | Ask, str]] = ()


class Claim(NamedTuple):
    """An attempt was let start."""

    started: Started
    at: float


class Woken(NamedTuple):
    """A wait may be over: the time of this one has come or, without a step, something was put for the run."""

    step: str = ""
    attempt: int = 0


Cause = Told | Ask | Failed | CancelRequested | Claim | Woken
