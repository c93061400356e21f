"""A file after its defaults and all values that are known before a run: a document that gives the same plan.

In scripts (`run`, `sh`) templates stay, because a value never becomes code: what they refer to is in the document's own `params` and `vars`.
"""

import os
from collections.abc import Mapping, Sequence

from msgspec.structs import replace

from dagnats.core.globs import wrong_glob
from dagnats.core.pipeline import JSON, Pipeline, Service, Step
from dagnats.core.waits import PROMPT_MAX, is_signal
from dagnats.definition.defaults import MAKING
from dagnats.definition.known import Known, verdict
from dagnats.definition.pipeline_steps import MEANINGLESS
from dagnats.definition.settled import is_unreadable, settled, settled_container, settled_text, settled_words
from dagnats.definition.tree import Node
from dagnats.definition.values import as_text, leaves_project
from dagnats.definition.waits import kind_of, without_meaning

FIRST = ("id", "name", "needs", "if")
MAX_NAME = 200


def document(root: Node, plan: Pipeline, known: Known) -> dict[str, JSON]:
    """Give the file as data: `root` is its tree, `plan` what was made of it."""
    result: dict[str, JSON] = {}
    defaults = root.get("defaults")
    for key, node in root.fields().items():
        match key:
            case "params":
                result[key] = {
                    name: _param(value, plan, name, known.params[name]) for name, value in node.value.items()
                }
            case "vars":
                result[key] = {name: _variable(value, name, known) for name, value in node.value.items()}
            case "env":
                result[key] = _env([node], known)
            case "steps":
                result[key] = _steps(node, _seen_from(plan.file, plan.steps), defaults, known)
            case "finally":
                result[key] = _steps(node, _seen_from(plan.file, plan.finally_steps), defaults, known)
            case "services":
                result[key] = {name: _service(one, plan.services[name], known) for name, one in node.fields().items()}
            case "outputs":
                result[key] = {name: settled(value.plain(), known) for name, value in node.fields().items()}
            case "defaults" | "include":
                pass  # it is in the steps; what was included is in the tree
            case _:
                result[key] = node.plain()
    return result


def _service(node: Node, service: Service, known: Known) -> JSON:
    made = settled_container(service.container, known)
    result = dict(made["container"]) if isinstance(made.get("container"), dict) else made
    if service.command:
        words = [word for text in service.command for word in settled_words(text, known)]
        result["command"] = words if words and words[0] else list(service.command)
    return result | {key: one.plain() for key, one in node.fields().items() if key in ("ports", "ready")}


def _seen_from(file: str, steps: Sequence[Step]) -> list[Step]:
    """The steps, each with the file of its pipeline relative to one file: what was included may name it from elsewhere."""
    folder = os.path.dirname(file) or "."  # noqa: PTH120 (as typed)
    return [
        step if step.pipeline is None else replace(step, pipeline=os.path.relpath(step.pipeline, folder))
        for step in steps
    ]


def _param(node: Node, plan: Pipeline, name: str, value: JSON) -> JSON:
    long: dict[str, JSON] = node.plain() if isinstance(node.value, dict) else {}
    long = {"type": plan.params[name].type, **long}
    long.pop("required", None)
    # text with the signs of a template may be given from outside, but not be a default
    if value is None or is_unreadable(value):
        return long | ({"required": False} if value is None and "default" not in long else {})
    return long | {"default": value}


def _variable(node: Node, name: str, known: Known) -> JSON:
    if name in known.later or name not in known.vars or is_unreadable(known.vars[name]):
        return node.plain()
    return known.vars[name]


def _steps(nodes: Node, steps: Sequence[Step], defaults: Node | None, known: Known) -> list[JSON]:
    own = [step for step in steps if step.handles is None]
    handlers: dict[str, list[Step]] = {step.id: [] for step in own}
    for step in steps:
        if step.handles is not None:
            handlers[step.handles].append(step)
    return [
        _step(node, step, handlers[step.id], defaults, known) for node, step in zip(nodes.items(), own, strict=True)
    ]


