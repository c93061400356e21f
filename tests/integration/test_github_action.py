"""The GitHub Action, run by act: what a workflow gets from it, that its inputs stay data, and that it leaves nothing in the checkout."""

import json
import os
import re
import signal
import subprocess
from pathlib import Path

import pytest
from ruamel.yaml import YAML
from running_act import BOUND_S, PROGRAMS, ROOT, Acted, act, bare, checkout, packages

from dagnats import __version__

GOOD = """\
name: good
params:
  title: plain
  other: {type: string, default: none}
secrets: {TOKEN: env://ACTION_TOKEN}
steps:
  - id: say
    env: {TOKEN: "{{ secrets.TOKEN }}"}
    run: |
      echo "the token is $TOKEN"
      printf 'title=%s\\n' "{{ params.title }}" >> "$DAGNATS_OUTPUT"
      if env | grep ^WITH_; then exit 9; fi
      echo "words **of the step**" >> "$DAGNATS_SUMMARY"
      echo "the other is {{ params.other }}"
  - id: sees
    needs: []
    run: 'pwd; test -z "$(git status --porcelain --ignored)"'
outputs: {title: "{{ steps.say.outputs.title }}"}
"""
BAD = """\
name: bad
steps:
  - id: fine
    run: echo fine
  - id: breaks
    run: |
      echo "::error::not of dagnats"
      exit 9
"""
NOTHING_LEFT = '[[ -z $(git status --porcelain --ignored) ]] && ! compgen -G "$RUNNER_TEMP/pwned*"'
WORKFLOW = """\
on: push
defaults: {run: {shell: bash}}
env: {ACTION_TOKEN: hunter2-of-all, TOLD: "${{ github.workspace }}"}
jobs:
  uses:
    runs-on: ubuntu-latest
    steps:
      - uses: actions/checkout@11bd71901bbe5b1630ceea73d27597364c9af683 # v4.2.2
      - {id: clean, run: 'test -z "$(git status --porcelain --ignored)"'}
%s
      - {id: ends, uses: ./, with: {pipeline: bad.yaml}}
      - {id: never, run: 'true'}
      - {id: left, if: always(), run: '%s'}
      - {id: events, if: always(), run: 'ls -l "$FILE" && cat "$FILE"', env: {FILE: "${{ steps.succeeds.outputs.events-file }}"}}
"""
HOW_TO = re.compile(r"^```yaml file=(\S+)\n(.*?)^```", re.MULTILINE | re.DOTALL)
EVIL = """$(touch pwned); '"; touch pwned #`touch pwned`${IFS}"""
LINES = f"{EVIL}\ntarget=production"
USES = {
    "succeeds": {"pipeline": "good.yaml", "params": f"title={EVIL}\r\n\r\n  \r\nother=a=b\r\n"},
    "fails": {"pipeline": "bad.yaml", "args": "\r\n--jobs=1\r\n\r\n-q\r\n"},
    "found": {"working-directory": "a directory"},
    "silent": {"pipeline": "bad.yaml", "summary": False, "annotations": False},
    "dashed": {"pipeline": "-odd.yaml"},
    "pipeline": {"pipeline": EVIL},
    "flag": {"pipeline": "--help"},
    "params": {"pipeline": "good.yaml", "params": "--help"},
    "args": {"pipeline": "good.yaml", "args": EVIL},
    "switch": {"pipeline": "good.yaml", "summary": EVIL},
    "empty": {"working-directory": "bin"},
    "lines": {"pipeline": "absent\n::add-mask::plain"},
    "extra": {"pipeline": "good.yaml\n::add-mask::plain", "args": "two.yaml"},
    "directory": {"working-directory": "-"},
    "nowhere": {"working-directory": EVIL},
    "version": {"version": "1; touch pwned"},
    "python": {"python": f"{EVIL}\n::add-mask::plain%0A"},
    "old": {"python": "bin/old"},
    "novenv": {"python": "bin/novenv"},
    "broken": {"python": "bin/broken"},
}
# Pythons that say of themselves what another one would.
PYTHON = '#!/bin/sh\nshift 2\nexec python3 -I -c "import sys; {}\n$1"\n'
FILES = {
    "good.yaml": GOOD,
    "bad.yaml": BAD,
    "-odd.yaml": GOOD,
    "a directory/pipeline.yaml": "name: found\nsteps:\n  - run: echo 'it is found'\n",
    "bin/old": PYTHON.format("sys.version_info = (3, 9, 1); sys.version = '3.9.1 of somebody'"),
    "bin/novenv": PYTHON.format("sys.modules['ensurepip'] = None"),
    "bin/broken": "#!/bin/sh\necho 'not today' >&2\nexit 1\n",
}  # fmt: skip


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    told = dict(HOW_TO.findall((ROOT / "docs" / "how-to" / "github-actions.md").read_text()))
    step = YAML().load(told[".github/workflows/ci.yml"])["jobs"]["pipeline"]["steps"][1]
    uses = {id_: {"with": given} for id_, given in USES.items()}
    uses["documented"] = {"with": step["with"], "env": dict.fromkeys(step["env"], LINES)}
    steps = "\n".join(
        f"      - {json.dumps({'id': id_, 'uses': './', 'continue-on-error': True, **use})}"
        for id_, use in uses.items()
    )
    files = FILES | told | {".github/workflows/ci.yml": WORKFLOW % (steps, NOTHING_LEFT)}
    return checkout(tmp_path_factory.mktemp("uses") / "checkout", files)


