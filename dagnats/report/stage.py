"""Shows a run that is read from its store: to the reporters that a run has itself, in the order and, as far as it matters, with the time of then."""

import asyncio
from collections.abc import Sequence

from dagnats.report.console import Console
from dagnats.report.early import Early
from dagnats.report.follow import Following, Shown
from dagnats.report.reporter import Events, Output, Reporter

BATCH_BYTES = 256 << 10
LATE_S = 0.001  # a tick never comes too early
LOOK_S = 1.0  # how often it is seen whether anybody reads still
TICKS_MAX = 1000  # while nothing is shown: by then all has stepped back that does


class Clock:
    """The time of a run that is shown again: that of what is shown."""

    def __init__(self) -> None:
        self.at = 0.0

    def __call__(self) -> float:
        """Give it, in unix seconds."""
        return self.at


class Stage:
    """Shows what `following` has ready, from a thread, so that a slow reader holds up nothing but this.

    Without `clock` it is shown as it comes. With one, time passes as it did then: `speed` times as fast, or as fast as it can be shown if it is None.
    """

    def __init__(
        self,
        following: Following,
        reporters: Sequence[Reporter],
        console: Console,
        clock: Clock | None,
        speed: float | None,
    ) -> None:
        self._following = following
        self._reporters = list(reporters)
        self._console = console
        self._clock = clock
        self._speed = speed
        self._early = Early()
        self._begin: tuple[float, float] | None = None  # when the first was shown here, and then
        ticks_s = [reporter.tick_s for reporter in reporters if reporter.tick_s is not None]
        self._tick_s = min(ticks_s, default=None)
        self._is_present = False
        self.is_complete = asyncio.Event()  # nothing more becomes ready

    async def run(self) -> None:
        """Show all until it is complete, or nobody reads it any more."""
        while not self._console.is_gone:
            self._following.changed.clear()
            is_last = self.is_complete.is_set()
            batch = self._following.take(1 if self._speed is not None else BATCH_BYTES)
            if batch:
                await self._until_due(batch[0])
                await asyncio.to_thread(self._show, batch)
            elif is_last:
                break
            else:
                await asyncio.to_thread(self._pause)
                await self._wait(None if self._clock is not None else self._tick_s or LOOK_S)
        await asyncio.to_thread(self._close)

    async def _wait(self, limit_s: float | None) -> None:
        """Wait for more; whoever wants to hear that time passes hears it meanwhile."""
        waiting = [asyncio.ensure_future(event.wait()) for event in (self._following.changed, self.is_complete)]
        done, rest = await asyncio.wait(waiting, timeout=limit_s, return_when=asyncio.FIRST_COMPLETED)
        for one in rest:
            one.cancel()
        if not done:
            await asyncio.to_thread(self._tick)

    async def _until_due(self, shown: Shown) -> None:
        """Wait until as much time has passed as had then, in its measure."""
        if self._speed is None or self._clock is None:
            return
        loop = asyncio.get_running_loop()
        if self._begin is None:
            self._begin = loop.time(), shown.at
        begun, then = self._begin
        while (left_s := (shown.at - then) / self._speed - (loop.time() - begun)) > 0:
            await asyncio.to_thread(self._flush)
            await asyncio.sleep(min(left_s, self._tick_s or left_s))
            self._clock.at = max(self._clock.at, min(shown.at, then + (loop.time() - begun) * self._speed))
            await asyncio.to_thread(self._tick)

    def _show(self, batch: Sequence[Shown]) -> None:
        for shown in batch:
            self._pass_time(shown.at)
            match shown.item:
                case Events(events):
                    items = list(self._early.events(events))
                case Output():
                    items = [shown.item] if self._early.output(shown.item) else []
                case note:
                    items = [note]
            for reporter in self._reporters:
                for item in items:
                    reporter.take(item)

    def _pass_time(self, until: float) -> None:
        """Let the time pass in which nothing was shown."""
        if self._clock is None:
            return
        step_s = self._tick_s + LATE_S if self._tick_s is not None else 0.0
        ticks = 0
        while step_s and self._clock.at and self._clock.at + step_s < until and ticks < TICKS_MAX:
            self._clock.at += step_s
            self._tick()
            ticks += 1
        self._clock.at = max(self._clock.at, until)

    def _tick(self) -> None:
        for reporter in self._reporters:
            reporter.tick()

    def _pause(self) -> None:
        """Nothing more is ready right now."""
        if self._following.is_present and not self._is_present:
            self._is_present = True
            for reporter in self._reporters:
                reporter.present()
        self._flush()

    def _flush(self) -> None:
        for reporter in self._reporters:
            reporter.flush()

    def _close(self) -> None:
        for reporter in self._reporters:
            for item in self._early.rest():
                reporter.take(item)
            reporter.close()

    def back(self) -> None:
        """Take the terminal again."""
        for reporter in self._reporters:
            reporter.back()

    def leave(self) -> None:
        """Leave the terminal as it was found."""
        for reporter in self._reporters:
            reporter.leave()
