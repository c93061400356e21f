"""What `--strict` adds: values from outside that become code, needs without effect, steps that nobody needs."""

import sys
from textwrap import dedent

import pytest

from dagnats.definition import InvalidPipelineError, load, to_json
from dagnats.definition.needs import Ancestry, Draft
from dagnats.definition.tree import Node


def warnings(text):
    text = dedent(text).encode()
    load("p.yaml", text)  # without `strict` nothing of it is said
    try:
        load("p.yaml", text, strict=True)
    except InvalidPipelineError as error:
        return [(p.line, p.column, p.length, p.message) for p in error.problems if p.severity == "warning"]
    return []


HEAD = """\
name: x
params:
  text: {type: string}
  count: {type: integer, default: 1}
  flag: false
  level: {default: a, enum: [a, b]}
  list: {type: array, default: []}
vars:
  fixed: a
  made: "{{ vars.fixed }} {{ params.count }}"
  open: "x {{ params.text }}"
  through: {deep: ["{{ vars.open }}"]}
  printed: {sh: date}
"""


def of(step):
    return [
        message for _, _, _, message in warnings(HEAD + "steps:\n  - {id: a, outputs: {o: {}}, run: x}\n  - " + step)
    ]


@pytest.mark.parametrize(
    "value",
    [
        "params.text",
        "params.list",
        "env.TITLE",
        "git.branch",
        "git.tag",
        "vars.open",
        "vars.through",
        "vars.printed",
        "steps.a.outputs.o",
        "steps.a.outputs",
    ],
)
def test_a_value_from_outside_that_is_pasted(value):
    assert of(f'run: "echo {{{{ {value} | raw }}}}"') == [
        f"`{value}` can come from outside, and `| raw` makes code of it"
    ]
    assert of(f'run: "echo {{{{ {value} }}}}"') == []


@pytest.mark.parametrize(
    "value",
    [
        "params.count",
        "params.flag",
        "params.level",
        "vars.fixed",
        "vars.made",
        "git.sha",
        "git.dirty",
        "pipeline.name",
        "run.id",
        "steps.a.status",
        "steps.a.exit_code",
        "'-x'",
    ],
)
def test_a_value_that_is_no_code_may_be_pasted(value):
    assert of(f'run: "echo {{{{ {value} | raw }}}}"') == []


@pytest.mark.parametrize(
    "script",
    [
        "{% set x = params.text %}{{ x | raw }}",
        "{% set x = params.text %}{% set y = x ~ '!' %}{{ y | raw }}",
        "{% for x in params.text.parts %}{{ x | raw }}{% endfor %}",
        "{{ (params.text ~ 'x') | raw }}",
        "{{ params.text | upper | raw }}",
        "{{ (vars.fixed if params.flag else params.text) | raw }}",
    ],
)
def test_a_value_that_takes_a_detour(script):
    assert of(f'run: "{script}"')[0].endswith("can come from outside, and `| raw` makes code of it")


def test_items_of_a_list_that_is_worked_out_come_from_outside():
    assert of('{foreach: steps.a.outputs, run: "{{ item | raw }}"}') == [
        "`item` can come from outside, and `| raw` makes code of it"
    ]
    assert of('{foreach: [a, b], run: "{{ item | raw }}"}') == []
    assert of('{matrix: {n: [1]}, run: "{{ matrix.n | raw }}"}') == []


def test_a_script_of_a_var_and_of_a_handler():
    assert warnings("""
        name: x
        vars: {v: {sh: "ls {{ env.DIR | raw }}"}}
        steps:
          - run: x
            on_failure: [{run: "echo {{ failed.error | raw }}"}]
    """) == [
        (3, 23, 7, "`env.DIR` can come from outside, and `| raw` makes code of it"),
        (6, 33, 12, "`failed.error` can come from outside, and `| raw` makes code of it"),
    ]


def test_the_place_is_that_of_the_pasted_use():
    assert warnings("""
        name: x
        params: {t: a}
        steps:
          - run: |
              echo
              echo "{{ params.t }}" {{ params.t | raw }}
    """) == [(7, 32, 8, "`params.t` can come from outside, and `| raw` makes code of it")]


