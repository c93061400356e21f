"""The container runtimes that tests run on: those that `DAGNATS_TEST_PODMAN_ENV` and `DAGNATS_TEST_DOCKER_ENV` name, or those on PATH.

Each names a file of `export NAME=VALUE …` lines, in which `CI_IMAGE` is a local image that has a `sh` and no bash. Without such a file, `CI_IMAGE` of
the environment is used, with the runtime as it is; where `CI_ENGINE` names it, no test of it is skipped.
"""

import os
import shlex
import shutil
import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from dagnats import proctree
from dagnats.process import Guardian
from dagnats.workers.finding import VARIABLE, find
from dagnats.workers.runtime import Runtime

NAMES = ("docker", "podman")
BOUND_S = 30.0


@dataclass(frozen=True)
class Engine:
    """A runtime, and an image of its own."""

    name: str
    env: Mapping[str, str]

    @property
    def image(self) -> str:
        return self.env["CI_IMAGE"]

    async def runtime(self, guardian: Guardian) -> Runtime:
        """Find it, as a run does."""
        return await find(guardian, {**self.env, VARIABLE: self.name})

    def ask(self, *words: str) -> str:
        """Run its command."""
        until = time.monotonic() + BOUND_S
        while True:
            done = subprocess.run(
                [self.name, *words], env=self.env, capture_output=True, text=True, timeout=BOUND_S, check=False
            )
            if done.returncode == 0:
                return done.stdout.strip()
            # a list of podman breaks when a container of another test vanishes while it is made
            assert "container not known" in done.stderr, done.stderr
            assert time.monotonic() < until, done.stderr

    def left(self, run: str) -> dict[str, object]:
        """Give what is there of a run: containers, also those that only the storage of podman knows, and processes of the machine that are theirs."""
        flags = ("--external",) if self.name == "podman" else ()
        lines = self.ask("ps", "--all", *flags, "--format", "{{.ID}} {{.Names}} {{.Status}}").splitlines()
        word = f"dagnats-{run}-"  # a filter does not hold for the storage
        return {"containers": [line for line in lines if word in line], "processes": processes_with(word)}


def processes_with(word: str) -> list[str]:
    """Give the command lines of living processes that have a word in them: conmon has the name of its container."""
    found = []
    for pid in proctree.processes():
        try:
            told = Path(f"/proc/{pid}/cmdline").read_bytes()
        except OSError:
            continue
        if word.encode() in told and pid != os.getpid():
            found.append(told.replace(b"\0", b" ").decode(errors="replace"))
    return found


def orphans_of_runc(used: Engine) -> set[str]:
    """Give what runc has and podman does not know. Another test may be making one, so that it is asked again for a while."""
    until = time.monotonic() + 10
    while True:
        listed = set(subprocess.run(["runc", "list", "-q"], capture_output=True, text=True, check=True).stdout.split())
        orphans = listed - set(used.ask("ps", "-aq", "--no-trunc", "--external").split())
        if not orphans or time.monotonic() > until:
            return orphans


def engine(name: str) -> Engine:
    """Give a runtime, or skip the test where there is none."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("DOCKER_", "CONTAINER"))}
    file = os.environ.get(f"DAGNATS_TEST_{name.upper()}_ENV")
    if file:
        words = [word for line in Path(file).read_text().splitlines() for word in shlex.split(line)]
        return Engine(name, kept | dict(word.split("=", 1) for word in words if "=" in word))
    if shutil.which(name) is None or "CI_IMAGE" not in os.environ:
        assert os.environ.get("CI_ENGINE") != name, f"CI_ENGINE says that there is {name}, and CI_IMAGE no image"
        pytest.skip(f"needs {name}: DAGNATS_TEST_{name.upper()}_ENV, or {name} on PATH and an image in CI_IMAGE")
    return Engine(name, dict(os.environ))
