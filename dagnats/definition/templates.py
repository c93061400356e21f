"""Every template of a file, checked without being rendered: its syntax, and that all it mentions exists."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from dagnats.core.text import has_template
from dagnats.definition.places import Places, Starts, needle_of, part_at
from dagnats.definition.problems import Problems
from dagnats.definition.scopes import Finding, Names, Scope
from dagnats.definition.tree import Node

# The conditions that nearly all pipelines make do with; to know what they say takes no parser.
BARE_STATUS = re.compile(r"(success|failure|always|cancelled)\(\s*\)")
CONSTANTS = frozenset(["true", "false"])
FOREIGN_BRACES = "${{"
FOREIGN_START = re.compile(re.escape(FOREIGN_BRACES))
# Measured: 7 µs a node, which nobody writes so many of by hand, and 3 s for what a file could hold.
MAX_PARTS = 160_000
# An alias, or a value of `defaults`, counts in every step where it stands.
MAX_MENTIONS = 200_000

Mention = tuple[tuple[str, ...], int]


@dataclass(slots=True)
class Checked:
    """What was found at a node, for the next place where an alias or `defaults` bring it.

    `open` are the mentions that can be right in one step and wrong in another.
    """

    good: bool = True
    texts: Sequence[Node] = ()
    starts: Starts = field(default_factory=list)
    text: str | None = None
    functions: frozenset[str] = frozenset()
    open: list[tuple[Mention, Starts]] = field(default_factory=list)
    quotes_seen: bool = False


class TemplateCheck:
    """Checks templates against the names of a file, and puts what is wrong where it stands."""

    def __init__(self, names: Names, lines: list[str], problems: Problems) -> None:
        self._names = names
        self._places = Places(lines)
        self._problems = problems
        self._parsed: dict[tuple[str, bool], Any] = {}
        self._checked: dict[Any, Checked] = {}
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
            checked = self._checked[key] = _joined(node)
            if checked.text is not None and has_template(checked.text):
                self._check(checked.text, checked.starts, scope, checked)
            else:
                checked.quotes_seen = True
        if self._in_step(checked, scope) and not checked.quotes_seen:
            checked.quotes_seen = True
            for error in self._templates.check_script(checked.text, shell):
                self._report(error, checked.starts)
        return checked.text

    def condition(self, node: Node, scope: Scope) -> tuple[str | None, frozenset[str]]:
        """Check an `if`; give its expression without braces, and the status functions it calls."""
        key = ("if", id(node), scope.kind)
        checked = self._checked.get(key)
        if checked is None:
            checked = self._checked[key] = self._condition(node, scope)
        good = self._in_step(checked, scope)
        return checked.text, checked.functions if good else frozenset()

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
            self._check(expression, [(1, node)], scope, checked, expression=True)
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
                    if has_template(part.value):
                        found.append(part)
                else:
                    pending.extend(part.items())
                    pending.extend(part.fields().values())
            self._checked[key] = Checked(texts=found)
        return self._checked[key].texts

    def _check(self, text: str, starts: Starts, scope: Scope, checked: Checked, *, expression: bool = False) -> None:
        if FOREIGN_BRACES in text:
            line = text[: text.index(FOREIGN_BRACES)].count("\n") + 1
            hint = "leave out the `$`" if not expression else "`if` is an expression; leave out `${{` and `}}`"
            self._place(starts, line, None, FOREIGN_START, message="`${{ … }}` is written `{{ … }}` here", hint=hint)
            checked.good = False
            return
        found = self._parse(text, starts, expression=expression)
        if isinstance(found, Exception):
            self._report(found, starts)
        if not isinstance(found, dict):
            checked.good = False
            return
        for mention in found:
            if self._mentions > MAX_MENTIONS:
                checked.good = False
                return
            if self._names.depends_on_step(mention[0], scope):
                checked.open.append((mention, starts))
            elif not self._judge(mention, starts, scope):
                checked.good = False

    def _in_step(self, checked: Checked, scope: Scope) -> bool:
        """Judge what can not be judged for all steps at once; say whether all is well."""
        good = checked.good
        for mention, starts in checked.open:
            if self._mentions > MAX_MENTIONS:
                return False
            if not self._judge(mention, starts, scope):
                good = False
        return good

    def _judge(self, mention: Mention, starts: Starts, scope: Scope) -> bool:
        self._mentions += 1
        if self._mentions > MAX_MENTIONS:
            if self._mentions == MAX_MENTIONS + 1:
                message = f"the templates of this file mention a value more than {MAX_MENTIONS:,} times; what follows was not checked"
                hint = "what stands in `defaults` or is an alias counts wherever it is used"
                self._problems.add(part_at(starts, mention[1])[1], message, hint)
            return False
        finding = self._names.judge(mention[0], scope)
        if finding is not None:
            self._wrong(finding, mention, starts)
        return finding is None

    def _wrong(self, finding: Finding, mention: Mention, starts: Starts) -> None:
        if self._problems.are_full:
            self._problems.count()  # where it stands would not be shown
            return
        path, line = mention
        self._place(starts, line, None, needle_of(path), message=finding.message, hint=finding.hint)

    def _parse(self, text: str, starts: Starts, *, expression: bool) -> Any:
        """The mentions of a text, each once; or an error, or None after too much."""
        key = (text, expression)
        if key in self._parsed:
            return self._parsed[key]
        if self._parts > MAX_PARTS:
            return None
        try:
            found = self._templates.check(text, expression=expression)
            self._parsed[key] = dict.fromkeys((reference.path, reference.line) for reference in found)
            self._parts += self._templates.nodes(text, expression=expression)
        except self._templates.TemplateError as error:
            self._parsed[key] = error
            self._parts += 4 + len(text) // 2
        if self._parts > MAX_PARTS:
            message = f"the templates of this file have more than {MAX_PARTS:,} parts; what follows was not checked"
            self._problems.add(starts[0][1], message, "a part is a value, an operator or a filter; let scripts do more")
        return self._parsed[key]

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
    ) -> None:
        first, node = part_at(starts, line)
        self._problems.add_at(*self._places.locate(node, line - first + 1, column, needle), message, hint)


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
