"""A run's journal: commits appended by one writer, each expecting to be the next.

A commit that is not acknowledged is sent again. If JetStream says that another message came first, the last stored one tells what happened: it is ours,
so that an acknowledgement was lost and all is well, or it is another engine's, and this one has lost the run.
"""

import asyncio
import base64
import secrets
from collections.abc import AsyncIterator, Callable, Sequence
from typing import NamedTuple

from dagnats.bus.link import Link, RefusedError, checked
from dagnats.bus.reading import NO_MESSAGE, NO_STREAM, messages, position
from dagnats.core import codec
from dagnats.core.events import AnyEvent
from dagnats.errors import (
    EngineError,
    JournalError,
    NewerVersionError,
    NoJournalError,
    NotBegunError,
    RunLostError,
    UnreadableError,
)

COMMIT_MAX_BYTES = 512 << 10
WRONG_LAST_SEQUENCE = 10071


class Journal:
    """The writing end for one run; nothing else writes to its subject. One commit is on its way at a time."""

    def __init__(
        self,
        link: Link,
        run: str,
        on_broken: Callable[[EngineError], None],
        *,
        place: int = 0,
        previous: str = "",
        sequence: int = 0,
    ) -> None:
        self._link = link
        self._run = run
        self._on_broken = on_broken
        self._writer = secrets.token_hex(4)
        self._place = place  # of the last commit, from 1
        self._previous = previous  # its hash
        self._sequence = sequence  # of the last stored commit in the stream
        self._stored_end = place, previous
        self._payload = b""
        self._stored: Callable[[], None] | None = None
        self._recovery: asyncio.Task[None] | None = None

    @property
    def end(self) -> tuple[int, str]:
        """How many commits there are, and the hash of the last."""
        return self._place, self._previous

    @property
    def stored_end(self) -> tuple[int, str]:
        """The same of those that are known to be stored."""
        return self._stored_end

    def append(self, events: Sequence[AnyEvent], stored: Callable[[], None]) -> None:
        """Send the events as one commit, and call `stored` when it is; append no other before that.

        `on_broken` gets RunLostError when another engine has written, and EngineError when the server refuses.
        """
        if self._stored is not None:
            raise RuntimeError("a commit is on its way already")
        self._payload = codec.encode_commit(self._run, self._previous, events)
        self._previous = codec.commit_hash(self._payload)
        self._place += 1
        self._stored = stored
        self._send()

    def _id(self, place: int) -> str:
        return f"{self._run}.{place}.{self._writer}"

    def _send(self) -> None:
        headers = {"Nats-Msg-Id": self._id(self._place), "Nats-Expected-Last-Subject-Sequence": str(self._sequence)}
        place = self._place
        self._link.request(
            f"history.{self._run}", self._payload, headers, lambda data: self._answered(place, data), COMMIT_MAX_BYTES
        )

    def _answered(self, place: int, data: bytes) -> None:
        if place != self._place or self._stored is None:
            return
        try:
            sequence = int(checked(data)["seq"])
        except RefusedError as error:
            if error.code != WRONG_LAST_SEQUENCE:
                self._on_broken(error)
            elif self._recovery is None:
                self._recovery = asyncio.get_running_loop().create_task(self._recover())
            return
        self._settle(sequence)

    def _settle(self, sequence: int) -> None:
        self._sequence, self._stored_end = sequence, (self._place, self._previous)
        stored, self._stored = self._stored, None
        if stored is not None:
            stored()

    async def _recover(self) -> None:
        """Look at what was stored last, and go on from there or give up."""
        try:
            stored_id, sequence = await last_commit_id(self._link, self._run)
        except EngineError as error:
            self._on_broken(error)
            return
        self._recovery = None
        if stored_id == self._id(self._place):
            self._settle(sequence)
        elif stored_id == self._id(self._place - 1) or sequence == self._sequence:
            self._sequence = sequence
            self._send()
        else:
            self._on_broken(RunLostError(f"run {self._run}: another engine has written to its journal; this one stops"))


