"""The examples run as they are."""

import shutil
from pathlib import Path

import pytest
from running_dagnats import EVENTS, check_journal, dagnats

ROOT = Path(__file__).parents[2]
PIPELINES = ROOT / "pipelines"
OWN = "ci.yaml"  # tests this project, and with it this file: it is run where it belongs, and only checked here
EXAMPLES = sorted(path.name for path in PIPELINES.glob("*.yaml") if path.name != OWN)


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_runs(name, tmp_path):
    shutil.copy(PIPELINES / name, tmp_path)
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
