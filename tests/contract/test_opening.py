"""What opens a pipeline keeps the contract of `dagnats/workers/action.py` too, as far as it has to do with it: it runs the scripts of `vars`."""

import asyncio
import os

import pytest
from acting import SECRET, Sink
from msgspec.structs import replace
from running_dagnats import processes_of
from running_processes import guarded

from dagnats.bus.tasks import Task
from dagnats.core.events import Reason
from dagnats.workers.action import Ended, Failure, Stop
from dagnats.workers.opening import OpeningAction

WORD = "OPENING_TEST"


def on_stage(work, variables=None):
    async def act(guardian):
        await work(OpeningAction(guardian, variables or {}))

    guarded(act)


def task(tmp_path, **variables) -> Task:
    context = {"params": {"n": 2}, "env": {}, "git": {}, "pipeline": {"name": "inner"}}
    return Task(
        kind="pipeline",
        run="r1",
        step="a",
        attempt=1,
        cwd=str(tmp_path),
        context=context,
        pipeline="inner.yaml",
        vars=variables,
    )


def endless(tmp_path) -> Task:
    os.mkfifo(tmp_path / "ready")
    script = f"env {WORD}= sleep 600 & : > ready; trap '' TERM INT; env {WORD}= sleep 600; env {WORD}= sleep 600"
    return task(tmp_path, v={"sh": script})


async def ready(tmp_path) -> None:
    await asyncio.to_thread((tmp_path / "ready").read_bytes)


def test_variables_get_their_values_in_their_order(tmp_path):
    async def work(action):
        asked = task(
            tmp_path,
            plain=[1, {"k": None}],
            made="{{ params.n + 1 }}",
            shown="{{ vars.made }} of {{ pipeline.name }}",
            printed={"sh": 'echo "{{ vars.shown }} in $(pwd) with $FROM_FILE"'},
        )
        assert await action.run(asked, Sink(), Stop()) == Ended(
            outputs={
                "plain": [1, {"k": None}],
                "made": 3,
                "shown": "3 of inner",
                "printed": f"3 of inner in {tmp_path} with a variable",
            }
        )

    on_stage(work, {"inner.yaml": {"FROM_FILE": "a variable"}, "other.yaml": {"FROM_FILE": "another"}})


def test_a_script_that_fails_is_named_without_what_is_hidden(tmp_path):
    async def work(action):
        ended = await action.run(task(tmp_path, v={"sh": f"echo {SECRET} is bad >&2; exit 4"}), Sink(), Stop())
        message = "vars.v: the command ended with exit code 4: *** is bad"
        assert ended == Ended(Failure(Reason.TEMPLATE, message))

    on_stage(work)


@pytest.mark.parametrize("kill", [False, True])
def test_an_order_ends_it_and_nothing_is_left(tmp_path, kill):
    async def work(action):
        stop = Stop()
        running = asyncio.ensure_future(action.run(endless(tmp_path), Sink(), stop))
        await ready(tmp_path)
        stop.order(kill=kill)
        assert await running == Ended(stopped=True)
        assert processes_of(WORD) == {}

    on_stage(work)


def test_an_order_that_comes_first(tmp_path):
    async def work(action):
        stop = Stop()
        stop.order()
        assert await action.run(endless(tmp_path), Sink(), stop) == Ended(stopped=True)

    on_stage(work)


def test_a_timeout_ends_it_and_nothing_is_left(tmp_path):
    async def work(action):
        ended = await action.run(replace(endless(tmp_path), timeout_s=0.3), Sink(), Stop())
        assert ended == Ended(Failure(Reason.TIMEOUT, "ran longer than its timeout of 0.3s"))
        assert processes_of(WORD) == {}

    on_stage(work)


def test_whoever_awaits_it_can_give_it_up(tmp_path):
    async def work(action):
        running = asyncio.ensure_future(action.run(endless(tmp_path), Sink(), Stop()))
        await ready(tmp_path)
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        assert processes_of(WORD) == {}

    on_stage(work)
