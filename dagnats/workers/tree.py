"""Files beneath a project: found by globs, and opened without going through any link, so that nothing outside is ever reached."""

import os
import stat
from collections.abc import Iterator, Sequence

from msgspec import Struct, field

from dagnats.core.globs import DEEP, NEVER, fits, is_wild, parts_of
from dagnats.core.keeping import BYTES_MAX, DEPTH_MAX, FILES_MAX, SEEN_MAX

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_NAMED = 3  # paths, in a note


class TreeError(Exception):
    """The files can not be kept, or brought back; the text says why."""


class Entry(Struct, frozen=True):
    """A file, a directory or a link; `target` is where a link leads."""

    path: str
    mode: int
    size: int = 0
    mtime: float = 0.0
    target: str | None = None

    @property
    def is_directory(self) -> bool:
        """Whether it is one."""
        return stat.S_ISDIR(self.mode)


class Found(Struct):
    """What globs have found: entries by their path, what was left out, by the reason, and the globs that match nothing."""

    entries: dict[str, Entry] = field(default_factory=dict)
    left_out: dict[str, list[str]] = field(default_factory=dict)
    unmatched: list[str] = field(default_factory=list)
    bytes: int = 0
    files: int = 0
    seen: int = 0

    def note(self) -> str:
        """Say what was left out, or was not there."""
        said = [f"nothing matches {', '.join(self.unmatched)}"] if self.unmatched else []
        for why, paths in self.left_out.items():
            more = f" and {len(paths) - _NAMED:,} more" if len(paths) > _NAMED else ""
            said.append(f"{', '.join(paths[:_NAMED])}{more} is left out: {why}")
        return "; ".join(said)


