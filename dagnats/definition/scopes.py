"""What a template may mention, and where: the names are checked before anything runs."""

from collections.abc import Collection, Iterable, Mapping
from itertools import chain

from msgspec import Struct, field
from msgspec.structs import replace

from dagnats.core.events import Outcome
from dagnats.core.pipeline import Pipeline
from dagnats.core.status import TERMINAL
from dagnats.core.waits import APPROVAL_OUTPUTS
from dagnats.definition.needs import Ancestry, Draft
from dagnats.definition.problems import Problems, listed, quoted
from dagnats.definition.tree import Node
from dagnats.definition.words import STATUS_WORDS, explain_field, explain_root, suggest

NOTHING = Node({}, 0, 0)
ROOTS = ("params", "vars", "env", "git", "pipeline", "run", "steps")
ELSEWHERE = {
    "matrix": "it is known in a step that has a `matrix`",
    "item": "it is known in a step that has a `foreach`",
    "failed": "it is known in steps of `on_failure`",
}
FAILED_FIELDS = ("step", "error", "exit_code")
PIPELINE_FIELDS = ("name", "dir", "file")
GIT_FIELDS = ("sha", "branch", "tag", "dirty")
STEP_FIELDS = ("outputs", "status", "exit_code")
IN_PIPELINE = ("params", "vars", "env", "git", "pipeline")
SECRETS_HINT = 'give it to a step, `env: {NAME: "{{ secrets.NAME }}"}`, and use `$NAME` in its `run`'
SECRETS_PLACE = "`secrets` may be used only in `env` of a step, in `run`, and in `env` and `credentials` of a container"


class Scope(Struct, frozen=True):
    """The place of a template: how messages call it, and the roots that are known there.

    `step` is the step in which it stands, and `last` says that this one is of `finally`. In `outputs` of the pipeline every step has
    ended, so that `any_step` may be named. `until` bounds `vars` to those above. `own` are the names of an instance's values, and `axes` those of a matrix.
    A step that `handles` a failure stands in for the one that failed, and knows its results too.
    """

    place: str
    roots: tuple[str, ...] = ROOTS
    run_fields: tuple[str, ...] = ("id", "attempt")
    step: Draft | None = None
    last: bool = False
    any_step: bool = False
    until: int | None = None
    own: tuple[str, ...] = ()
    axes: Mapping[str, None] = field(default_factory=dict)
    handles: bool = False
    secrets_hint: str = SECRETS_HINT

    def __hash__(self) -> int:
        return hash((self.place, self.roots, self.run_fields, self.until))

    @property
    def kind(self) -> object:
        """What two scopes share in which all is judged alike but what depends on the step."""
        return (self.last, self.roots) if self.step is not None else self


def with_secrets(scope: Scope) -> Scope:
    """The scope, with secrets: in `env` of a step and in `run`, which only its worker renders."""
    return replace(scope, roots=(*scope.roots, "secrets"))


class Finding(Struct):
    """What is wrong with a reference."""

    message: str
    hint: str = ""


def _elsewhere(root: str, scope: Scope) -> "Finding | None":
    """What is known, but not here."""
    if root == "secrets":
        where = f"{SECRETS_PLACE}, not in {scope.place}" if scope.step is None else SECRETS_PLACE
        return Finding(where, scope.secrets_hint)
    if root in ELSEWHERE:
        return Finding(f"{quoted(root)} is not known in {scope.place}", ELSEWHERE[root])
    if root in ROOTS:
        return Finding(f"{quoted(root)} is not known in {scope.place}", f"known there: {', '.join(scope.roots)}")
    return None


