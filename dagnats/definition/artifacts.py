"""`artifacts` of a step: what the shape of a file can not say of them, and how the plan holds them."""

from dagnats.core.globs import wrong_glob
from dagnats.core.keeping import wrong_name
from dagnats.core.pipeline import Artifacts
from dagnats.core.text import has_template
from dagnats.definition import values
from dagnats.definition.once import Once
from dagnats.definition.problems import Problems, quoted
from dagnats.definition.scopes import Scope
from dagnats.definition.templates import TemplateCheck
from dagnats.definition.tree import Node


class Keeper:
    """Makes the artifacts of steps. What `defaults` or an alias bring to many steps is made and judged once."""

    def __init__(self, templates: TemplateCheck, problems: Problems) -> None:
        self._templates = templates
        self._problems = problems
        self._once = Once()

    def of_step(self, node: Node | None, scope: Scope) -> Artifacts | None:
        """The artifacts of a step as the plan holds them, or None for a step that has none."""
        if node is None:
            return None
        self._templates.value(node, scope)
        return self._once(self._artifacts, node)

    def _artifacts(self, node: Node) -> Artifacts | None:
        fields = node.fields()
        paths = self._paths(fields.get("paths") if fields else node)
        if not paths:
            return None  # the check of the shape has complained, or one of the paths is wrong
        name = values.text(fields.get("name"))
        if name is not None and not has_template(name) and (wrong := wrong_name(name)) is not None:
            self._problems.add(fields["name"], f"`name` of `artifacts` {wrong.message}", wrong.hint)
        when = values.text(fields.get("when")) or "on_success"
        return Artifacts(paths=paths, when=when, name=name)  # type: ignore[arg-type]  # one of the three, or the check of the shape has complained

    def _paths(self, node: Node | None) -> tuple[str, ...]:
        if node is None:
            return ()
        items = node.items() if isinstance(node.value, list) else [node]
        return tuple(path for path in (self._once(self._path, item) for item in items) if path is not None)

    def _path(self, item: Node) -> str | None:
        path = values.text(item)
        if path and not has_template(path) and (wrong := wrong_glob(path)) is not None:
            self._problems.add(item, f"the path {quoted(path)} of `artifacts` {wrong.message}", wrong.hint)
        return path or None
