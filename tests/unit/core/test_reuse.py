"""What a rerun takes over, and why it runs the rest: two plans, how the old one ended, and the values of both."""

from collections.abc import Callable
from typing import Any

import pytest
from msgspec.structs import replace
from playbook import Playbook, plan, step

from dagnats.core.events import Again
from dagnats.core.pipeline import Container, EnvFile, FanOut, Pipeline, Service, Step
from dagnats.core.rerun import said
from dagnats.core.state import fold
from dagnats.definition.rerun import Before, Rerun, before
from dagnats.definition.reuse import Found, Now, compared
from dagnats.errors import UsageError

NOW = Now("/w")


def ran(run: Playbook, **values: Any) -> Before:
    """Give a run as its journal tells it, with the values that it began with."""
    events = [replace(run.events[0], **values), *run.events[1:]]
    return Before("r0", fold(events), before("r0", events).ends)


def chain(**more: Any) -> Pipeline:
    return plan(step("a"), step("b", "a"), step("c", "b"), last=(step("down"),), **more)


def broken_off(made: Pipeline) -> Before:
    """`a` succeeded, `b` failed, `c` was blocked."""
    run = Playbook(made)
    run.start("a")
    run.succeed("a", outputs={"v": 1})
    run.start("b")
    run.fail("b")
    run.run("down")
    return ran(run)


def well(made: Pipeline, *order: str, **values: Any) -> Before:
    run = Playbook(made)
    for id_ in order:
        run.run(id_)
    return ran(run, **values)


def reasons(found: Found) -> dict[str, str]:
    return {key: said(again, "r0") for key, again in found.rerun.again.items()}


def test_what_failed_and_what_depends_on_it_runs_again():
    found = compared(broken_off(chain()), chain(), NOW, "failed")
    assert reasons(found) == {"b": "failed in r0", "c": "needs b, which runs again", "down": "finally"}
    (reused,) = found.rerun.reused.values()
    assert (reused.run, reused.seq, reused.status, reused.outputs, reused.exit_code) == (
        "r0",
        4,
        "succeeded",
        {"v": 1},
        0,
    )


def test_what_was_asked_for_runs_again():
    was = well(chain(), "a", "b", "c", "down")
    found = compared(was, chain(), NOW, "from", ["b"])
    assert reasons(found) == {"b": "--from", "c": "needs b, which runs again", "down": "finally"}
    assert list(found.rerun.reused) == ["a"]


def test_a_run_that_was_killed():
    run = Playbook(chain())
    run.run("a")
    run.start("b")
    found = compared(ran(run), chain(), NOW, "failed")
    assert reasons(found)["b"] == "did not end in r0"
    assert list(found.rerun.reused) == ["a"]


CHANGES: dict[str, Callable[[Step], Step]] = {
    "run": lambda one: replace(one, run="false"),
    "if": lambda one: replace(one, condition="true"),
    "env.A": lambda one: replace(one, env={"A": "1"}),
    "needs": lambda one: replace(one, needs=("a", "z")),
    "shell": lambda one: replace(one, shell="sh"),
    "timeout": lambda one: replace(one, timeout_s=1.0),
    "container": lambda one: replace(one, container=Container("a:1")),
    "allow_failure": lambda one: replace(one, allow_failure=True),
    "matrix": lambda one: replace(one, fan_out=FanOut(axes={"n": (1,)})),
    "foreach": lambda one: replace(one, fan_out=FanOut(items=["a"])),
    "on_failure": lambda one: replace(one, handles="a"),
}


@pytest.mark.parametrize("named", CHANGES)
def test_a_step_that_is_defined_otherwise_runs_again(named: str):
    old, others = chain(), (step("z"),)
    was = well(replace(old, steps=(*others, *old.steps)), "z", "a", "b", "c", "down")
    steps = tuple(CHANGES[named](one) if one.id == "b" else one for one in (*others, *old.steps))
    found = compared(was, replace(old, steps=steps), NOW, "failed")
    assert reasons(found)["b"] == f"changed: {named}"
    assert reasons(found)["c"] == "needs b, which runs again"
    assert set(found.rerun.reused) == {"a", "z"}


@pytest.mark.parametrize("change", [{"name": "B"}, {"line": 9}, {"file": "other.yaml"}])
def test_where_a_step_stands_and_how_it_is_called_says_nothing(change: dict[str, Any]):
    was = well(chain(), "a", "b", "c", "down")
    made = replace(chain(), steps=tuple(replace(one, **change) for one in chain().steps))
    assert set(compared(was, made, NOW, "failed").rerun.reused) == {"a", "b", "c"}


def test_what_a_pipeline_gives_to_all_its_steps():
    was = well(chain(), "a", "b", "c", "down")
    assert reasons(compared(was, chain(env={"A": "1"}), NOW, "failed"))["a"] == "changed: env.A"
    assert reasons(compared(was, chain(dotenv=(EnvFile(".env"),)), NOW, "failed"))["a"] == "changed: dotenv"


