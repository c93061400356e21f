"""The port for kinds of steps: what a worker asks of an action, and what it is told.

For each task the worker calls `run` once, and awaits it to the end; several calls, of different tasks, are under way at the same time. While it runs

- everything that is printed goes to `sink.put`, in the order of each stream, and all of it before `run` returns;
- `stop.on_stop` has told the action whom to call when the engine wants an end: the action then ends whatever it started, however it behaves, and
  returns `Ended(stopped=True)`. A second call, with kill, means at once. Both may come at any time, more than once, and before `on_stop`;
- when `run` returns, nothing that it started is left.

What goes wrong with the step is a value, `Ended.failure`. An exception is a failure of the engine around it. Running the same task again must be safe
for the worker, whatever it means for the world.
"""

from collections.abc import Callable, Mapping
from typing import Protocol

from msgspec import Struct, field

from dagnats.bus.tasks import Task
from dagnats.core.events import Artifact, Reason
from dagnats.core.pipeline import JSON


class Failure(Struct, frozen=True):
    """Why an attempt failed: for `StepFailed`."""

    reason: Reason
    message: str
    exit_code: int | None = None


Over = Callable[[Failure | None], None]  # is told how what ran has ended


class Ended(Struct, frozen=True):
    """How an attempt ended: well, by a failure, or because it was told to stop. `note` is for the person who watches.

    `summary` is the Markdown that it wrote for the summary of the run; `artifacts` are what is kept of its files, by name.
    """

    failure: Failure | None = None
    stopped: bool = False
    outputs: Mapping[str, JSON] = field(default_factory=dict)
    note: str = ""
    summary: str = ""
    artifacts: Mapping[str, Artifact] = field(default_factory=dict)


class Pausable(Protocol):
    """A source of output that can wait."""

    def pause(self) -> None:
        """Read no more for now."""

    def resume(self) -> None:
        """Read on."""


class Sink(Protocol):
    """Where an attempt's output goes."""

    def put(self, stream: str, chunk: bytes) -> None:
        """Take bytes of "out" or "err"; never waits."""

    def throttles(self, *sources: Pausable) -> None:
        """Name the sources that are paused while whoever reads the output can not keep up."""

    def hide(self, text: str, *, goes_on: bool = False) -> str:
        """Give a text without secrets: before it is shortened, or shown to anybody.

        What may begin a secret at the end of one that `goes_on` is left out.
        """

    def silent_s(self) -> float:
        """How long nothing was put, in seconds."""


class Stop:
    """Carries the order to stop to a running action, also when the order comes first."""

    def __init__(self) -> None:
        self.ordered = False
        self._kill = False
        self._act: Callable[[bool], None] | None = None

    def on_stop(self, act: Callable[[bool], None]) -> None:
        """Call `act(kill)` at each order, and now if one has come already."""
        self._act = act
        if self.ordered:
            act(self._kill)

    def order(self, *, kill: bool = False) -> None:
        """Order an end; `kill` means at once."""
        if self.ordered and (self._kill or not kill):
            return
        self.ordered, self._kill = True, kill
        if self._act is not None:
            self._act(kill)


class Action(Protocol):
    """A kind of step."""

    async def run(self, task: Task, sink: Sink, stop: Stop) -> Ended:
        """Carry out one attempt."""
