"""Text -> plan: what the engine gets."""

from textwrap import dedent

import pytest
from msgspec.structs import replace

from dagnats.core.pipeline import Output, Param, Retry
from dagnats.definition import InvalidPipelineError, load, load_document
from dagnats.definition.emit import to_yaml
from dagnats.definition.known import known_values
from dagnats.definition.render import document


def plan(text):
    return load("p.yaml", dedent(text).encode())


def steps(text):
    return plan("name: x\nsteps:\n" + dedent(text)).steps


def problems(text):
    with pytest.raises(InvalidPipelineError) as caught:
        plan(text)
    return [(p.line, p.column, p.message) for p in caught.value.problems]


def test_the_shortest_pipeline():
    pipeline = plan("""
        name: hello
        steps:
          - run: echo "hello, world"
    """)
    assert (pipeline.name, pipeline.file) == ("hello", "p.yaml")
    (step,) = pipeline.steps
    assert (step.id, step.needs, step.run, step.shell, step.line) == ("step-1", (), 'echo "hello, world"', "bash", 4)
    assert (step.timeout_s, step.retry, step.condition) == (None, Retry(), None)


def test_everything_of_the_root():
    pipeline = plan("""
        $schema: https://dagnats.dev/schema/pipeline.schema.json
        name: x
        description: what it is for
        x-anything: [1, {a: b}]
        env: {A: 3.10, B: true, C: "{{ params.a }}", D: 012, E: ""}
        params:
          a: text
          b: 1
          c: 1.5
          d: false
          e: {type: integer, minimum: 1, maximum: 9, help: how many}
          f: {enum: [u, v], required: false}
          g: {default: [1]}
        vars: {v: "{{ params.a }}", w: [1, {k: "{{ vars.v }}"}], s: {sh: "git rev-parse HEAD"}}
        max_parallel: 4
        timeout: 1h30m
        fail_fast: true
        steps: [{id: a, run: x}]
        outputs: {o: "{{ steps.a.outputs.o }} {{ run.outcome }}"}
    """)
    assert pipeline.description == "what it is for"
    assert pipeline.env == {"A": "3.10", "B": "true", "C": "{{ params.a }}", "D": "012", "E": ""}
    assert pipeline.params == {
        "a": Param("string", "text"),
        "b": Param("integer", 1),
        "c": Param("number", 1.5),
        "d": Param("boolean", False),
        "e": Param("integer", required=True, minimum=1, maximum=9, help="how many"),
        "f": Param("string", enum=("u", "v")),
        "g": Param("array", [1]),
    }
    assert pipeline.vars == {
        "v": "{{ params.a }}",
        "w": [1, {"k": "{{ vars.v }}"}],
        "s": {"sh": "git rev-parse HEAD"},
    }
    assert (pipeline.max_parallel, pipeline.timeout_s, pipeline.fail_fast) == (4, 5400.0, True)
    assert pipeline.outputs == {"o": "{{ steps.a.outputs.o }} {{ run.outcome }}"}


def test_everything_of_a_step():
    (step,) = steps(
        """
        - id: a
          name: A {{ params.p }}
          needs: []
          if: "{{ params.p == 'x' and not cancelled() }}"
          run: [one, two]
          shell: [perl, "{0}"]
          working_dir: sub/dir
          env: {K: v}
          timeout: 1.5s
          idle_timeout: 500ms
          retry: {max_attempts: 3, strategy: exponential, initial_delay: 1s, max_delay: 1m, multiplier: 3, jitter: true, on: [1, timeout]}
          allow_failure: true
          outputs: {o: {type: integer, required: true}, p: {}}
        """.replace("{{ params.p }}", "b").replace("params.p", "env.HOME")
    )
    assert (step.name, step.run, step.shell) == ("A b", "one\ntwo", ("perl", "{0}"))
    assert step.condition == "env.HOME == 'x' and not cancelled()"
    assert step.status_functions == {"cancelled"}
    assert (step.timeout_s, step.idle_timeout_s, step.allow_failure) == (1.5, 0.5, True)
    assert step.retry == Retry(3, "exponential", 1.0, 60.0, 3.0, jitter=True, on=(1, "timeout"))
    assert step.outputs == {"o": Output("integer", required=True), "p": Output()}
    assert (step.working_dir, step.env) == ("sub/dir", {"K": "v"})


