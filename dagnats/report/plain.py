"""`--output prefixed`: every line at once, with the name of its step; and the recap at the end, which other modes share.

Output goes to stdout, what the program says itself to stderr.
"""

import errno
import os
from collections import deque
from collections.abc import Callable, Mapping, Sequence

from dagnats.core.events import AnyEvent, RunStarted, StepFailed
from dagnats.core.pipeline import Pipeline
from dagnats.core.state import TERMINAL, RunState, Status
from dagnats.errors import EngineError, UsageError
from dagnats.report.console import Console, write_all
from dagnats.report.style import Style
from dagnats.report.view import TAIL_LINES, event_line, group_line, note_lines, recap

LINE_MAX_BYTES = 64 << 10  # a longer one is broken on the screen; the stream keeps it whole
TAIL_MAX_BYTES = 64 << 10
PREFIX_MAX_WIDTH = 24


class Projection:
    """What every reporter for people keeps: the state, folded from the events it is told."""

    def __init__(self) -> None:
        self.state: RunState | None = None

    def apply(self, event: AnyEvent) -> RunState:
        """Fold one event."""
        if isinstance(event, RunStarted):
            self.state = RunState(event)
        elif self.state is not None:
            self.state.apply(event)
        if self.state is None:
            raise ValueError("the first event of a run is RunStarted")
        return self.state


class Tails:
    """The last lines of each running attempt, kept for the recap when it fails."""

    def __init__(self) -> None:
        self._chunks: dict[str, deque[bytes]] = {}
        self._attempts: dict[str, int] = {}
        self._sizes: dict[str, int] = {}
        self.failed: dict[str, list[bytes]] = {}

    def add(self, step: str, attempt: int, chunk: bytes) -> None:
        """Take output; a new attempt begins with nothing. It may be heard of before its start is stored."""
        newest = self._attempts.get(step, 0)
        if attempt < newest:
            return  # the last words of an attempt that was given up
        if attempt > newest:
            self._attempts[step] = attempt
            self._chunks.pop(step, None)
            self._sizes.pop(step, None)
        chunks = self._chunks.setdefault(step, deque())
        chunk = chunk[-TAIL_MAX_BYTES:]
        chunks.append(chunk)
        size = self._sizes.get(step, 0) + len(chunk)
        while len(chunks) > 1 and size - len(chunks[0]) >= TAIL_MAX_BYTES:
            size -= len(chunks.popleft())
        self._sizes[step] = size

    def event(self, event: AnyEvent, status: Status | None) -> None:
        """A step that ended keeps its tail only when it failed."""
        if isinstance(event, StepFailed) or status in TERMINAL:
            step = getattr(event, "step", "")
            text = b"".join(self._chunks.pop(step, ()))
            self._sizes.pop(step, None)
            if status in (Status.FAILED, Status.TIMED_OUT):
                self.failed[step] = text.splitlines()[-TAIL_LINES:]


