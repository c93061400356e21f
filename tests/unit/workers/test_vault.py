"""What a step gets of the secrets, and what is taken out of its end."""

import pytest

from dagnats.bus.tasks import Task
from dagnats.core.events import Reason
from dagnats.errors import UsageError
from dagnats.workers.action import Ended, Failure
from dagnats.workers.vault import Vault

TOKEN = "the-token-1"
TASK = Task(run="r", step="s", attempt=1, cwd="/", env={"PLAIN": "p"})


def task(**fields) -> Task:
    return Task(**{name: getattr(TASK, name) for name in ("run", "step", "attempt", "cwd", "env")} | fields)


def test_a_task_that_names_none_gets_none():
    unsealed = Vault({"TOKEN": TOKEN}).unseal(TASK)
    assert unsealed.task is TASK
    assert unsealed.failed is None
    assert unsealed.masker.text(f"<{TOKEN}>") == "<***>"


def test_variables_and_script_are_rendered_with_what_the_task_carries():
    sealed = task(
        script="curl {{ secrets.TOKEN }} {{ params.n }} {{ secrets.TOKEN }}",
        secret_script=True,
        secret_env={"URL": "https://{{ params.user }}:{{ secrets.TOKEN | upper }}@h"},
        context={"params": {"n": 3, "user": "me"}},
    )
    unsealed = Vault({"TOKEN": TOKEN}).unseal(sealed)
    assert unsealed.task.script == "curl ${DAGNATS_V1} ${DAGNATS_V2} ${DAGNATS_V1}"
    assert unsealed.task.env == {
        "PLAIN": "p",
        "DAGNATS_V1": TOKEN,
        "DAGNATS_V2": "3",
        "URL": f"https://me:{TOKEN.upper()}@h",
    }
    assert sealed.env == {"PLAIN": "p"}


def test_credentials_of_a_container_are_rendered_and_what_looks_like_a_template_is_not():
    sealed = task(
        kind="container",
        container={"image": "a:1", "credentials": {"username": "{{ params.n }}", "password": ""}},
        secret_credentials={"password": "{{ params.n }}-{{ secrets.TOKEN | upper }}"},
        context={"params": {"n": 3}},
    )
    unsealed = Vault({"TOKEN": TOKEN}).unseal(sealed)
    assert unsealed.task.container == {
        "image": "a:1",
        "credentials": {"username": "{{ params.n }}", "password": f"3-{TOKEN.upper()}"},
    }
    assert sealed.container["credentials"]["password"] == ""
    assert unsealed.masker.text(f"login {TOKEN.upper()}") == "login ***"
    failed = Vault({"TOKEN": TOKEN}).unseal(
        task(container={"image": "a:1"}, secret_credentials={"password": "{{ secrets.TOKEN | fromjson }}"})
    )
    assert failed.failed.failure.message.startswith("container.credentials.password: ")


def test_what_a_template_makes_of_a_secret_is_masked_and_stays_so_for_other_steps():
    vault = Vault({"TOKEN": TOKEN, "JSON": '{"a": {"short": "abcd"}}'})
    assert vault.unseal(TASK).masker.text("THE-TOKEN-1 abcd") == "THE-TOKEN-1 abcd"
    made = vault.unseal(
        task(secret_env={"A": "x{{ secrets.TOKEN | upper }}", "B": "{{ (secrets.JSON | fromjson).a.short }}"})
    )
    assert made.task.env["B"] == "abcd"
    assert made.masker.text("xTHE-TOKEN-1 abcd") == "x*** ***"
    assert vault.unseal(TASK).masker.text("THE-TOKEN-1 abcd") == "*** ***"


def test_a_step_is_masked_for_what_it_made_also_when_there_is_too_much_to_tell_all():
    vault = Vault({"TOKEN": TOKEN})
    text = {"A": "{{ secrets.TOKEN | replace('token', params.n) }}"}
    for number in range(120):
        word = f"number-{number}"
        unsealed = vault.unseal(task(secret_env=text, context={"params": {"n": word}}))
        assert unsealed.masker.text(f"{TOKEN} the-{word}-1") == "*** ***"
    assert vault.masker.text("the-number-0-1") == "***"
    assert vault.masker.text("the-number-119-1") == "the-number-119-1"


