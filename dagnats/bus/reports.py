"""What a worker says of an attempt, and what the engine orders: core NATS, answered or repeated until they are.

The report of an end names its task as well, so that the engine takes it from the queue the moment the end is stored.
"""

import json
import secrets
from collections.abc import Callable
from typing import Any

from msgspec import Struct

from dagnats.bus.link import Link, Message
from dagnats.core.codec import artifacts_from, artifacts_record
from dagnats.core.decide import Failed, Opened, Report, Started, Stopped, Succeeded
from dagnats.core.events import Reason
from dagnats.core.text import encode_json

# wire name -> class and the fields it carries
_REPORTS: dict[str, tuple[type[Any], tuple[str, ...]]] = {
    "Started": (Started, ("step", "attempt", "worker")),
    "Succeeded": (
        Succeeded,
        ("step", "attempt", "worker", "outputs", "output_bytes", "dropped_bytes", "summary", "artifacts"),
    ),
    "Failed": (
        Failed,
        (
            "step",
            "attempt",
            "worker",
            "reason",
            "message",
            "exit_code",
            "outputs",
            "output_bytes",
            "dropped_bytes",
            "summary",
            "artifacts",
        ),
    ),
    "Stopped": (Stopped, ("step", "attempt", "worker", "output_bytes", "dropped_bytes")),
    "Opened": (Opened, ("step", "attempt", "worker", "params", "vars")),
}
_NAMES = {cls: (name, fields) for name, (cls, fields) in _REPORTS.items()}

Refusal = str  # why a report was not admitted, "" when it was


class Told(Struct):
    """What a worker told: `reply` waits for the answer, `task` is where the task can be acknowledged, or "" while the attempt goes on."""

    report: Report
    reply: str
    task: str


def send_report(link: Link, run: str, report: Report, on_answer: Callable[[Refusal], None], task: str = "") -> None:
    """Report to the run's engine. With `task`, the reply of its delivery, an admitted report also ends the task."""
    link.request(f"report.{run}", _encode(report, task), None, lambda answer: on_answer(answer.decode()))


def _encode(report: Report, task: str) -> bytes:
    name, fields = _NAMES[type(report)]
    record = {"v": 1, "type": name, "task": task} | {field: getattr(report, field) for field in fields}
    if record.get("artifacts"):
        record["artifacts"] = artifacts_record(report.artifacts)  # type: ignore[union-attr]  # of those that have the field
    return encode_json(record).encode("utf-8", "surrogatepass")


def report_failure(link: Link, run: str, step: str, attempt: int, message: str) -> None:
    """Tell the run's engine, if there is one, that nobody can carry an attempt out. Nothing is waited for: the engine asks itself when it hears nothing."""
    failed = Failed(step=step, attempt=attempt, worker=None, reason=Reason.ENGINE, message=message)
    link.publish(f"report.{run}", _encode(failed, ""), f"_INBOX.{secrets.token_hex(8)}")


async def on_reports(link: Link, run: str, take: Callable[[Told], None]) -> None:
    """Hand every report of a run to `take`, in the order in which they come."""

    def got(message: Message) -> None:
        record = json.loads(message.data)
        cls, fields = _REPORTS[record["type"]]
        values = {field: record[field] for field in fields}
        if "reason" in values:
            values["reason"] = Reason(values["reason"])
        if values.get("artifacts"):
            values["artifacts"] = artifacts_from(values["artifacts"])
        take(Told(cls(**values), message.reply, record["task"]))

    await link.subscribe(f"report.{run}", got)


def answer(link: Link, told: Told, why_not: Refusal) -> None:
    """Tell the worker; it asks again if this is lost."""
    if told.task and not why_not:
        link.publish(told.task, b"+ACK", urgent=False)  # should it be lost, the worker knows what it has done
    link.publish(told.reply, why_not.encode())


def order_stop(link: Link, run: str, step: str, attempt: int, *, kill: bool) -> None:
    """Tell whoever holds the attempt to stop it; repeating does no harm."""
    record = {"v": 1, "step": step, "attempt": attempt, "kill": kill}
    link.publish(f"control.{run}", json.dumps(record).encode())


async def on_stop(link: Link, take: Callable[[str, str, int, bool], None]) -> None:
    """Hand every order to stop to `take`: run, step, attempt, whether to kill at once."""

    def got(message: Message) -> None:
        record = json.loads(message.data)
        take(message.subject.partition(".")[2], record["step"], record["attempt"], record["kill"])

    await link.subscribe("control.*", got)
