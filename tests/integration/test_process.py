"""Processes through the guardian: how they start, what they get, how they end and how they are stopped."""

import asyncio
import contextlib
import os
import signal
import sys
import time
from pathlib import Path

import pytest
from running_processes import Running, gone, guarded

from dagnats.pipes import capture
from dagnats.process import KILL_LADDER, Exit, Guardian, SpawnError

QUICK = ((signal.SIGINT, 0.2), (signal.SIGTERM, 0.2), (signal.SIGKILL, 0.0))


@pytest.mark.parametrize(
    ("script", "expected", "words"),
    [
        ("exit 0", Exit(code=0), "exit code 0"),
        ("exit 3", Exit(code=3), "exit code 3"),
        ("exit 255", Exit(code=255), "exit code 255"),
        ("kill -KILL $$", Exit(signal=9), "killed by SIGKILL"),
        ("kill -SEGV $$", Exit(signal=11), "killed by SIGSEGV"),
        ("kill -40 $$", Exit(signal=40), "killed by signal 40"),
    ],
)
def test_the_end_is_told_as_it_was(script, expected, words):
    async def work(guardian):
        ended = await Running(guardian, ["sh", "-c", script]).end()
        assert (ended.exit, ended.left, ended.held) == (expected, 0, False)
        assert ended.exit.describe() == words
        assert ended.exit.ok is (expected.code == 0)

    guarded(work)


def test_a_process_can_be_started_before_a_loop_runs(tmp_path):
    guardian = Guardian.start()
    reader, writer = os.pipe()
    process = guardian.spawn(["sh", "-c", "echo early; exit 4"], cwd=tmp_path, stdout=writer, stderr=writer)
    assert os.read(reader, 100) == b"early\n"
    os.close(reader)

    async def main():
        guardian.attach(asyncio.get_running_loop())
        assert await process.started() == process.pid
        assert await process.wait() == Exit(code=4)
        await guardian.close()

    asyncio.run(main())


def test_no_terminal_no_input_no_descriptor_and_a_session_of_its_own():
    async def work(guardian):
        keep, other = os.pipe()
        os.set_inheritable(keep, True)
        script = (
            "cat; ls /proc/self/fd | wc -l; (: < /dev/tty) 2>/dev/null && echo tty; ps -o sid=,pgid= -p $$; echo $$"
        )
        running = Running(guardian, ["sh", "-c", script])
        ended = await running.end()
        os.close(keep)
        os.close(other)
        pid = str(running.process.pid)
        assert ended.output.decode().split() == ["4", pid, pid, pid]  # the fourth descriptor is that of ls itself

    guarded(work)


def test_no_signal_is_ignored_or_blocked():
    async def work(guardian):
        masks = (await Running(guardian, ["grep", "-E", "^Sig(Blk|Ign)", "/proc/self/status"]).end()).output.split()
        assert masks[:3] == [b"SigBlk:", b"0" * 16, b"SigIgn:"]
        assert (
            int(masks[3], 16) & ~(0b11 << 31) == 0
        )  # 32 and 33 belong to the C library, whose posix_spawn ignores them

    ignored = signal.signal(signal.SIGHUP, signal.SIG_IGN)  # as nohup does
    try:
        guarded(work)
    finally:
        signal.signal(signal.SIGHUP, ignored)


def test_the_environment_is_the_base_with_changes():
    async def work(guardian):
        running = Running(guardian, ["/usr/bin/env"], env={"B": "two words", "N": "ü\udcff"}, unset=["C", "NONE"])
        lines = (await running.end()).output.splitlines()
        token = next(line for line in lines if line.startswith(b"DAGNATS_STEP_TOKEN="))
        assert sorted(set(lines) - {token}) == [b"A=1", b"B=two words", "N=ü".encode() + b"\xff"]

    guarded(work, base_env={"A": "1", "B": "2", "C": "3"})


