"""Answers that are given on the terminal of a run: they go the way of those that come from elsewhere, through the run's own store."""

import asyncio
import contextlib
import os
import pwd
import time
from collections.abc import Callable

from dagnats.bus.link import Link
from dagnats.bus.signals import new_put, put
from dagnats.core.waiting import Posted
from dagnats.core.waits import approval_key
from dagnats.errors import DagnatsError


def user() -> str:
    """Who gives an answer."""
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return f"user {os.getuid()}"


def answerer(link: Link, run: str) -> Callable[[str, bool, str], None]:
    """Give what puts a decision, and may be called from any thread; one that comes too late changes nothing."""
    loop = asyncio.get_running_loop()
    going: set[asyncio.Task[None]] = set()

    async def decide(step: str, approved: bool, why: str) -> None:
        post = Posted(approval_key(step), 0, time.time(), user(), {"approved": approved, "why": why})
        with contextlib.suppress(DagnatsError):  # the run says what is wrong with its server
            await put(link, run, post, new_put(), once=True)

    def begin(step: str, approved: bool, why: str) -> None:
        task = loop.create_task(decide(step, approved, why))
        going.add(task)
        task.add_done_callback(going.discard)

    def answer(step: str, approved: bool, why: str) -> None:
        loop.call_soon_threadsafe(begin, step, approved, why)

    return answer
