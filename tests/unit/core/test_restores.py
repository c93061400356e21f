"""Whose artifacts a step is given back, when their files are not in the workspace."""

from playbook import Playbook, plan, step

from dagnats.core.events import Artifact
from dagnats.core.pipeline import FanOut
from dagnats.core.restores import restores

ONE, TWO, THREE = (Artifact(object=name * 64, bytes=1, files=1) for name in "abc")


def steps_of(run: Playbook, id_: str) -> list[tuple[str, str]]:
    return [(step, name) for step, name, _ in restores(run.state, id_)]


def test_within_one_run_nothing_is_brought_back():
    run = Playbook(plan(step("a"), step("b", "a")))
    run.start("a")
    run.succeed("a", artifacts={"a": ONE})
    assert run.state.steps["a"].artifacts == {"a": ONE}
    assert run.folded().steps["a"].artifacts == {"a": ONE}
    assert restores(run.state, "b") == []


def test_what_is_needed_directly_or_not():
    run = Playbook(plan(step("a"), step("b", "a"), step("other"), step("c", "b")))
    run.state.elsewhere |= {"other": {"o": TWO}, "b": {"two": TWO, "three": THREE}, "a": {"a": ONE}}
    assert steps_of(run, "c") == [("b", "two"), ("b", "three"), ("a", "a")]
    assert steps_of(run, "b") == [("a", "a")]
    assert steps_of(run, "a") == []


def test_finally_comes_after_all():
    run = Playbook(plan(step("a"), last=(step("z"),)))
    run.state.elsewhere |= {"a": {"a": ONE}}
    assert steps_of(run, "z") == [("a", "a")]


def test_instances_have_what_their_step_needs_and_are_needed_with_it():
    run = Playbook(plan(step("a"), step("m", "a", fan_out=FanOut(axes={"x": (1, 2)})), step("c", "m")))
    run.run("a")
    run.state.elsewhere |= {"a": {"a": ONE}, "m[x=2]": {"two": TWO}}
    assert steps_of(run, "m[x=1]") == [("a", "a")]
    assert steps_of(run, "c") == [("a", "a"), ("m[x=2]", "two")]


def test_a_pipeline_comes_after_what_its_step_needs():
    inner = plan(step("i"), step("j", "i"))
    run = Playbook(plan(step("a"), step("x", "a", pipeline="s"), step("c", "x"), pipelines={"s": inner}))
    run.run("a")
    run.start("x")
    run.open("x")
    run.state.elsewhere |= {"a": {"a": ONE}, "x/i": {"i": TWO}}
    assert steps_of(run, "x/i") == [("a", "a")]
    assert steps_of(run, "x/j") == [("a", "a"), ("x/i", "i")]
    assert steps_of(run, "c") == [("a", "a"), ("x/i", "i")]
