"""Whole runs whose steps leave files: what is kept of them, when, and what comes back."""

import asyncio
import signal
import sys

import pytest
from running_dagnats import EVENTS, Running, check_journal, dagnats, read_events, run_directory, write_pipeline

from dagnats import stored
from dagnats.bus import blobs
from dagnats.bus.link import Link
from dagnats.bus.tasks import Task
from dagnats.core.events import Artifact, Reason, StepFailed, StepSucceeded
from dagnats.core.state import RunState
from dagnats.workers.action import Stop
from dagnats.workers.keeping import Keeper


def ran(tmp_path, text: str, *args: str, code: int = 0, **env: str) -> tuple[RunState, str]:
    write_pipeline(tmp_path, text)
    result = dagnats(["run", "pipeline.yaml", "--events", EVENTS, *args], tmp_path, env)
    assert result.code == code, result.text
    assert "Traceback" not in result.text
    return check_journal(tmp_path), result.text


def brought_back(tmp_path, artifacts: dict[str, Artifact], where) -> None:
    """Bring artifacts of the run back to another place, as a worker does."""
    where.mkdir()

    async def use(link: Link, _: bool) -> None:
        restores = [
            {"step": "s", "name": name, "object": one.object, "bytes": one.bytes, "files": one.files}
            for name, one in artifacts.items()
        ]
        task = Task(run="r", step="x", attempt=1, cwd=str(where), restores=restores)
        keeper = Keeper(link, None)
        ended = await keeper.restore(task, Stop())
        assert ended is None, ended.failure
        for path in where.rglob("*"):
            if path.is_file():
                path.write_text("changed by a step")
        assert await keeper.restore(task, Stop()) is None
        assert all(path.read_text() == "changed by a step" for path in where.rglob("*") if path.is_file())
        assert await Keeper(link, None).restore(task, Stop()) is None

    stored.use(run_directory(tmp_path), use)


WHEN = """
name: when
params: {ends: "0"}
defaults: {allow_failure: true}
steps:
  - {id: on_success, needs: [], run: "echo 1 > a; exit {{ params.ends }}", artifacts: a}
  - {id: on_failure, needs: [], run: "echo 1 > b; exit {{ params.ends }}", artifacts: {paths: b, when: on_failure}}
  - {id: always, needs: [], run: "echo 1 > c; exit {{ params.ends }}", artifacts: {paths: [c], when: always}}
"""


@pytest.mark.parametrize(("ends", "kept"), [("0", ["on_success", "always"]), ("1", ["on_failure", "always"])])
def test_when_files_are_kept(tmp_path, ends, kept):
    state, text = ran(tmp_path, WHEN, "-p", f"ends={ends}")
    assert [id_ for id_, step in state.steps.items() if step.artifacts] == kept
    assert text.count("  artifacts ") == 2
    assert "  artifacts always: 1 file, 2 B" in text


def test_what_is_kept_comes_back_once(tmp_path):
    text = """
name: whole
params: {which: "1"}
steps:
  - id: build
    matrix: {os: [linux, mac]}
    run: |
      mkdir -p "dist/{{ matrix.os }}"
      for n in 1 2 3; do echo "$n of {{ matrix.os }}" > "dist/{{ matrix.os }}/$n"; done
      head -c 3000000 /dev/urandom > "dist/{{ matrix.os }}/large"
    artifacts: {paths: ["dist/{{ matrix.os }}"], name: "dist {{ matrix.os }} {{ params.which }}"}
"""
    state, _ = ran(tmp_path, text)
    artifacts = {**state.steps["build[os=linux]"].artifacts, **state.steps["build[os=mac]"].artifacts}
    assert {name: one.files for name, one in artifacts.items()} == {"dist linux 1": 4, "dist mac 1": 4}
    brought_back(tmp_path, artifacts, tmp_path / "there")
    for os_ in ("linux", "mac"):
        assert (tmp_path / f"there/dist/{os_}/2").read_text() == f"2 of {os_}\n"
        assert (tmp_path / f"there/dist/{os_}/large").read_bytes() == (tmp_path / f"dist/{os_}/large").read_bytes()


def test_the_same_files_are_stored_once(tmp_path):
    text = "name: same\nsteps:\n  - {id: a, run: touch -d @5 f, artifacts: f}\n  - {id: b, run: 'true', artifacts: f}\n"
    state, _ = ran(tmp_path, text)
    objects = {state.steps[id_].artifacts[id_].object for id_ in ("a", "b")}
    assert len(objects) == 1

    async def use(link: Link, _: bool) -> int:
        found = await link.call("$JS.API.STREAM.INFO.OBJ_objects")
        assert await blobs.size(link, objects.pop()) > 0
        return int(found["state"]["messages"])

    assert stored.use(run_directory(tmp_path), use) == 2  # what it holds, and its name


def test_nothing_that_matches_is_said_and_is_no_failure(tmp_path):
    text = "name: none\nsteps:\n  - {id: a, run: mkdir -p empty, artifacts: [no/*.xml, empty]}\n"
    state, said = ran(tmp_path, text)
    assert state.steps["a"].artifacts == {}
    assert "dagnats: artifacts: nothing matches no/*.xml" in said


