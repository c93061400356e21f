"""Globs of artifacts: what a pattern may be, and which names each of its parts matches.

A pattern names paths beneath the project's root, `/` between its parts. `*`, `?` and `[…]` stand for parts of a name, and `**`, as a part of its own, for
any directories, also none. As in a shell, none of them stands for a name that begins with a dot.
"""

import posixpath
import re
from fnmatch import translate
from functools import cache

from dagnats.core.containers import Wrong

DEEP = "**"
NEVER = (".git", ".dagnats")  # credentials may be in the one, those of the server are in the other
_WILD = re.compile(r"[*?\[]")
_PARTS_MAX = 100


def wrong_glob(text: str) -> Wrong | None:  # noqa: PLR0911 - one answer a mistake
    """Say what is wrong with a pattern, as the rest of a sentence that names it."""
    if not text:
        return Wrong("is empty")
    if "\0" in text:
        return Wrong("may hold no NUL byte")
    if text.startswith("!"):
        return Wrong("can not leave files out", "name only what is to be kept")
    if posixpath.isabs(text) or text.startswith("~"):
        return Wrong("must be relative to the project's root, and stay beneath it", "copy what lies elsewhere into it")
    parts = parts_of(text)
    if ".." in parts:
        return Wrong("may not lead out of the project: it has a `..`", "copy what lies elsewhere into the project")
    if not parts:
        return Wrong("stands for the whole project", "write `**` for all of its files but hidden ones")
    never = next((part for part in parts if part in NEVER), None)
    if never is not None:
        return Wrong(f"names `{never}`, which is never kept", "credentials may be in there")
    if len(parts) > _PARTS_MAX:
        return Wrong(f"has more than {_PARTS_MAX} parts")
    return None


def parts_of(text: str) -> tuple[str, ...]:
    """Give the parts of a pattern, or of a path."""
    return tuple(part for part in text.split("/") if part not in ("", "."))


def is_wild(part: str) -> bool:
    """Whether a part stands for more than the name that it is."""
    return _WILD.search(part) is not None


def fits(part: str, name: str) -> bool:
    """Whether a part of a pattern stands for a name."""
    if name.startswith(".") and not part.startswith("."):
        return False
    return _pattern(part).match(name) is not None


@cache
def _pattern(part: str) -> re.Pattern[str]:
    return re.compile(translate("*" if part == DEEP else part))
