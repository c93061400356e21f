"""What the system takes as a command, in its own terms, and its refusals in words."""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING

from dagnats.errors import DagnatsError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

STRING_BYTES = 128 * 1024  # Linux takes no longer argument or variable, its end included


class SpawnError(DagnatsError):
    """A process could not be started; nothing ran. The text says why, `exit_code` is what a shell would make of it."""

    def __init__(self, message: str, number: int) -> None:
        super().__init__(message)
        self.errno = number
        self.exit_code = 127 if number == errno.ENOENT else 126


def encode_argv(argv: Sequence[str]) -> list[bytes]:
    """An argument list in bytes, checked."""
    if not argv or not argv[0]:
        raise SpawnError("there is no command to run", errno.EINVAL)
    return [encode_string(word, f"argument {at} of {argv[0]}") for at, word in enumerate(argv)]


def encode_env(env: Mapping[str, str]) -> dict[bytes, bytes]:
    """Environment variables in bytes, checked; what is too long is named."""
    variables = {}
    for name, value in env.items():
        if not name or "=" in name:
            raise SpawnError(f"not a name for an environment variable: {name!r}", errno.EINVAL)
        left, _, right = encode_string(f"{name}={value}", f"environment variable {name}").partition(b"=")
        variables[left] = right
    return variables


def encode_string(text: str, what: str) -> bytes:
    """One string in bytes, or an error that names what it was meant for."""
    try:
        data = os.fsencode(text)
    except UnicodeEncodeError:
        raise SpawnError(f"{what}: holds a character that has no encoding", errno.EILSEQ) from None
    if len(data) >= STRING_BYTES:
        size_kib = len(data) // 1024
        hint = "Put it into a file and pass the file's name."
        raise SpawnError(f"{what}: {size_kib} KiB, over the system's limit of 128 KiB. {hint}", errno.E2BIG)
    if b"\0" in data:
        raise SpawnError(f"{what}: holds a NUL byte, which no process can be given", errno.EINVAL)
    return data


def spawn_error(program: str, cwd: str, number: int, part: str) -> SpawnError:
    """What the system refused, in words. `part` is "cwd" or "program"."""
    if part == "cwd":
        text = {
            errno.ENOENT: "working directory does not exist: {}",
            errno.ENOTDIR: "working directory is not a directory: {}",
            errno.EACCES: "working directory may not be entered: {}",
        }.get(number, "working directory can not be used: {} (" + os.strerror(number) + ")")
        return SpawnError(text.format(cwd), number)
    if number == errno.ENOENT and "/" in program and os.path.exists(os.path.join(cwd, program)):  # noqa: PTH110, PTH118
        return SpawnError(f"the interpreter that the first line of {program} names does not exist", number)
    text = {
        errno.ENOENT: "command not found: {}",
        errno.ENOTDIR: "command not found: {}",
        errno.EACCES: "permission denied: {}",
        errno.ENOEXEC: "not a program: {} (neither made for this machine nor a script that begins with #!)",
        errno.E2BIG: "arguments and environment are together longer than the system allows: {}",
    }.get(number, "could not be started: {} (" + os.strerror(number) + ")")
    return SpawnError(text.format(program), number)
