"""States and events as text: pure functions from values to lines."""

import shlex
from collections.abc import Iterator, Mapping, Sequence

from dagnats.core.events import (
    AnyEvent,
    ApprovalDecided,
    CancelledBy,
    CancelRequested,
    Outcome,
    PipelineStarted,
    RunResumed,
    StepBlocked,
    StepCancelled,
    StepExpanded,
    StepFailed,
    StepInterrupted,
    StepReused,
    StepScheduled,
    StepSkipped,
    StepStarted,
    StepSucceeded,
    StepWaiting,
)
from dagnats.core.graph import critical_path
from dagnats.core.planstate import PlanState
from dagnats.core.state import TERMINAL, RunState, Status, StepState
from dagnats.core.step import Instances
from dagnats.report.kept import kept_lines
from dagnats.report.style import Style

TAIL_LINES = 40
AGAIN_MAX = 1000  # characters; behind --files there may be thousands of names
INSTANCES_SHOWN = 10  # of one step, at the end
WAITS_SHOWN = 5
LINES_SHOWN = 30  # of one pipeline that a step runs, there
_BAD_FIRST = (Status.FAILED, Status.TIMED_OUT, Status.WARNING)
_FAILED = (Status.FAILED, Status.TIMED_OUT)
_RED, _GREEN, _YELLOW, _DIM, _BOLD = "31", "32", "33", "2", "1"
SIGNS = {
    Status.SUCCEEDED: ("✓", _GREEN),
    Status.WARNING: ("!", _YELLOW),
    Status.FAILED: ("✗", _RED),
    Status.TIMED_OUT: ("✗", _RED),
    Status.CANCELLED: ("-", _YELLOW),
    Status.SKIPPED: ("-", _DIM),
    Status.BLOCKED: ("-", _DIM),
}


def clean(text: str) -> str:
    """Give one line without control characters: an id or a message can not steer the terminal."""
    return "".join(char if char.isprintable() else " " for char in text)


def duration(seconds: float) -> str:
    """Give a duration as people read it."""
    # the bounds are where rounding reaches the next unit: never "1000ms" or "60.0s"
    if seconds < 0.9995:
        return f"{seconds * 1000:.0f}ms"
    if seconds < 59.95:
        return f"{seconds:.1f}s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}h{minutes:02}m{rest:02}s" if hours else f"{minutes}m{rest:02}s"


def took_s(step: StepState) -> float:
    """How long the step took in all, from its first start to its end."""
    if step.first_started_at is None or step.ended_at is None:
        return 0.0
    return max(0.0, step.ended_at - step.first_started_at)


def again_kept(words: Sequence[str]) -> tuple[str, ...]:
    """Give as many words of a command as are needed to show it: names of files may be many."""
    kept: list[str] = []
    size = 0
    for word in words:
        if size > AGAIN_MAX:
            break
        kept.append(word)
        size += len(shlex.quote(word)) + bool(size)
    return tuple(kept)


def run_title(state: RunState) -> str:
    """Say what runs."""
    steps = [step for step in (*state.plan.steps, *state.plan.finally_steps) if step.handles is None]
    rerun = f", rerun of {state.started.rerun.run}" if state.started.rerun is not None else ""
    return f"{state.plan.name}: {len(steps)} step{'s' if len(steps) != 1 else ''}, run {state.run}{rerun}"


def block_title(state: RunState | None, owner: tuple[str, int], *, goes_on: bool = False) -> str:
    """Name an attempt above what it prints."""
    id_, attempt = owner
    step = state.steps.get(id_) if state is not None else None
    name = clean(step.step.name) if step is not None and step.step.name is not None else ""
    notes = [f"attempt {attempt}"] * (attempt > 1) + ["goes on"] * goes_on
    return id_ + (f": {name}" if name and name != id_ else "") + (f" ({', '.join(notes)})" if notes else "")


