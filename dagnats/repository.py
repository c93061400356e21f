"""What git says of the project, read once when a run starts, and only when a template mentions `git`."""

import asyncio
from collections.abc import Mapping
from pathlib import Path

from dagnats.core.pipeline import JSON
from dagnats.errors import UsageError
from dagnats.pipes import Captured, capture
from dagnats.process import Guardian, SpawnError

GIT_TIMEOUT_S = 60.0
HEAD, BRANCH = "# branch.oid ", "# branch.head "
NO_COMMIT, DETACHED = "(initial)", "(detached)"
_ENV = {"GIT_OPTIONAL_LOCKS": "0", "LC_ALL": "C"}  # reads only, beside whatever else uses the repository
_SHOWN = 500


async def read_git(file: str, workspace: Path, environ: Mapping[str, str], guardian: Guardian) -> dict[str, JSON]:
    """Give what templates see as `git`. Raises UsageError, which names the pipeline's file: nothing has been started then."""
    try:
        status, tags = await asyncio.gather(
            _git(workspace, guardian, "status", "--porcelain=v2", "--branch", "--untracked-files=normal"),
            _git(workspace, guardian, "tag", "--points-at", "HEAD", "--sort=-version:refname"),
        )
        return described(_lines(status, workspace), _tags(tags), environ)
    except (UsageError, SpawnError) as error:
        raise UsageError(f"{file}: the pipeline uses `git`: {error}; nothing was started") from error


def described(status: list[str], tags: list[str], environ: Mapping[str, str]) -> dict[str, JSON]:
    """Make the context of what `git status --porcelain=v2 --branch` and `git tag` print.

    Continuous integration checks out a commit and no branch; there the names come from GitHub's own variables.
    """
    sha = _after(HEAD, status)
    if sha in ("", NO_COMMIT):
        raise UsageError("the repository has no commit yet; make one")
    branch = _after(BRANCH, status)
    tag = tags[0] if tags else ""
    if branch == DETACHED:
        branch = environ.get("GITHUB_HEAD_REF", "") or _github("branch", environ)
    return {
        "sha": sha,
        "branch": branch,
        "tag": tag or _github("tag", environ),
        "dirty": any(not line.startswith("#") for line in status),
    }


def _github(kind: str, environ: Mapping[str, str]) -> str:
    return environ.get("GITHUB_REF_NAME", "") if environ.get("GITHUB_REF_TYPE") == kind else ""


def _after(head: str, lines: list[str]) -> str:
    return next((line.removeprefix(head) for line in lines if line.startswith(head)), "")


async def _git(workspace: Path, guardian: Guardian, *words: str) -> Captured:
    return await capture(guardian, ["git", *words], cwd=workspace, env=_ENV, timeout_s=GIT_TIMEOUT_S)


def _lines(done: Captured, workspace: Path) -> list[str]:
    if done.timed_out:
        raise UsageError(f"git took longer than {GIT_TIMEOUT_S:g}s")
    if not done.exit.ok:
        said = done.stderr.decode("utf-8", "replace").strip()[:_SHOWN]
        raise UsageError(f"{workspace} can not be read as a git repository: {said or done.exit.describe()}")
    return done.stdout.decode("utf-8", "replace").splitlines()


def _tags(done: Captured) -> list[str]:
    # Before the first commit there is no HEAD to point at, and `status` has said so.
    return done.stdout.decode("utf-8", "replace").splitlines() if done.exit.ok else []
