"""What is wrong with a pipeline file, and the list in which every check of a file collects it."""

from bisect import bisect_left
from collections.abc import Iterable
from itertools import islice
from typing import Literal, Protocol

from msgspec import Struct

MAX_KEPT = 1000
MAX_SUGGESTIONS = 100
MAX_PAIRS = 2_000_000  # measured: 0.2 µs each
SHOWN_NAME = 60
MAX_LISTED = 20


Severity = Literal["error", "warning"]


class Problem(Struct, frozen=True):
    """One thing that is wrong, and where. Line and column count from 1, in characters; line 0 means the file as a whole."""

    file: str
    line: int
    column: int
    length: int
    message: str
    hint: str = ""
    severity: Severity = "error"


class Place(Protocol):
    """Whatever knows where in the file it stands."""

    line: int
    column: int
    length: int


class Effort:
    """What may still be spent on something; on comparing names, in pairs of characters: names that are nearly alike take longest."""

    def __init__(self, most: int = MAX_PAIRS) -> None:
        self._left = most

    def spend(self, pairs: int) -> bool:
        """Take a part of it; say whether there was enough."""
        self._left -= pairs
        return self._left >= 0


class Problems:
    """The problems of one file: each is kept once, and beyond a bound they are only counted."""

    def __init__(self, file: str, *, strict: bool = False) -> None:
        self.file = file
        self.strict = strict
        self.total = 0
        self.errors = 0
        self._seen: set[Problem] = set()
        self._suggestions = 0
        self._starts: list[int] = []
        self._files = [file]
        self._others: list[str] = []  # of files that were looked at by themselves
        self.effort = Effort()

    def add(self, place: Place, message: str, hint: str = "") -> None:
        """Note a problem at a node of the file."""
        self.add_at(place.line, place.column, place.length, message, hint)

    def warn(self, place: Place, message: str, hint: str = "") -> None:
        """Note what is allowed and often a mistake; whoever calls has asked whether `strict` is wanted."""
        self.add_at(place.line, place.column, place.length, message, hint, severity="warning")

    def add_at(
        self, line: int, column: int, length: int, message: str, hint: str = "", *, severity: Severity = "error"
    ) -> None:
        """Note a problem at a position of the file; line 0 is the file as a whole."""
        file, line = self.local(line)
        problem = Problem(file, line, column, max(length, 1), message, hint, severity)
        if problem in self._seen:
            return
        self.total += 1
        self.errors += severity == "error"
        if len(self._seen) < MAX_KEPT:
            self._seen.add(problem)

    def adopt(self, other: "Problems") -> None:
        """Take over the problems of another file, whose lines are its own."""
        kept = other.sorted()
        again = [problem for problem in kept if problem in self._seen]  # of a file that both include
        self._others += dict.fromkeys(problem.file for problem in kept)
        self.total += other.total - len(again)
        self.errors += other.errors - sum(problem.severity == "error" for problem in again)
        self._seen.update(kept[: max(0, MAX_KEPT - len(self._seen))])

    @property
    def are_full(self) -> bool:
        """Whether what is noted from now on is only counted, so that nobody needs to know where it stands."""
        return len(self._seen) >= MAX_KEPT

    def count(self, severity: Severity = "error") -> None:
        """Count a problem that would not be kept."""
        self.total += 1
        self.errors += severity == "error"

    def part(self, file: str, start: int) -> "Problems":
        """The problems of a file whose lines are counted on from `start`; here they count from 1, and each is noted for the whole."""
        self._starts.append(start)
        self._files.append(file)
        return _Part(self, file, start)

    def local(self, line: int) -> tuple[str, int]:
        """The file, and the line in it, of a line that is counted through all files."""
        if not self._starts:
            return self.file, line
        place = bisect_left(self._starts, line)
        return self._files[place], line - (self._starts[place - 1] if place else 0)

    def where(self, node: Place, seen_from: Place) -> str:
        """How a message at one place names another, with its file if that is another one."""
        (file, line), (here, _) = self.local(node.line), self.local(seen_from.line)
        return f"line {line}, column {node.column}" if file == here else f"{printable(file)}:{line}:{node.column}"

    def may_suggest(self) -> bool:
        """Say whether a search for a similar name is still worth its time: a file can hold 100,000 wrong names."""
        self._suggestions += 1
        return self._suggestions <= MAX_SUGGESTIONS

    def sorted(self) -> tuple[Problem, ...]:
        """All that is kept, in the order of the file."""
        order = {file: place for place, file in enumerate(dict.fromkeys((*self._files, *self._others)))}
        return tuple(sorted(self._seen, key=lambda p: (order[p.file], p.line, p.column, p.message)))

    def __bool__(self) -> bool:
        return self.total > 0


class _Part(Problems):
    """The problems of one of several files, on their way to those of the whole."""

    def __init__(self, whole: Problems, file: str, start: int) -> None:
        super().__init__(file)
        self._whole = whole
        self._start = start
        self.effort = whole.effort

    def add_at(
        self, line: int, column: int, length: int, message: str, hint: str = "", *, severity: Severity = "error"
    ) -> None:
        super().add_at(line, column, length, message, hint, severity=severity)
        self._whole.add_at(self._start + max(line, 1), max(column, 1), length, message, hint, severity=severity)

    @property
    def are_full(self) -> bool:
        return self._whole.are_full

    def count(self, severity: Severity = "error") -> None:
        super().count(severity)
        self._whole.count(severity)

    def may_suggest(self) -> bool:
        return self._whole.may_suggest()


def quoted(name: object) -> str:
    """A name as messages show it: short, on one line, in backticks."""
    text = str(name)
    if len(text) > SHOWN_NAME:
        text = text[: SHOWN_NAME - 1] + "…"
    return f"`{printable(text)}`"


def listed(names: Iterable[str]) -> str:
    """Names as messages show them: not more of them than somebody reads."""
    shown = list(islice(names, MAX_LISTED + 1))
    return ", ".join(shown if len(shown) <= MAX_LISTED else [*shown[:MAX_LISTED], "…"])


def printable(text: str) -> str:
    """The text with control characters, and what reorders or hides text on a terminal, written as escapes."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() or c == " " else c.encode("unicode_escape").decode("ascii") for c in text)
