"""`dagnats show` and `dagnats why`: a run, live or over, as its journal tells it."""

import re
import time
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import NamedTuple

from dagnats.bus import journal
from dagnats.bus.link import Link
from dagnats.cli.listed import note_damage, note_repair
from dagnats.cli.looks import put, put_json, style_of_stdout
from dagnats.core.events import AnyEvent, RunFinished
from dagnats.core.state import StepState
from dagnats.core.text import encode_json
from dagnats.definition.problems import Problems, quoted
from dagnats.definition.words import suggest
from dagnats.errors import JournalError, NewerVersionError, UsageError
from dagnats.kept import find
from dagnats.report.facts import Facts, Moment, first, until
from dagnats.report.listing import brief
from dagnats.report.reasons import because
from dagnats.report.runs import Run
from dagnats.report.said import sentences
from dagnats.report.shown import moment, reason_data, run_data, run_lines, step_data, step_lines
from dagnats.rundir import journal_end
from dagnats.stored import use

_DURATION = re.compile(r"(?:(\d+)h)?(?:(\d+)m)?(?:(\d+(?:\.\d+)?)s)?(?:(\d+)ms)?")
_TIMES = "write 14:03:05, 2026-01-31T14:03:05, +12s from its start, or -5m before now or its end"


class Seen(NamedTuple):
    """All events of a run so far, and whether it goes on."""

    events: list[AnyEvent]
    is_live: bool


def read(directory: Path) -> Seen:
    """Read the journal of a run. Raises JournalError when it is damaged, and EngineError."""

    async def work(link: Link, is_live: bool) -> Seen:
        end = None if is_live else journal_end(directory)
        return Seen([event async for commit in journal.read(link, directory.name, end) for event in commit], is_live)

    try:
        seen = use(directory, work)
    except NewerVersionError:
        raise
    except JournalError as error:
        note_damage(directory, error)
        raise
    if not seen.is_live:
        note_repair(directory)
    return seen


def facts_of(directory: Path) -> Facts:
    """Read a run as it is now."""
    seen = read(directory)
    return Facts(seen.events, _now(seen))


def show_run(name: str | None, step: str | None, form: str, *, at: str | None, seq: int | None) -> int:
    """Print the state of a run, or of one of its steps, now or at a moment."""
    if at is not None and seq is not None:
        raise UsageError("--at and --seq say both which moment is meant: leave out one of them")
    directory, step = _named(name, step)
    seen = read(directory)
    chosen = _moment(directory.name, seen, at, seq)
    facts, total = Facts(chosen.events, chosen.now), len(seen.events)
    style = style_of_stdout()
    if step is not None:
        found = step_of(facts, step)
        if form == "json":
            put_json(encode_json(step_data(facts, found)))
        else:
            put(step_lines(facts, found, style), style)
        return 0
    status = status_of(facts, seen, total)
    if form == "json":
        put_json(encode_json(run_data(facts, status, total=total)))
    else:
        put(run_lines(facts, status, style, total=total), style)
    return 0


def _named(name: str | None, step: str | None) -> tuple[Path, str | None]:
    """Give the run that is meant; one word that names none may be a step of the newest."""
    try:
        return find(name), step
    except UsageError:
        if name is None or step is not None:
            raise
        newest = find(None)
        if name not in facts_of(newest).state.steps:
            raise
        return newest, name


def show_why(words: Sequence[str], form: str) -> int:
    """Print why a step is as it is."""
    if len(words) > 2:
        raise UsageError(f"why takes the name of a run and of a step, or of a step alone; here are {len(words)} words")
    name, step = (words[0], words[1]) if len(words) == 2 else (None, words[0])
    directory = find(name)
    seen = read(directory)
    facts = Facts(seen.events, _now(seen))
    if name is None and step not in facts.state.steps and _is_run(step):
        raise UsageError(f"{quoted(step)} is a run: name the step of it too, `dagnats why {step} STEP`{_steps(facts)}")
    found = because(facts, step_of(facts, step).step.id)
    if form == "json":
        put_json(encode_json([reason_data(reason) for reason in found]))
    else:
        style = style_of_stdout()
        put(sentences(found, style), style)
    return 0


def status_of(facts: Facts, seen: Seen, total: int) -> str:
    """Say how the run is, or was at the moment of the facts."""
    return Run(brief(facts.state), is_held=seen.is_live or facts.state.seq < total).status


def step_of(facts: Facts, id_: str) -> StepState:
    """Give a step of the run. Raises UsageError."""
    steps = facts.state.steps
    if id_ in steps:
        return steps[id_]
    hint = suggest(id_, steps, Problems(""))
    raise UsageError(f"run {facts.state.run} has no step {quoted(id_)}" + (f"; {hint}" if hint else _steps(facts)))


def _steps(facts: Facts) -> str:
    ids = list(facts.state.steps)
    return f"; its steps are: {', '.join(ids[:10])}" + (f" and {len(ids) - 10:,} more" if len(ids) > 10 else "")


def _is_run(name: str) -> bool:
    try:
        find(name)
    except UsageError:
        return False
    return True


def _now(seen: Seen) -> float | None:
    return time.time() if seen.is_live else None


def _moment(run: str, seen: Seen, at: str | None, seq: int | None) -> Moment:
    """Give the part of the journal that is meant. Raises UsageError."""
    events = seen.events
    if seq is not None:
        if not 1 <= seq <= len(events):
            raise UsageError(f"--seq {seq}: the events of run {run} have the numbers 1 to {len(events)}")
        return Moment(events, _now(seen)) if seq == len(events) else first(events, seq)
    if at is None:
        return Moment(events, _now(seen))
    began = events[0].at
    is_over = isinstance(events[-1], RunFinished)
    end = max(event.at for event in events) if is_over or not seen.is_live else time.time()
    meant = _time(at, began, end)
    if meant < began:
        raise UsageError(f"--at {at}: that is before run {run} began, at {moment(began)}")
    return Moment(events, None) if meant > end else until(events, meant)


def _time(text: str, began: float, end: float) -> float:
    """Read a time. One of a day is that of the day on which the run began, or the next if it began later than that."""
    if text[:1] in ("+", "-"):
        parts = _DURATION.fullmatch(text[1:])
        if parts is None or not text[1:]:
            raise UsageError(f"--at {text}: that is no duration: {_TIMES}")
        hours, minutes, seconds, millis = (float(part or 0) for part in parts.groups())
        span = hours * 3600 + minutes * 60 + seconds + millis / 1000
        return began + span if text[0] == "+" else end - span
    try:
        if re.fullmatch(r"\d\d?:\d\d(:\d\d(\.\d+)?)?", text):
            return _time_of_day(text, began, end)
        return datetime.fromisoformat(text).timestamp()
    except (ValueError, OverflowError, OSError):
        raise UsageError(f"--at {text}: that is no time: {_TIMES}") from None


def _time_of_day(text: str, began: float, end: float) -> float:
    start = datetime.fromtimestamp(began).astimezone()
    head, _, rest = text.partition(":")
    at = datetime.fromisoformat(f"{start:%Y-%m-%d}T{head:0>2}:{rest}")
    # a clock shows no parts of a second: that at which the run began is not before it
    if at.timestamp() + 1 > began:
        return max(at.timestamp(), began)
    later = (at + timedelta(days=1)).timestamp()
    return later if later <= end else at.timestamp()
