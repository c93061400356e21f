"""Which values from outside the texts of a plan mention."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from msgspec import Struct

from dagnats.core.pipeline import JSON, Pipeline, Step

Path = tuple[str, ...]
_TEMPLATES = ("run", "command", "working_dir", "env", "params", "container", "artifacts", "wait")  # fields of a step


def texts_of(value: Any, *, expression: bool = False) -> Iterator[tuple[str, bool]]:
    """All text in a step, and whether it is an expression; whatever fields a step has, none is forgotten."""
    if isinstance(value, str):
        yield value, expression
    elif isinstance(value, Struct):
        for name in value.__struct_fields__:
            # an `if`, and what gives the list of a `foreach`
            yield from texts_of(getattr(value, name), expression=name in ("condition", "items"))
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from texts_of(item)
    elif isinstance(value, tuple | list):
        for item in value:
            yield from texts_of(item)


def of_texts(texts: Iterable[tuple[str, bool]]) -> Iterator[Path]:
    """Every context variable that texts mention."""
    for text, expression in texts:
        if not expression and "{{" not in text and "{%" not in text:
            continue
        from dagnats import template  # noqa: PLC0415 - measured: 60 ms that a pipeline without templates does not pay

        for reference in template.check(text, expression=expression):
            yield reference.path


def of_step(plan: Pipeline, step: Step) -> dict[Path, None]:
    """What the task of a step mentions: its own texts, the environment of its file, and the services that it uses. Not what makes its list of instances."""
    found = texts_of([getattr(step, name) for name in _TEMPLATES])
    services = texts_of([plan.services[name] for name in step.services if name in plan.services])
    condition = [(step.condition, True)] if step.condition is not None else []
    return dict.fromkeys(of_texts([*found, *condition, *texts_of(plan.env), *services]))


def of_items(items: JSON) -> dict[Path, None]:
    """What the list of a `foreach` mentions: an expression, or values with templates."""
    return dict.fromkeys(of_texts(texts_of(items, expression=isinstance(items, str))))


def of_plan(plan: Pipeline, pipelines: Mapping[str, Pipeline]) -> dict[Path, None]:
    """What all that a pipeline does mentions, with those that its steps run."""
    found: dict[Path, None] = {}
    pending, seen = [plan], {plan.file}
    for one in pending:
        for step in (*one.steps, *one.finally_steps):
            found |= of_step(one, step)
            found |= of_items(step.fan_out.items if step.fan_out is not None else None)
            inner = pipelines.get(step.pipeline or "")
            if inner is not None and inner.file not in seen:
                seen.add(inner.file)
                pending.append(inner)
        found |= dict.fromkeys(of_texts(texts_of([one.vars, one.outputs])))
    return found
