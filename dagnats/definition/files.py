"""The bytes of a pipeline file, and the text in them: what is refused before anything is parsed."""

import os
import re
import stat
from functools import cache
from itertools import islice
from pathlib import Path

from dagnats.definition.problems import Effort, Problems, printable
from dagnats.definition.words import closest

MAX_BYTES = 1 << 20
MAX_NEIGHBOURS = 1000
BOM = "\ufeff"
LINE_BREAK = re.compile("\r\n|\r|\n")
# Control characters have no place in a file, and the other three break lines or vanish in some programs but not in others.
FORBIDDEN_ASCII = re.compile("[^\t\n\r\x20-\x7e]")
FORBIDDEN = "[^\t\n\r\x20-\x7e\xa0-\u2027\u202a-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]"
SURROGATES = r"(?<!\\)((?:\\\\)*)\\u([dD][89abAB][0-9a-fA-F]{2})\\u([dD][c-fC-F][0-9a-fA-F]{2})"


def read_bytes(path: str, problems: Problems) -> bytes | None:
    """The content of a regular file of at most 1 MiB; a pipe or a device is never waited for."""
    try:
        mode = os.stat(path).st_mode  # noqa: PTH116 (a Path would drop `./` and a final slash from the name)
        if not stat.S_ISREG(mode):
            problems.add_at(0, 0, 0, *_not_a_file(mode))
            return None
        # Between the two looks the path may have become a pipe; without O_NONBLOCK the open would wait for its writer.
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        with open(descriptor, "rb") as file:  # noqa: PTH123 (a descriptor)
            content = file.read(MAX_BYTES + 1) if os.fstat(descriptor).st_size <= MAX_BYTES else None
    except (OSError, ValueError) as error:
        problems.add_at(0, 0, 0, *_unreadable(path, error, problems.effort))
        return None
    if content is None or len(content) > MAX_BYTES:
        problems.add_at(0, 0, 0, "the file is larger than 1 MiB", "a pipeline is text; put data in files of its own")
        return None
    return content


def decode(content: bytes, problems: Problems, *, json: bool = False) -> str | None:
    """The text of the bytes: UTF-8 only, with or without a byte order mark, and no control characters."""
    if len(content) > MAX_BYTES:
        problems.add_at(0, 0, 0, "the file is larger than 1 MiB", "a pipeline is text; put data in files of its own")
        return None
    try:
        text = content.decode("utf-8").removeprefix(BOM)
    except UnicodeDecodeError as error:
        before = content[: error.start].decode("utf-8")
        line, column = position(before, len(before))
        hint = "save the file as UTF-8" + (
            " (it looks like UTF-16)" if content[:2] in (b"\xff\xfe", b"\xfe\xff") else ""
        )
        problems.add_at(line, column, 1, f"byte {error.start} (0x{content[error.start]:02x}) is not UTF-8", hint)
        return None
    found = _forbidden(ascii_only=text.isascii()).search(text)
    if found:
        line, column = position(text, found.start())
        code = f"U+{ord(found[0]):04X}"
        hint = f'in double quotes it can be written as "\\u{ord(found[0]):04x}"' if ord(found[0]) else ""
        problems.add_at(line, column, 1, f"the character {code} may not stand in a file", hint)
        return None
    return re.sub(SURROGATES, _join_surrogates, text) if json and "\\u" in text else text


@cache
def _forbidden(*, ascii_only: bool) -> re.Pattern[str]:
    return FORBIDDEN_ASCII if ascii_only else re.compile(FORBIDDEN)  # measured: 3 ms to compile, which few files need


def position(text: str, index: int) -> tuple[int, int]:
    """Line and column, from 1, of a place in a text."""
    line, start = 1, 0
    for found in LINE_BREAK.finditer(text, 0, index):
        line, start = line + 1, found.end()
    return line, index - start + 1


def _join_surrogates(found: re.Match[str]) -> str:
    # JSON writes a character beyond U+FFFF as two escapes; YAML has one for it and knows no halves.
    high, low = int(found[2], 16), int(found[3], 16)
    return f"{found[1]}\\U{0x10000 + ((high - 0xD800) << 10) + (low - 0xDC00):08x}"


def _not_a_file(mode: int) -> tuple[str, str]:
    if stat.S_ISDIR(mode):
        return "this is a directory, not a file", "name the pipeline file in it"
    if stat.S_ISFIFO(mode):
        return "this is a pipe, not a file", "write `-` to read a pipeline from stdin"
    return "this is not a regular file", "write `-` to read a pipeline from stdin"


def _unreadable(path: str, error: OSError | ValueError, effort: Effort) -> tuple[str, str]:
    if isinstance(error, FileNotFoundError):
        return "there is no such file", _neighbour(path, effort)
    if isinstance(error, PermissionError):
        return "the file may not be read", "check its permissions"
    reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return f"the file can not be read: {printable(reason)}", ""


def _neighbour(path: str, effort: Effort) -> str:
    folder, name = os.path.split(path)
    try:
        with os.scandir(folder or ".") as entries:
            names = [
                entry.name
                for entry in islice(entries, MAX_NEIGHBOURS)
                if entry.name.endswith((".yaml", ".yml", ".json"))
            ]
    except OSError:
        return (
            f"the directory `{printable(folder)}` can not be read either"
            if folder and not Path(folder).is_dir()
            else ""
        )
    close = closest(name, names, effort, 0.8)
    return f"did you mean `{printable(os.path.join(folder, close))}`?" if close else ""  # noqa: PTH118 (as typed)
