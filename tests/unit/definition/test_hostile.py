"""Whatever the file, the answer comes within bounds: no traceback, 2 seconds, 300 MB, and nothing waits for ever."""

import json
import os
import resource
import subprocess
import sys

import pytest
from hostile_files import FINE, STRICT, WRONG

from dagnats.definition import InvalidPipelineError, load, read

STEP = "steps: [{run: x}]\n"
HOSTILE = {
    "merge bomb": "name: x\nx-0: &a0 {k0: 1}\n" + "".join(f"x-{i}: &a{i}\n  <<: [*a{i - 1}, *a{i - 1}]\n  k{i}: 1\n" for i in range(1, 400)) + STEP,
    "alias bomb": "name: x\nx-0: &a0 [1]\n" + "".join(f"x-{i}: &a{i} [*a{i - 1}, *a{i - 1}]\n" for i in range(1, 60)) + STEP,
    "deep flow": "[" * 100_000,
    "deep flow mappings": "{a: " * 100_000,
    "deep block": "- " * 100_000,
    "deep keys": "? " * 100_000,
    "deep indentation": "\n".join(" " * depth + "a:" for depth in range(1000)),
    "cycle of 1,000": "name: x\nsteps:\n" + "".join(f"- {{id: s{i}, needs: [s{(i + 1) % 1000}], run: x}}\n" for i in range(1000)),
    "5,000 cycles": "name: x\nsteps:\n" + "".join(f"- {{id: s{i}, needs: [s{i ^ 1}], run: x}}\n" for i in range(10_000)),
    "large template": "name: x\nsteps:\n- run: \"{% if false %}{{ '" + "a" * 900_000 + "' }}{% endif %}\"\n",
    "NUL": "name: x\0\n" + STEP,
    "recursive anchor": "name: x\nx-a: &a [*a]\n" + STEP,
    "undefined merge": "name: x\nx-a:\n  <<: *undefined\n" + STEP,
    "lone end": "...\n",
    "infinity": "name: x\nx-a: [.inf, -.inf, .nan, 1e400]\n" + STEP,
    "10,000 digits": "name: x\nmax_parallel: " + "9" * 10_000 + "\n" + STEP,
    "10,000 digits of a float": "name: x\nx-a: " + "9" * 10_000 + ".5\n" + STEP,
    "500,000 values": "name: x\nx-a: [" + "1," * 510_000 + "]\n",
    "100,000 unknown keys": "name: x\n" + "".join(f"k{i}: \n" for i in range(90_000)),
    "10,000 wrong steps": "name: x\nsteps:\n" + "".join(f"- {{runn{i}: x}}\n" for i in range(10_000)),
    "300,000 aliases": "name: x\nx-a: &a 1\nx-b: [" + "*a," * 300_000 + "]\n",
    "long key": "k" * 1_000_000 + ": 1\n",
    "colons": "a: " + ":x" * 500_000,
    "open quote": 'name: "' + "x\n" * 400_000,
    "quotes": "a: " + '"' * 1_000_000,
    "blanks": " " * 1_000_000,
    "line ends": "\n" * 1_000_000,
    "dashes": "-\n" * 500_000,
    "50 MB": "a" * 50_000_000,
    **WRONG,
}  # fmt: skip
MEASURE = """
import gc, sys, time
gc.disable()  # as the program does
from dagnats.definition import InvalidPipelineError, load
def spent(work):
    start = time.process_time()
    work()
    return time.process_time() - start
# What takes longer than this on its own says that the machine is slow or busy, and not that we are.
slowness = max(1, min(spent(lambda: sum(i * i for i in range(500_000))) for _ in range(3)) / 0.04)
start = time.process_time()
try:
    load(sys.argv[1], strict="strict" in sys.argv)
    text = ""
except InvalidPipelineError as error:
    text = str(error)
# ru_maxrss would count what our parent had before it became us
peak = next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmHWM"))
print((time.process_time() - start) / slowness, peak // 1024, len(text), text[:200])
"""


# Of CPU time, as the bound is about the program and not about what else a busy machine does.
LIMIT_S = 2
LIMIT_MB = 300


