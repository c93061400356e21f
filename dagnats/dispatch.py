"""From a state to what a step needs: contexts for its templates, the truth of its `if`, and the task that asks for an attempt."""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from msgspec.structs import replace

from dagnats.bus.tasks import Task
from dagnats.core.codec import service_record
from dagnats.core.conditions import status_functions
from dagnats.core.decide import EvaluationError
from dagnats.core.pipeline import JSON, Container, Service, Step, Wait
from dagnats.core.planstate import PlanState
from dagnats.core.restores import restores
from dagnats.core.state import TERMINAL, RunState, Status, StepState
from dagnats.core.text import encode_json, has_template
from dagnats.core.waits import PROMPT_MAX, SIGNAL_RULE, is_signal
from dagnats.definition.params import accepted_of_step
from dagnats.errors import UsageError
from dagnats.rendering import argv_in, artifacts_in, container_in, directory, guarded, refuse_nul, script_in, text_in

SHOWN = 60
RECORDED = 300  # characters of a value that a condition mentions
MISSING = object()
_NAME = re.compile(r"[A-Za-z_]\w*", re.ASCII)


class Dispatch:
    """Evaluates and renders for one run. Everything it knows is in the state, so that asking again gives the same."""

    def __init__(
        self, environ: Mapping[str, str], extra_env: Mapping[str, str], *, allow_privileged: bool = False
    ) -> None:
        self._allow_privileged = allow_privileged
        self._extra_env = {"CI": environ.get("CI", "true"), **extra_env}
        self._root_env: dict[str, dict[str, str]] = {}
        self._rendered_services: dict[str, Sequence[Mapping[str, JSON]]] = {}

    def condition(self, state: RunState, step: Step) -> bool:
        """Whether the step's `if` is true. Raises EvaluationError."""
        expression = (step.condition or "").strip()
        functions = status_functions(state, step)
        name = expression.removesuffix("()")
        if name in functions and expression.endswith("()"):
            return functions[name]()
        context = self._context(state, step, [expression], expression=True)
        return bool(guarded("if", lambda template: template.evaluate(expression, context, functions)))

    def values(self, state: RunState, step: Step) -> Mapping[str, JSON]:
        """What the step's `if` mentions, by its name in it; what is long is left out, and so is what has no value."""
        expression = (step.condition or "").strip()
        functions = status_functions(state, step)
        found: dict[str, JSON] = {f"{name}()": functions[name]() for name in sorted(step.status_functions)}
        if expression in found:
            return found
        context = self._context(state, step, [expression], expression=True)
        for reference in _references(expression, expression=True):
            value = _at(context, reference.path)
            if value is not MISSING and len(encode_json(value)) <= RECORDED:
                found[_written(reference.path)] = value
        return found

    def items(self, state: RunState, step: Step) -> Sequence[JSON]:
        """The list over which the step fans out. Raises EvaluationError, also when it is no list."""
        given = step.fan_out.items if step.fan_out is not None else None
        if not isinstance(given, str):
            within = state.steps[step.id].within
            return [self._value(state, within, item, "foreach", step) for item in given or ()]
        context = self._context(state, step, [given], expression=True)
        found = guarded("foreach", lambda template: template.evaluate(given, context, {}))
        if not isinstance(found, list):
            raise EvaluationError(f"foreach: expected a list, got {_shown(found)}")
        return found

    def wait(self, state: RunState, step: Step) -> Wait:
        """What the step waits for. Raises EvaluationError."""
        wait = step.wait
        if wait is None:
            raise EvaluationError("it waits for nothing")
        texts = [wait.signal, wait.prompt]
        context = self._context(state, step, texts) if any(map(has_template, texts)) else {}
        signal, prompt = text_in(wait.signal, context, "signal"), text_in(wait.prompt, context, "prompt")
        if wait.kind == "signal" and not is_signal(signal):
            raise EvaluationError(f"signal: {_shown(signal)} is no name of a signal: it has {SIGNAL_RULE}")
        if len(prompt) > PROMPT_MAX:
            raise EvaluationError(f"prompt: it has {len(prompt):,} characters; at most {PROMPT_MAX:,} are allowed")
        return replace(wait, signal=signal, prompt=prompt)

    def outputs(self, state: RunState, plan: PlanState) -> tuple[Mapping[str, JSON], Mapping[str, str]]:
        """The outputs of a plan that is over; one that can not be rendered is null and has a note why."""
        outputs: dict[str, JSON] = {}
        notes: dict[str, str] = {}
        for name, value in plan.plan.outputs.items():
            try:
                outputs[name] = self._value(state, plan, value, f"outputs.{name}")
            except EvaluationError as error:
                outputs[name], notes[name] = None, str(error)
        return outputs, notes

    def task(self, state: RunState, step: Step, attempt: int, not_before: float | None) -> Task:
        """Give the task for an attempt. Raises EvaluationError where a template fails."""
        if step.pipeline is not None:
            return self._opening(state, step, step.pipeline, attempt, not_before)
        box = step.container
        given = {**step.env, **box.env} if box is not None else step.env
        templates = [text for text in _texts(step, given) if has_template(text)]
        within = state.steps[step.id].within
        context = self._context(state, step, templates) if templates else {}
        secret_env = {name: text for name, text in given.items() if _holds_secret(within, text)}
        secret_script = _holds_secret(within, step.run or "")
        secret_credentials = _secret_credentials(within, box)
        plain = {name: text for name, text in given.items() if name not in secret_env}
        sealed = [*secret_env.values(), *secret_credentials.values(), *([step.run or ""] if secret_script else [])]
        env = {
            **self._root(state, within),
            **{name: text_in(text, context, f"env.{name}") for name, text in plain.items()},
        }
        script, argv = step.run, None
        if script is not None and not secret_script and has_template(script):
            script, values = script_in(script, context, step.shell)
            env |= values
        if step.command is not None:
            # without a word, a container runs what its image says
            argv = argv_in(step.command, context) if step.command or box is None else []
        env |= {
            "DAGNATS_RUN_ID": state.run,
            "DAGNATS_STEP": step.id,
            "DAGNATS_ATTEMPT": str(attempt),
            "DAGNATS_WORKSPACE": state.started.workspace,
            **self._extra_env,
        }
        refuse_nul(env)
        return Task(
            run=state.run,
            step=step.id,
            attempt=attempt,
            kind="shell" if box is None else "container",
            cwd=directory(state.started.workspace, text_in(step.working_dir or "", context, "working_dir")),
            argv=argv,
            shell=step.shell,
            script=script,
            env=env,
            timeout_s=step.timeout_s,
            idle_timeout_s=step.idle_timeout_s,
            outputs={name: {"type": output.type, "required": output.required} for name, output in step.outputs.items()},
            not_before=not_before,
            secret_env=secret_env,
            secret_script=secret_script,
            secret_credentials=secret_credentials,
            context=_mentioned_values(context, sealed),
            pipeline=within.plan.file if within.owner is not None else "",
            container=self._container(state, box, context, secret_credentials) if box is not None else None,
            services=self._services(state, within) if step.services else (),
            uses=step.services,
            artifacts=artifacts_in(step.artifacts, context, step.id) if step.artifacts is not None else None,
            restores=_restores(state, step.id),
        )

    def _services(self, state: RunState, within: PlanState) -> Sequence[Mapping[str, JSON]]:
        """Give the services of a plan that any of its steps waits for; each is rendered once."""
        if within.prefix not in self._rendered_services:
            context = self._within(state, within, None, [])
            used = {name for step in (*within.plan.steps, *within.plan.finally_steps) for name in step.services}
            self._rendered_services[within.prefix] = [
                self._service(state, within, name, service, context)
                for name, service in within.plan.services.items()
                if name in used
            ]
        return self._rendered_services[within.prefix]

    def _service(
        self,
        state: RunState,
        within: PlanState,
        name: str,
        service: Service,
        context: Mapping[str, JSON],
    ) -> Mapping[str, JSON]:
        box = service.container
        secret_env = {key: text for key, text in box.env.items() if _holds_secret(within, text)}
        secret_credentials = _secret_credentials(within, box)
        plain = {key: text for key, text in box.env.items() if key not in secret_env}
        command = tuple(argv_in(service.command, context)) if service.command else ()
        container = self._container(state, box, context, secret_credentials)
        return {
            "name": name,
            "scope": within.prefix,
            "service": {**service_record(replace(service, command=command)), "container": container},
            "env": {key: text_in(text, context, f"services.{name}.env.{key}") for key, text in plain.items()},
            "secret_env": secret_env,
            "secret_credentials": secret_credentials,
            "context": _mentioned_values(context, [*secret_env.values(), *secret_credentials.values()]),
        }

    def _container(
        self, state: RunState, box: Container, context: Mapping[str, JSON], sealed: Mapping[str, str]
    ) -> Mapping[str, JSON]:
        workspace, allowed = state.started.workspace, self._allow_privileged
        return container_in(box, context, workspace, sealed=sealed, allow_privileged=allowed)

    def _opening(self, state: RunState, step: Step, file: str, attempt: int, not_before: float | None) -> Task:
        """Give the task that opens the pipeline of a step."""
        started, plan = state.started, state.plan.pipelines[file]
        within = state.steps[step.id].within
        params = {name: param.default for name, param in plan.params.items()}
        for name, value in step.params.items():
            given = self._value(state, within, value, f"params.{name}", step)
            try:
                params[name] = accepted_of_step(name, plan.params[name], given)
            except UsageError as error:
                raise EvaluationError(f"{file}: {error}") from error
        place = pipeline_context(plan.name, plan.file, started.workspace)
        return Task(
            run=state.run,
            step=step.id,
            attempt=attempt,
            kind="pipeline",
            cwd=started.workspace,
            timeout_s=step.timeout_s,
            not_before=not_before,
            context={"params": params, "env": started.env, "git": started.git, "pipeline": place} if plan.vars else {},
            pipeline=file,
            params=params,
            vars=plan.vars,
            restores=_restores(state, step.id),
        )

    def _root(self, state: RunState, within: PlanState) -> Mapping[str, str]:
        """Render the `env` of a pipeline, once: no step can change what it means."""
        if within.prefix not in self._root_env:
            context = self._within(state, within, None, [])
            env = within.plan.env.items()
            self._root_env[within.prefix] = {name: text_in(text, context, f"env.{name}") for name, text in env}
        return self._root_env[within.prefix]

    def _value(self, state: RunState, within: PlanState, value: JSON, where: str, step: Step | None = None) -> JSON:
        match value:
            case str() if has_template(value):
                context = self._within(state, within, step, [value])
                return guarded(where, lambda template: template.render(value, context))
            case list() | tuple():
                return [self._value(state, within, item, where, step) for item in value]
            case dict():
                return {key: self._value(state, within, item, where, step) for key, item in value.items()}
            case _:
                return value

    def _context(
        self, state: RunState, step: Step, texts: Iterable[str], *, expression: bool = False
    ) -> dict[str, JSON]:
        return self._within(state, state.steps[step.id].within, step, texts, expression=expression)

    def _within(
        self, state: RunState, within: PlanState, step: Step | None, texts: Iterable[str], *, expression: bool = False
    ) -> dict[str, JSON]:
        """What the templates of a pipeline, or of one of its steps, see; `steps` has those that the texts mention, by the ids of its file."""
        started = state.started
        run: dict[str, JSON] = {"id": state.run}
        own: dict[str, JSON] = {}
        if step is not None:
            run["attempt"] = max(1, state.steps[step.id].attempt)
            own = _own_context(state, state.steps[step.id])
        if within.in_finally:
            run["outcome"] = str(within.outcome)
        return {
            **own,
            "params": within.params,
            "vars": within.vars,
            "env": started.env,
            "git": started.git,
            "pipeline": pipeline_context(within.plan.name, within.plan.file, started.workspace),
            "run": run,
            "steps": {
                id_: _step_context(state, within.prefix + id_) for id_ in _mentioned(state, within, texts, expression)
            },
        }


