"""Between workers and the engine: reports, which are asked until answered, and orders to stop."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

from dagnats.bus.link import Link, Message
from dagnats.bus.objects import pack, unpack
from dagnats.core.codec import encode_json
from dagnats.core.decide import Failed, Report, Started, Stopped, Succeeded
from dagnats.core.events import Reason

# wire name -> class and the fields it carries
_REPORTS: dict[str, tuple[type[Any], tuple[str, ...]]] = {
    "Started": (Started, ("step", "attempt", "worker")),
    "Succeeded": (Succeeded, ("step", "attempt", "worker", "outputs", "output_bytes", "dropped_bytes")),
    "Failed": (
        Failed,
        ("step", "attempt", "worker", "reason", "message", "exit_code", "outputs", "output_bytes", "dropped_bytes"),
    ),
    "Stopped": (Stopped, ("step", "attempt", "worker", "output_bytes", "dropped_bytes")),
}
_NAMES = {cls: (name, fields) for name, (cls, fields) in _REPORTS.items()}


async def send_report(link: Link, run: str, report: Report) -> asyncio.Future[bytes]:
    """Report to the run's engine; the answer (`refusal`) says whether it was admitted."""
    name, fields = _NAMES[type(report)]
    record = {"v": 1, "type": name} | {field: getattr(report, field) for field in fields}
    payload = await pack(link, encode_json(record).encode("utf-8", "surrogatepass"))
    return await link.request(f"report.{run}", payload)


def refusal(answer: bytes) -> str:
    """Read the engine's answer: "" when the report was admitted, else why not."""
    return answer.decode()


async def on_reports(link: Link, run: str, take: Callable[[Report, str], Awaitable[None]]) -> None:
    """Hand every report of a run to `take`, with the subject that waits for the answer."""

    async def got(message: Message) -> None:
        record = json.loads(await unpack(link, message.data))
        cls, fields = _REPORTS[record["type"]]
        values = {field: record[field] for field in fields}
        if "reason" in values:
            values["reason"] = Reason(values["reason"])
        await take(cls(**values), message.reply)

    await link.subscribe(f"report.{run}", got)


async def answer_report(link: Link, reply: str, why_not: str) -> None:
    """Tell the worker; it asks again if this is lost."""
    await link.publish(reply, why_not.encode())


async def order_stop(link: Link, run: str, step: str, attempt: int, *, kill: bool) -> None:
    """Tell whoever holds the attempt to stop it; repeating does no harm."""
    record = {"v": 1, "step": step, "attempt": attempt, "kill": kill}
    await link.publish(f"control.{run}", json.dumps(record).encode())


async def on_stop(link: Link, take: Callable[[str, str, int, bool], Awaitable[None]]) -> None:
    """Hand every order to stop to `take`: run, step, attempt, whether to kill at once."""

    async def got(message: Message) -> None:
        record = json.loads(message.data)
        await take(message.subject.partition(".")[2], record["step"], record["attempt"], record["kill"])

    await link.subscribe("control.*", got)