def test_the_working_directory_may_have_spaces(tmp_path):
    folder = tmp_path / "a b\nc"
    folder.mkdir()
    (folder / "tool").write_text("#!/bin/sh\npwd\n")
    (folder / "tool").chmod(0o755)

    async def work(guardian):
        assert (await Running(guardian, ["./tool"], cwd=str(folder)).end()).output == f"{folder}\n".encode()
        assert (await Running(guardian, ["pwd"], cwd="/").end()).output == b"/\n"

    guarded(work)


def test_a_planted_command_is_not_picked_up(tmp_path):
    planted = tmp_path / "sh"
    planted.write_text("#!/bin/echo planted\n")
    planted.chmod(0o755)

    async def work(guardian):
        for path in ("", ":/usr/bin:/bin", ".:/usr/bin:/bin", "/usr/bin:/bin:"):
            running = Running(guardian, ["sh", "-c", "echo real"], cwd=str(tmp_path), env={"PATH": path or ":/bin"})
            assert (await running.end()).output == b"real\n"
        own = Running(guardian, ["sh", "-c", "echo real"], cwd="/", env={"PATH": f"{tmp_path}:/bin"})
        assert (
            b"planted" in (await own.end()).output
        )  # an absolute entry counts, and it is the process's own PATH that does

    guarded(work)


@pytest.fixture
def odd_files(tmp_path) -> Path:
    (tmp_path / "plain").write_text("#!/bin/sh\n")
    (tmp_path / "folder").mkdir()
    for name, text in (("orphan", "#!/no/such/interpreter\n"), ("text", "echo hi\n"), ("ok", "#!/bin/sh\n")):
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o755)
    return tmp_path


@pytest.mark.parametrize(
    ("argv", "cwd", "sentence", "exit_code"),
    [
        (["no-such-command"], "", "command not found: no-such-command", 127),
        (["./missing"], "", "command not found: ./missing", 127),
        (["./plain"], "", "permission denied: ./plain", 126),
        (["./folder"], "", "permission denied: ./folder", 126),
        (["./ok/more"], "", "command not found: ./ok/more", 126),
        (["./orphan"], "", "the interpreter that the first line of ./orphan names does not exist", 127),
        (["./text"], "", "not a program: ./text (neither made for this machine nor a script that begins with #!)", 126),
        (["true"], "no where", "working directory does not exist: {}/no where", 127),
        (["true"], "plain", "working directory is not a directory: {}/plain", 126),
        (
            ["true", *["x" * 131_000] * 200],
            "",
            "arguments and environment are together longer than the system allows: true",
            126,
        ),
    ],
)
def test_what_can_not_be_started_says_why(odd_files, argv, cwd, sentence, exit_code):
    async def work(guardian):
        running = Running(guardian, argv, cwd=str(odd_files / cwd))
        with pytest.raises(SpawnError) as caught:
            await running.process.wait()
        for awaited in (running.process.started(), running.process.finish()):
            with pytest.raises(SpawnError):
                await awaited
        assert (str(caught.value), caught.value.exit_code) == (sentence.format(odd_files), exit_code)
        await running.stream.eof  # the pipe's other end was closed all the same
        assert (await Running(guardian, ["pwd"]).end()).output == b"/\n"

    guarded(work)


LONG = "x" * 128 * 1024


