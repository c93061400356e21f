"""Other files that a pipeline names: relative to the file in which the name stands, and inside of the project."""

import os
from pathlib import Path

from dagnats.core.text import has_template
from dagnats.definition.problems import Problems, quoted
from dagnats.definition.tree import Node

MAX_PATH = 1000
INSIDE = "is in its repository, or else in its own directory"


def file_beside(place: Node, path: str, problems: Problems) -> str | None:
    """The file that a text names, seen from the file at `path`; None where it can name none, which is a problem by then."""
    name = place.value
    if not isinstance(name, str) or not name or "\0" in name:
        return None  # which has been said
    if "://" in name:
        problems.add(place, f"{quoted(name)} is no path", "a file of the project can be named here; copy it there")
        return None
    refused = {
        f"is longer than {MAX_PATH:,} characters": len(name) > MAX_PATH,
        "may hold no template": has_template(name),
        "may not begin with `-`": any(part.startswith("-") for part in name.split("/")),
        "must be relative to the file in which it stands": Path(name).is_absolute(),
    }
    for message, is_so in refused.items():
        if is_so:
            problems.add(place, f"the path {quoted(name)} {message}")
            return None
    folder = "" if path in ("-", "<stdin>") else os.path.dirname(path)  # noqa: PTH120 (as typed)
    return os.path.normpath(os.path.join(folder, name))  # noqa: PTH118 (as typed)


def is_inside(real: str, root: Path) -> bool:
    """Whether a file, by its real path, is one of the project."""
    return Path(real).is_relative_to(root)


def circle(chain: list[str], real: str, root: Path) -> str | None:
    """The way from a file to itself, or None if it is none of those that lead to it."""
    if real not in chain:
        return None
    return " → ".join(os.path.relpath(name, root) for name in (*chain[chain.index(real) :], real))


def note_unreadable(place: Node, file: str, real: str, found: Problems, problems: Problems, *, verb: str) -> None:
    """Say at the place that names a file why it can not be read."""
    folder = os.path.join(os.path.dirname(file), "")  # noqa: PTH118, PTH120 (as typed)
    for problem in found.sorted():
        hint = problem.hint.replace(f"`{os.path.dirname(real)}/", f"`{folder}")  # noqa: PTH120
        problems.add(place, f"{quoted(file)} can not be {verb}: {problem.message}", hint)
