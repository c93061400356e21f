"""`--output github`: a group for each step, which streams while it has the focus, and commands to GitHub Actions.

All goes to stdout: the runner reads two streams in no certain order. What steps print stands between stop-commands and their end, so that none of it
is a command. Lines of the program's own can not be one either: what makes a command is taken apart.
"""

import os
import secrets
from collections.abc import Iterable, Sequence

from dagnats.core.state import RunState
from dagnats.core.text import no_command, workflow_command
from dagnats.report.annotations import annotations
from dagnats.report.console import Console
from dagnats.report.painter import Painter
from dagnats.report.screen import Colours, fit
from dagnats.report.spool import Owner
from dagnats.report.view import block_title, run_title


class GitHub(Painter):
    """Paints for the log of GitHub Actions. `masks` are texts that the log shall never show, `checkout` is where annotated files are seen from."""

    tick_s: float | None = 1.0

    def __init__(self, console: Console, *, masks: Iterable[str], checkout: str | None, has_title: bool) -> None:
        super().__init__(console)
        self._checkout = checkout
        self._has_title = has_title
        self._token = secrets.token_hex(16)
        self._colours = Colours()
        self._is_open = False
        self._state: RunState | None = None
        for mask in masks:  # before anything else is said
            self._line(workflow_command("add-mask", mask))

    def begin_run(self, state: RunState) -> None:
        """Say what runs."""
        self._state = state
        if self._has_title:
            self.say(run_title(state))

    def begin(self, owner: Owner, *, goes_on: bool) -> None:
        """Open a group; from here on nothing is a command."""
        self._open(block_title(self._state, owner, goes_on=goes_on))

    def lines(self, lines: bytes) -> None:
        """Write what the step printed."""
        self._console.out(self._colours.bracket(fit(lines)))

    def end(self) -> None:
        """Close the group."""
        self._close()

    def say(self, line: str) -> None:
        """Write a line of the program's own."""
        self._line(no_command(line))

    def tail(self, title: str, lines: Sequence[bytes]) -> None:
        """Write the end of the output of a step that failed."""
        self.say(title)
        self._line(workflow_command("stop-commands", self._token))
        for line in lines:
            self._console.out(b"    " + self._colours.bracket(fit(line)) + b"\n")
        self._line(f"::{self._token}::")

    def end_run(self, state: RunState) -> None:
        """Annotate the file of the pipeline."""
        if self._checkout is not None:
            for annotation in annotations(state, self._located):
                self._line(annotation)

    def _located(self, file: str) -> str:
        return os.path.relpath(file, self._checkout)

    def leave(self) -> None:
        """Have the log obey again, should this show nothing any more in the middle of a group."""
        if self._is_open:
            self._console.at_once(f"::{self._token}::\n::endgroup::\n".encode())

    def _open(self, title: str) -> None:
        self._colours = Colours()
        self._is_open = True
        self._line(workflow_command("group", title))
        self._line(workflow_command("stop-commands", self._token))

    def _close(self) -> None:
        self._line(f"::{self._token}::")
        self._line(workflow_command("endgroup"))
        self._is_open = False

    def _line(self, line: str) -> None:
        self._console.out(line.encode("utf-8", "replace") + b"\n")
