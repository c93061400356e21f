"""Text -> tree with positions, within limits: a file can be hostile and still costs little time and memory."""

from typing import Any

from msgspec import Struct, field

from dagnats.definition.events import (
    AliasEvent,
    DocumentStartEvent,
    MappingEndEvent,
    MappingStartEvent,
    MarkedYAMLError,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
    events,
)
from dagnats.definition.files import LINE_BREAK
from dagnats.definition.problems import Problems, quoted
from dagnats.definition.scalars import NumberError, resolve
from dagnats.definition.syntax import report_syntax
from dagnats.definition.tree import BROKEN, Node

MAX_DEPTH = 32
MAX_NODES = 500_000
MAX_EXPANDED = 100_000
MERGE = "<<"


class StopReadingError(Exception):
    """A limit was passed; the problem is noted, and nothing more is read."""


class Spent(Struct):
    """What reading has cost, of one file or of several together."""

    nodes: int = 0
    expanded: int = 0


class Frame(Struct):
    """A collection that is still open: its node, how many nodes it holds when aliases are expanded, how deep it goes."""

    node: Node
    anchor: str | None
    size: int = 1
    height: int = 0
    key: Node | None = None
    merges: list[Node] = field(default_factory=list)


class Anchored(Struct, frozen=True):
    """What an anchor names."""

    node: Node
    size: int
    height: int


PIPELINE_NEEDS = "a pipeline needs at least `name` and `steps`"


def parse(
    text: str, problems: Problems, *, pure: bool = False, needs: str = PIPELINE_NEEDS, spent: Spent | None = None
) -> Node | None:
    """The tree of the one document in a text; None when it can not be read at all."""
    lines = LINE_BREAK.split(text)
    first = next((number for number, line in enumerate(lines) if line.strip() and line.lstrip()[0] != "#"), None)
    if first is None:
        problems.add_at(1, 1, 1, "the file is empty", needs)
        return None
    if lines[first][0] == "%":
        problems.add_at(first + 1, 1, 1, "directives are not allowed", "remove the line that begins with `%`")
        return None
    builder = Builder(problems, spent or Spent())
    try:
        for event in events(text, pure=pure):
            builder.take(event)
    except MarkedYAMLError as error:
        report_syntax(error, lines, problems)
        return None
    except StopReadingError:
        return None
    return builder.root


