"""The author's `vars`, resolved once when their pipeline starts, in their order: each sees those above it."""

from collections.abc import Callable, Mapping
from pathlib import Path

from dagnats.core.decide import EvaluationError
from dagnats.core.pipeline import JSON
from dagnats.core.text import has_template
from dagnats.pipes import capture
from dagnats.process import Guardian, SpawnError
from dagnats.rendering import guarded

SH_TIMEOUT_S = 60.0
_SHOWN = 500


class VariableError(Exception):
    """A variable has no value; the text names it and says why."""


class Resolver:
    """Runs the scripts of variables in the workspace, with `env` beside the worker's own environment; what they say is shown without what `hide` hides."""

    def __init__(
        self,
        guardian: Guardian,
        workspace: Path,
        *,
        env: Mapping[str, str] | None = None,
        hide: Callable[[str], str] = str,
    ) -> None:
        self._guardian = guardian
        self._workspace = workspace
        self._env = env or {}
        self._hide = hide

    async def resolve(self, variables: Mapping[str, JSON], known: Mapping[str, JSON]) -> dict[str, JSON]:
        """Render each variable with the contexts that are known; `{sh: …}` is run. Raises VariableError."""
        resolved: dict[str, JSON] = {}
        for name, value in variables.items():
            context = {**known, "vars": resolved}
            try:
                if isinstance(value, dict) and set(value) == {"sh"}:
                    resolved[name] = await self._output_of(name, value["sh"], context)
                else:
                    resolved[name] = _rendered(name, value, context)
            except (EvaluationError, SpawnError) as error:
                raise VariableError(f"vars.{name}: {error}") from error
        return resolved

    async def _output_of(self, name: str, script: str, context: Mapping[str, JSON]) -> str:
        env: dict[str, str] = {}
        if has_template(script):
            script, env = guarded(name, lambda template: template.render_script(script, context, "sh"))
        argv = ["sh", "-eu", "-c", script]
        env = {**self._env, **env}
        done = await capture(self._guardian, argv, cwd=self._workspace, env=env, timeout_s=SH_TIMEOUT_S)
        if done.timed_out:
            raise EvaluationError(f"the command took longer than {SH_TIMEOUT_S:g}s")
        if not done.exit.ok:
            said = self._hide(done.stderr.decode("utf-8", "replace")).strip()[-_SHOWN:]
            raise EvaluationError(f"the command ended with {done.exit.describe()}" + (f": {said}" if said else ""))
        try:
            return done.stdout.decode("utf-8").rstrip("\r\n")
        except UnicodeDecodeError:
            raise EvaluationError("the command printed something that is not UTF-8") from None


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
