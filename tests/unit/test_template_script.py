"""Scripts: a value never becomes code, and an interpolation that would not work is found before the run."""

import subprocess
import sys

import pytest

from dagnats.core.shells import language
from dagnats.template import TemplateError, check_script, render_script

CONTEXT = {"x": "a b", "n": 3, "list": ["p", "q", "p"]}


def test_each_interpolation_is_a_variable() -> None:
    script, environment = render_script("echo {{ x }} {{ n }} '$HOME' {{ 'const' }} ${#y}\n", CONTEXT, "bash")
    assert script == "echo ${DAGNATS_V1} ${DAGNATS_V2} '$HOME' ${DAGNATS_V3} ${#y}\n"
    assert environment == {"DAGNATS_V1": "a b", "DAGNATS_V2": "3", "DAGNATS_V3": "const"}


def test_each_turn_of_a_loop_has_its_value_and_equal_ones_share() -> None:
    script, environment = render_script("{% for i in list %}{{ i }};{% endfor %}", CONTEXT, "sh")
    assert script == "${DAGNATS_V1};${DAGNATS_V2};${DAGNATS_V1};"
    assert environment == {"DAGNATS_V1": "p", "DAGNATS_V2": "q"}


def test_a_script_without_templates_is_left_alone() -> None:
    text = "echo ${#list[@]} \r\n$(x) `y` {a}"
    assert render_script(text, CONTEXT, "bash") == (text, {})


def test_other_shells() -> None:
    assert render_script("{{ x }}", CONTEXT, "pwsh")[0] == "${env:DAGNATS_V1}"
    assert render_script("{{ x }}", CONTEXT, ("dash", "{0}"))[0] == "${DAGNATS_V1}"
    assert render_script("{{ x }}", CONTEXT, ("python3", "-u", "{0}")) == ("'\\x61 b'", {})
    assert render_script("{{ x }}", CONTEXT, ("powershell", "{0}"))[0] == "${env:DAGNATS_V1}"
    with pytest.raises(TemplateError, match="in this language"):
        render_script("{{ x }}", CONTEXT, ("node", "{0}"))


def test_raw_pastes() -> None:
    assert render_script("{{ x | raw }}", {"x": "$(date)"}, "bash") == ("$(date)", {})


@pytest.mark.parametrize(
    ("value", "expected"),
    [("a\0b", "NUL"), ("a" * 140_000, "128 KiB"), ("\ud800", "surrogate")],
)
def test_values_that_no_environment_can_hold(value: str, expected: str) -> None:
    with pytest.raises(TemplateError, match=expected):
        render_script("{{ x }}", {"x": value}, "bash")


@pytest.mark.parametrize("value", ["", "plain", "it's", '"; import os; "', "\n\\\t{}\0é\U0001f600", "'''", '"""'])
def test_python_gets_a_literal(value: str) -> None:
    script, environment = render_script("import sys; sys.stdout.buffer.write({{ x }}.encode())", {"x": value}, "python")
    assert environment == {}
    printed = subprocess.run([sys.executable, "-c", script], capture_output=True, check=True).stdout
    assert printed.decode() == value


@pytest.mark.parametrize(
    "around", ["'{}'", '"{}"', '"""{}"""', "'''{}'''", "f'{}'", 'f"{}"', "# {}\n", "r'{}'", "b'{}'"]
)
@pytest.mark.parametrize(
    "value", ["'+evil()+'", '"+evil()+"', "{evil()}", "\nevil()\n", "or evil()", '"""\nevil()\n"""']
)
def test_python_stays_data_also_within_another_literal(around: str, value: str) -> None:
    script, _ = render_script("x = 1\n" + around.format("{{ x }}"), {"x": value}, "python")
    called: list[str] = []
    try:
        code = compile(script, "<script>", "exec")
    except SyntaxError:
        return
    exec(code, {"evil": lambda: called.append("evil")})
    assert called == []


def test_only_bash_has_quotes_with_escapes() -> None:
    assert len(check_script("echo $'a\\'{{ x }}'", "bash")) == 1
    assert check_script("echo $'a\\'{{ x }}'", "sh") == []