def test_ids_come_from_names_and_places():
    found = steps(
        """
        - run: a
        - {name: Unit tests!, run: b}
        - {name: unit tests, run: c}
        - {name: "日本", run: d}
        - {name: "{{ vars.x }}", run: e}
        - {id: step-7, run: f}
        - run: g
        """.replace("vars.x", "params")
    )
    assert [step.id for step in found] == [
        "step-1",
        "unit-tests",
        "unit-tests-2",
        "step-4",
        "step-5",
        "step-7",
        "step-7-2",
    ]


def test_a_given_id_wins_over_one_that_is_made():
    assert [step.id for step in steps("- {name: a, run: x}\n- {id: a, run: x}\n")] == ["a-2", "a"]


def test_needs_above_none_and_optional():
    found = steps("""
        - {id: a, run: x}
        - {id: b, run: x}
        - {id: c, needs: [], run: x}
        - {id: d, needs: [a, {step: gone, optional: true}, {step: c, optional: true}], run: x}
        """)
    assert [step.needs for step in found] == [(), ("a",), (), ("a", "c")]


def test_finally_has_its_own_list_and_its_own_time():
    pipeline = plan("""
        name: x
        defaults: {env: {A: "1"}}
        steps: [{id: a, run: x}]
        finally:
          - run: echo {{ steps.a.status }} {{ run.outcome }}
          - {run: y, timeout: 1m}
          - {id: z, needs: [finally-1], run: z}
    """)
    assert [(step.id, step.needs, step.timeout_s) for step in pipeline.finally_steps] == [
        ("finally-1", (), 300.0),
        ("finally-2", ("finally-1",), 60.0),
        ("z", ("finally-1",), 300.0),
    ]


def test_defaults_give_what_a_step_does_not_say():
    pipeline = plan("""
        name: x
        defaults: {timeout: 10m, shell: sh, env: {A: 1, B: 2}, retry: 1}
        steps:
          - {run: x, env: {B: 3, C: 4}, timeout: 5s}
          - {run: y, shell: bash, retry: 0}
        finally: [{run: z}]
    """)
    first, second = pipeline.steps
    assert (first.timeout_s, first.shell, first.env) == (5.0, "sh", {"A": "1", "B": "3", "C": "4"})
    assert (second.timeout_s, second.shell, second.env) == (600.0, "bash", {"A": "1", "B": "2"})
    assert (first.retry.max_attempts, second.retry.max_attempts) == (2, 1)
    assert pipeline.finally_steps[0].timeout_s == 600.0


def test_the_environment_that_templates_mention_is_known():
    pipeline = plan("""
        name: x
        env: {A: "{{ env.HOME }}"}
        steps: [{run: "echo {{ env['LANG'] }}", if: env.CI}]
    """)
    assert pipeline.env_names == {"HOME", "LANG", "CI"}


def test_a_condition_may_be_a_truth_value():
    assert [
        step.condition for step in steps("- {run: x, if: false}\n- {run: x, if: true}\n- {run: x, if: ' always( ) '}\n")
    ] == [
        "false",
        "true",
        "always( )",
    ]


@pytest.mark.parametrize(
    ("written", "seconds"),
    [("500ms", 0.5), ("30s", 30.0), ("5m", 300.0), ("1h30m", 5400.0), ("1h0m1s500ms", 3601.5), ("8760h", 31536000.0)],
)
def test_durations(written, seconds):
    assert steps(f"- {{run: x, timeout: {written}}}\n")[0].timeout_s == seconds


@pytest.mark.parametrize(
    "written", ["5", "5 m", "m", "1m1h", "-5s", "5M", "5d", "1e3s", "0ms", "8761h", '""', "null", "[5s]", ".5s"]
)
def test_what_is_no_duration(written):
    assert [place[0] for place in problems(f"name: x\nsteps:\n- run: x\n  timeout: {written}\n")] == [4]


