"""A place at which the runner kills itself, for those who want to see that nothing is lost: `DAGNATS_TEST_CRASH=before|after:EVENT:N`.

`before` is before the commit with the N-th event of that kind is sent, `after` is when it is stored and nothing was done yet that it asks for. N counts
the events of this process; `*` stands for any kind.
"""

import os
import signal

from dagnats.core.codec import EVENTS
from dagnats.core.events import AnyEvent
from dagnats.errors import UsageError

VARIABLE = "DAGNATS_TEST_CRASH"


class Failpoint:
    """Counts the events on one side of their being stored, and ends the process at one of them."""

    def __init__(self, text: str) -> None:
        self.when, _, rest = text.partition(":")
        kind, _, number = rest.partition(":")
        if self.when not in ("before", "after") or (kind != "*" and kind not in EVENTS) or not number.isdecimal():
            raise UsageError(f"{VARIABLE}: expected before|after:EVENT:N, got {text}; nothing was started")
        self._class = object if kind == "*" else EVENTS[kind][0]
        self._left = int(number)

    def reached(self, when: str, event: AnyEvent) -> None:
        """Do not return from the event that is meant."""
        if when != self.when or not isinstance(event, self._class):
            return
        self._left -= 1
        if self._left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
