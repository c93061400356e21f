"""What is recorded of a condition that did not hold: the values that it mentions, by their names in it."""

import pytest

from dagnats.core.decide import decide
from dagnats.core.events import RunStarted, StepScheduled, StepSkipped, StepStarted, StepSucceeded
from dagnats.core.pipeline import Pipeline, Step
from dagnats.core.state import RunState
from dagnats.dispatch import Dispatch


def values_of(condition: str, functions: tuple[str, ...] = ()):
    steps = (
        Step(id="smoke-test", run="true"),
        Step(id="asked", needs=("smoke-test",), run="true", condition=condition, status_functions=frozenset(functions)),
    )
    plan = Pipeline(name="p", file="p.yaml", steps=steps, left_out=("gone",))
    params = {"n": 3, "given": {"a": [1, 2]}, "long": "x" * 1000}
    git = {"branch": "topic"}
    state = RunState(
        RunStarted(seq=1, at=1.0, run="r", plan=plan, max_parallel=1, workspace="/w", params=params, git=git)
    )
    for seq, event in enumerate((StepScheduled, StepStarted, StepSucceeded), start=2):
        more = {"worker": "w"} if event is StepStarted else {}
        state.apply(event(seq=seq, at=float(seq), step="smoke-test", attempt=1, **more))
    found = decide(state, Dispatch({}, {}))
    assert isinstance(found, StepSkipped)
    return found.values


@pytest.mark.parametrize(
    ("condition", "values"),
    [
        ("git.branch == 'main'", {"git.branch": "topic"}),
        ("steps['smoke-test'].status == 'failed'", {"steps['smoke-test'].status": "succeeded"}),
        ("steps.gone.status != 'skipped'", {"steps.gone.status": "skipped"}),
        ("params.n > 3 and params.given.a[0] == 1", {"params.n": 3, "params.given.a[0]": 1}),
        ("params.long == ''", {}),
        ("false", {}),
    ],
)
def test_what_a_condition_mentions_is_recorded_unless_it_is_long(condition, values):
    assert values_of(condition) == values


def test_status_functions_are_recorded_with_what_they_gave():
    assert values_of("failure()", ("failure",)) == {"failure()": False}
    assert values_of("always() and params.n == 4", ("always",)) == {"always()": True, "params.n": 3}
