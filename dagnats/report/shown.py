"""What a run, or one of its steps, is at a moment: as text for people, and as data."""

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from dagnats.core.pipeline import JSON
from dagnats.core.state import TERMINAL, Status, StepState
from dagnats.core.text import encode_json
from dagnats.report.facts import Facts, Timing, Try
from dagnats.report.reasons import Because, because
from dagnats.report.said import sentence, sentences
from dagnats.report.style import Style
from dagnats.report.view import SIGNS, answer_command, clean, duration, waiting_text, why

_DIM, _BOLD = "2", "1"
_NAME_MAX, _VALUE_MAX = 40, 200
_WRONG = (Status.FAILED, Status.TIMED_OUT, Status.CANCELLED, Status.BLOCKED)
_NAMED = 8
_PATH = 20  # steps of the critical path that are named


def run_lines(facts: Facts, status: str, style: Style, *, total: int) -> Iterator[str]:
    """Say how a run is. `total` is how many events its journal has, of which the facts may know only the first; `status` is that of the run then."""
    state = facts.state
    took = duration(max(0.0, facts.now - facts.began_at))
    yield style.paint(f"{clean(state.plan.name)}: {status.replace('_', ' ')}, run {state.run}, {took}", _BOLD)
    yield f"  file {clean(state.plan.file)}, started {moment(facts.began_at)}"
    if state.seq < total:
        yield f"  after event {state.seq:,} of {total:,}"
    for name, value in state.started.params.items():
        yield f"  params.{name} = {_shown(value)}"
    yield ""
    yield from _table(facts, style)
    yield ""
    if facts.critical:
        yield critical_line(facts)
    if state.finished is not None:
        for name, value in state.finished.outputs.items():
            yield f"output {name} = {_shown(value)}"
    for resumed in facts.resumed:
        yield f"resumed {_offset(resumed.at - facts.began_at)}, after the runner had ended"
    for request in facts.cancels:
        yield f"cancelled {_offset(request.at - facts.began_at)}: {clean(request.why)}"


def critical_line(facts: Facts) -> str:
    """Name the steps of the critical path, as far as somebody reads it."""
    more = len(facts.critical) - _PATH
    rest = f" and {more:,} more" if more > 0 else ""
    return f"critical path {duration(facts.critical_s)}: {', '.join(facts.critical[:_PATH])}{rest}"


def _table(facts: Facts, style: Style) -> Iterator[str]:
    rows = [(step, facts.timing(step)) for step in facts.steps()]
    width = min(_NAME_MAX, max((len(_indented(step)) for step, _ in rows), default=0))
    head = f"    {'step':<{width}}  {'status':<9}  {'start':>8}  {'took':>8}  {'queue':>8}  {'slack':>8}"
    yield style.paint(head, _DIM)
    for step, timing in rows:
        sign, code = SIGNS.get(step.status, ("·", _DIM))
        mark = style.sign("━") if timing.is_critical else " "
        cells = "  ".join(f"{cell:>8}" for cell in _cells(timing))
        name = f"{_indented(step):<{width}}"
        status = f"{step.status.replace('_', ' '):<9}"
        line = f"{mark} {style.paint(f'{style.sign(sign)} {name}', code)}  {status}  {cells}  {_remark(facts, step)}"
        yield line.rstrip()


def _indented(step: StepState) -> str:
    depth = step.step.id.count("/") + (step.parent is not None)
    return "  " * depth + step.step.id


def _cells(timing: Timing) -> tuple[str, str, str, str]:
    start = _offset(timing.start_s) if timing.start_s is not None else ""
    took, queue, slack = (_span(value) for value in (timing.took_s, timing.queue_s, timing.slack_s))
    return start, took, queue, slack


