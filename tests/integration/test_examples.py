"""The examples run as they are; the one that checks this project does so in a copy, with a few of its tests."""

import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from running_containers import engine
from running_dagnats import EVENTS, check_journal, dagnats, statuses

from dagnats.workers.finding import VARIABLE

ROOT = Path(__file__).parents[2]
PIPELINES = ROOT / "pipelines"
OWN = "ci.yaml"  # tests this project, and with it this file
OWN_WITHIN_S = 60.0  # 7 s on an idle machine
# Of what a test of services can not have on every machine: a network of docker's own.
IN_CONTAINERS = [("containers.yaml", "docker"), ("containers.yaml", "podman"), ("services.yaml", "podman")]
BOXED = {name for name, _ in IN_CONTAINERS}
EXAMPLES = sorted(path.name for path in PIPELINES.glob("*.yaml") if path.name not in {OWN, *BOXED})


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_runs(name, tmp_path):
    for path in PIPELINES.glob("*.yaml"):  # some run others
        shutil.copy(path, tmp_path)
    result = dagnats(["run", name, "--events", EVENTS], tmp_path)
    assert result.code == 0, result.text
    assert check_journal(tmp_path).finished.outcome == "succeeded"


@pytest.mark.parametrize(("name", "runtime"), IN_CONTAINERS)
def test_an_example_with_containers_runs(name, runtime, tmp_path):
    used = engine(runtime)
    shutil.copy(PIPELINES / name, tmp_path)
    given = {key: value for key, value in used.env.items() if key.startswith(("DOCKER_", "CONTAINER"))}
    env = {**given, VARIABLE: runtime}
    result = dagnats(
        ["run", name, "-p", f"image={used.image}", "--events", EVENTS], tmp_path, env, timeout_s=OWN_WITHIN_S
    )
    assert result.code == 0, result.text
    assert check_journal(tmp_path).finished.outcome == "succeeded"


@pytest.mark.parametrize("name", [*EXAMPLES, *sorted(BOXED), OWN])
def test_an_example_is_valid(name, tmp_path):
    result = dagnats(["validate", str(PIPELINES / name)], tmp_path)
    assert result.code == 0, result.text


def test_the_params_of_an_example_decide(tmp_path):
    shutil.copy(PIPELINES / "params.yaml", tmp_path)
    title = '$(touch pwned); "'
    result = dagnats(["run", "params.yaml", "-p", f"title={title}", "-p", "copies=1"], tmp_path)
    assert result.code == 0, result.text
    assert result.text.count(title) >= 2
    assert not (tmp_path / "pwned").exists()


def copy_of_the_project(to: Path) -> Path:
    """Copy what is published of this project, as a repository."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())
    published = settings["tool"]["hatch"]["build"]["targets"]["sdist"]["include"]
    (to / ".git").mkdir(parents=True)
    for name in ("pyproject.toml", *(path.strip("/") for path in published)):
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, to / name, ignore=shutil.ignore_patterns("__pycache__", ".dagnats"))
        else:
            shutil.copy(ROOT / name, to / name)
    return to


def test_the_project_checks_and_builds_itself(tmp_path):
    project = copy_of_the_project(tmp_path / "project")
    few = "tests/unit/core/test_graph.py tests/unit/core/test_codec.py"  # several words are several arguments
    env = {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    args = ["run", f"pipelines/{OWN}", "-p", f"tests={few}", "-p", "workers=1", "--events", EVENTS]
    result = dagnats(args, project, env, timeout_s=OWN_WITHIN_S)
    assert result.code == 0, result.text
    state = check_journal(project)
    assert statuses(state) == dict.fromkeys(["lint", "types", "contracts", "test", "build"], "succeeded")
    assert ".whl" in result.text
    assert " passed in " in result.text


def test_the_long_example_of_the_format_runs(tmp_path):
    """What a first reader is shown, without the step in a container; its programs are stand-ins that say what they are asked."""
    programs = tmp_path / "programs"
    programs.mkdir()
    project = tmp_path / "my project"
    project.mkdir()
    for path in (programs / "ruff", programs / "pytest", project / "deploy.sh", project / "notify.sh"):
        path.write_text(f'#!/bin/sh\necho "{path.name} $* with ${{#TOKEN}} characters"\n')
        path.chmod(0o755)
    (project / "pipeline.yaml").write_text(LONG)
    for command in (["init", "-q", "-b", "main"], ["commit", "-q", "--allow-empty", "-m", "first"], ["tag", "v1.2"]):
        identity = ["-c", "user.name=a", "-c", "user.email=a@example.org"]
        subprocess.run(["git", *identity, *command], cwd=project, check=True)
    env = {"PATH": f"{programs}{os.pathsep}{os.environ['PATH']}", "DEPLOY_TOKEN": "a-token-of-24-characters"}
    result = dagnats(["run", "--events", EVENTS], project, env)
    assert result.code == 0, result.text
    assert statuses(check_journal(project)) == dict.fromkeys(
        ["lint", "test", "test[shard=1]", "test[shard=2]", "test[shard=3]", "version", "ship", "finally-1"], "succeeded"
    )
    assert "ruff check . with 0 characters" in result.text
    assert "pytest --shard 2/3 --junitxml=out.xml" in result.text
    assert "deploy.sh  with 24 characters" in result.text
    assert "notify.sh succeeded" in result.text


LONG = """
# yaml-language-server: $schema=https://dagnats.dev/schema/pipeline.schema.json
name: ci
params:
  python: {type: string, default: "3.12", enum: ["3.11", "3.12", "3.13"], help: interpreter to test with}
env: {PIP_DISABLE_PIP_VERSION_CHECK: "1"}
secrets: {TOKEN: env://DEPLOY_TOKEN}
defaults: {timeout: 10m}
steps:
  - id: lint
    run: ruff check .
    allow_failure: true
  - id: test
    needs: []                       # beside lint, not after it
    matrix: {shard: [1, 2, 3]}
    run: pytest --shard {{ matrix.shard }}/3 --junitxml=out.xml
    retry: {max_attempts: 3, strategy: exponential, initial_delay: 1s}
  - id: version
    needs: []
    run: echo "version=$(git describe --tags)" >> "$DAGNATS_OUTPUT"
  - id: ship
    needs: [test, version]
    if: git.branch == 'main'
    env: {TOKEN: "{{ secrets.TOKEN }}"}
    run: ./deploy.sh
finally:
  - run: ./notify.sh {{ run.outcome }}
"""
