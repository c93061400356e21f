from dagnats.bus.dead import Letter
from dagnats.core.events import RunFinished, RunStarted, StepFailed, StepScheduled
from dagnats.core.pipeline import Pipeline, Step
from dagnats.core.state import fold
from dagnats.letters import as_text, why_not

PLAN = Pipeline(name="p", file="p.yaml", steps=(Step(id="a", run="true"),))
BEGUN = (
    RunStarted(seq=1, at=1.0, run="calm-otter-1", plan=PLAN, max_parallel=1, workspace="/"),
    StepScheduled(seq=2, at=2.0, step="a", attempt=1),
)
LETTER = Letter(subject="tasks.default.calm-otter-1.a", task=b"{}", error="it is bad", step="a", attempt=1, number=3)


def test_what_the_run_waits_for_may_be_sent_again():
    assert why_not(fold(BEGUN), LETTER, is_live=True) == ""


def test_a_run_that_does_not_go_on_is_to_be_resumed():
    assert why_not(fold(BEGUN), LETTER, is_live=False) == (
        "run calm-otter-1 does not go on: `dagnats resume calm-otter-1` sends again what it waits for"
    )


def test_of_a_step_that_has_failed_it_is_too_late():
    failed = StepFailed(seq=3, at=3.0, step="a", attempt=1, reason="engine", message="its task")
    state = fold((*BEGUN, failed, RunFinished(seq=4, at=4.0, outcome="failed", outputs={})))
    assert why_not(state, LETTER, is_live=False) == (
        "attempt 1 of step a is not wanted any more: the step is failed in attempt 1; `dagnats rerun calm-otter-1 --from a` runs it again"
    )


def test_a_long_task_is_shown_in_part():
    shown = as_text([Letter(subject="s", task=b"x\n" * 2000, error="it is long", number=1)])
    assert "4,000 bytes in all" in shown
    assert len(shown) < 3000
