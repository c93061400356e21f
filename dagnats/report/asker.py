"""Approvals that are asked for on the terminal: the question, and what is typed.

The question is of the run, not of this terminal: whoever else decides meanwhile takes it away. Only what is typed while it stands is an answer, and only
while the program is in the foreground, as to read or to set a terminal from behind stops a program.
"""

import os
import select
import termios
import threading
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from dagnats.core.events import (
    AnyEvent,
    ApprovalDecided,
    StepCancelled,
    StepFailed,
    StepSucceeded,
    StepWaiting,
)
from dagnats.report.reporter import Reporter
from dagnats.report.view import clean

LOOK_S = 0.05
TYPED_MAX = 1000  # characters
HOW = "approve? [y/n, or why not]"
_ENTER, _ERASE, _CLEAR, _ESCAPE = b"\r\n", b"\x7f\x08", 0x15, 0x1B

Answer = Callable[[str, bool, str], None]


class Typed(NamedTuple):
    """What somebody said to a question."""

    approved: bool
    why: str


def understood(line: str) -> Typed | None:
    """Give what a line means: `y` or `n` and perhaps why, or a reason, which is a no. An empty one means nothing."""
    word, _, rest = line.strip().partition(" ")
    if not word:
        return None
    if word.lower() in ("y", "yes"):
        return Typed(approved=True, why=rest.strip())
    return Typed(approved=False, why=rest.strip() if word.lower() in ("n", "no") else line.strip())


class Asker(Reporter):
    """Asks one question after the other. `show` gets the question with what is typed, and "" when there is none.

    With `edits` the terminal does not show by itself what is typed, as it would stand in the midst of what is drawn; else it gives whole lines.
    """

    def __init__(self, answer: Answer, show: Callable[[str], None], *, descriptor: int = 0, edits: bool) -> None:
        self._answer = answer
        self._show = show
        self._edits = edits
        self._descriptor = descriptor
        self._open: dict[str, StepWaiting] = {}
        self._asked: str | None = None
        self._typed = b""
        self._before: list[Any] | None = None  # how the terminal was
        self._lock = threading.Lock()

    def before(self, events: Sequence[AnyEvent]) -> None:
        """Know what was asked before."""
        self.events(events)

    def events(self, events: Sequence[AnyEvent]) -> None:
        """Ask what is to be asked, and no more what is decided."""
        for event in events:
            if isinstance(event, StepWaiting) and event.kind == "approval":
                self._open[event.step] = event
            elif isinstance(event, ApprovalDecided | StepSucceeded | StepFailed | StepCancelled):
                self._open.pop(event.step, None)
        self._ask_next()

    def tick(self) -> None:
        """Read what was typed."""
        self._read()

    def flush(self) -> None:
        """Read what was typed, also while there is much to show."""
        self._read()

    def leave(self) -> None:
        """Give the terminal back as it was."""
        with self._lock:
            before, self._before = self._before, None
        if before is not None and self._is_in_front():
            termios.tcsetattr(self._descriptor, termios.TCSANOW, before)

    def close(self) -> None:
        """Ask no more."""
        self._open.clear()
        self._ask_next()

    def _ask_next(self) -> None:
        first = next(iter(self._open), None)
        if first == self._asked:
            return
        self._asked, self._typed = first, b""
        self.tick_s = LOOK_S if first is not None else None
        if first is None:
            self.leave()
            self._show("")
            return
        if self._is_in_front():
            termios.tcflush(self._descriptor, termios.TCIFLUSH)  # what was typed before was no answer
        self._draw()

    def _draw(self) -> None:
        if self._asked is not None:
            prompt = clean(self._open[self._asked].prompt)
            typed = clean(self._typed.decode("utf-8", "replace"))
            self._show(f"{self._asked}: {prompt}  {HOW} {typed}".rstrip())

    def _is_in_front(self) -> bool:
        try:
            return os.tcgetpgrp(self._descriptor) == os.getpgrp()
        except OSError:
            return False

    def _take_terminal(self) -> None:
        with self._lock:
            if not self._edits or self._before is not None:
                return
            self._before = termios.tcgetattr(self._descriptor)
            changed = termios.tcgetattr(self._descriptor)
            changed[3] &= ~(termios.ECHO | termios.ICANON)
            termios.tcsetattr(self._descriptor, termios.TCSANOW, changed)

    def _read(self) -> None:
        while self._asked is not None and self._is_in_front():
            self._take_terminal()
            if not select.select([self._descriptor], [], [], 0)[0]:
                return
            data = os.read(self._descriptor, 4096)
            if not data:  # whoever was there has gone
                self._open.clear()
                self._ask_next()
                return
            if not data.startswith(bytes([_ESCAPE])):  # an arrow, or another key that is no text
                self._type(data)

    def _type(self, data: bytes) -> None:
        """Take keys, as far as the question goes: what follows on an answer is not for the next one."""
        for key in data:
            if key in _ENTER:
                said = understood(self._typed.decode("utf-8", "replace"))
                self._typed = b""
                if said is not None:
                    self._decide(said)
                    return
            elif key in _ERASE:
                self._typed = self._typed.decode("utf-8", "replace")[:-1].encode()
            elif key == _CLEAR:
                self._typed = b""
            elif key >= ord(" ") and len(self._typed) < TYPED_MAX:
                self._typed += bytes([key])
        if self._edits:
            self._draw()

    def _decide(self, said: Typed) -> None:
        if self._asked is not None:
            self._answer(self._asked, said.approved, said.why)
            del self._open[self._asked]
            self._ask_next()
