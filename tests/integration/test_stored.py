"""A run is reached from another process, whether it goes on, has ended, or was killed together with its guardian."""

import contextlib
import os
import signal
import stat
from pathlib import Path

from dagnats import rundir
from dagnats.bus import journal
from dagnats.bus.link import Link
from dagnats.core.events import AnyEvent, RunFinished, StepStarted
from dagnats.fence import Owner, owner_from
from dagnats.stored import is_live, use
from tests.running_dagnats import Running, dagnats, processes_of, run_directory, servers_of, write_pipeline

GATED = "name: p\nsteps: [{id: a, run: 'echo begun; cat gate'}]\n"


def _read(directory: Path) -> tuple[bool, list[AnyEvent]]:
    async def read(link: Link, live: bool) -> tuple[bool, list[AnyEvent]]:
        return live, [event async for commit in journal.read(link, directory.name) for event in commit]

    return use(directory, read)


def test_a_run_that_goes_on_is_read_through_its_own_server(tmp_path):
    write_pipeline(tmp_path, GATED)
    os.mkfifo(tmp_path / "gate")
    with Running(tmp_path) as running:
        running.wait_for("begun")
        directory = run_directory(tmp_path)
        assert is_live(directory)
        assert stat.S_IMODE((directory / "connection").stat().st_mode) == 0o600
        live, events = _read(directory)
        assert live
        assert isinstance(events[-1], StepStarted)
        assert len(servers_of(tmp_path)) == 1
        (tmp_path / "gate").write_text("x")
        assert running.end().code == 0
    assert not (directory / "connection").exists()
    assert not is_live(directory)
    live, events = _read(directory)
    assert not live
    assert isinstance(events[-1], RunFinished)


def test_what_a_killed_runner_and_its_guardian_left_is_ended_before_the_store_is_used(tmp_path):
    write_pipeline(
        tmp_path, "name: p\nsteps: [{id: a, run: 'echo begun; setsid sleep 1000 & exec setsid sleep 1000'}]\n"
    )
    with Running(tmp_path) as running:
        running.wait_for("begun")
        directory = run_directory(tmp_path)
        (owner,) = rundir.owners(directory)
        assert owner.runner == running.process.pid
        os.kill(owner.runner, signal.SIGSTOP)  # so that it can not clean up
        os.kill(owner.guardian, signal.SIGKILL)
        os.kill(owner.runner, signal.SIGKILL)
        running.process.wait()
        left = processes_of(tmp_path)
        assert any("sleep 1000" in command for command in left.values())
        assert any("nats-server" in command for command in left.values())
        assert not is_live(directory)
        live, events = _read(directory)
    assert not live
    assert isinstance(events[-1], StepStarted)
    assert not processes_of(tmp_path)


def test_five_read_an_ended_run_at_once(tmp_path):
    write_pipeline(tmp_path, "name: p\nsteps: [{run: echo hello}]\n")
    assert dagnats(["run"], tmp_path).code == 0
    with contextlib.ExitStack() as stack:
        readers = [stack.enter_context(Running(tmp_path, command=["report", "--summary", "-"])) for _ in range(5)]
        ends = [reader.end() for reader in readers]
    assert [end.code for end in ends] == [0] * 5
    assert len({end.text for end in ends}) == 1


def test_an_owner_is_read_back_or_not_at_all():
    owner = Owner(1, 2, "abc")
    assert owner_from(owner.text()) == owner
    for text in ("", "1 2 abc", "1 2 \n", "1 x abc\n", "1 2 abc d\n"):
        assert owner_from(text) is None


def test_an_empty_name_is_no_run(tmp_path):
    write_pipeline(tmp_path, "name: p\nsteps: [{run: echo hello}]\n")
    assert dagnats(["run"], tmp_path).code == 0
    for command in (["clean", ""], ["resume", ""], ["cancel", ""], ["signal", "", "go"]):
        refused = dagnats(command, tmp_path)
        assert (refused.code, "the name of a run is empty" in refused.text) == (2, True), refused.text
    assert run_directory(tmp_path).exists()


def test_a_bundle_takes_the_place_of_regular_files_only(tmp_path):
    write_pipeline(tmp_path, "name: p\nsteps: [{run: echo hello}]\n")
    assert dagnats(["run"], tmp_path).code == 0
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to("elsewhere")
    for name in ("pipe", "link"):
        refused = dagnats(["bundle", "--force", "-o", name], tmp_path)
        assert (refused.code, "is no regular file" in refused.text) == (2, True), refused.text
    assert (tmp_path / "pipe").is_fifo()
    assert (tmp_path / "link").is_symlink()


def test_a_run_that_was_killed_before_its_first_event_had_not_begun(tmp_path):
    write_pipeline(tmp_path, "name: p\nsteps: [{id: a, run: echo hello}]\n")
    assert dagnats(["run"], tmp_path, {"DAGNATS_TEST_CRASH": "before:RunStarted:1"}).code == -signal.SIGKILL
    commands = (
        ["resume"],
        ["show"],
        ["why", "a"],
        ["rerun", "--failed"],
        ["attach"],
        ["logs", "-f"],
        ["events"],
        ["replay"],
        ["bundle"],
        ["report"],
        ["artifacts"],
    )
    for command in commands:
        refused = dagnats(command, tmp_path)
        assert (refused.code, "had not begun when its runner ended" in refused.text) == (2, True), (command, refused)
    assert "had not begun when its runner ended" in dagnats(["runs"], tmp_path).text
