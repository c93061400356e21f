"""What GitHub shows beside the lines of a pipeline's file: the steps that failed, and those that were allowed to. Pure."""

from collections.abc import Callable, Iterator

from dagnats.core.events import Outcome
from dagnats.core.state import RunState, Status
from dagnats.core.text import workflow_command
from dagnats.report.view import clean, sums_up, why

MOST = 10  # of a kind that GitHub shows of one of its steps; it drops the rest silently
_KINDS = (("error", (Status.FAILED, Status.TIMED_OUT)), ("warning", (Status.WARNING,)))


def annotations(state: RunState, located: Callable[[str], str]) -> Iterator[str]:
    """Give a command for each step that did not end well, at most ten of a kind: the last one of more says how many there are.

    `located` gives the path of a file as seen from the checkout.
    """
    whole = located(state.plan.file)
    for kind, statuses in _KINDS:
        found = [step for step in state.steps.values() if step.status in statuses and not sums_up(state, step)]
        shown = found if len(found) <= MOST else found[: MOST - 1]
        for step in shown:
            title = f"{clean(step.step.id)} {step.status.replace('_', ' ')}"
            yield workflow_command(
                kind,
                clean(why(step)),
                file=located(step.step.file or step.within.plan.file),
                line=step.step.line,
                title=title,
            )
        if len(found) > len(shown):
            more = len(found) - len(shown)
            yield workflow_command(kind, f"{more:,} more steps: see the summary", file=whole)
    if state.outcome in (Outcome.TIMED_OUT, Outcome.CANCELLED) and state.cancel is not None:
        ended = f"{clean(state.plan.name)} {state.outcome.replace('_', ' ')}"
        yield workflow_command("error", clean(state.cancel.why), file=whole, title=ended)
