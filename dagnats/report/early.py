"""The order in which events and output are shown: that of the journal.

What an attempt prints may come before the event that it has started is stored: it is held back until then. The same is done for a run that is read back,
so that it is shown as it was.
"""

from collections.abc import Iterator, Sequence

from dagnats.core.events import AnyEvent, StepCancelled, StepFailed, StepStarted, StepSucceeded
from dagnats.report.reporter import Events, Item, Output


class Early:
    """Holds back what comes too early."""

    def __init__(self) -> None:
        self._begun: dict[str, int] = {}  # the newest attempt of each step whose start was shown
        self._held: dict[str, list[Item]] = {}

    def events(self, events: Sequence[AnyEvent]) -> Iterator[Item]:
        """Take the events of a commit, and give what is shown now: what an attempt printed before them comes after them, but before its end."""
        begin = 0
        early: dict[str, list[Item]] = {}
        for place, event in enumerate(events):
            if not isinstance(event, StepStarted | StepSucceeded | StepFailed | StepCancelled):
                continue
            self._begun[event.step] = max(event.attempt, self._begun.get(event.step, 0))
            if event.step in self._held:
                early[event.step] = self._held.pop(event.step)
            if event.step in early and not isinstance(event, StepStarted):
                if place > begin:
                    yield Events(events[begin:place])
                yield from early.pop(event.step)
                begin = place
        if begin < len(events):
            yield Events(events[begin:])
        for items in early.values():
            yield from items

    def output(self, item: Output) -> bool:
        """Whether this can be shown at once; else it is held back."""
        if self._begun.get(item.step, 0) >= item.attempt:
            return True
        self._held.setdefault(item.step, []).append(item)
        return False

    def rest(self) -> Iterator[Item]:
        """Give what waits still: the run is over."""
        held, self._held = self._held, {}
        for items in held.values():
            yield from items
