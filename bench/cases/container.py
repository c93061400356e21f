"""What a step in a container costs, beside what its runtime needs for the same container: create, start, inspect, rm, one after the other.

The action of the worker is measured, in this process: what the rest of a run costs is measured by the other cases.
"""

import asyncio
import itertools
import os
import shlex
import subprocess
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from bench.process import BenchError
from bench.rounds import Case, Contender, Row, Sample
from bench.setting import Setting, fresh_directory
from dagnats.bus.tasks import Task
from dagnats.process import Guardian
from dagnats.workers.action import Pausable, Stop
from dagnats.workers.finding import VARIABLE, find
from dagnats.workers.kinds import actions

NAMES = ("docker", "podman")
TIMES = 5
OUTPUT_BYTES = 400 << 20
GOAL = 1.15
OUTPUT_GOAL_MBS = 100
MB = 1e6


class _Sink:
    """Counts what is printed."""

    def __init__(self) -> None:
        self.bytes = 0

    def put(self, stream: str, chunk: bytes) -> None:  # noqa: ARG002 - the port has it
        self.bytes += len(chunk)

    def throttles(self, *sources: Pausable) -> None: ...

    def hide(self, text: str) -> str:
        return text

    def silent_s(self) -> float:
        return 0.0


def container(_: Setting) -> Case:
    contenders, rows = [], []
    for name in NAMES:
        floor, command, script = (
            f"{name}, {what}" for what in ("by itself", "step with a command", "step with a script")
        )
        output, raw = f"{name}, output of a step", f"{name}, output by itself"
        contenders += [
            Contender(floor, lambda name=name, row=floor: _sample(name, row, _by_itself)),
            Contender(command, lambda name=name, row=command: _sample(name, row, _steps({"argv": ["true"]}))),
            Contender(script, lambda name=name, row=script: _sample(name, row, _steps({"script": "true"}))),
            Contender(raw, lambda name=name, row=raw: _sample(name, row, _raw_output)),
            Contender(output, lambda name=name, row=output: _sample(name, row, _output)),
        ]
        rows += [
            Row(floor, "ms"),
            Row(command, "ms", over=floor, at_most=GOAL),
            Row(script, "ms", over=floor, at_most=GOAL),
            Row(raw, "MB/s"),
            Row(output, "MB/s", at_least=OUTPUT_GOAL_MBS),
        ]
    return Case("container", "A step in a container that does nothing, and one that prints", contenders, rows)


def _environment(name: str) -> Mapping[str, str]:
    """Give the environment of a runtime that tests use, whose image has a shell."""
    file = os.environ.get(f"DAGNATS_TEST_{name.upper()}_ENV")
    if file is None:
        raise BenchError(f"DAGNATS_TEST_{name.upper()}_ENV names no file of variables, with an image in CI_IMAGE")
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("DOCKER_", "CONTAINERS_"))}
    words = [word for line in Path(file).read_text().splitlines() for word in shlex.split(line) if "=" in word]
    return kept | dict(word.split("=", 1) for word in words)


def _sample(name: str, row: str, measured: Callable[[str, Mapping[str, str], Path], float]) -> Sample:
    with fresh_directory() as directory:
        return {row: measured(name, _environment(name), directory)}


def _made(name: str, env: Mapping[str, str], directory: Path, words: list[str]) -> list[list[str]]:
    """Give the commands for a container like that of a step."""
    mount = f"type=bind,src={directory},dst={directory}"
    flags = [
        "--init",
        "--pull=never",
        "--network=none",
        "--log-driver=none",
        "--mount",
        mount,
        "--workdir",
        str(directory),
    ]
    shown = ["--format", "{{.State.Status}} {{.State.ExitCode}}"]
    return [
        [name, "create", "--name", "dagnats-bench", *flags, env["CI_IMAGE"], *words],
        [name, "start", "--attach", "dagnats-bench"],
        [name, "container", "inspect", *shown, "dagnats-bench"],
        [name, "rm", "--force", *(["--time=0"] if name == "podman" else []), "dagnats-bench"],
    ]


def _by_itself(name: str, env: Mapping[str, str], directory: Path) -> float:
    start = time.perf_counter()
    for _ in range(TIMES):
        for argv in _made(name, env, directory, ["true"]):
            subprocess.run(argv, env=env, stdin=subprocess.DEVNULL, capture_output=True, check=True)
    return (time.perf_counter() - start) * 1e3 / TIMES


def _raw_output(name: str, env: Mapping[str, str], directory: Path) -> float:
    made = _made(name, env, directory, _printing())
    subprocess.run(made[0], env=env, capture_output=True, check=True)
    start = time.perf_counter()
    count = 0
    with subprocess.Popen(made[1], env=env, stdout=subprocess.PIPE) as child:
        while chunk := os.read(child.stdout.fileno(), 1 << 20):
            count += len(chunk)
    seconds = time.perf_counter() - start
    subprocess.run(made[3], env=env, capture_output=True, check=True)
    return _speed(count, seconds)


def _printing() -> list[str]:
    return ["sh", "-c", f"head -c {OUTPUT_BYTES} /dev/zero"]


def _speed(count: int, seconds: float) -> float:
    if count != OUTPUT_BYTES:
        raise BenchError(f"{count} bytes came of {OUTPUT_BYTES}")
    return count / MB / seconds


def _steps(fields: Mapping[str, object]) -> Callable[[str, Mapping[str, str], Path], float]:
    def measured(name: str, env: Mapping[str, str], directory: Path) -> float:
        return _run(name, env, directory, fields, TIMES)[0] * 1e3 / TIMES

    return measured


def _output(name: str, env: Mapping[str, str], directory: Path) -> float:
    seconds, count = _run(name, env, directory, {"argv": _printing()}, 1)
    return _speed(count, seconds)


def _run(
    name: str, env: Mapping[str, str], directory: Path, fields: Mapping[str, object], times: int
) -> tuple[float, int]:
    """Run a step so many times; gives the seconds, and the bytes that were printed."""
    return asyncio.run(_runs(name, env, directory, fields, times))


async def _runs(
    name: str, env: Mapping[str, str], directory: Path, fields: Mapping[str, object], times: int
) -> tuple[float, int]:
    guardian = Guardian.start(env)
    guardian.attach(asyncio.get_running_loop())
    sink = _Sink()
    try:
        action = actions(guardian, directory, {}, await find(guardian, {**env, VARIABLE: name}))["container"]
        image = {"image": env["CI_IMAGE"], "network": "none", "pull": "never"}
        known = {"kind": "container", "run": "bench", "step": "a", "cwd": str(directory), "container": image, **fields}
        attempts = itertools.count(1)
        start = time.perf_counter()
        for _ in range(times):
            ended = await action.run(Task(**known, attempt=next(attempts)), sink, Stop())  # type: ignore[arg-type]
            if ended.failure is not None:
                raise BenchError(ended.failure.message)
        return time.perf_counter() - start, sink.bytes
    finally:
        await guardian.close()
