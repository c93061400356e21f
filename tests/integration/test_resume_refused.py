"""`dagnats resume` of what nobody can go on with: a clear word and code, and nothing is changed."""

import asyncio
import json
import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

from dagnats import rundir
from dagnats.bus import journal
from dagnats.bus.link import Link
from dagnats.core.events import RunResumed
from dagnats.core.state import fold
from dagnats.rundir import LEASE_S
from dagnats.stored import use
from tests.crashing import events_of
from tests.running_dagnats import (
    DAGNATS,
    Running,
    dagnats,
    environment,
    processes_of,
    run_directory,
    servers_of,
    write_pipeline,
)

BYTES_TRIED = 40  # of the file that holds the journal
LONG = "name: p\nsteps: [{id: a, run: echo one}, {id: b, run: 'echo begun; [ -e gate ] || sleep 1000'}, {id: c, run: echo c}]\n"


def killed(cwd: Path, at: str = "begun") -> Path:
    with Running(cwd) as running:
        running.wait_for(at)
        running.signal(signal.SIGKILL)
        running.process.wait()
    return run_directory(cwd)


def test_unknown_and_ended(tmp_path):
    write_pipeline(tmp_path, "name: p\nsteps: [{run: echo hello}]\n")
    assert dagnats(["resume"], tmp_path).code == 2
    assert dagnats(["run"], tmp_path).code == 0
    unknown = dagnats(["resume", "nobody"], tmp_path)
    assert (unknown.code, "there is no run `nobody`" in unknown.text) == (2, True)
    over = dagnats(["resume"], tmp_path)
    assert (over.code, "has ended: it succeeded; nothing was started" in over.text) == (2, True)


def test_one_that_goes_on(tmp_path):
    write_pipeline(tmp_path, LONG)
    with Running(tmp_path) as running:
        running.wait_for("begun")
        refused = dagnats(["resume"], tmp_path)
        assert refused.code == 3
        assert f"is still going on in process {running.process.pid}: `dagnats attach" in refused.text
        running.signal(signal.SIGINT)
        assert running.end().code == 130


def test_two_at_once_one_goes_on(tmp_path):
    write_pipeline(tmp_path, LONG)
    killed(tmp_path)
    (tmp_path / "gate").touch()
    both = [
        subprocess.Popen(
            [DAGNATS, "resume", "--output", "none"], cwd=tmp_path, env=environment(), stderr=subprocess.PIPE
        )
        for _ in range(2)
    ]
    ends = [(process.communicate()[1].decode(), process.returncode) for process in both]
    codes = sorted(code for _, code in ends)
    assert codes[0] == 0
    assert codes[1] in (2, 3), ends  # it had ended by then, or went on
    assert sum(isinstance(event, RunResumed) for event in events_of(tmp_path)) == 1


def test_one_whose_end_is_missing_and_what_is_left_of_it(tmp_path):
    write_pipeline(tmp_path, LONG)
    directory = killed(tmp_path)
    (directory / "seen").write_text(f"999 {'0' * 64}\n")
    refused = dagnats(["resume"], tmp_path)
    assert refused.code == 5
    assert "commits, and had at least 999: its end is missing; `dagnats resume" in refused.text
    assert "--accept-loss` goes on from event" in refused.text
    (tmp_path / "gate").touch()
    accepted = dagnats(["resume", "--accept-loss"], tmp_path)
    assert accepted.code == 0, accepted.text
    assert "could not be used" in accepted.text


def test_one_that_a_newer_version_has_written(tmp_path):
    write_pipeline(tmp_path, LONG)
    directory = killed(tmp_path)
    before = events_of(tmp_path)

    async def write(link: Link, _: bool) -> None:
        loaded = await journal.load(link, directory.name, None)
        record = {"v": 2, "run": directory.name, "previous": loaded.last, "events": [{"new": True}]}
        stored = asyncio.Event()
        link.request(f"history.{directory.name}", json.dumps(record).encode(), None, lambda _: stored.set())
        await stored.wait()

    use(directory, write)
    for more in ([], ["--accept-loss"]):
        refused = dagnats(["resume", *more], tmp_path)
        assert refused.code == 5, refused.text
        assert "has version 2; this program reads version 1: use a newer dagnats" in refused.text
    assert before
    assert not processes_of(tmp_path)


def blocks_of(directory: Path) -> list[Path]:
    return sorted(directory.glob("store/jetstream/*/streams/HISTORY/msgs/*.blk"))


def test_a_journal_of_which_a_byte_was_altered_is_named_and_refused_wherever_it_is(tmp_path):
    write_pipeline(tmp_path, LONG)
    directory = killed(tmp_path)
    assert events_of(tmp_path)  # nothing of the runner is left then
    whole = tmp_path / "whole"
    shutil.copytree(directory, whole)
    (block,) = blocks_of(directory)
    size = block.stat().st_size
    for place in range(0, size, max(1, size // BYTES_TRIED)):
        shutil.rmtree(directory)
        shutil.copytree(whole, directory)
        data = bytearray(block.read_bytes())
        data[place] ^= 0x01
        block.write_bytes(data)
        refused = dagnats(["resume", "--output", "none"], tmp_path)
        assert refused.code == 5, (place, size, refused.text)
        assert "Traceback" not in refused.text


def test_a_runner_that_was_stopped_for_longer_than_the_lease_loses_its_run(tmp_path):
    write_pipeline(tmp_path, LONG)
    with Running(tmp_path) as running:
        running.wait_for("begun")
        directory = run_directory(tmp_path)
        running.signal(signal.SIGSTOP)
        long_ago = time.time() - LEASE_S - 1
        os.utime(directory / "connection", (long_ago, long_ago))
        (tmp_path / "gate").touch()
        resumed = dagnats(["resume"], tmp_path)
        assert resumed.code == 0, resumed.text
        events = events_of(tmp_path)
        assert fold(events).finished is not None
        running.signal(signal.SIGCONT)
        lost = running.end()
        assert lost.code == 3, lost.text
        assert "another process has taken it over while this one was stopped" in lost.text
        assert events_of(tmp_path) == events
    assert not servers_of(tmp_path)
    assert not processes_of(tmp_path)


def test_a_runner_that_was_stopped_and_goes_on_keeps_its_run(tmp_path):
    write_pipeline(tmp_path, LONG)
    with Running(tmp_path) as running:
        running.wait_for("begun")
        directory = run_directory(tmp_path)
        long_ago = time.time() - LEASE_S - 1
        os.utime(directory / "connection", (long_ago, long_ago))
        refused = dagnats(["resume"], tmp_path)  # it is heard of a moment later
        assert refused.code == 3, refused.text
        assert rundir.owners(directory)[0].runner == running.process.pid
        running.signal(signal.SIGINT)
        assert running.end().code == 130
