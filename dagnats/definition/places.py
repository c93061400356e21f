"""Where in the file a place of a scalar's text stands: exact where the text stands as it is written."""

import re
from bisect import bisect_right
from functools import lru_cache

from dagnats.definition.tree import Node

MAX_NAMES = 8  # of a path; they are enough to find it
Starts = list[tuple[int, Node]]
Position = tuple[int, int, int]


def part_at(starts: Starts, line: int) -> tuple[int, Node]:
    """Which of the scalars of a text holds a line of it, and the first line that it holds."""
    return starts[max(bisect_right(starts, line, key=lambda start: start[0]) - 1, 0)]


class Places:
    """Finds places of texts in the lines of one file. What one search takes is kept: the next one is of the same scalar, nearly always."""

    def __init__(self, lines: list[str]) -> None:
        self._lines = lines
        self._node: Node | None = None
        self._inside: list[str] = []
        self._source = ""
        self._offset = 0

    def locate(self, node: Node, line: int, column: int | None, needle: re.Pattern[str] | None) -> Position:
        """Line, column and length in the file of what the needle finds, else of the column, else of the line."""
        if node.style == "|" and node.line + line <= len(self._lines):
            source = self._lines[node.line + line - 1]
            offset, number = len(source) - len(self._line_of(node, line)), node.line + line
        elif not node.style or node.style in "'\"":
            (source, offset), number = self._on_one_line(node), node.line
        else:
            return node.line, node.column, node.length
        found = needle.search(source, max(offset, node.column - 1 if number == node.line else 0)) if needle else None
        if found:
            return number, found.start() + 1, len(found[0])
        if column is not None and offset >= 0:
            return number, offset + column, 1
        if number != node.line:
            return number, max(offset, 0) + 1, max(len(source) - max(offset, 0), 1)
        return node.line, node.column, node.length

    def _line_of(self, node: Node, line: int) -> str:
        if node is not self._node:
            self._node, self._inside = node, str(node.value).split("\n")
        return self._inside[line - 1] if line <= len(self._inside) else ""

    def _on_one_line(self, node: Node) -> tuple[str, int]:
        if node is not self._node:
            end = node.column - 1 + node.length
            self._node = node
            self._source = self._lines[node.line - 1][:end] if node.line <= len(self._lines) else ""
            self._offset = self._source.find(node.value, node.column - 1)
        return self._source, self._offset


@lru_cache(64)
def needle_of(path: tuple[str, ...]) -> re.Pattern[str]:
    """What a reference looks like where it is written."""
    pattern = rf"(?<![\w.]){re.escape(path[0])}\b"
    for name in path[1:MAX_NAMES]:
        pattern += rf"""\s*(?:\.\s*|\[\s*["']?){re.escape(name)}(?!\w)(?:["']?\s*\])?"""
    return re.compile(pattern)
