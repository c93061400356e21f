"""What a runner that is gone, or has lost its run, may have left alive: found by the mark that all of it carries, and killed before anything else starts.

The guardian of a run does this itself when its runner dies. This is for the case that it was killed too.
"""

import os
import signal
import time
from contextlib import suppress

from msgspec import Struct

from dagnats import proctree
from dagnats.errors import EngineError

ENDS_BY_ITSELF_S = 10.0  # a guardian whose runner is gone needs so long at most
KILLED_WITHIN_S = 5.0
_LOOK_S = 0.01


class Owner(Struct, frozen=True):
    """Who holds a run: the runner's process, its guardian's, and the mark of all that this started."""

    runner: int
    guardian: int
    mark: str

    def text(self) -> str:
        """Give it as the lock file holds it."""
        return f"{self.runner} {self.guardian} {self.mark}\n"


def owner_from(text: str) -> Owner | None:
    """Read what a lock file holds; None when nobody has written there, or not to the end."""
    try:
        runner, guardian, mark = text.removesuffix("\n").split(" ")
        return Owner(int(runner), int(guardian), mark) if text.endswith("\n") and mark else None
    except ValueError:
        return None


def fence(owner: Owner, *, is_lost: bool = False) -> int:
    """Wait until nothing of a runner that is gone is left, and kill what does not go; gives how many processes that were.

    A runner that has lost its run still lives, and so does its guardian: with `is_lost` nobody waits for that. Raises EngineError when something can not
    be killed.
    """
    if not proctree.AVAILABLE:
        return 0
    until = time.monotonic() + ENDS_BY_ITSELF_S
    while not is_lost and _is_guardian(owner) and time.monotonic() < until:
        time.sleep(_LOOK_S)
    if _is_guardian(owner):  # before all others, as it could start more
        _kill(owner.guardian)
    return _kill_marked(owner.mark.encode() + b".")


def _kill_marked(mark: bytes) -> int:
    killed: set[int] = set()
    until = time.monotonic() + KILLED_WITHIN_S
    while found := proctree.with_descendants(proctree.belonging(mark, ())):
        if time.monotonic() > until:
            raise EngineError(
                f"processes of a run before can not be killed: {', '.join(map(str, sorted(found)))}; end them, and try again"
            )
        for pid in found:
            _kill(pid)
        killed |= found
        time.sleep(_LOOK_S)
    return len(killed)


def _kill(pid: int) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.kill(pid, signal.SIGKILL)


def _is_guardian(owner: Owner) -> bool:
    """Whether the process of that number still is the guardian, and not one that came after it."""
    if not proctree.is_alive(owner.guardian):
        return False
    return owner.mark.encode() in proctree.words(owner.guardian)
