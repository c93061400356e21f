"""A part of a plan: which steps stay, what becomes of needs on those that do not, and what is refused."""

import pytest

from dagnats.core.codec import plan_from, plan_record
from dagnats.core.graph import graph_of
from dagnats.core.pipeline import Pipeline, Step
from dagnats.definition import load
from dagnats.definition.select import Selection, select
from dagnats.errors import UsageError


def plan(last: str = "notify", **needs: str) -> Pipeline:
    steps = tuple(Step(id=id_, needs=tuple(listed.split()), run="true", line=9) for id_, listed in needs.items())
    return Pipeline("p", "p.yaml", steps, tuple(Step(id=id_, run="true") for id_ in last.split()))


CHAIN = plan(a="", b="a", c="b", side="a", d="c side", lone="")


def left(selected: Pipeline) -> dict[str, str]:
    return {step.id: " ".join(step.needs) for step in (*selected.steps, *selected.finally_steps)}


@pytest.mark.parametrize(
    ("selection", "expected"),
    [
        (Selection(only=("b",)), {"b": ""}),
        (Selection(only=("a", "d")), {"a": "", "d": "a"}),
        (Selection(only=("a", "c", "side", "notify")), {"a": "", "c": "a", "side": "a", "notify": ""}),
        (Selection(start=("c",)), {"c": "", "d": "c", "notify": ""}),
        (Selection(start=("c", "lone")), {"c": "", "d": "c", "lone": "", "notify": ""}),
        (Selection(start=("notify",)), {"notify": ""}),
        (Selection(until=("c",)), {"a": "", "b": "a", "c": "b", "notify": ""}),
        (Selection(until=("c", "side")), {"a": "", "b": "a", "c": "b", "side": "a", "notify": ""}),
        (Selection(skip=("b", "lone")), {"a": "", "c": "a", "side": "a", "d": "c side", "notify": ""}),
        (Selection(skip=("b", "c")), {"a": "", "side": "a", "d": "a side", "lone": "", "notify": ""}),
        (Selection(skip=("notify",)), {"a": "", "b": "a", "c": "b", "side": "a", "d": "c side", "lone": ""}),
        (Selection(start=("b",), until=("c",)), {"b": "", "c": "b", "notify": ""}),
        (Selection(only=("b", "c"), skip=("c",)), {"b": ""}),
        (Selection(start=("b",), skip=("c",)), {"b": "", "d": "b", "notify": ""}),
    ],
    ids=str,
)  # fmt: skip
def test_what_stays_and_what_it_needs(selection, expected):
    selected = select(CHAIN, selection)
    assert left(selected) == expected
    assert selected.left_out == tuple(id_ for id_ in left(CHAIN) if id_ not in expected)
    assert selected.selection == selection.flags()
    graph_of(selected.steps)  # all needs are there


def test_until_a_step_of_finally_means_all_of_the_steps_and_what_it_needs():
    whole = plan("one two", a="")
    assert left(select(whole, Selection(until=("one",)))) == {"a": "", "one": ""}


def test_nothing_selected_is_the_plan_itself():
    assert select(CHAIN, Selection()) is CHAIN


def test_a_plan_with_a_selection_is_read_back_from_the_journal():
    selected = select(CHAIN, Selection(start=("b",), skip=("c",)))
    record = plan_record(selected)
    assert record["selection"] == {"from": ["b"], "skip": ["c"]}
    assert record["left_out"] == ["a", "c", "side", "lone"]
    assert plan_from(record) == selected
    assert "selection" not in plan_record(CHAIN)


def refused(whole: Pipeline, selection: Selection) -> str:
    with pytest.raises(UsageError) as caught:
        select(whole, selection)
    assert caught.value.exit_code == 2
    return str(caught.value)


def test_unknown_ids_are_refused_all_at_once():
    assert refused(CHAIN, Selection(only=("sidee",), skip=("zz",))) == (
        "--only: p.yaml has no step `sidee`; did you mean `side`?\n"
        "--skip: p.yaml has no step `zz`; it has a, b, c, side, d, lone, notify"
    )


