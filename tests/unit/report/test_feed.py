"""The feed shows everything in order, and outlives whatever breaks a reporter."""

import asyncio

from dagnats.core.events import StepCancelled, StepSkipped, StepStarted, StepSucceeded
from dagnats.report.feed import UNSHOWN_MAX_BYTES, Feed
from dagnats.report.reporter import Reporter

STARTED = StepStarted(seq=2, at=1.0, step="a", attempt=1, worker="w")
SUCCEEDED = StepSucceeded(seq=3, at=2.0, step="a", attempt=1)
CANCELLED = StepCancelled(seq=3, at=2.0, step="a", attempt=1)


class Recorder(Reporter):
    def __init__(self, breaks_at: str = "") -> None:
        self.seen: list[tuple[str, object]] = []
        self._breaks_at = breaks_at
        self.has_left = False

    def _take(self, what: str, fact: object) -> None:
        if what == self._breaks_at:
            raise RuntimeError("a reporter broke")
        self.seen.append((what, fact))

    def events(self, events) -> None:
        self._take("events", tuple(events))

    def output(self, step, attempt, stream, chunk) -> None:
        self._take("output", (step, attempt, stream, len(chunk)))

    def note(self, text) -> None:
        self._take("note", text)

    def leave(self) -> None:
        self.has_left = True

    def back(self) -> None:
        self.has_left = False

    def close(self) -> None:
        self._take("close", None)


def show(*reporters: Recorder) -> Feed:
    async def work() -> Feed:
        feed = Feed(reporters)
        feed.events((STARTED,))
        for _ in range(3):
            feed.output("a", 1, "out", b"x" * UNSHOWN_MAX_BYTES)
            await asyncio.wait_for(feed.room(), 10)
        feed.note("done")
        await asyncio.wait_for(feed.close(), 10)
        await asyncio.wait_for(feed.close(), 10)
        return feed

    return asyncio.run(work())


def test_everything_is_shown_in_order():
    recorder = Recorder()
    assert show(recorder).broken is None
    chunk = ("output", ("a", 1, "out", UNSHOWN_MAX_BYTES))
    assert recorder.seen == [("events", (STARTED,)), chunk, chunk, chunk, ("note", "done"), ("close", None)]


def test_a_reporter_that_breaks_is_left_out_and_the_others_go_on():
    broken, whole = Recorder("output"), Recorder()
    feed = show(broken, whole)
    assert str(feed.broken) == "a reporter broke"
    assert broken.seen == [("events", (STARTED,))]
    assert [what for what, _ in whole.seen] == ["events", "output", "output", "output", "note", "close"]
    assert broken.has_left  # the terminal, as it was
    assert not whole.has_left


def test_the_terminal_is_left_and_taken_again():
    recorder = Recorder()

    async def work() -> None:
        feed = Feed([recorder])
        feed.leave()
        assert recorder.has_left
        feed.back()
        assert not recorder.has_left
        await asyncio.wait_for(feed.close(), 10)

    asyncio.run(work())


def shown(tell) -> list[tuple[str, object]]:
    recorder = Recorder()

    async def work() -> None:
        feed = Feed([recorder])
        tell(feed)
        await asyncio.wait_for(feed.close(), 10)

    asyncio.run(work())
    return recorder.seen[:-1]


def test_what_is_printed_before_the_start_is_stored_is_shown_between_start_and_end():
    def tell(feed: Feed) -> None:
        feed.output("a", 1, "out", b"early")
        feed.events((STARTED, SUCCEEDED))

    output = ("output", ("a", 1, "out", 5))
    assert shown(tell) == [("events", (STARTED,)), output, ("events", (SUCCEEDED,))]


def test_what_an_attempt_printed_that_was_never_admitted_is_shown_before_its_end_and_what_comes_later_after_it():
    def tell(feed: Feed) -> None:
        feed.output("a", 1, "out", b"early")
        feed.events((CANCELLED,))
        feed.output("a", 1, "out", b"late")

    assert shown(tell) == [
        ("output", ("a", 1, "out", 5)),
        ("events", (CANCELLED,)),
        ("output", ("a", 1, "out", 4)),
    ]


def test_what_is_printed_early_comes_after_all_that_its_start_was_stored_with():
    other = StepSkipped(seq=3, at=1.0, step="b", condition="false")

    def tell(feed: Feed) -> None:
        feed.output("a", 1, "out", b"early")
        feed.events((STARTED, other))

    assert shown(tell) == [("events", (STARTED, other)), ("output", ("a", 1, "out", 5))]


def test_what_waits_for_a_start_that_never_comes_is_shown_at_the_end():
    assert shown(lambda feed: feed.output("a", 1, "out", b"early")) == [("output", ("a", 1, "out", 5))]
