"""Where secrets come from: each source, what is missing is named once with its place, and no text shows a value."""

import json
import os
import signal
from pathlib import Path

import pytest

from dagnats import sources
from dagnats.core.pipeline import Pipeline, Step
from dagnats.errors import UsageError
from dagnats.pipes import Captured
from dagnats.process import Exit
from dagnats.sources import COMMAND_TIMEOUT_S, VALUE_MAX_BYTES, MissingError, collect, read_secrets_file

VALUE = "a-value-nobody-may-see"


def plan(**secrets: str) -> Pipeline:
    return Pipeline(name="p", file="p.yaml", steps=(Step(id="a", run="true"),), secrets=secrets)


def values(workspace: Path, secrets_file: Path | None = None, **secrets: str) -> dict[str, str]:
    return collect(plan(**secrets), workspace, str(secrets_file) if secrets_file else None)._of[""]


def refused(workspace: Path, *words: str, secrets_file: Path | None = None, **secrets: str) -> str:
    with pytest.raises(UsageError) as caught:
        values(workspace, secrets_file, **secrets)
    for word in words:
        assert word in str(caught.value)
    assert VALUE not in str(caught.value)
    return str(caught.value)


def private(path: Path, text: str) -> Path:
    path.touch(mode=0o600)
    path.write_text(text)
    return path


def test_a_variable_is_read_and_then_in_no_environment(tmp_path, monkeypatch):
    monkeypatch.setenv("SOURCES_TEST", f"  {VALUE}\n")
    assert values(tmp_path, A="env://SOURCES_TEST", B="env://SOURCES_TEST") == dict.fromkeys("AB", f"  {VALUE}\n")
    assert "SOURCES_TEST" not in os.environ


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("one line\n", "one line"),
        ("one line\r\n", "one line"),
        ("one line", "one line"),
        ("two\nlines\n", "two\nlines\n"),
        ("blank below\n\n", "blank below\n\n"),
    ],
)
def test_a_file_is_read_and_one_line_is_without_its_break(tmp_path, content, expected):
    (tmp_path / "key").write_bytes(content.encode())
    assert values(tmp_path, A="file://key", B=f"file://{tmp_path}/key") == {"A": expected, "B": expected}


def test_a_file_in_the_home_directory(tmp_path, monkeypatch):
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "key").write_text("x")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert values(tmp_path / "elsewhere", A="file://~/key") == {"A": "x"}


def test_a_command_runs_by_a_shell_in_the_project_with_the_whole_environment(tmp_path, monkeypatch):
    monkeypatch.setenv("SOURCES_TEST", VALUE)
    found = values(
        tmp_path, A="env://SOURCES_TEST", B='cmd://echo "$SOURCES_TEST in $PWD"', C="cmd://printf 'x\\ny\\n'"
    )
    assert found == {"A": VALUE, "B": f"{VALUE} in {tmp_path}", "C": "x\ny\n"}
    assert list(found) == ["A", "B", "C"]


def test_all_that_is_missing_is_named_at_once(tmp_path, monkeypatch):
    monkeypatch.setenv("SOURCES_TEST", VALUE)
    monkeypatch.setenv("SOURCES_BLANK", " ")
    (tmp_path / "bytes").write_bytes(b"\xff\xfe")
    (tmp_path / "large").write_text("x" * (VALUE_MAX_BYTES + 1))
    (tmp_path / "lines").write_text("".join(f"line {n}\n" for n in range(5000)))
    (tmp_path / "nul").write_bytes(b"a\0b")
    (tmp_path / "empty").write_text("\n")
    (tmp_path / "link").symlink_to("/etc/hostname")
    os.mkfifo(tmp_path / "pipe")
    text = refused(
        tmp_path,
        "11 secrets are missing; nothing was started",
        "`env://SOURCES_UNSET` is not set",
        "`env://SOURCES_BLANK` is empty",
        "`file://none` can not be read: No such file",
        "`file://bytes` is not UTF-8",
        "`file://large` is over 100 KiB",
        "`file://lines` has over 4,000 lines",
        "`file://nul` holds a NUL byte",
        "`file://empty` is empty",
        "`file://link` leads out of the project",
        "`file://pipe` is not a regular file",
        "`file://.` ",
        "--secrets-file",
        A="env://SOURCES_TEST",
        B="env://SOURCES_UNSET",
        C="env://SOURCES_BLANK",
        **{
            name.upper(): f"file://{name}"
            for name in ("none", "bytes", "large", "lines", "nul", "empty", "link", "pipe")
        },
        DIR="file://.",
        NOT_RUN="cmd://touch ran",
    )
    assert "NOT_RUN" not in text
    assert not (tmp_path / "ran").exists()
    assert os.environ["SOURCES_TEST"] == VALUE


