"""`dagnats logs`, `events`, `attach` and `replay`: what each shows of a run, and how it ends."""

import os
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

from dagnats.bus.output import step_subject
from dagnats.core.state import RunState
from dagnats.definition.problems import Problems, quoted
from dagnats.definition.project import STDIN
from dagnats.definition.words import suggest
from dagnats.errors import UsageError
from dagnats.kept import find
from dagnats.report.console import Console
from dagnats.report.follow import ALL
from dagnats.report.jsonlines import JsonLines
from dagnats.report.modes import Surroundings, Wanted, mode_of, reporters, style_of
from dagnats.report.printed import Choice, Printed
from dagnats.report.stage import Clock
from dagnats.run import exit_code
from dagnats.stored import is_live
from dagnats.viewing import View, watch

NEWEST = "-"
NO_STEP = "--attempt says which attempt of a step: name the step behind the run, or `-` for the newest"


def found(name: str | None) -> Path:
    """Give the directory of the run that a command names."""
    return find(None if name == NEWEST else name)


def show_events(name: str | None, *, follow: bool) -> int:
    """Print the events."""

    def view(_state: RunState, _is_live: bool) -> View:
        console = Console()
        return View([JsonLines(console)], console, subject=None)

    watch(found(name), view, follow=follow)
    return 0


def show_printed(
    name: str | None, step: str | None, *, follow: bool, attempt: int | None, tail: int | None, color: str
) -> int:
    """Print what steps have printed."""
    if attempt is not None and name is None:
        raise UsageError(NO_STEP)
    directory, step, other = _meant(name, step)

    def view(state: RunState, is_live: bool) -> View:
        if other is not None and step not in state.steps:
            raise other
        console = Console()
        style = style_of("prefixed", color, os.environ)
        choice = _choice(state, step, attempt, tail, follow=follow and is_live)
        reused = state.steps[step].reused if step in state.steps else None
        if reused is not None:
            where = f"dagnats logs {reused.from_run} {shlex.quote(str(step))}"
            console.say(f"{step} is reused from run {reused.from_run}, which has what it printed: {where}")
        subject = step_subject(choice.step) if choice.step is not None and choice.raw else ALL
        return View([Printed(console, style, choice)], console, subject=subject)

    watch(directory, view, follow=follow)
    return 0


def _meant(name: str | None, step: str | None) -> tuple[Path, str | None, UsageError | None]:
    """Give the run that is meant, and the step. One word that names no run may be a step of the newest; else that error is to be raised."""
    try:
        return found(name), step, None
    except UsageError as error:
        if name is None or step is not None:
            raise
        return find(None), name, error


def _choice(state: RunState, step: str | None, attempt: int | None, tail: int | None, *, follow: bool) -> Choice:
    """Say what of a run is wanted. Raises UsageError when it has no such step, or attempt."""
    if step is None:
        if attempt is not None:
            raise UsageError(NO_STEP)
        return Choice(tail=tail)
    known = state.steps.get(step)
    if known is None:
        owners = (id_ for id_ in state.steps if step.startswith((f"{id_}[", f"{id_}/")))
        may_come = follow and any(_has_parts(state, owner) for owner in owners)
        if not may_come:
            hint = suggest(step, list(state.steps), Problems(state.plan.file))
            raise UsageError(f"run {state.run} has no step {quoted(step)}" + (f"; {hint}" if hint else ""))
        return Choice(step, raw=True, first_attempt=attempt or 1, last_attempt=attempt, tail=tail)
    if attempt is not None and attempt > known.attempt and not follow:
        had = f"{known.attempt} attempt{'s' if known.attempt != 1 else ''}"
        raise UsageError(f"--attempt {attempt}: step {quoted(step)} of run {state.run} has had {had}")
    if _has_parts(state, step):
        return Choice(step, first_attempt=attempt or 1, last_attempt=attempt, tail=tail)
    return Choice(step, raw=True, first_attempt=attempt or max(1, known.attempt), last_attempt=attempt, tail=tail)


def _has_parts(state: RunState, step: str) -> bool:
    own = state.steps[step]
    return own.expands or own.step.pipeline is not None


def _shown(clock: Clock | None, speed: float | None, shown: dict[str, Any]) -> Callable[[RunState, bool], View]:
    """Show it as `run` does."""

    def view(state: RunState, _is_live: bool) -> View:
        console = Console()
        style = style_of(mode_of(shown["output"], os.environ), shown["color"], os.environ)
        wanted = Wanted(again=state.started.again, is_kept=state.plan.file != STDIN, **shown)
        around = Surroundings(os.environ, clock=clock)
        return View(reporters(wanted, style, around, console), console, clock=clock, speed=speed)

    return view


def attach_to(name: str | None, **shown: Any) -> int:
    """Show a run as it goes on; gives its exit code."""
    directory = found(name)
    run = directory.name
    farewell = f"dagnats: run {run} goes on; `dagnats attach {run}` shows it again, `dagnats cancel {run}` ends it"
    state = watch(directory, _shown(None, None, shown), follow=True, farewell=farewell)
    return exit_code(state, None) if state is not None else 0


def replay_run(name: str | None, speed: float | None, **shown: Any) -> int:
    """Show a run that is over once more. Raises UsageError while it goes on."""
    directory = found(name)
    if is_live(directory):
        raise UsageError(f"run {directory.name} is still going on: `dagnats attach {directory.name}` shows it")
    watch(directory, _shown(Clock(), speed, shown), follow=True)
    return 0
