"""Scripts that use a secret which nobody has given them: said where it is sure, and not where it is not."""

import pytest

from dagnats.definition import InvalidPipelineError, load


def found(script: str, *, more: str = "", step: str = "") -> list[str]:
    text = (
        "name: x\nsecrets: {KEY: env://TOKEN, OTHER: file://key}\n"
        + more
        + "steps:\n  - id: a\n"
        + step
        + "    run: |\n"
    )
    text += "".join(f"      {line}\n" for line in script.splitlines())
    try:
        load("p.yaml", text.encode(), strict=True)
    except InvalidPipelineError as error:
        return [problem.message.split("`")[1] for problem in error.problems]
    return []


def test_it_is_no_error():
    text = "name: x\nsecrets: [TOKEN]\nsteps:\n  - run: echo $TOKEN\n"
    assert load("p.yaml", text.encode()).steps


@pytest.mark.parametrize(
    ("script", "name"),
    [
        ("echo $TOKEN", "$TOKEN"),
        ('curl -H "Authorization: ${TOKEN}"', "$TOKEN"),
        ("echo one\necho $TOKEN", "$TOKEN"),
        ("echo $KEY $OTHER", None),  # only what `env://` names is taken away
        ("echo ${#TOKEN}", None),
    ],
)
def test_what_can_only_fail_is_said(script, name):
    assert found(script) == ([name] if name else [])


@pytest.mark.parametrize(
    "script",
    [
        "TOKEN=x; echo $TOKEN",
        "read -r TOKEN < file; echo $TOKEN",
        "for TOKEN in a b; do echo $TOKEN; done",
        "printf -v TOKEN %s x; echo $TOKEN",
        ": ${TOKEN:=x}; echo $TOKEN",
        "echo ${TOKEN:-none} ${TOKEN-} ${TOKEN+set} ${TOKEN:?missing}",
        "echo \\$TOKEN $TOKENS $MYTOKEN",
        "awk '{print $TOKEN}' file",
        "echo \"don't\"; awk '{print $TOKEN}' file",
        "cat <<'END'\n$TOKEN\nEND",
        ". ./settings.sh; echo $TOKEN",
        "source settings.sh\necho $TOKEN",
        "set +u\necho $TOKEN",
        'if [ -n "${TOKEN:-}" ]; then echo $TOKEN; fi',
        "[ -z ${TOKEN-} ] || echo $TOKEN",
        '# reads $TOKEN\necho "pid $$TOKEN"',
        'while read -r line; do export "$line"; done < env.txt; echo $TOKEN',
        "export $(cat .env); echo $TOKEN",
        'eval "$(settings)"; echo $TOKEN',
    ],
)
def test_what_may_be_right_is_not(script):
    assert found(script) == []


def test_who_is_given_it_may_use_it():
    given = '    env: {TOKEN: "{{ secrets.KEY }}"}\n'
    assert found("echo $TOKEN", step=given) == []
    assert found("echo $TOKEN", more="env: {TOKEN: fixed}\n") == []
    assert found("echo $TOKEN", more="dotenv: [{path: .env, optional: true}]\n") == []
    assert found("print($TOKEN)", step="    shell: python\n") == []
    assert found("echo $TOKEN", step='    shell: [bash, "{0}"]\n') == []
    assert found("echo $TOKEN", more="defaults: {env: {TOKEN: x}}\n") == []
