"""What would run, before anything does: a plan and what is known of it, as text and as data."""

from collections.abc import Iterator, Mapping, Sequence

from dagnats.core.fanout import cells, labels
from dagnats.core.graph import graph_of, levels
from dagnats.core.pipeline import JSON, Artifacts, Pipeline, Retry, Service, Step, Wait
from dagnats.core.privileges import refused
from dagnats.core.text import encode_json
from dagnats.definition.known import Known, Verdict, verdict
from dagnats.report.style import Style
from dagnats.report.view import clean

_DIM, _BOLD, _YELLOW = "2", "1", "33"
_MAX_NEEDS, _MAX_VALUE = 8, 60
LATER = "known when the run starts"

Verdicts = Mapping[str, Verdict]
Notes = Mapping[str, Sequence[str]]
_NOTHING: Notes = {}


def plan_text(plan: Pipeline, known: Known, style: Style, notes: Notes = _NOTHING) -> Iterator[str]:
    """Say in lines what would run, with further notes on steps of the run itself."""
    verdicts = {step.id: verdict(step, known) for step in (*plan.steps, *plan.finally_steps)}
    yield style.paint(_head(plan), _BOLD)
    yield from _facts(plan, known)
    yield ""
    yield from _lists(plan, verdicts, "finally, when all of these have ended", style, notes)
    for file, one in plan.pipelines.items():
        yield ""
        yield style.paint(f"{clean(file)}, {_head(one)}", _BOLD)
        yield from _lists(one, _unknown(one), f"finally, when all of {one.name} has ended", style)


def _facts(plan: Pipeline, known: Known) -> Iterator[str]:
    """Say what is known of the run's values, and what is left out of it."""
    for name, value in known.params.items():
        yield f"  params.{name} = {_shown(value)}"
    for name, value in known.vars.items():
        yield f"  vars.{name} = {_shown(value)}"
    for name in (name for name in plan.vars if name in known.later):
        script = known.scripts.get(name)
        yield f"  vars.{name}: {LATER}" + (f" (sh: {_cut(clean(script))})" if script is not None else "")
    for one in (plan, *plan.pipelines.values()):
        whose = "" if one is plan else f" of {clean(one.file)}"
        for name, source in one.secrets.items():
            yield f"  secrets.{name}{whose}: asked for when the run starts ({_cut(clean(source))})"
    for one in (plan, *plan.pipelines.values()):
        whose = "" if one is plan else f" of {clean(one.file)}"
        for name, service in one.services.items():
            yield f"  services.{name}{whose}: {'; '.join(service_traits(service))}"
    for flag, ids in plan.selection.items():
        yield f"  --{flag} {' '.join(ids)}"
    if plan.left_out:
        yield f"  left out: {', '.join(plan.left_out[:_MAX_NEEDS])}" + _more(len(plan.left_out) - _MAX_NEEDS)


def _lists(plan: Pipeline, verdicts: Verdicts, title: str, style: Style, notes: Notes = _NOTHING) -> Iterator[str]:
    # one width for both lists, so that the columns meet
    width = min(40, max((len(step.id) for step in (*plan.steps, *plan.finally_steps)), default=0))
    yield from _levels(plan.steps, verdicts, width, style, notes)
    if plan.finally_steps:
        yield ""
        yield style.paint(title, _BOLD)
        yield from _levels(plan.finally_steps, verdicts, width, style, notes)


def _unknown(plan: Pipeline) -> Verdicts:
    """What the conditions of a pipeline that a step runs give is known when it starts."""
    return {step.id: Verdict(holds=None) for step in (*plan.steps, *plan.finally_steps)}


def plan_data(plan: Pipeline, known: Known) -> JSON:
    """Give the same as data."""
    verdicts = {step.id: verdict(step, known) for step in (*plan.steps, *plan.finally_steps)}
    return {
        "name": plan.name,
        "file": plan.file,
        "max_parallel": plan.max_parallel,
        "timeout_s": plan.timeout_s,
        "fail_fast": plan.fail_fast,
        "params": dict(known.params),
        "vars": dict(known.vars),
        "vars_later": [name for name in plan.vars if name in known.later],
        "secrets": dict(plan.secrets),
        "selection": {flag: list(ids) for flag, ids in plan.selection.items()},
        "left_out": list(plan.left_out),
        "services": _services(plan),
        "steps": _data(plan.steps, verdicts),
        "finally": _data(plan.finally_steps, verdicts),
        "pipelines": {file: _inner(one) for file, one in plan.pipelines.items()},
    }


