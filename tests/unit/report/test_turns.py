"""One attempt streams, the others wait for their turn, and nothing is lost."""

from hypothesis import given, settings
from hypothesis import strategies as st

from dagnats.report.spool import Spool
from dagnats.report.turns import SILENT_S, Turns

A, B, C = ("a", 1), ("b", 1), ("c", 1)


class Paper:
    """Writes down what it is told to paint, and that blocks never overlap."""

    def __init__(self):
        self.seen = []
        self.open = None

    def begin(self, owner, *, goes_on):
        assert self.open is None
        self.open = owner
        self.seen.append(f"[{'…' if goes_on else ''}{owner[0]}{owner[1]}")

    def lines(self, lines):
        assert self.open is not None
        self.seen.append(lines.decode().rstrip("\n"))

    def end(self):
        assert self.open is not None
        self.open = None
        self.seen.append("]")

    def say(self, line):
        self.seen.append(f"*{line}")


class Clock:
    """Says the time that it is told."""

    now = 0.0

    def __call__(self):
        return self.now


def on_paper(*, streams=True, memory=1 << 20, clock=None):
    paper = Paper()
    return paper, Turns(paper, Spool(memory), streams=streams, clock=clock or Clock())


def test_who_prints_first_streams_and_others_follow_in_the_order_of_their_ends():
    paper, turns = on_paper()
    turns.output(A, b"a1\n")
    turns.output(B, b"b1\n")
    turns.output(C, b"c1\n")
    turns.over(C, ["c ended"])
    turns.output(A, b"a2\n")
    turns.over(A, ["a ended"])
    turns.output(B, b"b2\n")
    turns.over(B, ["b ended"])
    seen = ["[a1", "a1", "a2", "]", "*a ended", "[c1", "c1", "]", "*c ended", "[b1", "b1", "b2", "]", "*b ended"]
    assert paper.seen == seen


def test_a_silent_one_is_one_line_and_keeps_nobody_waiting():
    paper, turns = on_paper()
    turns.over(A, ["a ended"])
    turns.output(B, b"b1\n")
    turns.over(C, ["c ended"])
    assert paper.seen == ["*a ended", "[b1", "b1"]
    turns.over(B, ["b ended"])
    assert paper.seen[3:] == ["]", "*b ended", "*c ended"]


def test_without_streams_each_is_shown_when_it_has_ended():
    paper, turns = on_paper(streams=False)
    turns.output(A, b"a1\n")
    turns.output(B, b"b1\n")
    assert paper.seen == []
    turns.over(B)
    turns.output(A, b"a2\n")
    turns.over(A)
    assert paper.seen == ["[b1", "b1", "]", "[a1", "a1", "a2", "]"]


def test_who_is_silent_for_long_steps_back_for_what_has_ended_and_goes_on():
    clock = Clock()
    paper, turns = on_paper(clock=clock)
    turns.output(A, b"a1\n")
    turns.output(B, b"b1\n")
    clock.now = SILENT_S - 1
    turns.over(B, ["b ended"])
    turns.tick()
    assert paper.seen == ["[a1", "a1"]
    clock.now = SILENT_S
    turns.tick()
    assert paper.seen == ["[a1", "a1", "]", "[b1", "b1", "]", "*b ended"]
    turns.output(A, b"a2\n")
    turns.over(A, ["a ended"])
    assert paper.seen[7:] == ["[…a1", "a2", "]", "*a ended"]


def test_who_is_silent_keeps_the_focus_while_nobody_waits():
    clock = Clock()
    paper, turns = on_paper(clock=clock)
    turns.output(A, b"a1\n")
    clock.now = 100.0
    turns.tick()
    turns.output(A, b"a2\n")
    assert paper.seen == ["[a1", "a1", "a2"]


def test_what_is_not_worth_showing_is_dropped():
    paper, turns = on_paper(streams=False)
    turns.output(A, b"a1\n")
    turns.over(A, is_shown=False)
    turns.close()
    assert paper.seen == []


def test_the_end_shows_what_never_ended():
    paper, turns = on_paper()
    turns.output(A, b"a1\n")
    turns.output(B, b"b1\n")
    turns.close()
    assert paper.seen == ["[a1", "a1", "]", "[b1", "b1", "]"]


def test_what_does_not_fit_into_memory_waits_in_a_file():
    paper, turns = on_paper(memory=10)
    turns.output(A, b"a\n")
    for number in range(50):
        turns.output(B, b"%d\n" % number)
        turns.output(C, b"c%d\n" % number)
    turns.over(C)
    turns.over(A)
    turns.over(B)
    numbers = [str(number) for number in range(50)]
    assert paper.seen == ["[a1", "a", "]", "[c1", *(f"c{n}" for n in numbers), "]", "[b1", *numbers, "]"]


@settings(deadline=None)
@given(st.lists(st.tuples(st.sampled_from([A, B, C, ("a", 2)]), st.booleans()), max_size=40), st.booleans())
def test_every_line_is_shown_once_and_in_the_order_of_its_step(acts, streams):
    paper, turns = on_paper(streams=streams, memory=20)
    given, over = {}, set()
    for number, (owner, ends) in enumerate(acts):
        if owner in over:
            continue
        if ends:
            over.add(owner)
            turns.over(owner, [f"{owner}"])
        else:
            given.setdefault(owner, []).append(str(number))
            turns.output(owner, b"%d\n" % number)
    turns.close()
    shown, owner = {}, None
    for word in paper.seen:
        if word.startswith("["):
            owner = (word[1:-1], int(word[-1]))
        elif word.isdigit():
            shown.setdefault(owner, []).append(word)
    assert shown == given
    assert paper.open is None


def test_where_there_is_no_room_the_place_says_so(monkeypatch):
    def full(*_, **__):
        raise OSError(28, "No space left on device")

    paper, turns = on_paper(memory=10)
    monkeypatch.setattr("tempfile.TemporaryFile", full)
    turns.output(A, b"a\n")
    turns.output(B, b"kept\n")
    for _ in range(3):
        turns.output(B, b"x" * 99 + b"\n")
    turns.over(A)
    turns.over(B, ["b ended"])
    assert paper.seen[3:5] == ["[b1", "kept"]
    assert paper.seen[5].startswith("dagnats: 300 bytes are not shown here: ")
    assert paper.seen[5].endswith(": No space left on device")
    assert paper.seen[6:] == ["]", "*b ended"]
