"""Tree -> plan: what the shape of a file can not say is checked here, and everything that is left out is filled in."""

import posixpath
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from dagnats.core.fanout import INSTANCES_MAX, count
from dagnats.core.pipeline import FanOut, Param, ParamType, Pipeline, Step
from dagnats.core.text import has_template
from dagnats.definition import values
from dagnats.definition.defaults import give_defaults
from dagnats.definition.fanout import axes_of, fan_out, own_names
from dagnats.definition.needs import Draft, draft, draft_handlers
from dagnats.definition.params import check_value
from dagnats.definition.patterns import PatternError, matches
from dagnats.definition.problems import Problems, printable, quoted
from dagnats.definition.scopes import IN_PIPELINE, Names, Scope, with_secrets
from dagnats.definition.templates import TemplateCheck
from dagnats.definition.tree import Node

if TYPE_CHECKING:
    from dagnats.definition.strict import Strict

FINALLY_TIMEOUT_S = 300.0
NOTHING = Node({}, 0, 0)
TYPES: dict[type, ParamType] = {
    str: "string",
    bool: "boolean",
    int: "integer",
    float: "number",
    list: "array",
    dict: "object",
}


def compile_pipeline(root: Node, file: str, lines: list[str], problems: Problems) -> Pipeline:
    """Make the plan. It is only worth something when no problem was noted."""
    params = _params(root.get("params") or NOTHING, problems)
    listed, finals = mappings(root.get("steps")), mappings(root.get("finally"))
    give_defaults(root.get("defaults") or NOTHING, [*listed, *finals], problems)
    main, last = draft(listed, finals, problems)
    variables = root.get("vars") or NOTHING
    names = Names(
        problems,
        dict(params),
        {name: place for place, name in enumerate(variables.fields())},
        {step.id: step for step in main},
        {step.id: step for step in last},
        secrets=values.secrets(root.get("secrets"), problems),
    )
    templates = TemplateCheck(names, lines, problems)
    strict = _strict(names, templates, problems)
    _check_values(root, variables, templates, strict)
    handlers = draft_handlers([*main, *last], problems)
    steps = _Steps(root.get("defaults") or NOTHING, handlers, templates, problems, strict)
    outputs = root.get("outputs") or NOTHING
    plan = Pipeline(
        name=values.text(root.get("name")) or "",
        file=file,
        steps=steps.all(main, last=False),
        finally_steps=steps.all(last, last=True),
        description=values.text(root.get("description")) or "",
        env=values.environment(root.get("env"), problems),
        params=params,
        vars={name: node.plain() for name, node in variables.fields().items()},
        outputs={name: node.plain() for name, node in outputs.fields().items()},
        max_parallel=values.whole(root.get("max_parallel")),
        timeout_s=values.duration(root.get("timeout"), problems),
        fail_fast=values.flag(root.get("fail_fast")),
        env_names=frozenset(names.env_names),
        secrets=names.secrets,
        uses_git=names.uses_git,
        dotenv=values.env_files(root.get("dotenv"), problems),
    )
    if strict is not None and not problems.errors:
        strict.graph(main)
    return plan


def mappings(node: Node | None) -> list[Node]:
    """The mappings of a list: what else stands among steps was reported by the check of the shape."""
    return [item for item in (node.items() if node is not None else []) if isinstance(item.value, dict)]


def _strict(names: Names, templates: TemplateCheck, problems: Problems) -> "Strict | None":
    if not problems.strict:
        return None
    from dagnats.definition.strict import Strict  # noqa: PLC0415 - only those who ask for it pay for it

    return Strict(names, templates, problems)


def _check_values(root: Node, variables: Node, templates: TemplateCheck, strict: "Strict | None") -> None:
    for node in (root.get("env") or NOTHING).fields().values():
        templates.value(node, Scope("`env` of the pipeline", IN_PIPELINE))
    for place, (name, node) in enumerate(variables.fields().items()):
        scope = Scope("`vars`", IN_PIPELINE, until=place)
        script = node.get("sh")
        if script is not None:
            templates.script(script, "sh", scope)
        else:
            templates.value(node, scope)
        if strict is not None:
            strict.script(script or NOTHING, scope)
            strict.note_var(name, node, scope)
    for node in (root.get("outputs") or NOTHING).fields().values():
        templates.value(node, Scope("`outputs` of the pipeline", run_fields=("id", "outcome"), any_step=True))


