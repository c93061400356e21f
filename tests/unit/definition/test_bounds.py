"""Where the work for a file ends, and that what is shared or cut short says the same as before."""

from difflib import get_close_matches

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dagnats.definition import InvalidPipelineError, declared, include, load, needs, steps, templates
from dagnats.definition.problems import Effort
from dagnats.definition.words import closest

NAMES = st.text("abc_", min_size=1, max_size=8)


def messages(text, path="p.yaml", *, strict=False):
    with pytest.raises(InvalidPipelineError) as caught:
        load(str(path), text.encode(), strict=strict)
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
    assert found == (4, 16, "the templates of this file have more than 20 parts; what follows was not checked")


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


def test_a_value_of_instances_is_judged_in_each_step():
    text = "name: x\ndefaults: {env: {A: '{{ matrix.a }}', B: '{{ item }}'}}\nsteps:\n- {id: m, run: x, matrix: {a: [1]}}\n- {id: n, run: x, matrix: {b: [1]}}\n- {id: f, run: x, foreach: [1]}\n"  # fmt: skip
    assert [message for *_, message in messages(text)] == [
        "`matrix` has no `a`",
        "`matrix` is not known in step `f`",
        "`item` is not known in step `m`",
        "`item` is not known in step `n`",
    ]


def test_a_failure_is_known_to_those_that_handle_it():
    handled = "name: x\ndefaults: {working_dir: '{{ failed.step }}'}\nsteps:\n- {id: a, run: x, working_dir: ., on_failure: [{id: b, run: x}]}\n"  # fmt: skip
    assert [step.working_dir for step in load("p.yaml", handled.encode()).steps] == [".", "{{ failed.step }}"]
    (found,) = messages(handled + "- {id: c, run: x}\n")
    assert found == (2, 29, "`failed` is not known in step `c`")


def test_what_a_condition_asks_of_an_instance_is_asked_in_each_step():
    text = b"name: x\ndefaults: {if: item == 1 or true}\nsteps:\n- {run: x, foreach: [1]}\n- {run: x, foreach: {as: item, items: [2]}}\n- {run: x, if: true, foreach: [1]}\n"  # fmt: skip
    assert [step.each_condition for step in load("p.yaml", text).steps] == [True, True, False]


def test_plain_mentions_of_secrets_take_no_parser(monkeypatch):
    monkeypatch.setattr(templates, "MAX_PARTS", 0)
    assert load("p.yaml", b"name: x\nsecrets: [S]\nsteps:\n- {run: '{{ secrets.S }}', env: {A: '{{ git.sha }}'}}\n")
    part = "name: x\nsecrets: [S]\nsteps:\n- {run: '{{ secrets.S.a }}'}\n"
    assert any("a secret may not be used so" in message for *_, message in messages(part))


def test_steps_of_on_failure_are_counted(monkeypatch):
    monkeypatch.setattr(needs, "MAX_HANDLERS", 3)
    text = "name: x\ndefaults: {on_failure: [{run: y}]}\nsteps:\n" + "- run: x\n" * 3
    assert len(load("p.yaml", text.encode()).steps) == 6
    (found,) = messages(text + "- run: x\n")
    assert found == (2, 12, "with those of step `step-4` there are more than 3 steps of `on_failure`")


def test_instances_of_all_matrices_are_counted():
    matrix = f"- {{run: x, matrix: {{a: {list(range(10_000))}}}}}\n"
    (found,) = messages("name: x\nsteps:\n- {run: x, matrix: {a: [1]}}\n" + matrix)
    message = "with the cells of step `step-2` the run has 10,001 instances; at most 10,000 are allowed"
    assert found == (4, 3, message)


def test_patterns_are_looked_at_so_long(monkeypatch):
    text = "name: x\nparams: {a: {pattern: abc, default: abc}, b: {pattern: a*, default: b}}\nsteps: [{run: x}]\n"
    assert messages(text)[0][2].startswith("param `b`: 'b' does not match")
    for most, column in ((5, 23), (12, 37), (14, 56), (19, 69)):
        monkeypatch.setattr(declared, "MAX_MATCHING", most)
        (found,) = messages(text)
        message = "the patterns of this file are too large, or look at too much; what follows was not checked"
        assert found == (2, column, message)


def test_what_is_pasted_is_looked_at_so_often(monkeypatch):
    text = "name: x\nx-a: &a '{{ env.A | raw }}'\nsteps:\n" + "- run: *a\n" * 3
    monkeypatch.setattr(templates, "MAX_MENTIONS", 2)
    assert {message for *_, message in messages(text, strict=True)} == {
        "`env.A` can come from outside, and `| raw` makes code of it",
        "the templates of this file mention a value more than 2 times; what follows was not checked",
    }


def test_files_that_are_included_are_counted_and_measured(monkeypatch, tmp_path):
    (tmp_path / "a.yaml").write_text("steps: [{run: x}]\n")
    text = "name: x\ninclude: [a.yaml, ./a.yaml, a.yaml, none.yaml]\n"
    monkeypatch.setattr(include, "MAX_ENTRIES", 2)
    assert messages(text, tmp_path / "p.yaml") == [(2, 29, "more than 2 includes")]
    monkeypatch.setattr(include, "MAX_BYTES", 10)
    assert (2, 11, "with what it includes, the file is larger than 1 MiB") in messages(text, tmp_path / "p.yaml")
