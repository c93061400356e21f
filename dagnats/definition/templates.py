"""Every template of a file, checked without being rendered: its syntax, and that all it mentions exists."""

import re
from collections.abc import Iterable, Sequence
from functools import cached_property
from typing import Any

from msgspec import Struct, field

from dagnats.core.text import has_template
from dagnats.definition.expressions import foreign_parts, unquoted_text
from dagnats.definition.once import Once
from dagnats.definition.places import Places, Starts, needle_of, part_at
from dagnats.definition.problems import Problems, Severity
from dagnats.definition.scopes import Finding, Names, Scope
from dagnats.definition.tree import Node
from dagnats.definition.values import holds_template
from dagnats.definition.words import NULLS

# The conditions that nearly all pipelines make do with; to know what they say takes no parser.
BARE_STATUS = re.compile(r"(success|failure|always|cancelled)\(\s*\)")
PATH = re.compile(r"(?:params|steps)(?:\.[A-Za-z_][A-Za-z0-9_]*)+")
CONSTANTS = frozenset(["true", "false"])
FOREIGN_BRACES = "${{"
FOREIGN_START = re.compile(re.escape(FOREIGN_BRACES))
# Measured: 7 µs a node, which nobody writes so many of by hand, and 3 s for what a file could hold.
MAX_PARTS = 160_000
PARTS_OF_START = 4  # as long takes it to begin with a template that is no plain mention
# An alias, or a value of `defaults`, counts in every step where it stands.
MAX_MENTIONS = 200_000


class Checked(Struct):
    """What was found at a node, for the next place where an alias or `defaults` bring it.

    `open` are the mentions that can be right in one step and wrong in another, and `roots` are where the mentions of an expression begin.
    """

    good: bool = True
    texts: Sequence[Node] = ()
    starts: Starts = field(default_factory=list)
    text: str | None = None
    functions: frozenset[str] = frozenset()
    roots: frozenset[str] = frozenset()
    open: list[tuple[Any, Starts]] = field(default_factory=list)
    quotes_seen: bool = False


