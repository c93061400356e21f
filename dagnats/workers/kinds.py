"""Every kind of step, in one table. A new kind is a module beside this one and a line here."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from dagnats.bus.tasks import Task
from dagnats.process import Guardian
from dagnats.workers.action import Action, Ended, Sink, Stop
from dagnats.workers.opening import OpeningAction
from dagnats.workers.shell import ShellAction

if TYPE_CHECKING:
    from dagnats.workers.container import ContainerAction
    from dagnats.workers.runtime import Runtime


class _InContainers:
    """The action for containers, imported with its first step: a run without one does not pay for it."""

    def __init__(
        self,
        guardian: Guardian,
        directory: Path,
        dotenv: Mapping[str, Mapping[str, str]],
        runtime: "Runtime | None",
    ) -> None:
        self._arguments = guardian, directory, dotenv, runtime
        self._action: ContainerAction | None = None

    async def run(self, task: Task, sink: Sink, stop: Stop) -> Ended:
        """Carry out one attempt."""
        return await self.action().run(task, sink, stop)

    def action(self) -> "ContainerAction":
        """Give what it stands for."""
        if self._action is None:
            from dagnats.workers.container import ContainerAction  # noqa: PLC0415 - measured: see above

            self._action = ContainerAction(*self._arguments)
        return self._action


def actions(
    guardian: Guardian,
    directory: Path,
    dotenv: Mapping[str, Mapping[str, str]] | None = None,
    runtime: "Runtime | None" = None,
) -> Mapping[str, Action]:
    """Give the actions of a worker by the `kind` of their tasks; `dotenv` has the variables by `pipeline` of the tasks, `runtime` makes containers."""
    dotenv = dotenv or {}
    return {
        "shell": ShellAction(guardian, directory, dotenv),
        "pipeline": OpeningAction(guardian, dotenv),
        "container": _InContainers(guardian, directory, dotenv, runtime),
    }
