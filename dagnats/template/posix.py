"""The quotes of bash and sh, as far as they decide whether a variable is expanded."""

import re
from collections.abc import Callable, Mapping
from typing import Final

from dagnats.template.errors import TemplateError
from dagnats.template.scanner import CODE, COMMENT, DOLLAR, DOUBLE, SINGLE, Scanner
from dagnats.template.scripts import TAG, VALUE, Script

_ANSI: Final = "ansi"

_HERE: Final = re.compile(r"""<<(-?)[ \t]*(?:'([^'\n]*)'|"([^"\n]*)"|\\(\w+)|(\w+))(?=[\s;&|)<>]|$)""")
_BRACES: Final = re.compile(r"""\$\{[^{}"'`\n\\]*\}""")
_SINGLE_HINT: Final = """close the quote: 'a '"{{ x }}"' b', or use double quotes"""


def scan_bash(script: Script) -> list[TemplateError]:
    """Every interpolation that bash would not expand."""
    return _Posix(script, ansi=True).scan()


def scan_sh(script: Script) -> list[TemplateError]:
    """Every interpolation that no sh would expand, be it bash or dash."""
    return _Posix(script, ansi=False).scan()


class _Posix(Scanner):
    """A scanner that also knows here-documents: their bodies begin at the next line, and may be several."""

    def __init__(self, script: Script, *, ansi: bool) -> None:
        super().__init__(script)
        self._has_ansi = ansi  # whether `$'` is a quote of its own
        self._here: list[tuple[str, bool, bool]] = []  # delimiter, tabs are stripped, quoted

    def _steps(self) -> Mapping[str, Callable[[str], None]]:
        return {
            CODE: self._code,
            DOUBLE: self._double,
            SINGLE: self._single,
            _ANSI: self._ansi,
            COMMENT: self._comment,
        }

    def _is_between(self) -> bool:
        return not self._here

    def _code(self, character: str) -> None:
        if self._common(character):
            return
        if character == "'":
            self._enter(SINGLE, 1)
        elif self._next("$'"):
            self._sure = self._has_ansi
            self._enter(_ANSI, 2)
        elif character == "(":
            self._enter(CODE, 1)
        elif character == ")":
            self._close_parenthesis()
        elif character == "#" and self._begins_word():
            self._enter(COMMENT, 1)
        else:
            self._line(character)

    def _line(self, character: str) -> None:
        if self._next("<<<"):
            self._position += 3
        elif self._next("<<"):
            self._here_document()
        elif self._next("case") and self._begins_word() and len(self._modes) > 1:
            self._sure = False  # the parentheses of its patterns do not come in pairs
        else:
            self._position += 1
            if character == "\n":
                self._bodies()

    def _begins_word(self) -> bool:
        return self._position == 0 or self._text[self._position - 1] in f" \t\n;&|({TAG}"

    def _double(self, character: str) -> None:
        if character == '"':
            self._leave()
        elif character == "\n" and self._here:
            self._sure = False
        elif not self._common(character):
            self._position += 1

    def _common(self, character: str) -> bool:
        """What code and double quotes have in common; says whether it was that."""
        following = self._text[self._position + 1 : self._position + 2]
        if character == VALUE:
            self._value()
        elif character == "\\" and following == VALUE:
            self._value(2, "a backslash before an interpolation keeps it from being expanded", "remove the backslash")
        elif character == "$" and following == VALUE:
            self._value(2, *DOLLAR)
        elif character == "\\" or self._next("$$"):
            # A mark of a statement is passed by whoever counts them.
            self._position += 1 if following == TAG else 2
        elif self._next("$("):
            self._enter(CODE, 2)
        elif self._next("${"):
            self._braces()
        elif character == "`":
            self._sure = False  # what is within has rules of its own
        elif character == '"' and self._modes[-1] == CODE:
            self._enter(DOUBLE, 1)
        else:
            return False
        return True

    def _braces(self) -> None:
        """A use of a variable; with quotes or more in it, what follows is in doubt."""
        braces = _BRACES.match(self._text, self._position)
        if braces is None or TAG in braces[0]:
            self._sure = False
            return
        self._position = braces.end()
        for _ in range(braces[0].count(VALUE)):
            self._findings.value()

    def _single(self, character: str) -> None:
        if character == "'":
            self._leave()
            return
        if character == VALUE:
            self._findings.value("an interpolation in single quotes is not expanded", _SINGLE_HINT)
        self._position += 1

    def _ansi(self, character: str) -> None:
        if character == "\\" and self._text[self._position + 1 : self._position + 2] not in (VALUE, TAG):
            self._position += 2
        else:
            self._single(character)

    def _here_document(self) -> None:
        found = _HERE.match(self._text, self._position)
        if found is None:
            self._sure = False
            return
        quoted = found[5] is None
        delimiter = next(group for group in found.groups()[1:] if group is not None)
        self._sure = VALUE not in delimiter and TAG not in delimiter
        self._here.append((delimiter, bool(found[1]), quoted))
        self._position = found.end()

    def _bodies(self) -> None:
        while self._here and self._sure and self._position < len(self._text):
            delimiter, tabs, quoted = self._here[0]
            end = self._text.find("\n", self._position)
            end = len(self._text) if end < 0 else end
            line = self._text[self._position : end].replace(TAG, "")
            if (line.lstrip("\t") if tabs else line) == delimiter:
                self._here.pop(0)
            self._body_line(self._text[self._position : end], delimiter, quoted)
            self._position = end + 1

    def _body_line(self, line: str, delimiter: str, quoted: bool) -> None:
        for character in line:
            if character == VALUE and quoted:
                self._findings.value(
                    "an interpolation in a here-document with a quoted delimiter is not expanded",
                    f"write <<{delimiter} without quotes",
                )
            elif character == VALUE:
                self._findings.value()
            elif character == TAG:
                self._body_tag()

    def _body_tag(self) -> None:
        here, self._here = self._here, []
        self._tag()
        self._here = here
