"""What the tests of the action share: a copy of this checkout as a repository of its own, and its workflow, run by act on this machine."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
PROGRAMS = Path(sys.executable).parent
ACT = PROGRAMS / "act"
BOUND_S = 120.0
# What the action and the hooks are made of, and what pip needs to install them.
_COPIED = ("action.yml", "action", ".pre-commit-hooks.yaml", "dagnats", "schemas", "pyproject.toml", "README.md", "LICENSE", ".gitignore")  # fmt: skip
_UNCOPIED = shutil.ignore_patterns("__pycache__", ".dagnats")
# How this machine reaches packages is the only thing that comes in from outside.
_PASSED = ("PIP_", "SSL_", "HTTP_", "HTTPS_", "NO_PROXY", "http_", "https_", "no_proxy", "REQUESTS_CA")
_PIP_FILES = (".config/pip/pip.conf", ".pip/pip.conf", "Library/Application Support/pip/pip.conf")


def packages() -> dict[str, str]:
    """Give the environment by which pip reaches packages when HOME is another."""
    passed = {name: value for name, value in os.environ.items() if name.startswith(_PASSED)}
    ours = [str(file) for name in _PIP_FILES if (file := Path.home() / name).exists()]
    return ({"PIP_CONFIG_FILE": ours[0]} if ours else {}) | passed


def bare(home: Path) -> dict[str, str]:
    """Give an environment of a machine on which nobody has set up anything but the Python of these tests."""
    home.mkdir(exist_ok=True)
    return packages() | {"PATH": f"{PROGRAMS}:{os.environ['PATH']}", "HOME": str(home)}


def checkout(directory: Path, files: Mapping[str, str], *also: str) -> Path:
    """Make a repository that holds the action, these files, and more of this checkout."""
    for name in (*_COPIED, *also):
        source, target = ROOT / name, directory / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, target, ignore=_UNCOPIED)
        else:
            shutil.copy(source, target)
    for name, content in files.items():
        target = directory / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(content)
        target.chmod(0o755 if content.startswith("#!") else 0o644)
    git(directory, "init", "--quiet", "--initial-branch=main")
    commit(directory)
    return directory


def commit(directory: Path) -> None:
    git(directory, "add", "--all")
    git(directory, "commit", "--quiet", "--message=all of it")


def git(directory: Path, *args: str) -> str:
    identity = ("-c", "user.name=somebody", "-c", "user.email=somebody@example.org")
    done = subprocess.run(["git", *identity, *args], cwd=directory, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@dataclass(frozen=True)
class Acted:
    """What a workflow did, a record for each line of act's log."""

    code: int
    log: list[dict]

    @property
    def text(self) -> str:
        """What was printed, by steps and by act."""
        return "".join(line["msg"] if line.get("raw_output") else f"{line['msg']}\n" for line in self.log)

    def of(self, step: str) -> list[dict]:
        return [line for line in self.log if line.get("stepID", [""])[0] == step]

    def text_of(self, step: str) -> str:
        return "".join(line["msg"] for line in self.of(step) if line.get("raw_output"))

    def outputs(self, step: str) -> dict[str, str]:
        return {line["name"]: line["arg"] for line in self.of(step) if line.get("command") == "set-output"}

    def result(self, step: str) -> str:
        """How a step ended, whether or not the job may go on."""
        return [line["stepResult"] for line in self.of(step) if line["stage"] == "Main" and "stepResult" in line][-1]

    def commands(self, step: str, name: str) -> list[dict]:
        return [line for line in self.of(step) if line.get("command") == name]

    def summary(self, step: str) -> str:
        """The part of the job's summary that is of a step; act tells it for the step inside the action and for the action."""
        return "".join(line["content"] for line in self.commands(step, "summary") if len(line["stepID"]) == 1)


def act(repository: Path, home: Path, *args: str) -> Acted:
    """Run the workflow of a repository on this machine; what act needs is beside its HOME."""
    argv = [ACT, "push", "-P", "ubuntu-latest=-self-hosted", "--no-cache-server", "--action-cache-path", home / "act", "--json", *args]  # fmt: skip
    done = subprocess.run(
        [str(word) for word in argv],
        cwd=repository,
        env=bare(home),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=BOUND_S,
        check=False,
    )
    log = [json.loads(line) for line in done.stdout.splitlines()]
    assert log, done.stderr
    return Acted(done.returncode, log)