@pytest.fixture(scope="module")
def acted(repository: Path) -> Acted:
    """All uses of the action in one job, which goes on after each."""
    return act(repository, repository.parent / "home")


def test_the_job_saw_all_that_it_uses(acted: Acted) -> None:
    results = {step: acted.result(step) for step in ("clean", "left", "events")}
    assert set(results.values()) == {"success"}, acted.text


def test_it_is_installed_once_in_a_job(acted: Acted) -> None:
    assert len(re.findall(r"dagnats \d+\.\d+\.\d+\n", acted.text)) == 1


def test_a_pipeline_that_succeeds(acted: Acted) -> None:
    assert acted.result("succeeds") == "success"
    told = acted.outputs("succeeds")
    assert (told["status"], told["exit-code"], told["failed-step"]) == ("succeeded", "0", "")
    assert json.loads(told["outputs"]) == {"title": EVIL}
    assert re.fullmatch(r"[a-z]+-[a-z]+-\d+", told["run-id"])
    assert "the other is a=b" in acted.text_of("succeeds")
    events = [json.loads(line) for line in acted.text_of("events").splitlines() if line.startswith("{")]
    assert events


def test_a_secret_is_masked_by_the_pipeline_and_told_to_the_job(acted: Acted) -> None:
    assert "the token is ***" in acted.text_of("succeeds")
    assert "hunter2-of-all" in {line["arg"] for line in acted.commands("succeeds", "add-mask")}


def test_a_pipeline_that_fails(acted: Acted) -> None:
    assert acted.result("fails") == "failure"
    told = acted.outputs("fails")
    assert (told["status"], told["exit-code"], told["failed-step"]) == ("failed", "1", "breaks")
    (error,) = acted.commands("fails", "error")
    assert (error["kvPairs"]["file"], error["kvPairs"]["line"]) == (
        "bad.yaml",
        str(BAD.split("breaks", maxsplit=1)[0].count("\n") + 1),
    )


def test_the_summary_of_the_job_tells_of_both(acted: Acted) -> None:
    assert "words **of the step**" in acted.summary("succeeds")
    assert "```mermaid" in acted.summary("fails")
    assert "exit code 9" in acted.summary("fails")


def test_summary_and_annotations_can_be_turned_off(acted: Acted) -> None:
    assert acted.outputs("silent")["status"] == "failed"
    assert acted.summary("silent") == ""
    assert acted.commands("silent", "error") == []


def test_without_a_pipeline_it_is_found_in_the_working_directory(acted: Acted) -> None:
    assert acted.result("found") == "success"
    assert "it is found" in acted.text_of("found")


def test_the_use_in_the_how_to_works(acted: Acted) -> None:
    told = acted.outputs("documented")
    assert (told["status"], json.loads(told["outputs"])) == ("succeeded", {"url": "https://staging.example.org"})
    assert "deploying" not in acted.text_of("documented")
    assert f"building {LINES}\n" in acted.text_of("documented")


def test_a_file_whose_name_begins_with_a_dash_is_no_flag(acted: Acted) -> None:
    assert acted.outputs("dashed")["status"] == "succeeded"


