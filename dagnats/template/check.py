"""What of Jinja's language a pipeline may use, and which context variables a template mentions."""

import difflib
import inspect
from collections.abc import Callable, Iterable
from typing import Any, ClassVar, Final, NamedTuple

from jinja2 import nodes

from dagnats.template.errors import RefusedError
from dagnats.template.filters import FILTERS, TESTS
from dagnats.template.values import bounded

STATUS_FUNCTIONS: Final = frozenset({"success", "failure", "always", "cancelled"})
MAX_LOOPS: Final = 8
MAX_DEPTH: Final = 50
MAX_ORIGINS: Final = 100

_FOREIGN_FUNCTIONS: Final = {
    "contains": "write `'part' in value`",
    "startswith": "compare a part: `value[:8] == 'release/'`",
    "endswith": "compare a part: `value[-3:] == '-rc'`",
    "tojson": "write `value | tojson`",
    "fromjson": "write `value | fromjson`",
    "format": "join with `~`: `'v' ~ params.version`",
    "join": "write `list | join(', ')`",
    "len": "write `value | length`",
    "hashfiles": "make a var of it: `vars: {name: {sh: …}}`",
    "env": "write `env.NAME`",
    "succeeded": "did you mean `success()`?",
}
_FORBIDDEN: Final[dict[type[nodes.Node], str]] = {
    nodes.Extends: "extends",
    nodes.Block: "block",
    nodes.Include: "include",
    nodes.Import: "import",
    nodes.FromImport: "from",
    nodes.Macro: "macro",
    nodes.CallBlock: "call",
    nodes.FilterBlock: "filter",
    nodes.With: "with",
    nodes.AssignBlock: "set ... endset",
    nodes.ScopedEvalContextModifier: "autoescape",
}

_OPERATORS: Final[tuple[type[nodes.Node], ...]] = (
    *(nodes.Mul, nodes.Div, nodes.FloorDiv, nodes.Add, nodes.Mod, nodes.Pow),
    *(nodes.Not, nodes.Neg, nodes.Pos),
    nodes.Operand,
)


class Reference(NamedTuple):
    """A use of a context variable. `path` stops at the first part that is not a constant.

    `raw` says that its value is pasted into the text as it is, `sure` that it is needed whatever the values are: no branch, no `default`, no
    `is defined` stands around it. `beside` is the text with which it alone is compared by `==` or `!=`.
    """

    path: tuple[str, ...]
    line: int
    raw: bool = False
    sure: bool = True
    beside: str | None = None


def is_pasted(node: nodes.Node) -> bool:
    """Whether the last filter of an interpolation is `raw`."""
    return isinstance(node, nodes.Filter) and node.name == "raw"


def unpasted(node: nodes.Expr) -> nodes.Expr:
    """An interpolation without its `raw`."""
    return node.node if isinstance(node, nodes.Filter) and node.name == "raw" and node.node is not None else node


def root_of(node: nodes.Node) -> tuple[nodes.Node, list[nodes.Expr | str]]:
    """Where a chain of fields begins, and its keys from there on."""
    keys: list[nodes.Expr | str] = []
    while isinstance(node, nodes.Getattr | nodes.Getitem):
        keys.append(node.attr if isinstance(node, nodes.Getattr) else node.arg)
        node = node.node
    return node, keys[::-1]