class TemplateCheck:
    """Checks templates against the names of a file, and puts what is wrong where it stands."""

    def __init__(self, names: Names, lines: list[str], problems: Problems) -> None:
        self._names = names
        self._places = Places(lines)
        self._problems = problems
        self._parsed: dict[tuple[str, bool], Any] = {}
        self._checked: dict[Any, Checked] = {}
        self._joined: dict[int, Checked] = {}
        self._once = Once()
        self._parts = 0
        self._mentions = 0

    @cached_property
    def _templates(self) -> Any:
        # Measured: Jinja2 costs 59 ms, five times a start of Python, and many files hold no template at all.
        from dagnats import template  # noqa: PLC0415

        return template

    def value(self, node: Node, scope: Scope) -> None:
        """Check the templates in a text, or in all texts of a list or mapping."""
        key = ("value", id(node), scope.kind)
        checked = self._checked.get(key)
        if checked is None:
            checked = self._checked[key] = Checked(texts=self._texts(node))
            for part in checked.texts:
                self._check(part.value, [(1, part)], scope, checked)
        self._in_step(checked, scope)

    def script(self, node: Node, shell: str | tuple[str, ...], scope: Scope) -> str | None:
        """Check the templates of a script, also for places where a shell would not see the value; give the script."""
        key = ("script", id(node), shell if isinstance(shell, str) else "", scope.kind)
        checked = self._checked.get(key)
        if checked is None:
            joined = self._script(node)
            checked = self._checked[key] = Checked(text=joined.text, starts=joined.starts)
            if checked.text is not None and has_template(checked.text):
                self._check(checked.text, checked.starts, scope, checked)
            else:
                checked.quotes_seen = True
        if self._in_step(checked, scope) and not checked.quotes_seen:
            checked.quotes_seen = True
            for error in self._templates.check_script(checked.text, shell):
                self._report(error, checked.starts)
        return checked.text

    def references(self, node: Node) -> tuple[Starts, Iterable[Any]]:
        """The references in a script or a text, each once, with what is needed to say where each stands; none where it is wrong."""
        joined = self._script(node)
        if joined.text is None or not has_template(joined.text):
            return joined.starts, ()
        found = self._parse(joined.text, joined.starts, expression=False)
        return joined.starts, found if isinstance(found, dict) else ()

    def warn_pasted(self, starts: Starts, reference: Any, message: str, hint: str) -> None:
        """Note a warning at a reference that is pasted."""
        if self._problems.are_full:
            self._problems.count("warning")
            return
        needle = re.compile(needle_of(reference.path).pattern + r"(?=[^}]*\|\s*raw\b)")
        self._place(starts, reference.line, None, needle, message=message, hint=hint, severity="warning")

    def condition(self, node: Node, scope: Scope) -> tuple[str | None, frozenset[str], bool]:
        """Check an `if`; give its expression without braces, the status functions it calls, and whether it asks for a value of the instance."""
        key = ("if", id(node), scope.kind)
        checked = self._checked.get(key)
        if checked is None:
            checked = self._checked[key] = self._condition(node, scope)
        good = self._in_step(checked, scope)
        each = not checked.roots.isdisjoint(scope.own)
        return checked.text, checked.functions if good else frozenset(), each

    def expression(self, node: Node, scope: Scope) -> str | None:
        """Check an expression that may stand in braces; give it without them."""
        key = ("expression", id(node), scope.kind)
        checked = self._checked.get(key)
        if checked is None:
            text = _unbraced(str(node.value))
            checked = self._checked[key] = Checked(text=text or None)
            if text:
                self._check(text, [(1, node)], scope, checked, expression=True)
            elif node.value:
                self._problems.add(node, "the expression is empty")
        return checked.text if self._in_step(checked, scope) else None

    def listed(self, node: Node, scope: Scope) -> str | None:
        """Check an expression that shall give a list, as far as one can see that it will not."""
        text = self.expression(node, scope)
        finding = self._names.no_list(tuple(text.split("."))) if text is not None and PATH.fullmatch(text) else None
        if finding is not None:
            self._problems.add(node, finding.message, finding.hint)
        return text

    def may_look_at(self, count: int, node: Node) -> bool:
        """Whether so many mentions more may be looked at; the first time that they are too many, that is a problem."""
        before, self._mentions = self._mentions, self._mentions + count
        if before <= MAX_MENTIONS < self._mentions:
            message = f"the templates of this file mention a value more than {MAX_MENTIONS:,} times; what follows was not checked"
            hint = "what stands in `defaults` or is an alias counts wherever it is used"
            self._problems.add(node, message, hint)
        return self._mentions <= MAX_MENTIONS

    def _condition(self, node: Node, scope: Scope) -> Checked:
        if isinstance(node.value, bool):
            return Checked(text=str(node.value).lower())
        if not isinstance(node.value, str):
            return Checked()
        expression = _unbraced(node.value)
        checked = Checked(text=expression)
        bare = BARE_STATUS.fullmatch(expression)
        if bare:
            checked.functions = frozenset([bare[1]])
        elif not expression:
            self._problems.add(node, "`if` may not be empty", "remove it, or write an expression")
        elif expression not in CONSTANTS:
            found = self._check(expression, [(1, node)], scope, checked, expression=True)
            checked.roots = frozenset(mention.path[0] for mention in found)
            if checked.good:
                checked.functions = self._templates.status_functions(expression)
        return checked

    def _texts(self, node: Node) -> Sequence[Node]:
        """The texts in a value that hold templates."""
        key = ("texts", id(node))
        if key not in self._checked:
            pending = [node]
            found: list[Node] = []
            for part in pending:
                if isinstance(part.value, str):
                    if self._once(holds_template, part):  # an alias can bring one text to many lists
                        found.append(part)
                else:
                    pending.extend(part.items())
                    pending.extend(part.fields().values())
            self._checked[key] = Checked(texts=found)
        return self._checked[key].texts

    def _check(
        self, text: str, starts: Starts, scope: Scope, checked: Checked, *, expression: bool = False
    ) -> Iterable[Any]:
        """Judge all that a text mentions and that needs no step to be judged; give its mentions."""
        if FOREIGN_BRACES in text:
            line = text[: text.index(FOREIGN_BRACES)].count("\n") + 1
            hint = "leave out the `$`" if not expression else "it is an expression already; leave out `${{` and `}}`"
            self._place(starts, line, None, FOREIGN_START, message="`${{ … }}` is written `{{ … }}` here", hint=hint)
            checked.good = False
            return ()
        found = self._parse(text, starts, expression=expression)
        if isinstance(found, Exception):
            self._syntax(found, text, starts, expression=expression)
        if not isinstance(found, dict):
            checked.good = False
            return ()
        for mention in found:
            if self._mentions > MAX_MENTIONS:
                checked.good = False
                break
            if self._names.depends_on_step(mention.path, scope):
                checked.open.append((mention, starts))
            elif not self._judge(mention, starts, scope, text if expression else ""):
                checked.good = False
        if "secrets" in scope.roots and any(mention.path[0] == "secrets" for mention in found):
            self._secrets(text, starts, checked)
        return found

    def _secrets(self, text: str, starts: Starts, checked: Checked) -> None:
        if self._parts > MAX_PARTS:
            return
        errors = self._templates.check_secrets(text)
        # They were looked for in the whole tree once more.
        self._spend(self._templates.nodes(text) + (4 * len(errors) + len(text) // 2 if errors else 0), starts)
        for error in errors:
            checked.good = False
            self._report(error, starts)

    def _syntax(self, error: Any, text: str, starts: Starts, *, expression: bool) -> None:
        foreign = foreign_parts(text, expression=expression) if not self._problems.are_full else []
        for part in foreign:
            line = text.count("\n", 0, part.start) + 1
            needle = re.compile(re.escape(part.piece))
            self._place(starts, line, None, needle, message=part.message, hint=part.hint)
        if not foreign:
            self._report(error, starts)

    def _in_step(self, checked: Checked, scope: Scope) -> bool:
        """Judge what can not be judged for all steps at once; say whether all is well."""
        good = checked.good
        for mention, starts in checked.open:
            if self._mentions > MAX_MENTIONS:
                return False
            if not self._judge(mention, starts, scope):
                good = False
        return good

    def _judge(self, mention: Any, starts: Starts, scope: Scope, expression: str = "") -> bool:
        if not self.may_look_at(1, part_at(starts, mention.line)[1]):
            return False
        finding = self._names.judge(mention.path, scope)
        if finding is None and mention.beside is not None:
            finding = self._names.compare(mention.path, mention.beside)
        if finding is not None:
            self._wrong(finding, mention, starts, expression)
        return finding is None

    def _wrong(self, finding: Finding, mention: Any, starts: Starts, expression: str) -> None:
        if self._problems.are_full:
            self._problems.count()  # where it stands would not be shown
            return
        if expression and finding.message.endswith("is not defined") and mention.path[0] not in NULLS:
            meant = unquoted_text(expression, mention.path[0])
            finding.hint = f"put text in quotes: `'{meant}'`" if meant else finding.hint
        self._place(starts, mention.line, None, needle_of(mention.path), message=finding.message, hint=finding.hint)

    def _parse(self, text: str, starts: Starts, *, expression: bool) -> Any:
        """The mentions of a text, each once; or an error, or None after too much."""
        key = (text, expression)
        if key in self._parsed:
            return self._parsed[key]
        if self._parts > MAX_PARTS:
            return None
        try:
            found = self._templates.check(text, expression=expression)
            self._parsed[key] = dict.fromkeys(found)
            nodes = self._templates.nodes(text, expression=expression)
            self._spend(nodes + PARTS_OF_START if nodes else 0, starts)
        except self._templates.TemplateError as error:
            self._parsed[key] = error
            self._spend(4 + len(text) // 2, starts)
        return self._parsed[key]

    def _spend(self, parts: int, starts: Starts) -> None:
        before, self._parts = self._parts, self._parts + parts
        if before <= MAX_PARTS < self._parts:
            message = f"the templates of this file have more than {MAX_PARTS:,} parts; what follows was not checked"
            self._problems.add(starts[0][1], message, "a part is a value, an operator or a filter; let scripts do more")

    def _report(self, error: Any, starts: Starts) -> None:
        if self._problems.are_full:
            self._problems.count()
            return
        self._place(starts, error.line or 1, error.column, None, message=error.message, hint=error.hint or "")

    def _place(
        self,
        starts: Starts,
        line: int,
        column: int | None,
        needle: re.Pattern[str] | None,
        *,
        message: str,
        hint: str,
        severity: Severity = "error",
    ) -> None:
        first, node = part_at(starts, line)
        self._problems.add_at(
            *self._places.locate(node, line - first + 1, column, needle), message, hint, severity=severity
        )

    def _script(self, node: Node) -> Checked:
        """The script that a text, or a list of lines, is."""
        if id(node) not in self._joined:
            self._joined[id(node)] = _joined(node)
        return self._joined[id(node)]


def _joined(node: Node) -> Checked:
    """The script that a text, or a list of lines, is."""
    checked = Checked()
    parts = [part for part in (node.items() or [node]) if isinstance(part.value, str)]
    if parts:
        checked.text = "\n".join(part.value for part in parts)
        line = 1
        for part in parts:
            checked.starts.append((line, part))
            line += part.value.count("\n") + 1
    return checked


def _unbraced(text: str) -> str:
    text = text.strip()
    inner = text[2:-2]
    whole = text.startswith("{{") and text.endswith("}}") and "}}" not in inner and "{{" not in inner
    return inner.strip() if whole else text
