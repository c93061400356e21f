"""The feed shows everything in order, and outlives whatever breaks a reporter."""

import asyncio

from dagnats.report.feed import UNSHOWN_MAX_BYTES, Feed


class Recorder:
    def __init__(self, breaks_at: str = "") -> None:
        self.seen: list[tuple[str, object]] = []
        self._breaks_at = breaks_at

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

    def flush(self) -> None:
        pass

    def close(self) -> None:
        self._take("close", None)


def show(*reporters: Recorder) -> Feed:
    async def work() -> Feed:
        feed = Feed(reporters)
        feed.events(())
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
    assert recorder.seen == [("events", ()), chunk, chunk, chunk, ("note", "done"), ("close", None)]


def test_a_reporter_that_breaks_is_left_out_and_the_others_go_on():
    broken, whole = Recorder("output"), Recorder()
    feed = show(broken, whole)
    assert str(feed.broken) == "a reporter broke"
    assert broken.seen == [("events", ())]
    assert [what for what, _ in whole.seen] == ["events", "output", "output", "output", "note", "close"]
