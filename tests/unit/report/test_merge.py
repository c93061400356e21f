"""The order of events and output is found again, however the two streams arrive; and what is stored twice is shown once."""

import random

import pytest

from dagnats.bus.output import Chunk
from dagnats.core.events import StepStarted
from dagnats.report.merge import Commit, Merge, Once


def commit(*numbers: int, at_ns: int = 0) -> Commit:
    return Commit([StepStarted(seq=seq, at=1.0, step="a", attempt=1, worker="w") for seq in numbers], at_ns)


def chunk(name: str, after: int | None, at_ns: int = 0, *, offset: int = 0) -> Chunk:
    return Chunk("a.1", "out", offset, name.encode(), after, at_ns)


def named(item: Commit | Chunk) -> str:
    return f"#{item.events[-1].seq}" if isinstance(item, Commit) else item.data.decode()


def merged(commits, chunks, choose) -> list[str]:
    """Merge the streams as a reader does, who gets a message of either when he needs one; `choose` says which comes first."""
    merge, given = Merge(), []
    commits, chunks = list(commits), list(chunks)
    while True:
        while (item := merge.next()) is not None:
            given.append(named(item))
        wanted = [
            stream
            for stream, needed in ((commits, merge.needs_commits), (chunks, merge.needs_chunks))
            if stream and needed
        ]
        if wanted:
            merge.add(choose(wanted).pop(0))
            continue
        if merge.all_commits and merge.all_chunks:
            return given
        merge.all_commits, merge.all_chunks = not commits, not chunks


@pytest.mark.parametrize("seed", range(50))
def test_the_order_is_that_of_the_screen_whichever_stream_is_read_first(seed):
    chance = random.Random(seed)
    screen, commits, chunks, seq = [], [], [], 0
    for number in range(chance.randrange(60)):
        if chance.random() < 0.4:
            first, seq = seq + 1, seq + chance.randint(1, 3)
            commits.append(commit(*range(first, seq + 1)))
            screen.append(f"#{seq}")
        else:
            chunks.append(chunk(f"c{number}", seq))
            screen.append(f"c{number}")
    assert merged(commits, chunks, chance.choice) == screen


def test_a_commit_waits_until_it_is_certain_that_no_output_came_before_it():
    merge = Merge()
    merge.add(commit(1, 2))
    assert merge.next() is None
    assert merge.uncertain == 2
    merge.certain = 2
    assert named(merge.next()) == "#2"
    merge.add(commit(3))
    assert merge.next() is None
    merge.add(chunk("before", 2))
    assert named(merge.next()) == "before"
    assert merge.next() is None
    merge.add(chunk("after", 3))
    assert [named(merge.next()), named(merge.next())] == ["#3", "after"]


def test_output_that_names_no_event_comes_when_it_was_stored():
    commits = [commit(1, at_ns=10), commit(2, at_ns=30)]
    chunks = [chunk("a", None, 5), chunk("b", None, 20), chunk("c", None, 30), chunk("d", None, 40)]
    assert merged(commits, chunks, lambda wanted: wanted[0]) == ["a", "#1", "b", "#2", "c", "d"]


def test_output_after_an_event_that_was_lost_is_shown_all_the_same():
    assert merged([commit(1)], [chunk("a", 1), chunk("b", 7)], lambda wanted: wanted[0]) == ["#1", "a", "b"]


def test_a_chunk_that_is_stored_twice_counts_once():
    once = Once()
    chunks = [chunk("ab", 1), chunk("ab", 1), chunk("cd", 1, offset=2), chunk("ab", 1), chunk("cd", 1, offset=2)]
    assert [once.is_new(one) for one in chunks] == [True, False, True, False, False]


def test_a_chunk_that_comes_late_counts_and_one_that_never_comes_leaves_a_gap():
    once = Once()
    chunks = [
        chunk("gh", 1, offset=6),
        chunk("cd", 1, offset=2),
        chunk("cd", 1, offset=2),
        chunk("ab", 1),
        chunk("gh", 1, offset=6),
        chunk("ij", 1, offset=8),
    ]
    assert [once.is_new(one) for one in chunks] == [True, True, False, True, False, True]
