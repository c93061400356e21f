"""Templates with secrets in them: what may be done with one, and rendering that remembers every text which was made of one.

Whatever a template makes of a secret must be masked as well, so it may only be changed in ways that give texts of about its own size: no slices, no
loops, no conditions on it, and nothing that would paste it into a script.
"""

import time
from collections.abc import Iterable, Iterator
from typing import Final

from jinja2 import nodes

from dagnats.core.pipeline import JSON
from dagnats.template.check import is_pasted, root_of
from dagnats.template.errors import TemplateError
from dagnats.template.evaluator import Context, Evaluator
from dagnats.template.render import ScriptValues, sized
from dagnats.template.simple import simple_mentions
from dagnats.template.syntax import parse_template
from dagnats.template.values import Missing, to_text

ROOT: Final = "secrets"
FILTERS: Final = ("fromjson", "lower", "replace", "string", "tojson", "trim", "upper")
_HINT: Final = f"allowed are the filters {', '.join(FILTERS)}, `~`, and `a if b else c`; the step itself can do more with the value"


def check_secrets(text: str) -> list[TemplateError]:
    """Every use of a secret in a template that is not allowed."""
    simple = simple_mentions(text)
    if simple is not None and all(path[0] != ROOT or len(path) <= 2 for path, _ in simple):
        return []
    body = parse_template(text).body
    return list(_Uses(body).problems(body))


def render_secret_text(text: str, context: Context) -> tuple[str, set[str]]:
    """A string with its templates replaced by their values, and every text that was made of a secret."""
    evaluator = _Evaluator(context, time.monotonic, {})
    return sized(evaluator.text(parse_template(text).body)), evaluator.made


def render_secret_script(
    text: str, context: Context, shell: str | tuple[str, ...]
) -> tuple[str, dict[str, str], set[str]]:
    """A script in which each interpolation is a reference, the environment with the values, and every text made of a secret."""
    values = ScriptValues(shell, literals=False)  # a script is a file, where no secret may stand
    evaluator = _Evaluator(context, time.monotonic, {}, values.reference)
    script = sized(evaluator.text(parse_template(text).body))
    return script, {name: value for value, name in values.names.items()}, evaluator.made


class _Evaluator(Evaluator):
    """Keeps what it makes of secrets."""

    made: set[str]

    def text(self, body: Iterable[nodes.Node]) -> str:
        self.made = set()
        return super().text(body)

    def _evaluate(self, node: nodes.Node | None) -> JSON:
        value = super()._evaluate(node)
        makes = isinstance(node, nodes.Filter | nodes.Getattr | nodes.Getitem) and _mentions(node)
        if makes and not isinstance(value, Missing):
            self.made.add(to_text(value))
        return value


def _mentions(node: nodes.Node) -> bool:
    return any(name.name == ROOT for name in (node, *node.find_all(nodes.Name)) if isinstance(name, nodes.Name))


class _Uses:
    """The uses of secrets in a tree. In which of its nodes there is one is found by one walk: each node asks for all below it."""

    def __init__(self, body: Iterable[nodes.Node]) -> None:
        self._holding: set[int] = set()
        # Without recursion: fields of fields are not bounded in their depth.
        found: list[tuple[nodes.Node, int]] = [(node, 0) for node in body]
        for node, _ in found:
            found += [(child, id(node)) for child in node.iter_child_nodes()]
        for node, above in reversed(found):
            if id(node) in self._holding or (isinstance(node, nodes.Name) and node.name == ROOT):
                self._holding |= {id(node), above}

    def _mentions(self, node: nodes.Node) -> bool:
        return id(node) in self._holding

    def problems(self, body: Iterable[nodes.Node]) -> Iterator[TemplateError]:
        """Every use that is not allowed."""
        for node in body:
            if isinstance(node, nodes.Output):
                for child in node.nodes:
                    if isinstance(child, nodes.Expr) and self._mentions(child):
                        yield from self._interpolation(child)
                continue
            for part in node.iter_child_nodes():
                if isinstance(part, nodes.Expr) and self._mentions(part):
                    yield TemplateError(
                        "`secrets` may stand in `{{ … }}` only, not in `{% … %}`", part.lineno, hint=_HINT
                    )
                elif isinstance(part, nodes.Stmt):
                    yield from self.problems([part])

    def _interpolation(self, node: nodes.Expr) -> Iterator[TemplateError]:
        if is_pasted(node):
            hint = "leave out `raw`: the value reaches the script by an environment variable"
            yield TemplateError("a secret may not be pasted into text", node.lineno, hint=hint)
        elif wrong := self._wrong(node):
            yield TemplateError(f"a secret may not be used so: {wrong}", node.lineno, hint=_HINT)

    def _wrong(self, node: nodes.Node | None) -> str:
        """Say what of an expression may not be done with a secret, or nothing."""
        wrong = ""
        match node:
            case None:
                pass
            case _ if not self._mentions(node):
                pass
            case nodes.Name():
                pass  # all of them: the check of names says that one must be named
            case nodes.Getattr() | nodes.Getitem():
                wrong = self._wrong_path(node)
            case nodes.Filter():
                if node.name not in FILTERS:
                    wrong = f"the filter `{node.name}`"
                elif any(map(self._mentions, (*node.args, *node.kwargs))):
                    wrong = f"as an argument of `{node.name}`"
                else:
                    wrong = self._wrong(node.node)
            case nodes.Concat():
                wrong = next(filter(None, map(self._wrong, node.nodes)), "")
            case nodes.CondExpr():
                wrong = (
                    "in a condition"
                    if self._mentions(node.test)
                    else self._wrong(node.expr1) or self._wrong(node.expr2)
                )
            case _:
                wrong = _NAMES.get(type(node), "in this expression")
        return wrong

    def _wrong_path(self, node: nodes.Node) -> str:
        root, keys = root_of(node)
        if any(isinstance(key, nodes.Node) and not isinstance(key, nodes.Const) for key in keys):
            return (
                "a slice of it"
                if any(isinstance(key, nodes.Slice) for key in keys)
                else "with a name that is not constant"
            )
        if not isinstance(root, nodes.Name):
            inside = root.name == "fromjson" if isinstance(root, nodes.Filter) else False
            return self._wrong(root) if inside else "a part of it; `| fromjson` gives the fields of JSON"
        return "" if len(keys) == 1 else "a part of it; `| fromjson` gives the fields of JSON"


_NAMES: Final[dict[type[nodes.Node], str]] = {
    nodes.Compare: "in a comparison",
    nodes.Test: "in a test",
    nodes.Call: "as an argument of a function",
    nodes.And: "in a condition",
    nodes.Or: "in a condition",
    nodes.Not: "in a condition",
    nodes.List: "in a list",
    nodes.Tuple: "in a list",
    nodes.Dict: "in a map",
}