SINGLE = "an interpolation in single quotes is not expanded"
HERE = "an interpolation in a here-document with a quoted delimiter is not expanded"


@pytest.mark.parametrize(
    ("script", "found"),
    [
        ("echo '{{ x }}'", [(1, SINGLE)]),
        ("echo 'a\n{{ x }}'\n", [(2, SINGLE)]),
        ("echo \"$(echo '{{ x }}')\"", [(1, SINGLE)]),
        ("cat <<'EOF'\n{{ x }}\nEOF\necho {{ x }} '{{ x }}'", [(2, HERE), (4, SINGLE)]),
        ('cat <<-"EOF" | sort\n\t{{ x }}\n\tEOF\necho {{ x }}', [(2, HERE)]),
        ("cat <<\\EOF\n{{ x }}\nEOF", [(2, HERE)]),
        ("cat <<A <<'B'\n{{ x }}\nA\n{{ x }}\nB\n", [(4, HERE)]),
        ("{% for i in list %}echo '{{ i }}'\n{% endfor %}", [(1, SINGLE)]),
        ("echo '{% if x %}a{% endif %}{{ x }}'", [(1, SINGLE)]),
        ("echo ${{ x }}", [(1, "a `$` before an interpolation is not part of it")]),
        ("echo \\{{ x }}", [(1, "a backslash before an interpolation keeps it from being expanded")]),
    ],
)
def test_interpolations_that_bash_would_not_expand(script: str, found: list[tuple[int, str]]) -> None:
    for shell in ("bash", "sh"):
        problems = check_script(script, shell)
        assert [(problem.line, problem.message) for problem in problems] == found
        assert all(problem.hint for problem in problems)


@pytest.mark.parametrize(
    "script",
    [
        'echo {{ x }} "{{ x }}" "it\'s {{ x }}" \\\'{{ x }}\\\'',
        "echo 'a '\"{{ x }}\"' b'",
        "cat <<EOF\n'{{ x }}'\nEOF\necho {{ x }}",
        "cat <<< '' {{ x }}",
        "# don't {{ x }}\necho {{ x }}",
        "echo a#'b' {{ x }} ${y#'a'} {{ x }}",
        'echo "${y:-it\'s {{ x }}}" {{ x }}',
        "echo $((1 << 2)) {{ x }}",
        "echo $$ $${{ x }}",
        "{% if x %}echo '{% endif %}{{ x }}'",
        "echo \"`echo '{{ x }}'`\"",
        "echo \"$(case a in a) echo 'b';; esac)\" {{ x }}",
        "echo '{{ x | raw }}'",
        "echo '{# {{ x }} #}'",
        "echo '{{' ",
        "{% raw %}'{{ x }}'{% endraw %}",
    ],
)
def test_interpolations_that_are_fine_or_in_doubt(script: str) -> None:
    assert check_script(script, "bash") == []


@pytest.mark.parametrize(
    ("script", "lines"),
    [
        ("Write '{{ x }}' \"{{ x }}\"", [1]),
        ("@'\n{{ x }}\n'@\n@\"\n{{ x }}'\n\"@", [2]),
        ("# don't\nWrite {{ x }} '{{ x }}'", [2]),
        ("<# ' #> {{ x }}", []),
        ("Write \"$(f 'a')\" '{{ x }}'", [1]),
        ("Write \"$(f '{{ x }}')\" {{ x }}", [1]),
        ('Write "it\'s {{ x }}" "a`"\'{{ x }}" \'{{ x }}\'', [1]),
        ("Write 'it''s' \"a\"\"'{{ x }}\"\n'{{ x }}'", [2]),
        ("Write \u2018{{ x }}\u2019 \u201cit\u2019s {{ x }}\u201d", [1]),
        ("Write a#'b' '{{ x }}'", [1]),
        ('Write `{{ x }} "`{{ x }}" ``{{ x }}', [1, 1]),
        ("Write ${{ x }}", [1]),
        ("Write ${a'b} '{{ x }}'", [1]),
        ("Write (f ')' '{{ x }}') '{{ x }}'", [1, 1]),
        ("@\"\n'{{ x }}' \"@ $('{{ x }}')\n\"@\n'{{ x }}'", [2, 4]),
        ("@'\n'@'{{ x }}'\n", [2]),
        ("Write @'x' '{{ x }}'", []),
        ("cmd --% '{{ x }}'", []),
        ("{% for i in list %}Write '{{ i }}'\n{% endfor %}", [1]),
        ("{% if x %}'{% endif %}{{ x }}'", []),
    ],
)
def test_pwsh(script: str, lines: list[int]) -> None:
    assert [problem.line for problem in check_script(script, "pwsh")] == lines


