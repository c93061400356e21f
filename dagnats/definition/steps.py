"""Drafts -> steps of the plan: what `defaults` gives, then what the step says."""

from typing import TYPE_CHECKING

from msgspec.structs import replace

from dagnats.core.pipeline import FanOut, Retry, Step
from dagnats.core.text import has_template
from dagnats.definition import values
from dagnats.definition.artifacts import Keeper
from dagnats.definition.containers import Containers
from dagnats.definition.fanout import FanOuts, own_names
from dagnats.definition.needs import Draft
from dagnats.definition.once import Once
from dagnats.definition.pipeline_steps import MEANINGLESS, PipelineSteps
from dagnats.definition.problems import Problems, quoted
from dagnats.definition.schema import schema
from dagnats.definition.scopes import Scope, with_secrets
from dagnats.definition.services import Services
from dagnats.definition.templates import TemplateCheck
from dagnats.definition.tree import Node
from dagnats.definition.waits import kind_of, wait_of, without_meaning

if TYPE_CHECKING:
    from dagnats.definition.strict import Strict

FINALLY_TIMEOUT_S = 300.0
# Measured: 50 MB, where `defaults` of 1 MiB could give 10,000 steps 60 GB.
MAX_ADDED = 1_000_000
NAME_SCOPE = Scope("`name` of a step", ("params", "vars"))
NOTHING = Node(None, 0, 0)


class Steps:
    """Makes steps of drafts. What it makes of a value is shared by all steps that have it from `defaults` or by an alias."""

    def __init__(
        self,
        root: Node,
        handlers: dict[str, list[Draft]],
        templates: TemplateCheck,
        pipeline_steps: PipelineSteps,
        problems: Problems,
        *,
        strict: "Strict | None",
    ) -> None:
        defaults = root.get("defaults") or NOTHING
        known = schema()["properties"]["defaults"]["properties"]
        self._defaults = {name: node for name, node in defaults.fields().items() if name in known}
        self._handlers = handlers
        self._pipeline_steps = pipeline_steps
        self._fan_outs = FanOuts(templates, problems)
        self._containers = Containers(self._defaults, templates, problems, strict=strict)
        self._keeper = Keeper(templates, problems)
        self.services = Services(root.get("services") or NOTHING, self._containers, templates, problems)
        self._strict = strict
        self._templates = templates
        self._problems = problems
        self._once = Once()
        self._added = 0

    def all(self, drafts: list[Draft], *, last: bool) -> tuple[Step, ...]:
        """The steps of one list, each followed by those that handle its failure."""
        steps: list[Step] = []
        for one in drafts:
            run_fields = ("id", "attempt", "outcome") if last else ("id", "attempt")
            scope = Scope(f"step {quoted(one.id)}", run_fields=run_fields, step=one, last=last)
            own = own_names(one.node)
            inside = replace(scope, own=own, axes=self._fan_outs.axes(one.node)) if own else scope
            made = self._fan_outs.of(one, scope)
            steps.append(self._step(one, inside, fan_out=made))
            for handler in self._handlers.get(one.id, ()):
                theirs = replace(scope, place=f"step {quoted(handler.id)}", handles=True)
                steps.append(self._step(handler, theirs, handles=one.id))
        return tuple(steps)

    def _step(self, one: Draft, scope: Scope, *, fan_out: FanOut | None = None, handles: str | None = None) -> Step:
        fields = {**self._defaults, **one.node.fields()}
        waits = kind_of(one.node)
        runs = "pipeline" in fields or waits is not None
        if runs:
            gone = MEANINGLESS if waits is None else without_meaning(waits)
            fields = {key: node for key, node in fields.items() if key not in gone}
        self._pipeline_steps.check(one, fields, self._templates, scope)
        plan = self._pipeline_steps.plans.get(one.id)
        container = self._containers.of(one, scope) if not runs else None
        command = self._command(fields.get("command"), scope)
        if container is not None and command is None and "run" not in fields:
            command = ()  # the image's own
        shell = self._shell(one, fields)
        condition, status, each = None, frozenset[str](), False
        if "if" in fields:
            condition, status, each = self._templates.condition(fields["if"], scope)
        if self._strict is not None:
            self._strict.script(fields.get("run", NOTHING), scope)
            self._strict.command(fields.get("command", NOTHING), scope)
        secret = with_secrets(scope)
        timeout = self._once(self._duration, fields.get("timeout", NOTHING))
        if scope.last and timeout is None and waits != "duration":
            timeout = FINALLY_TIMEOUT_S
        file, line = self._problems.local(one.node.line)
        return Step(
            id=one.id,
            name=self._once(self._name, fields.get("name", NOTHING)),
            needs=tuple(one.needs),
            condition=condition,
            status_functions=status,
            run=self._templates.script(fields["run"], shell, secret) if "run" in fields else None,
            command=command,
            shell=shell,
            working_dir=self._working_dir(fields.get("working_dir"), scope),
            env=self._env(one.node.get("env"), secret) if not runs else {},
            timeout_s=timeout,
            idle_timeout_s=self._once(self._duration, fields.get("idle_timeout", NOTHING)),
            retry=self._once(self._retry, fields["retry"]) if "retry" in fields else Retry(),
            allow_failure=self._once(values.allow_failure, fields.get("allow_failure", NOTHING)),
            outputs=self._once(values.outputs, fields.get("outputs", NOTHING)),
            line=line,
            file=file if file != self._problems.file else None,
            each_condition=each,
            mutex=values.text(fields.get("mutex")),
            once=values.flag(fields.get("once")),
            fan_out=fan_out,
            handles=handles,
            pipeline=plan.file if plan is not None else None,
            params=self._pipeline_steps.params(one),
            container=container,
            services=self.services.of_step(fields.get("services"), scope.place) if not runs else (),
            artifacts=self._keeper.of_step(fields.get("artifacts"), scope) if not runs else None,
            wait=wait_of(one.node, waits, self._templates, scope, self._problems) if waits is not None else None,
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
        if not has_template(path) and values.leaves_project(path):
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
