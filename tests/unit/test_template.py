"""Templates: text and values in, values and sentences out."""

import itertools

import pytest

from dagnats.core.text import has_template
from dagnats.template import Reference, TemplateError, check, evaluate, render, render_text, status_functions

CONTEXT = {
    "params": {"title": "a'b", "count": 3, "files": ["x.py", "y.py"], "on": True, "nothing": None},
    "steps": {"build": {"outputs": {"version": "1.2"}, "exit_code": 0}, "my-step": {"status": "succeeded"}},
    "matrix": {"shard": 2},
}


def sentence(text: str) -> str:
    with pytest.raises(TemplateError) as caught:
        render(text, CONTEXT)
    return f"{caught.value.message} [{caught.value.hint}]" if caught.value.hint else caught.value.message


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{{ x }}", True),
        ("{% if x %}", True),
        ("{# x #}", True),
        ("echo $HOME {a,b} ${#list[@]}", False),
        ("", False),
    ],
)
def test_whether_text_has_a_template(text: str, expected: bool) -> None:
    assert has_template(text) is expected


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("plain", "plain"),
        ("{{ params.count }}", 3),
        ("{{ params.on }}", True),
        ("{{ params.nothing }}", None),
        ("{{ params.files }}", ["x.py", "y.py"]),
        ("{{ params.files }}\n", ["x.py", "y.py"]),
        (" {{ params.count }}", " 3"),
        ("{{ params.count }}{{ params.on }}{{ params.nothing }}{{ params.files }}", '3true["x.py","y.py"]'),
        ("{{ steps['my-step'].status }}", "succeeded"),
        ("{{ params.files[-1] }}", "y.py"),
        ("{{ params.files[:1] }}", ["x.py"]),
        ("{{ 'a' if params.on else 'b' }}", "a"),
        ("{{ params.count + 1 == 4 and 'x.py' in params.files }}", True),
        ("{{ 1 < params.count < 5 }}", True),
        ("{{ 7 // 2 }} {{ 7 % 2 }} {{ 2 ** 10 }} {{ -params.count }} {{ 1 / 2 }}", "3 1 1024 -3 0.5"),
        ("{{ 'a' ~ 1 ~ true }}", "a1true"),
        ("{{ {'a': [1, none]} }}", {"a": [1, None]}),
        ("{% set x = 2 %}{{ x * 3 }}", "6"),
        ("{% if matrix.shard == 1 %}a{% elif matrix.shard == 2 %}b{% else %}c{% endif %}", "b"),
        (
            "{% for f in params.files %}{{ loop.index }}{{ f }}{% if not loop.last %},{% endif %}{% endfor %}",
            "1x.py,2y.py",
        ),
        ("{% for k, v in {'a': 1, 'b': 2} | items if v > 1 %}{{ k }}{{ v }}{{ loop.length }}{% endfor %}", "b21"),
        ("{% for x in [] %}a{% else %}none{% endfor %}", "none"),
        ("{% set x = 1 %}{% for i in [1] %}{% set x = 2 %}{% endfor %}{{ x }}", "1"),
        ("{% for i in range(1, 7, 2) %}{{ i }}{% endfor %}", "135"),
        ("a{# not shown #}b", "ab"),
        ("{% raw %}{{ x }}{% endraw %}", "{{ x }}"),
        ("${#list[@]} $HOME \r\n {{ params.count }}\r\n", "${#list[@]} $HOME \r\n 3\r\n"),
        ("{{ params.none_such | default('d') }}", "d"),
        ("{{ '' | default('d', true) }}", "d"),
        ("{{ params.none_such is defined }}", False),
        ("{{ params.count is odd and params.title is string and params.on is true }}", True),
        ("{{ params.title | raw }}!", "a'b!"),
    ],
)
def test_the_value_of_a_string(text: str, value: object) -> None:
    assert render(text, CONTEXT) == value


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("' a ' | trim | upper", "A"),
        ("'a.b' | replace('.', '-') | title", "A-B"),
        ("[3, 1, 2] | sort(reverse=true) | join(',')", "3,2,1"),
        ("[1, 1, true, 'a', [2], [2]] | unique", [1, True, "a", [2]]),
        ("[1, 2, 1, 3, 2] | unique", [1, 2, 3]),
        ("[{'n': 2}, {'n': 1}] | sort(attribute='n') | map(attribute='n')", [1, 2]),
        ("[{'n': 2, 'ok': true}, {'n': 1, 'ok': false}] | selectattr('ok') | map(attribute='n')", [2]),
        ("[{'n': 2}, {'n': 1}] | rejectattr('n', 'eq', 2)", [{"n": 1}]),
        ("range(5) | select('odd') | sum", 4),
        ("[] | first | default('none')", "none"),
        ("['a', 'b'] | last", "b"),
        ("[1, 5, 2] | max - [1, 5, 2] | min", 4),
        ("'12' | int + '0.5' | float", 12.5),
        ("'x' | int(7)", 7),
        ("2.567 | round(2)", 2.57),
        ("-3 | abs", 3),
        ("'a,b' | split(',') | reverse | list", ["b", "a"]),
        ("' a  b ' | split", ["a", "b"]),
        ("{'a': 1} | items", [["a", 1]]),
        ("{'a': 1} | keys + {'a': 1} | values", ["a", 1]),
        ("'/a/b.txt' | basename ~ ' ' ~ '/a/b.txt' | dirname", "b.txt /a"),
        ("'[1, {\"a\": null}]' | fromjson", [1, {"a": None}]),
        ("{'a': 'ü'} | tojson", '{"a":"ü"}'),
        ("[1] | tojson(2)", "[\n  1\n]"),
        ("'abcdef' | truncate(5)", "ab..."),
        ("'a\nb' | indent(2)", "a\n  b"),
        ("'HELLO' | capitalize | length", 5),
        ("true | string", "true"),
    ],
)
def test_filters(expression: str, value: object) -> None:
    found = evaluate(expression, {})
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{{ steps.build.outputs.vresion }}", "`steps.build.outputs.vresion` is not defined; did you mean `version`?"),
        ("{{ stesp.build }}", "`stesp` is not defined; did you mean `steps`?"),
        ("{{ params.files[9] }}", "`params.files[9]` is not defined: a list of 2 has no element 9"),
        ("{{ [params.none_such] }}", "`params.none_such` is not defined"),
        ("{{ 'x' if false }}", "the condition after `if` is false, and there is no `else`"),
        ("{{ 1 + 'a' }}", "can not add an integer and a string [`~` joins values as text]"),
        ("{{ 1 < 'a' }}", "can not compare an integer with a string [`| int` reads text as an integer]"),
        ("{{ 1 / 0 }}", "division by zero"),
        ("{{ 'abc' | int }}", "`int`: can not read 'abc' as an integer [give a default, as in `| int(0)`]"),
        ("{{ '{\"a\" 1}' | fromjson }}", "`fromjson`: not JSON: Expecting ':' delimiter at line 1 column 6"),
        ("{% for c in 'ab' %}{% endfor %}", "can not loop over a string [`| split` makes a list of a string]"),
        ("{% for a, b in [[1]] %}{% endfor %}", "expected a list of 2 for `a, b`, got a list of 1"),
        (
            "{{ params.count | raw | upper }}",
            "`raw` must be the last filter of an interpolation, and takes no arguments",
        ),
        ("{{ x | uper }}", "there is no filter `uper` [did you mean `upper`?]"),
        ("{{ x is definde }}", "there is no test `definde` [did you mean `defined`?]"),
        (
            "{{ x | replace('a') }}",
            "the filter `replace` can not take these arguments: missing a required argument: 'new'",
        ),
        ("{{ success() }}", "`success()` is only known in an `if`"),
        ("{{ params.items() }}", "methods can not be called [write `| items`]"),
        ("{% include 'x' %}", "`{% include %}` is not available [there are `if`, `for`, `set` and `raw`]"),
    ],
)
def test_errors_say_what_and_what_to_do(text: str, expected: str) -> None:
    assert sentence(text) == expected


