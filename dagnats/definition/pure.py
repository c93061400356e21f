"""ruamel's own scanner and parser, brought to read exactly what its C extension reads.

It serves where the extension can not be installed. The two differ in where a tab may stand and in the names of anchors; a file
must not be right on one machine and wrong on the next.
"""

from typing import Any

from ruamel.yaml.parser import Parser
from ruamel.yaml.reader import Reader
from ruamel.yaml.scanner import Scanner, ScannerError

ANCHOR_CHARACTERS = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-")
AFTER_ANCHOR = frozenset("\0 \t\r\n?:,]}%@`")
LINE_ENDS = frozenset("\0\r\n")


class PureParser(Reader, Scanner, Parser):
    """The scanner and the parser, without the composer and the constructors that ruamel puts above them."""

    processing_version = (1, 1)  # the C extension knows the syntax of 1.1; what differs is made alike before parsing
    top_level_block_style_scalar_no_indent_error_1_1 = True

    def __init__(self, text: str) -> None:
        self.comment_handling = None
        self._resolver = self
        Reader.__init__(self, text, loader=self)
        Scanner.__init__(self, loader=self)
        Parser.__init__(self, loader=self)

    def scan_to_next_token(self) -> None:
        """Skip blanks, line breaks and comments; a tab is blank wherever no key can begin."""
        while True:
            while self.peek() == " " or (self.peek() == "\t" and (self.flow_level or not self.allow_simple_key)):
                self.forward()
            if self.peek() == "#":
                while self.peek() not in LINE_ENDS:
                    self.forward()
            if not self.scan_line_break():
                return
            if not self.flow_level:
                self.allow_simple_key = True

    def fetch_directive(self) -> None:
        """Refuse a directive inside of the document; those before it are refused before parsing."""
        mark = self.get_mark()
        raise ScannerError("while scanning a directive", mark, "found a directive", mark)

    def scan_anchor(self, token_class: Any) -> Any:
        """Read an anchor or an alias, of letters, digits, `_` and `-`."""
        start = self.get_mark()
        kind = "alias" if self.peek() == "*" else "anchor"
        self.forward()
        length = 0
        while self.peek(length) in ANCHOR_CHARACTERS:
            length += 1
        name = self.prefix(length)
        self.forward(length)
        if not name or self.peek() not in AFTER_ANCHOR:
            raise ScannerError(f"while scanning an {kind}", start, "expected a letter or a digit", self.get_mark())
        return token_class(name, start, self.get_mark())

    def scan_plain_spaces(self, indent: int, start_mark: Any) -> list[str] | None:
        """Read what separates the words of a plain scalar; a tab does so as well as a space."""
        blanks = self._blanks()
        if self.peek() not in "\r\n":
            return [blanks] if blanks else []
        self.scan_line_break()
        self.allow_simple_key = True
        breaks: list[str] = []
        while True:
            if self.prefix(3) in ("---", "...") and self.column == 0 and self.peek(3) in "\0 \t\r\n":
                return None
            while self.peek() in " \t":
                if self.peek() == "\t" and self.column < indent:
                    raise ScannerError(
                        "while scanning a plain scalar",
                        start_mark,
                        "found a tab that violates indentation",
                        self.get_mark(),
                    )
                self.forward()
            if self.peek() not in "\r\n":
                return breaks or [" "]
            breaks.append(self.scan_line_break())

    def scan_block_scalar_ignored_line(self, start_mark: Any) -> None:
        """Skip the rest of the line that opens a block scalar: blanks, a comment, the line break."""
        self._blanks()
        if self.peek() == "#":
            while self.peek() not in LINE_ENDS:
                self.forward()
        if self.peek() not in LINE_ENDS:
            raise ScannerError("while scanning a block scalar", start_mark, "expected a line break", self.get_mark())
        self.scan_line_break()

    def scan_block_scalar_indicators(self, start_mark: Any) -> tuple[bool | None, int | None]:
        """Read `+` or `-` and the indentation of a block scalar, in either order."""
        chomping: bool | None = None
        increment: int | None = None
        for _ in range(2):
            ch = self.peek()
            if ch in "+-" and chomping is None:
                chomping = ch == "+"
            elif ch in "0123456789" and increment is None:
                increment = int(ch)
                if not increment:
                    raise ScannerError(
                        "while scanning a block scalar", start_mark, "found an indentation of 0", self.get_mark()
                    )
            else:
                break
            self.forward()
        return chomping, increment

    def scan_block_scalar_indentation(self) -> tuple[list[str], int, Any]:
        """Skip the empty lines above the text of a block scalar, and find how far it is indented."""
        breaks: list[str] = []
        deepest = 0
        end = self.get_mark()
        while True:
            while self.peek() == " ":
                self.forward()
                deepest = max(deepest, self.column)
            if self.peek() == "\t":
                raise ScannerError(
                    "while scanning a block scalar", end, "expected an indentation space", self.get_mark()
                )
            if self.peek() not in "\r\n":
                return breaks, deepest, end
            breaks.append(self.scan_line_break())
            end = self.get_mark()

    def scan_plain(self) -> Any:
        """Read a plain scalar; in `[…]` and `{…}` a `:` that is left in it was meant as something else."""
        token = super().scan_plain()
        if self.flow_level and ":" in token.value:
            at = token.start_mark
            at.column += token.value.index(":") if at.line == token.end_mark.line else 0
            raise ScannerError("while scanning a plain scalar", token.start_mark, "found unexpected ':'", at)
        return token

    def _blanks(self) -> str:
        length = 0
        while self.peek(length) in " \t":
            length += 1
        blanks: str = self.prefix(length)
        self.forward(length)
        return blanks
