"""The quotes of bash and sh, as far as they decide whether a variable is expanded."""

import re
from typing import Final

from dagnats.template.errors import TemplateError
from dagnats.template.scripts import TAG, VALUE, Findings, Script

_CODE, _DOUBLE, _SINGLE, _ANSI, _COMMENT = "code", "double", "single", "ansi", "comment"

_HERE: Final = re.compile(r"""<<(-?)[ \t]*(?:'([^'\n]*)'|"([^"\n]*)"|\\(\w+)|(\w+))(?=[\s;&|)<>]|$)""")
_BRACES: Final = re.compile(r"""\$\{[^{}"'`\n\\]*\}""")
_SINGLE_HINT: Final = """close the quote: 'a '"{{ x }}"' b', or use double quotes"""


def scan_bash(script: Script) -> list[TemplateError]:
    """Every interpolation that bash would not expand."""
    return _Scanner(script, ansi=True).scan()


def scan_sh(script: Script) -> list[TemplateError]:
    """Every interpolation that no sh would expand, be it bash or dash."""
    return _Scanner(script, ansi=False).scan()


class _Scanner:
    """One pass over a script. `_modes` is what is open, the innermost last."""

    def __init__(self, script: Script, *, ansi: bool) -> None:
        self._text = script.text
        self._has_ansi = ansi  # whether `$'` is a quote of its own
        self._findings = Findings(script)
        self._modes = [_CODE]
        self._branches: list[list[str]] = []  # what was open where each `if` and `for` began
        self._here: list[tuple[str, bool, bool]] = []  # delimiter, tabs are stripped, quoted
        self._position = 0
        self._sure = True

    def scan(self) -> list[TemplateError]:
        """Go through the text until its end or the first doubt."""
        steps = {
            _CODE: self._code,
            _DOUBLE: self._double,
            _SINGLE: self._single,
            _ANSI: self._ansi,
            _COMMENT: self._comment,
        }
        while self._sure and self._position < len(self._text):
            character = self._text[self._position]
            if character == TAG:
                self._position += 1
                self._tag()
            else:
                steps[self._modes[-1]](character)
        return self._findings.problems

    def _next(self, text: str) -> bool:
        return self._text.startswith(text, self._position)

    def _enter(self, mode: str, width: int) -> None:
        self._modes.append(mode)
        self._position += width

    def _leave(self) -> None:
        self._modes.pop()
        self._position += 1

    def _tag(self) -> None:
        """A branch that opens a quote and does not close it leaves the rest in doubt."""
        tag = self._findings.tag()
        if tag in ("if", "for"):
            self._branches.append(list(self._modes))
        elif tag in ("elif", "else", "endif", "endfor"):
            self._sure = bool(self._branches) and self._branches[-1] == self._modes and not self._here
            if tag.startswith("end") and self._branches:
                self._branches.pop()

    def _code(self, character: str) -> None:
        if self._common(character):
            return
        if character == "'":
            self._enter(_SINGLE, 1)
        elif self._next("$'"):
            self._sure = self._has_ansi
            self._enter(_ANSI, 2)
        elif character == "(":
            self._enter(_CODE, 1)
        elif character == ")":
            self._position += 1
            if len(self._modes) > 1:
                self._modes.pop()
        elif character == "#" and self._begins_word():
            self._enter(_COMMENT, 1)
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
            self._findings.value()
            self._position += 1
        elif character == "\\" and following == VALUE:
            self._findings.value(
                "a backslash before an interpolation keeps it from being expanded", "remove the backslash"
            )
            self._position += 2
        elif character == "$" and following == VALUE:
            self._findings.value("a `$` before an interpolation is not part of it", "write {{ x }}, not ${{ x }}")
            self._position += 2
        elif character == "\\" or self._next("$$"):
            # A mark of a statement is passed by whoever counts them.
            self._position += 1 if following == TAG else 2
        elif self._next("$("):
            self._enter(_CODE, 2)
        elif self._next("${"):
            self._braces()
        elif character == "`":
            self._sure = False  # what is within has rules of its own
        elif character == '"' and self._modes[-1] == _CODE:
            self._enter(_DOUBLE, 1)
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

    def _comment(self, character: str) -> None:
        if character == "\n":
            self._modes.pop()
            return
        if character == VALUE:
            self._findings.value()
        self._position += 1

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
