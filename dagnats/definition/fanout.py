"""`matrix` and `foreach`: what the shape of a file can not say of them, and how the plan holds them."""

from collections.abc import Mapping

from dagnats.core.fanout import CELL_VALUES_MAX, COUNTED_MAX, INSTANCES_MAX, count, repeated, size
from dagnats.core.pipeline import FanOut
from dagnats.definition import values
from dagnats.definition.needs import Draft
from dagnats.definition.once import Once
from dagnats.definition.problems import Problems, listed, quoted
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


class FanOuts:
    """Makes the instances of steps. What `defaults` or an alias bring to many steps is worked out once."""

    def __init__(self, templates: TemplateCheck, problems: Problems) -> None:
        self._templates = templates
        self._problems = problems
        self._once = Once()
        self._instances = 0

    def axes(self, step: Node) -> Mapping[str, None]:
        """The names that `matrix` has in a step: its axes, and what `include` adds."""
        matrix = step.get("matrix")
        return self._once(_names, matrix) if matrix is not None else {}

    def of(self, one: Draft, scope: Scope) -> FanOut | None:
        """The instances of a step as the plan holds them, or None."""
        fields = one.node.fields()
        if "matrix" in fields and "foreach" in fields:
            place = one.node.keys["foreach"]
            self._problems.add(place, f"{scope.place} has both `matrix` and `foreach`", "remove one of them")
        if "matrix" not in fields:
            return self._foreach(fields["foreach"], scope) if "foreach" in fields else None
        if not isinstance(fields["matrix"].value, dict):
            return None
        made, cells = self._once(self._matrix, fields["matrix"])
        before, self._instances = self._instances, self._instances + cells
        if before <= INSTANCES_MAX < self._instances and cells <= INSTANCES_MAX:
            message = f"with the cells of step {quoted(one.id)} the run has {self._instances:,} instances; at most {INSTANCES_MAX:,} are allowed"
            self._problems.add(one.node, message)
        return made

    def _matrix(self, node: Node) -> tuple[FanOut, int]:
        made = _matrix(node, self._once, self._problems)
        return made, count(made)

    def _foreach(self, node: Node, scope: Scope) -> FanOut:
        listed = node.get("items") if isinstance(node.value, dict) else node
        name = values.text(node.get("as")) or "item"
        if name in TAKEN:
            message = f"`as` may not be {quoted(name)}, which templates know already"
            self._problems.add(node.get("as") or node, message)
        found: object = []
        if listed is not None and isinstance(listed.value, str):
            found = self._templates.listed(listed, scope) or ""
        elif listed is not None:
            self._templates.value(listed, scope)
            found = self._once(Node.plain, listed)
        return FanOut(
            items=found,
            name=name,
            max_parallel=values.whole(node.get("max_parallel")),
            fail_fast=values.flag(node.get("fail_fast")),
        )


def _names(matrix: Node) -> Mapping[str, None]:
    names = {name for name in matrix.fields() if name not in SETTINGS}
    for entry in _entries(matrix.get("include")):
        names.update(entry.fields())
    return dict.fromkeys(sorted(names))


def _matrix(node: Node, once: Once, problems: Problems) -> FanOut:
    before = problems.total
    axes = {
        name: tuple(_fixed(item, once, problems) for item in axis.items())
        for name, axis in node.fields().items()
        if name not in SETTINGS
    }
    excluded = _entries(node.get("exclude"))
    for entry in excluded:
        for name in entry.fields() if not problems.are_full else ():
            if name in axes:
                continue
            hint = suggest(name, axes, problems) or f"axes: {listed(axes) or 'none'}"
            problems.add(entry.keys[name], f"`exclude` names {quoted(name)}, which is no axis", hint)
    made = FanOut(
        axes=axes,
        include=tuple(_cell(entry, once, problems) for entry in _entries(node.get("include"))),
        exclude=tuple(_cell(entry, once, problems) for entry in excluded),
        max_parallel=values.whole(node.get("max_parallel")),
        fail_fast=values.flag(node.get("fail_fast")),
    )
    cells = count(made)
    if not axes and not any(made.include):
        problems.add(node, "`matrix` has no axis", 'for example `python: ["3.11", "3.12"]`')
    elif cells > INSTANCES_MAX:
        many = f"{cells:,}" if cells < COUNTED_MAX else f"more than {COUNTED_MAX:,}"
        problems.add(node, f"`matrix` has {many} cells; a run may have at most {INSTANCES_MAX:,} instances")
    elif problems.total == before and all(made.axes.values()):
        _check_cells(node, made, problems)
    return made


def _check_cells(node: Node, made: FanOut, problems: Problems) -> None:
    for axis, given in made.axes.items():
        twice = repeated(given)
        if twice is not None:
            value = quoted(given[twice])
            problems.add(node.fields()[axis].items()[twice], f"the axis {quoted(axis)} has the value {value} twice")
    held = size(made)
    if held > CELL_VALUES_MAX:
        message = f"the cells of `matrix` have {held:,} values together; at most {CELL_VALUES_MAX:,} are allowed"
        problems.add(node, message)
    elif not made.include and made.exclude and not held:
        problems.add(node.keys.get("exclude", node), "`exclude` leaves no cell of the matrix")


def _entries(node: Node | None) -> list[Node]:
    return [entry for entry in (node.items() if node is not None else []) if isinstance(entry.value, dict)]


def _cell(entry: Node, once: Once, problems: Problems) -> dict[str, object]:
    return {name: _fixed(value, once, problems) for name, value in entry.fields().items()}


def _fixed(node: Node, once: Once, problems: Problems) -> object:
    """A value of a matrix. Numbers keep the form in which they are written where that tells more: `3.10` is not 3.1."""
    pending = [node]
    for part in pending:
        if once(values.holds_template, part):
            hint = "use `foreach` for a list that is known when the step starts"
            problems.add(part, "the values of a matrix may hold no template", hint)
        pending += [*part.items(), *part.fields().values()]
    plain = node.plain()
    return node.text if isinstance(plain, float) and node.text and str(plain) != node.text else plain
