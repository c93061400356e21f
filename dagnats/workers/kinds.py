"""Every kind of step, in one table. A new kind is a module beside this one and a line here."""

from collections.abc import Mapping
from pathlib import Path

from dagnats.process import Guardian
from dagnats.workers.action import Action
from dagnats.workers.shell import ShellAction


def actions(guardian: Guardian, directory: Path) -> Mapping[str, Action]:
    """Give the actions of a worker by the `kind` of their tasks."""
    return {
        "shell": ShellAction(guardian, directory),
    }
