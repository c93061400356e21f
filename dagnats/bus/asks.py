"""What a command asks of the engine of a live run: core NATS, on `ask.<run>`, and answered.

    {"v": 1, "ask": "cancel", "who": "ada", "why": "a wrong branch", "force": false}   ->   {"ok": true, …} or {"error": "why not"}

An ask is repeated until it is answered, so that whoever answers it must be able to take it twice.
"""

import asyncio
import json
from collections.abc import Callable, Mapping
from typing import Any

from msgspec import Struct

from dagnats.bus.link import Link, Message
from dagnats.core.text import encode_json
from dagnats.errors import EngineError, RefusedAskError

ANSWER_WITHIN_S = 20.0
CANCEL = "cancel"
SHOWN = "shown"  # which event was the last that the run has shown


class Ask(Struct, frozen=True):
    """What somebody asks: its word and the values that go with it. `reply` waits for the answer."""

    word: str
    values: Mapping[str, Any]
    reply: str


async def ask(link: Link, run: str, word: str, within_s: float = ANSWER_WITHIN_S, **values: Any) -> dict[str, Any]:
    """Ask, and give the answer. Raises RefusedAskError when it is no, and EngineError when there is none in time."""
    answered: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
    payload = encode_json({"v": 1, "ask": word, **values}).encode("utf-8", "surrogatepass")
    link.request(f"ask.{run}", payload, None, lambda data: None if answered.done() else answered.set_result(data))
    try:
        answer: dict[str, Any] = json.loads(await asyncio.wait_for(answered, within_s))
    except TimeoutError:
        raise EngineError(f"run {run} has not answered within {within_s:g}s: it is stopped or stuck") from None
    if "error" in answer:
        raise RefusedAskError(str(answer["error"]))
    return answer


async def on_asks(link: Link, run: str, take: Callable[[Ask], None]) -> None:
    """Hand every ask to `take`, in the order in which they come."""

    def got(message: Message) -> None:
        record = json.loads(message.data)
        take(Ask(record.pop("ask", ""), record, message.reply))

    await link.subscribe(f"ask.{run}", got)


def reply(link: Link, to: Ask, why_not: str = "", **values: Any) -> None:
    """Answer: yes with these values, or why not."""
    answer = {"error": why_not} if why_not else {"ok": True, **values}
    link.publish(to.reply, json.dumps(answer).encode())