class Names(Struct):
    """Everything that the templates of one file can refer to; `runs` are the pipelines that steps run, by their ids, and `defaults` what steps have that say nothing else."""

    problems: Problems
    params: dict[str, object]
    vars: dict[str, int]
    main: dict[str, Draft]
    last: dict[str, Draft]
    secrets: dict[str, str] = field(default_factory=dict)
    env_names: set[str] = field(default_factory=set)
    uses_git: bool = False
    read_steps: set[str] = field(default_factory=set)
    step_roots: set[str] = field(default_factory=set)
    runs: Mapping[str, Pipeline] = field(default_factory=dict)
    defaults: Node = NOTHING
    _secret_of: dict[str, str] | None = None
    _main_ancestry: Ancestry | None = None
    _last_ancestry: Ancestry | None = None

    def depends_on_step(self, path: tuple[str, ...], scope: Scope) -> bool:
        """Whether a reference can be right in one step and wrong in another."""
        if scope.step is None:
            return False
        return path[0] in self.step_roots or (path[0] == "steps" and path[1:2] != () and self._is_step(path[1]))

    def note_roots(self, roots: Iterable[str]) -> None:
        """Note what is known in some steps only: the values of instances, and of failures that a step handles."""
        self.step_roots.update(roots)

    def judge(self, path: tuple[str, ...], scope: Scope) -> Finding | None:
        """Say what is wrong with a reference, if anything is."""
        root = path[0]
        if root in scope.own:
            return self._field("matrix", path[1:], scope.axes) if root == "matrix" else None
        if root == "failed" and scope.handles:
            return self._field("failed", path[1:], FAILED_FIELDS)
        if root not in scope.roots:
            return self._unknown_root(path, scope)
        rules = {
            "params": self._params,
            "vars": self._vars,
            "env": self._env,
            "git": self._git,
            "pipeline": self._pipeline,
            "run": self._run,
            "steps": self._steps,
            "secrets": self._secrets,
        }
        return rules[root](path, scope)

    def compare(self, path: tuple[str, ...], text: str) -> Finding | None:
        """Say why a reference is never equal to a text, if that is so whatever happens."""
        match path:
            case ("steps", _, "status") | ("steps", _, "cells", _, "status"):
                return self._never("status", text, sorted(TERMINAL))
            case ("run", "outcome"):
                return self._never("outcome", text, sorted(Outcome))
            case ("git", "branch" | "tag") if text.startswith(("refs/heads/", "refs/tags/")) and text.split("/", 2)[2]:
                name = quoted(f"git.{path[1]}")
                return Finding(
                    f"{name} is a bare name, and never {quoted(text)}", f"write `'{text.split('/', 2)[-1]}'`"
                )
            case ("params", name):
                kind = getattr(self.params.get(name), "type", "")
                hints = {"boolean": f"write {quoted(f'params.{name}')} or {quoted(f'not params.{name}')}"}
                hints |= dict.fromkeys(("integer", "number"), "compare it with a number, without quotes")
                if kind in hints:
                    return Finding(f"param {quoted(name)} is of type {kind}, and never a text", hints[kind])
        return None

    def no_list(self, path: tuple[str, ...]) -> Finding | None:
        """Say why a reference is never a list, if that is so whatever happens."""
        match path:
            case ("params", name):
                kind = getattr(self.params.get(name), "type", "array")
                hint = f"write `type: array`, given as `-p {name}='[1, 2]'`"
                hint += f"; or split the text: `params.{name} | split(',')`" if kind == "string" else ""
                return (
                    Finding(f"param {quoted(name)} is of type {kind}, and no list", hint) if kind != "array" else None
                )
            case ("steps", step, "outputs", name) if (one := self.main.get(step)) is not None:
                fields = one.node.fields()
                declared = one.node.get("outputs") or self.defaults.get("outputs")
                kind = declared.get(name) if declared is not None else None
                is_json = kind is not None and (found := kind.get("type")) is not None and found.value == "json"
                if is_json or not {"matrix", "foreach", "pipeline", "signal"}.isdisjoint(fields):
                    return None
                hint = (
                    f"let step {quoted(step)} declare it, `outputs: {{{name}: {{type: json}}}}`, and write it as JSON"
                )
                return Finding(f"the output {quoted(name)} of step {quoted(step)} is no list but text", hint)
        return None

    def _never(self, what: str, text: str, known: Collection[str]) -> Finding | None:
        if text in known:
            return None
        meant = STATUS_WORDS.get(text.lower())
        hint = f"did you mean {quoted(meant)}?" if meant else suggest(text, known, self.problems)
        return Finding(f"no {what} is {quoted(text)}", hint or f"it is one of {', '.join(known)}")

    def _unknown_root(self, path: tuple[str, ...], scope: Scope) -> Finding:
        root = path[0]
        elsewhere = _elsewhere(root, scope)
        if elsewhere is not None:
            return elsewhere
        for group, names in (("params", self.params), ("vars", self.vars)):
            if root in names and group in scope.roots:
                return Finding(f"{quoted(root)} is not defined", f"did you mean {quoted(f'{group}.{root}')}?")
        if (root in self.main or root in self.last) and "steps" in scope.roots:
            return Finding(f"{quoted(root)} is not defined", f"did you mean {quoted(f'steps.{root}.outputs')}?")
        hint = (
            explain_root(path) or suggest(root, scope.roots, self.problems) or f"known here: {', '.join(scope.roots)}"
        )
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
            hint = suggest(path[1], self.vars, self.problems) or "declare it under `vars`"
            return Finding(f"there is no var {quoted(path[1])}", hint)
        if scope.until is not None and place >= scope.until:
            return Finding(
                f"{quoted(f'vars.{path[1]}')} is not known yet", "a var may use those above it; change their order"
            )
        return None

    def _env(self, path: tuple[str, ...], _scope: Scope) -> Finding | None:
        if len(path) == 1:
            return Finding("`env` may only be used with a constant name", "write `env.NAME`, or `env['NAME']`")
        if self._secret_of is None:  # a file can hold 80,000 of each
            self._secret_of = {source: name for name, source in reversed(self.secrets.items())}
        name = self._secret_of.get(f"env://{path[1]}")
        if name is not None:
            hint = f"write {quoted(f'secrets.{name}')}, in `env` of a step or in `run`"
            return Finding(f"{quoted(f'env.{path[1]}')} is the secret {quoted(name)}, and `env` is recorded", hint)
        self.env_names.add(path[1])
        return None

    def _secrets(self, path: tuple[str, ...], _scope: Scope) -> Finding | None:
        if len(path) == 1:
            return Finding(
                "`secrets` may only be used with a constant name", "write `secrets.NAME`, or `secrets['NAME']`"
            )
        if path[1] in self.secrets:
            return None
        hint = suggest(path[1], self.secrets, self.problems) or "declare it under `secrets`"
        return Finding(f"there is no secret {quoted(path[1])}", hint)

    def _git(self, path: tuple[str, ...], _scope: Scope) -> Finding | None:
        self.uses_git = True
        return self._field("git", path[1:], GIT_FIELDS)

    def _pipeline(self, path: tuple[str, ...], _scope: Scope) -> Finding | None:
        return self._field("pipeline", path[1:], PIPELINE_FIELDS)

    def _run(self, path: tuple[str, ...], scope: Scope) -> Finding | None:
        if path[1:2] == ("outcome",) and "outcome" not in scope.run_fields:
            return Finding("`run.outcome` is only known in `finally` and in `outputs` of the pipeline")
        return self._field("run", path[1:], scope.run_fields)

    def _field(self, owner: str, rest: tuple[str, ...], known: Collection[str]) -> Finding | None:
        if not rest or rest[0] in known:
            return None
        hint = explain_field(rest[0], known) or suggest(rest[0], known, self.problems) or f"it has {listed(known)}"
        return Finding(f"{quoted(owner)} has no {quoted(rest[0])}", hint)

    def _steps(self, path: tuple[str, ...], scope: Scope) -> Finding | None:
        if len(path) == 1:
            return Finding("`steps` may only be used with a constant id", "write `steps.ID`, or `steps['ID']`")
        name = path[1]
        if not self._is_step(name):
            return self._unknown_step(name)
        self.read_steps.add(name)
        return self._unneeded(name, scope) or self._of_step(name, path[2:])

    def _of_step(self, name: str, rest: tuple[str, ...]) -> Finding | None:
        one = self.main.get(name) or self.last[name]
        if not ({"matrix", "foreach"} & one.node.fields().keys()):
            return self._output(name, rest) or self._field(f"steps.{name}", rest, STEP_FIELDS)
        if len(rest) > 1 and rest[0] == "outputs" and not rest[1].isdecimal():
            hint = f"write `steps.{name}.outputs[0].{rest[1]}`, or `steps.{name}.cells['…'].outputs.{rest[1]}`"
            return Finding(f"{quoted(f'steps.{name}.outputs')} is a list, as {quoted(name)} runs several times", hint)
        inner = rest[2:] if rest[:1] == ("cells",) else (rest[0], *rest[2:]) if rest[1:] else ()
        return self._output(name, inner) or self._field(f"steps.{name}", rest, (*STEP_FIELDS, "cells"))

    def _output(self, name: str, rest: tuple[str, ...]) -> Finding | None:
        """Say whether a step does not give such an output: one that runs a pipeline, asks for an approval, or sleeps."""
        fields = (self.main.get(name) or self.last[name]).node.fields()
        given = APPROVAL_OUTPUTS if "prompt" in fields else () if "duration" in fields else None
        if given is not None and rest[:1] == ("outputs",) and rest[1:] and rest[1] not in given:
            what = "asks for an approval" if given else "sleeps"
            hint = f"it has {listed(given) or 'no outputs'}"
            return Finding(f"step {quoted(name)} {what}, and has no output {quoted(rest[1])}", hint)
        plan = self.runs.get(name)
        if plan is None or rest[:1] != ("outputs",) or not rest[1:] or rest[1] in plan.outputs:
            return None
        hint = suggest(rest[1], plan.outputs, self.problems) or f"it has {listed(plan.outputs) or 'no outputs'}"
        return Finding(f"{quoted(plan.file)} has no output {quoted(rest[1])}", hint)

    def _is_step(self, name: str) -> bool:
        return name in self.main or name in self.last

    def _unknown_step(self, name: str) -> Finding:
        owner = name.partition("/")[0]
        if owner in self.runs:
            hint = f"give {quoted(self.runs[owner].file)} an output, and write `steps.{owner}.outputs.NAME`"
            return Finding(f"what is inside of {quoted(owner)} is not seen from here", hint)
        return Finding(f"there is no step {quoted(name)}", suggest(name, chain(self.main, self.last), self.problems))

    def _unneeded(self, name: str, scope: Scope) -> Finding | None:
        step = scope.step
        if step is None or (scope.last and name in self.main):
            return None
        if name == step.id and scope.handles:
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