def measure(path, *options):
    done = subprocess.run(
        [sys.executable, "-c", MEASURE, path, *options], capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stderr[-2000:]
    seconds, megabytes, length, text = done.stdout.split(" ", 3)
    return float(seconds), int(megabytes), int(length), text


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_file_costs_little(name, tmp_path):
    file = tmp_path / "p.yaml"
    file.write_text(HOSTILE[name])
    seconds, megabytes, length, text = measure(str(file))
    assert seconds < LIMIT_S
    assert megabytes < LIMIT_MB
    assert 0 < length < 100_000
    assert text.startswith(str(file))


@pytest.mark.parametrize("name", FINE)
def test_a_large_file_without_problems_costs_little(name, tmp_path):
    file = tmp_path / "p.yaml"
    file.write_text(FINE[name])
    seconds, megabytes, _, text = measure(str(file))
    assert text.strip() == ""
    assert seconds < LIMIT_S
    assert megabytes < LIMIT_MB


@pytest.mark.parametrize("name", STRICT)
def test_what_is_only_warned_of_costs_little(name, tmp_path):
    file = tmp_path / "p.yaml"
    file.write_text(STRICT[name])
    seconds, megabytes, length, _ = measure(str(file), "strict")
    assert seconds < LIMIT_S
    assert megabytes < LIMIT_MB
    assert 0 < length < 100_000


def test_files_that_are_included_are_bounded_like_one(tmp_path):
    (tmp_path / "root.yaml").write_text("name: x\ninclude: [" + "".join(f"p{i}.yaml," for i in range(100)) + "]\n")
    steps = "x-a: &a {env: {" + "".join(f"A{i}: x," for i in range(900)) + "}, run: x}\nsteps: [" + "*a," * 100 + "]\n"
    for i in range(100):
        (tmp_path / f"p{i}.yaml").write_text(steps)
    seconds, megabytes, length, text = measure(str(tmp_path / "root.yaml"))
    assert seconds < LIMIT_S
    assert megabytes < LIMIT_MB
    assert 0 < length < 100_000
    assert "expand to more than 100,000 values" in text


def test_a_template_is_not_computed(tmp_path):
    file = tmp_path / "p.yaml"
    file.write_text("name: x\nsteps:\n- run: \"{% if false %}{{ 'a' * 10**9 }}{% endif %}\"\n")
    seconds, megabytes, length, _ = measure(str(file))
    assert length == 0  # it is refused where it is rendered, and here it never is
    assert seconds < LIMIT_S
    assert megabytes < LIMIT_MB


@pytest.mark.parametrize("needs", ["", "  needs: [s{above}]\n"])
def test_a_chain_of_10_000_steps_is_fine_and_fast(needs, tmp_path):
    file = tmp_path / "p.yaml"
    written = "".join(
        f"- id: s{i}\n  run: echo this is step {i}\n" + (needs.format(above=i - 1) if i else "") for i in range(10_000)
    )
    file.write_text(f"name: x\nsteps:\n{written}")
    seconds, megabytes, length, _ = measure(str(file))
    assert length == 0
    assert seconds < LIMIT_S
    assert megabytes < LIMIT_MB


def test_5_000_steps_that_use_the_first_are_checked_in_bounded_time(tmp_path):
    file = tmp_path / "p.yaml"
    file.write_text(
        "name: x\nsteps:\n"
        + "".join(f"- {{id: s{i}, run: 'echo \"{{{{ steps.s0.status }}}}\"'}}\n" for i in range(5000))
    )
    seconds, megabytes, _, text = measure(str(file))
    assert seconds < LIMIT_S
    assert megabytes < LIMIT_MB
    assert "uses its own results" in text


def refusal(path):
    with pytest.raises(InvalidPipelineError) as caught:
        read(str(path))
    return str(caught.value).removeprefix(f"{path}: ")


def test_what_is_no_file_is_refused_with_a_sentence(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "pipeline.yaml").touch()
    assert refusal(tmp_path / "pipe") == "this is a pipe, not a file; write `-` to read a pipeline from stdin"
    assert refusal(tmp_path) == "this is a directory, not a file; name the pipeline file in it"
    assert refusal("/dev/zero") == "this is not a regular file; write `-` to read a pipeline from stdin"
    near = tmp_path / "pipeline.yaml"
    assert refusal(tmp_path / "pipelin.yaml") == f"there is no such file; did you mean `{near}`?"
    assert (
        refusal(tmp_path / "no" / "p.yaml")
        == f"there is no such file; the directory `{tmp_path / 'no'}` can not be read either"
    )
    assert refusal(near / "below") == "the file can not be read: Not a directory"
    assert refusal("a\0b").startswith("a\\x00b: the file can not be read: ")
    assert read(str(near)) == b""


@pytest.fixture
def ordinary_user():
    """Root may read everything: be somebody else for a while."""
    before = os.geteuid()
    if before == 0:
        os.seteuid(65534)
    yield
    os.seteuid(before)


def test_a_file_that_may_not_be_read(tmp_path, request):
    file = tmp_path / "p.yaml"
    file.touch(mode=0)
    request.getfixturevalue("ordinary_user")
    assert refusal(file) == "the file may not be read; check its permissions"


def test_size_counts_for_text_that_was_read_elsewhere_too():
    with pytest.raises(InvalidPipelineError, match="larger than 1 MiB"):
        load("<stdin>", b"#" * (1 << 20) + b"\n")
    with pytest.raises(InvalidPipelineError, match="the file is empty"):
        load("<stdin>", b"#" * (1 << 20))


def test_a_large_file_is_not_read_at_all(tmp_path):
    file = tmp_path / "huge.yaml"
    with file.open("wb") as handle:
        handle.truncate(1 << 40)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert refusal(file).startswith("the file is larger than 1 MiB")
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 50_000


def test_problems_as_data_hold_what_the_text_does():
    from dagnats.definition import to_json

    with pytest.raises(InvalidPipelineError) as caught:
        load("p.yaml", b"name: x\nstep: []\n")
    assert json.loads(json.dumps(to_json(caught.value.problems))) == [
        {
            "file": "p.yaml",
            "line": 2,
            "column": 1,
            "length": 4,
            "message": "unknown key `step`",
            "hint": "did you mean `steps`?",
            "severity": "error",
        }
    ]
