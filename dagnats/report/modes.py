"""The ways to show a run, by the name of `--output`."""

import os
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from msgspec import Struct

from dagnats.report.console import Console
from dagnats.report.eventsfile import EventsFile, open_events
from dagnats.report.jsonlines import JsonLines, event_json
from dagnats.report.prefixed import Prefixed
from dagnats.report.reporter import Reporter
from dagnats.report.style import Style, wants_color

if TYPE_CHECKING:
    from dagnats.report.asker import Answer
    from dagnats.report.painter import Painter


class Wanted(Struct, frozen=True):
    """What was asked for, and where it will be shown."""

    output: str
    color: str
    again: Sequence[str]
    is_kept: bool = False
    quiet: bool = False
    verbose: bool = False
    events_file: str | None = None
    annotates: bool = True


class Surroundings(Struct, frozen=True):
    """The runner's environment, the texts that no log shall show, and what takes answers of who sits at the terminal, if anything does."""

    environ: Mapping[str, str]
    masks: Iterable[str] = ()
    clock: Callable[[], float] | None = None  # of a run that is shown again: when it was, in unix seconds
    answer: "Answer | None" = None


def mode_of(output: str, environ: Mapping[str, str]) -> str:
    """Give the mode that `auto` stands for here; `live` needs a terminal that can be steered."""
    can_move = os.isatty(1) and os.isatty(2) and environ.get("TERM", "dumb") not in ("", "dumb")
    if output == "auto" and not environ.get("CI") and can_move:
        return "live"
    if output == "auto":
        return "github" if environ.get("GITHUB_ACTIONS") == "true" else "prefixed"
    return "prefixed" if output == "live" and not can_move else output


def style_of(mode: str, color: str, environ: Mapping[str, str]) -> Style:
    """Decide on colours and signs."""
    encoding = (sys.stderr.encoding or "ascii").lower() if sys.stderr is not None else "ascii"
    watched = 2 if mode in ("none", "json") else 1
    wanted = wants_color(color, environ, terminal=os.isatty(watched)) or (mode == "github" and color == "auto")
    return Style(color=wanted and not environ.get("NO_COLOR"), unicode=encoding.startswith("utf"))


def reporters(wanted: Wanted, style: Style, around: Surroundings, console: Console | None = None) -> list[Reporter]:
    """Make those that show a run. Raises UsageError when a file can not be written."""
    mode = mode_of(wanted.output, around.environ)
    console = Console() if console is None else console
    shown: Reporter
    if mode == "json":
        shown = JsonLines(console)
    elif mode in ("prefixed", "none"):
        quiet = wanted.quiet or mode == "none"
        shown = Prefixed(
            console,
            style,
            wanted.again,
            lines=mode != "none",
            quiet=quiet,
            verbose=wanted.verbose,
            is_kept=wanted.is_kept,
        )
    else:
        shown = _blocks(mode, wanted, console, style, around)
    asker = _asker(mode, console, shown, around.answer)
    events = [EventsFile(open_events(wanted.events_file), event_json)] if wanted.events_file is not None else []
    return [shown, *asker, *events]


def _asker(mode: str, console: Console, shown: Reporter, answer: "Answer | None") -> list[Reporter]:
    """Give what asks for approvals, where somebody sits who can be asked."""
    if answer is None or mode not in ("live", "prefixed") or not (os.isatty(0) and os.isatty(2)):
        return []
    from dagnats.report.asker import Asker  # noqa: PLC0415 - measured: lines on a pipe do without

    if mode == "live":
        from dagnats.report.blocks import Blocks  # noqa: PLC0415 - the same
        from dagnats.report.live import Live  # noqa: PLC0415 - the same

        if isinstance(shown, Blocks) and isinstance(shown.painter, Live):
            return [Asker(answer, shown.painter.ask, edits=True)]
    return [Asker(answer, lambda text: console.say(f"? {text}") if text else None, edits=False)]


def _blocks(mode: str, wanted: Wanted, console: Console, style: Style, around: Surroundings) -> Reporter:
    from dagnats.report.blocks import Blocks, Manner  # noqa: PLC0415 - measured: lines on a pipe do without

    painter: Painter
    has_title = not wanted.quiet and mode != "failures"
    if mode == "github":
        from dagnats.report.github import GitHub  # noqa: PLC0415 - measured: `secrets` is only for those who need it

        checkout = around.environ.get("GITHUB_WORKSPACE") or os.getcwd() if wanted.annotates else None  # noqa: PTH109
        painter = GitHub(console, masks=around.masks, checkout=checkout, has_title=has_title)
    elif mode == "live":
        from dagnats.report.live import Live, reflows, size_of  # noqa: PLC0415 - measured: so is rich

        is_reflowing = reflows(around.environ)
        painter = Live(
            console, style, lambda: size_of(1), has_title=has_title, is_reflowing=is_reflowing, now=around.clock
        )
    else:
        from dagnats.report.grouped import Grouped  # noqa: PLC0415 - the same

        painter = Grouped(console, style, is_terminal=os.isatty(1), has_title=has_title)
    manner = Manner(
        streams=mode in ("github", "live"),
        only_failed=mode == "failures",
        quiet=wanted.quiet,
        verbose=wanted.verbose,
        tails=mode != "failures",
        is_kept=wanted.is_kept,
    )
    return Blocks(painter, style, wanted.again, manner, around.clock)
