"""What `dagnats run` writes for programs is as the schema of events says, and as its page shows."""

import json
import os
import runpy
import shlex
import shutil
import signal
import subprocess
from pathlib import Path

import pytest
from running_dagnats import BOUND_S, DAGNATS, EVENTS, Running, check_journal, dagnats, environment, write_pipeline
from strict_events import check_lines

ROOT = Path(__file__).parents[2]
SCENARIOS = ROOT / "tests" / "scenarios"
EXAMPLE = runpy.run_path(str(ROOT / "docs" / "example_run.py"))
RECIPES = runpy.run_path(str(ROOT / "docs" / "events_page.py"))["RECIPES"]
RUNS = {
    "07_if": {"StepSkipped"},
    "10_blocked": {"StepFailed", "StepBlocked"},
    "12_retry_then_success": {"StepFailed", "StepSucceeded"},
    "15_timeout": {"StepFailed"},
    "26_params": {"RunStarted"},
    "28_vars": {"RunStarted"},
    "30_fail_fast": {"CancelRequested", "StepCancelled"},
    "31_finally": {"StepSucceeded"},
    "33_run_timeout": {"CancelRequested", "StepCancelled"},
    "34_outputs": {"RunFinished"},
    "35_outputs_malformed": {"StepFailed"},
    "43_output_json": {"StepOutput"},
    "48_killed": {"StepFailed"},
    "50_matrix": {"StepExpanded"},
    "53_foreach": {"StepExpanded"},
    "57_on_failure": {"StepFailed", "StepSucceeded"},
    "60_secrets": {"StepOutput"},
    "75_dotenv": {"RunStarted"},
    "95_from": {"RunStarted"},
    "126_pipeline_step": {"PipelineStarted"},
    "127_pipeline_step_fails": {"PipelineStarted", "StepFailed"},
    "132_pipeline_step_matrix": {"PipelineStarted", "StepExpanded"},
}


def lines_of(workspace: Path, *args: str, **env: str) -> list[dict[str, object]]:
    """Run the pipeline there, and give the lines of stdout, after those of the file of events were found to be the same events."""
    done = subprocess.run(
        [DAGNATS, "run", "pipeline.yaml", "--output", "json", "--events", EVENTS, *args],
        cwd=workspace,
        env=environment(env),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        timeout=BOUND_S,
        check=False,
    )
    told = check_lines(done.stdout)
    assert [record for record in told if record["type"] != "StepOutput"] == check_lines(
        (workspace / EVENTS).read_bytes()
    )
    return told


@pytest.mark.parametrize("name", RUNS)
def test_the_lines_of_a_run_are_as_the_schema_says(name, tmp_path):
    workspace = tmp_path / "project"
    shutil.copytree(SCENARIOS / name, workspace)
    if (workspace / "setup").exists():
        subprocess.run(["sh", "-eu", "setup"], cwd=workspace, check=True, timeout=60)
    command = workspace / "command"
    words = shlex.split(command.read_text() if command.exists() else "dagnats run pipeline.yaml")
    env = dict(word.split("=", 1) for word in words[: words.index("dagnats")])
    told = lines_of(workspace, *words[words.index("pipeline.yaml") + 1 :], **env)
    assert {record["type"] for record in told} >= RUNS[name] | {"RunStarted", "RunFinished"}


def test_the_lines_of_a_run_that_is_cancelled_are_as_the_schema_says(tmp_path):
    write_pipeline(tmp_path, 'name: p\nsteps:\n- run: echo "it runs"; exec sleep 60\nfinally:\n- run: echo bye\n')
    with Running(tmp_path, "--output", "json") as running:
        running.wait_for("it runs")
        running.signal(signal.SIGINT)
        assert running.end().code == 130
    told = check_lines((tmp_path / EVENTS).read_bytes())
    (asked,) = [record for record in told if record["type"] == "CancelRequested"]
    assert (asked["by"], asked["signal"]) == ("signal", signal.SIGINT)
    assert told[-1]["outcome"] == "cancelled"


def test_bytes_of_the_environment_that_are_no_utf_8_leave_the_lines_utf_8(tmp_path):
    write_pipeline(tmp_path, "name: p\nparams: {word: x}\nsteps:\n- run: printf '\\377\\n'\n")
    told = lines_of(tmp_path, DAGNATS_PARAM_WORD=os.fsdecode(b"a\xffb"))
    assert told[0]["params"] == {"word": "a\udcffb"}
    assert [record["base64"] for record in told if record["type"] == "StepOutput"] == ["/wo="]
    check_journal(tmp_path)


def test_the_run_on_the_page_is_one_that_happens():
    shown = EXAMPLE["OUTPUT"].read_text("utf-8")
    assert EXAMPLE["run_example"]() == shown, "docs/example-run is old: run `python -m docs.example_run`"
    check_lines(shown.encode())


@pytest.mark.skipif(shutil.which("jq") is None, reason="no jq")
@pytest.mark.parametrize("recipe", RECIPES, ids=lambda recipe: recipe.question)
def test_the_recipes_for_jq_say_what_the_page_says(recipe, tmp_path):
    shutil.copy(EXAMPLE["OUTPUT"], tmp_path / "run.jsonl")
    done = subprocess.run(["sh", "-c", recipe.command], cwd=tmp_path, capture_output=True, timeout=BOUND_S, check=False)
    assert done.returncode == 0, done.stderr.decode()
    assert done.stdout.decode().rstrip("\n") == recipe.answer


def test_the_command_prints_the_schema_that_is_published(tmp_path):
    shown = dagnats(["schema", "--events"], tmp_path)
    assert shown.code == 0
    assert shown.text == (ROOT / "schemas" / "event.schema.json").read_text("utf-8")
    assert json.loads(shown.text)["$id"].endswith("/event.schema.json")
    refused = dagnats(["schema", "--events", "steps"], tmp_path)
    assert refused.code == 2
    assert "`--events` prints a whole schema: leave out `steps`, or `--events`" in refused.text
