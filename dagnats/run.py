"""The composition root: one run of one file, from its text to its exit code.

The file is checked before anything starts. Then the guardian and the server start, and only then are NATS and asyncio imported, while the server boots:
imports are most of the time of a short run.
"""

import os
from typing import TYPE_CHECKING

from dagnats import rundir
from dagnats.bus.server import Server
from dagnats.definition import load
from dagnats.definition.dotenv import read_dotenv
from dagnats.definition.params import resolve
from dagnats.definition.project import project_root
from dagnats.errors import UsageError
from dagnats.process import Guardian
from dagnats.request import Prepared, Request

if TYPE_CHECKING:
    from dagnats.core.state import RunState


def run(request: Request) -> int:
    """Run the file; gives the exit code. Raises DagnatsError for all that is not a step's failure."""
    plan = load(request.file, request.text)
    known = {step.id for step in (*plan.steps, *plan.finally_steps)}
    if request.exit_code_from is not None and request.exit_code_from not in known:
        raise UsageError(f"--exit-code-from: {plan.name} has no step `{request.exit_code_from}`")
    params = resolve(plan.params, request.params, request.param_files, os.environ)
    workspace = project_root(request.file)
    # What the files hold goes to processes and nowhere else: no event and no task has it.
    guardian = Guardian.start({**os.environ, **read_dotenv(plan.dotenv, workspace)} if plan.dotenv else None)
    directory = rundir.create(workspace, ephemeral=request.ephemeral)
    try:
        server = Server(guardian, directory.path)
        server.start()
        from dagnats.drive import drive  # noqa: PLC0415 - measured: 120 ms, hidden behind the start of the server

        state = drive(Prepared(request, plan, params, workspace, directory, guardian, server))
    except UsageError:
        directory.ephemeral = True  # refused at the last moment: there is no run to keep
        raise
    finally:
        directory.close()
    return exit_code(state, request.exit_code_from)


def exit_code(state: "RunState", from_step: str | None) -> int:
    """Give the exit code that says how the run ended."""
    cancel = state.cancel
    match state.outcome:
        case "timed_out":
            return 124
        case "cancelled":
            return 128 + (cancel.signal or 15 if cancel is not None else 15)
        case outcome:
            if from_step is not None:
                own = state.steps[from_step].exit_code
                return own if own is not None else int(outcome != "succeeded")
            return int(outcome != "succeeded")
