"""go-task and just, installed from PyPI into an environment of their own."""

import os
import subprocess
import venv
from dataclasses import dataclass
from pathlib import Path

from bench.process import environment
from bench.runners import Runner, go_task, just

PACKAGES = ("go-task-bin", "rust-just")
INSTALL_LIMIT_S = 300


@dataclass(frozen=True, slots=True)
class Peers:
    """Those that are there, and a sentence about those that are not."""

    runners: tuple[Runner, ...]
    versions: tuple[str, ...]
    missing: str = ""

    def named(self, name: str) -> tuple[Runner, ...]:
        return tuple(runner for runner in self.runners if runner.name == name)


def find() -> Peers:
    """Install what is missing; what can not be installed is left out and said so."""
    directory = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "dagnats-bench" / "peers"
    programs = {"task": go_task(directory / "bin" / "task"), "just": just(directory / "bin" / "just")}
    problem = ""
    if not all(runner.program.exists() for runner in programs.values()):
        problem = _install(directory)
    there = [runner for runner in programs.values() if runner.program.exists()]
    absent = [runner.name for runner in programs.values() if runner not in there]
    missing = f"measured without {' and '.join(absent)}: {problem}" if absent else ""
    return Peers(tuple(there), tuple(f"{runner.name} {_version(runner)}" for runner in there), missing)


def _install(directory: Path) -> str:
    """Returns why it did not work, or nothing."""
    try:
        venv.create(directory, with_pip=True, clear=True)
        subprocess.run(
            [directory / "bin" / "python", "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *PACKAGES],
            check=True,
            capture_output=True,
            timeout=INSTALL_LIMIT_S,
        )
    except subprocess.CalledProcessError as error:
        lines = (error.stderr or error.stdout or b"").decode(errors="replace").strip().splitlines()
        return lines[-1] if lines else str(error)
    except (OSError, subprocess.TimeoutExpired) as error:
        return str(error)
    return ""


def _version(runner: Runner) -> str:
    done = subprocess.run([runner.program, "--version"], capture_output=True, text=True, check=False, env=environment())
    return (done.stdout.split() or ["?"])[-1]