def test_a_dash_in_an_id_is_no_subtraction() -> None:
    for reference, name in [
        ("steps.my-step.outputs.x", "my-step"),
        ("steps.a-b-2.status", "a-b-2"),
        ("steps.a-b", "a-b"),
    ]:
        with pytest.raises(TemplateError) as caught:
            check(reference, expression=True)
        assert caught.value.hint == f"write steps['{name}'] because the id has a dash"
    assert evaluate("steps.build.exit_code - matrix.shard", CONTEXT) == -2


@pytest.mark.parametrize(
    "text",
    [
        "{% include 'x' %}",
        "{% extends 'x' %}",
        "{% import 'x' as x %}",
        "{% from 'x' import y %}",
        "{% macro x() %}{% endmacro %}",
        "{% call x() %}{% endcall %}",
        "{% block x %}{% endblock %}",
        "{% filter upper %}x{% endfilter %}",
        "{% set x %}y{% endset %}",
        "{% set x.y = 1 %}",
        "{% autoescape true %}x{% endautoescape %}",
        "{% for x in y recursive %}{% endfor %}",
        "{{ ''.__class__ }}",
        "{{ x | attr('__class__') }}",
        "{{ '{0.__class__}'.format(x) }}",
        "{{ '{0.__class__}' | format(x) }}",
        "{{ range.__init__() }}",
        "{{ range(*x) }}",
        "{{ x(y) }}",
        "{{ x | map('upper', *y) }}",
        "{{ x[0]() }}",
        "{{ lipsum() }}",
        "{{ namespace() }}",
    ],
)
def test_constructs_that_are_refused_before_a_run(text: str) -> None:
    with pytest.raises(TemplateError):
        check(text)


