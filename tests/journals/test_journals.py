"""Journals that an earlier release wrote fold to what they meant then. They are never written again."""

import json
from pathlib import Path

import pytest
from msgspec.structs import replace

from dagnats.core.codec import commit_hash, decode_commit, encode_commit
from dagnats.core.decide import decide
from dagnats.core.events import AnyEvent, StepScheduled, StepSkipped
from dagnats.core.state import fold
from dagnats.dispatch import Dispatch
from dagnats.errors import JournalError

HERE = Path(__file__).parent
JOURNALS = sorted(HERE.glob("v*/*.jsonl"))


def commits(journal: Path) -> list[bytes]:
    return journal.read_bytes().splitlines()


def decoded(lines: list[bytes]) -> list[list[AnyEvent]]:
    """Read the chain of commits."""
    run, previous = json.loads(lines[0])["run"], ""
    read = []
    for place, line in enumerate(lines, start=1):
        read.append(decode_commit(line, run, previous, place))
        previous = commit_hash(line)
    return read


def flat(read: list[list[AnyEvent]]) -> list[AnyEvent]:
    return [event for events in read for event in events]


def test_the_journals_are_there():
    assert {path.name for path in JOURNALS} >= {"diamond.jsonl", "retry.jsonl", "finally.jsonl", "cancel.jsonl"}


@pytest.mark.parametrize("journal", JOURNALS, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_journal_means_what_it_meant(journal: Path):
    expected = json.loads(journal.with_suffix(".expected.json").read_text(encoding="utf-8"))
    state = fold(flat(decoded(commits(journal))))
    assert state.finished is not None
    steps = {
        id_: {"status": step.status, "attempt": step.attempt, "outputs": step.outputs, "exit_code": step.exit_code}
        for id_, step in state.steps.items()
    }
    found = {"outcome": state.outcome, "outputs": state.finished.outputs, "events": state.seq, "steps": steps}
    assert found == expected
    assert state.finished.outcome == state.outcome


@pytest.mark.parametrize("journal", JOURNALS, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_every_beginning_of_a_journal_leaves_nothing_undecided(journal: Path):
    """A commit holds all that followed from its cause, so whoever reads it back decides nothing anew; but its queue may be longer."""
    read = decoded(commits(journal))
    for count in range(1, len(read) + 1):
        assert isinstance(decide(fold(flat(read[:count])), Dispatch({}, {})), StepScheduled | None)


@pytest.mark.parametrize("journal", JOURNALS, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_decisions_of_a_journal_would_be_taken_again(journal: Path):
    read = decoded(commits(journal))
    for place, (cause, *decisions) in enumerate(read):
        state = fold([*flat(read[:place]), cause])
        for decision in decisions:
            again = decide(state, Dispatch({}, {}))
            if isinstance(again, StepSkipped) and decision == replace(again, values={}):
                again = decision  # the first journals do not say what a condition has seen
            assert again == decision
            state.apply(again)


@pytest.mark.parametrize("journal", sorted(HERE.glob("v1/*.jsonl")), ids=lambda path: path.stem)
def test_version_1_is_still_written_alike(journal: Path):
    lines = commits(journal)
    run, previous = json.loads(lines[0])["run"], ""
    for line, events in zip(lines, decoded(lines), strict=True):
        assert encode_commit(run, previous, events) == line
        previous = commit_hash(line)


@pytest.mark.parametrize("journal", JOURNALS, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_journal_without_one_of_its_commits_is_damaged(journal: Path):
    lines = commits(journal)
    for lost in range(len(lines) - 1):
        with pytest.raises(JournalError, match="does not follow on the commit before it"):
            decoded(lines[:lost] + lines[lost + 1 :])
