"""`include`: the steps, values and parameters of other files, as if they stood above those of the file that includes them.

The trees are joined, not the texts: every node keeps its place, so that a problem is reported in the file in which it stands. For that the lines
of an included file are counted on from those before it, and `Problems` turns such a line back into a file and a line of it.
"""

import os
from collections.abc import Iterator
from functools import cache
from typing import Any

from dagnats.definition.beside import INSIDE, circle, file_beside, is_inside, note_unreadable
from dagnats.definition.check import check_shape
from dagnats.definition.files import LINE_BREAK, MAX_BYTES, decode, read_bytes
from dagnats.definition.problems import Problems, quoted
from dagnats.definition.project import project_root
from dagnats.definition.schema import schema
from dagnats.definition.source import Spent, parse
from dagnats.definition.tree import Node

MAX_LEVELS = 8
MAX_FILES = 100
MAX_ENTRIES = 1000  # many files may include the same one
MAX_STEPS = 10_000
MAPPINGS = ("params", "vars", "env", "services")
KEYS = ("include", "steps", *MAPPINGS)


def join_included(root: Node, path: str, lines: list[str], problems: Problems, size: int) -> dict[str, bytes]:
    """Put what a file of some size includes into its tree, and the lines of all files behind its own; gives the bytes of those files."""
    joined = _Join(path, lines, problems, size)
    joined.into(root, path, [_real(path)])
    _check_steps(root, problems)
    return joined.sources


@cache
def included_schema() -> dict[str, Any]:
    """What a file that is included may hold: a part of what a pipeline may hold."""
    whole = schema()
    return {
        "title": "included file",
        "type": "object",
        "additionalProperties": False,
        "patternProperties": whole["patternProperties"],
        "properties": {key: whole["properties"][key] for key in KEYS},
    }


class _Join:
    def __init__(self, path: str, lines: list[str], problems: Problems, size: int) -> None:
        self.sources: dict[str, bytes] = {}
        self._root = project_root(path).resolve()
        self._lines = lines
        self._problems = problems
        self._known: set[str] = set()
        self._size = size
        self._spent = Spent()
        self._entries = 0
        self._is_full = False

    def into(self, node: Node, path: str, chain: list[str]) -> None:
        """Join what the file at `path` includes into its tree; `chain` are the files that led here, by their real paths."""
        include = node.get("include")
        if include is None:
            return
        parts = [part for place in include.items() if (part := self._load(place, path, chain)) is not None]
        for key in MAPPINGS:
            _join_mapping(node, key, parts)
        lists = [found for part in (*parts, node) if (found := part.get("steps")) is not None]
        if lists and all(isinstance(one.value, list) for one in lists):
            node.value["steps"] = Node([step for one in lists for step in one.value], lists[-1].line, lists[-1].column)

    def _load(self, place: Node, path: str, chain: list[str]) -> Node | None:
        """The tree of one included file with all that it includes itself; None if it is there already, or can not be."""
        self._entries += 1
        if self._is_full or (self._entries > MAX_ENTRIES and self._stop(place, f"more than {MAX_ENTRIES:,} includes")):
            return None
        file = file_beside(place, path, self._problems)
        real = _real(file) if file is not None else ""
        if file is None or self._is_refused(place, file, real, chain) or real in self._known:
            return None
        self._known.add(real)
        if len(self._known) > MAX_FILES and self._stop(place, f"more than {MAX_FILES} files are included"):
            return None
        found = Problems(file)
        found.effort = self._problems.effort
        content = read_bytes(real, found)
        if content is None:
            note_unreadable(place, file, real, found, self._problems, verb="included")
            return None
        self._size += len(content)
        if self._size > MAX_BYTES and self._stop(place, "with what it includes, the file is larger than 1 MiB"):
            return None
        self.sources[file] = content
        root = self._parsed(file, content)
        if root is not None:
            self.into(root, file, [*chain, real])
        return root

    def _stop(self, place: Node, message: str) -> bool:
        """Include nothing more: what files hold together is bounded like one file."""
        self._is_full = True
        self._problems.add(place, message)
        return True

    def _parsed(self, file: str, content: bytes) -> Node | None:
        start = len(self._lines)
        problems = self._problems.part(file, start)
        text = decode(content, problems, json=file.endswith(".json"))
        self._lines += LINE_BREAK.split(text if text is not None else content.decode("utf-8", "replace"))
        root = parse(text, problems, spent=self._spent) if text is not None else None
        if root is None:
            return None
        check_shape(root, problems, included_schema())
        _shift(root, start)
        return root if isinstance(root.value, dict) else None

    def _is_refused(self, place: Node, file: str, real: str, chain: list[str]) -> bool:
        if not is_inside(real, self._root):
            self._problems.add(
                place, f"{quoted(file)} is outside of this project", f"a pipeline includes what {INSIDE}"
            )
        elif (way := circle(chain, real, self._root)) is not None:
            self._problems.add(place, f"files include each other: {way}", "remove one of these includes")
        elif len(chain) > MAX_LEVELS:
            self._problems.add(place, f"files include each other more than {MAX_LEVELS} levels deep")
        else:
            return False
        return True


def _real(path: str) -> str:
    return os.path.realpath(path)


def _join_mapping(node: Node, key: str, parts: list[Node]) -> None:
    """Join the entries under a key; the later of two with the same name takes the place of the earlier one."""
    sources = [found for part in (*parts, node) if (found := part.get(key)) is not None]
    if len(sources) == 1 and sources[0] is node.get(key):
        return
    mappings = [source for source in sources if isinstance(source.value, dict)]
    if not mappings or len(mappings) < len(sources):
        return
    whole = Node({}, mappings[-1].line, mappings[-1].column)
    for source in mappings:
        whole.value |= source.value
        whole.keys |= source.keys
    node.value[key] = whole


def _shift(root: Node, lines: int) -> None:
    """Count the lines of a tree on from those before it. Aliases share nodes, so each is looked at once."""
    for node in _nodes(root):
        node.line += lines


def _nodes(root: Node) -> Iterator[Node]:
    seen = {id(root)}
    pending = [root]
    while pending:
        node = pending.pop()
        yield node
        for inner in (*node.items(), *node.fields().values(), *node.keys.values()):
            if id(inner) not in seen:
                seen.add(id(inner))
                pending.append(inner)


def _check_steps(root: Node, problems: Problems) -> None:
    place = root.keys["include"]
    steps = root.get("steps")
    if steps is None and not problems:
        problems.add(place, "neither this file nor those that it includes have steps", "write `steps:` in one of them")
    elif steps is not None and len(steps.items()) > MAX_STEPS:
        count = len(steps.items())
        problems.add(place, f"with what is included there are {count:,} steps; at most {MAX_STEPS:,} are allowed")
