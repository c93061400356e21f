"""Steps and services whose containers would have the machine: a run of them must be allowed by who starts it, as no file can do that."""

from collections.abc import Iterator

from dagnats.core.pipeline import Container, Pipeline
from dagnats.core.privileges import refusals
from dagnats.definition.problems import printable, quoted
from dagnats.errors import UsageError

MAX_NOTES = 20


def refuse_privileged(plan: Pipeline, *, allowed: bool) -> None:
    """Refuse a plan in which something is asked for that nobody has allowed. What a template makes is judged when its step starts."""
    problems = privileged(plan) if not allowed else []
    if problems:
        raise UsageError(
            "\n".join([*problems, "start it with --allow-privileged if that is meant; nothing was started"])
        )


def privileged(plan: Pipeline) -> list[str]:
    """Say what of a plan must be allowed by `--allow-privileged`, and where it stands."""
    found: list[str] = []
    known: dict[tuple[int, int], list[str]] = {}  # what the defaults give is judged once
    total = 0
    plans = (plan, *plan.pipelines.values())
    for place, box in (found for one in plans for found in _containers(one)):
        key = (id(box.options), id(box.volumes))
        if key not in known:
            known[key] = [refusal.reason for refusal in refusals(box)]
        total += len(known[key])
        found += [f"{place}: {reason}" for reason in known[key][: MAX_NOTES - len(found)]]
    return [*found, *([f"and {total - len(found)} more"] if total > len(found) else [])]


def _containers(plan: Pipeline) -> Iterator[tuple[str, Container]]:
    """Every container of a plan, and where it stands."""
    for name, service in plan.services.items():
        yield f"{printable(plan.file)}: service {quoted(name)}", service.container
    for step in (*plan.steps, *plan.finally_steps):
        if step.container is not None:
            yield f"{printable(step.file or plan.file)}:{step.line}: step {quoted(step.id)}", step.container
