"""Drafts -> steps of the plan: what `defaults` gives, then what the step says."""

import posixpath

from dagnats.core.pipeline import Retry, Step
from dagnats.core.text import has_template
from dagnats.definition import values
from dagnats.definition.needs import Draft
from dagnats.definition.once import Once
from dagnats.definition.problems import Problems, quoted
from dagnats.definition.schema import schema
from dagnats.definition.scopes import Scope
from dagnats.definition.templates import TemplateCheck
from dagnats.definition.tree import Node

FINALLY_TIMEOUT_S = 300.0
# Measured: 50 MB, where `defaults` of 1 MiB could give 10,000 steps 60 GB.
MAX_ADDED = 1_000_000
NAME_SCOPE = Scope("`name` of a step", ("params", "vars"))
NOTHING = Node(None, 0, 0)


class Steps:
    """Makes steps of drafts. What it makes of a value is shared by all steps that have it from `defaults` or by an alias."""

    def __init__(self, defaults: Node, templates: TemplateCheck, problems: Problems) -> None:
        known = schema()["properties"]["defaults"]["properties"]
        self._defaults = {name: node for name, node in defaults.fields().items() if name in known}
        self._templates = templates
        self._problems = problems
        self._once = Once()
        self._added = 0

    def step(self, one: Draft, *, last: bool) -> Step:
        """One step of the plan."""
        fields = {**self._defaults, **one.node.fields()}
        what = f"step {quoted(one.id)}"
        scope = Scope(what, run_fields=("id", "attempt", "outcome") if last else ("id", "attempt"), step=one, last=last)
        shell = self._shell(one, fields)
        condition, status = None, frozenset[str]()
        if "if" in fields:
            condition, status = self._templates.condition(fields["if"], scope)
        timeout = self._once(self._duration, fields.get("timeout", NOTHING))
        return Step(
            id=one.id,
            name=self._once(self._name, fields.get("name", NOTHING)),
            needs=tuple(one.needs),
            condition=condition,
            status_functions=status,
            run=self._templates.script(fields["run"], shell, scope) if "run" in fields else None,
            command=self._command(fields.get("command"), scope),
            shell=shell,
            working_dir=self._working_dir(fields.get("working_dir"), scope),
            env=self._env(one.node.get("env"), scope),
            timeout_s=FINALLY_TIMEOUT_S if last and timeout is None else timeout,
            idle_timeout_s=self._once(self._duration, fields.get("idle_timeout", NOTHING)),
            retry=self._once(self._retry, fields["retry"]) if "retry" in fields else Retry(),
            allow_failure=values.flag(fields.get("allow_failure")),
            outputs=self._once(values.outputs, fields.get("outputs", NOTHING)),
            line=one.node.line,
        )

    def _shell(self, one: Draft, fields: dict[str, Node]) -> str | tuple[str, ...]:
        if "command" in one.node.fields() and "shell" in one.node.fields():
            self._problems.add(
                one.node.keys["shell"], "`shell` has no meaning for `command`", "`command` is started without a shell"
            )
        node = fields.get("shell")
        if node is None or not isinstance(node.value, list):
            return values.text(node) or "bash"
        return self._once(self._shell_words, node)

    def _duration(self, node: Node) -> float | None:
        return values.duration(node, self._problems)

    def _retry(self, node: Node) -> Retry:
        return values.retry(node, self._problems)

    def _shell_words(self, node: Node) -> tuple[str, ...]:
        words = tuple(item.value for item in node.items() if isinstance(item.value, str))
        if not any("{0}" in word for word in words):
            self._problems.add(
                node, "`shell` has no `{0}`, the place of the script's file", 'for example `[perl, "{0}"]`'
            )
        return words

    def _name(self, node: Node) -> str | None:
        name = values.text(node)
        if name is None:
            return None
        if not name.isprintable():
            self._problems.add(node, "`name` may hold no line breaks and no control characters")
        self._templates.value(node, NAME_SCOPE)
        return name

    def _command(self, node: Node | None, scope: Scope) -> tuple[str, ...] | None:
        if node is None:
            return None
        self._templates.value(node, scope)
        return self._once(self._words, node)

    def _words(self, node: Node) -> tuple[str, ...]:
        words = [word for word in map(values.as_text, node.items()) if word is not None]
        if words and not words[0]:
            self._problems.add(node.items()[0], "the program may not be empty")
        return tuple(words)

    def _working_dir(self, node: Node | None, scope: Scope) -> str | None:
        if node is None:
            return None
        self._templates.value(node, scope)
        return self._once(self._path, node)

    def _path(self, node: Node) -> str | None:
        path = values.text(node)
        if path is None:
            return None
        if not has_template(path) and posixpath.normpath(path).split("/")[0] == "..":
            self._problems.add(
                node, f"`working_dir` {quoted(path)} leaves the project", "write an absolute path if that is meant"
            )
        return path

    def _env(self, own: Node | None, scope: Scope) -> dict[str, str]:
        parts: list[dict[str, str]] = []
        for node in (self._defaults.get("env"), own):
            if node is not None:
                self._templates.value(node, scope)
                parts.append(self._once(self._environment, node))
        if len(parts) < 2:
            return parts[0] if parts else {}
        return self._merged(*parts)

    def _environment(self, node: Node) -> dict[str, str]:
        return values.environment(node, self._problems)

    def _merged(self, given: dict[str, str], own: dict[str, str]) -> dict[str, str]:
        before, self._added = self._added, self._added + len(given)
        if self._added > MAX_ADDED:
            if before <= MAX_ADDED:
                message = (
                    f"`env` of `defaults` gives more than {MAX_ADDED:,} variables to steps with an `env` of their own"
                )
                self._problems.add(self._defaults["env"], message, "put them in `env` of the pipeline")
            return own
        return {**given, **own}
