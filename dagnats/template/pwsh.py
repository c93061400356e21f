"""The quotes of PowerShell, as far as they decide whether a variable is expanded."""

import re
from collections.abc import Callable, Mapping
from typing import Final

from dagnats.template.errors import TemplateError
from dagnats.template.scanner import CODE, COMMENT, DOLLAR, DOUBLE, SINGLE, Scanner
from dagnats.template.scripts import TAG, VALUE, Script

_BLOCK, _HERE_SINGLE, _HERE_DOUBLE = "block", "here single", "here double"
_ENDS: Final = {_HERE_SINGLE: "\n'@", _HERE_DOUBLE: '\n"@'}
_HERE: Final = re.compile(r"@(['\"])[ \t]*(?=\n)")
_BRACES: Final = re.compile(r"\$\{[^{}\n]*\}")
# PowerShell takes the quotes of typography for those of programs.
_QUOTES: Final = str.maketrans(
    dict.fromkeys("\u2018\u2019\u201a\u201b", "'") | dict.fromkeys("\u201c\u201d\u201e", '"')
)
_SINGLE_QUOTED: Final = (
    "an interpolation in single quotes is not expanded",
    "use double quotes, or join: 'a ' + \"{{ x }}\" + ' b'",
)
_HERE_QUOTED: Final = (
    "an interpolation in a here-string of single quotes is not expanded",
    'begin it with @" and end it with "@',
)
_BACKTICK: Final = ("a backtick before an interpolation keeps it from being expanded", "remove the backtick")


def scan_pwsh(script: Script) -> list[TemplateError]:
    """Every interpolation that PowerShell would not expand."""
    return _Pwsh(Script(script.text.translate(_QUOTES), script.lines, script.tags)).scan()


class _Pwsh(Scanner):
    def _steps(self) -> Mapping[str, Callable[[str], None]]:
        return {
            CODE: self._code,
            DOUBLE: self._double,
            SINGLE: self._single,
            COMMENT: self._comment,
            _BLOCK: self._block,
            _HERE_SINGLE: self._here,
            _HERE_DOUBLE: self._here,
        }

    def _code(self, character: str) -> None:
        if self._common(character):
            return
        if self._next("--%"):
            self._sure = False  # from here on the line is not PowerShell's
        elif self._next("<#"):
            self._enter(_BLOCK, 2)
        elif character == "#" and self._begins_word():
            self._enter(COMMENT, 1)
        elif self._next("@'") or self._next('@"'):
            self._here_string()
        elif character in ("'", '"'):
            self._enter(SINGLE if character == "'" else DOUBLE, 1)
        elif character == "(":
            self._enter(CODE, 1)
        elif character == ")":
            self._close_parenthesis()
        else:
            self._position += 1

    def _begins_word(self) -> bool:
        return self._position == 0 or self._text[self._position - 1] in f" \t\n;,|&(){{}}{TAG}"

    def _here_string(self) -> None:
        found = _HERE.match(self._text, self._position)
        self._sure = found is not None
        if found is not None:
            self._enter(_HERE_SINGLE if found[1] == "'" else _HERE_DOUBLE, len(found[0]))

    def _common(self, character: str) -> bool:
        """What code and all that expands variables have in common; says whether it was that."""
        following = self._text[self._position + 1 : self._position + 2]
        if character == VALUE:
            self._value()
        elif character == "`" and following == VALUE:
            self._value(2, *_BACKTICK)
        elif character == "$" and following == VALUE:
            self._value(2, *DOLLAR)
        elif character == "`":
            self._position += 1 if following == TAG else 2
        elif self._next("$("):
            self._enter(CODE, 2)
        elif self._next("${"):
            self._braces()
        else:
            return False
        return True

    def _braces(self) -> None:
        """A variable whose name may hold anything but braces."""
        found = _BRACES.match(self._text, self._position)
        self._sure = found is not None and TAG not in found[0] and VALUE not in found[0]
        self._position = found.end() if found is not None else self._position

    def _double(self, character: str) -> None:
        if character == '"':
            self._leave()
        elif not self._common(character):
            self._position += 1

    def _single(self, character: str) -> None:
        if character == "'":
            self._leave()
        elif character == VALUE:
            self._value(1, *_SINGLE_QUOTED)
        else:
            self._position += 1

    def _here(self, character: str) -> None:
        mode = self._modes[-1]
        if self._next(_ENDS[mode]):
            self._leave(3)
        elif mode == _HERE_SINGLE and character == VALUE:
            self._value(1, *_HERE_QUOTED)
        elif mode == _HERE_SINGLE or not self._common(character):
            self._position += 1

    def _block(self, character: str) -> None:
        if self._next("#>"):
            self._leave(2)
        elif character == VALUE:
            self._value()
        else:
            self._position += 1
