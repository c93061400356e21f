"""What is wrong with a pipeline file, and the list in which every check of a file collects it."""

from dataclasses import dataclass
from typing import Protocol

MAX_KEPT = 1000
MAX_SUGGESTIONS = 100
MAX_PAIRS = 2_000_000  # measured: 0.2 µs each
SHOWN_NAME = 60


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong, and where. Line and column count from 1, in characters; line 0 means the file as a whole."""

    file: str
    line: int
    column: int
    length: int
    message: str
    hint: str = ""


class Place(Protocol):
    """Whatever knows where in the file it stands."""

    line: int
    column: int
    length: int


class Effort:
    """What may still be spent on comparing names, in pairs of characters: names that are nearly alike take longest."""

    def __init__(self) -> None:
        self._left = MAX_PAIRS

    def spend(self, pairs: int) -> bool:
        """Take a part of it; say whether there was enough."""
        self._left -= pairs
        return self._left >= 0


class Problems:
    """The problems of one file: each is kept once, and beyond a bound they are only counted."""

    def __init__(self, file: str) -> None:
        self.file = file
        self.total = 0
        self._seen: set[Problem] = set()
        self._suggestions = 0
        self.effort = Effort()

    def add(self, place: Place, message: str, hint: str = "") -> None:
        """Note a problem at a node of the file."""
        self.add_at(place.line, place.column, place.length, message, hint)

    def add_at(self, line: int, column: int, length: int, message: str, hint: str = "") -> None:
        """Note a problem at a position of the file; line 0 is the file as a whole."""
        problem = Problem(self.file, line, column, max(length, 1), message, hint)
        if problem in self._seen:
            return
        self.total += 1
        if len(self._seen) < MAX_KEPT:
            self._seen.add(problem)

    @property
    def are_full(self) -> bool:
        """Whether what is noted from now on is only counted, so that nobody needs to know where it stands."""
        return len(self._seen) >= MAX_KEPT

    def count(self) -> None:
        """Count a problem that would not be kept."""
        self.total += 1

    def may_suggest(self) -> bool:
        """Say whether a search for a similar name is still worth its time: a file can hold 100,000 wrong names."""
        self._suggestions += 1
        return self._suggestions <= MAX_SUGGESTIONS

    def sorted(self) -> tuple[Problem, ...]:
        """All that is kept, in the order of the file."""
        return tuple(sorted(self._seen, key=lambda p: (p.line, p.column, p.message)))

    def __bool__(self) -> bool:
        return self.total > 0


def quoted(name: object) -> str:
    """A name as messages show it: short, on one line, in backticks."""
    text = str(name)
    if len(text) > SHOWN_NAME:
        text = text[: SHOWN_NAME - 1] + "…"
    return f"`{printable(text)}`"


def printable(text: str) -> str:
    """The text with control characters, and what reorders or hides text on a terminal, written as escapes."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() or c == " " else c.encode("unicode_escape").decode("ascii") for c in text)