class Check:
    """One walk over a tree; `line` is where it is, so that whoever catches an error can say so. `nodes` counts what it has seen."""

    def __init__(self, expression: bool) -> None:
        self.line = 1
        self.references: list[Reference] = []
        self.functions: set[str] = set()
        self.nodes = 0
        self._expression = expression
        self._scopes: list[set[str]] = [set()]
        self._depth = 0
        self._loops = 0
        self._raw = False
        self._beside: str | None = None  # the text with which the next path is compared
        self._guards = 0  # what is around here that may make a missing value harmless
        # Everything that was mentioned, in order, and what of it is in the names that the template gives itself.
        self._flow: list[Reference] = []
        self._origins: dict[str, list[Reference]] = {}

    def statements(self, body: Iterable[nodes.Node]) -> None:
        """Check a list of statements."""
        self._deeper()
        for node in body:
            self._at(node)
            self.nodes += 2  # the work of reading a statement is that of three values
            match node:
                case nodes.Output():
                    self._output(node)
                case nodes.If():
                    self.expression(node.test)
                    self._unsure(self.statements, node.body, node.elif_, node.else_)
                case nodes.For():
                    self._loop(node)
                case nodes.Assign():
                    before = len(self._flow)
                    self._unsure(self.expression, node.node)
                    self._scopes[-1] |= self._named(node.target, before)
                case _:
                    tag = _FORBIDDEN.get(type(node), type(node).__name__.lower())
                    raise RefusedError(f"`{{% {tag} %}}` is not available", "there are `if`, `for`, `set` and `raw`")
        self._depth -= 1

    def expression(self, node: nodes.Node | None) -> None:
        """Check an expression and all within it."""
        if node is None:
            return
        self._deeper()
        self._at(node)
        # A chain of `case` asks each in turn what a node is, and long lists have many nodes.
        part = self._EXPRESSIONS.get(type(node))
        if part is None:
            raise RefusedError(f"`{type(node).__name__.lower()}` is not available in an expression")
        part(self, node)
        self._depth -= 1

    def _at(self, node: nodes.Node) -> None:
        self.nodes += 1
        self.line = node.lineno or self.line

    def _deeper(self) -> None:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise RefusedError(f"the template is nested over {MAX_DEPTH} deep", "give a part a name with `{% set %}`")

    def _unsure(self, walk: Callable[[Any], None], *parts: Any) -> None:
        """Check what is not evaluated, or may be missing, with some values."""
        self._guards += 1
        for part in parts:
            walk(part)
        self._guards -= 1

    def _constant(self, node: nodes.Const) -> None:
        bounded(node.value)

    def _subtraction(self, node: nodes.Node) -> None:
        self._dash(node)
        self._children(node)

    def _branches(self, node: nodes.Node) -> None:
        """Of `and`, `or` and `if … else` only the first part is evaluated in any case."""
        first, *others = node.iter_child_nodes()
        self.expression(first)
        self._unsure(self.expression, *others)

    def _comparison(self, node: nodes.Compare) -> None:
        if len(node.ops) == 1 and node.ops[0].op in ("eq", "ne"):
            one, other = node.expr, node.ops[0].expr
            path, text = (other, one) if isinstance(one, nodes.Const) else (one, other)
            if isinstance(text, nodes.Const) and isinstance(path, nodes.Getattr | nodes.Getitem):
                self._beside = text.value if isinstance(text.value, str) else None
        self.expression(node.expr)
        self.expression(node.ops[0].expr)
        # a chain ends at the first part that is false
        self._unsure(self.expression, *(operand.expr for operand in node.ops[1:]))

    def _children(self, node: nodes.Node) -> None:
        for child in node.iter_child_nodes():
            self.expression(child)

    def _output(self, node: nodes.Output) -> None:
        for child in node.nodes:
            if not isinstance(child, nodes.TemplateData):
                self._raw = is_pasted(child)
                self.expression(unpasted(child) if self._arguments(child) == 0 else child)
                self._raw = False

    @staticmethod
    def _arguments(node: nodes.Node) -> int:
        return len(node.args) + len(node.kwargs) if isinstance(node, nodes.Filter | nodes.Call) else 0

    def _loop(self, node: nodes.For) -> None:
        if node.recursive:
            raise RefusedError("recursive loops are not available")
        before = len(self._flow)
        self.expression(node.iter)
        self._loops += 1
        if self._loops > MAX_LOOPS:
            raise RefusedError(f"loops are nested over {MAX_LOOPS} deep")
        self._scopes.append(self._named(node.target, before) | {"loop"})
        self._unsure(self.expression, node.test)
        self._unsure(self.statements, node.body)
        self._scopes.pop()
        self._loops -= 1
        self._unsure(self.statements, node.else_)

    def _named(self, target: nodes.Node, before: int) -> set[str]:
        """The names that get a value; they hold whatever was mentioned in it."""
        names = self._targets(target)
        for name in names:
            self._origins[name] = list(dict.fromkeys((*self._origins.get(name, ()), *self._flow[before:])))[
                :MAX_ORIGINS
            ]
        return names

    def _targets(self, target: nodes.Node) -> set[str]:
        names = target.items if isinstance(target, nodes.Tuple) else [target]
        found = {name.name for name in names if isinstance(name, nodes.Name)}
        if len(found) != len(names):
            raise RefusedError("only names can be set, each once")
        return found

    def _path(self, node: nodes.Node) -> None:
        root, keys = root_of(node)
        beside, self._beside = self._beside, None
        self.nodes += len(keys)
        for key in keys:
            if isinstance(key, nodes.Node) and not isinstance(key, nodes.Const):
                self.expression(key)
        if not isinstance(root, nodes.Name):
            if isinstance(root, nodes.Const):
                raise RefusedError("a literal has no fields")
            self.expression(root)
            return
        if any(root.name in scope for scope in self._scopes):
            held = self._origins.get(root.name, [])
            self._flow += held
            self.nodes += len(held)  # a name of 3 letters can bring 100 others wherever it stands
            if self._raw:
                self.references += [Reference(one.path, root.lineno, raw=True) for one in held]
            return
        if root.name in STATUS_FUNCTIONS:
            raise RefusedError(f"`{root.name}` is a function: write `{root.name}()`")
        path = [root.name]
        for key in keys:
            if isinstance(key, nodes.Node) and not isinstance(key, nodes.Const):
                beside = None
                break
            path.append(key if isinstance(key, str) else str(key.value))
        self.references.append(Reference(tuple(path), root.lineno, self._raw, not self._guards, beside))
        self._flow.append(self.references[-1])

    def _dash(self, node: nodes.Node) -> None:
        names: list[str] = []
        left = node
        # Each of a long row of subtractions is asked, and one of so many is refused as too deep.
        while isinstance(left, nodes.Sub) and len(names) <= MAX_DEPTH:
            right = root_of(left.right)[0]
            names.append(right.name if isinstance(right, nodes.Name) else str(getattr(right, "value", "...")))
            left = left.left
        root, keys = root_of(left)
        if names and isinstance(root, nodes.Name) and root.name == "steps" and len(keys) == 1:
            first = keys[0] if isinstance(keys[0], str) else "..."
            name = "-".join([first, *reversed(names)])
            raise RefusedError(
                f"`steps.{name}` is read as a subtraction", f"write steps['{name}'] because the id has a dash"
            )

    def _filter(self, node: nodes.Filter) -> None:
        if node.node is None:
            raise RefusedError("a filter needs a value")
        if node.name in ("default", "d"):
            self._unsure(self.expression, node.node)
        else:
            self.expression(node.node)
        if node.name == "raw":
            raise RefusedError("`raw` must be the last filter of an interpolation, and takes no arguments")
        if node.name not in ("default", "d"):
            self._known(node, "filter", FILTERS)
        elif self._arguments(node) > 2 or any(
            keyword.key not in ("default_value", "boolean") for keyword in node.kwargs
        ):
            raise RefusedError("`default` takes a value, and true if it also stands for what is empty")
        self._given(node)

    def _test(self, node: nodes.Test) -> None:
        self._unsure(self.expression, node.node)
        self._known(node, "test", TESTS)
        self._given(node)

    def _known(self, node: nodes.Filter | nodes.Test, what: str, table: dict[str, Any]) -> None:
        if node.name not in table:
            near = difflib.get_close_matches(node.name, table, n=1)
            hint = f"did you mean `{near[0]}`?" if near else f"{what}s: {', '.join(sorted(table))}"
            raise RefusedError(f"there is no {what} `{node.name}`", hint)
        try:
            inspect.signature(table[node.name]).bind(None, *node.args, **{str(pair.key): None for pair in node.kwargs})
        except TypeError as error:
            raise RefusedError(f"the {what} `{node.name}` can not take these arguments: {error}") from None

    def _given(self, node: nodes.Filter | nodes.Test | nodes.Call) -> None:
        if node.dyn_args is not None or node.dyn_kwargs is not None:
            raise RefusedError("arguments can not be given with `*` and `**`")
        for argument in node.args:
            self.expression(argument)
        for pair in node.kwargs:
            self.expression(pair.value)

    def _call(self, node: nodes.Call) -> None:
        if isinstance(node.node, nodes.Getattr | nodes.Getitem):
            name = node.node.attr if isinstance(node.node, nodes.Getattr) else ""
            raise RefusedError("methods can not be called", f"write `| {name}`" if name in FILTERS else "use a filter")
        name = node.node.name if isinstance(node.node, nodes.Name) else "..."
        self._given(node)
        if name == "range":
            if node.kwargs or not 1 <= len(node.args) <= 3:
                raise RefusedError("`range` takes one to three integers")
        elif name not in STATUS_FUNCTIONS:
            known = "range, " + ", ".join(f"{known}()" for known in sorted(STATUS_FUNCTIONS))
            near = difflib.get_close_matches(name.lower()[:100], STATUS_FUNCTIONS, n=1, cutoff=0.5)
            hint = _FOREIGN_FUNCTIONS.get(name.lower()) or (f"did you mean `{near[0]}()`?" if near else "")
            raise RefusedError(f"there is no function `{name}`", hint or f"functions: {known}")
        elif not self._expression:
            raise RefusedError(f"`{name}()` is only known in an `if`")
        elif self._arguments(node):
            raise RefusedError(f"`{name}()` takes no arguments")
        else:
            self.functions.add(name)

    _EXPRESSIONS: ClassVar[dict[type[nodes.Node], Callable[["Check", Any], None]]] = {
        nodes.Const: _constant,
        **dict.fromkeys((nodes.Name, nodes.Getattr, nodes.Getitem), _path),
        nodes.Filter: _filter,
        nodes.Test: _test,
        nodes.Call: _call,
        nodes.Sub: _subtraction,
        nodes.Compare: _comparison,
        **dict.fromkeys((nodes.And, nodes.Or, nodes.CondExpr), _branches),
        **dict.fromkeys(
            (*_OPERATORS, nodes.Concat, nodes.List, nodes.Tuple, nodes.Dict, nodes.Pair, nodes.Slice), _children
        ),
    }
