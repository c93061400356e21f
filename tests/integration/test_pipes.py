"""What processes print arrives: every byte, while they run, and without waiting for those who merely hold the pipe."""

import asyncio
import hashlib
import os
import sys
import time

from running_processes import Running, guarded

from dagnats.pipes import IDLE_S, Stream, drain
from dagnats.process import Exit


def test_a_hundred_megabytes_in_one_line_arrive_byte_by_byte():
    count = 100
    block = bytes(range(256)).replace(b"\n", b"\0") * 4096
    expected = hashlib.sha256()
    for _ in range(count):
        expected.update(block)
    program = (
        "import sys; block = bytes(range(256)).replace(b'\\n', b'\\0') * 4096\n"
        f"for _ in range({count}): sys.stdout.buffer.write(block)"
    )

    async def work(guardian):
        received = hashlib.sha256()
        size = 0

        def take(chunk: bytes) -> None:
            nonlocal size
            size += len(chunk)
            received.update(chunk)

        reader, writer = os.pipe()
        stream = Stream(reader, take)
        process = guardian.spawn([sys.executable, "-c", program], cwd="/", stdout=writer, stderr=writer)
        assert await process.wait() == Exit(code=0)
        assert await drain(process, [stream]) is False
        assert (size, received.hexdigest()) == (count * len(block), expected.hexdigest())

    guarded(work)


def test_what_is_printed_is_seen_while_the_process_runs():
    async def work(guardian):
        running = Running(guardian, ["sh", "-c", "printf 'half a l'; sleep 600"])
        await running.changed.wait()
        assert bytes(running.output) == b"half a l"
        running.process.kill()
        await running.end()

    guarded(work)


def test_outputs_are_told_apart():
    async def work(guardian):
        texts = bytearray(), bytearray()
        pipes = os.pipe(), os.pipe()
        streams = [Stream(pipe[0], text.extend) for pipe, text in zip(pipes, texts, strict=True)]
        process = guardian.spawn(
            ["sh", "-c", "echo out; echo err >&2"], cwd="/", stdout=pipes[0][1], stderr=pipes[1][1]
        )
        await process.wait()
        assert await drain(process, streams) is False
        assert [bytes(text) for text in texts] == [b"out\n", b"err\n"]

    guarded(work)


def test_the_last_words_of_a_background_process_are_awaited():
    async def work(guardian):
        running = Running(guardian, ["sh", "-c", "(sleep 0.1; echo late) & echo early"])
        ended = await running.end()
        assert (ended.output, ended.held) == (b"early\nlate\n", False)

    guarded(work)


def test_an_endless_background_process_is_awaited_for_two_seconds_at_most():
    async def work(guardian):
        running = Running(guardian, ["sh", "-c", "(while :; do echo more; sleep 0.05; done) & echo first"])
        ended = await running.end()
        assert ended.output.startswith((b"first\n", b"more\n"))
        assert (ended.exit, ended.held) == (Exit(code=0), True)
        assert ended.left >= 1
        assert 2 <= ended.took_s < 3.5

    guarded(work)


def test_a_slow_reader_blocks_the_process_and_loses_nothing():
    size = 8_000_000

    async def work(guardian):
        running = Running(guardian, ["head", "-c", str(size), "/dev/zero"])
        running.stream.pause()
        await running.process.started()
        waiting = asyncio.ensure_future(running.process.wait())
        done, _ = await asyncio.wait([waiting], timeout=0.3)
        assert (done, len(running.output)) == (set(), 0)
        running.stream.resume()
        assert await waiting == Exit(code=0)
        ended = await running.end()
        assert len(ended.output) == size

    guarded(work)


def test_what_a_process_wrote_is_read_though_its_reader_is_paused():
    async def work(guardian):
        running = Running(guardian, ["sh", "-c", "head -c 60000 /dev/zero; sleep 600 &"])
        running.stream.pause()
        assert await running.process.wait() == Exit(code=0)
        assert len(running.output) == 0
        ended = await running.end()
        assert (len(ended.output), ended.held, ended.left) == (60000, True, 1)

    guarded(work)


def test_waiting_for_the_rest_ends_soon_after_the_last_byte():
    async def work(guardian):
        running = Running(guardian, ["sh", "-c", "sleep 600 & exit 0"])
        await running.process.wait()
        began_at = time.monotonic()
        assert await drain(running.process, [running.stream]) is True
        assert IDLE_S / 2 < time.monotonic() - began_at < 4 * IDLE_S
        assert await running.process.finish() == 1

    guarded(work)


def test_a_closed_stream_stops_whoever_writes():
    async def work(guardian):
        running = Running(guardian, ["sh", "-c", "exec yes"])
        await running.changed.wait()
        running.stream.close()
        assert (await running.end()).exit == Exit(signal=13)

    guarded(work)