@pytest.mark.parametrize(
    "text",
    [
        "{{ params.title.__class__ }}",
        "{{ params['__class__'] }}",
        "{{ params.files.append }}",
        "{{ range(3).__len__ }}",
        "{{ self }}",
        "{{ '%1000000000d' % 5 }}",
        "{{ [params] | map(attribute='__class__') }}",
    ],
)
def test_attempts_to_reach_python(text: str) -> None:
    assert sentence(text)


@pytest.mark.parametrize(
    "text",
    [
        "{{ 'a' * 10**9 }}",
        "{{ [1] * 10**9 }}",
        "{{ 10**9 * 'a' }}",
        "{{ 2 ** (10 ** 9) }}",
        "{{ 9999999999 ** 9999999999 }}",
        "{% set x = 'a' * 1000000 %}{{ x + x }}",
        "{% set x = 'a' * 1000000 %}{{ x ~ x }}",
        "{% set x = 'a' * 1000000 %}{{ x }}{{ x }}",
        "{% set x = 'a' * 1000000 %}{{ x | replace('a', x) }}",
        "{% set x = 'a' * 1000000 %}{{ [x, x] }}",
        "{% set x = 'a' * 1000000 %}{{ x | split('a') }}",
        "{% set x = 'a' * 1000000 %}{{ x | list }}",
        "{% set x = 'a' * 1000 %}{{ range(5000) | join(x) }}",
        "{% set x = '\n' * 100000 ~ 'a' %}{{ ('a\n' * 100000) | indent(100) }}",
        "{% set x = 1 | round(-1000000000) %}",
        "{{ [1] | tojson(1000000000) }}",
        "{{ range(10001) }}",
        "{% set a = [1] * 1000 %}{% set b = [a] * 1000 %}",
        "{% for i in range(101) %}{% for j in range(101) %}{% endfor %}{% endfor %}",
        "{% set a = [[1]] * 30000 %}" + "{% set a = [a, a] %}" * 40,
        "{{ " + "(" * 400 + "1" + ")" * 400 + " }}",
        "{{ " + "1 + " * 5000 + "1 }}",
        "{{ " + "not " * 5000 + "1 }}",
        "{% if x %}" * 500 + "{% endif %}" * 500,
        "{% for x in y %}" * 9 + "{% endfor %}" * 9,
        "{{ " + "9" * 5000 + " }}",
        "{{ 1e999 }}",
        "{{ 1e308 * 10 }}",
        "{{ '" + "[" * 60000 + "' | fromjson }}",
        "{{ '[NaN]' | fromjson }}",
        "{{ '" + "a" * 66000 + "' }}",
        "{{ '\\ud800' }}!",
    ],
)
def test_what_would_cost_too_much_is_refused(text: str) -> None:
    assert sentence(text)


def test_what_is_not_reached_costs_nothing() -> None:
    assert render("{% if false %}{{ 'a' * 10**9 }}{{ 1 / 0 }}{% endif %}done", {}) == "done"


def test_a_render_ends_by_the_clock() -> None:
    seconds = itertools.count()
    with pytest.raises(TemplateError, match="takes over 2 seconds"):
        render("{{ 1 + 2 + 3 + 4 }}", {}, clock=lambda: float(next(seconds)))


def test_errors_have_the_line() -> None:
    with pytest.raises(TemplateError) as caught:
        render("a\nb\n{{ params.none_such }}", CONTEXT)
    assert caught.value.line == 3
    with pytest.raises(TemplateError) as caught:
        check("a\n{{ x | nope }}")
    assert caught.value.line == 2
    with pytest.raises(TemplateError) as caught:
        check("a\n\n{{ }}")
    assert caught.value.line == 3