def test_an_empty_selection_is_refused():
    assert refused(CHAIN, Selection(only=("a",), skip=("a",))) == (
        "p.yaml: --only a --skip a leaves no step to run; nothing was started"
    )


@pytest.mark.parametrize(
    "use",
    [
        'run: "echo {{ steps.a.outputs.x }}"',
        "command: [echo, \"{{ steps['a'].outputs.x }}\"]",
        'run: "true", env: {X: "{{ steps.a.outputs }}"}',
        'run: "true", if: "steps.a.outputs.x == 1"',
        'run: "true", working_dir: "{{ steps.a.outputs.x }}"',
        "run: \"{% if steps.a.outputs.x | default('') %}true{% endif %}\"",
    ],
)
def test_outputs_that_nobody_makes_are_refused_wherever_they_are_used(use):
    whole = load("p.yaml", f"name: p\nsteps:\n- {{id: a, run: a}}\n- {{id: b, run: b}}\n- {{id: c, {use}}}\n".encode())
    said = refused(whole, Selection(skip=("a",)))
    assert said.startswith("p.yaml: step `c` uses `steps.a.outputs")
    assert said.endswith("run `a` too, or leave out `c`\nnothing was started")
    assert left(select(whole, Selection(skip=("b",)))) == {"a": "", "c": "a"}
    assert left(select(whole, Selection(skip=("a", "c")))) == {"b": ""}


def test_the_status_of_a_step_that_is_left_out_may_be_asked():
    text = "name: p\nsteps:\n- {id: a, run: a}\n- {id: b, run: b, if: 'steps.a.status == \"skipped\"'}\n"
    assert left(select(load("p.yaml", text.encode()), Selection(skip=("a",)))) == {"b": ""}


def test_a_step_of_finally_may_not_use_them_either():
    text = "name: p\nsteps:\n- {id: a, run: a}\n- {id: b, run: b}\nfinally:\n- {id: f, run: 'echo {{ steps.a.outputs.x }}'}\n"
    whole = load("p.yaml", text.encode())
    assert "p.yaml: step `f` uses `steps.a.outputs.x`" in refused(whole, Selection(skip=("a",)))
    assert left(select(whole, Selection(only=("b",)))) == {"b": ""}


def test_a_large_plan_is_quick_to_cut():
    ids = [f"s{number}" for number in range(10_000)]
    whole = plan(**{id_: " ".join(ids[max(0, place - 2) : place]) for place, id_ in enumerate(ids)})
    selected = select(whole, Selection(skip=tuple(ids[1:-1])))
    assert left(selected) == {ids[0]: "", ids[-1]: ids[0], "notify": ""}


HANDLED = b"""\
name: handled
steps:
- {id: a, run: a, on_failure: [{id: tell, run: t}, {id: undo, run: u}]}
- {id: b, run: b}
- {id: c, run: c, foreach: "{{ steps.a.outputs.list | fromjson }}", needs: [a, b]}
"""


@pytest.mark.parametrize(
    ("selection", "expected"),
    [
        (Selection(only=("a",)), {"a": "", "tell": "a", "undo": "tell"}),
        (Selection(until=("a",)), {"a": "", "tell": "a", "undo": "tell"}),
        (Selection(until=("b",)), {"a": "", "tell": "a", "undo": "tell", "b": "a"}),
        (Selection(start=("a",)), {"a": "", "tell": "a", "undo": "tell", "b": "a", "c": "a b"}),
        (Selection(only=("b",)), {"b": ""}),
    ],
)
def test_what_handles_a_failure_goes_with_its_step(selection, expected):
    assert left(select(load("p.yaml", HANDLED), selection)) == expected


def test_outputs_in_a_foreach_are_uses_too():
    assert "p.yaml: step `c` uses `steps.a.outputs.list`" in refused(load("p.yaml", HANDLED), Selection(skip=("a",)))


@pytest.mark.parametrize("flag", ["only", "start", "until", "skip"])
def test_what_handles_a_failure_can_not_be_chosen_without_its_step(flag):
    assert "p.yaml has no step `tell`; it has a, b, c" in refused(
        load("p.yaml", HANDLED), Selection(**{flag: ("tell",)})
    )
