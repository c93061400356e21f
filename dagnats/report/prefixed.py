"""`--output prefixed`: every line at once, with the name of its step; and the recap at the end, which other modes share.

Output goes to stdout, what the program says itself to stderr.
"""

from collections.abc import Mapping, Sequence

from dagnats.core.events import AnyEvent, RunStarted, StepFailed
from dagnats.core.pipeline import Pipeline
from dagnats.core.state import TERMINAL, RunState
from dagnats.report.console import Console
from dagnats.report.lines import Lines
from dagnats.report.projection import Projection, Tails
from dagnats.report.reporter import Reporter
from dagnats.report.style import Style
from dagnats.report.view import asks, event_line, group_line, note_lines, recap, run_title, tail_blocks

PREFIX_MAX_WIDTH = 24


class Prefixer:
    """Puts the name of its step before each line."""

    def __init__(self, style: Style) -> None:
        self._style = style
        self._prefixes: dict[str, bytes] = {}
        self._width = 0

    def begin(self, event: RunStarted) -> None:
        """Have the names of a run take as much room as the longest of them."""
        self._width = min(PREFIX_MAX_WIDTH, _longest(event.plan, event.plan.pipelines))

    def lines(self, step: str, lines: bytes) -> bytes:
        """Give lines of a step, the last without its newline, as whole lines with their prefix."""
        prefix = self._prefixes.get(step)
        if prefix is None:
            shown = self._style.prefix(f"{step:<{self._width}} | ", len(self._prefixes))
            prefix = self._prefixes[step] = shown.encode()
        return prefix + lines.replace(b"\n", b"\n" + prefix) + b"\n"


class Prefixed(Reporter):
    """The reporter of `--output prefixed`, and with `lines=False` and `quiet` the one of `none` and `-q`."""

    def __init__(
        self,
        console: Console,
        style: Style,
        again: Sequence[str],
        *,
        lines: bool,
        quiet: bool,
        verbose: bool,
        is_kept: bool = False,
    ) -> None:
        self._console = console
        self._style = style
        self._again = again
        self._is_kept = is_kept
        self._lines = lines
        self._quiet = quiet
        self._verbose = verbose
        self._projection = Projection()
        self._tails = Tails()
        self._whole = Lines()
        self._prefixer = Prefixer(style)

    def before(self, events: Sequence[AnyEvent]) -> None:
        """Know of it, and show the title."""
        state = self._projection.past(events)
        self._begin(state.started, state)

    def events(self, events: Sequence[AnyEvent]) -> None:
        """Show what is worth a line."""
        for event in events:
            state = self._projection.apply(event)
            if isinstance(event, RunStarted):
                self._begin(event, state)
                continue
            step = state.steps.get(getattr(event, "step", ""))
            status = step.status if step is not None else None
            if step is not None and (status in TERMINAL or isinstance(event, StepFailed)):
                self._end_lines(step.step.id)
            self._tails.event(event, status)
            if self._quiet and not (self._lines and asks(event)):
                continue
            line = event_line(state, event, self._style, verbose=self._verbose)
            for said in (line, *note_lines(event), group_line(state, event, self._style)):
                if said is not None:
                    self._console.say(said)

    def _begin(self, event: RunStarted, state: RunState) -> None:
        self._prefixer.begin(event)
        if not self._quiet:
            self._console.say(self._style.paint(run_title(state), "1"))

    def output(self, step: str, attempt: int, stream: str, chunk: bytes) -> None:
        """Show whole lines; the rest of one waits for its end."""
        self._tails.add(step, attempt, chunk)
        if not self._lines:
            return
        whole = self._whole.feed(step, stream, chunk)
        if whole is not None:
            self._write(step, whole)

    def _write(self, step: str, lines: bytes) -> None:
        self._console.out(self._prefixer.lines(step, lines))

    def _end_lines(self, step: str) -> None:
        for line in self._whole.end(step):
            self._write(step, line)

    def note(self, text: str) -> None:
        """Show a word of the program's own."""
        self._console.say(f"dagnats: {text}")

    def hurry(self) -> None:
        """Wait for no reader any more."""
        self._console.hurry()

    def flush(self) -> None:
        """Write what is held."""
        self._console.flush()

    def close(self) -> None:
        """Sum up."""
        state = self._projection.state
        if state is not None and state.finished is not None and (not self._quiet or state.outcome != "succeeded"):
            for title, tail in tail_blocks(state, self._tails.failed):
                self._console.say(self._style.paint(title, "1"))
                for line in tail:
                    self._console.say("    " + line.decode("utf-8", "replace"))
            for said in recap(state, self._again, self._style, is_kept=self._is_kept):
                self._console.say(said)
        self._console.close()


def _longest(plan: Pipeline, pipelines: Mapping[str, Pipeline]) -> int:
    """How many characters the longest id has, with those of the pipelines that steps run; beyond a bound it does not matter by how much."""
    longest = 0
    for step in (*plan.steps, *plan.finally_steps):
        if step.handles is None and longest < PREFIX_MAX_WIDTH:
            inner = 1 + _longest(pipelines[step.pipeline], pipelines) if step.pipeline is not None else 0
            longest = max(longest, len(step.id) + inner)
    return longest