def test_braces_of_something_else_are_explained() -> None:
    assert "{% raw %}" in sentence("docker ps --format '{{.Names}}'")


def test_references_are_uses_of_the_context() -> None:
    text = (
        "{{ params.x }}{% for i in steps.a.outputs[matrix.b].c %}{{ i.z }}{{ loop.index }}{% endfor %}\n{{ i.q | raw }}"
    )
    assert check(text) == (
        Reference(("params", "x"), 1),
        Reference(("matrix", "b"), 1),
        Reference(("steps", "a", "outputs"), 1),
        Reference(("i", "q"), 2, raw=True),
    )
    assert check("{% set v = vars.a %}{{ v }}{{ y['a'][0] | default(z) }}") == (
        Reference(("vars", "a"), 1, sure=False),
        Reference(("y", "a", "0"), 1, sure=False),
        Reference(("z",), 1),
    )
    assert check("steps.build.outputs.version == '1'", expression=True) == (
        Reference(("steps", "build", "outputs", "version"), 1, beside="1"),
    )


@pytest.mark.parametrize(
    ("expression", "beside"),
    [
        ("a.b == 'x'", ["x"]),
        ("'x' != a['b']", ["x"]),
        ("a.b == 'x' or a.b == 'y'", ["x", "y"]),
        ("a.b == 1", [None]),
        ("a.b > 'x'", [None]),
        ("'w' < a.b == 'x'", [None]),
        ("a.b == 'x' ~ c.d", [None, None]),
        ("a.b | lower == 'x'", [None]),
        ("a[c.d].b == 'x'", [None, None]),
        ("a == 'x' and a.b", [None, None]),
        ("a.b in ['x']", [None]),
    ],
)
def test_the_text_that_a_reference_is_compared_with(expression: str, beside: list[str | None]) -> None:
    assert [reference.beside for reference in check(expression, expression=True)] == beside


def test_conditions() -> None:
    functions = {"failure": lambda: True, "success": lambda: False}
    assert evaluate("failure() and params.count == 3", CONTEXT, functions) is True
    assert evaluate("{{ success() or params.count > 3 }}", CONTEXT, functions) is False
    assert status_functions("{{ always() or not failure() }}") == {"always", "failure"}
    assert status_functions("params.on") == set()


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("failure", "`failure` is a function: write `failure()`"),
        ("failure(1)", "`failure()` takes no arguments"),
        ("cancelled()", "`cancelled()` is not known here"),
        ("", "the expression is empty"),
        ("{{ a }} and {{ b }}", "expected one expression"),
        ("params.count = 3", "there is more after the expression: '='"),
    ],
)
def test_conditions_that_are_wrong(expression: str, expected: str) -> None:
    with pytest.raises(TemplateError) as caught:
        evaluate(expression, CONTEXT, {"failure": lambda: True})
    assert caught.value.message == expected


def test_text_is_always_text() -> None:
    assert render_text("{{ params.on }}", CONTEXT) == "true"
    assert render_text("{{ params.nothing }}", CONTEXT) == ""
    assert render_text("{{ params.files }}", CONTEXT) == '["x.py","y.py"]'
    assert render_text("{{ 1.5 }}", {}) == "1.5"


@pytest.mark.parametrize(
    ("text", "needed"),
    [
        ("{{ env.A }} {{ env.B | upper }} {{ [env.C] | join }}", "A B C"),
        ("{{ env.A | default(env.B) }} {{ env.C | trim | d('') }}", "B"),
        ("{{ env.A is defined }} {{ env.B is undefined }}", ""),
        ("{{ env.A and env.B }} {{ env.C or env.D }}", "A C"),
        ("{{ env.A if env.B else env.C }}", "B"),
        ("{% if env.A %}{{ env.B }}{% elif env.C %}{% else %}{{ env.D }}{% endif %}{{ env.E }}", "A E"),
        ("{% for x in env.A %}{{ env.B }}{% endfor %}", "A"),
        ("{% set x = env.A %}{{ x | default('') }}", ""),
    ],
)
def test_what_is_needed_whatever_the_values_are(text: str, needed: str) -> None:
    assert [
        reference.path[1] for reference in check(text) if reference.sure and reference.path[0] == "env"
    ] == needed.split()


def test_only_the_first_part_of_a_chain_is_sure_to_be_evaluated():
    found = {reference.path: reference.sure for reference in check("params.a == params.b == env.C", expression=True)}
    assert found == {("params", "a"): True, ("params", "b"): True, ("env", "C"): False}
