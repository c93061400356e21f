"""A run's journal: commits appended by one writer, each expecting to be the next, several in flight.

A commit that is not acknowledged is sent again. If JetStream says that another message came first, the last stored one tells what happened: it is ours,
so that an acknowledgement was lost and all is well, or it is another engine's, and this one has lost the run.
"""

import asyncio
import base64
import json
import secrets
from collections import deque
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass

from dagnats.bus.link import Link, Message, RefusedError, checked
from dagnats.bus.objects import pack, unpack
from dagnats.core import codec
from dagnats.core.events import AnyEvent
from dagnats.errors import EngineError, JournalError, RunLostError

COMMIT_MAX_BYTES = 512 << 10
IN_FLIGHT = 4  # commits that may wait for their acknowledgement at once
READ_BATCH = 500
WRONG_LAST_SEQUENCE = 10071


@dataclass(slots=True)
class _Commit:
    place: int
    payload: bytes
    stored: asyncio.Future[None]


class Journal:
    """The writing end for one run. `append` in the order of the run; nothing else writes to its subject."""

    def __init__(self, link: Link, run: str, *, place: int = 0, previous: str = "", sequence: int = 0) -> None:
        self._link = link
        self._run = run
        self._writer = secrets.token_hex(4)
        self._place = place  # of the last commit, from 1
        self._previous = previous  # its hash
        self._sequence = sequence  # of the last stored commit in the stream
        self._waiting: deque[_Commit] = deque()
        self._room = asyncio.Semaphore(IN_FLIGHT)
        self._recovery: asyncio.Task[None] | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    async def append(self, events: Sequence[AnyEvent]) -> asyncio.Future[None]:
        """Send the events as one commit; the future that it gives is done when they are stored.

        Raises RunLostError through the future when another engine has written, and EngineError when the server refuses.
        """
        await self._room.acquire()
        whole = codec.encode_commit(self._run, self._previous, events)
        self._previous = codec.commit_hash(whole)
        payload = await pack(self._link, whole, COMMIT_MAX_BYTES)
        self._place += 1
        commit = _Commit(self._place, payload, asyncio.get_running_loop().create_future())
        self._waiting.append(commit)
        await self._send(commit, self._sequence + len(self._waiting) - 1)
        return commit.stored

    def _id(self, place: int) -> str:
        return f"{self._run}.{place}.{self._writer}"

    async def _send(self, commit: _Commit, expected: int) -> None:
        headers = {"Nats-Msg-Id": self._id(commit.place), "Nats-Expected-Last-Subject-Sequence": str(expected)}
        answer = await self._link.request(f"history.{self._run}", commit.payload, headers)
        answer.add_done_callback(lambda done: self._answered(commit, done))

    def _answered(self, commit: _Commit, answer: asyncio.Future[bytes]) -> None:
        if answer.cancelled() or commit.stored.done():
            return
        try:
            sequence = int(checked(answer.result())["seq"])
        except RefusedError as error:
            if error.code != WRONG_LAST_SEQUENCE:
                self._fail(error)
            elif self._recovery is None:
                self._recovery = asyncio.get_running_loop().create_task(self._recover())
            return
        self._settle(commit.place, sequence)

    def _settle(self, place: int, sequence: int) -> None:
        """Everything up to `place` is stored, as commits are stored in order."""
        while self._waiting and self._waiting[0].place <= place:
            commit = self._waiting.popleft()
            self._room.release()
            if not commit.stored.done():
                commit.stored.set_result(None)
        self._sequence = max(self._sequence, sequence)

    async def _recover(self) -> None:
        """Look at what was stored last, and go on from there or give up."""
        try:
            stored_id, sequence = await last_commit_id(self._link, self._run)
            ours = [commit.place for commit in self._waiting if self._id(commit.place) == stored_id]
            if ours:
                self._settle(ours[0], sequence)
            elif stored_id != self._id(self._waiting[0].place - 1) and sequence != self._sequence:
                raise RunLostError(f"run {self._run}: another engine has written to its journal; this one stops")
            self._sequence = sequence
            self._recovery = None
            for offset, commit in enumerate(list(self._waiting)):
                await self._send(commit, sequence + offset)
        except EngineError as error:
            self._fail(error)

    def _fail(self, error: EngineError) -> None:
        while self._waiting:
            commit = self._waiting.popleft()
            if not commit.stored.done():
                commit.stored.set_exception(error)


async def last_commit_id(link: Link, run: str) -> tuple[str, int]:
    """Give the `Nats-Msg-Id` and the stream's sequence of the newest commit, ("", 0) when there is none."""
    try:
        answer = await link.call("$JS.API.STREAM.MSG.GET.HISTORY", {"last_by_subj": f"history.{run}"})
    except RefusedError as error:
        if error.code == NO_MESSAGE:
            return "", 0
        raise
    message = answer["message"]
    for line in base64.b64decode(message.get("hdrs", "")).decode().splitlines():
        name, _, value = line.partition(":")
        if name == "Nats-Msg-Id":
            return value.strip(), int(message["seq"])
    return "", int(message["seq"])


NO_MESSAGE = 10037


async def read(link: Link, run: str) -> AsyncIterator[list[AnyEvent]]:
    """Give a run's events, a commit at a time, and check the chain. Raises JournalError where it is broken."""
    place, previous = 0, ""
    async for payload in _payloads(link, f"history.{run}"):
        place += 1
        whole = await unpack(link, payload)
        events = codec.decode_commit(whole, run, previous, place)
        previous = codec.commit_hash(whole)
        yield events
    if place == 0:
        raise JournalError(f"run {run} has no journal here")


async def _payloads(link: Link, subject: str) -> AsyncIterator[bytes]:
    """Read all that a subject holds now, through a consumer that needs no acknowledgement and is gone afterwards."""
    config = {
        "filter_subject": subject,
        "ack_policy": "none",
        "deliver_policy": "all",
        "mem_storage": True,
        "inactive_threshold": 5_000_000_000,
    }
    made = await link.call("$JS.API.CONSUMER.CREATE.HISTORY", {"stream_name": "HISTORY", "config": config})
    got: asyncio.Queue[Message] = asyncio.Queue()
    inbox = f"_INBOX.{secrets.token_hex(8)}"
    subscription = await link.client.subscribe(inbox, cb=got.put)
    try:
        pending = int(made["num_pending"])
        while pending > 0:
            batch = min(pending, READ_BATCH)
            request = json.dumps({"batch": batch, "expires": 5_000_000_000}).encode()
            await link.publish(f"$JS.API.CONSUMER.MSG.NEXT.HISTORY.{made['name']}", request, reply=inbox)
            for _ in range(batch):
                message = await asyncio.wait_for(got.get(), 10)
                if message.headers and "Status" in message.headers:
                    raise EngineError(
                        f"the journal could not be read: nats-server answered {message.headers['Status']}"
                    )
                pending -= 1
                yield message.data
    finally:
        await subscription.unsubscribe()
