"""Pipelines in the documentation are valid, and those of the how-tos run as they are."""

import re
from pathlib import Path

import pytest
from running_dagnats import EVENTS, check_journal, dagnats

ROOT = Path(__file__).parents[2]
PAGES = sorted([ROOT / "README.md", ROOT / "docs" / "llms.txt", *(ROOT / "docs" / "how-to").glob("*.md")])
BLOCK = re.compile(r"^```yaml\n(.*?)^```", re.MULTILINE | re.DOTALL)
RUNNABLE = {
    "llms.txt",
    "matrix.md",
    "passing-data.md",
    "artifacts.md",
    "conditional-deploy.md",
}  # what others need is not everywhere
FILES = [
    pytest.param(block, page.name in RUNNABLE, id=f"{page.name}-{number}")
    for page in PAGES
    for number, block in enumerate(BLOCK.findall(page.read_text()))
    if re.search(r"^name:", block, re.MULTILINE)
]


def test_there_are_some():
    assert len(FILES) >= 7


@pytest.mark.parametrize(("text", "runs"), FILES)
def test_a_pipeline_of_the_documentation_works(text, runs, tmp_path):
    (tmp_path / "pipeline.yaml").write_text(text)
    checked = dagnats(["validate", "pipeline.yaml"], tmp_path)
    assert checked.code == 0, checked.text
    if runs:
        ran = dagnats(["run", "--events", EVENTS], tmp_path)
        assert ran.code == 0, ran.text
        assert check_journal(tmp_path).finished.outcome == "succeeded"


def test_the_graph_in_the_readme_is_what_is_drawn():
    shown = re.search(r"^\$ (dagnats graph .*)\n((?:.*\n)*?)```", (ROOT / "README.md").read_text(), re.MULTILINE)
    drawn = dagnats(shown[1].split()[1:], ROOT)
    assert drawn.code == 0
    assert drawn.text == shown[2]


def test_the_how_to_on_conditions_is_right_about_parts(tmp_path):
    block = BLOCK.findall((ROOT / "docs" / "how-to" / "conditional-deploy.md").read_text())[0]
    (tmp_path / "release.yaml").write_text(block)
    assert dagnats(["run", "release.yaml", "-p", "deploy=true", "--until", "build"], tmp_path).code == 0
    assert dagnats(["run", "release.yaml", "-p", "deploy=true", "--skip", "smoke-test"], tmp_path).code == 0
    assert dagnats(["run", "release.yaml", "--only", "test"], tmp_path).code == 0
    refused = dagnats(["run", "release.yaml", "--from", "deploy"], tmp_path)
    assert refused.code == 2
    assert "step `deploy` uses `steps.build.outputs.version`, and `build` is left out" in refused.text


def write_files(page: str, folder: Path) -> int:
    """Write the files of a how-to; gives how many those are."""
    text = (ROOT / "docs" / "how-to" / page).read_text()
    files = re.findall(r"^```yaml file=(\S+)\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    for name, content in files:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(content)
    return len(files)


def test_the_files_of_the_how_to_on_pipelines_as_steps_work_together(tmp_path):
    assert write_files("pipeline-as-a-step.md", tmp_path) == 2
    checked = dagnats(["validate", "--strict", "pipeline.yaml", "deploy.yaml"], tmp_path)
    assert checked.code == 0, checked.text
    ran = dagnats(["run", "pipeline.yaml"], tmp_path)
    assert ran.code == 0, ran.text
    assert "testing https://web.staging.example.org" in ran.text
    assert "deploy[service=api]/push" in ran.text
    alone = dagnats(["run", "deploy.yaml", "-p", "service=api", "-p", "version=1.4.0"], tmp_path)
    assert alone.code == 0, alone.text


def test_the_files_of_the_how_to_on_several_files_work_together(tmp_path):
    assert write_files("monorepo.md", tmp_path) == 4
    checked = dagnats(["validate", "--strict", "pipeline.yaml"], tmp_path)
    assert checked.code == 0, checked.text
    ran = dagnats(["run", "pipeline.yaml"], tmp_path)
    assert ran.code == 0, ran.text
    assert "releasing what is in registry.example.org" in ran.text
    assert dagnats(["run", "pipeline.yaml", "--until", "api-build"], tmp_path).code == 0
    whole = dagnats(["render", "pipeline.yaml"], tmp_path)
    (tmp_path / "whole.yaml").write_text(whole.text)
    assert dagnats(["run", "whole.yaml"], tmp_path).code == 0