def _texts(step: Step, env: Mapping[str, str]) -> list[str]:
    """Give all of a step that may hold templates, with its environment."""
    texts = [*env.values(), *(step.command or ()), step.run or "", step.working_dir or ""]
    texts += step.container.texts() if step.container is not None else ()
    texts += (*step.artifacts.paths, step.artifacts.name or "") if step.artifacts is not None else ()
    return texts


def pipeline_context(name: str, file: str, workspace: str) -> dict[str, JSON]:
    """Give what templates see as `pipeline`."""
    return {"name": name, "file": file, "dir": workspace}


def _mentioned(state: RunState, within: PlanState, texts: Iterable[str], expression: bool) -> Iterable[str]:
    """Name the steps that the texts mention: a context of 10,000 steps is not built for a step that reads one."""
    found: dict[str, None] = {}
    for text in texts:
        if "steps" not in text:
            continue
        for reference in _references(text, expression):
            match reference.path:
                case ("steps", id_, *_) if within.prefix + id_ in state.steps or id_ in within.plan.left_out:
                    found[id_] = None
    return found


def _holds_secret(within: PlanState, text: str) -> bool:
    """Whether only the worker, which has the secrets, can render a text."""
    if not within.plan.secrets or "secrets" not in text or not has_template(text):
        return False
    return any(reference.path[0] == "secrets" for reference in _references(text, expression=False))


