"""A rendered file gives the same plan: the same graph, and for each step the same task for a worker."""

import os
import re
from pathlib import Path

import pytest
from msgspec.structs import asdict, replace

from dagnats.core.decide import EvaluationError
from dagnats.core.events import RunStarted
from dagnats.core.state import RunState
from dagnats.definition import InvalidPipelineError, load, load_document
from dagnats.definition.emit import to_yaml
from dagnats.definition.known import known_values, verdict
from dagnats.definition.params import parse_assignments, resolve
from dagnats.definition.render import document
from dagnats.dispatch import Dispatch

ROOT = Path(__file__).parents[3]
GIVEN = {"tag": "v1.0"}  # values of required params that not every text can be
SCRIPTED = "what a script prints"  # in place of the vars that are only known when a run starts
README = re.search(r"## A longer pipeline\n+```yaml\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)[1]


def is_valid(file: Path) -> bool:
    try:
        load("pipeline.yaml", file.read_bytes())
    except InvalidPipelineError:
        return False
    return True


FILES = [
    file
    for file in sorted([*ROOT.glob("pipelines/*.yaml"), *ROOT.glob("tests/scenarios/*/pipeline.*")])
    if is_valid(file)
]


def rendered(text: str, *assignments: str) -> str:
    root, plan = load_document("pipeline.yaml", text.encode())
    params = resolve(plan.params, parse_assignments(assignments), {}, os.environ)
    return to_yaml(document(root, plan, known_values(plan, params, os.environ, None)))


def began(text: str, *assignments: str) -> RunState:
    """The state of a run that has begun, with every variable settled."""
    plan = load("pipeline.yaml", text.encode())
    params = resolve(plan.params, parse_assignments(assignments), {}, os.environ)
    constant = replace(plan, vars={name: SCRIPTED if is_script(value) else value for name, value in plan.vars.items()})
    known = known_values(constant, params, os.environ, str(ROOT))
    values = {"params": params, "vars": known.vars, "env": known.env}
    return RunState(RunStarted(seq=1, at=0, run="r", plan=plan, max_parallel=1, workspace=str(ROOT), **values))


def is_script(value):
    return isinstance(value, dict) and set(value) == {"sh"}


def meaning(state: RunState):
    """What a run would do for each step, as far as that is known when it begins."""
    dispatch = Dispatch({}, {}, allow_privileged=True)
    for step in state.steps.values():
        shape = replace(
            step.step,
            line=0, condition=None, name=None, run=None, command=None, env={}, working_dir=None, container=None, artifacts=None, wait=None,
            shell=step.step.shell if step.step.run else "",
        )  # fmt: skip
        try:
            task = asdict(dispatch.task(state, step.step, 1, None)) | {"shell": shape.shell}
        except EvaluationError as error:
            task = str(error)
        try:
            holds = step.step.condition is None or dispatch.condition(state, step.step)
        except EvaluationError as error:
            holds = str(error)
        yield shape, task, holds


@pytest.mark.parametrize("file", FILES, ids=lambda file: f"{file.parent.name}/{file.name}")
def test_a_file_and_its_rendering_mean_the_same(file):
    text = file.read_text()
    plan = load("pipeline.yaml", text.encode())
    assignments = [f"{name}={GIVEN.get(name, 1)}" for name, param in plan.params.items() if param.required]
    other = rendered(text, *assignments)
    one, two = began(text, *assignments), began(other)
    assert list(meaning(two)) == list(meaning(one))
    assert two.started.params == one.started.params
    assert two.started.vars == one.started.vars
    assert rendered(other) == other
    for field in ("name", "description", "max_parallel", "timeout_s", "fail_fast"):
        assert getattr(two.plan, field) == getattr(one.plan, field)


def test_there_are_files_to_compare():
    assert len(FILES) >= 40


VALUES = [
    "",
    "3.12",
    "3.10",
    "$(id)",
    "{{ params.b }}",
    "{% raw %}",
    'it\'s "so"',
    "a: b #c",
    "null",
    "true",
    "- x",
    "x\ny\n",
    "é",
]


@pytest.mark.parametrize("value", VALUES)
def test_any_text_from_outside_stays_what_it_is(value):
    text = """\
name: any
params: {a: {type: string, required: true}, b: {type: string, default: other}}
vars: {v: "<{{ params.a }}>", w: ["{{ params.a }}", {k: "{{ vars.v }}"}]}
env: {ROOT: "{{ params.a }}{{ vars.v }}"}
steps:
  - {run: 'echo "{{ params.a }}" "{{ vars.w[1].k }}"', env: {E: "{{ params.a }}"}, name: "{{ params.a }}"}
  - {command: [echo, "{{ params.a }}", "{{ vars.v }}"], if: "params.a == params.b"}
  - {run: "true", working_dir: "d{{ params.a }}", if: "params.a != params.b and success()"}
"""
    other = rendered(text, f"a={value}")
    if "{" in value:  # it can be no default: it has to be given again
        one, two = began(text, f"a={value}"), began(other, f"a={value}")
    else:
        one, two = began(text, f"a={value}"), began(other)
    assert list(meaning(two)) == list(meaning(one))
    assert two.started.vars == one.started.vars


def test_what_is_known_stands_in_its_place_and_the_rest_stays():
    shown = rendered(README, "deploy=true")
    assert "defaults" not in shown
    assert shown.count("timeout: 10m") == 7
    assert "default: true" in shown
    assert "sh: uname -s" in shown
    assert './build.sh "{{ steps.version.outputs.version }}" "{{ vars.kernel }}"' in shown
    assert "if: true" in shown
    assert "if: failure()" in shown
    assert "needs: [lint, test, version]" in shown


def test_a_condition_with_a_status_function_stays(monkeypatch):
    monkeypatch.setenv("CHANNEL", "beta")
    text = (
        "name: n\nsteps:\n- {run: a, if: env.CHANNEL == 'beta' and always()}\n- {run: a, if: env.CHANNEL == 'beta'}\n"
    )
    shown = rendered(text)
    assert "if: env.CHANNEL == 'beta' and always()" in shown
    assert "if: true" in shown
    plan = load("p", text.encode())
    known = known_values(plan, {}, {"CHANNEL": "x"}, "/")
    assert [verdict(step, known).holds for step in plan.steps] == [False, False]


def test_where_the_file_is_stays_open():
    text = "name: n\nenv: {A: '{{ pipeline.dir }}', B: '{{ pipeline.name }}'}\nsteps: [{run: a}]\n"
    shown = rendered(text)
    assert 'A: "{{ pipeline.dir }}"' in shown
    assert "B: n" in shown


def test_what_is_included_stands_in_the_rendering():
    folder = ROOT / "tests" / "scenarios" / "81_include"
    file = str(folder / "pipeline.yaml")
    root, plan = load_document(file)
    shown = document(root, plan, known_values(plan, resolve(plan.params, {}, {}, os.environ), os.environ, None))
    assert "include" not in shown
    again = load("elsewhere.yaml", to_yaml(shown).encode())
    assert [(step.id, step.needs, step.run) for step in again.steps] == [(s.id, s.needs, s.run) for s in plan.steps]
    assert list(again.vars) == list(plan.vars)
