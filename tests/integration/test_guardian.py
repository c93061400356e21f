"""Nobody is left behind: not after a step, not after the runner, whatever ended them."""

import asyncio
import ctypes
import os
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from running_processes import Running, escape, gone, guarded

from dagnats import proctree
from dagnats.orphans import UNREAD_S
from dagnats.process import Exit, Guardian, GuardianDied

ROOT = Path(__file__).parents[2]
PR_CAPBSET_DROP = 24
CAP_SYS_PTRACE, CAP_SYS_ADMIN, CAP_PERFMON = 19, 21, 38
NAMELESS = "setsid env -i"  # neither session nor environment tell whose it was


def test_a_background_process_neither_delays_the_end_nor_outlives_it():
    async def work(guardian):
        running = Running(guardian, ["sh", "-c", "sleep 600 & echo $!; exit 3"])
        ended = await running.end()
        assert (ended.exit, ended.held, ended.left) == (Exit(code=3), True, 1)
        assert ended.took_s < 1.5
        assert gone(int(ended.output), 0)

    guarded(work)


@pytest.mark.parametrize(
    "prefix", ["setsid", "setsid nohup", "env -i", "setsid bash -c 'set -m; sleep 600 & exec \"$@\"' -"]
)
def test_who_forks_twice_into_another_session_is_gone_after_finish(tmp_path, prefix):
    async def work(guardian):
        running = Running(guardian, ["sh", "-c", escape(prefix, "fifo")], cwd=str(tmp_path))
        bystander = Running(guardian, ["sh", "-c", escape("setsid", "other") + "; exec sleep 600"], cwd=str(tmp_path))
        spared = int((await bystander.lines(1))[0])
        ended = await running.end()
        assert ended.exit == Exit(code=0)
        assert ended.left >= 1
        assert gone(int(ended.output), 0)
        assert not gone(spared, 0)
        bystander.process.kill()
        await bystander.end()
        assert gone(spared, 0)

    guarded(work)


def test_who_is_just_becoming_another_program_is_claimed_too():
    """The environment of a process can not be read for the moment in which it changes its program."""

    async def work(guardian):
        for _ in range(150):
            ended = await Running(
                guardian, ["sh", "-c", "setsid env setsid env setsid sleep 600 > /dev/null 2>&1 &"]
            ).end()
            assert ended.exit == Exit(code=0)
        assert proctree.belonging(guardian.mark.encode(), []) == []

    guarded(work)


HIDES = """
import ctypes, os
from pathlib import Path
PR_SET_DUMPABLE = 4
prctl = ctypes.CDLL(None).prctl
prctl(PR_SET_DUMPABLE, 0, 0, 0, 0)
Path("out").write_text(str(os.getpid()) + os.linesep)
Path("show").read_text()
prctl(PR_SET_DUMPABLE, 1, 0, 0, 0)
Path("shown").write_text("shown")
Path("never").read_text()
"""


def who_hides(directory: Path, *, outlives: bool) -> None:
    """Have a process whose environment nobody may read be looked at in vain, then show it; it is claimed by what it came of, or by what comes next."""

    async def work(guardian):
        hidden = (
            f'(setsid "{sys.executable}" -c "$0" > /dev/null 2>&1 &); cat out; {"" if outlives else "read _ < end"}'
        )
        running = Running(guardian, ["sh", "-c", hidden, HIDES], cwd=str(directory))
        pid = int((await running.lines(1))[0])
        assert (await Running(guardian, ["cat", f"/proc/{pid}/environ"]).end()).exit == Exit(code=1)
        if outlives:
            assert (await running.end()).exit == Exit(code=0)
        else:
            began_at = time.monotonic()
            while time.monotonic() - began_at < 2 * UNREAD_S:  # each of these ends has it looked at
                assert (await Running(guardian, ["true"]).end()).exit == Exit(code=0)
        assert not gone(pid, 0)
        await asyncio.to_thread((directory / "show").write_text, "")
        assert await asyncio.to_thread((directory / "shown").read_text) == "shown"
        if outlives:
            await Running(guardian, ["true"]).end()
            assert await asyncio.to_thread(gone, pid, 5)
        else:
            await asyncio.to_thread((directory / "end").write_text, "\n")
            await running.end()
            assert gone(pid, 0)

    for capability in (CAP_SYS_PTRACE, CAP_SYS_ADMIN, CAP_PERFMON):  # with each of these root's guardian could read it
        ctypes.CDLL(None).prctl(PR_CAPBSET_DROP, capability, 0, 0, 0)
    guarded(work)


