"""The tree that a file becomes: plain values that know where they stand."""

from typing import Any

Scalar = str | int | float | bool | None

BROKEN = "!"  # the style of a scalar that could not be read, about which everything has been said
_NO_KEYS: "dict[str, Node]" = {}


class Node:
    """A value of the file. `value` is a scalar, a list of nodes, or a dict of names to nodes.

    `keys` are the nodes of a mapping's keys. `text` is a scalar as it was written, so that `3.10` can become an environment
    variable without becoming `3.1`. `style` is empty for what is written plainly.
    """

    __slots__ = ("column", "keys", "length", "line", "style", "text", "value")

    def __init__(self, value: Any, line: int, column: int, length: int = 1, *, style: str = "", text: str = "") -> None:
        self.value: Any = value
        self.line = line
        self.column = column
        self.length = length
        self.style = style
        self.text = text
        self.keys: dict[str, Node] = {} if type(value) is dict else _NO_KEYS

    def get(self, key: str) -> "Node | None":
        """The node under a key, or None, also where this is no mapping."""
        return self.value.get(key) if isinstance(self.value, dict) else None

    def items(self) -> "list[Node]":
        """The elements of a list; nothing where this is none."""
        return self.value if isinstance(self.value, list) else []

    def fields(self) -> "dict[str, Node]":
        """The entries of a mapping; nothing where this is none."""
        return self.value if isinstance(self.value, dict) else {}

    def plain(self) -> Any:
        """The value without positions, as JSON has it."""
        if isinstance(self.value, dict):
            return {key: node.plain() for key, node in self.value.items()}
        if isinstance(self.value, list):
            return [node.plain() for node in self.value]
        return self.value
