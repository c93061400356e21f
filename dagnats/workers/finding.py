"""Which container runtime a run uses: `DAGNATS_CONTAINER_RUNTIME` decides, else the first that answers of docker and podman."""

import os
import re
import sys
from collections.abc import Mapping

from dagnats.command import SpawnError
from dagnats.errors import UsageError
from dagnats.lookup import resolve
from dagnats.pipes import Captured, capture
from dagnats.process import Guardian
from dagnats.workers.runtime import Runtime, said

VARIABLE = "DAGNATS_CONTAINER_RUNTIME"
NAMES = ("docker", "podman")
ANSWERS_WITHIN_S = 15.0


class _Unusable(Exception):  # noqa: N818 - it says what is the matter with a program
    """Why a program is no runtime for us."""


async def find(guardian: Guardian, environ: Mapping[str, str]) -> Runtime:
    """Give the runtime. Raises UsageError, which says what was looked for and what was the matter with each."""
    wanted = environ.get(VARIABLE, "")
    if "/" in wanted and not wanted.startswith("/"):
        raise UsageError(f"{VARIABLE}: {wanted!r} is a relative path; give docker, podman, or a whole path")
    reasons = []
    for name in (wanted,) if wanted else NAMES:
        try:
            return await _asked(guardian, _program(name, environ), environ)
        except _Unusable as error:
            reasons.append(f"{name}: {error}")
    which = f"{VARIABLE} names one that can not be used" if wanted else "looked for docker and podman"
    then = "" if wanted else f"; install one of them, or name another in {VARIABLE}"
    raise UsageError(f"steps with a container need a container runtime: {which}: {'; '.join(reasons)}{then}")


async def find_all(guardian: Guardian, environ: Mapping[str, str]) -> tuple[list[Runtime], list[str]]:
    """Give every runtime that answers, and why one that runs may use and that is there does not."""
    wanted = environ.get(VARIABLE, "")
    found, reasons = [], []
    for name in dict.fromkeys((*NAMES, *([wanted] if wanted.startswith("/") else []))):
        try:
            program = _program(name, environ)
        except _Unusable:
            continue
        try:
            found.append(await _asked(guardian, program, environ))
        except _Unusable as error:
            if wanted in ("", name):
                reasons.append(f"{name}: {error}")
    return found, reasons


def _program(name: str, environ: Mapping[str, str]) -> str:
    """Give the file of a program; entries of PATH that are relative do not count, as they are the workspace's."""
    path = environ.get("PATH")
    try:
        found = resolve(os.fsencode(name), None if path is None else os.fsencode(path))
    except OSError as error:
        why = "it may not be run" if isinstance(error, PermissionError) else "there is none on PATH"
        raise _Unusable(why) from error
    return os.fsdecode(found)


async def _asked(guardian: Guardian, program: str, environ: Mapping[str, str]) -> Runtime:
    """Ask a program which of the two it is, as each may be installed by the name of the other, and whether it can work."""
    version = await _answer(guardian, [program, "--version"])
    if b"podman" in version.stdout.lower():
        shown = "{{.Host.Security.Rootless}} {{len .Host.IDMappings.UIDMap}}"
        answer = await _answer(guardian, [program, "info", "--format", shown])
        if not answer.exit.ok:
            raise _Unusable(f"it does not work: {said(answer.stderr)}")
        rootless, _, mapped = answer.stdout.decode("utf-8", "replace").strip().partition(" ")
        is_rootless = rootless == "true"
        # A user without ids of its own for containers has one mapping: root within is the user, and nobody else can be.
        return Runtime(program, "podman", maps_caller=is_rootless, keeps_id=is_rootless and mapped != "1")
    answer = await _answer(guardian, [program, "info", "--format", "{{.ServerVersion}} {{.SecurityOptions}}"])
    shown = answer.stdout.decode("utf-8", "replace")
    if not answer.exit.ok or not shown.split(" ")[0].strip():
        raise _Unusable(_of_docker(said(answer.stderr), environ))
    return Runtime(program, "docker", maps_caller="name=rootless" in shown)


def _of_docker(text: str, environ: Mapping[str, str]) -> str:
    where = re.search(r"(unix|tcp|ssh|npipe)://[^\s:]+(:\d+)?", text)
    at = where[0].rstrip(".") if where is not None else environ.get("DOCKER_HOST", "its socket")
    if "permission denied" in text:
        return (
            f"you may not use the socket of its daemon, {at}: have yourself added to the group that it belongs to "
            "(`sudo usermod -aG docker $USER`, and log in again), or use podman, which needs no daemon"
        )
    if "annot connect" in text or "dial " in text or "no such host" in text:
        return f"its daemon does not answer at {at}: start it, or set DOCKER_HOST to where it listens"
    return f"it does not work: {text}"


async def _answer(guardian: Guardian, argv: list[str]) -> Captured:
    try:
        answer = await capture(guardian, argv, cwd="/", timeout_s=ANSWERS_WITHIN_S, client=True)
    except SpawnError as error:
        raise _Unusable(str(error)) from error
    if answer.timed_out:
        raise _Unusable(f"`{' '.join(argv[:2])}` did not answer within {ANSWERS_WITHIN_S:g}s")
    return answer


def sweeper(runtime_remove: list[str], label: str) -> list[str]:
    """Give the command by which the guardian removes what has a label when nobody else can."""
    from dagnats.sweep import BOOT  # noqa: PLC0415 - with what it imports only where there is a container

    root = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))  # noqa: PTH100, PTH120
    return [sys.executable, "-I", "-S", "-c", BOOT, root, label, *runtime_remove]
