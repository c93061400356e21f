"""What a run listens to while steps of it wait: the clock, and what is put for it into the bucket `signals`."""

import asyncio
import random
import time
from collections.abc import Callable

from dagnats.bus.link import Link
from dagnats.bus.signals import Watch
from dagnats.causes import Woken
from dagnats.core.events import AnyEvent, StepWaiting
from dagnats.core.state import RunState
from dagnats.core.waiting import Posted, answer, elapsed, only_waits

LOOK_S = 30.0  # a clock that was set, or a machine that slept, is noticed within so long


class Awaiting:
    """Wakes the engine when a wait is over. Times are absolute, so that a wait which is begun again ends when it would have ended.

    What was put is kept by its key, and not more than that: which wait gets it is for the core to say.
    """

    def __init__(
        self,
        link: Link,
        state: RunState,
        wake: Callable[[Woken], None],
        crash: Callable[[BaseException], None],
    ) -> None:
        self._wake = wake
        self._crash = crash
        self._state = state
        self._watch = Watch(link, state.run, self._take, self._caught_up)
        self._starting: asyncio.Task[None] | None = None
        self._timers: dict[str, asyncio.TimerHandle] = {}
        self._is_caught_up = False
        self._posted: dict[str, list[Posted]] = {}

    @property
    def is_all_there_is(self) -> bool:
        """Whether the run can only wait, and what was put for it before has been read."""
        return (self._starting is None or self._is_caught_up) and only_waits(self._state, time.time())

    def given(self) -> AnyEvent | None:
        """What was put for the run and ends a wait, as the next event."""
        return answer(self._state, self._posted, time.time()) if self._posted else None

    def ended(self, what: Woken) -> AnyEvent | None:
        """The end of a wait whose time has come, as the next event."""
        chance = random.random()  # noqa: S311 - spreads retries
        return elapsed(self._state, what.step, what.attempt, at=time.time(), jitter=chance)

    def again(self) -> None:
        """Listen to what ends the waits that go on; also to those to which it listens already."""
        for wait in self._state.awaited.open.values():
            self.begin(wait)

    def begin(self, wait: StepWaiting) -> None:
        """Listen to what ends a wait; to begin it twice does no harm."""
        self.end(wait.step)
        if wait.until is not None:
            self._set(wait.until, Woken(wait.step, wait.attempt))
        if wait.kind != "sleep" and self._starting is None:
            self._starting = asyncio.create_task(self._watch.start())
            self._starting.add_done_callback(self._started)

    def end(self, step: str) -> None:
        """Forget the time of a wait."""
        timer = self._timers.pop(step, None)
        if timer is not None:
            timer.cancel()

    def close(self) -> None:
        """Listen no more."""
        for step in list(self._timers):
            self.end(step)
        if self._starting is not None:
            self._starting.cancel()

    def _set(self, until: float, woken: Woken) -> None:
        left_s = until - time.time()
        if left_s <= 0:
            self._timers.pop(woken.step, None)
            self._wake(woken)
        else:
            loop = asyncio.get_running_loop()
            self._timers[woken.step] = loop.call_later(min(left_s, LOOK_S), self._set, until, woken)

    def _started(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (error := task.exception()) is not None:
            self._crash(error)

    def _take(self, post: Posted) -> None:
        self._posted.setdefault(post.key, []).append(post)
        self._wake(Woken())

    def _caught_up(self) -> None:
        self._is_caught_up = True
        self._wake(Woken())
