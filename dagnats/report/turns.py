"""Whose output is shown now. One attempt has the focus and streams; what others print waits, in whole lines, until their turn.

The focus goes to whoever prints first, so that a silent step keeps nobody waiting. When it ends, all that have ended meanwhile are shown in the order of
their ends, each in one piece; then the focus passes to the one of those that run which has waited longest. Who has the focus and prints nothing for a
while gives it up for what has ended, and may have it again.
"""

import time
from collections import deque
from collections.abc import Callable, Sequence

from msgspec import Struct

from dagnats.report.painter import Painter
from dagnats.report.spool import Owner, Spool

SILENT_S = 5.0


class _Over(Struct, frozen=True):
    owner: Owner
    said: Sequence[str]
    is_shown: bool


class Turns:
    """Gives attempts their turn. Without `streams` nobody has the focus, and each is shown when it has ended."""

    def __init__(
        self, painter: Painter, spool: Spool, *, streams: bool, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._painter = painter
        self._spool = spool
        self._streams = streams
        self._over: deque[_Over] = deque()
        self._clock = clock
        self._printed_at = 0.0
        self._begun: set[Owner] = set()  # who has had a block, and may have another
        self.focused: Owner | None = None

    def output(self, owner: Owner, lines: bytes) -> None:
        """Take whole lines."""
        if self.focused is None and self._streams:
            self.focused = owner
            self._begin(owner)
        if self.focused == owner:
            self._printed_at = self._clock()
            self._painter.lines(lines)
        else:
            self._spool.add(owner, lines)

    def over(self, owner: Owner, said: Sequence[str] = (), *, is_shown: bool = True) -> None:
        """The attempt has ended, with these lines about it; `is_shown` says whether what it printed is worth showing.

        What was never an attempt, a step that is skipped, comes here too.
        """
        ended = _Over(owner, said, is_shown)
        if self.focused is not None and self.focused != owner:
            self._over.append(ended)
            self.tick()
            return
        if self.focused == owner:
            self._painter.end()
            self._begun.discard(owner)
            self._say(said)
            self.focused = None
        else:
            self._show(ended)
        self._next()

    def tick(self) -> None:
        """Some time has passed: who has been silent for long steps back for what has ended."""
        if self.focused is not None and self._over and self._clock() - self._printed_at >= SILENT_S:
            self._painter.end()
            self.focused = None
            self._next()

    def close(self) -> None:
        """Show all that waits still."""
        while self.focused is not None:
            self.over(self.focused)
        for owner in self._spool.owners():
            self._show(_Over(owner, (), is_shown=True))

    def _next(self) -> None:
        while self._over:
            self._show(self._over.popleft())
        waiting = self._spool.owners()
        if waiting and self._streams:
            self.focused, self._printed_at = waiting[0], self._clock()
            self._begin(waiting[0])
            self._release(waiting[0])

    def _show(self, ended: _Over) -> None:
        if not ended.is_shown:
            self._spool.drop(ended.owner)
        elif self._spool.has(ended.owner):
            self._begin(ended.owner)
            self._release(ended.owner)
            self._painter.end()
        self._begun.discard(ended.owner)
        self._say(ended.said)

    def _begin(self, owner: Owner) -> None:
        self._painter.begin(owner, goes_on=owner in self._begun)
        self._begun.add(owner)

    def _release(self, owner: Owner) -> None:
        for piece in self._spool.take(owner):
            self._painter.lines(piece)

    def _say(self, lines: Sequence[str]) -> None:
        for line in lines:
            self._painter.say(line)