def test_a_command_that_fails_is_quoted_without_secrets(tmp_path, monkeypatch):
    monkeypatch.setenv("SOURCES_TEST", VALUE)
    refused(
        tmp_path,
        "ended with exit code 4: no *** and \\x1b[1m***",
        "printed nothing",
        "killed by SIGTERM",
        A="env://SOURCES_TEST",
        B='cmd://echo first >&2; echo other-value; printf "no $SOURCES_TEST and \\033[1mother-value\\n" >&2; exit 4',
        C="cmd://true",
        D="cmd://kill $$",
    )


def test_how_a_command_ended_in_words():
    def why(**facts: object) -> str:
        done = Captured(**{"exit": Exit(code=0), "stdout": VALUE.encode(), "stderr": b""} | facts)
        with pytest.raises(MissingError) as caught:
            sources._of_command(done, str)
        return str(caught.value)

    assert why(timed_out=True, exit=Exit(signal=signal.SIGTERM)) == f"took longer than {COMMAND_TIMEOUT_S:g}s"
    assert why(exit=Exit(code=1), stderr=b"\n") == "ended with exit code 1"
    assert len(why(exit=Exit(code=1), stderr=b"x" * 5000)) < 300
    assert why(stdout=b"\xff") == "is not UTF-8 text; encode it, as by base64"
    with pytest.raises(KeyboardInterrupt):
        sources._of_command(KeyboardInterrupt(), str)


def test_the_secrets_file_comes_first_and_may_hold_more(tmp_path, monkeypatch):
    monkeypatch.setenv("SOURCES_TEST", "from the environment")
    file = private(tmp_path / "s.yaml", f"A: {VALUE}\nOTHER: unused\n")
    assert values(tmp_path, file, A="env://SOURCES_TEST", B="env://SOURCES_TEST") == {
        "A": VALUE,
        "B": "from the environment",
    }
    assert "SOURCES_TEST" not in os.environ
    file = private(tmp_path / "s.json", json.dumps({"A": VALUE}))
    assert values(tmp_path, file, A="cmd://touch ran") == {"A": VALUE}
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o666])
def test_a_secrets_file_that_others_may_use_is_refused(tmp_path, mode):
    file = private(tmp_path / "s.yaml", f"A: {VALUE}\n")
    file.chmod(mode)
    refused(tmp_path, f"(mode {mode:04o})", f"chmod 600 {file}", secrets_file=file, A="env://A")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (f"A: *{VALUE}\n", ("s.yaml:1:4", "maps names to texts")),
        (f"A: !{VALUE} x\n", ("s.yaml:1:4",)),
        (f"A: [{VALUE}\n", ("s.yaml:",)),
        (VALUE, ("s.yaml:1:1",)),
        ("A: 0123\n", ("`A` must be text: put it in quotes",)),
        ("A: {b: c}\n", ("`A` must be text",)),
        ('A: ""\n', ("`A` is empty",)),
        (f'A: "{VALUE}\\0"\n', ("s.yaml:1:4",)),
    ],
)
def test_a_secrets_file_that_can_not_be_used_is_refused_without_its_content(tmp_path, content, words):
    refused(tmp_path, *words, secrets_file=private(tmp_path / "s.yaml", content), A="env://A")


def test_a_secrets_file_that_is_not_there(tmp_path):
    with pytest.raises(UsageError, match="No such file"):
        read_secrets_file(str(tmp_path / "none"))
