"""The graph of a run: that of its plan, with what became of each step."""

from collections.abc import Iterator

from dagnats.core.pipeline import JSON
from dagnats.report.facts import Facts
from dagnats.report.graph import Mark, ascii_lines, dot_lines, graph_data, mermaid_lines, numbers
from dagnats.report.mermaid import class_lines, colours
from dagnats.report.shown import critical_line, step_row
from dagnats.report.view import duration

_NODE = ("status", "attempt", "start_s", "took_s", "needs_s", "queue_s", "slack_s", "critical")


def marks(facts: Facts) -> dict[str, Mark]:
    """Say of each of the run's own steps how it ended, how long it took, and how much of that mattered."""
    found: dict[str, Mark] = {}
    for one in (*facts.state.own.steps, *facts.state.own.final_steps):
        step = facts.state.steps[one.id]
        timing = facts.timing(step)
        words = [step.status.replace("_", " ")]
        if timing.took_s is not None:
            words.append(duration(timing.took_s))
        if timing.is_critical:
            words.append("critical")
        elif timing.slack_s is not None:
            words.append(f"slack {duration(timing.slack_s)}")
        color, fill = colours(step.status)
        found[one.id] = Mark(", ".join(words), color, fill, timing.is_critical)
    return found


def run_graph(facts: Facts, form: str, *, unicode: bool) -> Iterator[str]:
    """Draw it: "ascii", "mermaid" or "dot"."""
    plan, marked = facts.state.plan, marks(facts)
    match form:
        case "mermaid":
            yield from mermaid_lines(plan, marked)
            yield from class_lines(facts.state)
            number = numbers(plan)
            heavy = [number[id_] for id_, mark in marked.items() if mark.is_heavy]
            if heavy:
                yield "    classDef critical stroke-width:3px"
                yield f"    class {','.join(heavy)} critical"
        case "dot":
            yield from dot_lines(plan, marked)
        case _:
            yield from ascii_lines(plan, unicode=unicode, marks=marked)
            if facts.critical:
                yield ""
                yield critical_line(facts)


def run_graph_data(facts: Facts) -> JSON:
    """Give nodes and edges as data, each node with what became of it."""
    data: dict[str, JSON] = graph_data(facts.state.plan)
    for node in data["nodes"]:
        row = step_row(facts, facts.state.steps[node["id"]])
        node |= {name: row[name] for name in _NODE}
    return data | {
        "run": facts.state.run,
        "outcome": str(facts.state.finished.outcome) if facts.state.finished is not None else None,
        "critical_path": {"took_s": facts.critical_s, "steps": list(facts.critical)},
    }
