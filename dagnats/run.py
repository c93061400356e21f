"""The composition root: one run of one file, from its text to its exit code.

The file is checked before anything starts. Then the guardian and the server start, and only then are NATS and asyncio imported, while the server boots:
imports are most of the time of a short run.
"""

import os
from pathlib import Path
from typing import TYPE_CHECKING

from dagnats import rundir
from dagnats.bus.server import Server
from dagnats.core.state import RunState
from dagnats.definition import load
from dagnats.definition.params import check_value, resolve
from dagnats.definition.privileged import refuse_privileged
from dagnats.definition.problems import Problems, quoted
from dagnats.definition.project import project_root
from dagnats.definition.select import inside, select
from dagnats.definition.unset import foreign_outputs, refuse_unset
from dagnats.definition.words import suggest
from dagnats.errors import DagnatsError, EngineError, UnshownError, UsageError
from dagnats.fence import Owner
from dagnats.process import Guardian
from dagnats.request import Prepared, Request

OWN_VARIABLES = "DAGNATS_"
MARK = "DAGNATS_STEP_TOKEN"  # by which a guardian above this run knows what belongs to it

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from dagnats.core.pipeline import JSON, Pipeline
    from dagnats.report.github_files import Job
    from dagnats.workers.vault import Vault


def run(request: Request) -> int:
    """Run the file; gives the exit code. Raises DagnatsError for all that is not a step's failure."""
    return told_to_job(request, lambda: _run(request))


def told_to_job(request: Request, go: "Callable[[], RunState]") -> int:
    """Let a run go on to its end, and tell the job on GitHub, if it is one's, how it ended; gives the exit code."""
    job = _job(request)
    try:
        state = go()
    except UnshownError as error:
        if job is not None and isinstance(error.state, RunState):
            job.ended(error.state, error.exit_code)
        raise
    except DagnatsError as error:
        if job is not None:
            job.refused(error)
        raise
    code = exit_code(state, request.exit_code_from)
    if job is not None:
        job.ended(state, code)
    return code


def _job(request: Request) -> "Job | None":
    if os.environ.get("GITHUB_ACTIONS") != "true" and request.output != "github":
        return None
    from dagnats.report.github_files import Job  # noqa: PLC0415 - only there
    from dagnats.report.modes import mode_of  # noqa: PLC0415 - the same

    if mode_of(request.output, os.environ) != "github":
        return None
    return Job(os.environ.get("GITHUB_OUTPUT", ""), request.github_annotations, request.events_file)


def _run(request: Request) -> RunState:
    """Check, start, run, and leave nothing behind."""
    plan = load(request.file, request.text)
    plan = select(plan, request.selection) if request.rerun is None else request.rerun.selected(plan)
    _check_exit_code_from(request, plan)
    check_reports(request)
    if request.ephemeral and request.detach_on_wait:
        raise UsageError(
            "--detach-on-wait leaves a run to be gone on with, and --ephemeral keeps nothing of it; nothing was started"
        )
    refuse_privileged(plan, allowed=request.allow_privileged)
    refuse_unset(plan, os.environ)
    params = _params(request, plan)
    workspace = project_root(request.file)
    dotenv = dotenvs(plan, workspace)
    vault = secrets_of(request, plan, workspace, params)
    guardian = Guardian.start(inherited(os.environ))
    directory = rundir.create(workspace, ephemeral=request.ephemeral)
    directory.owned_by(Owner(os.getpid(), guardian.pid, guardian.mark))
    guardian.remove_at_end(directory.passing, whole=request.ephemeral)
    try:
        server = started_server(guardian, directory.path, request.durability)
        from dagnats.drive import drive  # noqa: PLC0415 - measured: 120 ms, hidden behind the start of the server

        notes = foreign_outputs(plan, os.environ)
        state = drive(
            Prepared(request, plan, params, workspace, directory, guardian, server, vault, notes=notes, dotenv=dotenv)
        )
    except UsageError:
        directory.refuse()
        raise
    finally:
        directory.close()
    return state