def _head(plan: Pipeline) -> str:
    depth = max(levels(graph_of(plan.steps)).values(), default=0)
    parts = [_count(len(plan.steps), "step"), f"in {_count(depth, 'level')}"]
    if plan.finally_steps:
        parts.append(f"and {len(plan.finally_steps)} in finally")
    limits = []
    if plan.max_parallel is not None:
        limits.append(f"at most {plan.max_parallel} at once")
    if plan.timeout_s is not None:
        limits.append(f"timeout {_span(plan.timeout_s)}")
    if plan.fail_fast:
        limits.append("fail_fast")
    return ", ".join([f"{plan.name}: {' '.join(parts)}", *limits])


def _levels(steps: Sequence[Step], verdicts: Verdicts, width: int, style: Style, notes: Notes) -> Iterator[str]:
    level_of = levels(graph_of(steps))
    last = 0
    # sorted is stable: within a level the order of the file stays
    for step in sorted(steps, key=lambda step: level_of[step.id]):
        level = level_of[step.id]
        number = f"{level:>3}" if level != last else "   "
        last = level
        details = "; ".join([*notes.get(step.id, ()), *_details(step, verdicts[step.id])])
        name = step.id if verdicts[step.id].holds is not False else style.paint(step.id, _DIM)
        gap = " " * (max(0, width - len(step.id)) + 2)
        yield style.paint(number, _DIM) + "  " + (f"{name}{gap}{details}" if details else name)


def _details(step: Step, found: Verdict) -> Iterator[str]:
    condition = clean(step.condition or "")
    if found.error:
        yield f"fails: if {condition}: {clean(found.error)}"
    elif found.holds is False:
        yield f"skipped: if {condition}"
    elif step.condition is not None:
        yield f"if {condition}" + (" (true)" if found.holds and not step.status_functions else "")
    if step.needs:
        yield f"needs {', '.join(step.needs[:_MAX_NEEDS])}" + _more(len(step.needs) - _MAX_NEEDS)
    if step.retry.max_attempts > 1:
        yield _retry(step.retry)
    if step.timeout_s is not None:
        yield f"timeout {_span(step.timeout_s)}"
    if step.idle_timeout_s is not None:
        yield f"idle_timeout {_span(step.idle_timeout_s)}"
    yield from traits(step)
    if step.container is not None and refused(step.container) is not None:
        yield "needs --allow-privileged"
    if found.skipped and found.holds is None:
        shown = " ".join(f"[{name}]" for name in found.skipped[:_MAX_NEEDS])
        yield f"skipped: {shown}" + _more(len(found.skipped) - _MAX_NEEDS)


def traits(step: Step) -> Iterator[str]:
    """Say what is special about a step, beside what it waits for and its bounds."""
    yield from _does(step)
    if step.handles is not None:
        yield f"only when {step.handles} has failed"
    names = instances(step)
    if names is not None:
        shown = " ".join(f"[{name}]" for name in names[:_MAX_NEEDS])
        yield f"{_count(len(names), 'instance')} {shown}" + _more(len(names) - _MAX_NEEDS)
    elif step.fan_out is not None:
        yield "an instance for each item of a list"
    yield from _rules(step)


def _rules(step: Step) -> Iterator[str]:
    if step.mutex is not None:
        yield f"mutex {step.mutex}"
    if step.once:
        yield "once"
    if step.artifacts is not None:
        yield f"keeps {_kept(step.artifacts)}"
    if isinstance(step.allow_failure, tuple):
        yield f"may fail with {', '.join(map(str, step.allow_failure))}"
    elif step.allow_failure:
        yield "may fail"


def _does(step: Step) -> Iterator[str]:
    if step.pipeline is not None:
        yield f"runs {clean(step.pipeline)}"
    if step.container is not None:
        yield f"in {clean(step.container.image)}"
    if step.wait is not None:
        yield wait_text(step.wait)


def _kept(artifacts: Artifacts) -> str:
    shown = ", ".join(_cut(clean(path)) for path in artifacts.paths[:_MAX_NEEDS])
    when = {"on_success": "", "on_failure": " when it fails", "always": " always"}[artifacts.when]
    return shown + _more(len(artifacts.paths) - _MAX_NEEDS) + when


def wait_text(wait: Wait) -> str:
    """Say what a step waits for."""
    match wait.kind:
        case "sleep":
            return f"sleeps {_span(wait.duration_s)}"
        case "signal":
            return f"waits for the signal {clean(wait.signal)}"
        case "approval":
            return f"asks for an approval: {_cut(clean(wait.prompt))}"