def event_line(state: RunState, event: AnyEvent, style: Style, *, verbose: bool) -> str | None:  # noqa: PLR0911 - one line an event
    """Say what an event means, in one line, or None when that is not worth one. `state` is the one after the event."""
    if isinstance(event, CancelRequested):
        what = f" {event.step}" if event.step is not None and event.by is CancelledBy.TIMEOUT else ""
        return style.paint(f"{style.sign('-')} cancelling{what}: {clean(event.why)}", _YELLOW)
    if isinstance(event, RunResumed | StepInterrupted):
        return style.paint(f"{style.sign('↻')} {_resumed(state, event)}", _YELLOW)
    if isinstance(event, StepWaiting):
        how = f"{waiting_text(event)}{_limit(event)}{answer_command(state.run, event)}"
        return style.paint(f"{style.sign('…')} {event.step}: {how}", _YELLOW)
    if isinstance(event, StepScheduled) and event.attempt > 1 and not state.steps[event.step].interrupted:
        return style.paint(f"{style.sign('↻')} {event.step}: {_retried(state, event)}", _YELLOW)
    if isinstance(event, StepSucceeded | StepFailed | StepReused | StepSkipped | StepBlocked | StepCancelled):
        step = state.steps[event.step]
        return None if step.status is Status.WAITING or not is_shown(step) else step_line(step, style)
    if isinstance(event, StepStarted | PipelineStarted) and verbose:
        return style.paint(f"  {event.step}: {_beginning(state, event)}", _DIM)
    return step_line(state.steps[event.step], style) if isinstance(event, StepExpanded) and event.items == () else None


def _retried(state: RunState, event: StepScheduled) -> str:
    failure = state.steps[event.step].failure
    why = clean(failure.message) if failure else "it failed"
    wait = f" in {duration(event.not_before - event.at)}" if event.not_before else ""
    return f"{why}; attempt {event.attempt}{wait}"


def _resumed(state: RunState, event: RunResumed | StepInterrupted) -> str:
    if isinstance(event, StepInterrupted):
        return f"{event.step}: attempt {event.attempt} was interrupted"
    ended = sum(count for status, count in counts(state).items() if status in TERMINAL)
    lost = event.lost_commits
    damage = f"; {lost:,} commit{'s' * (lost != 1)} after that could not be used" if lost else ""
    return "\n".join([f"resumed, {ended:,} step{'s' * (ended != 1)} had ended{damage}", *open_waits(state)])


def open_waits(state: RunState) -> Iterator[str]:
    """Give a line for each of the first steps that wait, with how somebody ends that."""
    waits = list(state.awaited.open.values())
    for wait in waits[:WAITS_SHOWN]:
        yield f"  {wait.step}: {waiting_text(wait)}{answer_command(state.run, wait)}"
    if len(waits) > WAITS_SHOWN:
        yield f"  … and {len(waits) - WAITS_SHOWN:,} more"


def waiting_text(wait: StepWaiting) -> str:
    """Say what a step waits for."""
    tries = f" (attempt {wait.attempt})" if wait.attempt > 1 else ""
    match wait.kind:
        case "sleep":
            return f"sleeps{tries}"
        case "signal":
            return f"waits for the signal {wait.signal}{tries}"
        case "approval":
            return f"waits for an approval{tries}: {clean(wait.prompt)}"


def answer_command(run: str, wait: StepWaiting) -> str:
    """Say how somebody ends a wait, behind what it is."""
    match wait.kind:
        case "approval":
            return f"; dagnats approve {run} {shlex.quote(wait.step)}"
        case "signal":
            return f"; dagnats signal {run} {wait.signal}"
        case "sleep":
            return ""


def _limit(wait: StepWaiting) -> str:
    if wait.until is None:
        return ""
    span = duration(max(0.0, wait.until - wait.at))
    return f" for {span}" if wait.kind == "sleep" else f" (within {span})"


def answer_text(step: StepState) -> str:
    """Say who ended the wait of a step, and why, if somebody has."""
    given = step.answer
    by = f" by {clean(given.by)}" if given is not None and given.by else ""
    if isinstance(given, ApprovalDecided):
        return f"{'approved' if given.approved else 'rejected'}{by}" + (f": {clean(given.why)}" if given.why else "")
    return f"signal {given.signal} sent{by}" if given is not None else ""


def _beginning(state: RunState, event: StepStarted | PipelineStarted) -> str:
    if isinstance(event, StepStarted):
        return f"started (attempt {event.attempt}, {event.worker})"
    step = state.steps[event.step]
    count = len(step.subrun.steps) + len(step.subrun.final_steps) if step.subrun is not None else 0
    return f"runs {clean(step.step.pipeline or '')}, {count:,} step{'s' if count != 1 else ''}"


def note_lines(event: AnyEvent) -> Iterator[str]:
    """Say which outputs of a pipeline have no value, and why."""
    if isinstance(event, StepSucceeded | StepFailed):
        for name, note in event.notes.items():
            yield f"  output {name} of {event.step} has no value: {clean(note.removeprefix(f'outputs.{name}: '))}"


