"""What is known before a run, and what it says of conditions."""

import pytest

from dagnats.definition import load
from dagnats.definition.known import Verdict, known_values, verdict
from dagnats.definition.params import resolve
from dagnats.errors import UsageError

TEXT = """\
name: known
params: {{flag: {{type: boolean, default: false}}, n: 3}}
vars:
  constant: "{{{{ params.n + 1 }}}}"
  script: {{sh: date}}
  behind: ["{{{{ vars.script }}}}", 1]
  here: "{{{{ pipeline.name }}}} {{{{ env.PLACE }}}}"
steps:
  - {{id: one, run: a}}
  - {{id: two, run: a, if: {condition}}}
"""
YES, NO, LATER = Verdict(holds=True), Verdict(holds=False), Verdict(holds=None)


def judged(condition: str, directory: str | None = "/project") -> Verdict:
    plan = load("p.yaml", TEXT.format(condition=f'"{condition}"').encode())
    known = known_values(plan, resolve(plan.params, {}, {}, {}), {"PLACE": "there"}, directory)
    return verdict(plan.steps[1], known)


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        ("true", YES),
        ("false", NO),
        ("params.flag", NO),
        ("not params.flag", YES),
        ("vars.constant == 4", YES),
        ("vars.here == 'known there'", YES),
        ("vars.script == 'x'", LATER),
        ("vars.behind[1] == 1", LATER),
        ("vars | length > 2", LATER),
        ("params.flag and vars.script == 'x'", NO),
        ("params.n == 3 or vars.script == 'x'", YES),
        ("vars.script == 'x' and params.flag", LATER),
        ("always()", YES),
        ("success()", LATER),
        ("failure()", LATER),
        ("cancelled()", LATER),
        ("failure() and params.flag", NO),
        ("failure() or always()", YES),
        ("not always()", NO),
        ("steps.one.outputs.x == 1", LATER),
        ("steps.one.outputs.x | default('d') == 'd'", LATER),
        ("steps.one.outputs.x is defined", LATER),
        ("run.id == 'r'", LATER),
        ("pipeline.dir == '/project'", YES),
        ("pipeline.file == 'p.yaml'", YES),
        ("env.PLACE == 'there'", YES),
        ("env.NOWHERE is defined", NO),
        ("env.NOWHERE == 'x'", Verdict(holds=None, error="`env.NOWHERE` is not defined")),
        ("params.n / 0 == 1", Verdict(holds=None, error="division by zero")),
    ],
)
def test_a_condition_is_settled_exactly_where_nothing_can_change_it(condition, expected):
    assert judged(condition) == expected


def test_without_a_directory_the_place_of_the_file_is_known_later():
    assert judged("pipeline.dir == '/project'", None) == LATER
    assert judged("pipeline.file == 'p.yaml'", None) == LATER
    assert judged("pipeline | length == 3", None) == LATER
    assert judged("pipeline.name == 'known'", None) == YES


def test_a_step_without_a_condition_runs():
    plan = load("p.yaml", b"name: n\nsteps: [{run: a}]")
    assert verdict(plan.steps[0], known_values(plan, {}, {}, "/")) == YES


def test_variables_are_split_into_those_that_are_known_and_those_that_are_not():
    plan = load("p.yaml", TEXT.format(condition="true").encode())
    known = known_values(plan, {"flag": True, "n": 5}, {"PLACE": "there"}, "/project")
    assert known.vars == {"constant": 6, "here": "known there"}
    assert known.later == {"script", "behind"}
    assert known.scripts == {"script": "date"}


def test_a_variable_that_can_not_be_made_is_refused_as_the_run_would_be():
    plan = load("p.yaml", b"name: n\nvars: {v: '{{ env.MISSING }}'}\nsteps: [{run: a}]")
    with pytest.raises(UsageError, match=r"^p.yaml: vars.v: `env.MISSING` is not defined; nothing was started$"):
        known_values(plan, {}, {}, "/")


def test_an_if_that_is_asked_of_each_cell_says_which_are_skipped():
    def found(condition: str) -> tuple[bool | None, tuple[str, ...]]:
        text = f"name: x\nparams: {{n: 2}}\nsteps:\n- run: x\n  matrix: {{a: [1, 2, 3]}}\n  if: {condition}\n"
        plan = load("p.yaml", text.encode())
        one = verdict(plan.steps[0], known_values(plan, {"n": 2}, {}, None))
        return one.holds, one.skipped

    assert found("matrix.a != params.n") == (None, ("a=2",))
    assert found("matrix.a > 3") == (False, ("a=1", "a=2", "a=3"))
    assert found("matrix.a < 9") == (True, ())
    assert found("matrix.a == 1 or run.id == 'x'") == (None, ())
    assert found("matrix.a == 1 and failure()") == (None, ("a=2", "a=3"))
