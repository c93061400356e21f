"""Reports of real runs: those of a run that has just ended are those that its journal gives later."""

import json
import os
import re
import subprocess
from pathlib import Path
from xml.etree import ElementTree as ET

from running_dagnats import Running, dagnats, environment, write_pipeline

REPORTS = ("junit", "summary", "html")
CI = """\
name: ci
secrets: {TOKEN: env://TOKEN}
max_parallel: 2
steps:
  - id: build
    outputs: {version: {}}
    run: |
      echo "version=1.2.3" >> "$DAGNATS_OUTPUT"
      printf '## Built\\n\\n- with **care**\\n' >> "$DAGNATS_SUMMARY"
      seq 1 100
  - id: test
    matrix: {py: ["3.11", "3.12"]}
    retry: 1
    env: {TOKEN: "{{ secrets.TOKEN }}"}
    run: |
      echo "with $TOKEN, attempt $DAGNATS_ATTEMPT"
      echo "$TOKEN" >> "$DAGNATS_SUMMARY"
      test "{{ matrix.py }}" = 3.11
  - id: lint
    needs: []
    allow_failure: true
    run: exit 2
outputs: {version: "{{ steps.build.outputs.version }}"}
"""
SECRET = "very-s3cret"


def asked(prefix: str) -> list[str]:
    return [word for kind in REPORTS for word in (f"--{kind}", f"{prefix}.{kind}")]


def test_reports_after_the_fact_are_those_of_the_run(tmp_path):
    write_pipeline(tmp_path, CI)
    result = dagnats(["run", "pipeline.yaml", *asked("live")], tmp_path, {"TOKEN": SECRET})
    assert result.code == 1
    assert dagnats(["report", *asked("later")], tmp_path).code == 0
    for kind in REPORTS:
        live = (tmp_path / f"live.{kind}").read_text()
        assert live == (tmp_path / f"later.{kind}").read_text()
        assert SECRET not in live
    page = (tmp_path / "live.summary").read_text()
    assert "## Built\n\n- with **care**\n" in page
    assert "with ***, attempt 2" in page
    assert "| version | 1.2.3 |" in page
    suite = ET.parse(tmp_path / "live.junit").getroot()
    assert (suite.get("tests"), suite.get("failures")) == ("4", "1")
    assert dagnats(["report"], tmp_path).text == page


def test_a_run_is_named_by_its_beginning_and_the_newest_needs_no_name(tmp_path):
    write_pipeline(tmp_path, "name: p\nsteps: [{run: 'true'}]\n")
    names = []
    for _ in range(2):
        name = re.search(r"run ([a-z]+-[a-z]+-\d+)", dagnats(["run", "pipeline.yaml"], tmp_path).text)
        names.append(name[1])
    assert f"run `{names[1]}`" in dagnats(["report"], tmp_path).text
    assert f"run `{names[0]}`" in dagnats(["report", names[0]], tmp_path).text
    unknown = dagnats(["report", "nobody"], tmp_path)
    assert unknown.code == 2
    assert unknown.text.startswith("there is no run `nobody` in ")
    assert names[1] in unknown.text
    several = dagnats(["report", ""], tmp_path)
    assert several.code == 2


def test_a_run_that_goes_on_has_no_report_yet(tmp_path):
    write_pipeline(tmp_path, "name: p\nsteps: [{run: 'echo begun; sleep 60'}]\n")
    with Running(tmp_path) as running:
        running.wait_for("begun")
        early = dagnats(["report"], tmp_path)
        assert early.code == 2
        assert "is still going on" in early.text
        running.signal(2)
        assert running.end().code == 130
    assert "cancelled in" in dagnats(["report"], tmp_path).text


def test_a_report_of_a_killed_run_says_that_it_did_not_end(tmp_path):
    write_pipeline(tmp_path, "name: p\nsteps: [{run: 'echo begun; sleep 60'}]\n")
    with Running(tmp_path) as running:
        running.wait_for("begun")
        family = running.family()
        running.signal(9)
        assert family.alive_after(10) == []
    page = dagnats(["report"], tmp_path)
    assert page.code == 0
    assert page.text.startswith("## ❔ p: did not end; ")


