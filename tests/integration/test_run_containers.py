"""Whole runs whose steps are in containers, on each runtime."""

import signal
import time

import pytest
from running_containers import NAMES, Engine, engine
from running_dagnats import EVENTS, Running, check_journal, dagnats, run_directory, write_pipeline

from dagnats.workers.finding import VARIABLE


@pytest.fixture(params=NAMES)
def used(request) -> Engine:
    return engine(request.param)


def variables(used: Engine, **more: str) -> dict[str, str]:
    needed = ("DOCKER_HOST", "CONTAINERS_CONF")
    return {name: used.env[name] for name in needed if name in used.env} | {VARIABLE: used.name, **more}


def ran(used: Engine, tmp_path, text: str, *args: str, **env: str):
    write_pipeline(tmp_path, text.replace("IMAGE", used.image))
    return dagnats(["run", "pipeline.yaml", "--events", EVENTS, *args], tmp_path, variables(used, **env))


def nothing_left(used: Engine, run: str, within_s: float = 0.0) -> None:
    until = time.monotonic() + within_s
    while (left := used.left(run)) != {"containers": [], "processes": []}:
        assert time.monotonic() < until, left


WHOLE = """
name: whole
secrets: {TOKEN: env://THE_TOKEN}
dotenv: [.env]
env: {COMMON: of the pipeline}
defaults: {container: {image: IMAGE, network: none, env: {OF_BOX: of the container}}}
steps:
  - id: first
    run: |
      echo "$COMMON, $OF_BOX, $OF_FILE, ${OF_RUNNER-nothing of the runner}"
      echo "n={{ run.attempt }}" >> "$DAGNATS_OUTPUT"
      echo "# Made" > "$DAGNATS_SUMMARY"
      pwd > here
  - id: again
    env: {TOKEN: "{{ secrets.TOKEN }}"}
    retry: 1
    command: [sh, -c, 'echo "attempt $DAGNATS_ATTEMPT with $TOKEN and $1"; test "$DAGNATS_ATTEMPT" = 2', "-", "{{ steps.first.outputs.n }}"]
  - id: each
    matrix: {x: [1, 2]}
    run: echo "{{ matrix.x }} knows {{ secrets.TOKEN }}"
  - id: outside
    container: false
    run: cat here
  - id: fails
    allow_failure: {exit_codes: [7]}
    run: exit 7
finally:
  - id: last
    run: echo "the run {{ run.outcome }}"
"""


def test_a_run_in_containers(used, tmp_path):
    (tmp_path / ".env").write_text("OF_FILE=of a file\n")
    result = ran(used, tmp_path, WHOLE, "--summary", "sum.md", THE_TOKEN="hunter2-hunter2", OF_RUNNER="x")
    assert result.code == 0, result.text
    for line in (
        "| of the pipeline, of the container, of a file, nothing of the runner\n", "| attempt 2 with *** and 1\n", "| 1 knows ***\n", "| 2 knows ***\n",
        f"| {tmp_path}\n", "exit code 7 (allowed)", "| the run succeeded\n", f"the image {used.image} has no bash: the script was run by its sh",
    ):  # fmt: skip
        assert line in result.text
    assert "hunter2" not in result.text
    state = check_journal(tmp_path)
    assert state.steps["first"].outputs == {"n": "1"}
    assert "# Made" in (tmp_path / "sum.md").read_text()
    nothing_left(used, run_directory(tmp_path).name)


def test_a_run_that_is_cancelled_ends_its_containers_and_finally_has_its_own(used, tmp_path):
    text = """
name: long
defaults: {container: {image: IMAGE, network: none}}
steps:
  - {id: a, needs: [], run: "trap 'echo bye; exit 3' INT; echo ready a; sleep 600 & wait"}
  - {id: b, needs: [], run: "echo ready b; sleep 600; true"}
finally:
  - {id: c, run: echo tidied up}
"""
    write_pipeline(tmp_path, text.replace("IMAGE", used.image))
    with Running(tmp_path, env=variables(used)) as running:
        running.wait_for("| ready", 2)
        running.signal(signal.SIGINT)
        result = running.end()
    assert result.code == 130
    assert "| bye" in result.text
    assert "| tidied up" in result.text
    nothing_left(used, run_directory(tmp_path).name)


def test_files_of_a_step_in_a_container_are_kept(used, tmp_path):
    text = """
name: kept
steps:
  - id: a
    container: {image: IMAGE, network: none}
    run: mkdir -p out/sub; echo inside > out/sub/f; ln -s sub/f out/l; ln -s /etc/passwd out/p
    artifacts: out
"""
    result = ran(used, tmp_path, text)
    assert result.code == 0, result.text
    assert "out/p is left out: a link that leads out of the project" in result.text
    assert check_journal(tmp_path).steps["a"].artifacts["a"].files == 2
    assert dagnats(["artifacts", "-o", "back"], tmp_path).code == 0
    assert (tmp_path / "back/out/l").read_text() == "inside\n"
    assert not (tmp_path / "back/out/p").exists()


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_nothing_is_left_however_the_runner_ends(used, tmp_path, number):
    text = "name: long\nsteps:\n  - {id: a, container: {image: IMAGE, network: none}, run: echo ready; sleep 600}\n"
    write_pipeline(tmp_path, text.replace("IMAGE", used.image))
    with Running(tmp_path, env=variables(used)) as running:
        running.wait_for("| ready")
        running.signal(number)
        running.end()
    nothing_left(used, run_directory(tmp_path).name, within_s=20)


def test_timeouts_are_those_of_steps(used, tmp_path):
    text = """
name: late
defaults: {container: {image: IMAGE, network: none}, allow_failure: true}
steps:
  - {id: slow, needs: [], timeout: 1s, run: sleep 600}
  - {id: silent, needs: [], idle_timeout: 1s, command: [sleep, "600"]}
"""
    result = ran(used, tmp_path, text)
    assert result.code == 0, result.text
    assert "ran longer than its timeout of 1s" in result.text
    assert "printed nothing for its idle_timeout of 1s" in result.text
    nothing_left(used, run_directory(tmp_path).name)


def test_without_a_runtime_nothing_is_started(tmp_path):
    write_pipeline(tmp_path, "name: none\nsteps:\n  - run: touch ran\n  - {image: 'busybox:1', run: 'true'}\n")
    for env, words in (
        ({VARIABLE: "podman", "PATH": "/no/such"}, "podman: there is none on PATH"),
        ({VARIABLE: "", "PATH": "/no/such"}, "looked for docker and podman"),
    ):
        result = dagnats(["run", "--output", "prefixed"], tmp_path, env)
        assert result.code == 2
        assert words in result.text
        assert result.text.startswith("pipeline.yaml: ")
        assert "nothing was started" in result.text
        assert [entry.name for entry in tmp_path.iterdir()] == ["pipeline.yaml"]