@pytest.mark.parametrize(
    ("argv", "env", "cwd", "start"),
    [
        (
            ["true"],
            {"BIG": LONG},
            "/",
            "environment variable BIG: 128 KiB, over the system's limit of 128 KiB. Put it into a file",
        ),
        (["true", "a", LONG], {}, "/", "argument 2 of true: 128 KiB, over"),
        (["true"], {"A=B": "x"}, "/", "not a name for an environment variable: 'A=B'"),
        (["true"], {"": "x"}, "/", "not a name for an environment variable: ''"),
        (["true"], {"NUL": "a\0b"}, "/", "environment variable NUL: holds a NUL byte"),
        (["true", "a\0b"], {}, "/", "argument 1 of true: holds a NUL byte"),
        (["true", "\ud800"], {}, "/", "argument 1 of true: holds a character that has no encoding"),
        (["true"], {}, "/\0", "working directory: holds a NUL byte"),
        ([], {}, "/", "there is no command to run"),
        ([""], {}, "/", "there is no command to run"),
    ],
)
def test_what_no_system_takes_is_refused_at_once(argv, env, cwd, start):
    async def work(guardian):
        reader, writer = os.pipe()
        with pytest.raises(SpawnError) as caught:
            guardian.spawn(argv, cwd=cwd, env=env, stdout=writer, stderr=writer)
        assert str(caught.value).startswith(start)
        assert os.read(reader, 1) == b""  # and the pipe is closed
        os.close(reader)

    guarded(work)


def test_the_longest_variable_that_the_system_takes_arrives():
    async def work(guardian):
        value = "x" * (128 * 1024 - len("BIG=") - 1)
        ended = await Running(guardian, ["sh", "-c", "echo ${#BIG}"], env={"BIG": value}).end()
        assert ended.output == f"{len(value)}\n".encode()

    guarded(work)


def test_two_hundred_at_once_keep_their_outputs_and_codes_apart():
    async def work(guardian):
        runnings = [Running(guardian, ["sh", "-c", f"echo {n}; exit {n}"]) for n in range(200)]
        for n, running in enumerate(runnings):
            ended = await running.end()
            assert (ended.exit.code, ended.output, ended.left) == (n, f"{n}\n".encode(), 0)

    guarded(work)


@pytest.mark.parametrize(
    ("trap", "expected", "least_s"),
    [
        ("trap 'echo bye; exit 7' INT", Exit(code=7), 0.0),
        ("trap '' INT; trap 'exit 8' TERM", Exit(code=8), 0.2),
        ("trap '' INT TERM HUP", Exit(signal=9), 0.4),
    ],
)
def test_the_ladder_goes_as_far_as_needed(trap, expected, least_s):
    async def work(guardian):
        running = Running(guardian, ["sh", "-c", f"{trap}; echo ready; while :; do sleep 0.05; done"])
        await running.lines(1)
        began_at = time.monotonic()
        running.process.stop(QUICK)
        ended = await running.end()
        assert ended.exit == expected
        assert least_s <= time.monotonic() - began_at < least_s + 1.0

    guarded(work)


def test_a_tree_that_ignores_every_signal_is_killed_to_the_last(tmp_path):
    async def work(guardian):
        stubborn = "trap '' INT TERM HUP; echo $$; while :; do sleep 1; done"
        script = f"setsid sh -c \"{stubborn.replace('$$', chr(92) + '$' + chr(92) + '$')}\" & set -m; sh -c '{stubborn}' & {stubborn}"
        running = Running(guardian, ["bash", "-c", script])
        pids = [int(line) for line in await running.lines(3)]
        assert len(set(pids)) == 3
        running.process.stop(QUICK)
        ended = await running.end()
        assert ended.exit == Exit(signal=9)
        assert all(gone(pid, 0) for pid in pids)

    guarded(work)


FOUR = """
import os, signal
signal.signal(signal.SIGINT, lambda *_: os.write(1, b"int\\n"))
for place in (os.setsid, lambda: os.setpgid(0, 0), lambda: None):
    if os.fork() == 0:
        place()
        break
os.write(1, b"ready\\n")
while True:
    signal.pause()
"""


def test_each_process_of_a_tree_is_interrupted_once():
    async def work(guardian):
        running = Running(guardian, [sys.executable, "-c", FOUR])
        await running.lines(4)
        running.process.stop(((signal.SIGINT, 0.5), (signal.SIGKILL, 0.0)))
        assert (await running.end()).output == b"ready\n" * 4 + b"int\n" * 4

    guarded(work)


