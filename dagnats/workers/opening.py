"""Steps that run a pipeline: a worker finds the values of its `vars`, and then it begins. Its steps are tasks of their own."""

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dagnats.bus.tasks import Task
from dagnats.core.events import Reason
from dagnats.process import Guardian, GuardianDied
from dagnats.variables import Resolver, VariableError
from dagnats.workers.action import Ended, Failure, Sink, Stop


class OpeningAction:
    """Opens pipelines; `dotenv` has variables by the file of each."""

    def __init__(self, guardian: Guardian, dotenv: Mapping[str, Mapping[str, str]]) -> None:
        self._guardian = guardian
        self._dotenv = dotenv

    async def run(self, task: Task, sink: Sink, stop: Stop) -> Ended:
        """Give the values of the variables as outputs."""
        env = self._dotenv.get(task.pipeline)
        resolver = Resolver(self._guardian, Path(task.cwd), env=env, hide=sink.hide)
        resolving = asyncio.ensure_future(resolver.resolve(task.vars, task.context))
        stop.on_stop(lambda _kill: _cancel(resolving))
        try:
            async with asyncio.timeout(task.timeout_s):
                return Ended(outputs=await resolving)
        except TimeoutError:
            return Ended(Failure(Reason.TIMEOUT, f"ran longer than its timeout of {task.timeout_s:g}s"))
        except VariableError as error:
            return Ended(Failure(Reason.TEMPLATE, str(error)))
        except GuardianDied as error:
            return Ended(Failure(Reason.ENGINE, str(error)))
        except asyncio.CancelledError:
            if not stop.ordered:
                raise
            return Ended(stopped=True)


def _cancel(resolving: "asyncio.Task[Any]") -> None:
    resolving.cancel()
