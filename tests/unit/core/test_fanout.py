"""Instances: the cells of a matrix, their names, and how a step of several goes through a run."""

from itertools import product
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from playbook import Playbook, plan, step

from dagnats.core.events import CancelledBy, CancelRequested, StepExpanded
from dagnats.core.fanout import COUNTED_MAX, cells, count, instance_id, labels, repeated, size, together
from dagnats.core.pipeline import FanOut
from dagnats.core.state import IllegalEventError, Status, fold
from dagnats.core.text import token

AXES = {"py": ("3.11", "3.12"), "os": ("linux", "mac")}


@pytest.mark.parametrize(
    ("include", "exclude", "expected"),
    [
        ([], [], ["3.11 linux", "3.11 mac", "3.12 linux", "3.12 mac"]),
        ([], [{"py": "3.11"}], ["3.12 linux", "3.12 mac"]),
        ([], [{"py": "3.11", "os": "mac"}, {}], ["3.11 linux", "3.12 linux", "3.12 mac"]),
        ([{"os": "mac", "x": 1}], [], ["3.11 linux", "3.11 mac 1", "3.12 linux", "3.12 mac 1"]),
        ([{"x": 1}], [], ["3.11 linux 1", "3.11 mac 1", "3.12 linux 1", "3.12 mac 1"]),
        ([{"py": "3.13", "os": "bsd"}], [], ["3.11 linux", "3.11 mac", "3.12 linux", "3.12 mac", "3.13 bsd"]),
        ([{"os": "mac"}], [{"os": "mac"}], ["3.11 linux", "3.12 linux", "mac"]),
        ([{"x": 1}, {"x": 2, "os": "mac"}], [], ["3.11 linux 1", "3.11 mac 2", "3.12 linux 1", "3.12 mac 2"]),
    ],
)
def test_cells_of_a_matrix(include: list[Any], exclude: list[Any], expected: list[str]):
    made = cells(FanOut(axes=AXES, include=tuple(include), exclude=tuple(exclude)))
    assert [" ".join(map(str, cell.values())) for cell in made] == expected
    assert len(made) <= count(FanOut(axes=AXES, include=tuple(include)))


VALUES = st.sampled_from([0, 1, True, False, 1.0, "a", [1], [True], {"k": 1}, None])
ENTRIES = st.lists(st.dictionaries(st.sampled_from("abcd"), VALUES, max_size=3), max_size=4)


def agree(cell: dict[str, Any], entry: dict[str, Any]) -> bool:
    return all(
        isinstance(cell[name], bool) is isinstance(value, bool) and cell[name] == value
        for name, value in entry.items()
        if name in cell
    )


@given(st.dictionaries(st.sampled_from("abc"), st.lists(VALUES, max_size=4), max_size=3), ENTRIES, ENTRIES)
def test_cells_are_those_of_comparing_each_with_each(
    axes: dict[str, list[Any]], include: list[dict[str, Any]], exclude: list[dict[str, Any]]
):
    grid = [dict(zip(axes, values, strict=True)) for values in product(*axes.values())] if axes else []
    kept = [
        cell for cell in grid if not any(each and each.keys() <= cell.keys() and agree(cell, each) for each in exclude)
    ]
    expected = [dict(cell) for cell in kept]
    for entry in include:
        for place, cell in enumerate(kept):
            if agree(cell, entry):
                expected[place] |= entry
    expected += [entry for entry in include if not any(agree(cell, entry) for cell in kept)]
    fan_out = FanOut({name: tuple(values) for name, values in axes.items()}, tuple(include), tuple(exclude))
    assert cells(fan_out) == expected
    assert sum(map(len, expected)) <= size(fan_out)
    assert len(expected) <= count(fan_out)


def test_cells_are_counted_up_to_a_bound():
    axes = {f"a{place}": tuple(range(10)) for place in range(5000)}
    assert count(FanOut(axes)) == COUNTED_MAX
    assert count(FanOut({**axes, "none": ()}, include=({"a0": 1},))) == 1


def test_repeated_values():
    assert repeated([1, True, "1", [1], {"a": 1}, {"a": 2}]) is None
    assert repeated([{"a": [1], "b": 2}, 0, {"b": 2, "a": [1]}]) == 2


def test_true_is_not_one():
    fan_out = FanOut(axes={"n": (1, True, 2)}, exclude=({"n": True},))
    assert [cell["n"] for cell in cells(fan_out)] == [1, 2]


def test_a_matrix_of_include_alone():
    fan_out = FanOut(include=({"a": 1}, {"b": 2}))
    assert (count(fan_out), cells(fan_out)) == (2, [{"a": 1}, {"b": 2}])


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (["a", "b c", 3, True, None], ["a", "b c", "3", "true", "#4"]),
        (["a", "b", "a"], ["#0", "b", "#2"]),
        ([{"k": 1}, ["x"], "y"], ["#0", "#1", "y"]),
        (["a[b]", "x" * 61, "line\nbreak", "#1", "ok"], ["#0", "#1", "#2", "#3", "ok"]),
        ([1, "1"], ["#0", "#1"]),
    ],
)
def test_instances_are_named_by_their_values_where_that_tells_them_apart(values: list[Any], expected: list[str]):
    assert labels(FanOut(items=[]), values) == expected


