"""When a failed attempt is followed by another, and how long that one waits."""

import pytest
from playbook import Playbook, plan, step

from dagnats.core.delay import retry_delay_s
from dagnats.core.events import Reason
from dagnats.core.pipeline import Retry


def delays(retry: Retry, jitter: float = 0.0) -> list[float]:
    return [retry_delay_s(retry, attempt, jitter) for attempt in (1, 2, 3, 4)]


@pytest.mark.parametrize(
    ("retry", "expected"),
    [
        (Retry(initial_delay_s=0.0), [0, 0, 0, 0]),
        (Retry(initial_delay_s=5.0), [5, 5, 5, 5]),
        (Retry(strategy="linear", initial_delay_s=5.0), [5, 10, 15, 20]),
        (Retry(strategy="linear", initial_delay_s=5.0, max_delay_s=12.0), [5, 10, 12, 12]),
        (Retry(strategy="exponential", initial_delay_s=5.0), [5, 10, 20, 40]),
        (Retry(strategy="exponential", initial_delay_s=1.0, multiplier=3.0), [1, 3, 9, 27]),
        (Retry(strategy="exponential", initial_delay_s=5.0, max_delay_s=12.0), [5, 10, 12, 12]),
    ],
)
def test_delays(retry: Retry, expected: list[float]):
    assert delays(retry) == expected


def test_jitter_gives_between_half_and_all_of_the_delay():
    retry = Retry(initial_delay_s=8.0, max_delay_s=6.0, jitter=True)
    assert delays(retry, 0.0) == [3.0] * 4
    assert delays(retry, 0.5) == [4.5] * 4
    assert delays(retry, 1.0) == [6.0] * 4


def test_without_jitter_chance_changes_nothing():
    assert delays(Retry(initial_delay_s=8.0), 0.7) == [8.0] * 4


def test_exponential_delay_does_not_overflow():
    retry = Retry(strategy="exponential", initial_delay_s=1.0, multiplier=10.0, max_delay_s=60.0)
    assert retry_delay_s(retry, 100_000, 0.0) == 60.0


def test_second_attempt_follows_at_once_and_the_run_succeeds():
    run = Playbook(plan(step("a", retries=1), step("b", "a")))
    run.start("a")
    assert run.fail("a") == ["fail a exit", "schedule a 2"]
    assert run.statuses()["a"] == "queued"
    assert run.run("a") == ["start a", "succeed a", "schedule b"]


def test_last_attempt_fails_the_step():
    run = Playbook(plan(step("a", retries=2)))
    for _ in range(2):
        run.start("a")
        run.fail("a")
    run.start("a")
    assert run.fail("a") == ["fail a exit", "finish failed"]
    assert run.state.steps["a"].attempt == 3


def test_last_attempt_of_an_allowed_failure_is_a_warning():
    run = Playbook(plan(step("a", retries=1, allow_failure=True)))
    run.start("a")
    run.fail("a")
    run.start("a")
    assert run.fail("a") == ["fail a exit", "finish succeeded"]


def test_delay_counts_from_the_failure_and_each_is_the_strategy_s():
    retry = Retry(max_attempts=3, strategy="exponential", initial_delay_s=10.0)
    run = Playbook(plan(step("a", retry=retry)))
    run.start("a")
    assert run.fail("a") == ["fail a exit", "schedule a 2 after 10s"]
    assert run.statuses()["a"] == "waiting"
    run.now = 1010.0
    run.start("a")
    run.now = 1011.0
    assert run.fail("a") == ["fail a exit", "schedule a 3 after 20s"]


def test_chance_of_the_failure_decides_the_delay_of_the_retry():
    run = Playbook(plan(step("a", retry=Retry(max_attempts=2, initial_delay_s=10.0, jitter=True))))
    run.start("a")
    assert run.fail("a", jitter=0.5) == ["fail a exit", "schedule a 2 after 7.5s"]


def test_waiting_attempt_takes_no_place():
    run = Playbook(
        plan(step("a", retry=Retry(max_attempts=2, initial_delay_s=9.0)), *(step(id_) for id_ in "bcd")), max_parallel=1
    )
    assert run.first == ["schedule a", "schedule b"]
    assert run.start("a") == ["start a"]
    assert run.fail("a") == ["fail a exit", "schedule a 2 after 9s", "schedule c"]


@pytest.mark.parametrize(
    ("on", "reason", "exit_code", "again"),
    [
        (None, Reason.EXIT, 1, True),
        (None, Reason.SIGNAL, None, True),
        (None, Reason.TIMEOUT, None, True),
        (None, Reason.IDLE_TIMEOUT, None, True),
        (None, Reason.LOST, None, True),
        (None, Reason.OUTPUT, None, True),
        (None, Reason.SPAWN, None, True),
        (None, Reason.TEMPLATE, None, False),
        (None, Reason.ENGINE, None, False),
        ((7,), Reason.EXIT, 7, True),
        ((7,), Reason.EXIT, 1, False),
        ((7,), Reason.TIMEOUT, None, False),
        ((7,), Reason.SIGNAL, None, False),
        (("timeout",), Reason.TIMEOUT, None, True),
        (("timeout",), Reason.IDLE_TIMEOUT, None, True),
        (("timeout",), Reason.EXIT, 1, False),
        (("timeout",), Reason.LOST, None, False),
        (("lost", 7), Reason.LOST, None, True),
        (("lost", 7), Reason.EXIT, 7, True),
        ((), Reason.EXIT, 1, False),
    ],
)
def test_on(on: tuple[int | str, ...] | None, reason: Reason, exit_code: int | None, again: bool):
    run = Playbook(plan(step("a", retry=Retry(max_attempts=2, on=on))))
    run.start("a")
    assert run.fail("a", reason, exit_code) == [f"fail a {reason}", "schedule a 2" if again else "finish failed"]


def test_task_that_can_not_be_made_fails_its_step_before_any_worker():
    run = Playbook(plan(step("a", retries=3)))
    assert run.fail("a", Reason.TEMPLATE, worker=None) == ["fail a template", "finish failed"]
