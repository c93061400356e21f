"""Work that is done once for a node, wherever it stands: an alias or `defaults` can bring the same one to 10,000 steps."""

from collections.abc import Callable
from typing import Any, TypeVar

from dagnats.definition.tree import Node

Result = TypeVar("Result")


class Once:
    """Keeps what was made of each node."""

    def __init__(self) -> None:
        self._made: dict[tuple[Any, int], Any] = {}

    def __call__(self, make: Callable[[Node], Result], node: Node) -> Result:
        """What `make` makes of the node; asked the first time, remembered then."""
        key = (make, id(node))
        if key not in self._made:
            self._made[key] = make(node)
        made: Result = self._made[key]
        return made