@pytest.mark.parametrize("outlives", [False, True])
def test_who_could_not_be_read_for_long_is_looked_at_again(tmp_path, outlives):
    for name in ("out", "show", "shown", "never", "end"):
        os.mkfifo(tmp_path / name)
    code = f"import pathlib, test_guardian as t; t.who_hides(pathlib.Path({str(tmp_path)!r}), outlives={outlives})"
    paths = os.pathsep.join(map(str, (ROOT, ROOT / "tests", ROOT / "tests" / "integration")))
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | {"PYTHONPATH": paths},
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr.decode()


def test_an_orphan_that_nobody_can_claim_is_gone_after_close(tmp_path):
    pids = []

    async def work(guardian):
        running = Running(guardian, ["sh", "-c", escape(NAMELESS, "fifo")], cwd=str(tmp_path))
        ended = await running.end()
        pids.append(int(ended.output))
        assert ended.exit == Exit(code=0)
        assert not gone(pids[0], 0)

    guarded(work)
    assert gone(pids[0], 0)


FORKING = """
import os, time
for _ in range(5):
    os.fork()
if os.getpid() % 2 and os.getpgrp() != os.getpid():
    os.setsid()
print(flush=True)
while True:
    if os.fork() == 0:
        time.sleep(0.02)
        os._exit(0)
    os.waitpid(-1, 0)
"""


def test_a_tree_that_forks_while_it_is_killed_is_killed():
    async def work(guardian):
        running = Running(guardian, [sys.executable, "-c", FORKING])
        await running.lines(32)
        assert len(proctree.belonging(guardian.mark.encode(), [])) >= 32
        running.process.kill()
        ended = await running.end()
        assert ended.exit == Exit(signal=9)
        assert proctree.belonging(guardian.mark.encode(), []) == []

    guarded(work)


def test_close_ends_everything_and_whoever_waits_is_told():
    async def work():
        guardian = Guardian.start()
        guardian.attach(asyncio.get_running_loop())
        running = Running(guardian, ["sh", "-c", "trap '' INT TERM; echo $$; sleep 600; sleep 600"])
        pid = int((await running.lines(1))[0])
        waiting = asyncio.ensure_future(running.process.wait())
        await guardian.close()
        assert await waiting == Exit(signal=9)
        assert gone(pid, 0)
        assert gone(guardian.pid, 0)
        await running.stream.eof
        await guardian.close()

    asyncio.run(asyncio.wait_for(work(), 30))


RUNNER = """
import asyncio, os, sys
from dagnats.process import Guardian

async def main():
    guardian = Guardian.start()
    guardian.attach(asyncio.get_running_loop())
    print(guardian.pid, flush=True)
    out = os.dup(1)
    process = guardian.spawn(["bash", "-c", sys.argv[1]], cwd=sys.argv[2], stdout=out, stderr=out)
    await process.wait()
    await asyncio.Event().wait()

asyncio.run(main())
"""
TREE = "trap '' INT TERM HUP; echo $$; sleep 600 & echo $!; set -m; sleep 600 & echo $!; {}; while :; do sleep 1; done"


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_nothing_is_left_when_the_runner_is_killed(tmp_path, number):
    script = TREE.format(f"{escape('setsid', 'one')}; {escape(NAMELESS, 'two')}")
    command = [sys.executable, "-c", RUNNER, script, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=os.environ | {"PYTHONPATH": str(ROOT)}) as runner:
        pids = [int(_line(runner)) for _ in range(6)]
        assert not any(gone(pid, 0) for pid in pids)
        runner.send_signal(number)
        assert all(gone(pid, 5) for pid in pids)


def _line(runner: subprocess.Popen) -> bytes:
    poll = select.poll()
    poll.register(runner.stdout, select.POLLIN)
    assert poll.poll(20_000), "the runner says nothing"
    line = b""
    while not line.endswith(b"\n"):
        byte = os.read(runner.stdout.fileno(), 1)
        assert byte, "the runner has ended"
        line += byte
    return line


def test_the_guardian_does_not_end_by_a_signal_meant_for_the_runner():
    async def work(guardian):
        for number in (
            signal.SIGINT,
            signal.SIGTERM,
            signal.SIGHUP,
            signal.SIGQUIT,
            signal.SIGPIPE,
            signal.SIGUSR1,
            signal.SIGTSTP,
        ):
            await Running(guardian, ["true"]).end()
            os.kill(guardian.pid, number)
        assert (await Running(guardian, ["sh", "-c", "exit 6"]).end()).exit == Exit(code=6)

    guarded(work)