@pytest.mark.parametrize(
    ("step", "status", "told"),
    [
        ("pipeline", "invalid", EVIL),
        ("flag", "invalid", "./--help"),
        ("params", "invalid", "--help"),
        ("args", "invalid", EVIL),
        ("empty", "invalid", "no pipeline file here"),
        ("lines", "invalid", "absent"),
        ("extra", "invalid", "Got unexpected extra argument (two.yaml)"),
        ("switch", "invalid", f"the input `summary` is true or false, not `{EVIL}`"),
        ("directory", "invalid", "the working directory `-` does not exist in /"),
        ("nowhere", "invalid", f"the working directory `{EVIL}` does not exist in /"),
        ("version", "invalid", "the input `version` is a version such as 0.1.0, not `1; touch pwned`"),
        ("python", "error", f"there is no `{EVIL}%0A::add-mask::plain%250A`; install Python 3.11 or later before"),
        ("old", "error", "is Python 3.9.1; dagnats needs 3.11 or later"),
        ("novenv", "error", "has no module venv or ensurepip; on Debian and Ubuntu: apt-get install python3-venv"),
        ("broken", "error", "not today"),
    ],
)
def test_an_input_that_is_wrong_reaches_nothing_but_the_message(
    acted: Acted, step: str, status: str, told: str
) -> None:
    assert acted.result(step) == "failure"
    outputs = acted.outputs(step)
    assert (outputs["status"], outputs["exit-code"]) == (status, {"invalid": "2", "error": "3"}[status])
    assert acted.commands(step, "add-mask") == []
    said = acted.text_of(step) + "".join(line["raw"] for line in acted.commands(step, "error"))
    assert told in said


def test_a_job_ends_with_the_pipeline_that_fails(acted: Acted) -> None:
    assert acted.code == 1
    assert "exit status 1" in [line["msg"] for line in acted.of("ends")]
    assert acted.of("never") == []


def test_the_workflow_of_this_project_does_what_it_says(tmp_path: Path) -> None:
    repository = checkout(tmp_path / "checkout", {}, ".github", "pipelines")
    acted = act(repository, tmp_path / "home", "--job", "action", "--matrix", "os:ubuntu-latest")
    assert acted.code == 0, acted.text
    assert acted.outputs("fails")["status"] == "failed"


def direct(tmp_path: Path, env: dict[str, str], **given: str) -> subprocess.Popen[str]:
    """Start what the action runs, as a runner does."""
    inputs = {"PIPELINE": "", "PARAMS": "", "ARGS": "", "DIRECTORY": ".", "PYTHON": "python3", "VERSION": ""}
    inputs |= {"SUMMARY": "true", "ANNOTATIONS": "true", **given}
    env = bare(tmp_path / "home") | {f"WITH_{name}": value for name, value in inputs.items()} | env
    env |= {"GITHUB_ACTIONS": "true", "GITHUB_OUTPUT": str(tmp_path / "outputs"), "RUNNER_TEMP": str(tmp_path)}
    argv = ["bash", ROOT / "action" / "run"]
    return subprocess.Popen(argv, cwd=tmp_path, env=env, stdout=subprocess.PIPE, text=True)


def test_a_signal_reaches_the_run_of_a_version_from_an_index(tmp_path: Path) -> None:
    wheels = tmp_path / "wheels"
    flags = ("--quiet", "--no-deps", "--no-build-isolation", "--disable-pip-version-check")
    check("python", "-m", "pip", "wheel", *flags, "--wheel-dir", wheels, ROOT)
    links = " ".join([str(wheels), packages().get("PIP_FIND_LINKS", "")])
    (tmp_path / "dagnats.yaml").write_text("name: waits\nsteps:\n  - run: |\n      echo it waits\n      sleep 600\n")
    with direct(tmp_path, {"PIP_FIND_LINKS": links}, VERSION=__version__) as running:
        for line in running.stdout:
            if line.endswith("it waits\n"):
                running.send_signal(signal.SIGINT)
        assert running.wait(BOUND_S) == 130
    assert "cancelled" in (tmp_path / "outputs").read_text()


def test_a_version_that_does_not_exist_is_an_error(tmp_path: Path) -> None:
    with direct(tmp_path, {"PIP_NO_INDEX": "1"}, VERSION="99.9") as running:
        told = running.stdout.read()
    assert running.returncode == 3
    assert "::error title=DagNats::dagnats could not be installed" in told
    assert (tmp_path / "outputs").read_text() == "status=error\nexit-code=3\n"


def check(*argv: str | Path) -> None:
    done = subprocess.run(
        [PROGRAMS / argv[0], *argv[1:]],
        cwd=ROOT,
        env=os.environ,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_linters_have_nothing_to_say() -> None:
    workflows = sorted((ROOT / ".github" / "workflows").iterdir())
    check("check-jsonschema", "--builtin-schema", "vendor.github-workflows", *workflows)
    check("check-jsonschema", "--builtin-schema", "vendor.github-actions", "action.yml")
    check("zizmor", "--offline", "--pedantic", "--no-progress", "action.yml", *workflows)


def test_nothing_reads_what_only_another_runner_sets() -> None:
    read = (ROOT / "action.yml").read_text() + "".join(file.read_text() for file in (ROOT / "action").iterdir())
    assert "INPUT_" not in read
    assert not re.search(r"run: .*\$\{\{", read)
