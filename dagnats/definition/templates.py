"""Every template of a file, checked without being rendered: its syntax, and that all it mentions exists."""

import re
from collections.abc import Collection, Iterable, Iterator
from functools import cached_property
from typing import Any

from dagnats.core.text import has_template
from dagnats.definition.expressions import foreign_parts, unquoted_text
from dagnats.definition.problems import Problems, Severity
from dagnats.definition.scopes import Names, Scope
from dagnats.definition.tree import Node
from dagnats.definition.words import NULLS

# The conditions that nearly all pipelines make do with; to know what they say takes no parser.
BARE_STATUS = re.compile(r"(success|failure|always|cancelled)\(\s*\)")
CONSTANTS = frozenset(["true", "false"])
Starts = list[tuple[int, Node]]
FOREIGN_BRACES = "${{"
FOREIGN_START = re.compile(re.escape(FOREIGN_BRACES))


class TemplateCheck:
    """Checks templates against the names of a file, and puts what is wrong where it stands."""

    def __init__(self, names: Names, lines: list[str], problems: Problems) -> None:
        self._names = names
        self._lines = lines
        self._problems = problems
        self._known: dict[tuple[str, bool], Any] = {}

    @cached_property
    def _templates(self) -> Any:
        # Measured: Jinja2 costs 59 ms, five times a start of Python, and many files hold no template at all.
        from dagnats import template  # noqa: PLC0415

        return template

    def value(self, node: Node, scope: Scope) -> None:
        """Check the templates in a text, or in all texts of a list or mapping."""
        pending = [node]
        for part in pending:
            if isinstance(part.value, str):
                if has_template(part.value):
                    self._check(part.value, [(1, part)], scope)
            else:
                pending.extend(part.items())
                pending.extend(part.fields().values())

    def script(self, node: Node, shell: str | tuple[str, ...], scope: Scope) -> str | None:
        """Check the templates of a script, also for places where a shell would not see the value; give the script."""
        script, starts = _joined(node)
        if script is None:
            return None
        if has_template(script) and self._check(script, starts, scope):
            for error in self._templates.check_script(script, shell):
                self._report(error, starts)
        return script

    def references(self, node: Node) -> Iterator[tuple[Starts, Iterable[Any]]]:
        """The references in a script or a text that was checked, with what is needed to say where each stands."""
        script, starts = _joined(node)
        found = self._parse(script, expression=False) if script is not None and has_template(script) else ()
        if not isinstance(found, Exception):
            yield starts, found

    def warn_pasted(self, starts: Starts, reference: Any, message: str, hint: str) -> None:
        """Note a warning at a reference that is pasted."""
        needle = re.compile(_needle(reference.path).pattern + r"(?=[^}]*\|\s*raw\b)")
        self._place(starts, reference.line, None, needle, message=message, hint=hint, severity="warning")

    def condition(self, node: Node, scope: Scope) -> tuple[str | None, frozenset[str]]:
        """Check an `if`; give its expression without braces, and the status functions it calls."""
        if isinstance(node.value, bool):
            return str(node.value).lower(), frozenset()
        if not isinstance(node.value, str):
            return None, frozenset()
        expression = _unbraced(node.value)
        bare = BARE_STATUS.fullmatch(expression)
        if bare:
            return expression, frozenset([bare[1]])
        if expression in CONSTANTS:
            return expression, frozenset()
        if not expression:
            self._problems.add(node, "`if` may not be empty", "remove it, or write an expression")
        elif self._check(expression, [(1, node)], scope, expression=True):
            return expression, self._templates.status_functions(expression)
        return expression, frozenset()

    def expression(self, node: Node, scope: Scope) -> str | None:
        """Check an expression that may stand in braces; give it without them."""
        text = _unbraced(str(node.value))
        if not text and node.value:
            self._problems.add(node, "the expression is empty")
        return text if text and self._check(text, [(1, node)], scope, expression=True) else None

    def mentions(self, expression: str, names: Collection[str]) -> bool:
        """Whether an expression that was checked uses one of the names."""
        found = self._parse(expression, expression=True) if any(name in expression for name in names) else ()
        return not isinstance(found, Exception) and any(reference.path[0] in names for reference in found)

    def _check(self, text: str, starts: Starts, scope: Scope, *, expression: bool = False) -> bool:
        if FOREIGN_BRACES in text:
            line = text[: text.index(FOREIGN_BRACES)].count("\n") + 1
            hint = "leave out the `$`" if not expression else "`if` is an expression; leave out `${{` and `}}`"
            self._place(starts, line, None, FOREIGN_START, message="`${{ … }}` is written `{{ … }}` here", hint=hint)
            return False
        found = self._parse(text, expression=expression)
        if isinstance(found, Exception):
            foreign = foreign_parts(text, expression=expression)
            for part in foreign:
                line = text.count("\n", 0, part.start) + 1
                needle = re.compile(re.escape(part.piece))
                self._place(starts, line, None, needle, message=part.message, hint=part.hint)
            if not foreign:
                self._report(found, starts)
            return False
        good = True
        for reference in found:
            finding = self._names.judge(reference.path, scope)
            if finding is not None:
                good = False
                if expression and finding.message.endswith("is not defined"):
                    meant = unquoted_text(text, reference.path[0]) if reference.path[0] not in NULLS else ""
                    finding.hint = f"put text in quotes: `'{meant}'`" if meant else finding.hint
                needle = _needle(reference.path)
                self._place(starts, reference.line, None, needle, message=finding.message, hint=finding.hint)
        if "secrets" in scope.roots and any(reference.path[0] == "secrets" for reference in found):
            for error in self._templates.check_secrets(text):
                good = False
                self._report(error, starts)
        return good

    def _parse(self, text: str, *, expression: bool) -> Any:
        key = (text, expression)
        if key not in self._known:
            try:
                self._known[key] = self._templates.check(text, expression=expression)
            except self._templates.TemplateError as error:
                self._known[key] = error
        return self._known[key]

    def _report(self, error: Any, starts: Starts) -> None:
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
        first, node = next((start for start in reversed(starts) if start[0] <= line), starts[0])
        place = locate(node, line - first + 1, column, needle, self._lines)
        self._problems.add_at(*place, message, hint, severity=severity)