def _step(node: Node, step: Step, handlers: Sequence[Step], defaults: Node | None, known: Known) -> JSON:
    general = {
        key: value for key, value in (defaults.fields() if defaults is not None else {}).items() if key not in MAKING
    }
    fields = _fields(node, general, step)
    result: dict[str, JSON] = {"id": step.id}
    placed = [key for key in FIRST if key in fields or (key == "needs" and step.handles is None)]
    for key in (*placed, *(key for key in fields if key not in FIRST)):
        match key:
            case "id":
                pass
            case "image" | "container":
                result |= settled_container(step.container, known) if step.container is not None else {}
            case "needs":
                result[key] = list(step.needs)
            case "env":
                layers = [layer for layer in (general.get("env"), node.get("env")) if layer is not None]
                result[key] = _env(layers, known)
            case "on_failure":
                pairs = zip(fields[key].items(), handlers, strict=True)
                result[key] = [_step(one, handler, (), defaults, known) for one, handler in pairs]
            case "pipeline" if step.pipeline is not None:
                result[key] = step.pipeline
            case "params":
                result[key] = {name: settled(value, known) for name, value in step.params.items()}
            case _:
                result[key] = _field(key, fields[key], step, known)
    return result


def _fields(node: Node, general: Mapping[str, Node], step: Step) -> dict[str, Node]:
    """What the defaults give a step and what it says itself, as far as that means something for it."""
    fields = {**general, **node.fields()}
    if step.pipeline is not None:
        fields = {key: value for key, value in fields.items() if key not in MEANINGLESS}
    waits = kind_of(node)
    if waits is not None:
        fields = {key: value for key, value in fields.items() if key not in without_meaning(waits)}
    if "run" not in fields and "shell" not in node.fields():
        fields.pop("shell", None)  # which has no meaning then, and would be refused
    return fields


def _field(key: str, node: Node, step: Step, known: Known) -> JSON:  # noqa: PLR0911 - one return a field
    match key:
        case "if":
            return _condition(node, step, known)
        case "command":
            words = [word for item in node.items() for word in _words(item, known)]
            return words if words and words[0] else node.plain()  # a command without a program fails in the run
        case "name":
            return _name(node, known)
        case "prompt":
            prompt = _text(node, known)
            return prompt if 0 < len(prompt) <= PROMPT_MAX else node.plain()  # it fails in the run
        case "signal":
            name = _text(node, known)
            return name if is_signal(name) else node.plain()
        case "working_dir":
            return _directory(node, known)
        case "artifacts":
            return _artifacts(node, known)
        case _:
            return node.plain()


def _condition(node: Node, step: Step, known: Known) -> JSON:
    # with a status function the step asks for more than a truth value, namely to be asked after a failure
    holds = verdict(step, known).holds if not step.status_functions and not step.each_condition else None
    return holds if holds is not None else node.plain()


def _env(layers: Sequence[Node], known: Known) -> dict[str, JSON]:
    return {name: _text(value, known) for layer in layers for name, value in layer.fields().items()}


def _name(node: Node, known: Known) -> str:
    text = _text(node, known)
    return text if text.isprintable() and 0 < len(text) <= MAX_NAME else str(node.value)


def _directory(node: Node, known: Known) -> str:
    text = _text(node, known)
    return text if text and not leaves_project(text) else str(node.value)


def _artifacts(node: Node, known: Known) -> JSON:
    fields = node.fields()
    if fields:
        return {
            key: _name(one, known) if key == "name" else one.plain() if key == "when" else _artifacts(one, known)
            for key, one in fields.items()
        }
    paths = [_glob(item, known) for item in (node.items() or [node])]
    return paths if isinstance(node.value, list) else paths[0]


def _glob(node: Node, known: Known) -> str:
    text = _text(node, known)
    return text if text and wrong_glob(text) is None else str(node.value)


def _text(node: Node, known: Known) -> str:
    return settled_text(as_text(node) or "", known)


def _words(node: Node, known: Known) -> list[str]:
    return settled_words(as_text(node) or "", known)