def _secret_credentials(within: PlanState, box: Container | None) -> dict[str, str]:
    if box is None or box.credentials is None:
        return {}
    given = {"username": box.credentials.username, "password": box.credentials.password}
    return {name: text for name, text in given.items() if _holds_secret(within, text)}


def _mentioned_values(context: Mapping[str, JSON], texts: Iterable[str]) -> dict[str, JSON]:
    """Give what texts mention of a context, and no more: it travels in a message."""
    found: dict[str, JSON] = {}
    for reference in (reference for text in texts for reference in _references(text, expression=False)):
        root, *keys = reference.path
        whole = context.get(root)
        if not keys or not isinstance(whole, Mapping):
            found |= {root: whole} if root in context else {}
        elif keys[0] in whole and found.get(root) is not whole:
            found[root] = {**found.get(root, {}), keys[0]: whole[keys[0]]}
    return found


def _references(text: str, expression: bool) -> Iterable[Any]:
    references: Iterable[Any] = guarded("template", lambda template: template.check(text, expression=expression))
    return references


def _at(value: JSON, path: Sequence[str]) -> JSON:
    """Give what is found there, or MISSING."""
    for key in path:
        if isinstance(value, Mapping) and key in value:
            value = value[key]
        elif isinstance(value, list) and key.isdecimal() and int(key) < len(value):
            value = value[int(key)]
        else:
            return MISSING
    return value