def _params(node: Node, problems: Problems) -> dict[str, Param]:
    return {name: _param(name, value, problems) for name, value in node.fields().items()}


def _param(name: str, node: Node, problems: Problems) -> Param:
    long = isinstance(node.value, dict)
    default = node.get("default") if long else node
    given = default.plain() if default is not None else None
    kind: Any = values.text(node.get("type")) or TYPES.get(type(given), "string")
    required = node.get("required")
    enum = node.get("enum")
    param = Param(
        type=kind if kind in TYPES.values() else "string",
        default=given,
        required=default is None and (required is None or values.flag(required)),
        enum=tuple(item.plain() for item in enum.items()) if enum is not None else None,
        minimum=_bound(node.get("minimum")),
        maximum=_bound(node.get("maximum")),
        help=values.text(node.get("help")) or "",
        pattern=_pattern(name, kind, node, problems),
    )
    if default is not None and default.value is not None:
        _check_default(name, param, default, problems)
    if default is not None and required is not None and values.flag(required):
        problems.add(
            node.keys["required"], f"param {quoted(name)} is required and has a default", "remove one of the two"
        )
    _check_limits(name, param, node, problems)
    return param


def _pattern(name: str, kind: str, node: Node, problems: Problems) -> str | None:
    place = node.get("pattern")
    pattern = values.text(place)
    if place is None or not pattern:
        return None
    if kind != "string":
        problems.add(node.keys["pattern"], f"`pattern` is for text, and param {quoted(name)} is of type {kind}")
        return None
    try:
        matches(pattern, "")
    except PatternError as error:
        problems.add(
            place,
            f"the pattern of param {quoted(name)} is no regular expression of RE2: {printable(str(error))}",
            error.hint,
        )
        return None
    return pattern


def _check_default(name: str, param: Param, default: Node, problems: Problems) -> None:
    if isinstance(default.value, str) and has_template(default.value):
        problems.add(
            default,
            f"the default of param {quoted(name)} may hold no template",
            "use `vars` for values that are made from others",
        )
        return
    message = check_value(name, param, default.plain())
    if message is not None:
        problems.add(default, message)


def _check_limits(name: str, param: Param, node: Node, problems: Problems) -> None:
    free = replace(param, enum=None, minimum=None, maximum=None)
    for item in (node.get("enum") or NOTHING).items():
        message = check_value(name, free, item.plain())
        if message is not None:
            problems.add(item, message)
    if param.type not in ("integer", "number"):
        for field in ("minimum", "maximum"):
            if field in node.keys:
                problems.add(
                    node.keys[field],
                    f"{quoted(field)} is for numbers, and param {quoted(name)} is of type {param.type}",
                )
    elif param.minimum is not None and param.maximum is not None and param.minimum > param.maximum:
        problems.add(node.keys["maximum"], f"the maximum of param {quoted(name)} is below its minimum")


def _bound(node: Node | None) -> float | None:
    number = node.value if node is not None else None
    return number if isinstance(number, int | float) and not isinstance(number, bool) else None


