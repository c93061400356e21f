"""The files that `$DAGNATS_OUTPUT` names: every attempt has one that is new and empty, or as good as that."""

import errno
import os
import shutil
import stat
from pathlib import Path

from dagnats.workers.outputs import OUTPUTS_MAX_BYTES, OutputError

_NOT_REGULAR = "$DAGNATS_OUTPUT is no regular file any more"


class OutputFile:
    """One of them, 0600 and empty when it is made. Raises OSError."""

    def __init__(self, path: str) -> None:
        self.path = path
        descriptor = created(path)
        self._facts = _facts(os.fstat(descriptor))
        os.close(descriptor)

    def is_untouched(self) -> bool:
        """Whether it is as it was made: the same file, empty, with no other name."""
        try:
            return _facts(os.lstat(self.path)) == self._facts
        except OSError:
            return False

    def read(self) -> bytes:
        """Give what was written; at most one byte more than may be. A file that was removed is an empty one. Raises OutputError."""
        if self.is_untouched():
            return b""
        try:
            descriptor = os.open(self.path, os.O_RDONLY | os.O_NONBLOCK)  # a pipe put in its place is not waited for
            try:
                return _content(descriptor)
            finally:
                os.close(descriptor)
        except FileNotFoundError:
            return b""
        except OSError as error:
            if error.errno in (errno.ELOOP, errno.ENXIO):  # a circle of links, a socket
                raise OutputError(_NOT_REGULAR) from error
            raise OutputError(f"$DAGNATS_OUTPUT can not be read: {error.strerror}") from error


class OutputFiles:
    """Those of one directory.

    What an attempt has not touched serves the next one, if nothing lives that could still write there: to make a file, to open and to remove it
    takes a twelfth of a short step.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._made = 0
        self._free: list[OutputFile] = []

    def take(self) -> OutputFile:
        """Give one that nobody uses. Raises OSError."""
        while self._free:
            file = self._free.pop()
            if file.is_untouched():
                return file
            remove(file.path)
        self._made += 1
        path = f"{self._directory}/{self._made}.outputs"
        try:
            return OutputFile(path)
        except OSError as error:
            if error.errno not in (errno.EISDIR, errno.ELOOP, errno.ENXIO):
                raise
            remove(path)  # what a step has put there: the directory is ours
            return OutputFile(path)

    def give_back(self, file: OutputFile, *, is_known_to_nobody: bool) -> None:
        """Keep it for the next attempt, or remove it, whatever the step has made of it."""
        if is_known_to_nobody and file.is_untouched():
            self._free.append(file)
        else:
            remove(file.path)


def created(path: str) -> int:
    """Open a file that is new and empty; what lies in its place is another attempt's that was given up."""
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_NONBLOCK, 0o600)


def remove(path: str) -> None:
    """Remove what is there, if anything is."""
    try:
        os.unlink(path)  # noqa: PTH108
    except OSError:
        shutil.rmtree(path, ignore_errors=True)  # gone already, or a directory in its place


def _facts(found: os.stat_result) -> tuple[int, ...]:
    return found.st_dev, found.st_ino, found.st_mode, found.st_nlink, found.st_uid, found.st_gid, found.st_size


def _content(descriptor: int) -> bytes:
    facts = os.fstat(descriptor)
    if not stat.S_ISREG(facts.st_mode):
        raise OutputError(_NOT_REGULAR)
    data = b""
    while facts.st_size and len(data) <= OUTPUTS_MAX_BYTES:
        chunk = os.read(descriptor, OUTPUTS_MAX_BYTES + 1 - len(data))
        if not chunk:
            break
        data += chunk
    return data
