"""Variables of the runner's environment that a run needs and does not have: known before it starts."""

from collections.abc import Collection, Iterable, Iterator

from dagnats.core.pipeline import Pipeline, Step
from dagnats.core.text import has_template, texts_in
from dagnats.definition.problems import printable, quoted
from dagnats.errors import UsageError

MAX_NOTES = 5


def refuse_unset(plan: Pipeline, environ: Collection[str]) -> None:
    """Refuse a plan that can not come to a good end, because a template in it needs a variable that is not set.

    Only what is evaluated in any case counts: no step with an `if`, none that may fail, none that runs for each of several values.
    """
    if all(name in environ for name in plan.env_names):
        return
    problems = [problem for one in _surely_run(plan) for problem in _problems(one, environ)]
    if problems:
        raise UsageError("\n".join(problems))


def foreign_outputs(plan: Pipeline, environ: Collection[str]) -> list[str]:
    """Words to who watches the run about steps that write outputs in the way of another system, which is not there."""
    found = []
    for one in (plan, *plan.pipelines.values()):
        for step in (*one.steps, *one.finally_steps):
            script = step.run or ""
            if ("GITHUB_OUTPUT" in script and "GITHUB_OUTPUT" not in environ) or "::set-output" in script:
                place = f"{printable(one.file)}: step {quoted(step.id)} (line {step.line})"
                found.append(f'{place} writes outputs for another system; here: echo "name=value" >> "$DAGNATS_OUTPUT"')
    return found[:MAX_NOTES]


def _surely_run(plan: Pipeline) -> list[Pipeline]:
    """The plan, and those of the pipelines that run in any case."""
    found = [plan]
    for one in found:
        for step in (*one.steps, *one.finally_steps):
            inner = plan.pipelines[step.pipeline] if step.pipeline is not None and _always_runs(step) else None
            if inner is not None and inner not in found:
                found.append(inner)
    return found


def _problems(plan: Pipeline, environ: Collection[str]) -> list[str]:
    texts = [("`env` of the pipeline", list(plan.env.values()))]
    texts += [
        (f"step {quoted(step.id)} (line {step.line})", _texts(step))
        for step in (*plan.steps, *plan.finally_steps)
        if _always_runs(step) and step.id not in plan.left_out
    ]
    conditions = [
        (f"the `if` of step {quoted(step.id)} (line {step.line})", step.condition)
        for step in (*plan.steps, *plan.finally_steps)
        if step.condition is not None and step.handles is None and not step.allow_failure and not step.each_condition
    ]
    needed = [(place, name) for place, parts in texts for name in dict.fromkeys(_needed(parts))]
    needed += [(place, name) for place, text in conditions for name in dict.fromkeys(_asked([text]))]
    return [
        f"{printable(plan.file)}: {quoted(f'env.{name}')} is not set, and {place} uses it; {_advice(plan, name)}"
        for place, name in needed
        if name not in environ
    ]


def _advice(plan: Pipeline, name: str) -> str:
    """What to do: one who gives the variable a value in the file is likely to mean that one."""
    given = [step.env.get(name) for step in (*plan.steps, *plan.finally_steps)]
    if any(value is not None and f"env.{name}" not in value for value in (plan.env.get(name), *given)):
        return f"`env` in a template is what the runner was started with; for what the file sets, write `${name}` in `run`, or make it a var"
    return f"set {name}, or write `env.{name} | default('')`"


def _always_runs(step: Step) -> bool:
    return step.condition is None and step.handles is None and step.fan_out is None and not step.allow_failure


def _texts(step: Step) -> list[str]:
    box = step.container
    boxed = [*box.texts(), *box.env.values()] if box is not None else []
    own = [step.run or "", *(step.command or ()), step.working_dir or "", *step.env.values()]
    return [*own, *boxed, *texts_in(step.params)]


def _needed(texts: Iterable[str]) -> Iterator[str]:
    yield from _asked(filter(has_template, texts), expression=False)


def _asked(texts: Iterable[str], *, expression: bool = True) -> Iterator[str]:
    from dagnats import template  # noqa: PLC0415 - measured: 60 ms, only where a variable is missing

    for text in texts:
        for reference in template.check(text, expression=expression):
            if reference.sure and reference.path[0] == "env":
                yield reference.path[1]
