"""Problems as people and programs read them: the place, the line with a caret, and what to do."""

import unicodedata
from collections.abc import Mapping, Sequence
from typing import Any

from dagnats.definition.files import BOM, LINE_BREAK
from dagnats.definition.problems import Problem, printable
from dagnats.errors import UsageError

MAX_SHOWN = 50
WIDTH = 100
TAB = 4


class InvalidPipelineError(UsageError):
    """A file is no pipeline. It holds every problem that was found, and its text is the report of them."""

    def __init__(self, problems: Sequence[Problem], sources: Mapping[str, bytes], total: int | None = None) -> None:
        super().__init__()
        self.problems = tuple(problems)
        self.sources = dict(sources)
        self.total = len(self.problems) if total is None else total

    @property
    def files(self) -> int:
        """How many files the problems are in: a pipeline may include others."""
        return len({problem.file for problem in self.problems})

    def __str__(self) -> str:
        return format_text(self.problems, self.sources, self.total)


def format_text(problems: Sequence[Problem], sources: Mapping[str, bytes], total: int | None = None) -> str:
    """One block a problem; after 50 the number of those that are not shown. `total` counts also what was not kept."""
    lines = {
        file: LINE_BREAK.split(content.decode("utf-8", "replace").removeprefix(BOM))
        for file, content in sources.items()
    }
    blocks = [_block(problem, lines.get(problem.file, [])) for problem in problems[:MAX_SHOWN]]
    hidden = max(total or 0, len(problems)) - len(blocks)
    if hidden:
        blocks.append(f"… and {_count(hidden, 'more problem')}")
    return "\n".join(blocks)


def summary(problems: int, files: int) -> str:
    """The last line of a report: `2 problems in 1 file`."""
    return f"{_count(problems, 'problem')} in {_count(files, 'file')}"


def to_json(problems: Sequence[Problem]) -> list[dict[str, Any]]:
    """Problems as data."""
    names = ("file", "line", "column", "length", "message", "hint", "severity")
    return [{name: getattr(problem, name) for name in names} for problem in problems]


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def _block(problem: Problem, lines: list[str]) -> str:
    place = printable(problem.file)
    if not problem.line:
        return f"{place}: {problem.message}" + (f"; {problem.hint}" if problem.hint else "")
    warning = "warning: " if problem.severity == "warning" else ""
    head = f"{place}:{problem.line}:{problem.column}: {warning}{problem.message}"
    if problem.line > len(lines):
        return head + (f"\n      | {problem.hint}" if problem.hint else "")
    shown, before, marked = excerpt(lines[problem.line - 1], problem.column, problem.length)
    number = f"{problem.line:5}"
    caret = " " * before + "^" * marked + (f" {problem.hint}" if problem.hint else "")
    return "\n".join((head, f"{number} | {shown}".rstrip(), f"{' ' * len(number)} | {caret}"))


def excerpt(line: str, column: int, length: int) -> tuple[str, int, int]:
    """The part of a line around a place, as a terminal shows it; how many cells stand before the place, how many it takes."""
    start = min(column - 1, len(line))
    begin = 0 if len(line) <= WIDTH else max(0, min(start - WIDTH // 3, len(line) - WIDTH))
    end = min(len(line), begin + WIDTH)
    stop = min(start + length, end)
    cells = 0
    pieces: list[str] = []
    marks = [0, 0]
    for index in range(begin, end):
        if index == start:
            marks[0] = cells
        piece = " " * (TAB - cells % TAB) if line[index] == "\t" else printable(line[index])
        pieces.append(piece)
        cells += _cells(piece)
        if index < stop:
            marks[1] = cells
    if start >= end:
        marks = [cells, cells]
    head, tail = "…" * (begin > 0), "…" * (end < len(line))
    return head + "".join(pieces) + tail, len(head) + marks[0], max(marks[1] - marks[0], 1)


def _cells(text: str) -> int:
    if text.isascii():
        return len(text)
    return sum(0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text)
