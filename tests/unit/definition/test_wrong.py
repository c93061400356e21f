"""Files that people get wrong, each with the whole report that they see."""

from pathlib import Path

import pytest

from dagnats import definition
from dagnats.definition import events
from dagnats.definition.files import decode
from dagnats.definition.problems import Problems
from dagnats.definition.source import parse

CORPUS = Path(__file__).parents[2] / "corpus" / "wrong"
FILES = sorted(CORPUS.glob("*.yaml"))


def test_the_corpus_is_complete():
    assert len(FILES) >= 150
    assert {file.stem for file in FILES} == {file.stem for file in CORPUS.glob("*.txt")}


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_the_report_of_a_wrong_file(file, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # a project of its own, in which nothing can be included
    with pytest.raises(definition.InvalidPipelineError) as caught:
        definition.load(file.name, file.read_bytes())
    error = caught.value
    assert f"{error}\n{definition.summary(error.total, 1)}\n" == file.with_suffix(".txt").read_text("utf-8")
    assert error.exit_code == 2


@pytest.mark.skipif(events.CParser is None, reason="needs ruamel.yaml.clib")
@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_both_parsers_say_the_same_about_a_wrong_file(file):
    text = decode(file.read_bytes(), Problems("f"))
    if text is None:
        return
    reports = []
    for pure in (False, True):
        problems = Problems("f")
        parse(text, problems, pure=pure)
        reports.append(problems.sorted())
    assert reports[0] == reports[1]