class Loaded(NamedTuple):
    """A journal as it was read back, for one who goes on with it: the last good commit's place, hash, and sequence in the stream.

    `lost` are the sequences of the commits after it, none of which can be used, and `damage` says why, or ""; `missing` is how many are known to be gone.
    """

    events: list[AnyEvent]
    place: int
    last: str
    sequence: int
    lost: Sequence[int] = ()
    missing: int = 0
    damage: str = ""


async def load(link: Link, run: str, known: tuple[int, str] | None) -> Loaded:
    """Read a journal up to its end, or to the last commit before the first that is damaged.

    `known` is a commit that there was, by its place and hash: a journal that ends before it has lost its end. Raises JournalError when nothing is left.
    """
    events: list[AnyEvent] = []
    place, last, sequence, damage = 0, "", 0, ""
    lost: list[int] = []
    try:
        async for message in messages(link, "HISTORY", f"history.{run}"):
            at = position(message).sequence
            if damage:
                lost.append(at)
                continue
            try:
                whole = await link.whole(message.data)
                events += codec.decode_commit(whole, run, last, place + 1)
            except NewerVersionError:
                raise
            except JournalError as error:
                damage = str(error)
                lost.append(at)
                continue
            place, last, sequence = place + 1, codec.commit_hash(whole), at
            if known is not None and place == known[0] and last != known[1]:
                raise JournalError(
                    f"commit {place} of run {run} is not the one that was written: the journal was altered"
                )
    except UnreadableError as error:
        damage = damage or str(error)
        info = await link.call("$JS.API.STREAM.INFO.HISTORY")
        lost = list(range(sequence + 1, int(info["state"]["last_seq"]) + 1))
    if place == 0 and not damage and known is None:
        raise NotBegunError(run)
    if place == 0:
        raise JournalError(damage or f"run {run} has no journal here any more: its store is damaged")
    if known is not None and place < known[0] and not damage:
        damage = f"the journal of run {run} has {place} commits, and had at least {known[0]}: its end is missing"
    missing = max(0, known[0] - place) if known is not None else 0
    return Loaded(events, place, last, sequence, lost, missing, damage)


async def give_up(link: Link, loaded: Loaded) -> None:
    """Remove the commits that can not be used, so that others can follow on the last good one. Raises JournalError where not even that can be done."""
    for sequence in reversed(loaded.lost):  # should one be refused, those before it are what they were
        try:
            await link.call("$JS.API.STREAM.MSG.DELETE.HISTORY", {"seq": sequence})
        except RefusedError as error:
            raise JournalError(
                f"{loaded.damage}; what is damaged can not be removed either ({error}), so that nobody can go on with the run: run its file again"
            ) from error


async def last_commit_id(link: Link, run: str) -> tuple[str, int]:
    """Give the `Nats-Msg-Id` and the stream's sequence of the newest commit, ("", 0) when there is none."""
    try:
        answer = await link.call("$JS.API.STREAM.MSG.GET.HISTORY", {"last_by_subj": f"history.{run}"})
    except RefusedError as error:
        if error.code in (NO_MESSAGE, NO_STREAM):
            return "", 0
        raise
    message = answer["message"]
    for line in base64.b64decode(message.get("hdrs", "")).decode().splitlines():
        name, _, value = line.partition(":")
        if name == "Nats-Msg-Id":
            return value.strip(), int(message["seq"])
    return "", int(message["seq"])


async def read(link: Link, run: str, end: tuple[int, str] | None = None) -> AsyncIterator[list[AnyEvent]]:
    """Give a run's events, a commit at a time, and check the chain, and that it ends where it shall, if that is known.

    Raises JournalError where it is broken.
    """
    place, previous = 0, ""
    async for message in messages(link, "HISTORY", f"history.{run}"):
        place += 1
        whole = await link.whole(message.data)
        events = codec.decode_commit(whole, run, previous, place)
        previous = codec.commit_hash(whole)
        yield events
    if place == 0:
        raise NoJournalError(f"run {run} has no journal here")
    if end is not None and (place, previous) != end:
        raise JournalError(
            f"the journal of run {run} is damaged: it has {place} commits that can be read, and had {end[0]}"
        )
