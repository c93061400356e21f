"""Tree -> plan: what the shape of a file can not say is checked here, and everything that is left out is filled in."""

from dataclasses import replace
from typing import Any

from dagnats.core.pipeline import Param, ParamType, Pipeline
from dagnats.core.text import has_template
from dagnats.definition import values
from dagnats.definition.needs import draft
from dagnats.definition.once import Once
from dagnats.definition.params import check_value
from dagnats.definition.problems import Problems, quoted
from dagnats.definition.scopes import IN_PIPELINE, Names, Scope
from dagnats.definition.steps import Steps
from dagnats.definition.templates import TemplateCheck
from dagnats.definition.tree import Node

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
    main, last = draft(_mappings(root.get("steps")), _mappings(root.get("finally")), problems)
    variables = root.get("vars") or NOTHING
    names = Names(
        problems,
        dict(params),
        {name: place for place, name in enumerate(variables.fields())},
        {step.id: step for step in main},
        {step.id: step for step in last},
    )
    templates = TemplateCheck(names, lines, problems)
    _check_values(root, variables, templates)
    steps = Steps(root.get("defaults") or NOTHING, templates, problems)
    outputs = root.get("outputs") or NOTHING
    return Pipeline(
        name=values.text(root.get("name")) or "",
        file=file,
        steps=tuple(steps.step(one, last=False) for one in main),
        finally_steps=tuple(steps.step(one, last=True) for one in last),
        description=values.text(root.get("description")) or "",
        env=values.environment(root.get("env"), problems),
        params=params,
        vars={name: node.plain() for name, node in variables.fields().items()},
        outputs={name: node.plain() for name, node in outputs.fields().items()},
        max_parallel=values.whole(root.get("max_parallel")),
        timeout_s=values.duration(root.get("timeout"), problems),
        fail_fast=values.flag(root.get("fail_fast")),
        env_names=frozenset(names.env_names),
    )


def _mappings(node: Node | None) -> list[Node]:
    return [item for item in (node.items() if node is not None else []) if isinstance(item.value, dict)]


def _check_values(root: Node, variables: Node, templates: TemplateCheck) -> None:
    for node in (root.get("env") or NOTHING).fields().values():
        templates.value(node, Scope("`env` of the pipeline", IN_PIPELINE))
    for place, node in enumerate(variables.fields().values()):
        scope = Scope("`vars`", IN_PIPELINE, until=place)
        script = node.get("sh")
        if script is not None:
            templates.script(script, "sh", scope)
        else:
            templates.value(node, scope)
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
    )
    if default is not None and default.value is not None:
        _check_default(name, param, default, once, problems)
    if default is not None and required is not None and values.flag(required):
        problems.add(
            node.keys["required"], f"param {quoted(name)} is required and has a default", "remove one of the two"
        )
    _check_limits(name, param, node, problems)
    return param


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
