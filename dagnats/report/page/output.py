"""What steps printed, as HTML: colours as spans, everything else escaped, and no more of it than a report holds."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from html import escape
from itertools import islice
from typing import NamedTuple

from msgspec import Struct
from msgspec.structs import replace

from dagnats.report.record import Owner, Printed, shares
from dagnats.report.screen import fit
from dagnats.report.view import clean

FILE_MAX_BYTES = (
    1_950_000  # of the whole report, as long as there is room for the least that is shown of what steps printed
)
OUTPUT_MAX_BYTES = 1 << 20  # of all steps, as it is in the file: escaped, with its colours
OUTPUT_MIN_BYTES = 128 << 10
VALUES_MAX_BYTES = 128 << 10  # of the outputs and summaries of all steps
FAILED_MAX_BYTES = 64 << 10  # of one attempt that failed
OTHER_MAX_BYTES = 32 << 10
VALUE_MAX_BYTES = 16 << 10
_PIECE_CHARS = 120  # where a long line may be cut
_BLOCK = re.compile(
    rb"((?:[\t\x20-\x7e]*+\n)++|[\t\x20-\x7e]++\Z)|[^\n]++\n?"
)  # whole lines that are shown as they are, or one other line
_PART = re.compile(rf"(?:[^\n]{{0,14}}\n){{1,8}}|[^\n]{{1,{_PIECE_CHARS}}}\n?")  # short lines together
_LINE = re.compile(rb"[^\n]*+\n|[^\n]++")
_SGR = re.compile(r"\x1b\[([0-9;:]*)m")
_BIDI = dict.fromkeys(
    (0x061C, 0x200E, 0x200F, *range(0x202A, 0x202F), *range(0x2066, 0x206A))
)  # they reorder what is shown
_LEVELS = (0, 95, 135, 175, 215, 255)  # of the cube of 216 colours
_DIGITS_MAX = 4
_FLAGS = {1: "bold", 2: "dim", 3: "italic", 4: "underline", 7: "inverse", 9: "struck", 21: "underline"}
_UNFLAGS = {23: ("italic",), 22: ("bold", "dim"), 24: ("underline",), 27: ("inverse",), 29: ("struck",)}
_CLASSES = (("bold", "tb"), ("dim", "td"), ("italic", "ti"), ("underline", "tu"), ("inverse", "tv"), ("struck", "ts"))


class Piece(NamedTuple):
    """A line or a part of one: HTML that stands alone, and how many bytes of what was printed it stands for."""

    html: str
    raw_bytes: int


class _Pen(Struct, frozen=True):
    """How text is written. A colour is a number of the 16, `#rrggbb`, or None."""

    bold: bool = False
    dim: bool = False
    italic: bool = False
    underline: bool = False
    inverse: bool = False
    struck: bool = False
    ink: int | str | None = None
    paper: int | str | None = None


_PLAIN = _Pen()


def divided(sizes: Mapping[Owner, int], failed: Iterable[Owner], total: int = OUTPUT_MAX_BYTES) -> dict[Owner, int]:
    """Say how much of each output is shown: of those that failed more, and before the others, to whom they leave a quarter."""
    first = {owner: sizes[owner] for owner in failed if owner in sizes}
    rest = {owner: size for owner, size in sizes.items() if owner not in first}
    granted = shares(first, total * 3 // 4 if rest else total, FAILED_MAX_BYTES)
    return granted | shares(rest, total - sum(granted.values()), OTHER_MAX_BYTES)


def pieces(printed: Printed) -> list[Piece]:
    """Give all of it, in pieces of which any number from the end can be shown."""
    data = printed.data
    if printed.omitted_bytes:  # the first character may be cut
        data = data[: min(3, len(data))].lstrip(bytes(range(0x80, 0xC0))) + data[3:]
    pen = _PLAIN
    found: list[Piece] = []
    for block in _BLOCK.finditer(data):
        if block[1] is not None and pen == _PLAIN:
            found += [Piece(escape(part, quote=False), len(part)) for part in _PART.findall(block[0].decode())]
            continue
        for line in _LINE.findall(block[0]):
            pen = _line(line, pen, found)
    return found


def _line(line: bytes, pen: _Pen, found: list[Piece]) -> _Pen:
    """Add the pieces of one line; gives the pen with which the next begins."""
    shown = fit(line.removesuffix(b"\n")).decode("utf-8", "replace").translate(_BIDI)
    shown += "\n" if line.endswith(b"\n") else ""
    if pen == _PLAIN and "\x1b" not in shown and len(shown) <= _PIECE_CHARS:
        found.append(Piece(escape(shown, quote=False), len(line)))
        return pen
    parts: list[tuple[_Pen, str]] = []
    texts = _SGR.split(shown)  # text, codes, text, codes, …, text
    for place, part in enumerate(texts):
        if place % 2:
            pen = _after(pen, part)
        elif part:
            parts += [(pen, part[at : at + _PIECE_CHARS]) for at in range(0, len(part), _PIECE_CHARS)]
    made = [Piece(_span(with_pen, part), len(part.encode())) for with_pen, part in parts] or [Piece("", 0)]
    left = len(line)
    for place in range(len(made) - 1, 0, -1):
        made[place] = Piece(made[place].html, min(made[place].raw_bytes, left))
        left -= made[place].raw_bytes
    # what is not shown of a line, its colours and what it overwrote, counts with its beginning
    made[0] = Piece(made[0].html, left)
    found += made
    return pen


def _span(pen: _Pen, part: str) -> str:
    shown = escape(part, quote=False)
    if pen == _PLAIN or part == "\n":
        return shown
    end = "\n" if shown.endswith("\n") else ""
    names = [name for flag, name in _CLASSES if getattr(pen, flag)]
    ink, paper = (pen.paper, pen.ink) if pen.inverse else (pen.ink, pen.paper)
    styles = []
    for kind, colour, style in (("f", ink, "color"), ("g", paper, "background")):
        if isinstance(colour, int):
            names.append(f"{kind}{colour}")
        elif colour is not None:
            styles.append(f"{style}:{colour}")
    written = f' class="{" ".join(names)}"' if names else ""
    written += f' style="{";".join(styles)}"' if styles else ""
    return f"<span{written}>{shown.removesuffix(end)}</span>{end}"


def _after(pen: _Pen, codes: str) -> _Pen:
    """Give the pen after a sequence such as `1;38;5;208`."""
    left = iter(codes.split(";"))
    for code in left:
        number, *more = [_number(one) for one in code.split(":")]
        if number == 0:
            pen = _PLAIN
        elif number in (38, 48):
            colour = _colour(more) if more else _colour_of(left)
            pen = _painted(pen, number, colour) if colour is not None else pen
        elif number == 4 and more:
            pen = replace(pen, underline=more[0] != 0)
        elif number in _FLAGS:
            pen = replace(pen, **{_FLAGS[number]: True})
        elif number in _UNFLAGS:
            pen = replace(pen, **dict.fromkeys(_UNFLAGS[number], False))
        else:
            pen = _sixteen(pen, number)
    return pen


def _number(digits: str) -> int:
    return int(digits) if 0 < len(digits) <= _DIGITS_MAX else 0


def _sixteen(pen: _Pen, number: int) -> _Pen:
    for begin, first in ((30, 0), (40, 0), (90, 8), (100, 8)):
        if begin <= number < begin + 8:
            return _painted(pen, 38 if begin in (30, 90) else 48, number - begin + first)
    if number in (39, 49):
        return _painted(pen, number - 1, None)
    return pen


def _painted(pen: _Pen, target: int, colour: int | str | None) -> _Pen:
    return replace(pen, ink=colour) if target == 38 else replace(pen, paper=colour)


def _colour_of(left: Iterator[str]) -> int | str | None:
    """Take the codes of a colour, written with `;`."""
    kind = _number(next(left, ""))
    count = {5: 1, 2: 3}.get(kind, 0)
    return _colour([kind, *map(_number, islice(left, count))])


def _colour(parts: Sequence[int]) -> int | str | None:
    match list(parts):
        case [5, number] if number < 16:
            return number
        case [5, number] if number < 232:
            cube = number - 16
            return _hex(_LEVELS[cube // 36], _LEVELS[cube // 6 % 6], _LEVELS[cube % 6])
        case [5, number] if number < 256:
            return _hex(*(8 + 10 * (number - 232),) * 3)
        case [2, red, green, blue] | [2, _, red, green, blue, *_]:
            return _hex(red, green, blue)
        case _:
            return None


def _hex(red: int, green: int, blue: int) -> str:
    return f"#{min(red, 255):02x}{min(green, 255):02x}{min(blue, 255):02x}"


def size_of(made: Iterable[Piece]) -> int:
    """How many bytes of the file they take."""
    return sum(bytes_of(piece.html) for piece in made)


def bytes_of(written: str) -> int:
    """How many bytes of the file a text takes."""
    return len(written) if written.isascii() else len(written.encode())


def end_of(made: Sequence[Piece], most_bytes: int) -> tuple[str, int]:
    """Give as much of the end as fits, and how many bytes before it are left out."""
    begin, left = len(made), most_bytes
    while begin > 0 and (left := left - bytes_of(made[begin - 1].html)) >= 0:
        begin -= 1
    return "".join(piece.html for piece in made[begin:]), sum(piece.raw_bytes for piece in made[:begin])


def beginning_of(made: Sequence[Piece], most_bytes: int) -> tuple[str, int]:
    """Give as much of the beginning as fits, and how many bytes after it are left out."""
    end, left = 0, most_bytes
    while end < len(made) and (left := left - bytes_of(made[end].html)) >= 0:
        end += 1
    return "".join(piece.html for piece in made[:end]), sum(piece.raw_bytes for piece in made[end:])


def text_pieces(value: str) -> list[Piece]:
    """Give text of several lines that is no output: without colours, and without what could steer how it is shown."""
    found: list[Piece] = []
    lines = value.split("\n")
    for place, line in enumerate(lines, 1):
        shown = clean(line.replace("\t", "    ")) + ("\n" if place < len(lines) else "")
        parts = [shown[at : at + _PIECE_CHARS] for at in range(0, len(shown), _PIECE_CHARS)]
        found += [Piece(escape(part, quote=False), len(part.encode())) for part in parts]
    return found
