"""The examples run as they are; the one that checks this project does so in a copy, with a few of its tests."""

import os
import shutil
import sys
import tomllib
from pathlib import Path

import pytest
from running_dagnats import EVENTS, check_journal, dagnats, statuses

ROOT = Path(__file__).parents[2]
PIPELINES = ROOT / "pipelines"
OWN = "ci.yaml"  # tests this project, and with it this file
OWN_WITHIN_S = 60.0  # 7 s on an idle machine
EXAMPLES = sorted(path.name for path in PIPELINES.glob("*.yaml") if path.name != OWN)


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_runs(name, tmp_path):
    for path in PIPELINES.glob("*.yaml"):  # some run others
        shutil.copy(path, tmp_path)
    result = dagnats(["run", name, "--events", EVENTS], tmp_path)
    assert result.code == 0, result.text
    assert check_journal(tmp_path).finished.outcome == "succeeded"


@pytest.mark.parametrize("name", [*EXAMPLES, OWN])
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