def _remark(facts: Facts, step: StepState) -> str:
    """Say in few words why it is as it is; what it waits for, if it does."""
    if step.status in TERMINAL:
        return clean(why(step)).removeprefix(f"{step.status}: ")
    if step.status is Status.PENDING and step.open_needs > 0:
        waits = [need for need in step.step.needs if facts.state.steps[need].status not in TERMINAL]
        return f"waits for {', '.join(waits[:3])}" + (f" and {len(waits) - 3} more" if len(waits) > 3 else "")
    wait = facts.state.awaited.open.get(step.step.id)
    if wait is not None:
        return waiting_text(wait) + answer_command(facts.state.run, wait)
    tries = f"attempt {step.attempt}" if step.attempt > 1 else ""
    if step.status is Status.WAITING and step.not_before is not None:
        return f"{tries} in {duration(max(0.0, step.not_before - facts.now))}"
    return tries


def run_data(facts: Facts, status: str, *, total: int) -> JSON:
    """Give the same as data."""
    state = facts.state
    finished = state.finished
    return {
        "run": state.run,
        "pipeline": state.plan.name,
        "file": state.plan.file,
        "status": status,
        "seq": state.seq,
        "events": total,
        "started_at": facts.began_at,
        "at": facts.now,
        "took_s": max(0.0, facts.now - facts.began_at),
        "params": dict(state.started.params),
        "outputs": dict(finished.outputs) if finished is not None else {},
        "critical_path": {"took_s": facts.critical_s, "steps": list(facts.critical)},
        "resumed": [one.at for one in facts.resumed],
        "cancelled": [
            {"at": one.at, "by": str(one.by), "why": one.why, "signal": one.signal, "of": one.step}
            for one in facts.cancels
        ],
        "steps": [step_row(facts, step) for step in facts.steps()],
    }


def step_row(facts: Facts, step: StepState) -> dict[str, JSON]:
    """Give what the list of steps says of one."""
    timing = facts.timing(step)
    return {
        "id": step.step.id,
        "name": step.step.name,
        "status": str(step.status),
        "attempt": step.attempt,
        "start_s": timing.start_s,
        "took_s": timing.took_s,
        "needs_s": timing.needs_s,
        "queue_s": timing.queue_s,
        "slack_s": timing.slack_s,
        "critical": timing.is_critical,
        "worker": step.worker,
        "exit_code": step.exit_code,
        "why": why(step) or None,
        "outputs": dict(step.outputs),
        "needs": list(step.step.needs),
    }


def step_lines(facts: Facts, step: StepState, style: Style) -> Iterator[str]:
    """Say everything of one step."""
    one, timing = step.step, facts.timing(step)
    sign, code = SIGNS.get(step.status, ("·", _DIM))
    title = f"{style.sign(sign)} {one.id}: {step.status.replace('_', ' ')}"
    yield style.paint(title, code) + (f"  {duration(timing.took_s)}" if timing.took_s is not None else "")
    for name, text in _definition(step):
        yield f"  {name:<10}{text}"
    for name, ids in (("needs", one.needs), ("needed by", _dependents(step))):
        if ids:
            shown = ", ".join(f"{id_} ({facts.state.steps[id_].status.replace('_', ' ')})" for id_ in ids[:_NAMED])
            yield f"  {name:<10}{shown}" + (f" and {len(ids) - _NAMED:,} more" if len(ids) > _NAMED else "")
    if timing.slack_s is not None:
        yield f"  {'slack':<10}" + (
            "none: it is on the critical path" if timing.is_critical else duration(timing.slack_s)
        )
    for each in facts.tries.get(one.id, ()):
        yield from _attempt(facts, each)
    for name, value in step.outputs.items():
        yield f"  output {name} = {_shown(value)}"
    yield "why"
    yield from (f"  {line}" for line in sentences(because(facts, one.id), style))


