"""Every stream and consumer, declared once.

| stream | holds | kept |
| --- | --- | --- |
| `HISTORY` | `history.<run>`: the journal, a commit a message | for good; a full disk refuses, nothing old is dropped |
| `TASKS` | `tasks.<label>.<run>.<step>`: attempts for workers | until acknowledged; in memory, as the journal says which there must be |
| `OUTPUT` | `output.<run>.<step>.<attempt>`: what steps print, in chunks | up to a bound; past it the rest is dropped and counted |
| `DEAD` | `dead.<run>`: tasks that nobody can carry out, with what was the matter; made with the first of them | up to a bound; past it no more are kept |
"""

import asyncio
from typing import Any

from dagnats.bus.link import Link

LABEL = "default"
ACK_WAIT_S = 30.0  # a task whose worker says nothing for so long goes to another
OUTPUT_MAX_BYTES = 4 << 30
DEAD_MAX_BYTES = 64 << 20
NS = 1_000_000_000

STREAMS: tuple[dict[str, Any], ...] = (
    {
        "name": "HISTORY",
        "subjects": ["history.*"],
        "retention": "limits",
        "discard": "new",
        "storage": "file",
        "num_replicas": 1,
    },
    {
        "name": "TASKS",
        "subjects": ["tasks.>"],
        "retention": "workqueue",
        "discard": "new",
        "storage": "memory",
        "num_replicas": 1,
    },
    {
        "name": "OUTPUT",
        "subjects": ["output.>"],
        "retention": "limits",
        "discard": "new",
        "storage": "file",
        "num_replicas": 1,
        "max_bytes": OUTPUT_MAX_BYTES,
    },
)

DEAD: dict[str, Any] = {
    "name": "DEAD",
    "subjects": ["dead.*"],
    "retention": "limits",
    "discard": "new",
    "storage": "file",
    "num_replicas": 1,
    "max_bytes": DEAD_MAX_BYTES,
}


def task_consumer(ack_wait_s: float) -> dict[str, Any]:
    """Give the durable pull consumer that all workers of a label share."""
    return {
        "durable_name": LABEL,
        "filter_subject": f"tasks.{LABEL}.>",
        "ack_policy": "explicit",
        "ack_wait": int(ack_wait_s * NS),
        "mem_storage": True,
        "max_deliver": -1,
        "max_ack_pending": -1,  # attempts that wait for their time are pending, and may be many
    }


async def set_up(link: Link, ack_wait_s: float = ACK_WAIT_S) -> None:
    """Make what is not there yet, now and after each reconnect, as what is in memory goes with its server."""
    await _set_up(link, ack_wait_s)
    link.on_connected(lambda: _set_up(link, ack_wait_s))


async def _set_up(link: Link, ack_wait_s: float) -> None:
    """Make the streams at once, then what needs them."""
    await asyncio.gather(*(link.call(f"$JS.API.STREAM.CREATE.{stream['name']}", stream) for stream in STREAMS))
    consumer = {"stream_name": "TASKS", "config": task_consumer(ack_wait_s)}
    await link.call(f"$JS.API.CONSUMER.DURABLE.CREATE.TASKS.{LABEL}", consumer)