def find(root: str, patterns: Sequence[str]) -> Found:
    """Find what the patterns name beneath the root. Raises TreeError when it is too much, or can not be read."""
    found = Found()
    where = os.path.realpath(root)
    try:
        top = os.open(where, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        raise TreeError(f"the project's root {root} can not be read: {error.strerror}") from error
    try:
        for pattern in patterns:
            parts = parts_of(pattern)
            once = (part for at, part in enumerate(parts) if part != DEEP or parts[at + 1 : at + 2] != (DEEP,))
            walk = _Walk(where, found)
            walk.match(top, "", tuple(once))
            if not walk.has_matched:
                found.unmatched.append(pattern)
    finally:
        os.close(top)
    return found


class _Walk:
    """The way of one pattern through the directories."""

    def __init__(self, root: str, found: Found) -> None:
        self._root = root
        self._found = found
        self.has_matched = False

    def match(self, directory: int, prefix: str, parts: tuple[str, ...], depth: int = 0) -> None:
        """Take what the rest of a pattern names in a directory, of which `prefix` is the path with a `/` behind it."""
        if parts in ((DEEP,), (DEEP, "*")):
            parts = ("*",)  # which takes directories with all that is in them
        part, rest = parts[0], parts[1:]
        if part == DEEP:
            self.match(directory, prefix, rest, depth)
            for name in self._names(directory, prefix):
                if fits(DEEP, name):
                    self._within(directory, prefix, name, parts, depth)
            return
        for name in self._names(directory, prefix) if is_wild(part) else (part,):
            if is_wild(part) and not fits(part, name):
                continue
            if rest:
                self._within(directory, prefix, name, rest, depth)
            else:
                self._take(directory, prefix, name, hidden=not is_wild(part), depth=depth)

    def _within(self, directory: int, prefix: str, name: str, parts: tuple[str, ...], depth: int) -> None:
        """Go on in a directory, if it is one."""
        inner = self._opened(directory, name, depth)
        if inner is None:
            return
        try:
            self.match(inner, f"{prefix}{name}/", parts, depth + 1)
        finally:
            os.close(inner)

    def _opened(self, directory: int, name: str, depth: int) -> int | None:
        if name in NEVER:
            return None
        if depth >= DEPTH_MAX:
            raise TreeError(f"there are more than {DEPTH_MAX} directories below each other")
        try:
            return os.open(name, _DIRECTORY, dir_fd=directory)
        except (NotADirectoryError, FileNotFoundError):
            return None
        except OSError as error:
            if stat.S_ISLNK(os.lstat(name, dir_fd=directory).st_mode):
                return None
            raise TreeError(f"{name} can not be read: {error.strerror}") from error

    def _names(self, directory: int, prefix: str) -> list[str]:
        try:
            names = sorted(os.listdir(directory))
        except OSError as error:
            raise TreeError(f"{prefix or 'the project'} can not be read: {error.strerror}") from error
        self._found.seen += len(names)
        if self._found.seen > SEEN_MAX:
            raise TreeError(f"more than {SEEN_MAX:,} files and directories would have to be looked at; name fewer")
        return names

    def _take(self, directory: int, prefix: str, name: str, *, hidden: bool, depth: int) -> None:
        """Take what has a name, and all that is in it if it is a directory."""
        path = prefix + name
        if name in NEVER or len(name) > 255:
            return
        try:
            facts = os.lstat(name, dir_fd=directory)
        except (FileNotFoundError, NotADirectoryError):
            return
        self.has_matched = True
        if path in self._found.entries and not stat.S_ISDIR(facts.st_mode):
            return
        if stat.S_ISDIR(facts.st_mode):
            self._add(Entry(path, facts.st_mode, mtime=facts.st_mtime))
            inner = self._opened(directory, name, depth)
            if inner is not None:
                self._take_all(inner, f"{path}/", hidden=hidden, depth=depth + 1)
        elif stat.S_ISLNK(facts.st_mode):
            self._take_link(path, os.readlink(name, dir_fd=directory), facts)
        elif stat.S_ISREG(facts.st_mode):
            self._add(Entry(path, facts.st_mode, facts.st_size, facts.st_mtime))
        else:
            self._leave_out("neither a file nor a directory", path)

    def _take_all(self, directory: int, prefix: str, *, hidden: bool, depth: int) -> None:
        try:
            for name in self._names(directory, prefix):
                if hidden or not name.startswith("."):
                    self._take(directory, prefix, name, hidden=hidden, depth=depth)
        finally:
            os.close(directory)

    def _take_link(self, path: str, target: str, facts: os.stat_result) -> None:
        """Take a link as it is; one that says from the machine's root where it leads within the project is made relative."""
        parent = f"{self._root}/{path}".rpartition("/")[0]
        if target.startswith("/") and _is_beneath(os.path.normpath(target), self._root):
            target = os.path.relpath(target, parent)
        real = os.path.realpath(f"{parent}/{target}")
        if not leads_within(path, target) or not _is_beneath(real, self._root):
            self._leave_out("a link that leads out of the project", path)
            return
        self._add(Entry(path, facts.st_mode, mtime=facts.st_mtime, target=target))

    def _leave_out(self, why: str, path: str) -> None:
        self._found.left_out.setdefault(why, []).append(path)

    def _add(self, entry: Entry) -> None:
        found = self._found
        found.entries[entry.path] = entry
        if entry.is_directory:
            return
        found.bytes += entry.size
        found.files += 1
        if found.files > FILES_MAX or len(found.entries) > 2 * FILES_MAX:
            raise TreeError(f"they are more than {FILES_MAX:,} files, which is the most that is kept of a step")
        if found.bytes > BYTES_MAX:
            raise TreeError(f"they have more than {BYTES_MAX >> 20:,} MiB, which is the most that is kept of a step")


def leads_within(path: str, target: str) -> bool:
    """Whether a link at a path of the project, read as text, leads to a place in it."""
    if target.startswith("/") or not target:
        return False
    parts: list[str] = path.split("/")[:-1]
    for part in target.split("/"):
        if part == ".." and not parts:
            return False
        if part == "..":
            parts.pop()
        elif part not in ("", "."):
            parts.append(part)
    return not any(part in NEVER for part in parts)


def _is_beneath(path: str, root: str) -> bool:
    return path == root or path.startswith(root.rstrip("/") + "/")


def open_parent(root: int, path: str, *, make: bool = False) -> int:
    """Open the directory in which a path of the project lies, with what is missing of it made if it is to be; a link is not gone through. Raises OSError."""
    directory = os.dup(root)
    try:
        for part in path.split("/")[:-1]:
            if make:
                _make(part, directory)
            inner = os.open(part, _DIRECTORY, dir_fd=directory)
            os.close(directory)
            directory = inner
    except OSError:
        os.close(directory)
        raise
    return directory


def _make(name: str, directory: int) -> None:
    try:
        os.mkdir(name, dir_fd=directory)
    except FileExistsError:
        return


def in_order(found: Found) -> Iterator[Entry]:
    """Give the entries with every directory before what is in it."""
    for path in sorted(found.entries, key=lambda path: path.split("/")):
        yield found.entries[path]
