"""Every kind of step, in one table. A new kind is a module beside this one and a line here."""

from collections.abc import Mapping
from pathlib import Path

from dagnats.process import Guardian
from dagnats.workers.action import Action
from dagnats.workers.opening import OpeningAction
from dagnats.workers.shell import ShellAction


def actions(
    guardian: Guardian, directory: Path, dotenv: Mapping[str, Mapping[str, str]] | None = None
) -> Mapping[str, Action]:
    """Give the actions of a worker by the `kind` of their tasks; `dotenv` has the variables by `pipeline` of the tasks."""
    dotenv = dotenv or {}
    return {
        "shell": ShellAction(guardian, directory, dotenv),
        "pipeline": OpeningAction(guardian, dotenv),
    }
