"""Tree -> plan: what the shape of a file can not say is checked here, and everything that is left out is filled in."""

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from dagnats.core.pipeline import Param, ParamType, Pipeline
from dagnats.core.text import has_template
from dagnats.definition import values
from dagnats.definition.defaults import give_defaults
from dagnats.definition.fanout import own_names
from dagnats.definition.needs import draft, draft_handlers
from dagnats.definition.once import Once
from dagnats.definition.params import check_value
from dagnats.definition.patterns import PatternError, matches
from dagnats.definition.problems import Problems, printable, quoted
from dagnats.definition.scopes import IN_PIPELINE, Names, Scope
from dagnats.definition.steps import Steps
from dagnats.definition.templates import TemplateCheck
from dagnats.definition.tree import Node

if TYPE_CHECKING:
    from dagnats.definition.strict import Strict

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
    names.note_roots(name for one in (*main, *last) for name in own_names(one.node))
    names.note_roots(["failed"] if handlers else [])
    steps = Steps(root.get("defaults") or NOTHING, handlers, templates, problems, strict)
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
    once = Once()
    return {name: _param(name, value, once, problems) for name, value in node.fields().items()}


def _param(name: str, node: Node, once: Once, problems: Problems) -> Param:
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
        _check_default(name, param, default, once, problems)
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


def _is_template(node: Node) -> bool:
    return isinstance(node.value, str) and has_template(node.value)


def _check_default(name: str, param: Param, default: Node, once: Once, problems: Problems) -> None:
    if once(_is_template, default):
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
