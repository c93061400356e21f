"""`--output json`: the events themselves, one a line, on stdout; what steps print comes as events of its own kind, `StepOutput`."""

import base64
from collections.abc import Sequence

from dagnats.core.codec import VERSION, event_record
from dagnats.core.events import AnyEvent
from dagnats.core.text import encode_json
from dagnats.report.console import Console


def event_json(event: AnyEvent) -> str:
    """Give an event as one line of JSON."""
    return encode_json(event_record(event))


class JsonLines:
    """The reporter of `--output json`."""

    def __init__(self, console: Console) -> None:
        self._console = console

    def events(self, events: Sequence[AnyEvent]) -> None:
        """Write the events."""
        for event in events:
            self._console.out(event_json(event).encode("utf-8", "surrogatepass") + b"\n")

    def output(self, step: str, attempt: int, stream: str, chunk: bytes) -> None:
        """Write output: `text`, or `base64` where it is not UTF-8."""
        record: dict[str, object] = {
            "v": VERSION,
            "type": "StepOutput",
            "step": step,
            "attempt": attempt,
            "stream": stream,
        }
        try:
            record["text"] = chunk.decode("utf-8")
        except UnicodeDecodeError:
            record["base64"] = base64.b64encode(chunk).decode()
        self._console.out(encode_json(record).encode() + b"\n")

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
        """Write what is held."""
        self._console.close()