def _joined(node: Node) -> tuple[str | None, Starts]:
    """A script that may be a list of lines, and the line at which each of its nodes begins."""
    parts = [part for part in (node.items() or [node]) if isinstance(part.value, str)]
    starts, line = [], 1
    for part in parts:
        starts.append((line, part))
        line += part.value.count("\n") + 1
    return "\n".join(part.value for part in parts) if parts else None, starts


def locate(
    node: Node, line: int, column: int | None, needle: re.Pattern[str] | None, lines: list[str]
) -> tuple[int, int, int]:
    """Line, column and length in the file of a place in a scalar's text: exact where the text stands as it is written."""
    if node.style == "|" and node.line + line <= len(lines):
        source = lines[node.line + line - 1]
        inside = str(node.value).split("\n")[line - 1 : line] or [""]
        offset, number = len(source) - len(inside[0]), node.line + line
    elif not node.style or node.style in "'\"":
        source = lines[node.line - 1][: node.column - 1 + node.length] if node.line <= len(lines) else ""
        offset, number = source.find(node.value, node.column - 1), node.line
    else:
        return node.line, node.column, node.length
    found = needle.search(source, max(offset, node.column - 1 if number == node.line else 0)) if needle else None
    if found:
        return number, found.start() + 1, len(found[0])
    if column is not None and offset >= 0:
        return number, offset + column, 1
    if number != node.line:
        return number, max(offset, 0) + 1, max(len(source) - max(offset, 0), 1)
    return node.line, node.column, node.length


def _needle(path: tuple[str, ...]) -> re.Pattern[str]:
    pattern = rf"(?<![\w.]){re.escape(path[0])}\b"
    for name in path[1:]:
        pattern += rf"""\s*(?:\.\s*|\[\s*["']){re.escape(name)}\b"""
    return re.compile(pattern)


def _unbraced(text: str) -> str:
    text = text.strip()
    inner = text[2:-2]
    whole = text.startswith("{{") and text.endswith("}}") and "}}" not in inner and "{{" not in inner
    return inner.strip() if whole else text