class _Steps:
    """Makes steps of drafts: what `defaults` gives, then what the step says."""

    def __init__(
        self,
        defaults: Node,
        handlers: dict[str, list[Draft]],
        templates: TemplateCheck,
        problems: Problems,
        strict: "Strict | None",
    ) -> None:
        self._strict = strict
        self._defaults = defaults.fields()
        self._handlers = handlers
        self._templates = templates
        self._problems = problems
        self._instances = 0

    def all(self, drafts: list[Draft], *, last: bool) -> tuple[Step, ...]:
        """The steps of one list, each followed by those that handle its failure."""
        steps: list[Step] = []
        for one in drafts:
            run_fields = ("id", "attempt", "outcome") if last else ("id", "attempt")
            scope = Scope(f"step {quoted(one.id)}", run_fields=run_fields, step=one, last=last)
            own = replace(scope, own=own_names(one.node), axes=axes_of(one.node))
            made = fan_out(one.node, self._templates, scope, self._problems)
            steps.append(replace(self._step(one, own, last=last), fan_out=made))
            self._count(one, made)
            for handler in self._handlers.get(one.id, ()):
                theirs = replace(scope, place=f"step {quoted(handler.id)}", handles=True)
                steps.append(replace(self._step(handler, theirs, last=last), handles=one.id))
        return tuple(steps)

    def _count(self, one: Draft, made: FanOut | None) -> None:
        self._instances += count(made) if made is not None and made.is_matrix else 0
        if (
            made is not None
            and self._instances > INSTANCES_MAX >= self._instances - count(made)
            and count(made) < INSTANCES_MAX
        ):
            message = f"with the cells of step {quoted(one.id)} the run has {self._instances:,} instances; at most {INSTANCES_MAX:,} are allowed"
            self._problems.add(one.node, message)

    def _step(self, one: Draft, scope: Scope, *, last: bool) -> Step:
        fields = {**self._defaults, **one.node.fields()}
        shell = self._shell(one, fields)
        condition, status = None, frozenset[str]()
        if "if" in fields:
            condition, status = self._templates.condition(fields["if"], scope)
        each = condition is not None and self._templates.mentions(condition, scope.own)
        timeout = values.duration(fields.get("timeout"), self._problems)
        if self._strict is not None:
            self._strict.script(fields.get("run") or NOTHING, scope)
            self._strict.command(fields.get("command") or NOTHING, scope)
        return Step(
            id=one.id,
            name=self._name(fields.get("name")),
            needs=tuple(one.needs),
            condition=condition,
            status_functions=status,
            run=self._templates.script(fields["run"], shell, with_secrets(scope)) if "run" in fields else None,
            command=self._command(fields.get("command"), scope),
            shell=shell,
            working_dir=self._working_dir(fields.get("working_dir"), scope),
            env=self._env(one.node.get("env"), scope),
            timeout_s=FINALLY_TIMEOUT_S if last and timeout is None else timeout,
            idle_timeout_s=values.duration(fields.get("idle_timeout"), self._problems),
            retry=values.retry(fields.get("retry"), self._problems),
            allow_failure=values.allow_failure(fields.get("allow_failure")),
            outputs=values.outputs(fields.get("outputs")),
            line=self._problems.local(one.node.line)[1],
            each_condition=each,
            mutex=values.text(fields.get("mutex")),
        )

    def _shell(self, one: Draft, fields: dict[str, Node]) -> str | tuple[str, ...]:
        if "command" in one.node.fields() and "shell" in one.node.fields():
            self._problems.add(
                one.node.keys["shell"], "`shell` has no meaning for `command`", "`command` is started without a shell"
            )
        node = fields.get("shell")
        if node is None or not isinstance(node.value, list):
            return values.text(node) or "bash"
        words = tuple(item.value for item in node.items() if isinstance(item.value, str))
        if not any("{0}" in word for word in words):
            self._problems.add(
                node, "`shell` has no `{0}`, the place of the script's file", 'for example `[perl, "{0}"]`'
            )
        return words

    def _name(self, node: Node | None) -> str | None:
        name = values.text(node)
        if node is None or name is None:
            return None
        if not name.isprintable():
            self._problems.add(node, "`name` may hold no line breaks and no control characters")
        self._templates.value(node, Scope("`name` of a step", ("params", "vars")))
        return name

    def _command(self, node: Node | None, scope: Scope) -> tuple[str, ...] | None:
        if node is None:
            return None
        self._templates.value(node, scope)
        words = [word for word in map(values.as_text, node.items()) if word is not None]
        if words and not words[0]:
            self._problems.add(node.items()[0], "the program may not be empty")
        return tuple(words)

    def _working_dir(self, node: Node | None, scope: Scope) -> str | None:
        path = values.text(node)
        if node is None or path is None:
            return None
        self._templates.value(node, scope)
        if not has_template(path) and posixpath.normpath(path).split("/")[0] == "..":
            self._problems.add(
                node, f"`working_dir` {quoted(path)} leaves the project", "write an absolute path if that is meant"
            )
        return path

    def _env(self, own: Node | None, scope: Scope) -> dict[str, str]:
        result: dict[str, str] = {}
        for node in (self._defaults.get("env"), own):
            if node is None:
                continue
            for value in node.fields().values():
                self._templates.value(value, with_secrets(scope))
            result.update(values.environment(node, self._problems))
        return result