def wait_data(wait: Wait | None) -> JSON:
    """What a step waits for, as data."""
    if wait is None:
        return None
    details: dict[str, JSON] = {"sleep": wait.duration_s, "signal": wait.signal, "approval": wait.prompt}
    name = {"sleep": "duration_s", "signal": "signal", "approval": "prompt"}[wait.kind]
    return {"kind": wait.kind, name: details[wait.kind]}


def service_traits(service: Service) -> Iterator[str]:
    """Say what a service is."""
    yield clean(service.container.image)
    if service.ports:
        yield f"{'port' if len(service.ports) == 1 else 'ports'} {', '.join(map(str, service.ports))}"
    ready = service.ready
    if ready is not None:
        value = " ".join(ready.value) if isinstance(ready.value, tuple) else str(ready.value)
        yield f"ready by {ready.kind} {_cut(clean(value))} within {_span(ready.timeout_s)}"
    if refused(service.container) is not None:
        yield "needs --allow-privileged"


def instances(step: Step) -> list[str] | None:
    """Name the instances of a step that has some, as far as the plan alone says."""
    if step.fan_out is None or not step.fan_out.is_matrix:
        return None
    return labels(step.fan_out, cells(step.fan_out))


def _retry(retry: Retry) -> str:
    on = f" on {', '.join(map(str, retry.on))}" if retry.on is not None else ""
    delay = f", {retry.strategy} from {_span(retry.initial_delay_s)}" if retry.initial_delay_s else ""
    return f"up to {retry.max_attempts} attempts{on}{delay}"


def _data(steps: Sequence[Step], verdicts: Verdicts) -> list[JSON]:
    level_of = levels(graph_of(steps))
    return [
        {
            "id": step.id,
            "name": step.name,
            "line": step.line,
            "level": level_of[step.id],
            "needs": list(step.needs),
            "if": _condition(step, verdicts[step.id]),
            "skipped": verdicts[step.id].holds is False,
            "max_attempts": step.retry.max_attempts,
            "timeout_s": step.timeout_s,
            "idle_timeout_s": step.idle_timeout_s,
            "allow_failure": list(step.allow_failure) if isinstance(step.allow_failure, tuple) else step.allow_failure,
            "fan_out": step.fan_out is not None,
            "instances": instances(step),
            "skipped_instances": list(verdicts[step.id].skipped),
            "mutex": step.mutex,
            "once": step.once,
            "handles": step.handles,
            "pipeline": step.pipeline,
            "wait": wait_data(step.wait),
            "params": dict(step.params),
            "services": list(step.services),
            "artifacts": _artifacts(step),
            "image": step.container.image if step.container is not None else None,
            "privileged": refused(step.container) if step.container is not None else None,
        }
        for step in steps
    ]


def _artifacts(step: Step) -> JSON:
    kept = step.artifacts
    return {"paths": list(kept.paths), "when": kept.when, "name": kept.name} if kept is not None else None


def _inner(plan: Pipeline) -> JSON:
    """The pipeline of a step."""
    unknown = _unknown(plan)
    return {
        "name": plan.name,
        "secrets": dict(plan.secrets),
        "services": _services(plan),
        "steps": _data(plan.steps, unknown),
        "finally": _data(plan.finally_steps, unknown),
    }


def _services(plan: Pipeline) -> JSON:
    return {
        name: {
            "image": service.container.image,
            "ports": list(service.ports),
            "ready": _ready(service),
            "privileged": refused(service.container),
        }
        for name, service in plan.services.items()
    }


def _ready(service: Service) -> JSON:
    ready = service.ready
    if ready is None:
        return None
    value = list(ready.value) if isinstance(ready.value, tuple) else ready.value
    return {"kind": ready.kind, "value": value, "timeout_s": ready.timeout_s}


def _condition(step: Step, found: Verdict) -> JSON:
    if step.condition is None:
        return None
    return {"expression": step.condition, "result": found.holds, "error": found.error or None}


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def _span(seconds: float) -> str:
    """Give a duration as files have it: 90 seconds are 1m30s."""
    hours, rest = divmod(seconds, 3600)
    minutes, rest = divmod(rest, 60)
    parts = [f"{hours:.0f}h" if hours else "", f"{minutes:.0f}m" if minutes else ""]
    if rest >= 1:
        parts.append(f"{round(rest, 3):g}s")
    elif rest:
        parts.append(f"{round(rest * 1000, 3):g}ms")
    return "".join(parts) or "0s"


def _more(number: int) -> str:
    return f" and {number} more" if number > 0 else ""


def _shown(value: JSON) -> str:
    return _cut(clean(encode_json(value)))


def _cut(text: str) -> str:
    return text if len(text) <= _MAX_VALUE else text[: _MAX_VALUE - 3] + "..."
