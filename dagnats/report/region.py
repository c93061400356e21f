"""What stands below the scrollback of the live view: pure functions from a state, a time and a size to rows that fit.

Failures stand first, then what runs, then the progress. No row is as wide as the terminal, and all of them, below an empty one, are at most a third as high.
"""

import math
from collections.abc import Iterator, Sequence
from itertools import chain, islice

from msgspec import Struct
from rich.cells import cell_len, set_cell_size

from dagnats.core.state import RunState, Status
from dagnats.report.screen import fit, without_colours
from dagnats.report.spool import Owner
from dagnats.report.style import Style
from dagnats.report.tally import Tally
from dagnats.report.view import block_title, clean, waiting_text, why

MOST_ROWS = 20
ROOMY_ROWS = 15
BAR_MIN, BAR_MAX = 8, 24
UNFINISHED_MAX_BYTES = 1024  # of a line without an end: more than a row takes
_SPACES = 2  # between a title and what is said of it
_RED, _GREEN, _YELLOW, _DIM, _BOLD, _PLAIN = "31", "32", "33", "2", "1", ""

_Piece = tuple[str, str]  # a text, and the code of its colour


class Row(Struct, frozen=True):
    """One row, with its colours, and how many cells of the terminal it takes."""

    text: str
    cells: int


class Shown(Struct):
    """What a region shows: a run, who has the focus, the line that it has begun, and what is asked here."""

    state: RunState
    tally: Tally
    focused: Owner | None = None
    unfinished: bytes = b""
    question: str = ""


