"""Dead letters: tasks that nobody can carry out, kept with what was the matter, until somebody has looked at them.

Their stream is made with the first of them: a run that has none pays nothing.
"""

import asyncio
import base64
import json
import secrets
import time
from collections.abc import Sequence

from msgspec import Struct

from dagnats.bus.link import Link, RefusedError, checked
from dagnats.bus.objects import MESSAGE_MAX_BYTES
from dagnats.bus.reading import NO_MESSAGE, NO_STREAM, messages
from dagnats.bus.topology import DEAD
from dagnats.core.text import encode_json
from dagnats.errors import JournalError

_SUBJECT_MAX = 1000


class Letter(Struct, frozen=True, kw_only=True):
    """A task, as it was in the queue under its `subject`, with what was the matter with it.

    `step` and `attempt` are what could be read of it, "" and 0 if that was nothing. `seq` is the last event that the journal had then, and `number` is by
    which a person names the letter.
    """

    subject: str
    task: bytes
    error: str
    step: str = ""
    attempt: int = 0
    at: float = 0.0
    seq: int = 0
    number: int = 0


async def bury(link: Link, run: str, letter: Letter) -> None:
    """Keep a letter; where there are too many already, no more are kept, as they would fill the disk."""
    record = {
        "v": 1,
        "subject": letter.subject[:_SUBJECT_MAX],
        "task": base64.b64encode(letter.task).decode(),
        "error": letter.error,
        "step": letter.step,
        "attempt": letter.attempt,
        "at": time.time(),
        "seq": await _last_event(link, run),
    }
    payload = encode_json(record).encode("utf-8", "surrogatepass")
    stored: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
    headers = {"Nats-Msg-Id": secrets.token_hex(8)}  # it may be sent twice, should the answer be lost
    try:
        await link.call(f"$JS.API.STREAM.CREATE.{DEAD['name']}", DEAD)
        link.request(
            f"dead.{run}",
            payload,
            headers,
            lambda data: None if stored.done() else stored.set_result(data),
            MESSAGE_MAX_BYTES,
        )
        checked(await stored)
    except RefusedError:
        return


async def _last_event(link: Link, run: str) -> int:
    """Give the number of the last event in the journal, 0 when it has none."""
    try:
        answer = await link.call("$JS.API.STREAM.MSG.GET.HISTORY", {"last_by_subj": f"history.{run}"})
        commit = await link.whole(base64.b64decode(answer["message"]["data"]))
        return int(json.loads(commit)["events"][-1]["seq"])
    except (RefusedError, JournalError, LookupError, ValueError):
        return 0


async def read(link: Link, run: str) -> Sequence[Letter]:
    """Give the letters of a run, the oldest first."""
    found = []
    try:
        async for message in messages(link, DEAD["name"], f"dead.{run}"):
            record = json.loads(await link.whole(message.data))
            found.append(
                Letter(
                    subject=record["subject"],
                    task=base64.b64decode(record["task"]),
                    error=record["error"],
                    step=record["step"],
                    attempt=record["attempt"],
                    at=record["at"],
                    seq=record["seq"],
                    number=int(message.reply.split(".")[5]),  # $JS.ACK.<stream>.<consumer>.<deliveries>.<sequence>.…
                )
            )
    except RefusedError as error:
        if error.code not in (NO_STREAM, NO_MESSAGE):
            raise
    return found


async def forget(link: Link, letter: Letter) -> None:
    """Remove a letter."""
    await link.call(f"$JS.API.STREAM.MSG.DELETE.{DEAD['name']}", {"seq": letter.number})