def step_line(step: StepState, style: Style) -> str:
    """Say how a step ended."""
    sign, code = SIGNS.get(step.status, (" ", _DIM))
    if step.status is Status.SUCCEEDED and _is_taken_over(step):
        sign, code = "=", _DIM
    took = f"  {duration(took_s(step))}" if step.first_started_at is not None else ""
    reason = clean(why(step))
    return (
        style.paint(f"{style.sign(sign)} {step.step.id}", code)
        + (f"  {reason}" if reason else "")
        + style.paint(took, _DIM)
    )


def _is_taken_over(step: StepState) -> bool:
    """Whether it is as it was in another run, or all of its instances are."""
    has_instances = step.instances is not None and bool(step.instances.ids)
    return step.reused is not None or (has_instances and not step.ran)


def group_line(state: RunState, event: AnyEvent, style: Style) -> str | None:
    """Say how a step of several instances ended, when this was the event of the last of them."""
    one = state.steps.get(getattr(event, "step", None) or "")
    group = state.steps[one.parent] if one is not None and one.parent is not None else None
    ended = group is not None and group.status in TERMINAL and one is not None and one.status in TERMINAL
    return step_line(group, style) if ended and group is not None else None


def sums_up(state: RunState, step: StepState) -> bool:
    """Whether a step only sums up others, its instances or the steps of its pipeline, and adds nothing to what they say."""
    if step.subrun is not None:
        inner = (state.steps[one.id] for one in (*step.subrun.steps, *step.subrun.final_steps))
        return step.status not in _FAILED or any(one.status in _FAILED for one in inner)
    return step.instances is not None and bool(step.instances.ids)


def asks(event: AnyEvent) -> bool:
    """Whether somebody has to do something that the run goes on: then it is said, however little else is."""
    return isinstance(event, StepWaiting) and event.kind != "sleep"


def is_shown(step: StepState) -> bool:
    """Whether a step is worth a word: one that handles a failure is not, when there was none."""
    return step.step.handles is None or step.status is not Status.SKIPPED


def steps_in_order(state: RunState) -> Iterator[StepState]:
    """Give the steps that are worth a word, in the order of the file: a step, its instances, the steps of its pipeline, and `finally` last."""
    for step in (*state.own.steps, *state.own.final_steps):
        yield from _with_parts(state, state.steps[step.id])


def _with_parts(state: RunState, step: StepState) -> Iterator[StepState]:
    if is_shown(step):
        yield step
    for id_ in step.instances.ids if step.instances is not None else ():
        yield from _with_parts(state, state.steps[id_])
    if step.subrun is not None:
        for inner in (*step.subrun.steps, *step.subrun.final_steps):
            yield from _with_parts(state, state.steps[inner.id])


def why(step: StepState) -> str:  # noqa: PLR0911 - one answer a status
    """Say why a step that was not plainly successful is as it is."""
    if step.instances is not None:
        return _of_instances(step.instances)
    tries = f" (attempt {step.attempt})" if step.attempt > 1 else ""
    taken = f"reused from {step.reused.from_run}" if step.reused is not None else ""
    match step.status:
        case Status.SUCCEEDED if taken:
            return taken
        case Status.WAITING if step.wait is not None:
            return waiting_text(step.wait)
        case Status.SUCCEEDED:
            return answer_text(step) + tries if step.answer is not None else tries.strip(" ()")
        case Status.FAILED | Status.TIMED_OUT | Status.WARNING if step.failure is not None:
            allowed = " (allowed)" if step.status is Status.WARNING else ""
            return step.failure.message + tries + allowed + (f", {taken}" if taken else "")
        case Status.SKIPPED:
            return f"skipped: if {step.step.condition}"
        case Status.BLOCKED:
            return "blocked: " + ", ".join(step.blocked_by) + " did not succeed"
        case Status.CANCELLED:
            return "cancelled" + (tries if step.first_started_at else " before it started")
        case _:
            return ""


def _of_instances(instances: Instances) -> str:
    count = len(instances.ids)
    whole = f"{count} instance{'s' if count != 1 else ''}"
    return f"{instances.bad} of {whole} did not succeed" if instances.bad else whole


def tail_blocks(state: RunState, tails: Mapping[str, Sequence[bytes]]) -> Iterator[tuple[str, Sequence[bytes]]]:
    """Give the end of the output of each step that failed, with a title."""
    for id_, tail in tails.items():
        step = state.steps.get(id_)  # of a pipeline that was tried again there are other steps now
        if step is None or step.status not in _FAILED or not tail:
            continue
        count = f"the last {len(tail)} line{'s' if len(tail) != 1 else ''}"
        yield f"--- {id_}: {clean(why(step))}; {count}", tail


