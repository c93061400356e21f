"""What can be said before a run: the values that are known by then, and which conditions they settle."""

from collections.abc import Callable, Iterable, Mapping
from itertools import product
from typing import Any

from msgspec import Struct, field
from msgspec.structs import replace

from dagnats.core.decide import EvaluationError
from dagnats.core.fanout import cells, labels
from dagnats.core.pipeline import JSON, FanOut, Pipeline, Step
from dagnats.core.text import has_template
from dagnats.errors import UsageError

MAX_CELLS = 500  # an `if` is evaluated for each
_PLACE = ("name", "file", "dir")


class LaterError(Exception):
    """A template asks for something that is only known when the run has started."""


class _Partly(dict[str, JSON]):
    """Values by name, of which some are only known later: to ask for one of those is a `LaterError`."""

    def __init__(self, values: Mapping[str, JSON], is_later: Callable[[object], bool]) -> None:
        super().__init__(values)
        self._is_later = is_later

    def __contains__(self, name: object) -> bool:
        return super().__contains__(name) or self._is_later(name)

    def __getitem__(self, name: str) -> JSON:
        if not super().__contains__(name):
            raise LaterError(name)
        return super().__getitem__(name)


class Known(Struct, frozen=True):
    """The values that a run of this plan would begin with; `scripts` are the variables that a shell script gives, and `later` all that depend on one."""

    params: Mapping[str, JSON]
    vars: Mapping[str, JSON]
    env: Mapping[str, str]
    pipeline: Mapping[str, JSON]
    scripts: Mapping[str, str]
    later: frozenset[str]
    own: Mapping[str, JSON] = field(default_factory=dict)  # of an instance

    def value(self, text: str) -> JSON:
        """What a text with templates becomes. Raises LaterError where that is not known yet, and EvaluationError."""
        from dagnats import template  # noqa: PLC0415 - measured: 60 ms that a pipeline without templates does not pay

        try:
            return template.render(text, self._context(template.check(text)))
        except template.TemplateError as error:
            raise EvaluationError(str(error)) from error

    def text(self, text: str) -> str:
        """The same, as text."""
        from dagnats import template  # noqa: PLC0415 - the same

        try:
            return template.render_text(text, self._context(template.check(text)))
        except template.TemplateError as error:
            raise EvaluationError(str(error)) from error

    def settled(self, value: JSON) -> JSON:
        """What a value with templates anywhere in it becomes."""
        match value:
            case str() if has_template(value):
                return self.value(value)
            case list():
                return [self.settled(item) for item in value]
            case dict():
                return {key: self.settled(item) for key, item in value.items()}
            case _:
                return value

    def holds(self, expression: str, functions: Mapping[str, Callable[[], bool]]) -> bool:
        """Whether an expression is true, where the status functions answer so."""
        from dagnats import template  # noqa: PLC0415 - the same

        try:
            context = self._context(template.check(expression, expression=True))
            return bool(template.evaluate(expression, context, functions))
        except template.TemplateError as error:
            raise EvaluationError(str(error)) from error

    def _context(self, references: Iterable[Any]) -> Mapping[str, JSON]:
        if any(self._asks_for_all(reference.path) for reference in references):
            raise LaterError
        values: dict[str, JSON] = {
            "params": self.params,
            "vars": _Partly(self.vars, self.later.__contains__),
            "env": self.env,
            "pipeline": self.pipeline,
            **self.own,
        }
        # the check of the file has seen every name: what is not here yet will be there in the run
        return _Partly(values, lambda _: True)

    def _asks_for_all(self, path: tuple[str, ...]) -> bool:
        """Whether a whole map is used, whatever its names, and not all of it is known."""
        return (path == ("vars",) and bool(self.later)) or (path == ("pipeline",) and len(self.pipeline) < len(_PLACE))


def known_values(
    plan: Pipeline, params: Mapping[str, JSON], environ: Mapping[str, str], directory: str | None
) -> Known:
    """Work out what a run would begin with, without starting anything. Raises UsageError where that run would be refused.

    Without a directory, what says where the file is counts as known later.
    """
    place: dict[str, JSON] = {"file": plan.file, "dir": directory} if directory is not None else {}
    known = Known(
        params=params,
        vars={},
        env={name: environ[name] for name in plan.env_names if name in environ},
        pipeline=_Partly({"name": plan.name, **place}, _PLACE.__contains__),
        scripts={name: value["sh"] for name, value in plan.vars.items() if _is_script(value)},
        later=frozenset(),
    )
    found: dict[str, JSON] = {}
    later: set[str] = set()
    for name, value in plan.vars.items():
        now = Known(known.params, found, known.env, known.pipeline, known.scripts, frozenset(later))
        try:
            if name in known.scripts:
                later.add(name)
            else:
                found[name] = now.settled(value)
        except LaterError:
            later.add(name)
        except EvaluationError as error:
            raise UsageError(f"{plan.file}: vars.{name}: {error}; nothing was started") from error
    return Known(known.params, found, known.env, known.pipeline, known.scripts, frozenset(later))


class Verdict(Struct, frozen=True):
    """What is known of an `if` before the run: true, false, or None for later; `error` is why it can not be evaluated.

    `skipped` names the instances for which it is false, where that is asked of each.
    """

    holds: bool | None
    error: str = ""
    skipped: tuple[str, ...] = ()


def verdict(step: Step, known: Known) -> Verdict:
    """Say what the step's `if` gives, where its result is the same whatever happens in the run."""
    if step.condition is None:
        return Verdict(holds=True)
    if step.each_condition and step.fan_out is not None and step.fan_out.is_matrix:
        return _of_cells(step.condition, step, step.fan_out, known)
    return _of_one(step.condition, step, known)


def _of_cells(condition: str, step: Step, fan_out: FanOut, known: Known) -> Verdict:
    found = cells(fan_out)
    if len(found) > MAX_CELLS:
        return Verdict(holds=None)
    each = [_of_one(condition, step, replace(known, own={"matrix": cell})) for cell in found]
    error = next((one.error for one in each if one.error), "")
    skipped = tuple(name for name, one in zip(labels(fan_out, found), each, strict=True) if one.holds is False)
    same = {one.holds for one in each}
    return Verdict(holds=same.pop() if len(same) == 1 else None, error=error, skipped=skipped)


def _of_one(condition: str, step: Step, known: Known) -> Verdict:
    names = sorted(step.status_functions)
    results = set()
    try:
        for answers in product((True, False), repeat=len(names)):
            chosen = {name: answer or name == "always" for name, answer in zip(names, answers, strict=True)}
            functions = {name: (lambda answer=answer: answer) for name, answer in chosen.items()}
            results.add(known.holds(condition, functions))
    except LaterError:
        return Verdict(holds=None)
    except EvaluationError as error:
        return Verdict(holds=None, error=str(error))
    return Verdict(holds=results.pop() if len(results) == 1 else None)


def _is_script(value: JSON) -> bool:
    return isinstance(value, dict) and set(value) == {"sh"}
