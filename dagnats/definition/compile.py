"""Tree -> plan: what the shape of a file can not say is checked here, and everything that is left out is filled in."""

from typing import TYPE_CHECKING

from dagnats.core.pipeline import Pipeline
from dagnats.definition import values
from dagnats.definition.declared import declared
from dagnats.definition.defaults import give_defaults
from dagnats.definition.fanout import own_names
from dagnats.definition.lost import note_lost_secrets
from dagnats.definition.needs import draft, draft_handlers
from dagnats.definition.pipeline_steps import PipelineSteps
from dagnats.definition.problems import Problems
from dagnats.definition.scopes import IN_PIPELINE, Names, Scope
from dagnats.definition.steps import Steps
from dagnats.definition.templates import TemplateCheck
from dagnats.definition.tree import Node

if TYPE_CHECKING:
    from collections.abc import Callable

    from dagnats.definition.pipelines import Pipelines
    from dagnats.definition.strict import Strict

NOTHING = Node({}, 0, 0)


def compile_pipeline(
    root: Node, file: str, lines: list[str], problems: Problems, pipelines: "Callable[[], Pipelines]"
) -> Pipeline:
    """Make the plan. It is only worth something when no problem was noted; `pipelines` gives what reads the files that steps run."""
    params = declared(root.get("params") or NOTHING, problems)
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
        defaults=root.get("defaults") or NOTHING,
    )
    templates = TemplateCheck(names, lines, problems)
    strict = _strict(names, templates, problems)
    handlers = draft_handlers([*main, *last], problems)
    pipeline_steps = PipelineSteps(pipelines, problems)
    pipeline_steps.find([*main, *last, *(handler for each in handlers.values() for handler in each)])
    names.runs = pipeline_steps.plans
    _check_values(root, variables, templates, strict)
    names.note_roots(name for one in (*main, *last) for name in own_names(one.node))
    names.note_roots(["failed"] if handlers else [])
    steps = Steps(root, handlers, templates, pipeline_steps, problems, strict=strict)
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
        services=steps.services.all,
    )
    if strict is not None and not problems.errors:
        note_lost_secrets(plan, {one.id: one.node for one in (*main, *last)}, problems)
        strict.graph(main)
    if pipeline_steps.places and not problems.errors:
        pipelines().weigh(plan, pipeline_steps.places, problems)
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
