"""What git says of a project, from real repositories, and what GitHub's variables add to it."""

import asyncio
import subprocess
from pathlib import Path

import pytest

from dagnats.errors import UsageError
from dagnats.process import Guardian
from dagnats.repository import read_git

WHO = ("-c", "user.name=T", "-c", "user.email=t@example.org")


def git(where: Path, *words: str) -> str:
    return subprocess.run(["git", *WHO, *words], cwd=where, check=True, capture_output=True, text=True).stdout.strip()


@pytest.fixture
def repository(tmp_path):
    git(tmp_path, "init", "-q", "-b", "main")
    (tmp_path / "file").write_text("1")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-q", "-m", "first")
    return tmp_path


def read(where, environ=None, base=None):
    async def ask():
        guardian = Guardian.start(base)
        guardian.attach(asyncio.get_running_loop())
        try:
            return await read_git("p.yaml", where, environ or {}, guardian)
        finally:
            await guardian.close()

    return asyncio.run(ask())


def test_a_clean_branch(repository):
    sha = git(repository, "rev-parse", "HEAD")
    assert read(repository) == {"sha": sha, "branch": "main", "tag": "", "dirty": False}


def test_the_highest_of_several_tags(repository):
    for name in ("v1.9", "v1.10", "v1.2"):
        git(repository, "tag", name)
    assert read(repository)["tag"] == "v1.10"


@pytest.mark.parametrize("name", ["file", "new file"])
def test_a_change_and_a_new_file_make_it_dirty(repository, name):
    (repository / name).write_text("2")
    assert read(repository)["dirty"] is True


def test_an_ignored_file_does_not_make_it_dirty(repository):
    (repository / ".git" / "info" / "exclude").write_text("out\n")
    (repository / "out").write_text("2")
    assert read(repository)["dirty"] is False


@pytest.mark.parametrize(
    ("environ", "branch", "tag"),
    [
        ({}, "", ""),
        ({"GITHUB_HEAD_REF": "topic", "GITHUB_REF_NAME": "7/merge", "GITHUB_REF_TYPE": "branch"}, "topic", ""),
        ({"GITHUB_HEAD_REF": "", "GITHUB_REF_NAME": "main", "GITHUB_REF_TYPE": "branch"}, "main", ""),
        ({"GITHUB_HEAD_REF": "", "GITHUB_REF_NAME": "v1", "GITHUB_REF_TYPE": "tag"}, "", "v1"),
    ],
)
def test_a_detached_head(repository, environ, branch, tag):
    git(repository, "checkout", "-q", "--detach")
    found = read(repository, environ)
    assert (found["branch"], found["tag"]) == (branch, tag)


def test_a_branch_that_is_there_wins_over_what_github_says(repository):
    assert read(repository, {"GITHUB_REF_NAME": "other", "GITHUB_REF_TYPE": "branch"})["branch"] == "main"


def test_no_repository(tmp_path):
    with pytest.raises(
        UsageError, match=r"p.yaml: the pipeline uses `git`: .* can not be read as a git repository: .*not a"
    ):
        read(tmp_path)


def test_no_commit(tmp_path):
    git(tmp_path, "init", "-q")
    with pytest.raises(UsageError, match="the repository has no commit yet; make one; nothing was started"):
        read(tmp_path)


def test_no_git(repository):
    with pytest.raises(UsageError, match=r"p.yaml: the pipeline uses `git`: .*git"):
        read(repository, base={"PATH": str(repository)})