class Prefixed:
    """The reporter of `--output prefixed`, and with `lines=False` and `quiet` the one of `none` and `-q`."""

    def __init__(
        self, console: Console, style: Style, again: Sequence[str], *, lines: bool, quiet: bool, verbose: bool
    ) -> None:
        self._console = console
        self._style = style
        self._again = again
        self._lines = lines
        self._quiet = quiet
        self._verbose = verbose
        self._projection = Projection()
        self._tails = Tails()
        self._open: dict[tuple[str, str], list[bytes]] = {}
        self._open_bytes: dict[tuple[str, str], int] = {}
        self._broken: set[tuple[str, str]] = set()  # whose line was broken where the next chunk begins
        self._prefixes: dict[str, bytes] = {}
        self._width = 0

    def events(self, events: Sequence[AnyEvent]) -> None:
        """Show what is worth a line."""
        for event in events:
            state = self._projection.apply(event)
            if isinstance(event, RunStarted):
                self._begin(event)
                continue
            step = state.steps.get(getattr(event, "step", ""))
            status = step.status if step is not None else None
            if step is not None and (status in TERMINAL or isinstance(event, StepFailed)):
                self._end_lines(step.step.id)
            self._tails.event(event, status)
            if self._quiet:
                continue
            line = event_line(state, event, self._style, verbose=self._verbose)
            for said in (line, *note_lines(event), group_line(state, event, self._style)):
                if said is not None:
                    self._console.say(said)

    def _begin(self, event: RunStarted) -> None:
        steps = [step for step in (*event.plan.steps, *event.plan.finally_steps) if step.handles is None]
        self._width = min(PREFIX_MAX_WIDTH, _longest(event.plan, event.plan.pipelines))
        if not self._quiet:
            title = f"{event.plan.name}: {len(steps)} step{'s' if len(steps) != 1 else ''}, run {event.run}"
            self._console.say(self._style.paint(title, "1"))

    def output(self, step: str, attempt: int, stream: str, chunk: bytes) -> None:
        """Show whole lines; the rest of one waits for its end."""
        self._tails.add(step, attempt, chunk)
        if not self._lines:
            return
        key = (step, stream)
        if key in self._broken:
            self._broken.discard(key)
            chunk = chunk.removeprefix(b"\n")  # it ends the line that is on the screen already
        head, newline, rest = chunk.rpartition(b"\n")
        held = self._open.get(key)
        if newline:
            if held:
                head = b"".join(held) + head
                del self._open[key], self._open_bytes[key]
            self._write(step, head)
        if rest:
            self._open.setdefault(key, []).append(rest)
            size = self._open_bytes[key] = self._open_bytes.get(key, 0) + len(rest)
            if size > LINE_MAX_BYTES:
                self._end_line(key)
                self._broken.add(key)

    def _write(self, step: str, lines: bytes) -> None:
        prefix = self._prefixes.get(step)
        if prefix is None:
            shown = self._style.prefix(f"{step:<{self._width}} | ", len(self._prefixes))
            prefix = self._prefixes[step] = shown.encode()
        self._console.out(prefix + lines.replace(b"\n", b"\n" + prefix) + b"\n")

    def _end_line(self, key: tuple[str, str]) -> None:
        held = self._open.pop(key, None)
        self._open_bytes.pop(key, None)
        if held:
            self._write(key[0], b"".join(held))

    def _end_lines(self, step: str) -> None:
        for stream in ("out", "err"):
            self._end_line((step, stream))
            self._broken.discard((step, stream))

    def note(self, text: str) -> None:
        """Show a word of the program's own."""
        self._console.say(f"dagnats: {text}")

    def hurry(self) -> None:
        """Wait for no reader any more."""
        self._console.hurry()

    def flush(self) -> None:
        """Write what is held."""
        self._console.flush()

    def close(self) -> None:
        """Sum up."""
        state = self._projection.state
        if state is not None and state.finished is not None and (not self._quiet or state.outcome != "succeeded"):
            for line in recap(state, self._tails.failed, self._again, self._style):
                self._console.say(line)
        self._console.close()


def _longest(plan: Pipeline, pipelines: Mapping[str, Pipeline]) -> int:
    """How many characters the longest id has, with those of the pipelines that steps run; beyond a bound it does not matter by how much."""
    longest = 0
    for step in (*plan.steps, *plan.finally_steps):
        if step.handles is None and longest < PREFIX_MAX_WIDTH:
            inner = 1 + _longest(pipelines[step.pipeline], pipelines) if step.pipeline is not None else 0
            longest = max(longest, len(step.id) + inner)
    return longest


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


class EventsFile:
    """`--events FILE`: the events of the journal, one JSON object a line."""

    def __init__(self, write: Callable[[bytes], None], encode: Callable[[AnyEvent], str]) -> None:
        self._write = write
        self._encode = encode

    def events(self, events: Sequence[AnyEvent]) -> None:
        """Write them."""
        self._write("".join(self._encode(event) + "\n" for event in events).encode("utf-8", "surrogatepass"))

    def output(self, step: str, attempt: int, stream: str, chunk: bytes) -> None:
        """Output is no event."""

    def note(self, text: str) -> None:
        """Neither is this."""

    def hurry(self) -> None:
        """A file keeps nobody waiting."""

    def flush(self) -> None:
        """Nothing is held."""

    def close(self) -> None:
        """Nothing is left."""
