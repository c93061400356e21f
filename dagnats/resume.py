"""A run whose runner is gone goes on: its journal says how far it is, and another runner does what comes next."""

import asyncio
import os
from collections.abc import Callable, Collection
from pathlib import Path

from dagnats import rundir, stored
from dagnats.bus import journal
from dagnats.bus.journal import Loaded
from dagnats.core.resume import Past, begun_once
from dagnats.core.state import RunState, fold
from dagnats.definition.privileged import refuse_privileged
from dagnats.definition.problems import Problems, quoted
from dagnats.definition.words import suggest
from dagnats.errors import JournalError, UsageError
from dagnats.fence import Owner
from dagnats.process import Guardian
from dagnats.request import Prepared, Request, versions
from dagnats.run import check_reports, dotenvs, inherited, secrets_of, started_server, told_to_job

Consent = Callable[[str], bool]


def resume(request: Request, name: str | None, *, accept_loss: bool, again: Collection[str], consent: Consent) -> int:
    """Go on with a run; gives the exit code. `again` names steps that are `once` and may run again although they had begun; of others `consent` is asked.

    Raises DagnatsError for all that is not a step's failure.
    """
    return told_to_job(request, lambda: _resume(request, stored.find(name), accept_loss, again, consent))


def _resume(request: Request, path: Path, accept_loss: bool, again: Collection[str], consent: Consent) -> RunState:
    check_reports(request)
    if (bundle := rundir.origin(path)) is not None:
        raise UsageError(
            f"run {path.name} was opened from {bundle}: it is looked at, and not gone on with; nothing was started"
        )
    directory = rundir.reopen(path)
    try:
        stored.clear(path, is_lost=directory.is_taken)
        loaded = asyncio.run(_load(path, accept_loss))
        state = fold(loaded.events)
        _check(state, request, again)
        plan, workspace = state.plan, Path(state.started.workspace)
        refuse_privileged(plan, allowed=request.allow_privileged)
        dotenv = dotenvs(plan, workspace)
        vault = secrets_of(request, plan, workspace, state.own.params)
        past = Past(
            state,
            loaded.place,
            loaded.last,
            loaded.sequence,
            versions(),
            max(len(loaded.lost), loaded.missing),
            [id_ for id_ in begun_once(state) if id_ in again or consent(id_)],
        )
        marks = [owner.mark for owner in rundir.owners(path)]
        guardian = Guardian.start(inherited(os.environ))
        directory.owned_by(Owner(os.getpid(), guardian.pid, guardian.mark))
        guardian.remove_at_end(directory.passing)
        server = started_server(guardian, path, request.durability)
        from dagnats.drive import drive  # noqa: PLC0415 - measured: 120 ms, hidden behind the start of the server

        return drive(
            Prepared(
                request,
                plan,
                state.own.params,
                workspace,
                directory,
                guardian,
                server,
                vault,
                dotenv=dotenv,
                past=past,
                past_events=loaded.events,
                past_marks=marks,
            )
        )
    finally:
        directory.close()


async def _load(path: Path, accept_loss: bool) -> Loaded:
    """Read the journal; what is damaged of it is given up only with consent. Raises JournalError."""
    async with stored.served(path) as link:
        loaded = await stored.unless_lost(link, journal.load(link, path.name, rundir.journal_seen(path)))
        if loaded.damage and not accept_loss:
            last = loaded.events[-1]
            raise JournalError(
                f"{loaded.damage}; `dagnats resume {path.name} --accept-loss` goes on from event {last.seq}, "
                f"the last good one ({type(last).__name__}), and forgets what came after it"
            )
        await stored.unless_lost(link, journal.give_up(link, loaded))
        return loaded


def _check(state: RunState, request: Request, again: Collection[str]) -> None:
    """Refuse a run with which nobody can go on."""
    if state.finished is not None:
        raise UsageError(f"run {state.run} has ended: it {str(state.outcome).replace('_', ' ')}; nothing was started")
    if not Path(state.started.workspace).is_dir():
        raise UsageError(f"run {state.run}: its project {state.started.workspace} is gone; nothing was started")
    wanted = request.exit_code_from
    if wanted is not None and wanted not in {step.id for step in (*state.plan.steps, *state.plan.finally_steps)}:
        raise UsageError(f"--exit-code-from: {state.plan.name} has no step {quoted(wanted)}; nothing was started")
    for step in again:
        if step not in state.steps:
            hint = suggest(step, list(state.steps), Problems(""))
            raise UsageError(
                f"--again: run {state.run} has no step {quoted(step)}{hint and f'; {hint}'}; nothing was started"
            )
        if not state.steps[step].step.once:
            raise UsageError(f"--again: step {quoted(step)} is not `once`: it runs again unasked; nothing was started")