def _definition(step: StepState) -> Iterator[tuple[str, str]]:
    one = step.step
    yield "file", where(step)
    if one.name is not None:
        yield "name", clean(one.name)
    if one.run is not None:
        lines = one.run.strip().splitlines() or [""]
        yield "run", _cut(clean(lines[0])) + (f" … ({len(lines)} lines)" if len(lines) > 1 else "")
    if one.command:
        yield "command", _cut(clean(encode_json(list(one.command))))
    if one.pipeline is not None:
        yield "pipeline", clean(one.pipeline)
    if one.container is not None:
        yield "image", clean(one.container.image)
    if one.condition is not None:
        yield "if", _cut(clean(one.condition))
    if one.mutex is not None:
        yield "mutex", clean(one.mutex)
    if one.timeout_s is not None:
        yield "timeout", duration(one.timeout_s)
    if step.parent is not None:
        yield "value", _shown(step.value)


def where(step: StepState) -> str:
    """Give file and line of a step."""
    return f"{clean(step.step.file or step.within.plan.file)}:{step.step.line}"


def _dependents(step: StepState) -> tuple[str, ...]:
    graph = step.within.final_graph if step.final else step.within.graph
    return graph.dependents.get(step.step.id, ())


def _attempt(facts: Facts, one: Try) -> Iterator[str]:
    if one.started_at is None:
        yield f"  attempt {one.number}: has not started, scheduled {_offset(one.scheduled_at - facts.began_at)}"
        return
    took = duration(max(0.0, (one.end.at if one.end is not None else facts.now) - one.started_at))
    began = f"started {_offset(one.started_at - facts.began_at)}, {took}"
    message = getattr(one.end, "message", None)
    ended = ("running" if one.worker else "waiting") if one.end is None else clean(message) if message else _verb(one)
    yield f"  attempt {one.number}: {ended}, {began}" + (f", by {one.worker}" if one.worker else "")


def _verb(one: Try) -> str:
    return {"StepSucceeded": "succeeded", "StepCancelled": "cancelled", "StepInterrupted": "interrupted"}.get(
        type(one.end).__name__, "ended"
    )


def step_data(facts: Facts, step: StepState) -> JSON:
    """Give the same as data."""
    one = step.step
    return step_row(facts, step) | {
        "file": one.file or step.within.plan.file,
        "line": one.line,
        "run": one.run,
        "command": list(one.command) if one.command is not None else None,
        "pipeline": one.pipeline,
        "image": one.container.image if one.container is not None else None,
        "if": one.condition,
        "mutex": one.mutex,
        "timeout_s": one.timeout_s,
        "value": step.value,
        "needed_by": list(_dependents(step)),
        "attempts": [_attempt_data(facts, each) for each in facts.tries.get(one.id, ())],
        "because": [reason_data(reason) for reason in because(facts, one.id)],
    }


def _attempt_data(facts: Facts, one: Try) -> JSON:
    end = one.end
    took_s = None
    if one.started_at is not None:
        took_s = max(0.0, (end.at if end is not None else facts.now) - one.started_at)
    reason = getattr(end, "reason", None)
    return {
        "attempt": one.number,
        "scheduled_at": one.scheduled_at,
        "not_before": one.not_before,
        "started_at": one.started_at,
        "took_s": took_s,
        "worker": one.worker,
        "end": type(end).__name__ if end is not None else None,
        "reason": str(reason) if reason is not None else None,
        "message": getattr(end, "message", None),
        "exit_code": getattr(end, "exit_code", None),
        "outputs": dict(getattr(end, "outputs", {})),
    }


def reason_data(reason: Because) -> dict[str, JSON]:
    """Give a reason as data, with its sentence."""
    data: Mapping[str, Any] = reason.data
    return {"step": reason.step, "kind": reason.kind, "depth": reason.depth, **data, "text": clean(sentence(reason))}


def moment(at: float) -> str:
    """Give a time of day, where the reader is."""
    return datetime.fromtimestamp(at).astimezone().strftime("%Y-%m-%d %H:%M:%S")


def _offset(seconds: float) -> str:
    return "+" + duration(max(0.0, seconds))


def _span(seconds: float | None) -> str:
    return duration(seconds) if seconds is not None else ""


def _shown(value: JSON) -> str:
    return _cut(clean(encode_json(value)))


def _cut(text: str) -> str:
    return text if len(text) <= _VALUE_MAX else text[: _VALUE_MAX - 1] + "…"
