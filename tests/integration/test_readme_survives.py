"""The demonstration in the README works as it is written."""

import re
import signal
from pathlib import Path

from dagnats.kept import find
from tests.running_dagnats import Running, dagnats, processes_of

README = Path(__file__).parents[2] / "README.md"


def test_run_kill_resume_attach_fix_rerun_why_replay(tmp_path, monkeypatch):
    section = README.read_text().split("## A run survives")[1].split("\n## ")[0]
    pipeline, commands = re.findall(r"```\w+\n(.*?)```", section, re.DOTALL)[:2]
    (tmp_path / "release.yaml").write_text(pipeline.replace("sleep 5", "sleep 1"))
    said = [line.split("#")[0].split() for line in commands.splitlines()]
    assert [words[1] for words in said if words[0] == "dagnats"] == [
        "run",
        "resume",
        "attach",
        "rerun",
        "why",
        "replay",
    ]
    with Running(tmp_path, command=said[0][1:]) as running:
        running.wait_for("building")
        running.signal(signal.SIGKILL)
        running.process.wait()
    with Running(tmp_path, command=["resume"]) as resumed:
        resumed.wait_for("building")
        with Running(tmp_path, command=["attach"]) as viewer:
            viewer.wait_for("testing 1.4.0")
            assert resumed.end().code == 1
            assert viewer.end().code == 1
    (tmp_path / "fixed").touch()
    again = dagnats(["rerun", "--failed"], tmp_path)
    assert again.code == 0, again.text
    assert "build  reused from" in again.text
    assert "publish | publishing" in again.text
    assert "it was not reused from run" in dagnats(["why", "publish"], tmp_path).text
    assert "publish | publishing" in dagnats(["replay"], tmp_path).text
    monkeypatch.chdir(tmp_path)
    assert find(None).name in again.text
    assert not processes_of(tmp_path)
