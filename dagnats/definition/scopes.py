"""What a template may mention, and where: the names are checked before anything runs."""

from dataclasses import dataclass, field

from dagnats.definition.needs import Ancestry, Draft
from dagnats.definition.problems import Problems, quoted
from dagnats.definition.words import suggest

ROOTS = ("params", "vars", "env", "pipeline", "run", "steps")
LATER = frozenset(["git", "matrix", "item", "secrets", "failed"])
PIPELINE_FIELDS = ("name", "dir", "file")
STEP_FIELDS = ("outputs", "status", "exit_code")
IN_PIPELINE = ("params", "vars", "env", "pipeline")


@dataclass(frozen=True, slots=True)
class Scope:
    """The place of a template: how messages call it, and the roots that are known there.

    `step` is the step in which it stands, and `last` says that this one is of `finally`. In `outputs` of the pipeline every step has
    ended, so that `any_step` may be named. `until` bounds `vars` to those above.
    """

    place: str
    roots: tuple[str, ...] = ROOTS
    run_fields: tuple[str, ...] = ("id", "attempt")
    step: Draft | None = None
    last: bool = False
    any_step: bool = False
    until: int | None = None

    @property
    def kind(self) -> object:
        """What two scopes share in which all is judged alike but what depends on the step."""
        return self.last if self.step is not None else self


@dataclass(slots=True)
class Finding:
    """What is wrong with a reference."""

    message: str
    hint: str = ""


@dataclass(slots=True)
class Names:
    """Everything that the templates of one file can refer to."""

    problems: Problems
    params: dict[str, object]
    vars: dict[str, int]
    main: dict[str, Draft]
    last: dict[str, Draft]
    env_names: set[str] = field(default_factory=set)
    _main_ancestry: Ancestry | None = None
    _last_ancestry: Ancestry | None = None

    def depends_on_step(self, path: tuple[str, ...], scope: Scope) -> bool:
        """Whether a reference can be right in one step and wrong in another."""
        return scope.step is not None and path[0] == "steps" and path[1:2] != () and self._is_step(path[1])

    def judge(self, path: tuple[str, ...], scope: Scope) -> Finding | None:
        """Say what is wrong with a reference, if anything is."""
        root = path[0]
        if root not in scope.roots:
            return self._unknown_root(root, scope)
        rules = {
            "params": self._params,
            "vars": self._vars,
            "env": self._env,
            "pipeline": self._pipeline,
            "run": self._run,
            "steps": self._steps,
        }
        return rules[root](path, scope)

    def _unknown_root(self, root: str, scope: Scope) -> Finding:
        if root in LATER:
            return Finding(f"{quoted(root)} is not supported by this version")
        if root in ROOTS:
            return Finding(f"{quoted(root)} is not known in {scope.place}", f"known there: {', '.join(scope.roots)}")
        for group, names in (("params", self.params), ("vars", self.vars)):
            if root in names and group in scope.roots:
                return Finding(f"{quoted(root)} is not defined", f"did you mean {quoted(f'{group}.{root}')}?")
        if (root in self.main or root in self.last) and "steps" in scope.roots:
            return Finding(f"{quoted(root)} is not defined", f"did you mean {quoted(f'steps.{root}.outputs')}?")
        hint = suggest(root, list(scope.roots), self.problems) or f"known here: {', '.join(scope.roots)}"
        return Finding(f"{quoted(root)} is not defined", hint)

    def _params(self, path: tuple[str, ...], _scope: Scope) -> Finding | None:
        if len(path) == 1 or path[1] in self.params:
            return None
        hint = suggest(path[1], self.params, self.problems) or "declare it under `params`"
        return Finding(f"there is no param {quoted(path[1])}", hint)

    def _vars(self, path: tuple[str, ...], scope: Scope) -> Finding | None:
        if len(path) == 1:
            return None
        place = self.vars.get(path[1])
        if place is None:
            hint = suggest(path[1], list(self.vars), self.problems) or "declare it under `vars`"
            return Finding(f"there is no var {quoted(path[1])}", hint)
        if scope.until is not None and place >= scope.until:
            return Finding(
                f"{quoted(f'vars.{path[1]}')} is not known yet", "a var may use those above it; change their order"
            )
        return None

    def _env(self, path: tuple[str, ...], _scope: Scope) -> Finding | None:
        if len(path) == 1:
            return Finding("`env` may only be used with a constant name", "write `env.NAME`, or `env['NAME']`")
        self.env_names.add(path[1])
        return None

    def _pipeline(self, path: tuple[str, ...], _scope: Scope) -> Finding | None:
        return self._field("pipeline", path[1:], PIPELINE_FIELDS)

    def _run(self, path: tuple[str, ...], scope: Scope) -> Finding | None:
        if path[1:2] == ("outcome",) and "outcome" not in scope.run_fields:
            return Finding("`run.outcome` is only known in `finally` and in `outputs` of the pipeline")
        return self._field("run", path[1:], scope.run_fields)

    def _field(self, owner: str, rest: tuple[str, ...], known: tuple[str, ...]) -> Finding | None:
        if not rest or rest[0] in known:
            return None
        hint = suggest(rest[0], list(known), self.problems) or f"it has {', '.join(known)}"
        return Finding(f"{quoted(owner)} has no {quoted(rest[0])}", hint)

    def _steps(self, path: tuple[str, ...], scope: Scope) -> Finding | None:
        if len(path) == 1:
            return Finding("`steps` may only be used with a constant id", "write `steps.ID`, or `steps['ID']`")
        name = path[1]
        if not self._is_step(name):
            return self._unknown_step(name)
        return self._unneeded(name, scope) or self._field(f"steps.{name}", path[2:], STEP_FIELDS)

    def _is_step(self, name: str) -> bool:
        return name in self.main or name in self.last

    def _unknown_step(self, name: str) -> Finding:
        return Finding(f"there is no step {quoted(name)}", suggest(name, [*self.main, *self.last], self.problems))

    def _unneeded(self, name: str, scope: Scope) -> Finding | None:
        step = scope.step
        if step is None or (scope.last and name in self.main):
            return None
        if name == step.id:
            return Finding(f"step {quoted(name)} uses its own results", "they are known when it has ended")
        if not scope.last and name in self.last:
            return Finding(f"step {quoted(name)} is of `finally`, which begins when all of `steps` has ended")
        if self._ancestry(last=scope.last).needs(step, name):
            return None
        hint = f"add {quoted(name)} to its `needs`"
        return Finding(f"step {quoted(step.id)} uses {quoted(f'steps.{name}')} and does not need {quoted(name)}", hint)

    def _ancestry(self, *, last: bool) -> Ancestry:
        if last:
            self._last_ancestry = self._last_ancestry or Ancestry(list(self.last.values()))
            return self._last_ancestry
        self._main_ancestry = self._main_ancestry or Ancestry(list(self.main.values()))
        return self._main_ancestry
