"""The graph of a plan as text: for a terminal, for Mermaid and Graphviz, and as data. Pure functions from plan to text."""

from collections.abc import Iterator, Mapping, Sequence

from msgspec import Struct

from dagnats.core.graph import graph_of, levels
from dagnats.core.pipeline import JSON, Pipeline, Step
from dagnats.report.lanes import drawn
from dagnats.report.plan import instances, service_traits, traits, wait_data, wait_text
from dagnats.report.view import clean

_MAX_NOTE = 60
_PLAIN = frozenset(" _-.,:/=!+()'")  # beside letters and digits, what means nothing in a quoted label of Mermaid


class Mark(Struct, frozen=True):
    """What a run has made of a step: in words, and in the colour of a border and of what is in it; `is_heavy` has it stand out."""

    text: str
    color: str = ""
    fill: str = ""
    is_heavy: bool = False


Marks = Mapping[str, Mark]
UNMARKED: Marks = {}


def ascii_lines(plan: Pipeline, *, unicode: bool = True, marks: Marks = UNMARKED) -> Iterator[str]:
    """Draw the steps as lanes, like a history: what a step needs is above it, and a line leads from there."""
    for title, steps in ((plan.name, plan.steps), ("finally", plan.finally_steps)):
        if steps:
            yield from ([] if steps is plan.steps or not plan.steps else [""])
            yield title
            yield ""
            yield from drawn(steps, {step.id: _label(step, marks) for step in steps}, unicode=unicode)
    if plan.services:
        yield from ("", "services", "")
        yield from (f"{name}  ({'; '.join(service_traits(service))})" for name, service in plan.services.items())


def _label(step: Step, marks: Marks) -> str:
    notes = [marks[step.id].text] if step.id in marks else []
    if step.name is not None and clean(step.name) != step.id:
        notes.append(clean(step.name))
    if step.condition is not None:
        condition = clean(step.condition)
        notes.append(f"if {condition if len(condition) <= _MAX_NOTE else condition[: _MAX_NOTE - 3] + '...'}")
    notes += traits(step)
    return f"{step.id}  ({'; '.join(notes)})" if notes else step.id


def mermaid_lines(plan: Pipeline, marks: Marks = UNMARKED) -> Iterator[str]:
    """Write a flowchart for Mermaid. Steps are numbered, as an id may be a word of Mermaid's own, such as `end`."""
    number = numbers(plan)
    yield "flowchart TD"
    nested = bool(plan.finally_steps and plan.steps)
    for title, steps in (("steps", plan.steps), ("finally", plan.finally_steps)):
        if not steps:
            continue
        indent = "    "
        if nested:
            yield f'    subgraph {title}_["{title}"]'
            indent = "        "
        for step in steps:
            yield f'{indent}{number[step.id]}["{_entities(_lines(step, marks))}"]'
        for step in steps:
            for need in step.needs:
                yield f"{indent}{number[need]} --> {number[step.id]}"
        if nested:
            yield "    end"
    if nested:
        yield "    steps_ -.-> finally_"
    yield from _mermaid_services(plan)


def _mermaid_services(plan: Pipeline) -> Iterator[str]:
    if plan.services:
        yield '    subgraph services_["services"]'
        for place, (name, service) in enumerate(plan.services.items(), 1):
            yield f'        v{place}(["{_entities([name, clean(service.container.image)])}"])'
        yield "    end"


def _entities(lines: Sequence[str]) -> str:
    """Write a label: everything that could be markup or end the label is written as an entity."""
    return "<br>".join("".join(c if c.isalnum() or c in _PLAIN else f"#{ord(c)};" for c in line) for line in lines)


