"""The author's `vars`, resolved once at the start of a run, in their order: each sees those above it."""

from collections.abc import Callable, Mapping
from pathlib import Path

from dagnats.core.decide import EvaluationError
from dagnats.core.pipeline import JSON, Pipeline
from dagnats.core.text import has_template
from dagnats.dispatch import guarded, pipeline_context
from dagnats.errors import UsageError
from dagnats.pipes import capture
from dagnats.process import Guardian, SpawnError

SH_TIMEOUT_S = 60.0
_SHOWN = 500


async def resolve_vars(
    plan: Pipeline,
    known: Mapping[str, Mapping[str, JSON]],
    workspace: Path,
    guardian: Guardian,
    *,
    hide: Callable[[str], str] = str,
) -> dict[str, JSON]:
    """Render each variable with the contexts that are known; `{sh: …}` runs in the workspace.

    Raises UsageError, whose text is without what `hide` hides: nothing has been started then.
    """
    context: dict[str, JSON] = {**known, "pipeline": pipeline_context(plan.name, plan.file, str(workspace))}
    resolved: dict[str, JSON] = {}
    for name, value in plan.vars.items():
        try:
            if isinstance(value, dict) and set(value) == {"sh"}:
                resolved[name] = await _output_of(
                    name, value["sh"], {**context, "vars": resolved}, workspace, guardian, hide=hide
                )
            else:
                resolved[name] = _rendered(name, value, {**context, "vars": resolved})
        except (EvaluationError, SpawnError) as error:
            raise UsageError(f"{plan.file}: vars.{name}: {error}; nothing was started") from error
    return resolved


def _rendered(name: str, value: JSON, context: Mapping[str, JSON]) -> JSON:
    match value:
        case str() if has_template(value):
            return guarded(name, lambda template: template.render(value, context))
        case list():
            return [_rendered(name, item, context) for item in value]
        case dict():
            return {key: _rendered(name, item, context) for key, item in value.items()}
        case _:
            return value


async def _output_of(
    name: str,
    script: str,
    context: Mapping[str, JSON],
    workspace: Path,
    guardian: Guardian,
    *,
    hide: Callable[[str], str],
) -> str:
    env: dict[str, str] = {}
    if has_template(script):
        script, env = guarded(name, lambda template: template.render_script(script, context, "sh"))
    done = await capture(guardian, ["sh", "-eu", "-c", script], cwd=workspace, env=env, timeout_s=SH_TIMEOUT_S)
    if done.timed_out:
        raise EvaluationError(f"the command took longer than {SH_TIMEOUT_S:g}s")
    if not done.exit.ok:
        said = hide(done.stderr.decode("utf-8", "replace")).strip()[-_SHOWN:]
        raise EvaluationError(f"the command ended with {done.exit.describe()}" + (f": {said}" if said else ""))
    try:
        return done.stdout.decode("utf-8").rstrip("\r\n")
    except UnicodeDecodeError:
        raise EvaluationError("the command printed something that is not UTF-8") from None