def recap(state: RunState, again: Sequence[str], style: Style, *, is_kept: bool = False) -> Iterator[str]:
    """Sum up a finished run: one line for every step that was not plainly successful, the total, and the commands that run it again.

    With one of them a run that `is_kept` is run again without what succeeded.
    """
    for each in (*state.own.steps, *state.own.final_steps):
        yield from _not_plain(state, state.steps[each.id], style)
    yield total_line(state, style)
    if state.finished is not None:
        for name, note in state.finished.notes.items():
            yield f"  output {name} has no value: {clean(note.removeprefix(f'outputs.{name}: '))}"
    yield from map(clean, kept_lines(state))
    if state.outcome is not Outcome.SUCCEEDED:
        command = shlex.join(again)
        yield f"  again: {command if len(command) <= AGAIN_MAX else command[:AGAIN_MAX] + ' …'}"
        if is_kept:
            yield f"  only what did not succeed: dagnats rerun {state.run} --failed"


def _not_plain(state: RunState, step: StepState, style: Style, indent: str = "") -> Iterator[str]:
    """A line for a step that was not plainly successful; for those of its instances that were not, the worst first; and for the steps of its pipeline."""
    if step.status is not Status.SUCCEEDED and is_shown(step):
        yield indent + step_line(step, style)
        indent += "  "
    each = [state.steps[id_] for id_ in (step.instances.ids if step.instances is not None else ())]
    found = [one for one in each if one.status is not Status.SUCCEEDED]
    found.sort(key=lambda one: _BAD_FIRST.index(one.status) if one.status in _BAD_FIRST else len(_BAD_FIRST))
    for one in found[:INSTANCES_SHOWN]:
        yield from _not_plain(state, one, style, indent)
    if len(found) > INSTANCES_SHOWN:
        more = f"… and {len(found) - INSTANCES_SHOWN:,} more instances of {step.step.id} that did not plainly succeed"
        yield f"{indent}  {more}"
    for one in each:
        if one.status is Status.SUCCEEDED and one.subrun is not None:
            yield from _inside(state, one, one.subrun, style, indent)
    if step.subrun is not None:
        yield from _inside(state, step, step.subrun, style, indent)


def _inside(state: RunState, owner: StepState, plan: PlanState, style: Style, indent: str) -> Iterator[str]:
    """The same for the steps of the pipeline that a step has run, as far as somebody reads it."""
    inner = (state.steps[step.id] for step in (*plan.steps, *plan.final_steps))
    lines = [line for step in inner for line in _not_plain(state, step, style, indent)]
    yield from lines[:LINES_SHOWN]
    if len(lines) > LINES_SHOWN:
        yield f"{indent}  … and {len(lines) - LINES_SHOWN:,} more lines of {owner.step.id}"


def counts(state: RunState) -> dict[Status, int]:
    """Count how the run's own steps ended; instances count, not what sums them up, and of a pipeline the step that runs it."""
    found: dict[Status, int] = {}
    for step in state.steps.values():
        if step.within is not state.own:
            continue
        if is_shown(step) and not (step.instances is not None and step.instances.ids):
            found[step.status] = found.get(step.status, 0) + 1
    return {status: found[status] for status in Status if found.get(status)}


def counted(state: RunState) -> list[str]:
    """Say how many steps ended in which way, and how many of them were taken over from another run."""
    reused: dict[Status, int] = {}
    for step in state.steps.values() if state.started.rerun is not None else ():
        if step.reused is not None and step.within is state.own:
            reused[step.status] = reused.get(step.status, 0) + 1
    notes = {status: f" ({count:,} reused)" for status, count in reused.items()}
    found = counts(state).items()
    return [f"{count:,} {status.replace('_', ' ')}{notes.get(status, '')}" for status, count in found]


def total_line(state: RunState, style: Style) -> str:
    """Say how the run ended, how long it took, and how long it had to take."""
    parts = counted(state)
    spans = {id_: took_s(step) for id_, step in state.steps.items()}
    path_s = critical_path(state.own.graph, spans)[0] + critical_path(state.own.final_graph, spans)[0]
    code = _GREEN if state.outcome is Outcome.SUCCEEDED else _RED
    outcome = style.paint(f"{state.plan.name}: {state.outcome.replace('_', ' ')}", code)
    elapsed = duration(max(0.0, state.at - state.started.at))
    return f"{outcome} in {elapsed} (critical path {duration(path_s)}), {', '.join(parts)}; run {state.run}"
