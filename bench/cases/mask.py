"""What it costs to take secrets out of output: the masker alone, and a whole run of a step that prints much."""

import base64
import random
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from bench.process import BenchError, measure
from bench.rounds import Case, Contender, Row, Sample
from bench.setting import Setting, fresh_directory
from dagnats.workers.mask import Masker

SECRETS = 50
LINES = 500_000
LINE_BYTES = 80
CHUNK_BYTES = 32 << 10
ALONE_BYTES = 64 << 20
MB = 1e6

PRODUCER = """\
import os
block = memoryview(open("block.txt", "rb").read())
for _ in range({times}):
    rest = block
    while rest:
        rest = rest[os.write(1, rest):]
"""
PIPELINE = """\
name: bench
steps:
  - id: step
    command: ["{python}", producer.py]
"""


def mask(setting: Setting) -> Case:
    """The floor is the masker that knows nothing; the goal is that masking is faster than a run can show output."""
    values = secret_values()
    texts = {
        "plain": lines_with(values, 0),
        "a secret in 1 of 100 lines": lines_with(values, 100),
        "a secret in every line": lines_with(values, 1),
    }
    contenders, rows = [], []
    for name, text in texts.items():
        alone = f"masker alone, {SECRETS} secrets, {name}"
        contenders.append(Contender(alone, _alone(alone, values, text)))
        rows.append(Row(alone, "MB/s", at_least=100 if "every" not in name else None))
    none = "run, no secrets, plain"
    contenders.append(Contender(none, _run(none, setting, [], texts["plain"])))
    rows.append(Row(none, "MB/s"))
    for name, text in texts.items():
        whole = f"run, {SECRETS} secrets, {name}"
        contenders.append(Contender(whole, _run(whole, setting, values, text)))
        rows.append(Row(whole, "MB/s", over=none, at_least=0.5 if name == "plain" else None))
    return Case("mask", f"Output of {LINES:,} lines of {LINE_BYTES} bytes", contenders, rows, most_rounds=5)


def secret_values() -> list[str]:
    """Tokens of the usual lengths, the same in each run."""
    chance = random.Random(7)
    return [base64.b64encode(chance.randbytes(size)).decode() for size in (15, 24, 32, 48, 18) * (SECRETS // 5)]


def lines_with(values: Sequence[str], every: int) -> bytes:
    """A block of lines of words; one of `every` lines holds a secret."""
    chance = random.Random(8)
    words = ["".join(chance.choices("abcdefghijklmnopqrstuvwxyz", k=chance.randint(2, 9))) for _ in range(500)]
    lines = []
    for number in range(10_000):
        start = values[number // every % len(values)] + " " if every and number % every == 0 else ""
        rest = start + " ".join(chance.choices(words, k=LINE_BYTES // 3))
        lines.append(rest[: LINE_BYTES - 1] + "\n")
    return "".join(lines).encode()


def _alone(name: str, values: Sequence[str], text: bytes) -> Callable[[], Sample]:
    chunks = [text[start : start + CHUNK_BYTES] for start in range(0, len(text), CHUNK_BYTES)]

    def sample() -> Sample:
        stream = Masker(values).stream()
        size = 0
        start = time.perf_counter()
        while size < ALONE_BYTES:
            for chunk in chunks:
                stream.feed(chunk)
                size += len(chunk)
        stream.end()
        return {name: size / MB / (time.perf_counter() - start)}

    return sample


def _run(name: str, setting: Setting, values: Sequence[str], text: bytes) -> Callable[[], Sample]:
    def sample() -> Sample:
        with fresh_directory() as directory:
            _write(directory, values, text)
            printed = directory / "printed.txt"
            done = measure(setting.dagnats.argv(1), directory, stdout=printed)
            _check(printed, values)
            return {name: LINES * LINE_BYTES / MB / done.seconds}

    return sample


def secrets_text(directory: Path, values: Sequence[str]) -> str:
    """Write the values into files of the directory; gives the lines of a pipeline that names them."""
    sources = []
    for number, value in enumerate(values):
        (directory / f"secret{number}").write_text(value)
        sources.append(f"S{number}: file://secret{number}")
    return f"secrets: {{{', '.join(sources)}}}\n"


def _write(directory: Path, values: Sequence[str], text: bytes) -> None:
    (directory / "block.txt").write_bytes(text)
    (directory / "producer.py").write_text(PRODUCER.format(times=LINES * LINE_BYTES // len(text)))
    pipeline = PIPELINE.format(python=sys.executable) + secrets_text(directory, values)
    (directory / "pipeline.yaml").write_text(pipeline)


def _check(printed: Path, values: Sequence[str]) -> None:
    shown = printed.read_bytes()
    if shown.count(b"\n") != LINES:
        raise BenchError(f"{shown.count(10)} lines of {LINES} were shown")
    if any(value.encode() in shown for value in values):
        raise BenchError("a secret was shown")
