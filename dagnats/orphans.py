"""Whose the orphans are: the guardian adopts what its processes leave behind, and tells by session and mark what it came of.

Imported by the guardian, so nothing but cheap modules is imported here.
"""

from __future__ import annotations

import time

from dagnats import proctree

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

NOBODY = 0
UNREAD_S = 0.2  # so long one without an environment may be anybody's: it is becoming another program, or has cleared it
LOOK_S = 0.002


class Orphans:
    """What is known of adopted processes. `look_at` is when the answer for one of them may have changed without any news; None if for none."""

    __slots__ = ("_leader", "_mark", "_owners", "_unread", "look_at")

    def __init__(self, mark: bytes, leader: Callable[[int], int]) -> None:
        self._mark = mark
        self._leader = leader  # gives the number of the process that leads a session, or NOBODY
        self._owners: dict[int, int] = {}
        self._unread: dict[int, float] = {}  # until when it is waited for
        self.look_at: float | None = None

    def owner(self, pid: int) -> int:
        """The number of the process that an orphan came of, or NOBODY. What is read once holds until the orphan is reaped.

        One whose environment can not be read is NOBODY's for now, and looked at again each time.
        """
        if pid not in self._owners:
            owner = self._leader(proctree.session(pid) or 0)
            words = proctree.marks(pid) if owner == NOBODY else []
            if words is None:
                now = time.monotonic()
                if now < self._unread.setdefault(pid, now + UNREAD_S):
                    self.look_at = now + LOOK_S
                return NOBODY
            own = (word for word in words if word.startswith(self._mark))
            self._owners[pid] = owner or next((int(word.removeprefix(self._mark)) for word in own), NOBODY)
        return self._owners[pid]

    def forget(self, pid: int) -> None:
        """It was reaped."""
        self._owners.pop(pid, None)
        self._unread.pop(pid, None)
