"""Every folder beside this file is a pipeline that somebody could have written, used by the installed command as `command` says.

`expected.json` tells how it ends; the snapshot holds what is printed, with names of runs, times and paths replaced. `setup`, where there is one, is a
shell script that makes what can not be kept in this repository. After each run its journal is read back from its store and folded again.
"""

import json
import os
import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest
from running_dagnats import DAGNATS, EVENTS, check_journal, dagnats, environment, read_events, statuses

from dagnats.core.state import fold

HERE = Path(__file__).parent
SCENARIOS = sorted(folder.name for folder in HERE.iterdir() if (folder / "expected.json").exists())
DEFAULT_COMMAND = "dagnats run pipeline.yaml"

_VARYING = (
    (re.compile(r"(\b(?:re)?run |\brerun of |\breused from |\bfailed in |\"run\":\")[a-z]+-[a-z]+-\d+\b"), r"\1RUN"),
    (re.compile(r"\b(dagnats (?:approve|signal|resume) )[a-z]+-[a-z]+-\d+\b"), r"\1RUN"),
    (re.compile(r'"(at|until)":\d+(\.\d+)?'), r'"\1":TIME'),
    (re.compile(r"\bworker-[0-9a-f]{8}\b"), "WORKER"),
    (re.compile(r'"versions":\{[^}]*\}'), '"versions":VERSIONS'),
    (re.compile(r'"jitter":[0-9.e-]+'), '"jitter":JITTER'),
    (re.compile(r"(?<=  )(\d+h)?(\d+m)?\d+(\.\d+)?m?s$", re.MULTILINE), "TIME"),
    (re.compile(r"\b[0-9a-f]{32}\b"), "RANDOM"),
    (re.compile(r"\x1b\[2m  \S+\x1b\[0m$", re.MULTILINE), "  TIME"),
    (re.compile(r"\bin \S+ \(critical path \S+\)"), "in TIME (critical path TIME)"),
)
# what commands that look at a run print: tables, whose columns are as wide as the times and names in them
_LOOKS = ("runs", "show", "why", "graph")
_VARYING_LOOKS = (
    (re.compile(r"\b[a-z]+-[a-z]+-\d+\b"), "RUN"),
    (re.compile(r"\b\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\b"), "MOMENT"),
    (re.compile(r"\+?(?<![\w.])(\d+h)?(\d+m)?\d+(\.\d+)?m?s\b"), "TIME"),
    (re.compile(r"(?<=[^ ]) {2,}"), "  "),
    (re.compile(r'"([a-z]+_s|[a-z]+_at|at)":[0-9.e-]+'), r'"\1":TIME'),
)


def normalised(text: str, workspace: Path, varying=_VARYING) -> str:
    text = text.replace(str(workspace), "WORKSPACE")
    for pattern, word in varying:
        text = pattern.sub(word, text)
    return text


@pytest.mark.parametrize("name", SCENARIOS)
def test_scenario(name, tmp_path, snapshot):
    workspace = tmp_path / "project"
    shutil.copytree(HERE / name, workspace)
    expected = json.loads((workspace / "expected.json").read_text())
    command = workspace / "command"
    env, args = parsed(command.read_text() if command.exists() else DEFAULT_COMMAND)

    if (workspace / "setup").exists():
        bin_ = Path(DAGNATS).parent
        path = {"PATH": f"{bin_}{os.pathsep}{os.environ['PATH']}"}
        subprocess.run(["sh", "-eu", "setup"], cwd=workspace, env=environment(path), check=True, timeout=60)

    result = dagnats(with_events(args) if args[:1] == ["run"] else args, workspace, env)

    assert result.code == expected["exit_code"], result.text
    assert "Traceback" not in result.text
    if "outcome" in expected:
        state = fold(read_events(workspace / EVENTS))
        assert statuses(state) == expected["steps"], result.text
        assert state.finished.outcome == expected["outcome"]
        assert state.finished.outputs == expected.get("outputs", {})
        check_journal(workspace)
    elif not expected.get("kept"):  # a run that `setup` has made
        assert not (workspace / ".dagnats").exists()
        assert not (workspace / EVENTS).exists()
    assert not (workspace / "pwned").exists()
    varying = (*_VARYING_LOOKS, *_VARYING) if args[:1] and args[0] in _LOOKS and expected.get("kept") else _VARYING
    assert normalised(result.text, workspace, varying) == snapshot


def with_events(args: list[str]) -> list[str]:
    """Have the events written; what stands behind `--files` are files."""
    end = args.index("--files") if "--files" in args else len(args)
    return [*args[:end], "--events", EVENTS, *args[end:]]


def parsed(command: str) -> tuple[dict[str, str], list[str]]:
    """Read `NAME=value dagnats run …` as a shell would."""
    words = shlex.split(command)
    at = words.index("dagnats")
    return dict(word.split("=", 1) for word in words[:at]), words[at + 1 :]