class Builder:
    """Builds the tree from events, without recursion, and notes what may not be in a pipeline."""

    def __init__(self, problems: Problems, spent: Spent) -> None:
        self.problems = problems
        self._spent = spent
        self.root: Node | None = None
        self._documents = 0
        self._stack: list[Frame] = []
        self._anchors: dict[str, Anchored | None] = {}

    def take(self, event: Any) -> None:
        """Add what one event says."""
        kind = type(event)
        if kind is ScalarEvent:
            node = self._scalar(event)
            if event.anchor is not None:
                self._anchors[event.anchor] = Anchored(node, 1, 0)
            self._add(node, 1, 0)
        elif kind is MappingStartEvent or kind is SequenceStartEvent:
            self._open(event, {} if kind is MappingStartEvent else [])
        elif kind is MappingEndEvent or kind is SequenceEndEvent:
            self._close()
        elif kind is AliasEvent:
            self._alias(event)
        elif kind is DocumentStartEvent:
            self._document(event)

    def _document(self, event: Any) -> None:
        self._documents += 1
        if self._documents > 1:
            mark = event.start_mark
            self.problems.add_at(mark.line + 1, mark.column + 1, 3, "a second document", "a file holds one pipeline")
            raise StopReadingError

    def _counted(self, node: Node, event: Any) -> Node:
        self._spent.nodes += 1
        if self._spent.nodes > MAX_NODES:
            self.problems.add(node, f"the file holds more than {MAX_NODES:,} values")
            raise StopReadingError
        if event.tag is not None:
            node.style = BROKEN
            hint = "put text that begins with `!` in quotes"
            self.problems.add(node, f"the tag {quoted(event.tag)} is not allowed", hint)
        return node

    def _scalar(self, event: Any) -> Node:
        text: str = event.value
        start, end = event.start_mark, event.end_mark
        line, column, style = start.line, start.column, event.style or ""
        node = Node(text, line + 1, column + 1, end.column - column if line == end.line else 1, style=style, text=text)
        if not style:
            try:
                node.value = resolve(text)
            except NumberError as error:
                self.problems.add(node, str(error), "put it in quotes if it is text")
                node.value, node.style = 0, BROKEN
        elif "\0" in text or not (text.isascii() or _encodable(text)):
            what = "a character that no program can be given: NUL, or half a surrogate pair"
            self.problems.add(node, f"the text holds {what}")
        return self._counted(node, event)

    def _open(self, event: Any, value: Any) -> None:
        mark = event.start_mark
        node = self._counted(Node(value, mark.line + 1, mark.column + 1), event)
        if len(self._stack) >= MAX_DEPTH:
            self._too_deep(node)
        if event.anchor is not None:
            self._anchors[event.anchor] = None  # known, and not finished
        self._stack.append(Frame(node, event.anchor))

    def _close(self) -> None:
        frame = self._stack.pop()
        if frame.merges:
            self._merge(frame)
        if frame.anchor is not None:
            self._anchors[frame.anchor] = Anchored(frame.node, frame.size, frame.height)
        self._add(frame.node, frame.size, frame.height)

    def _alias(self, event: Any) -> None:
        mark = event.start_mark
        place = Node(None, mark.line + 1, mark.column + 1, len(event.anchor) + 1)
        anchored = self._anchors.get(event.anchor)
        if anchored is None:
            name = quoted("*" + event.anchor)
            if event.anchor in self._anchors:
                self.problems.add(place, f"{name} stands inside of what it names")
            else:
                self.problems.add(place, f"{name} names no anchor above it", "put text that begins with `*` in quotes")
            place.style = BROKEN
            self._add(place, 1, 0)
            return
        self._expand(anchored.size, place)
        if len(self._stack) + anchored.height > MAX_DEPTH:
            self._too_deep(place)
        self._add(anchored.node, anchored.size, anchored.height, alias=place)

    def _expand(self, size: int, place: Node) -> None:
        self._spent.expanded += size
        if self._spent.expanded > MAX_EXPANDED:
            self.problems.add(place, f"the aliases of this file expand to more than {MAX_EXPANDED:,} values")
            raise StopReadingError

    def _too_deep(self, place: Node) -> None:
        self.problems.add(place, f"values are nested more than {MAX_DEPTH} deep")
        raise StopReadingError

    def _add(self, node: Node, size: int, height: int, alias: Node | None = None) -> None:
        if not self._stack:
            self.root = node
            return
        frame = self._stack[-1]
        frame.size += size
        frame.height = max(frame.height, height + 1)
        value = frame.node.value
        if type(value) is list:
            value.append(node)
        elif frame.key is None:
            frame.key = self._key(node, alias)
        else:
            key, frame.key = frame.key, None
            self._entry(frame, key, node, alias or node)

    def _key(self, node: Node, alias: Node | None) -> Node:
        if type(node.value) is str and alias is None:
            return node
        place = alias or node
        if alias is not None:
            self.problems.add(place, "an alias may not be a key")
        elif isinstance(node.value, dict | list):
            self._no_key(node, self._stack[-1].node)
        else:
            self.problems.add(
                place, f"the key {quoted(node.text or 'null')} is not text", f"write {quoted(repr_key(node))}"
            )
        # The entry is dropped: a name that can not be written can not be another's duplicate.
        return Node(None, place.line, place.column, place.length)

    def _no_key(self, node: Node, mapping: Node) -> None:
        if isinstance(node.value, dict) and (mapping.line, mapping.column + 1) == (node.line, node.column):
            mapping.style, mapping.length = BROKEN, 2
            self.problems.add(mapping, "a value may not begin with `{{`", "put it in quotes")
        else:
            self.problems.add(node, "a key must be text")

    def _entry(self, frame: Frame, key: Node, node: Node, place: Node) -> None:
        name = key.value
        if name is None:
            return
        if node.value is None and not node.length:
            node.line, node.column, node.length = (
                key.line,
                key.column,
                key.length,
            )  # a value that is not there stands at its key
        entries: dict[str, Node] = frame.node.value
        if name in frame.node.keys:
            first = frame.node.keys[name]
            self.problems.add(
                key,
                f"the key {quoted(name)} is written twice",
                f"it stands at line {first.line}, column {first.column} already",
            )
            return
        frame.node.keys[name] = key
        if name == MERGE and not key.style:
            self._note_merge(frame, node, place)
        else:
            entries[name] = node

    def _note_merge(self, frame: Frame, node: Node, place: Node) -> None:
        sources = node.value if isinstance(node.value, list) else [node]
        for source in sources:
            if isinstance(source.value, dict):
                frame.merges.append(source)
            elif source.style != BROKEN:
                self.problems.add(place, "`<<` takes a mapping, or a list of mappings")

    def _merge(self, frame: Frame) -> None:
        """Add what `<<` brings, behind the mapping's own entries; the first one that has a key gives it."""
        node = frame.node
        del node.keys[MERGE]
        for source in frame.merges:
            self._expand(len(source.value), node)
            for name, value in source.value.items():
                if name not in node.value:
                    node.value[name] = value
                    node.keys[name] = source.keys[name]


def repr_key(node: Node) -> str:
    """A key as it has to be written to be text."""
    return f'"{node.text}":'


def _encodable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
