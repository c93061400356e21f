"""Where the work for a file ends, and that what is shared or cut short says the same as before."""

from difflib import get_close_matches

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dagnats.definition import InvalidPipelineError, load, needs, steps, templates
from dagnats.definition.problems import Effort
from dagnats.definition.words import closest

NAMES = st.text("abc_", min_size=1, max_size=8)


def messages(text):
    with pytest.raises(InvalidPipelineError) as caught:
        load("p.yaml", text.encode())
    return [(problem.line, problem.column, problem.message) for problem in caught.value.problems]


@given(NAMES, st.lists(NAMES, max_size=20), st.sampled_from([0.6, 0.8]))
def test_the_closest_name_is_that_of_the_standard_library(name, known, cutoff):
    assert [closest(name, known, Effort(), cutoff)] == (get_close_matches(name, known, 1, cutoff) or [""])


def test_names_are_compared_until_the_effort_is_spent():
    effort = Effort()
    assert closest("abc", ["abd"], effort) == "abd"
    assert effort.spend(10**9) is False
    assert closest("abc", ["abd"], effort) == ""


def test_steps_of_one_name_are_numbered_past_what_is_taken():
    plan = load("p.yaml", b"name: x\nsteps:\n- {name: a, run: x}\n- {id: a-2, run: x}\n" + b"- {name: a, run: x}\n" * 2)
    assert [step.id for step in plan.steps] == ["a", "a-2", "a-3", "a-4"]


@given(st.lists(st.sets(st.integers(0, 7), max_size=2), min_size=8, max_size=8))
def test_a_cycle_is_taken_away_with_what_waited_for_it_alone(edges):
    graph = {str(name): [str(need) for need in sorted(ids)] for name, ids in enumerate(edges)}
    left = needs._Left(graph)
    while True:
        assert set(left.open) == set(graph) - set(needs.order(graph))
        if not left.open:
            return
        cycle = left.cycle()
        assert all(after in graph[name] for name, after in zip(cycle, [*cycle[1:], cycle[0]], strict=True))
        left.remove(cycle)
        graph = {name: [need for need in ids if need not in cycle] for name, ids in graph.items() if name not in cycle}


def test_templates_of_too_many_parts(monkeypatch):
    monkeypatch.setattr(templates, "MAX_PARTS", 20)
    step = "- {run: x, if: '1 + 1 == %d'}\n"
    (found,) = messages("name: x\nsteps:\n" + "".join(step % number for number in range(10)))
    assert found == (5, 16, "the templates of this file have more than 20 parts; what follows was not checked")


def test_plain_mentions_have_no_parts(monkeypatch):
    monkeypatch.setattr(templates, "MAX_PARTS", 0)
    assert load("p.yaml", b"name: x\nsteps:\n- {run: '{{ run.id }} {{ pipeline.name }}', if: pipeline.name}\n")


def test_templates_that_mention_too_much(monkeypatch):
    monkeypatch.setattr(templates, "MAX_MENTIONS", 5)
    text = "name: x\ndefaults: {env: {A: '{{ steps.a.status }}'}}\nsteps:\n- {id: a, run: x, needs: []}\n"
    message = "the templates of this file mention a value more than 5 times; what follows was not checked"
    assert messages(text + "- run: x\n" * 9) == [(2, 21, message), (2, 25, "step `a` uses its own results")]


def test_the_same_value_in_many_steps_is_judged_in_each():
    text = "name: x\ndefaults: {if: steps.b.exit_code == 0}\nsteps:\n- {id: a, run: x, if: true}\n- {id: b, run: x, if: true}\n- {id: c, run: x}\n- {id: d, run: x, needs: [a]}\n"  # fmt: skip
    assert messages(text) == [(2, 16, "step `d` uses `steps.b` and does not need `b`")]


def test_variables_of_defaults_are_added_to_so_many_steps(monkeypatch):
    monkeypatch.setattr(steps, "MAX_ADDED", 4)
    text = "name: x\ndefaults: {env: {A: a, B: b}}\nsteps:\n" + "- {run: x, env: {C: c}}\n" * 2 + "- run: x\n" * 9
    assert load("p.yaml", text.encode()).steps[1].env == {"A": "a", "B": "b", "C": "c"}
    (found,) = messages(text + "- {run: x, env: {C: c}}\n")
    message = "`env` of `defaults` gives more than 4 variables to steps with an `env` of their own"
    assert found == (2, 17, message)
