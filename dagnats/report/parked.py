"""What is said of a run that was left alone with its waits: for what it waits, and how to go on."""

from collections.abc import Iterator

from dagnats.core.state import RunState
from dagnats.report.view import answer_command, waiting_text

SHOWN = 5


def parked_text(state: RunState) -> str:
    """Give all of it, a line for each wait."""
    return "\n".join(_lines(state))


def _lines(state: RunState) -> Iterator[str]:
    waits = list(state.awaited.open.values())
    yield f"run {state.run} is parked: nothing is left of it but to wait"
    for wait in waits[:SHOWN]:
        yield f"  {wait.step}: {waiting_text(wait)}{answer_command(state.run, wait)}"
    if len(waits) > SHOWN:
        yield f"  … and {len(waits) - SHOWN:,} more"
    yield f"  then: dagnats resume {state.run}"
