"""What the scanners for the quotes of shells share: one pass over a script, a stack of what is open, and the first doubt ends it."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping

from dagnats.template.errors import TemplateError
from dagnats.template.scripts import TAG, VALUE, Findings, Script

CODE, DOUBLE, SINGLE, COMMENT = "code", "double", "single", "comment"
DOLLAR = ("a `$` before an interpolation is not part of it", "write {{ x }}, not ${{ x }}")


class Scanner(ABC):
    """One pass over a script. `_modes` is what is open, the innermost last."""

    def __init__(self, script: Script) -> None:
        self._text = script.text
        self._findings = Findings(script)
        self._modes = [CODE]
        # A number for each stack of modes, by that of the stack below: 2,000 statements do not compare 20,000 parentheses each.
        self._numbers: dict[tuple[int, str], int] = {}
        self._stacks = [0]
        self._branches: list[int] = []  # what was open where each `if` and `for` began
        self._position = 0
        self._sure = True

    def scan(self) -> list[TemplateError]:
        """Go through the text until its end or the first doubt."""
        steps = self._steps()
        while self._sure and self._position < len(self._text):
            character = self._text[self._position]
            if character == TAG:
                self._position += 1
                self._tag()
            else:
                steps[self._modes[-1]](character)
        return self._findings.problems

    @abstractmethod
    def _steps(self) -> Mapping[str, Callable[[str], None]]:
        """What a character means in each mode."""

    def _is_between(self) -> bool:
        """Whether a branch may begin or end here; a language knows more that may be open than the modes."""
        return True

    def _next(self, text: str) -> bool:
        return self._text.startswith(text, self._position)

    def _enter(self, mode: str, width: int) -> None:
        self._modes.append(mode)
        self._stacks.append(self._numbers.setdefault((self._stacks[-1], mode), len(self._numbers) + 1))
        self._position += width

    def _pop(self) -> None:
        self._modes.pop()
        self._stacks.pop()

    def _leave(self, width: int = 1) -> None:
        self._pop()
        self._position += width

    def _value(self, width: int = 1, message: str = "", hint: str = "") -> None:
        """Pass an interpolation, and what before it decides about it."""
        self._findings.value(message, hint)
        self._position += width

    def _tag(self) -> None:
        """A branch that opens a quote and does not close it leaves the rest in doubt."""
        tag = self._findings.tag()
        if tag in ("if", "for"):
            self._branches.append(self._stacks[-1])
        elif tag in ("elif", "else", "endif", "endfor"):
            self._sure = bool(self._branches) and self._branches[-1] == self._stacks[-1] and self._is_between()
            if tag.startswith("end") and self._branches:
                self._branches.pop()

    def _close_parenthesis(self) -> None:
        self._position += 1
        if len(self._modes) > 1:
            self._pop()

    def _comment(self, character: str) -> None:
        if character == "\n":
            self._pop()
            return
        if character == VALUE:
            self._findings.value()
        self._position += 1
