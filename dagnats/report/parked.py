"""What is said of a run that was left alone with its waits: for what it waits, and how to go on."""

from dagnats.core.state import RunState
from dagnats.report.view import open_waits


def parked_text(state: RunState) -> str:
    """Give all of it, a line for each wait."""
    said = f"run {state.run} is parked: nothing is left of it but to wait"
    return "\n".join([said, *open_waits(state), f"  then: dagnats resume {state.run}"])
