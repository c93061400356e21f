"""What the status functions of an `if` say."""

from collections.abc import Callable

from dagnats.core.pipeline import Step
from dagnats.core.state import RunState


def status_functions(state: RunState, step: Step) -> dict[str, Callable[[], bool]]:
    """The status functions: of a step, they ask what came before it; in `finally`, they ask the run."""
    own = state.steps[step.id]
    within = own.within
    tainted = within.any_failed or within.cancel is not None if own.final else own.tainted
    failed = within.any_failed if own.final else own.failed
    return {
        "success": lambda: not tainted,
        "failure": lambda: failed,
        "always": lambda: True,
        "cancelled": lambda: within.cancel is not None,
    }
