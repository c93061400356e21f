"""The commands that look at runs, on real runs: over, under way, killed, damaged, and left by an earlier version."""

import json
import os
import re
import signal
import time
from pathlib import Path

from running_dagnats import BOUND_S, Running, dagnats, run_directory, write_pipeline

SHORT = "name: short\nsteps: [{id: a, run: exit 3}, {id: b, run: 'true'}]\n"
LONG = "name: long\nsteps:\n  - {id: a, run: 'echo begun; sleep 60'}\n  - {id: b, run: 'true'}\n"


def looked(cwd: Path, *args: str) -> str:
    result = dagnats(args, cwd)
    assert result.code == 0, result.text
    return result.text


def data(cwd: Path, *args: str):
    return json.loads(looked(cwd, *args, "--format", "json"))


def until_listed(cwd: Path, status: str, **facts):
    """Wait for the list of runs to say this of the newest; the runner tells it once a second."""
    until = time.monotonic() + BOUND_S
    while True:
        newest = data(cwd, "runs")[0]
        if newest["status"] == status and facts.items() <= newest.items():
            return newest
        assert time.monotonic() < until, newest


def damaged(cwd: Path) -> None:
    """Lose a byte in the middle of the journal, as a disk does."""
    blocks = [path for path in run_directory(cwd).rglob("*.blk") if "HISTORY" in str(path)]
    assert blocks
    for block in blocks:
        content = bytearray(block.read_bytes())
        content[len(content) // 2] ^= 0xFF
        block.write_bytes(content)


def test_a_run_that_goes_on_can_be_looked_at(tmp_path):
    write_pipeline(tmp_path, LONG)
    with Running(tmp_path) as run:
        run.wait_for("begun")
        newest = until_listed(tmp_path, "running", running=["a"])
        assert (newest["pipeline"], newest["steps"], newest["ended"]) == ("long", 2, 0)
        shown = data(tmp_path, "show")
        assert shown["status"] == "running"
        assert [(step["id"], step["status"]) for step in shown["steps"]] == [("a", "running"), ("b", "pending")]
        assert shown["steps"][0]["took_s"] > 0
        why = looked(tmp_path, "why", "b")
        assert re.fullmatch(r"b waits for what it needs: a \(\S+ until now\)\n  a runs: for \S+ until now\n", why)
        graph = looked(tmp_path, "graph", newest["run"])
        assert re.search(r"a +\(running, \S+, critical\)", graph)
        run.signal(signal.SIGINT)
        assert run.end().code == 130
    assert data(tmp_path, "runs")[0]["status"] == "cancelled"
    assert looked(tmp_path, "why", "b").startswith("b was cancelled before it started: received SIGINT\n")
    assert "runs" not in looked(tmp_path, "show", "--format", "text")


def test_a_run_that_was_killed_is_interrupted(tmp_path):
    write_pipeline(tmp_path, LONG)
    with Running(tmp_path) as run:
        run.wait_for("begun")
        until_listed(tmp_path, "running", running=["a"])
        run.process.kill()
        run.end()
    newest = until_listed(tmp_path, "interrupted")
    assert looked(tmp_path, "runs").splitlines()[1].endswith(f"dagnats resume {newest['run']}")
    shown = data(tmp_path, "show", newest["run"])
    assert shown["status"] == "interrupted"
    assert shown["steps"][0]["status"] == "running"


def test_a_moment_of_a_run_is_what_its_first_events_say(tmp_path):
    write_pipeline(tmp_path, SHORT)
    assert dagnats(["run", "pipeline.yaml"], tmp_path).code == 1
    whole = data(tmp_path, "show")
    assert (whole["status"], whole["seq"]) == ("failed", whole["events"])
    begun = data(tmp_path, "show", "--seq", "2")
    assert (begun["status"], begun["seq"], begun["events"]) == ("running", 2, whole["events"])
    assert [step["status"] for step in begun["steps"]] == ["queued", "pending"]
    assert data(tmp_path, "show", "--seq", str(whole["events"])) == whole
    assert data(tmp_path, "show", "--at", "+1h") == whole
    assert data(tmp_path, "show", "--at", "+0s")["status"] == "running"
    assert data(tmp_path, "show", "--at", "-0s") == whole
    started = time.localtime(whole["started_at"])
    assert data(tmp_path, "show", "--at", time.strftime("%H:%M:%S", started))["events"] == whole["events"]


def test_what_can_not_be_meant_is_refused(tmp_path):
    write_pipeline(tmp_path, SHORT)
    assert dagnats(["runs"], tmp_path).code == 2
    assert dagnats(["run", "pipeline.yaml"], tmp_path).code == 1
    run = run_directory(tmp_path).name
    for args, words in (
        (["show", "--seq", "0"], "--seq 0: the events of run "),
        (["show", "--seq", "1", "--at", "+1s"], "leave out one of them"),
        (["show", "--at", "yesterday"], "--at yesterday: that is no time: write 14:03:05"),
        (["show", "--at", "-"], "--at -: that is no duration"),
        (["show", "--at", "-400h"], f"--at -400h: that is before run {run} began"),
        (["show", "--at", "99:00:00"], "that is no time"),
        (["show", "nobody"], "there is no run `nobody`"),
        (["show", run, "bb"], f"run {run} has no step `bb`; did you mean `b`?"),
        (["why", run], f"`{run}` is a run: name the step of it too"),
        (["why", run, "a", "b"], "3 words"),
        (["why", run, "zzz"], "its steps are: a, b"),
        (["graph", run, "--only", "a"], f"{run} is a run"),
    ):
        result = dagnats(args, tmp_path)
        assert result.code == 2, args
        assert words in result.text, args
        assert "Traceback" not in result.text


def test_whatever_a_step_says_can_be_printed(tmp_path):
    write_pipeline(
        tmp_path,
        """name: odd
steps:
  - id: a
    outputs: {half: {type: json}}
    run: |
      echo 'half="\\ud800 ✓"' >> "$DAGNATS_OUTPUT"
  - id: "b"
    if: steps.a.outputs.half == '::error::no'
    run: "true"
""",
    )
    assert dagnats(["run", "pipeline.yaml"], tmp_path).code == 0
    for env in ({"PYTHONIOENCODING": "ascii"}, {"GITHUB_ACTIONS": "true"}):
        for args in (["show", "a"], ["show"], ["why", "b"], ["runs"]):
            result = dagnats(args, tmp_path, env)
            assert result.code == 0, result.text
            assert "Traceback" not in result.text
            assert not any(line.lstrip().startswith("::") for line in result.text.splitlines())
    assert data(tmp_path, "show", "a")["outputs"] == {"half": "\ud800 ✓"}


def test_a_run_that_goes_on_after_a_crash_says_so(tmp_path):
    write_pipeline(
        tmp_path,
        "name: crash\nsteps:\n  - id: a\n    run: 'echo begun; test -e again || { touch again; sleep 60; }'\n",
    )
    with Running(tmp_path) as run:
        run.wait_for("begun")
        until_listed(tmp_path, "running", running=["a"])
        run.process.kill()
        run.end()
    assert dagnats(["resume"], tmp_path).code == 0
    assert data(tmp_path, "runs")[0]["status"] == "succeeded"
    said = looked(tmp_path, "why", "a")
    assert "attempt 1 was interrupted, as the runner had ended; attempt 2 followed when the run was resumed" in said
    assert "\nresumed +" in looked(tmp_path, "show")


def test_a_run_that_only_waits_is_parked(tmp_path):
    write_pipeline(
        tmp_path, "name: gate\nsteps:\n  - {id: gate, type: approval, prompt: 'Deploy?'}\n  - {id: ship, run: 'true'}\n"
    )
    assert dagnats(["run", "pipeline.yaml", "--detach-on-wait"], tmp_path).code == 4
    newest = data(tmp_path, "runs")[0]
    assert (newest["status"], newest["waiting"]) == ("parked", ["gate"])
    assert looked(tmp_path, "runs").splitlines()[1].endswith(f"gate waits; dagnats resume {newest['run']}")
    assert data(tmp_path, "show")["status"] == "parked"
    why = looked(tmp_path, "why", "ship")
    assert "ship waits for what it needs: gate (" in why
    assert "gate waits for an approval: Deploy? (" in why
    assert f"; dagnats approve {newest['run']} gate" in why


def test_one_word_may_be_a_step_of_the_newest_run(tmp_path):
    # no name of a run begins like that, as any beginning of one is a run
    write_pipeline(tmp_path, SHORT.replace("id: a", "id: x1"))
    dagnats(["run", "pipeline.yaml"], tmp_path)
    assert looked(tmp_path, "show", "x1").startswith("✗ x1: failed")
    assert looked(tmp_path, "why", run_directory(tmp_path).name[:3], "b").startswith("b was blocked: it needs x1")


def test_a_run_that_left_no_word_is_read_once(tmp_path):
    write_pipeline(tmp_path, SHORT)
    dagnats(["run", "pipeline.yaml"], tmp_path)
    directory = run_directory(tmp_path)
    before = data(tmp_path, "runs")
    (directory / "status.json").unlink()
    changed = directory.stat().st_mtime_ns
    assert data(tmp_path, "runs") == before
    assert (directory / "status.json").exists()
    assert directory.stat().st_mtime_ns == changed, "it is as old as it was"
    (directory / "status.json").write_text('{"v": 99}')
    assert [one["status"] for one in data(tmp_path, "runs")] == ["unknown"]
    assert (directory / "status.json").read_text() == '{"v": 99}'


def test_a_damaged_journal_is_said_and_never_guessed_over(tmp_path):
    write_pipeline(tmp_path, SHORT)
    dagnats(["run", "pipeline.yaml"], tmp_path)
    damaged(tmp_path)
    for args in (["show"], ["why", "b"], ["graph", run_directory(tmp_path).name]):
        result = dagnats(args, tmp_path)
        assert result.code == 5, (args, result.text)
        assert "Traceback" not in result.text
    assert [one["status"] for one in data(tmp_path, "runs")] == ["damaged"]


def test_only_so_many_are_listed_and_the_rest_is_counted(tmp_path):
    write_pipeline(tmp_path, SHORT)
    for _ in range(3):
        dagnats(["run", "pipeline.yaml"], tmp_path)
    assert len(data(tmp_path, "runs")) == 3
    assert len(data(tmp_path, "runs", "-n", "2")) == 2
    assert "and 1 older run: --all lists them" in looked(tmp_path, "runs", "-n", "2")
    assert len(data(tmp_path, "runs", "-n", "1", "--all")) == 3
    starts = [one["started_at"] for one in data(tmp_path, "runs")]
    assert starts == sorted(starts, reverse=True)


def test_a_shell_is_offered_runs_and_steps(tmp_path):
    write_pipeline(tmp_path, SHORT)
    dagnats(["run", "pipeline.yaml"], tmp_path)
    run = run_directory(tmp_path).name
    for words, found in (
        (["dagnats", "show", run[:2]], run),
        (["dagnats", "show", run, ""], "b"),
        (["dagnats", "why", ""], "a"),
        (["dagnats", "why", run, ""], "b"),
        (["dagnats", "graph", run[:2]], run),
    ):
        env = {"_DAGNATS_COMPLETE": "bash_complete", "COMP_WORDS": " ".join(words), "COMP_CWORD": str(len(words) - 1)}
        offered = [line.split(",")[-1] for line in dagnats([], tmp_path, os.environ | env).text.splitlines()]
        assert found in offered, words