def test_a_pattern_that_a_value_has_made_wrong(tmp_path):
    text = 'name: x\nparams: {p: ../x}\nsteps:\n  - {id: a, run: "true", artifacts: ["{{ params.p }}"]}\n'
    state, _ = ran(tmp_path, text, code=1)
    assert state.steps["a"].failure.reason is Reason.TEMPLATE
    assert state.steps["a"].failure.message.startswith("artifacts.paths may not lead out of the project")


def test_a_file_that_is_too_large_fails_the_step(tmp_path):
    text = "name: x\nsteps:\n  - {id: a, run: truncate -s 2G f, artifacts: f}\n"
    state, _ = ran(tmp_path, text, code=1)
    failure = state.steps["a"].failure
    assert (failure.reason, failure.exit_code) == (Reason.ARTIFACTS, 0)
    assert failure.message == (
        "the artifacts `a` could not be kept: they have more than 1,024 MiB, which is the most that is kept of a step"
    )


def test_a_failure_of_the_step_counts_more(tmp_path):
    text = "name: x\nsteps:\n  - {id: a, run: 'truncate -s 2G f; exit 3', artifacts: {paths: f, when: always}}\n"
    state, said = ran(tmp_path, text, code=1)
    assert state.steps["a"].failure.message == "exit code 3"
    assert "the artifacts `a` could not be kept" in said


def test_each_attempt_keeps_its_own(tmp_path):
    text = """
name: x
steps:
  - id: a
    retry: 1
    run: echo "$DAGNATS_ATTEMPT" > f; test "$DAGNATS_ATTEMPT" = 2
    artifacts: {paths: f, when: always}
"""
    ran(tmp_path, text)
    kept = [
        event.artifacts for event in read_events(tmp_path / EVENTS) if isinstance(event, StepFailed | StepSucceeded)
    ]
    assert len({one["a"].object for one in kept}) == 2


def test_a_secret_in_the_name_of_a_file_is_not_shown(tmp_path):
    text = """
name: x
secrets: {KEY: env://THE_KEY}
steps:
  - {id: a, env: {KEY: "{{ secrets.KEY }}"}, run: 'ln -s /etc/passwd "x-$KEY"; echo "$KEY" > f', artifacts: ["x-*", f]}
"""
    state, said = ran(tmp_path, text, THE_KEY="hunter2-hunter2")
    assert "x-*** is left out" in said
    assert "hunter2" not in said
    assert state.steps["a"].artifacts["a"].files == 1


def test_a_cancelled_step_keeps_nothing(tmp_path):
    write_pipeline(
        tmp_path,
        "name: x\nsteps:\n  - {id: a, run: 'echo 1 > f; echo up; sleep 60', artifacts: {paths: f, when: always}}\n",
    )
    with Running(tmp_path) as running:
        running.wait_for("up")
        running.signal(signal.SIGINT)
        assert running.end().code == 130
    state = check_journal(tmp_path)
    assert (str(state.steps["a"].status), state.steps["a"].artifacts) == ("cancelled", {})


def test_an_object_that_is_gone_fails_who_needs_it(tmp_path):
    ran(tmp_path, "name: x\nsteps: [{id: a, run: echo 1 > f, artifacts: f}]\n")

    async def use(link: Link, _: bool) -> str:
        one = {"step": "a", "name": "a", "object": "0" * 64, "bytes": 1, "files": 1}
        task = Task(run="r", step="x", attempt=1, cwd=str(tmp_path), restores=[one])
        ended = await Keeper(link, None).restore(task, Stop())
        return ended.failure.message

    said = stored.use(run_directory(tmp_path), use)
    assert said.startswith("the artifacts `a` of a could not be brought back: object 000000000000 is missing")


def test_many_files(tmp_path):
    script = "import pathlib\nfor n in range(5000):\n    pathlib.Path('out', str(n % 50)).mkdir(parents=True, exist_ok=True)\n    pathlib.Path('out', str(n % 50), str(n)).write_text(str(n))\n"
    (tmp_path / "make.py").write_text(script)
    state, _ = ran(
        tmp_path, f"name: x\nsteps: [{{id: a, command: [{sys.executable}, make.py], artifacts: 'out/**'}}]\n"
    )
    assert state.steps["a"].artifacts["a"].files == 5000
    brought_back(tmp_path, state.steps["a"].artifacts, tmp_path / "there")
    assert sum(path.is_file() for path in (tmp_path / "there").rglob("*")) == 5000


def test_copying_from_one_store_to_another(tmp_path):
    """What a run that reuses steps of another one does."""
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        ran(tmp_path / name, f"name: {name}\nsteps: [{{id: a, run: echo {name} > f, artifacts: f}}]\n")
    state = check_journal(tmp_path / "one")
    (artifact,) = state.steps["a"].artifacts.values()

    async def to_file(link: Link, _: bool) -> bytes:
        return b"".join([chunk async for chunk in blobs.get(link, artifact.object)])

    whole = stored.use(run_directory(tmp_path / "one"), to_file)
    with (tmp_path / "passing").open("w+b") as passing:
        passing.write(whole)
        stored.use(
            run_directory(tmp_path / "two"), lambda link, _: blobs.put(link, artifact.object, passing, lambda: None)
        )
    assert stored.use(run_directory(tmp_path / "two"), to_file) == whole
    assert asyncio is not None