def test_anchors_and_merge_keys():
    found = steps("""
        - &a {id: a, run: x, env: {A: 1}}
        - <<: *a
          id: b
        - <<: [{run: y}, *a]
          id: c
        """)
    assert [(step.id, step.run, step.env) for step in found] == [
        ("a", "x", {"A": "1"}),
        ("b", "x", {"A": "1"}),
        ("c", "y", {"A": "1"}),
    ]


def test_json_is_read_alike():
    text = '{"name":"x","description":"\\ud83d\\ude00 \\\\ud83d","steps":[{"run":"echo \\"a\\/b\\"","needs":[]}]}'
    pipeline = load("p.json", text.encode())
    assert (pipeline.description, pipeline.steps[0].run) == ("😀 \\ud83d", 'echo "a/b"')


def test_a_byte_order_mark_and_line_ends_of_windows_are_tolerated():
    pipeline = load("p.yaml", "\ufeffname: x\r\nsteps:\r\n  - run: |\r\n      a\r\n      b\r\n".encode())
    assert pipeline.steps[0].run == "a\nb\n"


def test_a_position_in_a_block_of_lines_is_that_of_the_file():
    assert problems("""
        name: x
        steps:
          - run: |

              echo {{ params.a }}
          - run:
              - one
              - two {{ params.b }}
          - run: "a\\n{{ params.c }}"
          - run: >-
              folded {{ params.d }}
    """) == [
        (6, 15, "there is no param `a`"),
        (9, 16, "there is no param `b`"),
        (10, 17, "there is no param `c`"),
        (11, 10, "there is no param `d`"),
    ]


def test_steps_may_be_used_by_those_that_need_them_directly_or_not():
    found = problems("""
        name: x
        steps:
          - {id: a, run: x}
          - {id: b, run: x}
          - {id: c, run: "echo {{ steps.a.outputs.v }}"}
          - {id: d, needs: [], run: "echo {{ steps.a.outputs.v }}"}
        finally:
          - {id: e, run: "echo {{ steps.d.status }}"}
          - {id: f, needs: [], run: "echo {{ steps.e.status }}"}
    """)
    assert found == [
        (7, 38, "step `d` uses `steps.a` and does not need `a`"),
        (10, 38, "step `f` uses `steps.e` and does not need `e`"),
    ]


def test_all_problems_come_at_once_and_in_order():
    found = problems("""
        name: x
        name: y
        stepz: []
        steps:
          - {id: a, needs: [nowhere], runn: x}
          - {id: a, run: "{{ nothing }}", timeout: 5}
    """)
    assert [place[0] for place in found] == [3, 4, 6, 6, 7, 7, 7]


