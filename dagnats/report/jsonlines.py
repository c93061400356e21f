"""`--output json`: the events themselves, one a line, on stdout; what steps print comes as events of its own kind, `StepOutput`."""

import base64
import codecs
import re
from collections.abc import Sequence

from dagnats.core.codec import VERSION, event_record
from dagnats.core.events import AnyEvent, StepCancelled, StepFailed, StepSucceeded
from dagnats.core.text import encode_json
from dagnats.report.console import Console
from dagnats.report.reporter import Reporter

_SURROGATE = re.compile("[\ud800-\udfff]")


def event_json(event: AnyEvent) -> str:
    """Give an event as one line of JSON.

    A variable of the environment may hold bytes that are no UTF-8: their surrogates are escaped, so that the line is UTF-8 whatever it holds.
    """
    return _SURROGATE.sub(lambda found: f"\\u{ord(found[0]):04x}", encode_json(event_record(event)))


class JsonLines(Reporter):
    """The reporter of `--output json`. It gives text wherever there is some: a character that a chunk cuts waits for its rest."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._held: dict[tuple[str, int, str], bytes] = {}

    def events(self, events: Sequence[AnyEvent]) -> None:
        """Write the events; what an attempt has printed comes before its end."""
        for event in events:
            if isinstance(event, StepSucceeded | StepFailed | StepCancelled) and self._held:
                self._release(event.step, event.attempt)
            self._console.out(event_json(event).encode() + b"\n")

    def output(self, step: str, attempt: int, stream: str, chunk: bytes) -> None:
        """Write output: `text`, or `base64` where it is not UTF-8."""
        source = step, attempt, stream
        chunk = self._held.pop(source, b"") + chunk
        size = len(chunk) - _unfinished(chunk)
        if size < len(chunk):
            self._held[source] = chunk[size:]
        if size:
            self._write(source, chunk[:size])

    def _write(self, source: tuple[str, int, str], data: bytes) -> None:
        step, attempt, stream = source
        record: dict[str, object] = {
            "v": VERSION,
            "type": "StepOutput",
            "step": step,
            "attempt": attempt,
            "stream": stream,
        }
        try:
            record["text"] = data.decode("utf-8")
        except UnicodeDecodeError:
            record["base64"] = base64.b64encode(data).decode()
        self._console.out(encode_json(record).encode() + b"\n")

    def _release(self, step: str, attempt: int) -> None:
        for source in [source for source in self._held if source[:2] == (step, attempt)]:
            self._write(source, self._held.pop(source))

    def note(self, text: str) -> None:
        """Say it on stderr: stdout is data."""
        self._console.say(f"dagnats: {text}")

    def hurry(self) -> None:
        """Wait for no reader any more."""
        self._console.hurry()

    def flush(self) -> None:
        """Write what is held."""
        self._console.flush()

    def close(self) -> None:
        """Write what is held, also of attempts whose end was never told."""
        for source, data in self._held.items():
            self._write(source, data)
        self._held.clear()
        self._console.close()


def _unfinished(data: bytes) -> int:
    """How many bytes at the end, at most 3, begin a character whose rest is missing."""
    for size in range(1, min(3, len(data)) + 1):
        if data[-size] & 0b1100_0000 == 0b1000_0000:
            continue  # the middle of a character
        try:
            _, used = codecs.utf_8_decode(data[-size:], "strict", False)
        except UnicodeDecodeError:
            return 0
        return size - used
    return 0
