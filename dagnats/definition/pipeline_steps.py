"""Steps that run a pipeline: which file that is, what it is given, and which fields of a step have no meaning for them."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from msgspec.structs import replace

from dagnats.core.pipeline import JSON, Param, Pipeline
from dagnats.definition import values
from dagnats.definition.needs import Draft
from dagnats.definition.params import accepted
from dagnats.definition.problems import Problems, listed, quoted
from dagnats.definition.scopes import Scope
from dagnats.definition.templates import TemplateCheck
from dagnats.definition.tree import Node
from dagnats.definition.waits import WAIT_KEYS, WAIT_WORDS
from dagnats.definition.words import suggest
from dagnats.errors import UsageError

if TYPE_CHECKING:
    from dagnats.definition.pipelines import Pipelines

NOTHING = Node({}, 0, 0)
INSIDE = "the steps of the pipeline have their own"
MEANINGLESS = {
    "image": INSIDE,
    "container": INSIDE,
    "services": INSIDE,
    "shell": INSIDE,
    "working_dir": INSIDE,
    "env": "give the pipeline what it needs as `params`",
    "idle_timeout": "`timeout` bounds all that the pipeline does",
    "outputs": "its outputs are those of the pipeline",
    "artifacts": INSIDE,
    "once": "write it at those steps of the pipeline that must not run again",
}
SECRETS_HINT = "the pipeline names those that it needs under its own `secrets`"
KINDS = ("run", "command", "pipeline", "image", "container", *WAIT_KEYS)
TYPES = ["shell", "container", "pipeline", *WAIT_KEYS.values()]
ELSEWHERE = "those of this pipeline stand at the top of the file, once for all steps"


class PipelineSteps:
    """The pipelines that the steps of one file run."""

    def __init__(self, pipelines: "Callable[[], Pipelines]", problems: Problems) -> None:
        self._pipelines = pipelines
        self._problems = problems
        self.plans: dict[str, Pipeline] = {}
        self.places: dict[str, Node] = {}

    def find(self, drafts: list[Draft]) -> None:
        """Read the files that steps name, so that it is known what each gives and takes."""
        for one in drafts:
            place = one.node.get("pipeline")
            if place is None:
                continue
            plan = self._pipelines().of(place, self._problems.local(place.line)[0], self._problems)
            self.places[one.id] = place
            if plan is not None:
                self.plans[one.id] = plan

    def check(self, one: Draft, fields: Mapping[str, Node], templates: TemplateCheck, scope: Scope) -> None:
        """Check what a step says of the pipeline that it runs, or that it says nothing of one."""
        self._check_kind(one)
        own = one.node
        if "pipeline" not in own.fields():
            kind = own.get("type")
            if "params" in own.fields() and (kind is None or kind.value != "pipeline"):
                message = f"`params` has no meaning for {scope.place}, which runs no pipeline"
                self._problems.add(own.keys["params"], message, ELSEWHERE)
            return
        for key, hint in MEANINGLESS.items():
            if key in own.fields():
                self._problems.add(own.keys[key], f"`{key}` has no meaning for a step that runs a pipeline", hint)
        given = (own.get("params") or NOTHING).fields()
        inside = replace(scope, secrets_hint=SECRETS_HINT)
        for node in given.values():
            templates.value(node, inside)
        plan = self.plans.get(one.id)
        if plan is not None:
            self._check_params(one, plan, given)
            self._check_mutex(one, plan, fields)

    def _check_kind(self, one: Draft) -> None:
        kind = one.node.get("type")
        if kind is None or kind.value not in TYPES or one.node.fields().keys().isdisjoint(KINDS):
            return
        what, meant = _kind(one.node)
        if kind.value == meant or {kind.value, meant} <= {"shell", "container"}:
            return  # which of these two it is, the container says
        message = f"step {quoted(one.id)} is of type {quoted(kind.value)}, and it {what}"
        self._problems.add(kind, message, f"write `type: {meant}`, or nothing")

    def _check_params(self, one: Draft, plan: Pipeline, given: Mapping[str, Node]) -> None:
        place = self.places[one.id]
        keys = (one.node.get("params") or NOTHING).keys
        for name, node in given.items():
            if name not in plan.params:
                hint = suggest(name, plan.params, self._problems) or f"it has {listed(plan.params) or 'no params'}"
                self._problems.add(keys[name], f"{quoted(plan.file)} has no param {quoted(name)}", hint)
            else:
                self._check_value(name, plan, node)
        said = one.node.get("params")
        if self._pipelines().is_wrong(plan) or (said is not None and not isinstance(said.value, dict)):
            return  # what is missing here may only have been misread
        for name, param in plan.params.items():
            if param.required and name not in given:
                message = f"{quoted(plan.file)} requires the param {quoted(name)}"
                self._problems.add(place, message, f"write `params: {{{name}: …}}`")

    def _check_value(self, name: str, plan: Pipeline, node: Node) -> None:
        param = plan.params[name]
        if _is_made(node):
            return  # its value is known when the step starts
        try:
            accepted(name, param, as_given(node, param))
        except UsageError as error:
            self._problems.add(node, str(error), f"{quoted(plan.file)} declares it so")

    def _check_mutex(self, one: Draft, plan: Pipeline, fields: Mapping[str, Node]) -> None:
        mutex = fields.get("mutex")
        if mutex is not None and self._pipelines().waits_for_mutexes(plan):
            message = f"step {quoted(one.id)} holds the mutex {quoted(mutex.value)} while steps of {quoted(plan.file)} wait for theirs"
            self._problems.add(
                mutex,
                message,
                "give a mutex to the steps of that pipeline only: two that wait for each other would wait for ever",
            )

    def params(self, one: Draft) -> dict[str, JSON]:
        """What the pipeline is given, by name."""
        plan = self.plans.get(one.id)
        nodes = (one.node.get("params") or NOTHING).fields()
        return {
            name: as_given(node, plan.params.get(name)) if plan is not None else node.plain()
            for name, node in nodes.items()
        }


def _kind(node: Node) -> tuple[str, str]:
    """What a step does, in words, and the type that says so."""
    fields = node.fields()
    waits = next((key for key in WAIT_KEYS if key in fields), None)
    if waits is not None:
        return WAIT_WORDS[waits], WAIT_KEYS[waits]
    if "pipeline" in fields:
        return "runs a pipeline", "pipeline"
    boxed = not {"image", "container"}.isdisjoint(fields)
    return ("runs in a container", "container") if boxed else ("runs a script or a program", "shell")


def as_given(node: Node, param: Param | None) -> JSON:
    """A value as the pipeline gets it: what is meant as text is the text that is written, `3.10` is not 3.1."""
    is_text = param is not None and param.type == "string" and isinstance(node.value, int | float)
    return values.as_text(node) if is_text else node.plain()


def _is_made(node: Node) -> bool:
    """Whether a template is anywhere in a value."""
    pending = [node]
    for part in pending:
        if values.holds_template(part):
            return True
        pending += [*part.items(), *part.fields().values()]
    return False
