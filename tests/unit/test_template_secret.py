"""What a template may do with a secret, and what it may not."""

import pytest

from dagnats.template import check_secrets, render_secret_script, render_secret_text

CONTEXT = {
    "secrets": {"A": "alpha-1", "B": " beta-22 ", "J": '{"k": {"x": "inner-9"}}'},
    "params": {"p": "q", "yes": True},
}


@pytest.mark.parametrize(
    ("text", "expected", "made"),
    [
        ("{{ secrets.A }}", "alpha-1", {"alpha-1"}),
        ("{{ secrets['A'] }}{{ params.p }}", "alpha-1q", {"alpha-1"}),
        ("{{ secrets.B | trim | upper }}", "BETA-22", {" beta-22 ", "beta-22", "BETA-22"}),
        ("{{ params.p ~ secrets.A }}", "qalpha-1", {"alpha-1"}),
        ("{{ (params.p ~ secrets.A) | upper }}", "QALPHA-1", {"alpha-1", "QALPHA-1"}),
        ("{{ secrets.A if params.yes else secrets.B }}", "alpha-1", {"alpha-1"}),
        (
            "{{ (secrets.J | fromjson).k.x }}",
            "inner-9",
            {'{"k": {"x": "inner-9"}}', '{"k":{"x":"inner-9"}}', '{"x":"inner-9"}', "inner-9"},
        ),
        ("{% for i in [1, 2] %}{{ secrets.A ~ i }} {% endfor %}", "alpha-11 alpha-12 ", {"alpha-1"}),
        ("{% if params.yes %}{{ secrets.A | replace('-', '+') }}{% endif %}", "alpha+1", {"alpha-1", "alpha+1"}),
        ("{{ params.p | upper }}", "Q", set()),
    ],
)
def test_what_is_allowed(text, expected, made):
    assert check_secrets(text) == []
    assert render_secret_text(text, CONTEXT) == (expected, made)


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("{{ secrets.A | raw }}", "pasted"),
        ("{{ (secrets.A | upper) | raw }}", "pasted"),
        ("{{ (params.p ~ secrets.A) | raw }}", "pasted"),
        ("{{ secrets.A | length }}", "filter `length`"),
        ("{{ secrets.A | first }}", "filter `first`"),
        ("{{ secrets.A | truncate(3) | upper }}", "filter `truncate`"),
        ("{{ params.p | replace('q', secrets.A) }}", "argument of `replace`"),
        ("{{ params.p | default(secrets.A) }}", "filter `default`"),
        ("{{ secrets.A[0] }}", "a part of it"),
        ("{{ secrets.A[0:3] }}", "a slice"),
        ("{{ secrets.A.x }}", "a part of it"),
        ("{{ (secrets.A | trim)[1] }}", "a part of it"),
        ("{{ (secrets.J | fromjson)[params.p] }}", "not constant"),
        ("{{ secrets[params.p] }}", "not constant"),
        ("{{ secrets.A == 'x' }}", "in a comparison"),
        ("{{ 'x' if secrets.A else 'y' }}", "in a condition"),
        ("{{ secrets.A or secrets.B }}", "in a condition"),
        ("{{ secrets.A is defined }}", "in a test"),
        ("{{ secrets.A + 'x' }}", "in this expression"),
        ("{{ [secrets.A] | join }}", "filter `join`"),
        ("{{ [secrets.A] }}", "in a list"),
        ("{{ {'a': secrets.A} }}", "in a map"),
        ("{{ range(secrets.A) }}", "argument of a function"),
        ("{% if secrets.A %}x{% endif %}", "not in `{% … %}`"),
        ("{% if params.p %}{% if secrets.A %}x{% endif %}{% endif %}", "not in `{% … %}`"),
        ("{% if params.p %}x{% elif secrets.A %}y{% endif %}", "not in `{% … %}`"),
        ("{% for c in secrets.A %}{{ c | raw }}{% endfor %}", "not in `{% … %}`"),
        ("{% for c in [1] if secrets.A %}x{% else %}y{% endfor %}", "not in `{% … %}`"),
        ("{% set t = secrets.A %}{{ t | raw }}", "not in `{% … %}`"),
        ("{% for c in [1] %}{% set t = secrets.A %}{% endfor %}", "not in `{% … %}`"),
        ("{% set secrets = params.p %}{{ secrets | raw }}", "not in `{% … %}`"),
    ],
)
def test_what_is_not(text, word):
    problems = check_secrets(text)
    assert problems
    assert any(word in problem.message for problem in problems), [problem.message for problem in problems]
    assert all(problem.hint for problem in problems)


def test_a_script_has_references_only():
    script, env, made = render_secret_script("a {{ secrets.A }} {{ params.p }}", CONTEXT, "pwsh")
    assert script == "a ${env:DAGNATS_V1} ${env:DAGNATS_V2}"
    assert env == {"DAGNATS_V1": "alpha-1", "DAGNATS_V2": "q"}
    assert made == {"alpha-1"}


def test_the_line_of_a_problem_is_that_of_the_template():
    assert [problem.line for problem in check_secrets("a\n{{ secrets.A | raw }}\n\n{{ secrets.A | first }}")] == [2, 4]
