"""What the how-tos say of other programs that run pipelines is right: their files are valid, and their commands do what is said."""

import json
import re
import subprocess
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from ruamel.yaml import YAML
from running_act import PROGRAMS, ROOT
from running_dagnats import DAGNATS, Result, environment

HOW_TO = ROOT / "docs" / "how-to"
FILE = re.compile(r"^```\w+ file=(\S+)\n(.*?)^```", re.MULTILINE | re.DOTALL)
COMMIT = "0123456789abcdef0123456789abcdef01234567"
FINE = 'name: fine\nparams: {version: none, target: none}\nsteps:\n  - run: echo "{{ params.version }}{{ params.target }}" > is\n'
FAILS = "name: fails\nsteps:\n  - run: echo it fails; exit 4\n"


def files_of(page: str) -> dict[str, str]:
    return dict(FILE.findall((HOW_TO / page).read_text()))


def call(*argv: str | Path, cwd: Path, **env: str) -> Result:
    done = subprocess.run(
        argv, cwd=cwd, env=environment(env), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, text=True, timeout=60, check=False,
    )  # fmt: skip
    return Result(done.returncode, done.stdout, 0)


def test_the_workflow_for_github_is_valid(tmp_path: Path) -> None:
    workflow = tmp_path / ".github" / "workflows" / "ci.yml"
    workflow.parent.mkdir(parents=True)
    workflow.write_text(files_of("github-actions.md")[".github/workflows/ci.yml"].replace("COMMIT", COMMIT))
    for argv in (["check-jsonschema", "--builtin-schema", "vendor.github-workflows"], ["zizmor", "--offline"]):
        checked = call(PROGRAMS / argv[0], *argv[1:], workflow, cwd=tmp_path)
        assert checked.code == 0, checked.text


def test_the_pipelines_for_github_run(tmp_path: Path) -> None:
    files = files_of("github-actions.md")
    for name in ("ci.yaml", "deploy.yaml"):
        (tmp_path / name).write_text(files[name])
        ran = call(DAGNATS, "run", name, cwd=tmp_path, DEPLOY_TOKEN="a-token-of-somebody")
        assert ran.code == 0, ran.text


def test_the_readme_tells_of_every_input_and_output_of_the_action() -> None:
    action = YAML().load((ROOT / "action.yml").read_text())
    section = (ROOT / "README.md").read_text().partition("\n## GitHub Actions\n")[2].partition("\n## ")[0]
    inputs, _, outputs = section.partition("| output |")
    rows = re.compile(r"^\| (`.*?`) \|(?: (.*?) ?\|)?", re.MULTILINE)
    told = {name: default for names, default in rows.findall(inputs) for name in re.findall(r"`(.+?)`", names)}
    assert {name: default.strip("`") for name, default in told.items()} == {
        name: given["default"] for name, given in action["inputs"].items()
    }
    assert [names.strip("`") for names, _ in rows.findall(outputs)] == list(action["outputs"])


def test_the_job_for_gitlab_is_valid_and_writes_what_it_says(tmp_path: Path) -> None:
    (tmp_path / ".gitlab-ci.yml").write_text(files_of("gitlab-ci.md")[".gitlab-ci.yml"])
    checked = call(
        PROGRAMS / "check-jsonschema", "--builtin-schema", "vendor.gitlab-ci", ".gitlab-ci.yml", cwd=tmp_path
    )
    assert checked.code == 0, checked.text
    job = YAML().load((tmp_path / ".gitlab-ci.yml").read_text())["pipeline"]
    (command,) = job["script"]
    assert command.startswith("/opt/dagnats/bin/dagnats ")
    (tmp_path / "ci.yaml").write_text(FINE)
    given = {name: value for name, value in job["variables"].items() if name.startswith("DAGNATS_")}
    ran = call("sh", "-c", command.replace("/opt/dagnats/bin/dagnats", DAGNATS), cwd=tmp_path, **given)
    assert ran.code == 0, ran.text
    assert (tmp_path / "is").read_text() == "nonestaging\n"
    assert "fine" in (tmp_path / "summary.md").read_text()
    assert json.loads((tmp_path / "events.jsonl").read_text().splitlines()[0])
    assert ET.parse(tmp_path / job["artifacts"]["reports"]["junit"]).getroot().tag == "testsuites"


def test_the_makefile_runs_what_it_says(tmp_path: Path) -> None:
    (tmp_path / "Makefile").write_text(files_of("cron-and-make.md")["Makefile"])
    (tmp_path / "release.yaml").write_text(FINE)
    (tmp_path / "checks.yaml").write_text(FAILS)
    path = {"PATH": f"{PROGRAMS}:{environment()['PATH']}"}
    ran = call("make", "release", "VERSION=1.4.2;touch pwned", cwd=tmp_path, **path)
    assert ran.code == 0, ran.text
    assert (tmp_path / "is").read_text() == "1.4.2;touch pwnednone\n"
    assert not (tmp_path / "pwned").exists()
    failed = call("make", "check", cwd=tmp_path, **path)
    assert failed.code == 2
    assert "it fails" in failed.text


@pytest.mark.parametrize("jobs", ["", "-j2"])
def test_a_step_may_call_make_again(jobs: str, tmp_path: Path) -> None:
    (tmp_path / "Makefile").write_text("check:\n\t@dagnats run checks.yaml\ninner:\n\t@echo inner\n")
    (tmp_path / "checks.yaml").write_text('name: c\nenv: {MAKEFLAGS: ""}\nsteps:\n  - run: make inner\n')
    ran = call("make", *jobs.split(), "check", cwd=tmp_path, PATH=f"{PROGRAMS}:{environment()['PATH']}")
    assert ran.code == 0
    assert "inner" in ran.text
    assert "warning" not in ran.text


def test_the_line_for_cron_says_something_only_when_it_fails(tmp_path: Path) -> None:
    (line,) = [line for line in files_of("cron-and-make.md")["crontab"].splitlines() if re.match(r"\d", line)]
    command = line.split(maxsplit=5)[5].replace("/srv/app", str(tmp_path)).replace(".venv/bin/dagnats", DAGNATS)
    (tmp_path / "nightly.yaml").write_text(FINE)
    done = call("sh", "-c", command, cwd=Path("/"))
    assert (done.code, done.text) == (0, "")
    locked = call("flock", "nightly.yaml", "sh", "-c", command, cwd=tmp_path)
    assert locked.code != 0
    (tmp_path / "nightly.yaml").write_text(FAILS)
    failed = call("sh", "-c", command, cwd=Path("/"))
    assert failed.code == 1
    assert "it fails" in failed.text