@pytest.mark.parametrize(
    ("command", "found"),
    [
        ("[bash, -c, 'echo {{ params.text }}']", True),
        ("[/bin/sh, -ec, 'echo {{ params.text }}']", True),
        ("[python3, -c, 'print({{ params.text }})']", True),
        ("[perl, -e, '{{ env.X }}']", True),
        ("[pwsh, -Command, '{{ env.X }}']", True),
        ("[bash, -c, 'echo $1', x, '{{ params.text }}']", False),
        ("[bash, -c, 'echo {{ params.count }}']", False),
        ("[grep, -c, '{{ params.text }}']", False),
        ("[bash, '{{ params.text }}']", False),
    ],
)
def test_an_argument_that_is_a_script(command, found):
    messages = of(f"command: {command}")
    assert bool(messages) is found
    assert all("takes it for code here" in message for message in messages)


def test_needs_that_another_need_implies():
    assert warnings("""
        name: x
        steps:
          - {id: a, run: x}
          - {id: b, run: x}
          - {id: c, needs: [b, a], run: x}
          - {id: d, needs: [c, {step: a}, b], run: x}
          - {id: e, needs: [d], run: x}
    """) == [
        (6, 24, 1, "step `c` needs `a` already because it needs `b`"),
        (7, 31, 1, "step `d` needs `a` already because it needs `c`"),
        (7, 35, 1, "step `d` needs `b` already because it needs `c`"),
    ]


def forgotten(steps, more=""):
    return [message for _, _, _, message in warnings(f"name: x\nsteps:\n{dedent(steps)}{more}")]


ALONE = "needs nothing and nobody needs it, while other steps of the list need each other"


def test_a_step_that_stands_alone():
    text = "- {id: a, run: x}\n- {id: lint, needs: [], run: x}\n- {id: c, needs: [a], run: x}\n"
    assert forgotten(text) == [f"step `lint` {ALONE}"]
    assert forgotten(text.replace("needs: [], run", "needs: [], allow_failure: true, run")) == []
    assert forgotten(text.replace("needs: [], run", "needs: [], if: always(), run")) == []
    assert forgotten(text, "finally: [{run: 'echo {{ steps.lint.status }}'}]\n") == []
    assert forgotten(text.replace("needs: [a]", "needs: [a, lint]")) == []


@pytest.mark.parametrize(
    "steps",
    [
        "- {run: x}\n- {run: x}\n- {run: x}\n",
        "- {needs: [], run: x}\n- {needs: [], run: x}\n- {needs: [], run: x}\n",
        "- {id: a, run: x}\n- {id: b, needs: [a], run: x}\n- {id: c, needs: [a], run: x}\n",
        "- {id: a, run: x}\n- {id: b, needs: [a], run: x}\n- {id: c, needs: [], run: x}\n",
    ],
)
def test_ends_of_chains_and_lists_without_a_graph_are_fine(steps):
    assert forgotten(steps) == []


def test_outputs_that_nobody_reads():
    text = "- {id: a, run: x}\n- {id: b, needs: [a], outputs: {o: {}}, run: x}\n- {id: c, needs: [a], run: x}\n"
    assert forgotten(text) == ["step `b` declares outputs, and nobody needs it or reads them"]
    assert forgotten(text, "outputs: {o: '{{ steps.b.outputs.o }}'}\n") == []


def test_in_a_file_with_errors_the_graph_is_not_judged():
    text = b"name: x\nsteps:\n  - {id: a, needs: [b], run: x}\n  - {id: b, needs: [a], run: x}\n"
    with pytest.raises(InvalidPipelineError) as caught:
        load("p.yaml", text, strict=True)
    (problem,) = caught.value.problems
    assert problem.severity == "error"


def work(width):
    """How many instructions it takes to judge a step that needs so many others: the same on every machine."""
    ids = [f"s{number}" for number in range(width)]
    nothing = Node(None, 1, 1)
    drafts = [Draft(id_, nothing, index) for index, id_ in enumerate(ids)]
    drafts.append(Draft("last", nothing, width, ids, dict.fromkeys(ids, nothing)))
    count = 0

    def trace(frame, event, _argument):
        nonlocal count
        frame.f_trace_opcodes = True
        count += event == "opcode"
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        assert Ancestry(drafts).implied(drafts[-1]) == []
    finally:
        sys.settrace(before)
    return count


def test_a_graph_of_twice_the_width_takes_twice_the_work():
    assert work(400) < 2.5 * work(200)


def test_a_warning_is_marked_in_both_forms():
    with pytest.raises(InvalidPipelineError) as caught:
        load("p.yaml", b"name: x\nparams: {t: a}\nsteps: [{run: '{{ params.t | raw }}'}]\n", strict=True)
    assert str(caught.value).startswith("p.yaml:3:19: warning: `params.t` can come from outside")
    assert to_json(caught.value.problems)[0]["severity"] == "warning"