@pytest.mark.parametrize("ladder", [QUICK, KILL_LADDER])
def test_a_stopped_process_is_stopped_for_good(ladder):
    async def work(guardian):
        running = Running(
            guardian, ["sh", "-c", "trap 'echo woke; exit 5' INT; echo ready; while :; do sleep 0.05; done"]
        )
        await running.lines(1)
        os.kill(await running.process.started(), signal.SIGSTOP)
        running.process.stop(ladder)
        ended = await running.end()
        assert ended.exit == (Exit(signal=9) if ladder is KILL_LADDER else Exit(code=5))

    guarded(work)


def test_a_second_stop_replaces_the_first():
    async def work(guardian):
        running = Running(guardian, ["sh", "-c", "trap '' INT TERM; echo ready; while :; do sleep 1; done"])
        await running.lines(1)
        running.process.stop(((signal.SIGINT, 60.0), (signal.SIGTERM, 60.0)))
        running.process.kill()
        ended = await running.end()
        assert ended.exit == Exit(signal=9)
        assert ended.took_s < 5

    guarded(work)


def test_stopping_what_has_ended_is_harmless():
    async def work(guardian):
        running = Running(guardian, ["true"])
        assert (await running.end()).exit.ok
        running.process.stop()
        running.process.kill()
        assert await running.process.finish() == 0
        assert await running.process.wait() == Exit(code=0)

    guarded(work)


def test_children_get_their_grace_after_the_main_process_has_ended():
    async def work(guardian):
        child = "trap 'sleep 0.3; echo saved; exit' INT; echo ready; while :; do sleep 0.05; done"
        running = Running(
            guardian, ["bash", "-c", f"set -m; bash -c \"{child}\" & trap 'exit 9' INT; while :; do sleep 0.05; done"]
        )
        await running.lines(1)
        running.process.stop()
        assert await running.process.wait() == Exit(code=9)
        assert await running.process.finish() == 0
        assert (await running.end()).output == b"ready\nsaved\n"

    guarded(work)


def test_whoever_waits_may_be_cancelled_and_others_not():
    async def work(guardian):
        running = Running(guardian, ["cat", "/dev/zero"])
        running.stream.pause()
        first, second = (asyncio.ensure_future(running.process.wait()) for _ in range(2))
        await running.process.started()
        first.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await first
        running.process.kill()
        assert await second == Exit(signal=9)
        assert first.cancelled()

    guarded(work)


def test_capture_keeps_both_outputs_and_the_end(tmp_path):
    async def work(guardian):
        captured = await capture(guardian, ["sh", "-c", "echo out; echo err >&2; exit 2"], cwd=tmp_path, timeout_s=20)
        assert (captured.exit, captured.stdout, captured.stderr) == (Exit(code=2), b"out\n", b"err\n")
        assert (captured.is_truncated, captured.timed_out) == (False, False)

    guarded(work)


def test_capture_is_bounded_in_size_and_time():
    async def work(guardian):
        much = await capture(guardian, ["head", "-c", "5000000", "/dev/zero"], cwd="/", limit_bytes=1000)
        assert (much.exit.code, much.stdout, much.is_truncated) == (0, bytes(1000), True)
        long = await capture(guardian, ["sh", "-c", "echo before; exec sleep 600"], cwd="/", timeout_s=0.3)
        assert (long.exit, long.stdout, long.timed_out) == (Exit(signal=15), b"before\n", True)
        with pytest.raises(SpawnError, match="command not found: nope"):
            await capture(guardian, ["nope"], cwd="/")

    guarded(work)


def test_a_cancelled_capture_kills_its_command(tmp_path):
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)

    async def work(guardian):
        command = asyncio.ensure_future(capture(guardian, ["sh", "-c", f"echo $$ > {fifo}; sleep 600"], cwd="/"))
        pid = int(await asyncio.to_thread(fifo.read_text))
        command.cancel()
        with pytest.raises(asyncio.CancelledError):
            await command
        assert await asyncio.to_thread(gone, pid, 5)

    guarded(work)
