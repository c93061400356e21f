"""The messages between the runner and its guardian: one interpreter on both ends, so a marshalled tuple behind its length.

    to the guardian                                            from it
    base(env)                                                  started(number, pid)
    spawn(number, argv, cwd, changes, (count of fds, client))  failed(number, errno, "cwd" | "program")
    stop(number, ladder)                                       exited(number, pid, code | -signal | None, clean)
    finish(number)                                             finished(number, processes killed after the end)
    remains(folder, whether with all beneath it)
    cleanup(argv, or nothing)

File descriptors travel beside the bytes of their `spawn`. Texts are bytes, as the system takes them.
"""

from __future__ import annotations

import marshal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any


def frame(*message: Any) -> bytes:
    """One message as it travels."""
    body = marshal.dumps(message)
    return len(body).to_bytes(4, "big") + body


class Frames:
    """Makes messages of bytes as they come."""

    def __init__(self) -> None:
        self._pending = bytearray()

    def feed(self, data: bytes) -> Iterator[tuple[Any, ...]]:
        """Take bytes in; give out each message that is complete."""
        self._pending += data
        while len(self._pending) >= 4:
            end = 4 + int.from_bytes(self._pending[:4], "big")
            if len(self._pending) < end:
                return
            message = marshal.loads(bytes(self._pending[4:end]))  # noqa: S302  # our own process wrote it
            del self._pending[:end]
            yield message
