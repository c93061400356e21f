"""The composition root: one run of one file, from its text to its exit code.

The file is checked before anything starts. Then the guardian and the server start, and only then are NATS and asyncio imported, while the server boots:
imports are most of the time of a short run.
"""

import os
from pathlib import Path
from typing import TYPE_CHECKING

from dagnats import rundir
from dagnats.bus.server import Server
from dagnats.definition import load
from dagnats.definition.params import resolve
from dagnats.errors import UsageError
from dagnats.process import Guardian
from dagnats.request import Prepared, Request

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dagnats.core.pipeline import JSON, Pipeline
    from dagnats.core.state import RunState
    from dagnats.workers.vault import Vault


def run(request: Request) -> int:
    """Run the file; gives the exit code. Raises DagnatsError for all that is not a step's failure."""
    plan = load(request.file, request.text)
    known = {step.id for step in (*plan.steps, *plan.finally_steps)}
    if request.exit_code_from is not None and request.exit_code_from not in known:
        raise UsageError(f"--exit-code-from: {plan.name} has no step `{request.exit_code_from}`")
    params = resolve(plan.params, request.params, request.param_files, os.environ)
    workspace = project_root(request.file)
    vault = _secrets(request, plan, workspace, params)
    guardian = Guardian.start()
    directory = rundir.create(workspace, ephemeral=request.ephemeral)
    guardian.remove_at_end(directory.scratch)
    try:
        server = Server(guardian, directory.path)
        server.start()
        from dagnats.drive import drive  # noqa: PLC0415 - measured: 120 ms, hidden behind the start of the server

        state = drive(Prepared(request, plan, params, workspace, directory, guardian, server, vault))
    except UsageError:
        directory.ephemeral = True  # refused at the last moment: there is no run to keep
        raise
    finally:
        directory.close()
    return exit_code(state, request.exit_code_from)


def _secrets(request: Request, plan: "Pipeline", workspace: Path, params: "Mapping[str, JSON]") -> "Vault | None":
    """Ask for the secrets before anything starts, so that no process inherits those of the environment."""
    if not plan.secrets:
        return None
    from dagnats.sources import collect  # noqa: PLC0415 - measured: a run without secrets does not pay for masking them

    vault = collect(plan, workspace, request.secrets_file)
    vault.refuse_recorded(params, {name: os.environ[name] for name in plan.env_names if name in os.environ})
    return vault


def project_root(file: str) -> Path:
    """Give the directory in which steps run: the repository that holds the file, else the file's own directory."""
    start = Path.cwd() if file in ("-", "<stdin>") else Path(file).resolve().parent
    for directory in (start, *start.parents):
        if (directory / ".git").exists():
            return directory
    return start


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
