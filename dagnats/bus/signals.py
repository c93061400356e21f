"""Signals and decisions for the steps that wait for them: the bucket `signals`, a key each.

`<run>.<name>` holds the signals of a name, `<run>.approval.<step>` what was decided for a step. What is put there stays, so that it does not matter whether
a run waits for it already, or goes on at all. Nothing of this is made before somebody waits or puts.
"""

import asyncio
import json
import secrets
from collections.abc import Callable, Mapping
from typing import Any

from dagnats.bus.link import Link, Message, RefusedError, checked
from dagnats.bus.reading import NO_MESSAGE, messages
from dagnats.core.text import encode_json
from dagnats.core.waiting import Posted
from dagnats.errors import UsageError

STREAM = "KV_signals"
SUBJECT = "$KV.signals"
KEPT = 64  # of one key
PUT_MAX_BYTES = 512 << 10  # such a message is no object: whatever knows NATS can put one
WRONG_LAST_SEQUENCE = 10071
KEY_FULL = 10077
# as whatever makes a bucket of NATS makes it, but that a full key refuses instead of dropping what nobody has taken
CONFIG: Mapping[str, Any] = {
    "name": STREAM,
    "subjects": [f"{SUBJECT}.>"],
    "retention": "limits",
    "storage": "file",
    "num_replicas": 1,
    "max_msgs_per_subject": KEPT,
    "discard": "new",
    "discard_new_per_subject": True,
    "allow_rollup_hdrs": True,
    "deny_delete": True,
    "allow_direct": True,
}


def new_put() -> str:
    """Give the id of a put: with the same one again, it counts once."""
    return secrets.token_hex(12)


async def put(link: Link, run: str, post: Posted, number: str, *, once: bool = False) -> bool:
    """Put something for a run; with `once` only if nothing is there under its key, and false says that something is. Raises UsageError for too many."""
    await link.call(f"$JS.API.STREAM.CREATE.{STREAM}", CONFIG)
    record = {"v": 1, "value": post.value, "by": post.by, "at": post.at}
    headers = {"Nats-Msg-Id": number}
    if once:
        headers["Nats-Expected-Last-Subject-Sequence"] = "0"
    payload = encode_json(record).encode("utf-8", "surrogatepass")
    answer: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
    link.request(
        f"{SUBJECT}.{run}.{post.key}",
        payload,
        headers,
        lambda data: None if answer.done() else answer.set_result(data),
        PUT_MAX_BYTES,
    )
    try:
        checked(await answer)
    except RefusedError as error:
        if once and error.code == WRONG_LAST_SEQUENCE:
            return False
        if error.code == KEY_FULL:
            raise UsageError(f"run {run} was sent {KEPT} signals of that name, and takes no more of them") from error
        raise
    return True


async def posted(link: Link, run: str, key: str) -> list[Posted]:
    """Give what is under a key."""
    try:
        return [
            one
            async for message in messages(link, STREAM, f"{SUBJECT}.{run}.{key}")
            if (one := _read(message, run)) is not None
        ]
    except RefusedError:
        return []  # nobody has put anything


class Watch:
    """Hands on whatever is put for a run, from the beginning of its bucket, each once; also after a reconnect."""

    def __init__(self, link: Link, run: str, take: Callable[[Posted], None], caught_up: Callable[[], None]) -> None:
        self._link = link
        self._run = run
        self._take = take
        self._caught_up = caught_up
        self._inbox = f"_INBOX.{secrets.token_hex(8)}"
        self._last = 0  # revision of what was seen
        self._awaited = 0  # revision of the last that was there when it began

    async def start(self) -> None:
        """Listen, and read what is there."""
        await self._link.subscribe(self._inbox, self._got)
        self._link.on_connected(self._again)
        await self._again()

    async def _again(self) -> None:
        await self._link.call(f"$JS.API.STREAM.CREATE.{STREAM}", CONFIG)
        subject = f"{SUBJECT}.{self._run}.>"
        config = {
            "filter_subject": subject,
            "deliver_subject": self._inbox,
            "ack_policy": "none",
            "deliver_policy": "by_start_sequence",
            "opt_start_seq": self._last + 1,
            "mem_storage": True,
            "max_deliver": 1,
        }
        self._awaited = await self._newest(subject)
        await self._link.call(f"$JS.API.CONSUMER.CREATE.{STREAM}", {"stream_name": STREAM, "config": config})
        if self._last >= self._awaited:
            self._caught_up()

    async def _newest(self, subject: str) -> int:
        try:
            answer = await self._link.call(f"$JS.API.STREAM.MSG.GET.{STREAM}", {"last_by_subj": subject})
        except RefusedError as error:
            if error.code == NO_MESSAGE:
                return 0
            raise
        return int(answer["message"]["seq"])

    def _got(self, message: Message) -> None:
        if not message.reply.startswith("$JS.ACK."):
            return
        revision = _revision(message)
        if revision <= self._last:
            return  # a consumer of the connection before goes on for a moment
        self._last = revision
        one = _read(message, self._run)
        if one is not None:
            self._take(one)
        if revision == self._awaited:
            self._caught_up()


def _revision(message: Message) -> int:
    """Give the sequence in the stream: `$JS.ACK.<stream>.<consumer>.<deliveries>.<sequence>.…`, with two more words before where there are domains."""
    words = message.reply.split(".")
    return int(words[5] if len(words) < 11 else words[7])


def _read(message: Message, run: str) -> Posted | None:
    """Read what was put; None for what no command of ours has written, as it must not end a run."""
    key = message.subject.removeprefix(f"{SUBJECT}.{run}.")
    try:
        record = json.loads(message.data)
        encode_json(record)  # what can not be written into a journal is nothing to take
        value, by, at = record["value"], str(record["by"]), float(record["at"])
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
    if "." in key and not isinstance(value, dict):
        return None
    return Posted(key, _revision(message), at, by, value)