def _written(path: Sequence[str]) -> str:
    """Write a path as templates do."""
    root, *keys = path
    return root + "".join(
        f"[{key}]" if key.isdecimal() else f".{key}" if _NAME.fullmatch(key) else f"[{key!r}]" for key in keys
    )


def _step_context(state: RunState, id_: str) -> dict[str, JSON]:
    if id_ not in state.steps:  # left out by the selection: to those that ask it is skipped
        return {"outputs": {}, "status": str(Status.SKIPPED), "exit_code": None}
    step = state.steps[id_]
    ended = step.status in TERMINAL
    context: dict[str, JSON] = {
        "outputs": dict(step.outputs),
        "status": str(step.status),
        "exit_code": step.exit_code if ended else None,
    }
    if step.expands:
        each = step.instances.ids if step.instances is not None else ()
        cells = {state.steps[one].label: _step_context(state, one) for one in each}
        context |= {"outputs": [cell["outputs"] for cell in cells.values()], "cells": cells}
    return context


def _own_context(state: RunState, own: StepState) -> dict[str, JSON]:
    """What only this step sees: the values of its instance, and the failure that it handles."""
    context: dict[str, JSON] = {}
    if own.parent is not None and (fan_out := state.steps[own.parent].step.fan_out) is not None:
        context["matrix" if fan_out.is_matrix else fan_out.name] = own.value
    if own.step.handles is not None and (failure := state.steps[own.step.handles].failure) is not None:
        name = failure.step.removeprefix(own.within.prefix)
        context["failed"] = {"step": name, "error": failure.message, "exit_code": failure.exit_code}
    return context


def _restores(state: RunState, id_: str) -> list[Mapping[str, JSON]]:
    return [
        {"step": step, "name": name, "object": one.object, "bytes": one.bytes, "files": one.files}
        for step, name, one in restores(state, id_)
    ]


def _shown(value: JSON) -> str:
    text = encode_json(value)
    return text if len(text) <= SHOWN else text[:SHOWN] + "…"
