"""Files of environment variables (`dotenv`): read when a run starts, into the environment of steps and nowhere else.

Such files often hold secrets. So what they hold is neither recorded nor shown: an error names the file, the line and the variable.
"""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from dagnats.core.pipeline import EnvFile
from dagnats.definition.files import BOM, read_bytes
from dagnats.definition.problems import Problems, printable, quoted
from dagnats.definition.values import RESERVED
from dagnats.errors import UsageError

MAX_ERRORS = 50
SKIPPED = re.compile(r"(?:[ \t]*(?:#[^\n]*)?\n)*[ \t]*(?:#[^\n]*\Z)?")
NAME = re.compile(r"(?:export[ \t]+)?([^\s=#'\"]*)[ \t]*(=?)[ \t]*")
VALID_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,199}")
LITERAL = re.compile(r"'([^']*)'")
ESCAPED = re.compile(r'"((?:[^"\\]|\\.)*)"', re.DOTALL)
PLAIN = re.compile(r"[^\n]*")
REST = re.compile(r"[ \t]*(?:#[^\n]*)?(?=\n|\Z)")
ESCAPE = re.compile(r"\\(.)", re.DOTALL)
ESCAPES = {"n": "\n", "r": "\r", "t": "\t", "\\": "\\", '"': '"', "'": "'", "$": "$", "`": "`"}


class _LineError(Exception):
    """What is wrong with an assignment."""

    is_last = False  # whether the rest of the file is in doubt too


class _UnclosedError(_LineError):
    """A quote without its end."""

    is_last = True


def read_dotenv(files: Sequence[EnvFile], root: Path) -> dict[str, str]:
    """The variables of the files, later ones before earlier ones. Raises UsageError with everything that is wrong with any."""
    values: dict[str, str] = {}
    errors: list[str] = []
    for file in files:
        try:
            content = _content(file, root)
            if content is not None:
                found, wrong = parse_dotenv(content)
                values |= found
                errors += [f"{printable(file.path)}:{line}: {message}" for line, message in wrong]
        except UsageError as error:
            errors.append(str(error))
    if errors:
        shown = errors[:MAX_ERRORS]
        more = [f"… and {len(errors) - len(shown):,} more"] if len(errors) > len(shown) else []
        raise UsageError("\n".join([*shown, *more, "nothing was started"]))
    return values


def _content(file: EnvFile, root: Path) -> str | None:
    name = f"dotenv: {printable(file.path)}"
    try:
        path = (root / file.path).resolve()
        if not path.is_relative_to(root.resolve()):
            raise UsageError(f"{name}: leaves the project {root}; its own files and links within it can be read")
        if file.optional and not path.exists():
            return None
    except (OSError, ValueError, RuntimeError) as error:
        raise UsageError(f"{name}: can not be read: {error}") from error
    problems = Problems(file.path)
    content = read_bytes(str(path), problems)
    if content is None:
        (problem,) = problems.sorted()
        missing = not path.exists()
        hint = "write `{path: …, optional: true}` if it need not be there" if missing else problem.hint
        raise UsageError(f"{name}: {problem.message}" + (f"; {hint}" if hint else ""))
    try:
        return content.decode("utf-8").removeprefix(BOM)
    except UnicodeDecodeError as error:
        raise UsageError(f"{name}: byte {error.start} is not UTF-8") from None


def parse_dotenv(text: str) -> tuple[Mapping[str, str], list[tuple[int, str]]]:
    """The variables in a text, and the line and message of everything that is wrong. `$` is never expanded."""
    text = text.replace("\r\n", "\n")
    values: dict[str, str] = {}
    wrong: list[tuple[int, str]] = []
    position, line, counted = 0, 1, 0
    while (position := _skip(text, position)) < len(text):
        line, counted = line + text.count("\n", counted, position), position
        try:
            name, value, position = _assignment(text, position)
            values[name] = value
        except _LineError as error:
            wrong.append((line, str(error)))
            end = text.find("\n", position)
            position = len(text) if end < 0 or error.is_last else end
    return values, wrong


def _skip(text: str, position: int) -> int:
    found = SKIPPED.match(text, position)
    return found.end() if found else position


def _assignment(text: str, position: int) -> tuple[str, str, int]:
    found = NAME.match(text, position)
    if found is None or not found[2]:
        raise _LineError("there is no `=` after the name; write `NAME=value`")
    name = found[1]
    if not VALID_NAME.fullmatch(name):
        # It may be a line of a key that has lost its quotes: not even the name is shown.
        raise _LineError("what stands before `=` is no name; letters, digits and `_` make one, a digit not first")
    if name.startswith(RESERVED):
        raise _LineError(
            f"the name {quoted(name)} is reserved; names that begin with {RESERVED} are set for every step"
        )
    value, end = _value(text, found.end(), f"the value of {quoted(name)}")
    if "\0" in value:
        raise _LineError(f"the value of {quoted(name)} holds a NUL, which no program can be given")
    return name, value, end


def _value(text: str, position: int, what: str) -> tuple[str, int]:
    quote = text[position : position + 1]
    if quote not in ("'", '"') or not quote:
        return _plain(text, position, what)
    found = (LITERAL if quote == "'" else ESCAPED).match(text, position)
    if found is None:
        raise _UnclosedError(f"{what} begins with {quote} and has no {quote} at its end")
    rest = REST.match(text, found.end())
    if rest is None:
        raise _LineError(f"{what} goes on behind its quotes; put all of it in quotes, and a blank before `#`")
    if quote == "'":
        return found[1], rest.end()
    if any(character not in ESCAPES for character in ESCAPE.findall(found[1])):
        raise _LineError(f"{what} has a `\\` that begins no escape; write `\\\\`, or use single quotes")
    return ESCAPE.sub(lambda escape: ESCAPES[escape[1]], found[1]), rest.end()


def _plain(text: str, position: int, what: str) -> tuple[str, int]:
    found = PLAIN.match(text, position)
    line = found[0] if found else ""
    value = re.split(r"(?:^|[ \t])#", line, maxsplit=1)[0].strip(" \t\r")
    if "'" in value or '"' in value:
        raise _LineError(f"{what} has a quote in it; put all of it in quotes of the other kind")
    return value, position + len(line)
