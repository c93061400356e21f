"""`matrix` and `foreach`: what the shape of a file can not say of them, and how the plan holds them."""

from dagnats.core.fanout import INSTANCES_MAX, cells, count, same
from dagnats.core.pipeline import FanOut
from dagnats.core.text import has_template
from dagnats.definition import values
from dagnats.definition.problems import Problems, quoted
from dagnats.definition.scopes import Scope
from dagnats.definition.templates import TemplateCheck
from dagnats.definition.tree import Node
from dagnats.definition.words import suggest

SETTINGS = ("include", "exclude", "max_parallel", "fail_fast")
TAKEN = ("params", "vars", "env", "git", "pipeline", "run", "steps", "secrets", "matrix", "failed")


def fans_out(step: Node) -> bool:
    """Whether a step has instances."""
    return "matrix" in step.fields() or "foreach" in step.fields()


def own_names(step: Node) -> tuple[str, ...]:
    """How the templates of a step call the values of its instance."""
    fields = step.fields()
    if "matrix" in fields:
        return ("matrix",)
    if "foreach" in fields:
        return (values.text(fields["foreach"].get("as")) or "item",)
    return ()


def axes_of(step: Node) -> frozenset[str]:
    """The names that `matrix` has in a step: its axes, and what `include` adds."""
    matrix = step.get("matrix")
    if matrix is None:
        return frozenset()
    names = {name for name in matrix.fields() if name not in SETTINGS}
    for entry in _entries(matrix.get("include")):
        names |= entry.fields().keys()
    return frozenset(names)


def fan_out(step: Node, templates: TemplateCheck, scope: Scope, problems: Problems) -> FanOut | None:
    """The instances of a step as the plan holds them, or None."""
    fields = step.fields()
    if "matrix" in fields and "foreach" in fields:
        problems.add(step.keys["foreach"], f"{scope.place} has both `matrix` and `foreach`", "remove one of them")
    if "matrix" in fields:
        return _matrix(fields["matrix"], problems) if isinstance(fields["matrix"].value, dict) else None
    return _foreach(fields["foreach"], templates, scope, problems) if "foreach" in fields else None


def _matrix(node: Node, problems: Problems) -> FanOut:
    before = problems.total
    axes = {
        name: tuple(_fixed(item, problems) for item in axis.items())
        for name, axis in node.fields().items()
        if name not in SETTINGS
    }
    known = dict.fromkeys((*axes, *(key for entry in _entries(node.get("include")) for key in entry.fields())))
    for entry in _entries(node.get("exclude")):
        for name in entry.fields():
            if name not in axes:
                hint = suggest(name, list(axes), problems) or f"axes: {', '.join(axes) or 'none'}"
                problems.add(entry.keys[name], f"`exclude` names {quoted(name)}, which is no axis", hint)
    made = FanOut(
        axes=axes,
        include=tuple(_cell(entry, problems) for entry in _entries(node.get("include"))),
        exclude=tuple(_cell(entry, problems) for entry in _entries(node.get("exclude"))),
        max_parallel=values.whole(node.get("max_parallel")),
        fail_fast=values.flag(node.get("fail_fast")),
    )
    if not known:
        problems.add(node, "`matrix` has no axis", 'for example `python: ["3.11", "3.12"]`')
    elif count(made) > INSTANCES_MAX:
        problems.add(node, f"`matrix` has {count(made):,} cells; a run may have at most {INSTANCES_MAX:,} instances")
    elif problems.total == before and all(made.axes.values()):
        _check_cells(node, made, problems)
    return made


def _check_cells(node: Node, made: FanOut, problems: Problems) -> None:
    for axis, given in made.axes.items():
        if len(given) < 200:  # to compare each with each takes long, and nobody writes so many by hand
            twice = next(
                (one for place, one in enumerate(given) if any(same(one, other) for other in given[:place])), None
            )
            if twice is not None:
                problems.add(node.fields()[axis], f"the axis {quoted(axis)} has the value {quoted(twice)} twice")
    if not cells(made):
        problems.add(node.keys.get("exclude", node), "`exclude` leaves no cell of the matrix")


def _entries(node: Node | None) -> list[Node]:
    return [entry for entry in (node.items() if node is not None else []) if isinstance(entry.value, dict)]


def _cell(entry: Node, problems: Problems) -> dict[str, object]:
    return {name: _fixed(value, problems) for name, value in entry.fields().items()}


def _fixed(node: Node, problems: Problems) -> object:
    """A value of a matrix. Numbers keep the form in which they are written where that tells more: `3.10` is not 3.1."""
    pending = [node]
    for part in pending:
        if isinstance(part.value, str) and has_template(part.value):
            hint = "use `foreach` for a list that is known when the step starts"
            problems.add(part, "the values of a matrix may hold no template", hint)
        pending += [*part.items(), *part.fields().values()]
    plain = node.plain()
    return node.text if isinstance(plain, float) and node.text and str(plain) != node.text else plain


def _foreach(node: Node, templates: TemplateCheck, scope: Scope, problems: Problems) -> FanOut:
    listed = node.get("items") if isinstance(node.value, dict) else node
    name = values.text(node.get("as")) or "item"
    if name in TAKEN:
        problems.add(node.get("as") or node, f"`as` may not be {quoted(name)}, which templates know already")
    found: object = []
    if listed is not None and isinstance(listed.value, str):
        found = templates.expression(listed, scope) or ""
    elif listed is not None:
        templates.value(listed, scope)
        found = listed.plain()
    return FanOut(
        items=found,
        name=name,
        max_parallel=values.whole(node.get("max_parallel")),
        fail_fast=values.flag(node.get("fail_fast")),
    )