def test_cells_are_named_by_their_axes_and_those_of_include_alone_by_all_their_values():
    made = [
        {"py": "3.12", "os": "mac", "fast": True},
        {"os": "bsd", "py": "3.13"},
        {"py": "3.13", "list": [1]},
        {"n": False},
    ]
    expected = ["py=3.12,os=mac", "py=3.13,os=bsd", "py=3.13,list=", "n=false"]
    assert labels(FanOut(axes=AXES), made) == expected


@pytest.mark.parametrize(
    ("statuses", "expected"),
    [
        ("succeeded succeeded", "succeeded"),
        ("succeeded skipped", "succeeded"),
        ("skipped skipped", "skipped"),
        ("succeeded warning", "warning"),
        ("warning cancelled", "cancelled"),
        ("cancelled timed_out succeeded", "timed_out"),
        ("timed_out failed", "failed"),
    ],
)
def test_what_instances_are_together(statuses: str, expected: str):
    assert together(map(Status, statuses.split())) == expected


@pytest.mark.parametrize(
    ("id_", "expected"),
    [
        ("test", "test"),
        ("a-b_c", "a-b_c"),
        ("t[py=3.12]", "t%5Bpy%3D3%2E12%5D"),
        ("t[a/b *>é]", "t%5Ba%2Fb%20%2A%3E%C3%A9%5D"),
    ],
)
def test_an_id_as_a_part_of_a_subject_and_of_a_file_name(id_: str, expected: str):
    assert token(id_) == expected


def test_a_long_id_is_cut_and_stays_unique_and_a_name_of_a_file():
    one, other = (instance_id("step" * 15, f"word={'漢字' * 25}{end}") for end in "ab")
    assert token(one) == token(one) != token(other)
    assert len(token("x/" * 2000)) == len(token("x" * 2000)) < 200
    assert token("x" * 180) == "x" * 180


def three(**more: Any) -> FanOut:
    return FanOut(items=["a", "b", "c"], **more)


def test_dependents_wait_for_all_instances_and_get_their_outputs_in_order():
    run = Playbook(plan(step("x", fan_out=three()), step("after", "x")))
    assert run.first == ["expand x", "schedule x[a]", "schedule x[b]", "schedule x[c]"]
    for one in "bca":
        run.start(f"x[{one}]")
        told = run.succeed(f"x[{one}]", outputs={"name": one})
    assert told == ["succeed x[a]", "schedule after"]
    assert run.statuses()["x"] == "succeeded"
    assert [run.state.steps[one].outputs["name"] for one in run.state.steps["x"].instances.ids] == ["a", "b", "c"]


def test_an_empty_list_is_a_success():
    run = Playbook(plan(step("x", fan_out=FanOut(items=[])), step("after", "x")))
    assert run.first == ["expand x", "schedule after"]
    assert run.statuses()["x"] == "succeeded"


def test_a_failed_instance_fails_the_step_once_all_have_ended():
    run = Playbook(plan(step("x", fan_out=three()), step("after", "x")))
    run.start("x[a]")
    assert run.fail("x[a]") == ["fail x[a] exit"]
    assert run.statuses()["x"] == "running"
    run.run("x[b]")
    assert run.run("x[c]") == ["start x[c]", "succeed x[c]", "block after by x", "finish failed"]
    assert run.state.steps["x"].failure.step == "x[a]"


def test_no_more_instances_than_the_step_allows_are_on_their_way():
    run = Playbook(plan(step("x", fan_out=three(max_parallel=1), retries=1)))
    assert run.first == ["expand x", "schedule x[a]"]
    run.start("x[a]")
    assert run.fail("x[a]") == ["fail x[a] exit", "schedule x[a] 2"]
    assert run.run("x[a]") == ["start x[a]", "succeed x[a]", "schedule x[b]"]


def test_the_first_failure_cancels_the_other_instances_when_asked_to():
    run = Playbook(plan(step("x", fan_out=three(max_parallel=2, fail_fast=True)), step("other")))
    assert run.first == ["expand x", "schedule other", "schedule x[a]", "schedule x[b]"]
    run.start("x[a]")
    run.start("x[b]")
    assert run.fail("x[a]") == ["fail x[a] exit", "cancel what x runs by fail_fast", "cancel x[c]"]
    assert run.stopped("x[b]") == ["cancel x[b]"]
    assert run.statuses()["x"] == "failed"
    assert run.run("other")[-1] == "finish failed"
    assert run.state.cancel is None


def test_a_condition_is_asked_once_or_of_each():
    once = Playbook(plan(step("x", when="false", fan_out=three())))
    assert once.first == ["skip x", "finish succeeded"]
    each = Playbook(plan(step("x", when="false", each_condition=True, fan_out=three())))
    assert each.first == ["expand x", "skip x[a]", "skip x[b]", "skip x[c]", "finish succeeded"]
    assert each.statuses()["x"] == "skipped"