def test_a_service_that_is_another():
    made = plan(step("a", services=("db",)), step("b"), services={"db": Service(Container("db:1"))})
    was = well(made, "a", "b")
    other = replace(made, services={"db": Service(Container("db:2"))})
    assert reasons(compared(was, other, NOW, "failed")) == {"a": "changed: services.db"}


MENTIONS = {
    "params.x": ("{{ params.x }}", {"params": {"x": 1, "y": 1}}),
    "vars.x": ("{{ vars.x | upper }}", {"vars": {"x": "a"}}),
    "env.X": ("{% if env.X %}a{% endif %}", {"env": {"X": "a"}}),
    "git.sha": ("{{ git.sha }}", {"git": {"sha": "0"}}),
    "params": ("{{ params | tojson }}", {"params": {"x": 1}}),
}


@pytest.mark.parametrize("named", MENTIONS)
def test_a_value_that_is_not_what_it_was(named: str):
    text, values = MENTIONS[named]
    made = plan(Step(id="a", run=text), step("b"))
    was = well(made, "a", "b", **values)
    same = Now("/w", **values)
    assert set(compared(was, made, same, "failed").rerun.reused) == {"a", "b"}
    for name, held in values.items():
        gone, other = {}, dict.fromkeys(held, "other")
        for now in (replace(same, **{name: gone}), replace(same, **{name: other})):
            assert reasons(compared(was, made, now, "failed")) == {"a": f"{named} changed"}
    later = replace(same, later=frozenset({named if "." in named else f"{named}.x"}))
    assert compared(was, made, later, "failed").unsure == {"a": (named,)}


def test_true_is_not_one():
    made = plan(Step(id="a", run="{{ params.x }}"))
    was = well(made, "a", params={"x": True})
    assert reasons(compared(was, made, Now("/w", params={"x": 1}), "failed")) == {"a": "params.x changed"}


@pytest.mark.parametrize(
    ("text", "why"),
    [("{{ run.id }}", "another run.id"), ("{{ pipeline.dir }}", "pipeline.dir changed"), ("{{ run.attempt }}", None)],
)
def test_what_says_of_itself_that_it_is_another_run(text: str, why: str | None):
    made = plan(Step(id="a", run=text))
    assert reasons(compared(well(made, "a"), made, Now("/elsewhere"), "failed")) == ({"a": why} if why else {})


def test_a_secret_from_elsewhere():
    made = plan(Step(id="a", env={"T": "{{ secrets.T }}"}, run="true"), secrets={"T": "env://T"})
    was = well(made, "a")
    other = replace(made, secrets={"T": "file://t"})
    assert reasons(compared(was, other, NOW, "failed")) == {"a": "secrets.T changed"}


def matrix(*values: Any) -> Pipeline:
    return plan(step("m", fan_out=FanOut(axes={"n": values})), step("after", "m"))


def test_instances_of_a_matrix_one_by_one():
    run = Playbook(matrix(1, 2))
    run.run("m[n=1]")
    run.start("m[n=2]")
    run.fail("m[n=2]")
    found = compared(ran(run), matrix(1, 2), NOW, "failed")
    assert list(found.rerun.reused) == ['m[{"n":1}]']
    assert reasons(found) == {
        "m": "failed in r0",
        'm[{"n":2}]': "failed in r0",
        "after": "needs m, which runs again",
    }


def test_a_matrix_that_has_grown_runs_what_is_new():
    run = Playbook(matrix(1, 2))
    for id_ in ("m[n=1]", "m[n=2]", "after"):
        run.run(id_)
    found = compared(ran(run), matrix(1, 2, 3), NOW, "failed")
    assert list(found.rerun.reused) == ['m[{"n":1}]', 'm[{"n":2}]']
    assert reasons(found) == {"m": "changed: matrix", "after": "needs m, which runs again"}


def test_items_that_are_there_twice_are_told_apart():
    made = plan(step("m", fan_out=FanOut(items=["a", "a", "b"])))
    run = Playbook(made)
    run.start("m[#0]")
    run.fail("m[#0]")
    run.run("m[#1]")
    run.run("m[b]")
    assert list(compared(ran(run), made, NOW, "failed").rerun.reused) == ['m["a"]#2', 'm["b"]']


def outer(inner: Pipeline, **more: Any) -> Pipeline:
    return plan(step("first"), step("sub", "first", pipeline="sub.yaml", **more), pipelines={"sub.yaml": inner})