def region(shown: Shown, now: float, width: int, height: int, style: Style) -> list[Row]:
    """Give the rows for a terminal of this size; none when the run is over."""
    if shown.state.finished is not None:
        return []
    paper = _Paper(max(1, width - 1), style)
    gap = [Row("", 0)] if height >= ROOMY_ROWS else []  # so that nobody takes what stands here for output
    asked = [_question(shown.question, paper)] if shown.question else []
    room = min(MOST_ROWS, max(1, height // 3)) - 1 - len(asked)
    failures = _failures(shown, paper, max(1, room // 3) if room > 1 else 0)
    running = _under_way(shown, now, paper, room - len(failures))
    return [*gap, *failures, *running, _progress(shown, now, paper), *asked]


def _question(question: str, paper: "_Paper") -> Row:
    """Give the question; of one that is too long the end, where stands what is typed."""
    text = paper.plain(question)
    mark = "? "
    while cell_len(text) > paper.width - len(mark) - 1:
        text = text[max(1, cell_len(text) - paper.width) :]
    return paper.row((mark, _YELLOW), (text, _BOLD), ("_", _DIM))


def physical_rows(drawn: Sequence[Row], width: int) -> int:
    """Say how many rows of a terminal that wraps again what it shows, when it becomes narrower, these take now."""
    return sum(max(1, math.ceil(row.cells / max(1, width))) for row in drawn)


def clock(seconds: float) -> str:
    """Give a duration that is still growing: in whole seconds."""
    minutes, rest = divmod(max(0, int(seconds)), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours}h{minutes:02}m"
    return f"{minutes}m{rest:02}s" if minutes else f"{rest}s"


class _Paper(Struct, frozen=True):
    """Where rows are written: so many cells wide."""

    width: int
    style: Style

    def row(self, *pieces: _Piece) -> Row:
        """Make a row of pieces; what does not fit is cut off."""
        painted, left = "", self.width
        for text, code in pieces:
            part = self.plain(text)
            if cell_len(part) > left:
                part = set_cell_size(part, left)
            left -= cell_len(part)
            painted += self.style.paint(part, code) if code and part else part
        return Row(painted, self.width - left)

    def plain(self, text: str) -> str:
        """Give a text whose width no terminal sees otherwise: without control characters, joined or varied signs."""
        text = clean(text).replace("\ufe0f", "")
        return text if self.style.unicode else text.encode("ascii", "replace").decode()

    def short(self, text: str, cells: int) -> str:
        """Shorten a text, and show that it was."""
        text = self.plain(text)
        if cell_len(text) <= cells:
            return text
        mark = self.style.sign("…")
        return set_cell_size(text, cells - len(mark)).rstrip() + mark if cells > len(mark) else mark[: max(0, cells)]


def _failures(shown: Shown, paper: _Paper, room: int) -> list[Row]:
    """Give a row for each of the first steps that failed; the last says how many more did."""
    state = shown.state
    failed = [id_ for id_ in shown.tally.failures if id_ in state.steps] if room else []
    rows = []
    for place, id_ in enumerate(failed[:room]):
        step = state.steps[id_]
        rest = len(failed) - room if place == room - 1 else 0
        more = f"  +{rest} more" if rest > 0 else ""
        title = f"{paper.style.sign('✗')} {id_}"
        space = paper.width - cell_len(paper.plain(title)) - _SPACES - len(more)
        reason = paper.short(why(step), space)
        rows.append(
            paper.row((paper.short(title, paper.width - len(more)), _RED), (f"  {reason}", _PLAIN), (more, _RED))
        )
    return rows


def _under_way(shown: Shown, now: float, paper: _Paper, room: int) -> list[Row]:
    """Give a row for each attempt that runs or waits for its time, who has the focus first, and its unfinished line below it."""
    state, focused = shown.state, shown.focused[0] if shown.focused is not None else ""
    waiting = [id_ for id_ in state.dispatched if state.steps[id_].status is Status.WAITING]
    first = [focused] if focused in state.running else []
    others = (id_ for id_ in state.running if id_ != focused)
    asking = list(state.awaited.open)  # those that somebody is asked to end stand above those that wait for their time
    asking.sort(key=lambda id_: state.awaited.open[id_].kind)
    count = len(state.running) + len(waiting) + len(asking)
    rows: list[Row] = []
    unfinished = _unfinished(shown.unfinished) if first and room > 2 else ""
    slots = room - bool(unfinished)
    kept = slots - 1 if 1 < slots < count else slots
    for id_ in islice(chain(first, others, asking, waiting), max(0, kept)):
        rows.append(_attempt(state, id_, now, paper, is_focused=id_ in first))
        if id_ in first and unfinished:
            rows.append(paper.row(("    " + unfinished, _DIM)))
    if 1 < slots < count:
        rows.append(paper.row((f"{paper.style.sign('…')} and {count - kept} more", _DIM)))
    return rows


def _attempt(state: RunState, id_: str, now: float, paper: _Paper, *, is_focused: bool) -> Row:
    step = state.steps[id_]
    title = block_title(state, (id_, step.attempt))
    wait = state.awaited.open.get(id_)
    if wait is not None:
        title = f"{title}: {waiting_text(wait)}" if wait.kind != "sleep" else title
        mark, code = "…", _YELLOW
        told = clock(now - wait.at) if wait.until is None else f"in {clock(math.ceil(wait.until - now))}"
    elif step.status is Status.WAITING:
        left = step.not_before - now if step.not_before is not None else 0.0
        mark, code, told = "↻", _YELLOW, f"in {clock(math.ceil(left))}"
    else:
        mark, code = ("▸", _BOLD) if is_focused else ("·", _PLAIN)
        told = clock(now - step.started_at if step.started_at is not None else 0.0)
    mark = paper.style.sign(mark) + " "
    title = paper.short(title, paper.width - len(mark) - _SPACES - len(told))
    return paper.row((mark + title, code), ("  " + told, _DIM))


def _unfinished(line: bytes) -> str:
    """Give what a terminal would show of the line: its newest state, without colours."""
    newest = line.rstrip(b"\r").rpartition(b"\r")[2][:UNFINISHED_MAX_BYTES]
    return without_colours(fit(newest)).decode("utf-8", "replace").strip()


def _progress(shown: Shown, now: float, paper: _Paper) -> Row:
    """Say how far the run is, in the words that the width has room for, and with a bar when there is more."""
    state, tally = shown.state, shown.tally
    facts = list(_facts(shown, now))
    separator = paper.style.sign(" · ")
    while len(facts) > 1 and _width(facts, separator) > paper.width:
        facts.remove(max(facts, key=lambda fact: fact[0]))
    pieces: list[_Piece] = []
    for _, text, code in facts:
        pieces += [(separator, _DIM), (text, code)] if pieces else [(text, code)]
    length = min(BAR_MAX, paper.width - _width(facts, separator) - 1)
    if length < BAR_MIN:
        return paper.row(*pieces)
    full = length * tally.ended // max(1, tally.total)
    good = _RED if tally.failures else _YELLOW if state.cancel is not None else _GREEN
    bar = [(paper.style.sign("━") * full, good), (paper.style.sign("─") * (length - full), _DIM)]
    return paper.row(*bar, (" ", _PLAIN), *pieces)


def _facts(shown: Shown, now: float) -> Iterator[tuple[int, str, str]]:
    """Give each fact with the order in which it is left out when there is no room (the highest first), and its colour."""
    state, tally = shown.state, shown.tally
    yield 0, f"{tally.ended}/{tally.total}", _BOLD
    if state.running:
        yield 3, f"{len(state.running)} running", _PLAIN
    held = sum(len(group.held) for id_ in state.expanded if (group := state.steps[id_].instances) is not None)
    waiting = len(state.ready) + len(state.places.waiting) + len(state.awaited.open) + state.queued + held
    if waiting:
        yield 5, f"{waiting} waiting", _PLAIN
    if tally.failures:
        yield 1, f"{max(1, tally.failed)} failed", _RED
    if state.cancel is not None:
        yield 4, "cancelling", _YELLOW
    yield 2, clock(now - state.started.at), _PLAIN


def _width(facts: Sequence[tuple[int, str, str]], separator: str) -> int:
    return sum(len(text) for _, text, _ in facts) + len(separator) * (len(facts) - 1)
