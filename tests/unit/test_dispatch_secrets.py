"""What a task says of secrets: which of its texts a worker must render, and what else they mention."""

import json

from dagnats.bus.tasks import Task
from dagnats.core.events import RunStarted
from dagnats.core.pipeline import Pipeline, Step
from dagnats.core.state import RunState
from dagnats.dispatch import Dispatch


def task_of(step: Step, **facts) -> Task:
    plan = Pipeline(name="p", file="p.yaml", steps=(step,), secrets={"A": "env://A"}, env={"ROOT": "{{ params.n }}"})
    params = {"n": 3, "user": "me", "unused": "x" * 1000}
    started = RunStarted(
        seq=1, at=0.0, run="r", plan=plan, max_parallel=1, workspace="/w", params=params, vars={"v": [1]}, **facts
    )
    return Dispatch({}, {}).task(RunState(started), step, 1, None)


def test_only_what_mentions_secrets_is_left_to_the_worker():
    task = task_of(
        Step(
            id="a",
            run="echo {{ params.n }}",
            env={"PLAIN": "{{ params.user }}", "SECRET": "{{ params.user }}:{{ secrets.A }}", "WORD": "secrets.A"},
        )
    )
    assert task.secret_env == {"SECRET": "{{ params.user }}:{{ secrets.A }}"}
    assert not task.secret_script
    assert task.script == "echo ${DAGNATS_V1}"
    assert task.context == {"params": {"user": "me"}}
    assert {name: task.env.get(name) for name in ("ROOT", "PLAIN", "WORD", "SECRET", "DAGNATS_V1")} == {
        "ROOT": "3",
        "PLAIN": "me",
        "WORD": "secrets.A",
        "SECRET": None,
        "DAGNATS_V1": "3",
    }


def test_a_script_that_mentions_one_is_left_whole_with_what_else_it_mentions():
    script = "{% for x in vars.v %}curl {{ secrets.A }} {{ x }} {{ params['n'] }} {{ run.id }}{% endfor %}"
    task = task_of(Step(id="a", run=script))
    assert task.secret_script
    assert task.script == script
    assert task.context == {"vars": {"v": [1]}, "params": {"n": 3}, "run": {"id": "r"}}


def test_a_root_that_is_mentioned_as_a_whole_travels_as_a_whole():
    task = task_of(Step(id="a", run="{{ params.n }} {{ params | tojson }} {{ params.user }} {{ secrets.A }}"))
    assert task.context["params"].keys() == {"n", "user", "unused"}


def test_a_step_without_secrets_carries_nothing_of_them():
    task = task_of(Step(id="a", command=("echo", "{{ params.n }}")))
    assert (task.secret_env, task.secret_script, task.context) == ({}, False, {})
    assert "env://" not in json.dumps([task.env, task.argv])