@pytest.mark.parametrize(
    ("script", "lines"),
    [
        ("print('{{ x }}', {{ x }})", [1]),
        ("a = {{ x }}  # {{ x }}\nb = '''\n{{ x }}'''", [3]),
        ("{% for i in list %}print({{ i }})\n{% endfor %}print('{{ x }}')", [2]),
        ("  print('unbalanced {{ x }}", []),
        ("print(f'{ {{ x }} }' + {{ x }})", [1]),
        ("print(f'{a}' + {{ x }} + f'{{ x }}')", [1]),
        ("print(b{{ x }}, r{{ x }}, {{ x }}{{ x }})", [1, 1]),
        ("print('a' {{ x }}, {'k': {{ x }}})", []),
        ('import sys\nif sys.argv:\n    print("""\n{{ x }}""")', [4]),
    ],
)
def test_python(script: str, lines: list[int]) -> None:
    assert [problem.line for problem in check_script(script, "python")] == lines


def test_each_problem_of_pwsh_says_what_to_write() -> None:
    problems = check_script("'{{ x }}'\n@'\n{{ x }}\n'@\n`{{ x }}\n${{ x }}", "pwsh")
    assert [problem.message for problem in problems] == [
        "an interpolation in single quotes is not expanded",
        "an interpolation in a here-string of single quotes is not expanded",
        "a backtick before an interpolation keeps it from being expanded",
        "a `$` before an interpolation is not part of it",
    ]
    assert all(problem.hint for problem in problems)


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["/usr/bin/dash", "{0}"], "sh"),
        (["env", "-i", "-u", "A", "B=c", "zsh", "{0}"], "sh"),
        (["/usr/bin/env", "-S", "python3 -u", "{0}"], "python"),
        (["python3.12", "{0}"], "python"),
        (["busybox", "ash", "{0}"], "sh"),
        (["busybox", "awk", "-f", "{0}"], ""),
        (["busybox"], ""),
        (["powershell", "-File", "{0}"], "pwsh"),
        (["perl", "{0}"], ""),
        (["python2", "{0}"], ""),
        (["env", "-S"], ""),
        (["env"], ""),
    ],
)
def test_the_language_of_a_list_of_words(words: list[str], expected: str) -> None:
    assert language(tuple(words)) == expected


def test_a_list_of_words_has_the_rules_of_its_language() -> None:
    assert [problem.message for problem in check_script("echo '{{ x }}'", ("bash", "-x", "{0}"))] == [SINGLE]
    assert len(check_script("print('{{ x }}', {{ x }})", ("env", "python3", "{0}"))) == 1
    assert check_script("echo {{ x }}", ("ksh", "{0}")) == []


def test_an_unknown_language_takes_no_value() -> None:
    script = "print 'a';\nprint {{ x }};{% if x %}\n{{ x | raw }}{% endif %} # {{ x }}"
    problems = check_script(script, ("perl", "-w", "{0}"))
    assert [problem.line for problem in problems] == [2, 3]
    assert "a script of `perl`" in problems[0].message
    assert "`$ENV{NAME}`" in (problems[0].hint or "")
    assert check_script("print 1 {{ x | raw }}", ("perl", "{0}")) == []
    assert "as in perl" in (check_script("{{ x }}", ("cobol", "{0}"))[0].hint or "")
