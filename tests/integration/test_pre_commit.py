"""The hooks, run by pre-commit in a repository of a user, which installs them as it does for everybody."""

import re
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest
from running_act import BOUND_S, PROGRAMS, ROOT, bare, checkout, git
from running_dagnats import Result

PAGE = (ROOT / "docs" / "how-to" / "pre-commit.md").read_text()
FILE = re.compile(r"^```(?:yaml|sh) file=(\S+)\n(.*?)^```", re.MULTILINE | re.DOTALL)
CHECKS = dict(FILE.findall(PAGE))["pipeline.yaml"]
CONFLICT = "<<<<<<< ours\n"
FOUND = "with space:1: leftover conflict marker"


@dataclass(frozen=True)
class User:
    """A repository that uses the hooks of another, and the environment in which its user works."""

    repository: Path
    env: Mapping[str, str]
    hooks: Path

    def write(self, **files: str) -> None:
        for name, content in files.items():
            (self.repository / name.replace("__", ".")).write_text(content)
        git(self.repository, "add", "--all")

    def configure(self, *hooks: str) -> None:
        commit = git(self.hooks, "rev-parse", "HEAD").strip()
        lines = "".join(f"      - {{{hook}}}\n" for hook in hooks)
        self.write(
            **{"__pre-commit-config__yaml": f"repos:\n  - repo: {self.hooks}\n    rev: {commit}\n    hooks:\n{lines}"}
        )

    def call(self, *argv: str | Path) -> Result:
        done = subprocess.run(
            argv, cwd=self.repository, env=self.env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, text=True, timeout=BOUND_S, check=False,
        )  # fmt: skip
        return Result(done.returncode, done.stdout, 0)

    def pre_commit(self, *args: str) -> Result:
        return self.call(PROGRAMS / "pre-commit", *args)


@pytest.fixture(scope="module")
def hooks(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return checkout(tmp_path_factory.mktemp("hooks") / "dagnats", {})


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where pre-commit keeps what it has installed, for all tests of the file."""
    return tmp_path_factory.mktemp("installed")


@pytest.fixture
def user(hooks: Path, installed: Path, tmp_path: Path) -> User:
    identity = {
        f"GIT_{who}_{what}": "user@example.org" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")
    }
    repository = tmp_path / "repository"
    repository.mkdir()
    git(repository, "init", "--quiet")
    return User(repository, bare(tmp_path / "home") | identity | {"PRE_COMMIT_HOME": str(installed)}, hooks)


def test_what_is_published_and_what_is_told_is_valid(user: User) -> None:
    (config,) = re.findall(r"^```yaml\n(repos:.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    user.write(config=config)
    for command, file in (("validate-config", "config"), ("validate-manifest", str(ROOT / ".pre-commit-hooks.yaml"))):
        checked = user.pre_commit(command, file)
        assert (checked.code, checked.text) == (0, "")


def test_the_hooks_are_found_as_they_are_published(user: User) -> None:
    user.write(pipeline__yaml="name: wrong\nsteps: []\nstages: []\n", other__yaml="stages: []\n")
    tried = user.pre_commit("try-repo", str(user.hooks), "dagnats-validate", "--all-files")
    assert tried.code == 1
    assert "pipeline.yaml:3:1: " in tried.text
    assert "other.yaml" not in tried.text


def test_a_pipeline_that_is_wrong_is_not_committed(user: User) -> None:
    user.configure("id: dagnats-validate, args: [--strict]")
    assert user.pre_commit("install").code == 0
    user.write(dagnats__yaml="name: wrong\nsteps:\n  - rum: x\n")
    refused = user.call("git", "commit", "--message=wrong")
    assert refused.code == 1, refused.text
    assert "dagnats.yaml:3:5: " in refused.text
    user.write(dagnats__yaml="name: right\nsteps:\n  - run: exit 1\n")
    assert user.call("git", "commit", "--message=right").code == 0


def test_a_pipeline_sees_the_files_that_are_committed_and_says_nothing_when_it_succeeds(user: User) -> None:
    user.configure("id: dagnats-run, verbose: true")
    user.write(pipeline__yaml=CHECKS)
    assert user.pre_commit("install").code == 0
    assert user.call("git", "commit", "--message=begin").code == 0
    user.write(**{"with space": CONFLICT, "fine": "fine\n"})
    refused = user.call("git", "commit", "--message=wrong")
    assert refused.code == 1, refused.text
    assert FOUND in refused.text
    assert "fine:" not in refused.text
    assert not (user.repository / ".dagnats").exists()
    user.write(**{"with space": "fine\n"})
    done = user.call("git", "commit", "--message=right")
    assert done.code == 0, done.text
    (passed,) = re.findall(r"Passed\n(?:- .*\n)*(.*?)\[", done.text, re.DOTALL)
    assert passed.strip() == ""


def test_another_pipeline_with_arguments_comes_before_the_files(user: User) -> None:
    user.configure("id: dagnats-run, args: [checks.yaml, -p, word=that, --files], files: txt$")
    user.write(
        checks__yaml="""\
name: checks
params: {word: this, files: {type: array, default: []}}
steps:
  - run: |
      echo "{{ params.word }}: {{ params.files | join('+') }}"
      exit 3
""",
        a__txt="",
        b__txt="",
    )
    ran = user.pre_commit("run", "--all-files")
    assert ran.code == 1
    assert "that: a.txt+b.txt" in ran.text


def test_a_pipeline_that_takes_no_files(user: User) -> None:
    user.configure("id: dagnats-run, args: [checks.yaml], pass_filenames: false")
    user.write(checks__yaml="name: checks\nsteps:\n  - run: echo no files; exit 3\n")
    ran = user.pre_commit("run", "--all-files")
    assert ran.code == 1
    assert "no files" in ran.text


def test_a_plain_hook_of_git_does_the_same(user: User) -> None:
    hook = user.repository / ".git" / "hooks" / "pre-commit"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text(dict(FILE.findall(PAGE))[".git/hooks/pre-commit"])
    hook.chmod(0o755)
    user.write(pipeline__yaml=CHECKS, **{"with space": CONFLICT})
    refused = user.call("git", "commit", "--message=wrong")
    assert refused.code != 0
    assert FOUND in refused.text
    user.write(**{"with space": "fine\n"})
    done = user.call("git", "commit", "--message=right")
    assert done.code == 0, done.text
    assert "fine" not in done.text
