"""Images: fetched before a container is made of them, with credentials that nobody else sees, and asked what they run by themselves."""

import base64
import json
import os
import shutil
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

from dagnats.core.pipeline import Container, Credentials
from dagnats.pipes import Captured
from dagnats.workers import runtime as commands
from dagnats.workers.attempt import create_file
from dagnats.workers.runtime import Runtime

PULL_MAX_S = 1800.0  # for a step that has no timeout
_DOCKER_HUB = "https://index.docker.io/v1/"

# Runs a command of the runtime: with variables, and within a time.
Ask = Callable[[list[str], Mapping[str, str], float], Awaitable[Captured]]


class ImageError(Exception):
    """An image can not be had; the text says why."""


async def fetch(runtime: Runtime, container: Container, directory: Path, ask: Ask) -> None:
    """Fetch an image. `directory` is private to the attempt, and goes with it. Raises ImageError."""
    env: dict[str, str] = {}
    auth_file = None
    if container.credentials is not None:
        folder = directory / "auth"
        folder.mkdir(mode=0o700)
        auth_file = str(folder / "config.json")
        if runtime.kind == "docker":
            env = {"DOCKER_CONFIG": str(folder)}
        config = _docker_config(folder) if runtime.kind == "docker" else {}
        create_file(auth_file, json.dumps(with_login(config, runtime, container.image, container.credentials)).encode())
    try:
        pulled = await ask(commands.pull(runtime, container.image, auth_file), env, PULL_MAX_S)
    finally:
        shutil.rmtree(directory / "auth", ignore_errors=True)  # not needed any more, and not to be found by the step
    if pulled.timed_out:
        raise ImageError(f"the image {container.image} could not be fetched within {PULL_MAX_S:g}s")
    if not pulled.exit.ok:
        raise ImageError(f"the image {container.image} could not be fetched: {commands.said(pulled.stderr)}")


def with_login(config: Mapping[str, Any], runtime: Runtime, image: str, credentials: Credentials) -> dict[str, Any]:
    """Give the content of a file of credentials, in which those for the registry of an image are these, whoever keeps others."""
    registry = commands.registry_of(image) or (_DOCKER_HUB if runtime.kind == "docker" else "docker.io")
    pair = base64.b64encode(f"{credentials.username}:{credentials.password}".encode()).decode()
    kept = {name: value for name, value in config.items() if name != "credsStore"}
    helpers = {name: value for name, value in config.get("credHelpers", {}).items() if name != registry}
    return {**kept, "credHelpers": helpers, "auths": {**config.get("auths", {}), registry: {"auth": pair}}}


def _docker_config(folder: Path) -> dict[str, Any]:
    """Read the caller's configuration of docker, whose contexts say where the daemon is."""
    home = Path(os.environ.get("DOCKER_CONFIG") or Path("~/.docker").expanduser())
    if (home / "contexts").is_dir():
        (folder / "contexts").symlink_to((home / "contexts").absolute())
    try:
        config = json.loads((home / "config.json").read_bytes())
    except (OSError, ValueError):
        return {}
    return config if isinstance(config, dict) else {}


async def own_command(runtime: Runtime, image: str, ask: Ask) -> tuple[tuple[str, ...], tuple[str, ...]] | None:
    """Give the entrypoint and the command of an image; None if it is not there."""
    answer = await ask(commands.inspect_image(runtime, image), {}, PULL_MAX_S)
    if not answer.exit.ok:
        return None
    facts = json.loads(answer.stdout)
    return commands.words_of(facts["entrypoint"]), commands.words_of(facts["cmd"])
