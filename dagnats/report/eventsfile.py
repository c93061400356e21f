"""`--events FILE`: the events of the journal, one JSON object a line, into a file."""

import errno
import os
from collections.abc import Callable, Sequence

from dagnats.core.events import AnyEvent
from dagnats.errors import EngineError, UsageError
from dagnats.report.console import write_all
from dagnats.report.reporter import Reporter


def open_events(path: str) -> Callable[[bytes], None]:
    """Give what writes to the file of events. Raises UsageError when it can not be written."""
    try:
        # a pipe without a reader is refused, not waited for
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NONBLOCK
        descriptor = os.open(path, flags, 0o644)
    except OSError as error:
        why = "it is a pipe that nobody reads" if error.errno == errno.ENXIO else error.strerror
        raise UsageError(f"--events {path}: {why}; nothing was started") from error
    os.set_blocking(descriptor, True)

    def write(data: bytes) -> None:
        try:
            write_all(descriptor, data)
        except BrokenPipeError as error:
            raise EngineError(f"--events {path}: whoever read it has gone") from error

    return write


class EventsFile(Reporter):
    """`--events FILE`: the events of the journal, one JSON object a line."""

    def __init__(self, write: Callable[[bytes], None], encode: Callable[[AnyEvent], str]) -> None:
        self._write = write
        self._encode = encode

    def before(self, events: Sequence[AnyEvent]) -> None:
        """Write them too: the file has the whole run."""
        self.events(events)

    def events(self, events: Sequence[AnyEvent]) -> None:
        """Write them."""
        self._write("".join(self._encode(event) + "\n" for event in events).encode("utf-8", "surrogatepass"))
