"""The graph and the timeline of a run for Mermaid, as large as GitHub draws them."""

from collections.abc import Iterator
from datetime import UTC, datetime

from dagnats.core.state import RunState, Status, StepState
from dagnats.report.graph import mermaid_lines, numbers
from dagnats.report.record import Record
from dagnats.report.view import SIGNS, clean, took_s

NODES_MAX = 100
EDGES_MAX = 400
BARS_MAX = 100
NAME_MAX = 40
_CLASSES = {
    Status.SUCCEEDED: "ok",
    Status.WARNING: "warning",
    Status.FAILED: "failed",
    Status.TIMED_OUT: "failed",
    Status.CANCELLED: "not_run",
    Status.SKIPPED: "not_run",
    Status.BLOCKED: "not_run",
}
_COLOURS = {
    "ok": "fill:#dafbe1,stroke:#1a7f37,color:#1f2328",
    "warning": "fill:#fff8c5,stroke:#9a6700,color:#1f2328",
    "failed": "fill:#ffebe9,stroke:#cf222e,color:#1f2328",
    "not_run": "fill:#f6f8fa,stroke:#8c959f,color:#59636e,stroke-dasharray:4 3",
}
_BARS = {Status.SUCCEEDED: "done, ", Status.FAILED: "crit, ", Status.TIMED_OUT: "crit, ", Status.WARNING: "active, "}


def graph_lines(record: Record) -> list[str]:
    """Draw the run's own steps in the colours of how they ended; nothing of a graph that is too large."""
    plan = record.state.plan
    steps = (*plan.steps, *plan.finally_steps)
    if not steps or len(steps) > NODES_MAX or sum(len(step.needs) for step in steps) > EDGES_MAX:
        return []
    return [*mermaid_lines(plan), *class_lines(record.state)]


def class_lines(state: RunState) -> Iterator[str]:
    """Give each of the run's own steps the colours of how it ended."""
    number = numbers(state.plan)
    of_class: dict[str, list[str]] = {}
    for step in (*state.plan.steps, *state.plan.finally_steps):
        kind = _CLASSES.get(state.steps[step.id].status)
        if kind is not None:
            of_class.setdefault(kind, []).append(number[step.id])
    for kind, found in of_class.items():
        yield f"    classDef {kind} {_COLOURS[kind]}"
        yield f"    class {','.join(found)} {kind}"


def colours(status: Status) -> tuple[str, str]:
    """Give the colours of a status, for a border and for what is in it; none where there are none yet."""
    named = dict(pair.split(":") for pair in _COLOURS.get(_CLASSES.get(status, ""), "").split(",") if pair)
    return named.get("stroke", ""), named.get("fill", "")


def gantt_lines(record: Record) -> list[str]:
    """Draw when steps ran; of many the longest."""
    ran = [step for step in record.steps() if step.first_started_at is not None and step.ended_at is not None]
    if not ran:
        return []
    if len(ran) > BARS_MAX:
        longest = {id(step) for step in sorted(ran, key=took_s, reverse=True)[:BARS_MAX]}
        ran = [step for step in ran if id(step) in longest]
    head = ["gantt", "    dateFormat YYYY-MM-DD HH:mm:ss.SSS", "    axisFormat %M:%S", "    todayMarker off"]
    return head + list(_bars(ran, record.began_at))


def _bars(steps: list[StepState], began_at: float) -> Iterator[str]:
    for step in steps:
        start, end = step.first_started_at or began_at, step.ended_at or began_at
        name = "".join(char if char.isalnum() or char in " _-.,=/[]" else " " for char in clean(step.step.id))
        # with a sign before it no name is a word of Mermaid's own
        yield f"    {SIGNS.get(step.status, ('●', ''))[0]} {name[:NAME_MAX]} :{_BARS.get(step.status, '')}{_at(start - began_at)}, {_at(end - began_at)}"


def _at(seconds: float) -> str:
    """Give a time since the beginning as one of a day: Mermaid knows no other."""
    return datetime.fromtimestamp(max(0.0, seconds), UTC).isoformat(sep=" ", timespec="milliseconds")[:23]