def test_a_damaged_journal_is_reported_and_nothing_is_written(tmp_path):
    write_pipeline(tmp_path, "name: p\nsteps: [{run: 'true'}]\n")
    dagnats(["run", "pipeline.yaml"], tmp_path)
    (block,) = (tmp_path / ".dagnats").glob("runs/*/store/jetstream/$G/streams/HISTORY/msgs/1.blk")
    data = bytearray(block.read_bytes())
    data[len(data) // 2] ^= 0xFF
    block.write_bytes(data)
    result = dagnats(["report", "--summary", "page.md"], tmp_path)
    assert result.code == 5, result.text
    assert not (tmp_path / "page.md").exists()


def test_many_failures_with_much_output_stay_small(tmp_path):
    write_pipeline(
        tmp_path,
        "name: p\nparams: {n: {type: array, default: []}}\nsteps:\n"
        '  - {foreach: params.n, run: \'head -c 1000000 /dev/zero | tr "\\\\0" "<"; exit 3\'}\n',
    )
    items = json.dumps(list(range(60)))
    result = dagnats(
        ["run", "pipeline.yaml", "-p", f"n={items}", "--output", "none", *asked("live")], tmp_path, timeout_s=120
    )
    assert result.code == 1
    assert (tmp_path / "live.summary").stat().st_size <= 1000 << 10
    assert "and 40 more steps that failed" in (tmp_path / "live.summary").read_text()
    assert dagnats(["report", *asked("later")], tmp_path).code == 0
    assert (tmp_path / "live.summary").read_bytes() == (tmp_path / "later.summary").read_bytes()
    assert (tmp_path / "live.junit").read_bytes() == (tmp_path / "later.junit").read_bytes()


def on_github(workspace: Path) -> dict[str, str]:
    files = {"GITHUB_OUTPUT": str(workspace / "outputs"), "GITHUB_STEP_SUMMARY": str(workspace / "page.md")}
    return {"GITHUB_ACTIONS": "true", "CI": "true", "GITHUB_WORKSPACE": str(workspace.parent), **files}


def github_outputs(workspace: Path) -> dict[str, str]:
    """Read the file as the runner of GitHub does."""
    found, lines = {}, iter((workspace / "outputs").read_text().splitlines())
    for line in lines:
        name, _, end = line.partition("<<")
        value = []
        for inner in lines:
            if inner == end:
                break
            value.append(inner)
        found[name] = "\n".join(value)
    return found


def test_a_job_on_github_gets_outputs_a_summary_and_annotations(tmp_path):
    workspace = tmp_path / "with space"
    workspace.mkdir()
    write_pipeline(workspace, CI)
    (workspace / "page.md").write_text("of another step\n")
    result = dagnats(
        ["run", "pipeline.yaml", "--events", "e.jsonl"], workspace, {"TOKEN": SECRET, **on_github(workspace)}
    )
    assert result.code == 1
    outputs = github_outputs(workspace)
    assert outputs.pop("run-id")
    assert outputs == {
        "status": "failed",
        "exit-code": "1",
        "outputs": '{"version":"1.2.3"}',
        "failed-step": "test[py=3.12]",
        "events-file": str(workspace / "e.jsonl"),
        "version": "1.2.3",
    }
    assert (workspace / "page.md").read_text().startswith("of another step\n## ❌ ci: failed in ")
    assert result.text.startswith(f"::add-mask::{SECRET}\n")
    assert (
        "::error file=with space/pipeline.yaml,line=11,title=test[py=3.12] failed::exit code 1 (attempt 2)\n"
        in result.text
    )
    assert SECRET not in result.text.replace(f"::add-mask::{SECRET}\n", "", 1)


def test_flags_leave_out_what_is_not_wanted_on_github(tmp_path):
    write_pipeline(tmp_path, "name: p\nsteps: [{run: 'false'}]\n")
    flags = ["--no-github-annotations", "--no-github-summary"]
    result = dagnats(["run", "pipeline.yaml", *flags], tmp_path, on_github(tmp_path))
    assert result.code == 1
    assert "::error" not in result.text
    assert not (tmp_path / "page.md").exists()
    assert github_outputs(tmp_path)["status"] == "failed"


def test_a_run_that_is_refused_or_breaks_says_so_in_its_outputs(tmp_path):
    write_pipeline(tmp_path, "name: p\nsteps: [{rum: 'false'}]\n")
    assert dagnats(["run", "pipeline.yaml"], tmp_path, on_github(tmp_path)).code == 2
    assert github_outputs(tmp_path) == {"status": "invalid", "exit-code": "2", "outputs": "{}"}
    (tmp_path / "outputs").unlink()
    missing = dagnats(["run", "::error::no%0Afile\n::warning::x.yaml"], tmp_path, on_github(tmp_path))
    assert missing.code == 2
    commands = [line for line in missing.text.splitlines() if line.lstrip().startswith("::")]
    assert len(commands) == 1
    assert commands[0].startswith("::error file=%3A%3Aerror%3A%3Ano%250Afile%0A%3A%3Awarning%3A%3Ax.yaml,title=")


def test_outputs_that_are_too_large_for_github_are_named(tmp_path):
    write_pipeline(
        tmp_path,
        "name: p\nsteps:\n  - id: a\n    outputs: {big: {}, small: {}}\n    run: |\n"
        '      { printf "big="; head -c 900000 /dev/zero | tr "\\0" x; echo; echo small=1; } >> "$DAGNATS_OUTPUT"\n'
        'outputs: {big: "{{ steps.a.outputs.big }}", small: "{{ steps.a.outputs.small }}"}\n',
    )
    result = dagnats(["run", "pipeline.yaml"], tmp_path, on_github(tmp_path))
    assert result.code == 0
    assert "::warning title=dagnats::left out: big would make the outputs larger" in result.text
    assert github_outputs(tmp_path)["small"] == "1"


def test_a_summary_of_a_step_that_is_too_long_is_cut_and_what_is_no_file_is_left_alone(tmp_path):
    write_pipeline(
        tmp_path,
        "name: p\nsteps:\n"
        '  - run: seq 1000000 1020000 >> "$DAGNATS_SUMMARY"\n'
        '  - run: mkdir "$DAGNATS_SUMMARY"\n'
        '  - run: mkfifo "$DAGNATS_SUMMARY"\n'
        '  - run: ln -s /etc/passwd "$DAGNATS_SUMMARY"; rm "$DAGNATS_SUMMARY"\n',
    )
    result = dagnats(["run", "pipeline.yaml", "--summary", "page.md"], tmp_path)
    assert result.code == 0, result.text
    page = (tmp_path / "page.md").read_text()
    assert "_Of this summary the first 64 KiB are kept._" in page
    assert len(page) < 70_000


def test_files_are_seen_from_the_project(tmp_path):
    subprocess.run(["git", "init", "-q", tmp_path], check=True, env=environment())
    write_pipeline(
        tmp_path,
        "name: p\nparams: {files: {type: array}}\nsteps: [{command: [printf, '<%s>', '{{ params.files }}']}]\n",
    )
    (tmp_path / "sub").mkdir()
    result = dagnats(["run", "../pipeline.yaml", "--files", "a b.py", "/etc/x", "--", "-q"], tmp_path / "sub")
    assert "step-1 | <sub/a b.py></etc/x><sub/--><sub/-q>" in result.text


def test_one_report_that_can_not_be_written_costs_no_other_and_not_what_the_job_is_told(tmp_path):
    write_pipeline(tmp_path, "name: p\nsteps: [{run: rm -r gone}]\n")
    (tmp_path / "gone").mkdir()
    files = ["--junit", "gone/j.xml", "--summary", "s.md", "--html", "h.html"]
    result = dagnats(["run", "pipeline.yaml", *files], tmp_path, on_github(tmp_path))
    assert result.code == 3
    assert "the run succeeded, but --junit gone/j.xml: No such file or directory" in result.text
    assert (tmp_path / "s.md").read_text() == (tmp_path / "page.md").read_text()
    assert (tmp_path / "h.html").exists()
    outputs = github_outputs(tmp_path)
    assert (outputs["status"], outputs["exit-code"]) == ("succeeded", "3")
    assert outputs["run-id"]


def test_a_pipe_that_nobody_reads_holds_nobody_up(tmp_path):
    write_pipeline(tmp_path, "name: p\nsteps: [{run: 'true'}]\n")
    os.mkfifo(tmp_path / "pipe")
    result = dagnats(["run", "pipeline.yaml", "--summary", "pipe"], tmp_path)
    assert result.code == 3
    assert "--summary pipe: it is a pipe that nobody reads" in result.text
    files = {"GITHUB_OUTPUT": str(tmp_path / "pipe"), "GITHUB_STEP_SUMMARY": str(tmp_path / "pipe")}
    on_job = dagnats(["run", "pipeline.yaml"], tmp_path, {**on_github(tmp_path), **files})
    assert on_job.code == 0
    assert on_job.text.count("::warning title=dagnats::") == 2


def test_files_that_are_used_otherwise_are_no_reports(tmp_path):
    write_pipeline(tmp_path, "name: p\nsteps: [{run: 'true'}]\n")
    for flags, why in (
        (["--summary", "pipeline.yaml"], "--summary pipeline.yaml: it is the pipeline's own file"),
        (["--junit", "a", "--html", "./a"], "--html ./a: --junit writes it too"),
        (["--junit", "a", "--events", "a"], "--junit a: --events writes it too"),
        (["--junit", "-", "--output", "json"], "--output json writes to stdout"),
    ):
        result = dagnats(["run", "pipeline.yaml", *flags], tmp_path)
        assert result.code == 2, result.text
        assert why in result.text
        assert not (tmp_path / ".dagnats").exists()


def test_a_journal_that_has_lost_its_end_is_not_taken_for_one_of_a_run_that_did_not_end(tmp_path):
    write_pipeline(tmp_path, "name: p\nsteps: [{run: 'exit 3'}, {run: 'true'}]\n")
    dagnats(["run", "pipeline.yaml"], tmp_path)
    (block,) = (tmp_path / ".dagnats").glob("runs/*/store/jetstream/$G/streams/HISTORY/msgs/1.blk")
    data = block.read_bytes()
    block.write_bytes(data[: len(data) * 9 // 10])
    result = dagnats(["report"], tmp_path)
    assert result.code == 5, result.text
    assert "is damaged: it has" in result.text


def test_output_that_is_missing_from_the_store_is_damage(tmp_path):
    write_pipeline(tmp_path, "name: p\nsteps: [{run: 'seq 1 1000; exit 3'}]\n")
    dagnats(["run", "pipeline.yaml"], tmp_path)
    (block,) = (tmp_path / ".dagnats").glob("runs/*/store/jetstream/$G/streams/OUTPUT/msgs/1.blk")
    block.write_bytes(b"")
    result = dagnats(["report"], tmp_path)
    assert result.code in (3, 5), result.text
    assert not result.text.startswith("## ")


def test_what_steps_left_unfinished_in_the_files_of_the_job_is_ended(tmp_path):
    write_pipeline(
        tmp_path, "name: p\nsteps: [{run: 'printf mine=1 >> $GITHUB_OUTPUT; printf text >> $GITHUB_STEP_SUMMARY'}]\n"
    )
    assert dagnats(["run", "pipeline.yaml"], tmp_path, on_github(tmp_path)).code == 0
    assert (tmp_path / "outputs").read_text().startswith("mine=1\nstatus<<")
    assert (tmp_path / "page.md").read_text().startswith("text\n## ")


def test_the_summary_leaves_room_for_what_is_in_the_file_of_the_job(tmp_path):
    write_pipeline(
        tmp_path,
        "name: p\nsteps:\n  - run: head -c 1000000 /dev/zero | tr '\\0' x >> $GITHUB_STEP_SUMMARY\n"
        "  - {matrix: {n: [1, 2, 3, 4]}, run: head -c 60000 /dev/zero | tr '\\0' y > $DAGNATS_SUMMARY}\n",
    )
    assert dagnats(["run", "pipeline.yaml"], tmp_path, on_github(tmp_path)).code == 0
    assert 1_000_000 < (tmp_path / "page.md").stat().st_size <= 1 << 20
    assert "_Left out" in (tmp_path / "page.md").read_text()


def test_outputs_can_not_take_the_place_of_what_is_known_of_the_run(tmp_path):
    write_pipeline(
        tmp_path, "name: p\nsteps: [{run: 'true'}]\noutputs: {Status: forged, FAILED-STEP: forged, mine: '1'}\n"
    )
    assert dagnats(["run", "pipeline.yaml"], tmp_path, on_github(tmp_path)).code == 0
    found = github_outputs(tmp_path)
    assert found["status"] == "succeeded"
    assert "Status" not in found
    assert found["mine"] == "1"
    assert json.loads(found["outputs"])["Status"] == "forged"


def test_nothing_in_a_summary_steers_a_terminal(tmp_path):
    write_pipeline(
        tmp_path, "name: p\nsteps: [{run: 'printf \"\\033]52;c;aGk=\\007a\\033[2Jb\\0c\" > $DAGNATS_SUMMARY'}]\n"
    )
    assert dagnats(["run", "pipeline.yaml", "--summary", "s.md"], tmp_path).code == 0
    page = (tmp_path / "s.md").read_text()
    assert "\nabc\n" in page
    assert "\x1b" not in page


def test_failures_show_what_hung_until_the_run_had_taken_too_long(tmp_path):
    write_pipeline(tmp_path, "name: p\ntimeout: 1s\nsteps: [{id: hang, run: 'echo on my way; sleep 60'}]\n")
    result = dagnats(["run", "pipeline.yaml", "--output", "failures"], tmp_path)
    assert result.code == 124
    assert "── hang\non my way\n" in result.text


def test_a_project_that_can_not_be_written_has_no_traceback(tmp_path):
    write_pipeline(tmp_path, "name: p\nsteps: [{run: 'true'}]\n")
    dagnats(["run", "pipeline.yaml"], tmp_path)
    (lock,) = (tmp_path / ".dagnats").glob("runs/*/lock")
    (lock.parent / "nats.conf").unlink()
    (lock.parent / "nats.conf").mkdir()
    result = dagnats(["report"], tmp_path)
    assert result.code == 3
    assert re.fullmatch(r"run \S+ can not be read: Is a directory: \S+\n", result.text)