def test_text_beside_a_secret_is_not_masked():
    vault = Vault({"TOKEN": TOKEN})
    sealed = task(
        secret_env={"A": "{{ params.host }}/{{ secrets.TOKEN }}", "B": "{{ 'Bearer ' ~ secrets.TOKEN }}"},
        context={"params": {"host": "example.org"}},
    )
    assert vault.unseal(sealed).masker.text(f"example.org Bearer {TOKEN}") == "example.org Bearer ***"


def test_a_template_that_fails_ends_the_attempt_and_shows_nothing():
    unsealed = Vault({"TOKEN": TOKEN}).unseal(task(secret_env={"A": "{{ secrets.TOKEN | fromjson }}"}))
    assert unsealed.failed.failure.reason is Reason.TEMPLATE
    assert unsealed.failed.failure.message.startswith("env.A: ")
    assert TOKEN not in unsealed.failed.failure.message
    assert unsealed.task.env == {"PLAIN": "p"}


def test_python_gets_a_reference_as_a_script_is_a_file():
    unsealed = Vault({"TOKEN": TOKEN}).unseal(
        task(script="print({{ secrets.TOKEN }})", secret_script=True, shell="python")
    )
    assert unsealed.task.script == "print(__import__('os').environ['DAGNATS_V1'])"
    assert unsealed.task.env["DAGNATS_V1"] == TOKEN


def test_an_end_is_without_secrets():
    unsealed = Vault({"TOKEN": TOKEN}).unseal(TASK)
    ended = unsealed.hidden(
        Ended(
            Failure(Reason.OUTPUT, f"line 1: {TOKEN}", 3),
            outputs={"a": f"x{TOKEN}", "b": [TOKEN], "c": "plain", "d": 7},
            note=f"left {TOKEN}",
        )
    )
    assert ended.failure == Failure(Reason.OUTPUT, "line 1: ***", 3)
    assert ended.outputs == {"a": "x***", "b": ["***"], "c": "plain", "d": 7}
    assert ended.note == "left ***; outputs `a`, `b` held a secret, which is replaced by ***: outputs are recorded"
    assert unsealed.hidden(Ended(stopped=True)) == Ended(stopped=True)


def test_short_ones_are_named_and_noted():
    vault = Vault({"PIN": "12", "BLANKS": "  x  ", "TOKEN": TOKEN})
    assert vault.unmasked == ["PIN", "BLANKS"]
    assert vault.unseal(task(secret_env={"A": "{{ secrets.PIN }}"})).note == ""
    made = vault.unseal(task(secret_env={"A": "{{ secrets.TOKEN | replace('the-token-', '') }}"}))
    assert made.task.env["A"] == "1"
    assert made.note == "a value made of a secret has fewer than 4 characters; it is not masked"


def test_what_is_recorded_may_hold_none():
    vault = Vault({"TOKEN": TOKEN, "WORD": "main"})
    vault.refuse_recorded({"branch": "main", "n": 3}, {"HOME": "/home/main"})
    with pytest.raises(UsageError, match="param `list` holds the value of secret `TOKEN`") as caught:
        vault.refuse_recorded({"list": ["x", TOKEN]}, {})
    assert TOKEN not in str(caught.value)
    with pytest.raises(UsageError, match="`map`"):
        vault.refuse_recorded({"map": {"a": [{TOKEN: 1}]}}, {})
    with pytest.raises(UsageError, match="variable `V` holds"):
        vault.refuse_recorded({}, {"V": f"x{TOKEN}"})


def test_nothing_is_shown_by_accident():
    vault = Vault({"TOKEN": TOKEN})
    assert TOKEN not in repr(vault)
    assert TOKEN not in repr(vault.unseal(task(secret_env={"A": "{{ secrets.TOKEN }}"})))
