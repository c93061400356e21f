"""Tasks that nobody can carry out: they are kept as dead letters, and the attempt fails within a bound, or is sent again."""

import asyncio
import json
import time

import pytest
from running_bus import RUN, Told, on_bus, started, stored, worker

from dagnats import unclaimed
from dagnats.bus import dead
from dagnats.bus.tasks import Task, encode
from dagnats.core.events import Reason, RunFinished, StepFailed, StepScheduled
from dagnats.core.state import fold
from dagnats.core.unclaimed import SENT_AGAIN
from dagnats.definition import load
from dagnats.dispatch import Dispatch
from dagnats.engine import Engine

LOOK_S = 0.2
ONE = b"name: one\nsteps: [{id: a, run: echo done}]\n"
SUBJECT = f"tasks.default.{RUN}.a"
TASK = {"v": 1, "run": RUN, "step": "a", "attempt": 1, "cwd": "/"}


async def begun(bus, directory, plan=ONE):
    """Start an engine without a worker; its first task is in the queue."""
    told = Told()
    engine = Engine(await bus.link(), Dispatch({}, {}), told, started(directory, load("one.yaml", plan)))
    running = asyncio.create_task(engine.run())
    await told.event(StepScheduled)
    return told, running


async def put(bus, data, subject=SUBJECT):
    """Take out what the engine has put into the queue, and put in something else."""
    link = await bus.link()
    await link.call("$JS.API.STREAM.PURGE.TASKS")
    await link.client.flush()
    link.publish(subject, data)
    await link.client.flush()
    return link


async def letters(link, count):
    """Wait for so many of the run."""
    while len(found := await dead.read(link, RUN)) < count:
        await link.client.flush()
    return found


@pytest.mark.parametrize(
    ("data", "error"),
    [
        (
            {"v": 2, **{key: TASK[key] for key in TASK if key != "v"}},
            "it has version 2, and this worker reads version 1",
        ),
        ({**TASK, "cwd": 5}, "it has not what a task has: Expected `str`, got `int` - at `$.cwd`"),
        (
            {**TASK, "kind": "teleport"},
            "it is of the kind 'teleport', and this worker has only: container, pipeline, shell",
        ),
        ({key: TASK[key] for key in TASK if key != "cwd"}, "Object missing required field `cwd`"),
    ],
)
def test_a_task_that_says_of_which_attempt_it_is_and_can_not_be_carried_out_fails_it(tmp_path, data, error):
    async def work(bus):
        told, running = await begun(bus, tmp_path)
        link = await put(bus, json.dumps(data).encode())
        first = await worker(bus, tmp_path, "first", 1.0)
        state = await running
        failed = await told.event(StepFailed)
        assert (failed.reason, failed.attempt) == (Reason.ENGINE, 1)
        assert error in failed.message
        assert f"dagnats dead list {RUN}" in failed.message
        assert state.outcome == "failed"
        (letter,) = await letters(link, 1)
        assert error in letter.error
        assert (letter.step, letter.attempt, letter.subject, letter.number) == ("a", 1, SUBJECT, 1)
        assert json.loads(letter.task) == data
        assert letter.seq == told.all[1].seq
        assert await tasks_left(link) == 0
        assert fold([event for commit in await stored(link) for event in commit]).outcome == "failed"
        await first.close()

    on_bus(tmp_path, work)


async def tasks_left(link):
    """Wait a moment for the acknowledgements."""
    until = time.monotonic() + 2.0
    while (left := (await link.call("$JS.API.STREAM.INFO.TASKS"))["state"]["messages"]) and time.monotonic() < until:
        await link.client.flush()
    return left


@pytest.mark.parametrize(
    ("data", "error"),
    [
        (b"\xff\x00 garbage", "it is no JSON"),
        (b"[" * 100_000, "it is no JSON"),
        (b"7", "it has version None"),
        (b"x" * (1 << 20), "it is no JSON"),
        (b'{"object":"' + b"0" * 64 + b'","bytes":7}', "its object 000000000000 is missing"),
        (b'{"object":', "it is no JSON"),
        (b'{"object":"', "its a large value is named in a way that can not be read"),
    ],
)
def test_what_is_no_task_is_kept_and_the_task_is_sent_again(tmp_path, monkeypatch, data, error):
    monkeypatch.setattr(unclaimed, "UNCLAIMED_S", LOOK_S)

    async def work(bus):
        _, running = await begun(bus, tmp_path)
        link = await put(bus, data)
        first = await worker(bus, tmp_path, "first", 1.0)
        assert (await running).outcome == "succeeded"
        (letter,) = await letters(link, 1)
        assert error in letter.error
        assert (letter.step, letter.attempt) == ("", 0)
        assert letter.task == data
        assert await tasks_left(link) == 0
        await first.close()

    on_bus(tmp_path, work)


def test_a_task_of_another_run_or_step_touches_nobody(tmp_path):
    """One without an engine must not keep the end of the run waiting, either."""

    async def work(bus):
        told, running = await begun(
            bus, tmp_path, b"name: two\nsteps: [{id: a, run: until test -e go; do sleep 0.02; done}]\n"
        )
        link = await bus.link()
        first = await worker(bus, tmp_path, "first", 1.0, places=4)
        link.publish("tasks.default.other-run-1.a", json.dumps({**TASK, "run": "other-run-1", "kind": "x"}).encode())
        link.publish(f"tasks.default.{RUN}.b", json.dumps({**TASK, "step": "b", "kind": "x"}).encode())
        link.publish(f"tasks.default.{RUN}.b", json.dumps({**TASK, "kind": "x"}).encode())
        found = await letters(link, 2)
        assert [(letter.step, letter.attempt) for letter in found] == [("b", 1), ("", 0)]
        (tmp_path / "go").touch()
        assert (await running).outcome == "succeeded"
        assert not any(isinstance(event, StepFailed) for event in told.all)
        await first.close()
        await first._link.settled()

    on_bus(tmp_path, work)


def test_a_task_that_nobody_claims_is_given_up(tmp_path, monkeypatch):
    monkeypatch.setattr(unclaimed, "UNCLAIMED_S", LOOK_S)

    async def work(bus):
        told, running = await begun(bus, tmp_path)
        state = await running  # without a worker
        failed = await told.event(StepFailed)
        assert failed.message == (
            f"nobody carries its task out: no worker has claimed it, although it was sent {1 + SENT_AGAIN} times, every 0.2s; see `dagnats dead list {RUN}`"
        )
        assert isinstance(told.all[-1], RunFinished)
        assert state.outcome == "failed"
        (letter,) = await letters(await bus.link(), 1)
        assert letter.task.startswith(b'{"v":1,"run":"calm-otter-1","step":"a","attempt":1,')

    on_bus(tmp_path, work)


def test_no_letter_costs_no_stream(tmp_path):
    async def work(bus):
        link = await bus.link()
        assert await dead.read(link, RUN) == []
        assert "DEAD" not in (await link.call("$JS.API.STREAM.NAMES"))["streams"]
        await dead.bury(
            link,
            RUN,
            dead.Letter(subject=SUBJECT, task=encode(Task(**{k: TASK[k] for k in TASK if k != "v"})), error="so"),
        )
        (letter,) = await dead.read(link, RUN)
        assert (letter.seq, letter.error) == (0, "so")
        await dead.forget(link, letter)
        assert await dead.read(link, RUN) == []

    on_bus(tmp_path, work)
