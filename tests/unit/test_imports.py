"""Who may import whom, and what a command that only answers must not pay for."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[2]
CONTRACTS = Path(sys.executable).parent / "lint-imports"
COMMAND = (sys.executable, "-c", "import sys; from dagnats.cli.main import main; sys.exit(main())")
SLOW = {"asyncio", "jinja2", "jsonschema", "nats", "rich"}
ANSWERS = [
    ("--version",), ("--help",), ("run", "--help"), ("validate", "pipeline.yaml"), ("validate", "--format", "sarif", "pipeline.yaml"),
    ("plan", "pipeline.yaml"), ("graph", "pipeline.yaml"), ("render", "pipeline.yaml"), ("schema", "steps.retry"), ("init", "new.yaml"),
    ("completion", "bash"), ("dead", "--help"), ("clean", "--help"), ("doctor", "--help"),
]  # fmt: skip
COMPLETION = {
    "_DAGNATS_COMPLETE": "bash_complete",
    "COMP_WORDS": "dagnats run pipeline.yaml --only s",
    "COMP_CWORD": "4",
}
PIPELINE = "name: hello\nsteps:\n  - run: echo hello\n"


def contracts(project: Path) -> subprocess.CompletedProcess[str]:
    argv = [CONTRACTS, "--no-cache"]
    env = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    return subprocess.run(argv, cwd=project, env=env, capture_output=True, text=True, timeout=60, check=False)


def modules(importtime: str) -> set[str]:
    """The packages in what `-X importtime` prints."""
    lines = [line for line in importtime.splitlines() if line.startswith("import time:")]
    return {line.rsplit("|", 1)[1].strip().split(".")[0] for line in lines}


def test_imports_run_down_only() -> None:
    done = contracts(PROJECT)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("module", "line", "broken"),
    [
        ("core/graph.py", "import os", "The core is pure"),
        ("core/graph.py", "import dagnats.template", "Imports run down only"),
        ("bus/topology.py", "import dagnats.engine", "Imports run down only"),
        ("report/__init__.py", "import dagnats.workers", "Imports run down only"),
        ("workers/kinds.py", "import nats", "Only the bus knows NATS"),
        ("in_no_layer.py", "", "Imports run down only"),
    ],
)
def test_an_import_that_breaks_a_contract_is_found(module: str, line: str, broken: str, tmp_path: Path) -> None:
    shutil.copy(PROJECT / "pyproject.toml", tmp_path)
    shutil.copytree(PROJECT / "dagnats", tmp_path / "dagnats", ignore=shutil.ignore_patterns("__pycache__"))
    with (tmp_path / "dagnats" / module).open("a") as file:
        file.write(f"\n{line}\n")
    done = contracts(tmp_path)
    assert done.returncode == 1
    assert f"{broken} BROKEN" in done.stdout


@pytest.mark.parametrize("has_secrets", [False, True])
def test_only_a_run_with_secrets_pays_for_them(has_secrets: bool, tmp_path: Path) -> None:
    (tmp_path / "pipeline.yaml").write_text(PIPELINE + "secrets: [IMPORTS_TEST]\n" * has_secrets)
    env = {**os.environ, "PYTHONPROFILEIMPORTTIME": "1", "PYTHONPATH": str(PROJECT), "IMPORTS_TEST": "secret"}
    done = subprocess.run(
        [*COMMAND, "run", "pipeline.yaml"],
        cwd=tmp_path,
        env=env,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    imported = {line.rsplit("|", 1)[-1].strip() for line in done.stderr.splitlines()}
    paid = {"re2", "dagnats.sources", "dagnats.workers.mask", "dagnats.workers.forms", "dagnats.workers.vault"}
    assert imported & paid == (paid if has_secrets else set())


@pytest.mark.parametrize("mode", ["prefixed", "grouped", "github", "json"])
def test_only_the_live_view_pays_for_rich(mode: str, tmp_path: Path) -> None:
    (tmp_path / "pipeline.yaml").write_text(PIPELINE)
    env = {**os.environ, "PYTHONPROFILEIMPORTTIME": "1", "PYTHONPATH": str(PROJECT)}
    argv = [*COMMAND, "run", "pipeline.yaml", "--output", mode]
    done = subprocess.run(argv, cwd=tmp_path, env=env, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert "rich" not in modules(done.stderr)


@pytest.mark.parametrize("argv", ANSWERS)
def test_a_command_that_only_answers_imports_nothing_slow(argv: tuple[str, ...], tmp_path: Path) -> None:
    (tmp_path / "pipeline.yaml").write_text(PIPELINE)
    env = {**os.environ, "PYTHONPROFILEIMPORTTIME": "1", "PYTHONPATH": str(PROJECT)}
    done = subprocess.run(
        [*COMMAND, *argv], cwd=tmp_path, env=env, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    imported = modules(done.stderr)
    assert "dagnats" in imported
    assert not imported & SLOW


def test_a_completion_imports_nothing_slow(tmp_path: Path) -> None:
    (tmp_path / "pipeline.yaml").write_text(PIPELINE + "  - run: echo {{ env.HOME }}\n")
    program = "import sys; sys.argv[0] = 'dagnats'; from dagnats.cli.main import main; main()"
    env = {**os.environ, **COMPLETION, "PYTHONPROFILEIMPORTTIME": "1", "PYTHONPATH": str(PROJECT)}
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, env=env, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.stdout.splitlines() == ["plain,step-1", "plain,step-2"]
    assert not modules(done.stderr) & SLOW