def test_when_the_guardian_is_killed_everybody_is_told_and_nothing_is_left(tmp_path):
    async def work(guardian):
        ended = Running(guardian, ["true"])
        await ended.end()
        runnings = [Running(guardian, ["sh", "-c", TREE.format("echo .").replace("set -m; ", "")]) for _ in range(3)]
        escaped = Running(guardian, ["sh", "-c", escape("setsid", "fifo") + "; exec sleep 600"], cwd=str(tmp_path))
        pids = [int(line) for running in runnings for line in (await running.lines(4))[:3]] + [
            int((await escaped.lines(1))[0])
        ]
        os.kill(guardian.pid, signal.SIGKILL)
        for running in [*runnings, escaped]:
            with pytest.raises(GuardianDied, match=r"ended unexpectedly.* run the pipeline again\.$"):
                await running.process.wait()
            with pytest.raises(GuardianDied):
                await running.process.finish()
            running.process.stop()
            await running.stream.eof
        assert all(gone(pid, 5) for pid in pids)
        assert await ended.process.wait() == Exit(code=0)
        reader, writer = os.pipe()
        with pytest.raises(GuardianDied):
            guardian.spawn(["true"], cwd="/", stdout=writer, stderr=writer)
        assert os.read(reader, 1) == b""
        os.close(reader)

    guarded(work)


def test_a_guardian_below_a_guardian_leaves_nothing_either(tmp_path):
    """A pipeline that runs pipelines: when the inner runner and its guardian are killed, the outer one cleans up."""

    async def work(guardian):
        script = f"{escape('setsid', 'one')}; exec sleep 600"
        inner = Running(guardian, [sys.executable, "-c", RUNNER, script, str(tmp_path)], env={"PYTHONPATH": str(ROOT)})
        inner_guardian, survivor = (int(line) for line in await inner.lines(2))
        pid = await inner.process.started()
        os.kill(pid, signal.SIGSTOP)  # so that it can not tidy up itself
        os.kill(inner_guardian, signal.SIGKILL)
        os.kill(pid, signal.SIGKILL)
        ended = await inner.end()
        assert ended.exit == Exit(signal=9)
        assert gone(survivor, 0)

    guarded(work)


@pytest.mark.skipif(not proctree.AVAILABLE, reason="there is no /proc")
def test_children_are_found_with_and_without_the_kernels_list():
    with subprocess.Popen(["sh", "-c", "sleep 600 & echo; wait"], stdout=subprocess.PIPE) as child:
        child.stdout.readline()
        assert child.pid in proctree.children(os.getpid())
        (grandchild,) = proctree.children(child.pid)
        assert proctree.children_by_scan(child.pid) == [grandchild]
        assert proctree.with_descendants([child.pid]) == {child.pid, grandchild}
        assert proctree.session(grandchild) == os.getsid(0)
        child.kill()
        os.kill(grandchild, signal.SIGKILL)
    assert proctree.children(child.pid) == []
    assert proctree.session(child.pid) is None
    assert not proctree.is_alive(child.pid)


@pytest.mark.parametrize("foreign", [False, True])
def test_the_files_of_a_run_are_removed_when_all_has_ended(tmp_path, foreign):
    scratch = tmp_path / "scratch"
    scratch.mkdir()

    async def work(guardian):
        guardian.remove_at_end(scratch)
        script = f"echo x > '{scratch}/a'; echo y > '{scratch}/b'; ln -s '{tmp_path}/kept' '{scratch}/c'"
        more = f"; mkdir '{scratch}/d'; echo z > '{scratch}/d/e'" if foreign else ""
        await Running(guardian, ["sh", "-c", script + more]).end()
        assert (scratch / "a").exists()

    (tmp_path / "kept").write_text("kept")
    guarded(work)
    assert [path.name for path in scratch.rglob("*")] == (["d", "e"] if foreign else [])
    assert scratch.exists() is foreign
    assert (tmp_path / "kept").exists()


def test_a_directory_is_removed_with_all_beneath_it_when_all_has_ended(tmp_path):
    folder, kept = tmp_path / "folder", tmp_path / "kept"
    (kept / "inner").mkdir(parents=True)

    async def work(guardian):
        guardian.remove_at_end(folder, whole=True)
        script = f"mkdir -p '{folder}/a/b/c'; echo x > '{folder}/a/b/x'; ln -s '{kept}' '{folder}/a/link'; mkfifo '{folder}/f'"
        await Running(guardian, ["sh", "-c", script]).end()
        assert (folder / "a" / "link" / "inner").exists()

    guarded(work)
    assert not folder.exists()
    assert (kept / "inner").exists()
