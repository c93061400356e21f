"""The examples with pieces dropped, swapped, doubled and retyped: `validate` answers with 0 or 2 and a report, whatever comes."""

import contextlib
import io
import re
import shutil
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dagnats.cli.main import cli, guarded

EXAMPLES = sorted((Path(__file__).parents[2] / "pipelines").glob("*.yaml"))
TOKEN = re.compile(r"\s+|\w+|[^\w\s]")
RETYPED = [
    "", "~", "true", "0", "-1", "1.5", "1e400", "text", "[]", "{}", "[a, {b: c}]", "'", '"', "|", ">", "&a", "*a", "!x", "- ", ": ", "#", "\t",
    "{{ x }}", "{{ params.python | raw }}", "{{", "}}", "{% if %}", "${{ x }}", "$X", "&&", "10m", "${", "\\", "\x00", "é", "\u2028", "../x", "-x",
]  # fmt: skip


def validated(directory: Path, text: str, *flags: str) -> tuple[int, str]:
    (directory / "pipeline.yaml").write_text(text, encoding="utf-8", newline="")
    out = io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(out), contextlib.chdir(directory):
        code = guarded(lambda: cli.main(["validate", *flags, "pipeline.yaml"], standalone_mode=False))
    return code, out.getvalue()


@pytest.fixture(scope="module")
def directory(tmp_path_factory):
    directory = tmp_path_factory.mktemp("mutated")
    for example in EXAMPLES:  # some run others
        shutil.copy(example, directory)
    return directory


def pieces(text: str, *, by_line: bool) -> list[str]:
    return text.splitlines(keepends=True) if by_line else TOKEN.findall(text)


@st.composite
def mutated(draw):
    """An example after one to four changes, each of a line or of a token."""
    text = draw(st.sampled_from(EXAMPLES)).read_text(encoding="utf-8")
    for _ in range(draw(st.integers(1, 4))):
        parts = pieces(text, by_line=draw(st.booleans()))
        if not parts:
            return text
        one, other = (draw(st.integers(0, len(parts) - 1)) for _ in range(2))
        match draw(st.sampled_from(["drop", "swap", "double", "retype", "indent"])):
            case "drop":
                del parts[one]
            case "swap":
                parts[one], parts[other] = parts[other], parts[one]
            case "double":
                parts.insert(other, parts[one])
            case "retype":
                parts[one] = draw(st.sampled_from(RETYPED)) + ("\n" if parts[one].endswith("\n") else "")
            case "indent":
                parts[one] = draw(st.sampled_from([" ", "  ", "\t"])) + parts[one]
        text = "".join(parts)
    return text


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.name)
def test_an_example_is_valid_as_it_is_also_when_strict(example, directory):
    code, said = validated(directory, example.read_text(encoding="utf-8"), "--strict")
    assert (code, said) == (0, "1 file checked, no problems\n")


@given(text=mutated(), flags=st.sampled_from([(), ("--strict",), ("--format", "json")]))
@settings(max_examples=400, deadline=None)
def test_a_mutated_example_is_valid_or_has_a_report(text, flags, directory):
    code, said = validated(directory, text, *flags)
    assert code in (0, 2)
    assert "Traceback" not in said
    if code == 2:
        assert "pipeline.yaml:" in said or '"file":"pipeline.yaml"' in said
        assert len(re.findall(r"^pipeline.yaml:", said, re.MULTILINE)) <= 50
