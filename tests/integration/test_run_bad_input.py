"""Whatever is given to `dagnats run`, a person is told what is wrong with it, soon, and before anything is started."""

import os

import pytest
from running_dagnats import dagnats, write_pipeline

WITHIN_S = 5.0  # 2 s on an idle machine; several tests share this one

GOOD = """
name: good
params:
  count: {type: integer, default: 1, minimum: 1}
  token: {type: string, required: true}
steps:
  - run: echo "{{ params.token }} {{ params.count }}"
"""


def refused(args, cwd, *words, env=None):
    """Run what must be refused; the text names these words, and nothing was made."""
    before = sorted(cwd.iterdir())
    result = dagnats(["run", *args], cwd, env, timeout_s=WITHIN_S)
    assert result.code == 2, result.text
    assert "Traceback" not in result.text
    for word in words:
        assert word in result.text
    assert sorted(cwd.iterdir()) == before, "something was made"
    return result.text


def test_a_file_that_is_not_there(tmp_path):
    refused(["pipeline.yaml"], tmp_path, "pipeline.yaml")


def test_a_container_that_would_have_the_machine(tmp_path):
    write_pipeline(
        tmp_path, "name: x\nsteps:\n- container: {image: alpine:3, options: [--privileged], volumes: [/:/m]}\n"
    )
    refused(["pipeline.yaml"], tmp_path, "pipeline.yaml:3:", "`--privileged`", "`/` is the whole", "--allow-privileged")


def test_no_file_at_all(tmp_path):
    refused([], tmp_path, "dagnats.yaml or pipeline.yaml")


def test_a_directory(tmp_path):
    (tmp_path / "folder").mkdir()
    refused(["folder"], tmp_path, "folder", "directory")


def test_a_fifo_that_nobody_writes(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    refused(["pipe"], tmp_path, "pipe")


def merge_bomb() -> str:
    lines = ["a0: &a0 {" + ", ".join(f"k{number}: 1" for number in range(10)) + "}"]
    lines += [f"a{level}: &a{level} {{<<: [{', '.join([f'*a{level - 1}'] * 10)}]}}" for level in range(1, 10)]
    return "\n".join(lines)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        pytest.param(b"", [], id="empty"),
        pytest.param(b"# only a comment\n", [], id="comment"),
        pytest.param(b"name: big\nsteps:\n" + b"  - run: 'true'\n" * (50 << 16), ["MiB"], id="50 MB"),
        pytest.param("name: caf\u00e9\nsteps: [{run: 'true'}]\n".encode("latin-1"), ["UTF-8"], id="latin-1"),
        pytest.param(b"\x00\x01\x02", [], id="binary"),
        pytest.param(merge_bomb().encode(), [], id="merge bomb"),
        pytest.param(b"[" * 100_000, [], id="deep"),
        pytest.param(b"name: x\nsteps: [{run: 'true'}\n", [":"], id="unclosed"),
        pytest.param(b"name: x\nsteps: !!python/object:os.system [true]\n", ["2:"], id="tag"),
        pytest.param(b"- run: 'true'\n", [], id="list"),
        pytest.param(b"name: x\nsteps: []\n", ["steps"], id="no steps"),
        pytest.param(
            b"name: x\nsteps:\n  - {id: a, needs: [b], run: 'true'}\n  - {id: b, needs: [a], run: 'true'}\n",
            ["a \u2192 b \u2192 a"],
            id="cycle",
        ),
        pytest.param(b"name: x\nsteps:\n  - {id: a, needs: [a], run: 'true'}\n", ["a"], id="needs itself"),
    ],
)
def test_content_that_is_no_pipeline(tmp_path, content, words):
    (tmp_path / "pipeline.yaml").write_bytes(content)
    text = refused(["pipeline.yaml"], tmp_path, "pipeline.yaml", *words)
    assert len(text) < 10_000


@pytest.mark.parametrize(
    ("args", "words"),
    [
        pytest.param([], ["`token` is required"], id="missing"),
        pytest.param(["-p", "tokne=x"], ["`tokne`", "did you mean `token`"], id="unknown"),
        pytest.param(["-p", "token=x", "-p", "count=many"], ["`count`", "integer", "many"], id="mistyped"),
        pytest.param(["-p", "token=x", "-p", "count=0"], ["`count`", "minimum"], id="too small"),
        pytest.param(["-p", "token"], ["name=value"], id="no value"),
        pytest.param(["--params-file", "absent.yaml"], ["absent.yaml"], id="absent file"),
        pytest.param(["--params-file", "list.yaml"], ["list.yaml"], id="file with a list"),
        pytest.param(["--params-file", "broken.json"], ["broken.json"], id="broken file"),
        pytest.param(["--params-file", "empty.yaml"], ["the file is empty", "python: "], id="empty file"),
        pytest.param(["--params-file", "null.yaml"], ["`token`"], id="null"),
        pytest.param(["-p", "token=x", "-j", "0"], ["-j"], id="no jobs"),
        pytest.param(["-p", "token=x", "--output", "xml"], ["--output"], id="unknown output"),
        pytest.param(["-p", "token=x", "--no-such-option"], ["--no-such-option"], id="unknown option"),
    ],
)
def test_arguments_that_do_not_fit(tmp_path, args, words):
    write_pipeline(tmp_path, GOOD)
    (tmp_path / "list.yaml").write_text("[1, 2]\n")
    (tmp_path / "empty.yaml").write_text("# nothing\n")
    (tmp_path / "broken.json").write_text('{"token": ')
    (tmp_path / "null.yaml").write_text("token: null\n")
    refused(["pipeline.yaml", *args], tmp_path, *words)


def test_a_mistyped_variable_of_the_environment(tmp_path):
    write_pipeline(tmp_path, GOOD)
    env = {"DAGNATS_PARAM_COUNT": "many", "DAGNATS_PARAM_TOKEN": "x"}
    refused(["pipeline.yaml"], tmp_path, "`count`", "many", env=env)
