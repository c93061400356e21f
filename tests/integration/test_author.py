"""What the commands for authors write is usable: templates run, and shells complete."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest
from running_dagnats import DAGNATS, EVENTS, check_journal, dagnats, environment

from dagnats.cli.init import TEMPLATES

NEEDED = {"node": "node", "python": "python3", "minimal": "sh"}
RUNNABLE = [template for template, program in NEEDED.items() if shutil.which(program)]
NAMES = ("lint", "test", "ship-it")
PIPELINE = "name: p\nsteps:\n" + "".join(f"- {{id: {name}, run: a, wrong: 1}}\n" for name in NAMES)


def test_every_template_is_known_here():
    assert {file.stem for file in TEMPLATES.iterdir()} == set(NEEDED)


@pytest.mark.parametrize("template", RUNNABLE)
def test_a_template_is_valid_and_runs(template, tmp_path):
    written = dagnats(["init", "--template", template], tmp_path)
    assert written.code == 0, written.text
    assert (tmp_path / "pipeline.yaml").read_bytes() == (TEMPLATES / f"{template}.yaml").read_bytes()
    assert dagnats(["validate", "pipeline.yaml"], tmp_path).code == 0
    ran = dagnats(["run", "--events", EVENTS], tmp_path, timeout_s=120)
    assert ran.code == 0, ran.text
    assert check_journal(tmp_path).finished.outcome == "succeeded"


def test_the_template_for_python_finds_what_is_wrong(tmp_path):
    dagnats(["init", "--template", "python"], tmp_path)
    (tmp_path / "fine.py").write_text("x = 1\n")
    assert dagnats(["run", "--only", "syntax"], tmp_path).code == 0
    (tmp_path / "broken.py").write_text("def\n")
    broken = dagnats(["run", "--only", "syntax"], tmp_path)
    assert broken.code == 1
    assert "broken.py" in broken.text


def test_init_writes_over_nothing(tmp_path):
    (tmp_path / "pipeline.yaml").write_text("mine")
    (tmp_path / "link.yaml").symlink_to(tmp_path / "nothing")
    for file in ("pipeline.yaml", "link.yaml"):
        refused = dagnats(["init", file], tmp_path)
        assert refused.code == 2
        assert refused.text == f"{file} is there already; give another name: dagnats init ANOTHER.yaml\n"
    assert (tmp_path / "pipeline.yaml").read_text() == "mine"
    assert not (tmp_path / "nothing").exists()


@pytest.mark.parametrize(
    ("file", "said"),
    [("no/where.yaml", "No such file or directory"), ("a\nb/c", "No such file or directory"), (".", "there already")],
)
def test_init_says_why_it_can_not_write(file, said, tmp_path):
    refused = dagnats(["init", file], tmp_path)
    assert refused.code == 2
    assert said in refused.text


def completed(words: list[str], cwd: Path) -> list[str]:
    """Complete the last word as bash does, with the script that it was given."""
    quoted = " ".join(f"'{word}'" for word in words)
    script = f"""
        eval "$({DAGNATS} completion bash)"
        COMP_WORDS=({quoted}); COMP_CWORD={len(words) - 1}
        _dagnats_completion {DAGNATS} '{words[-1]}' '{words[-2]}'
        printf '%s\\n' "${{COMPREPLY[@]}}"
    """
    done = subprocess.run(
        ["bash", "-c", script], cwd=cwd, env=environment(), capture_output=True, text=True, timeout=30, check=False
    )
    assert not done.stderr
    return done.stdout.split()


@pytest.mark.parametrize("flag", ["--only", "--from", "--until", "--skip", "--exit-code-from"])
def test_bash_completes_the_steps_of_the_file_even_if_something_is_wrong_with_it(flag, tmp_path):
    (tmp_path / "pipeline.yaml").write_text(PIPELINE)
    (tmp_path / "other.yaml").write_text(PIPELINE.replace("ship-it", "send"))
    assert completed(["dagnats", "run", flag, ""], tmp_path) == list(NAMES)
    assert completed(["dagnats", "run", "other.yaml", flag, "s"], tmp_path) == ["send"]
    assert completed(["dagnats", "run", flag, "s"], tmp_path) == ["ship-it"]


def test_bash_completes_commands_flags_and_paths_of_the_format(tmp_path):
    assert completed(["dagnats", "pl"], tmp_path) == ["plan"]
    assert completed(["dagnats", "run", "--exit"], tmp_path) == ["--exit-code-from"]
    assert completed(["dagnats", "graph", "--format", "m"], tmp_path) == ["mermaid"]
    assert completed(["dagnats", "schema", "steps.ret"], tmp_path) == ["steps.retry"]
    assert completed(["dagnats", "schema", "nothing.x"], tmp_path) == []
    assert completed(["dagnats", "run", "--only", ""], tmp_path) == []  # there is no file


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_there_is_a_script_for_each_shell(shell, tmp_path):
    script = dagnats(["completion", shell], tmp_path)
    assert script.code == 0
    assert f"_DAGNATS_COMPLETE={shell}_complete" in script.text


def test_a_selection_is_in_the_journal(tmp_path):
    (tmp_path / "pipeline.yaml").write_text("name: p\nsteps:\n- {id: a, run: 'true'}\n- {id: b, run: 'true'}\n")
    assert dagnats(["run", "--events", EVENTS, "--from", "b", "-q"], tmp_path).code == 0
    plan = check_journal(tmp_path).plan
    assert (plan.selection, plan.left_out) == ({"from": ("b",)}, ("a",))
    first = json.loads((tmp_path / EVENTS).read_text().splitlines()[0])
    assert first["plan"]["selection"] == {"from": ["b"]}