def test_the_work_of_templates_is_not_done_for_files_without_any():
    import subprocess
    import sys

    script = (
        "import sys; from dagnats.definition import load; "
        "load('p', b'name: x\\nsteps: [{run: x, if: always()}, {run: \"${A}\", if: failure()}]'); "
        "sys.exit('jinja2' in sys.modules or 'nats' in sys.modules or 'jsonschema' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0


def test_allow_failure_is_a_truth_or_exit_codes():
    first, second, third = steps("""
        - {run: x, allow_failure: {exit_codes: [2, 77]}}
        - {run: x, allow_failure: false}
        - {run: x, allow_failure: true}
    """)
    assert (first.allow_failure, second.allow_failure, third.allow_failure) == ((2, 77), False, True)


def test_every_default_is_taken_by_a_step_that_does_not_set_it_and_by_no_other():
    found = plan("""
        name: x
        defaults:
          name: a name
          if: always()
          shell: sh
          working_dir: d
          env: {A: "1", B: "2"}
          timeout: 1m
          idle_timeout: 1s
          retry: {max_attempts: 2, initial_delay: 1s}
          allow_failure: {exit_codes: [3]}
          outputs: {o: {required: true}}
        steps:
          - run: x
          - id: own
            name: own name
            if: failure()
            shell: bash
            working_dir: e
            env: {B: "3"}
            timeout: 2m
            idle_timeout: 2s
            retry: {max_attempts: 3}
            allow_failure: false
            outputs: {}
            run: x
        finally: [{run: x}]
    """)
    (first, second), (last,) = found.steps, found.finally_steps
    for one in (first, last):
        assert (one.name, one.condition, one.shell, one.working_dir) == ("a name", "always()", "sh", "d")
        assert (one.env, one.timeout_s, one.idle_timeout_s) == ({"A": "1", "B": "2"}, 60.0, 1.0)
        assert (one.retry, one.allow_failure) == (Retry(2, initial_delay_s=1.0), (3,))
        assert one.outputs == {"o": Output("string", required=True)}
    assert (second.name, second.condition, second.shell, second.working_dir) == ("own name", "failure()", "bash", "e")
    assert (second.env, second.timeout_s, second.idle_timeout_s) == ({"A": "1", "B": "3"}, 120.0, 2.0)
    assert (second.retry, second.allow_failure, second.outputs) == (Retry(3), False, {})


@pytest.mark.parametrize(
    ("text", "uses"),
    [
        ("steps: [{run: 'echo {{ git.sha }}'}]", True),
        ("steps: [{if: git.dirty, run: x}]", True),
        ("vars: {v: '{{ git.tag }}'}\nsteps: [{run: x}]", True),
        ("steps: [{run: git status}]", False),
        ("steps: [{run: 'echo {{ env.git }}'}]", False),
    ],
)
def test_git_is_asked_only_when_a_template_mentions_it(text, uses):
    assert load("p.yaml", f"name: x\n{text}\n".encode()).uses_git is uses


def test_defaults_may_make_instances_and_handlers():
    found = plan(
        """
        name: x
        defaults:
          matrix: {n: [1, 2]}
          mutex: door
          on_failure: [{run: echo {{ failed.step }}}]
        steps:
          - {id: a, run: x}
          - {id: b, matrix: {m: [3]}, mutex: other, on_failure: [{id: own, run: x}], run: x}
          - {id: c, foreach: "[1]", run: x}
    """.replace("run: echo {{ failed.step }}", "run: 'echo {{ failed.step }}'")
    )
    assert [(step.id, step.handles, step.mutex) for step in found.steps] == [
        ("a", None, "door"),
        ("a-on-failure-1", "a", "door"),
        ("b", None, "other"),
        ("own", "b", "door"),
        ("c", None, "door"),
        ("c-on-failure-1", "c", "door"),
    ]
    made = {step.id: step.fan_out for step in found.steps}
    assert made["a"].axes == {"n": (1, 2)}
    assert made["b"].axes == {"m": (3,)}
    assert not made["c"].is_matrix


def test_defaults_that_make_steps_are_rendered_into_them():
    text = """
        name: x
        defaults: {matrix: {n: [1, 2]}, on_failure: [{run: 'echo {{ failed.step }}'}], timeout: 1m}
        steps:
          - {id: a, run: x}
          - {id: b, foreach: [1], run: x}
    """
    root, whole = load_document("p.yaml", dedent(text).encode())
    again = load("p.yaml", to_yaml(document(root, whole, known_values(whole, {}, {}, None))).encode())
    assert [replace(step, line=0) for step in again.steps] == [replace(step, line=0) for step in whole.steps]


@pytest.mark.parametrize("content", ["x" * 131_069, "é" * 65_534 + "x"], ids=["ascii", "not ascii"])
def test_a_variable_that_no_process_can_be_given_is_a_problem_where_it_stands(content):
    fits = f"name: x\nenv: {{A: '{content}'}}\nsteps: [{{run: echo}}]\n"
    assert plan(fits).env == {"A": content}
    said = "the variable `A` is over 128 KiB, more than the system gives to a process"
    assert problems(f"name: x\nenv: {{A: '{content}x'}}\nsteps: [{{run: echo}}]\n") == [(2, 10, said)]
    step = f"{{run: echo, env: {{A: '{content}x'}}}}"
    assert problems(f"name: x\nsteps: [{step}]\n") == [(2, 30, said)]
    assert problems(f"name: x\ndefaults: {{env: {{A: '{content}x'}}}}\nsteps: [{{run: a}}, {{run: b}}]\n") == [
        (2, 21, said)
    ]