def dot_lines(plan: Pipeline, marks: Marks = UNMARKED) -> Iterator[str]:
    """Write a graph for Graphviz."""
    yield f"digraph {_dot(plan.name)} {{"
    yield "    rankdir=TB;"
    yield '    node [shape=box, style=rounded, fontname="sans-serif"];'
    yield from _dot_steps(plan.steps, "    ", marks)
    if plan.finally_steps:
        yield "    subgraph cluster_finally {"
        yield '        label="finally";'
        yield from _dot_steps(plan.finally_steps, "        ", marks)
        yield "    }"
        if plan.steps:
            # one point between the two, or the last of one would meet the first of the other in a web of lines
            yield "    _ended [shape=point];"
            yield from (f"    {_dot(id_)} -> _ended [style=dotted, arrowhead=none];" for id_ in _ends(plan.steps))
            starts = (step.id for step in plan.finally_steps if not step.needs)
            yield from (f"    _ended -> {_dot(id_)} [style=dotted];" for id_ in starts)
    yield from _dot_services(plan)
    yield "}"


def _dot_services(plan: Pipeline) -> Iterator[str]:
    if plan.services:
        yield "    subgraph cluster_services {"
        yield '        label="services";'
        for name, service in plan.services.items():
            label = _dot(f"{name}\n{clean(service.container.image)}")
            yield f"        {_dot('services.' + name)} [label={label}, shape=ellipse];"
        yield "    }"


def _dot_steps(steps: Sequence[Step], indent: str, marks: Marks) -> Iterator[str]:
    for step in steps:
        mark = marks.get(step.id)
        styles = ["rounded", *["dashed"] * (step.condition is not None), *["filled"] * bool(mark and mark.fill)]
        look = f', style="{",".join(styles)}"' if len(styles) > 1 else ""
        if mark is not None and mark.fill:
            look += f', color="{mark.color}", fillcolor="{mark.fill}"' + ", penwidth=3" * mark.is_heavy
        yield f"{indent}{_dot(step.id)} [label={_dot(chr(10).join(_lines(step, marks)))}{look}];"
    for step in steps:
        for need in step.needs:
            yield f"{indent}{_dot(need)} -> {_dot(step.id)};"


def _dot(text: str) -> str:
    r"""Quote a string of DOT: in it, `\` begins an escape of labels and `"` ends it."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'


def graph_data(plan: Pipeline) -> JSON:
    """Give nodes and edges as data."""
    nodes: list[JSON] = []
    edges: list[JSON] = []
    for steps, is_final in ((plan.steps, False), (plan.finally_steps, True)):
        level_of = levels(graph_of(steps))
        nodes += [
            {
                "id": step.id,
                "name": step.name,
                "finally": is_final,
                "level": level_of[step.id],
                "if": step.condition,
                "allow_failure": list(step.allow_failure)
                if isinstance(step.allow_failure, tuple)
                else step.allow_failure,
                "instances": instances(step),
                "handles": step.handles,
                "pipeline": step.pipeline,
                "wait": wait_data(step.wait),
                "image": step.container.image if step.container is not None else None,
                "services": list(step.services),
                "line": step.line,
            }
            for step in steps
        ]
        edges += [{"from": need, "to": step.id} for step in steps for need in step.needs]
    services: JSON = [
        {"name": name, "image": service.container.image, "ports": list(service.ports)}
        for name, service in plan.services.items()
    ]
    return {"name": plan.name, "nodes": nodes, "edges": edges, "services": services}


def numbers(plan: Pipeline) -> dict[str, str]:
    """Give the name of each step within a chart of Mermaid."""
    return {step.id: f"s{place}" for place, step in enumerate((*plan.steps, *plan.finally_steps), 1)}


def _lines(step: Step, marks: Marks) -> list[str]:
    lines = [step.id]
    if step.id in marks:
        lines.append(marks[step.id].text)
    if step.name is not None and clean(step.name) != step.id:
        lines.append(clean(step.name))
    if step.condition is not None:
        lines.append(f"if {clean(step.condition)}")
    if step.pipeline is not None:
        lines.append(f"runs {clean(step.pipeline)}")
    if step.container is not None:
        lines.append(f"in {clean(step.container.image)}")
    if step.wait is not None:
        lines.append(wait_text(step.wait))
    return lines


def _ends(steps: Sequence[Step]) -> list[str]:
    needed = {need for step in steps for need in step.needs}
    return [step.id for step in steps if step.id not in needed]