def test_of_a_pipeline_that_failed_its_steps_are_taken_over():
    inner = replace(plan(step("x"), step("y", "x")), file="sub.yaml")
    run = Playbook(outer(inner))
    run.run("first")
    run.start("sub")
    run.open("sub", params={"p": 1})
    run.run("sub/x")
    run.start("sub/y")
    run.fail("sub/y")
    found = compared(ran(run), outer(inner), NOW, "failed")
    assert list(found.rerun.reused) == ["first", "sub/x"]
    assert found.rerun.given["sub"].params == {"p": 1}
    assert reasons(found) == {"sub": "failed in r0", "sub/y": "failed in r0"}
    mended = replace(inner, steps=(inner.steps[0], replace(inner.steps[1], run="exit 0")))
    assert reasons(compared(ran(run), outer(mended), NOW, "failed")) == {"sub": "failed in r0", "sub/y": "changed: run"}


def test_a_pipeline_that_succeeded_is_taken_over_whole_while_nothing_in_it_changed():
    inner = replace(plan(step("x"), step("y", "x")), file="sub.yaml")
    run = Playbook(outer(inner))
    run.run("first")
    run.start("sub")
    run.open("sub")
    run.run("sub/x")
    run.run("sub/y")
    assert list(compared(ran(run), outer(inner), NOW, "failed").rerun.reused) == ["first", "sub"]
    other = replace(inner, steps=(inner.steps[0], replace(inner.steps[1], run="exit 0")))
    found = compared(ran(run), outer(other), NOW, "failed")
    assert list(found.rerun.reused) == ["first", "sub/x"]
    assert reasons(found) == {"sub": "changed: sub.yaml", "sub/y": "changed: run"}
    assert reasons(compared(ran(run), outer(inner, params={"p": 1}), NOW, "failed")) == {"sub": "changed: params"}


def test_a_failure_that_was_allowed_is_taken_over_with_its_reason():
    made = plan(step("a", allow_failure=True))
    run = Playbook(made)
    run.start("a")
    run.fail("a")
    was = ran(run)
    (reused,) = compared(was, made, NOW, "failed").rerun.reused.values()
    assert (reused.status, reused.exit_code, reused.reason, reused.message) == ("warning", 1, "exit", "ended with exit")


def test_a_rerun_of_a_rerun_knows_where_a_step_ran():
    found = compared(broken_off(chain()), chain(), NOW, "failed")
    run = Playbook(chain(), rerun=found.rerun)
    run.start("b")
    run.fail("b")
    again = compared(before("r1", run.events), chain(), NOW, "failed")
    assert [(one.run, one.seq) for one in again.rerun.reused.values()] == [("r0", 4)]


def asked(was: Before, mode: Any, *steps: str) -> Rerun:
    return Rerun(was, mode, steps)


def test_nothing_to_do_is_said():
    was = well(chain(), "a", "b", "c", "down")
    with pytest.raises(UsageError, match="nothing to do: run r0 succeeded, and nothing that it did has changed since"):
        asked(was, "failed").found(chain(), NOW)
    assert asked(was, "failed").found(chain(env={"A": "1"}), NOW).rerun.again["a"] == Again("changed", ("env.A",))


def test_only_leaves_out_what_the_step_does_not_need():
    was = well(plan(step("a"), step("b", "a"), step("side"), last=(step("down"),)), "a", "b", "side", "down")
    rerun = asked(was, "only", "b")
    chosen = rerun.selected(was.state.plan)
    assert [one.id for one in (*chosen.steps, *chosen.finally_steps)] == ["a", "b", "down"]
    assert (chosen.selection, chosen.left_out) == ({"until": ("b",)}, ("side",))
    assert reasons(rerun.found(chosen, NOW)) == {"b": "--only", "down": "finally"}


def test_only_refuses_when_more_would_run():
    was = broken_off(chain())
    rerun = asked(was, "only", "c")
    with pytest.raises(
        UsageError, match=r"--only: `c` needs `b`, which would run again \(failed in r0\); `--from b` runs"
    ):
        rerun.found(rerun.selected(chain()), NOW)


@pytest.mark.parametrize(
    ("mode", "id_", "message"),
    [
        ("from", "nope", "--from: pipeline.yaml has no step `nope`; it has a, b, c, down"),
        ("from", "bb", "--from: pipeline.yaml has no step `bb`"),
        (
            "only",
            "down",
            "--only: `down` is a step of `finally`, which runs again with every rerun: `--from down` runs",
        ),
    ],
)
def test_steps_that_can_not_be_chosen(mode: str, id_: str, message: str):
    with pytest.raises(UsageError, match=message):
        asked(broken_off(chain()), mode, id_).selected(chain())


def test_what_was_left_out_stays_left_out():
    run = Playbook(replace(chain(), steps=chain().steps[:1], selection={"only": ("a",)}, left_out=("b", "c", "down")))
    rerun = asked(ran(run), "from", "b")
    with pytest.raises(UsageError, match="--from: the step `b` was left out of run r0"):
        rerun.selected(chain())
    assert [one.id for one in asked(ran(run), "from", "a").selected(chain()).steps] == ["a"]
