"""Whatever file can be run: its rendering can be too, is its own rendering, and has the same graph and the same bounds."""

import json

from hypothesis import given, settings
from msgspec.structs import replace
from test_definition import VALID, documents

from dagnats.definition import InvalidPipelineError, load, load_document
from dagnats.definition.emit import to_yaml
from dagnats.definition.known import known_values
from dagnats.definition.params import resolve
from dagnats.definition.render import document
from dagnats.errors import UsageError


def rendered(text):
    root, plan = load_document("p.yaml", text.encode())
    given = {name: str((param.enum or ("1",))[0]) for name, param in plan.params.items() if param.required}
    return to_yaml(document(root, plan, known_values(plan, resolve(plan.params, given, {}, {}), {}, None)))


def box(container):
    """All of a container but what templates make of it."""
    if container is None:
        return None
    return container.pull, container.cpus, list(container.env), container.user is None, len(container.volumes)


def outline(plan):
    """All of a plan but what templates make of it, and where it stands."""
    steps = [
        replace(
            step, line=0, name=None, condition=None, command=None, working_dir=None, env=dict.fromkeys(step.env),
            shell=step.shell if step.run else "", status_functions=frozenset(), each_condition=False,
            container=box(step.container),
        )
        for step in (*plan.steps, *plan.finally_steps)
    ]  # fmt: skip
    names = [list(names) for names in (plan.params, plan.vars, plan.outputs, plan.env)]
    return steps, names, plan.max_parallel, plan.timeout_s, plan.fail_fast, plan.secrets, plan.dotenv, plan.name


def test_the_valid_document_is_rendered():
    assert outline(load("p.yaml", rendered(json.dumps(VALID)).encode())) == outline(
        load("p.json", json.dumps(VALID).encode())
    )


@given(documents())
@settings(max_examples=300, deadline=None)
def test_a_rendering_can_be_run_and_is_its_own(changed):
    text = json.dumps(changed, ensure_ascii=False)
    try:
        plan = load("p.yaml", text.encode())
        shown = rendered(text)
    except (InvalidPipelineError, UsageError):
        return  # what can not be run can not be rendered
    assert outline(load("p.yaml", shown.encode())) == outline(plan)
    assert rendered(shown) == shown