def test_instances_of_a_cancelled_run_are_cancelled_also_those_that_were_held_back():
    run = Playbook(plan(step("x", fan_out=three(max_parallel=1)), last=(step("down"),)))
    run.start("x[a]")
    assert run.cancel() == ["cancel run by signal", "cancel x[b]", "cancel x[c]"]
    assert run.stopped("x[a]") == ["cancel x[a]", "schedule down"]
    assert run.statuses()["x"] == "cancelled"


def test_of_the_steps_of_a_mutex_one_at_a_time_is_on_its_way():
    run = Playbook(plan(step("a", mutex="db", retries=1), step("b", mutex="db"), step("c"), step("d", mutex="db")))
    assert run.first == ["schedule a", "schedule c"]
    run.start("a")
    assert run.fail("a") == ["fail a exit", "schedule a 2"]
    assert run.run("a") == ["start a", "succeed a", "schedule b"]
    assert run.run("b") == ["start b", "succeed b", "schedule d"]


def test_instances_take_the_mutex_one_by_one():
    run = Playbook(plan(step("x", mutex="db", fan_out=three())))
    assert run.first == ["expand x", "schedule x[a]"]
    assert run.run("x[a]") == ["start x[a]", "succeed x[a]", "schedule x[b]"]


def test_a_failure_is_handled_and_dependents_do_not_wait_for_that():
    handlers = (step("h1", "a", handles="a"), step("h2", "h1", handles="a"))
    run = Playbook(plan(step("a", retries=1), *handlers, step("after", "a", when="always()")))
    run.start("a")
    assert run.fail("a") == ["fail a exit", "schedule a 2"]
    run.start("a")
    assert run.fail("a") == ["fail a exit", "schedule h1", "schedule after"]
    run.start("h1")
    assert run.fail("h1") == ["fail h1 exit", "block h2 by h1"]


def test_what_succeeds_needs_no_handler():
    run = Playbook(plan(step("a"), step("h1", "a", handles="a"), step("h2", "h1", handles="a")))
    assert run.run("a") == ["start a", "succeed a", "skip h1", "skip h2", "finish succeeded"]


def test_a_failure_that_is_allowed_is_handled_too():
    run = Playbook(plan(step("a", allow_failure=True), step("h", "a", handles="a")))
    run.start("a")
    assert run.fail("a") == ["fail a exit", "schedule h"]
    assert run.run("h")[-1] == "finish succeeded"


@pytest.mark.parametrize(("by", "spared"), [(CancelledBy.FAIL_FAST, True), (CancelledBy.SIGNAL, False)])
def test_a_handler_is_spared_by_the_failure_that_it_handles_and_by_nothing_else(by: CancelledBy, spared: bool):
    run = Playbook(plan(step("a"), step("h", "a", handles="a")))
    run.start("a")
    run.cancel(by)
    assert run.fail("a")[1] == ("schedule h" if spared else "cancel h")


def test_a_step_can_not_be_expanded_in_another_way_than_the_plan_says():
    run = Playbook(
        plan(step("busy"), step("next"), step("x", fan_out=FanOut(axes={"n": (1,)})), step("y")), max_parallel=1
    )
    for event in (
        run.next(StepExpanded, step="x", items=("a",)),
        run.next(StepExpanded, step="y", items=("a",)),
        run.next(CancelRequested, by=CancelledBy.FAIL_FAST, why="", step="y"),
    ):
        with pytest.raises(IllegalEventError):
            fold([*run.events, event])


def test_more_instances_than_a_run_may_have():
    run = Playbook(plan(step("x", fan_out=FanOut(items=list(range(9_999)))), step("y", "x", fan_out=three())), 20_000)
    for one in run.state.steps["x"].instances.ids:
        told = run.run(one)
    assert told[-2:] == ["fail y template", "finish failed"]


def test_the_failure_of_a_step_is_that_of_an_instance_that_failed_in_the_end():
    run = Playbook(plan(step("x", fan_out=three(max_parallel=1), retries=1), step("h", "x", handles="x")))
    run.start("x[a]")
    run.fail("x[a]", exit_code=7)
    run.run("x[a]")
    for _ in range(2):
        run.start("x[b]")
        run.fail("x[b]", exit_code=9)
    run.run("x[c]")
    group = run.state.steps["x"]
    assert (group.status, group.exit_code, group.failure.step) == ("failed", 9, "x[b]")


def test_a_failure_that_is_not_allowed_tells_more_than_one_that_is():
    run = Playbook(plan(step("x", fan_out=three(max_parallel=1), allow_failure=(7,))))
    for id_, code in (("x[a]", 7), ("x[b]", 9), ("x[c]", 7)):
        run.start(id_)
        run.fail(id_, exit_code=code)
    group = run.state.steps["x"]
    assert (group.status, group.exit_code, group.failure.step) == ("failed", 9, "x[b]")
