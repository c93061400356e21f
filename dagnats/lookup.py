"""Where the file of a program is. The guardian imports this: only cheap modules here."""

from __future__ import annotations

import errno
import os


def resolve(program: bytes, search_path: bytes | None) -> bytes:
    """The file to run, looked up in the process's own PATH.

    Empty and relative entries do not count: a file that lies in the working directory is never run for a command's name.
    """
    if b"/" in program:
        return program
    code = errno.ENOENT
    for folder in (os.defpath.encode() if search_path is None else search_path).split(b":"):
        path = folder + b"/" + program
        if folder.startswith(b"/") and os.access(path, os.F_OK) and os.path.isfile(path):  # noqa: PTH113
            if os.access(path, os.X_OK):
                return path
            code = errno.EACCES
    raise OSError(code, os.strerror(code))