def dotenvs(plan: "Pipeline", workspace: "Path") -> dict[str, dict[str, str]]:
    """Read the files of environment variables of all plans, by the file of each, "" for the run's.

    What they hold goes to processes and nowhere else: no event and no task has it.
    """
    plans = {"": plan, **plan.pipelines}
    return {file: _dotenv(one, workspace, file) for file, one in plans.items() if one.dotenv}


def _dotenv(plan: "Pipeline", workspace: "Path", inner: str) -> dict[str, str]:
    from dagnats.definition.dotenv import read_dotenv  # noqa: PLC0415 - measured: few runs need it

    try:
        return read_dotenv(plan.dotenv, workspace)
    except UsageError as error:
        raise UsageError(f"{inner}: {error}" if inner else str(error)) from None


def inherited(environ: "Mapping[str, str]") -> dict[str, str]:
    """What steps get of the environment: not the flags of this program, which would be those of one that a step starts, too."""
    return {name: value for name, value in environ.items() if not name.startswith(OWN_VARIABLES) or name == MARK}


def started_server(guardian: Guardian, directory: "Path", durability: str) -> Server:
    """Start the server of a run; it is not ready yet."""
    try:
        server = Server(guardian, directory, durability=durability)
        server.start()
    except OSError as error:
        raise EngineError(f"the run could not be set up in {directory}: {error.strerror}") from error
    return server


def _params(request: Request, plan: "Pipeline") -> "dict[str, JSON]":
    """Give the value of every parameter. Names of files have no bound but that of a command line: there are as many as there are."""
    if request.files is None:
        given = request.param_files
        if request.rerun is not None:
            given = {**request.rerun.params(plan.params, {*request.params, *given}), **given}
        return resolve(plan.params, request.params, given, os.environ)
    declared = dict(plan.params)
    param = declared.pop("files", None)
    if param is None:
        raise UsageError(
            f"--files: {plan.name} has no param `files`: declare `files: {{type: array, default: []}}` in its params"
        )
    if "files" in request.params:
        raise UsageError("--files gives param `files`, and -p gives it too: leave out one of them")
    others = {name: value for name, value in request.param_files.items() if name != "files"}
    problem = check_value("files", param, list(request.files))
    if problem is not None:
        raise UsageError(f"--files: {problem}")
    return {**resolve(declared, request.params, others, os.environ), "files": list(request.files)}


def check_reports(request: Request) -> None:
    """Refuse reports that could not be written."""
    if request.reports:
        from dagnats.report.written import STDOUT, check  # noqa: PLC0415 - only for those who ask for one

        check(request.reports, request.written)
        if request.output == "json" and any(report.path in STDOUT for report in request.reports):
            raise UsageError(
                "--output json writes to stdout, and so would a report: give it a file; nothing was started"
            )


def _check_exit_code_from(request: Request, plan: "Pipeline") -> None:
    """Refuse a step that the plan does not have."""
    wanted = request.exit_code_from
    if wanted in plan.left_out:
        raise UsageError(f"--exit-code-from: the step {quoted(wanted)} is left out of this run")
    known = [step.id for step in (*plan.steps, *plan.finally_steps)]
    if wanted is not None and wanted not in known:
        hint = suggest(wanted, known, Problems(request.file))
        more = inside(plan, wanted) or (hint and f"; {hint}")
        raise UsageError(f"--exit-code-from: {plan.name} has no step {quoted(wanted)}{more}")


def secrets_of(request: Request, plan: "Pipeline", workspace: "Path", params: "Mapping[str, JSON]") -> "Vault | None":
    """Ask for the secrets before anything starts, so that no process inherits those of the environment."""
    if not any(one.secrets for one in (plan, *plan.pipelines.values())):
        return None
    from dagnats.sources import collect  # noqa: PLC0415 - measured: a run without secrets does not pay for masking them

    vault = collect(plan, workspace, request.secrets_file)
    vault.refuse_recorded(params, {name: os.environ[name] for name in plan.env_names if name in os.environ})
    return vault


def exit_code(state: RunState, from_step: str | None) -> int:
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
