"""One run in one event loop: connects server, worker, engine and report, listens for signals, and keeps the server alive."""

import asyncio
import gc
import os
import signal
import time
from collections.abc import Coroutine, Mapping
from typing import TYPE_CHECKING, Any

from dagnats.answering import answerer
from dagnats.bus.link import Link
from dagnats.bus.output import store_note
from dagnats.bus.topology import set_up
from dagnats.core.events import CancelledBy, Rerun, RunStarted
from dagnats.core.pipeline import JSON, in_order
from dagnats.core.state import RunState
from dagnats.core.text import workflow_command
from dagnats.definition.project import STDIN
from dagnats.dispatch import Dispatch, pipeline_context
from dagnats.engine import Engine
from dagnats.errors import (
    EngineError,
    InterruptedEarlyError,
    ParkedError,
    UnshownError,
    UsageError,
)
from dagnats.keeper import Keeper
from dagnats.report.feed import Feed
from dagnats.report.listing import brief, encoded
from dagnats.report.modes import Surroundings, Wanted, mode_of, reporters, style_of
from dagnats.report.parked import parked_text
from dagnats.report.reporter import Reporter
from dagnats.report.style import Style
from dagnats.report.view import again_kept
from dagnats.repository import read_git
from dagnats.request import Prepared, versions
from dagnats.variables import Resolver, VariableError
from dagnats.workers.kinds import actions
from dagnats.workers.worker import Worker

if TYPE_CHECKING:
    from dagnats.workers.runtime import Runtime

STATUS_S = 1.0  # so often the list of runs is told how far the run is


def drive(prepared: Prepared) -> RunState:
    """Run to the end; gives the last state. Nothing that the run started is left when this returns or raises."""
    gc.freeze()  # what was loaded up to here stays
    gc.enable()
    return asyncio.run(_run(prepared))


async def _run(prepared: Prepared) -> RunState:
    return await _Drive(prepared).run()


class _Drive:
    """What one run holds together."""

    def __init__(self, prepared: Prepared) -> None:
        self._prepared = prepared
        self._link = Link()
        self._feed: Feed | None = None
        self._engine: Engine | None = None
        self._notes: list[str] = list(prepared.notes)
        self._interrupts: list[signal.Signals] = []
        self._watchers: list[asyncio.Task[None]] = []
        self._worker: Worker | None = None
        self._broken: BaseException | None = None
        self._keeper = Keeper(self._link, prepared.server, prepared.directory, self._note)
        self._beginning = asyncio.current_task()  # until there is an engine, which can be told of a signal

    async def run(self) -> RunState:
        prepared = self._prepared
        prepared.guardian.attach(asyncio.get_running_loop())
        self._listen_for_signals()
        try:
            return await self._run()
        except asyncio.CancelledError:
            if self._broken is not None:
                raise self._broken from None
            if not self._interrupts:
                raise
            raise InterruptedEarlyError(self._interrupts[0].name, self._interrupts[0]) from None
        except EngineError as error:
            self._keeper.explain_full_disk(error)
            raise
        finally:
            for watcher in self._watchers:
                watcher.cancel()
            if self._feed is not None:
                await self._feed.close()
            await self._link.close()
            await prepared.guardian.close()

    async def _run(self) -> RunState:
        prepared, link = self._prepared, self._link
        await self._keeper.connect()
        self._watch(self._keeper.keep())
        await set_up(link)
        runtime = await self._runtime()
        past = prepared.past
        if past is not None and runtime is not None:
            await self._remove_containers(past.state)
        started = await self._started() if past is None else past.state.started
        self._feed = Feed(self._reporters(started), prepared.past_events)
        for note in self._notes:
            self._note(note)
        colors = {"FORCE_COLOR": "1", "CLICOLOR_FORCE": "1"} if self._style().color else {}
        dispatch = Dispatch(os.environ, colors, allow_privileged=prepared.request.allow_privileged)
        parks = prepared.request.detach_on_wait
        failpoint = prepared.request.failpoint
        note_commit = prepared.directory.note_commit
        begun = past or started
        self._engine = engine = Engine(link, dispatch, self._feed, begun, failpoint, parks=parks, note=note_commit)
        for number in self._interrupts:
            self._cancel(number)
        kinds = actions(prepared.guardian, prepared.directory.scratch, prepared.dotenv, runtime)
        self._worker = worker = Worker(
            link,
            kinds,
            2 * started.max_parallel,
            self._feed,
            on_crash=engine.crash,
            vault=prepared.vault,
            directory=prepared.directory.scratch,
        )
        await worker.start()
        self._watch(self._keep_status(engine))
        try:
            state = await engine.run()
            await self._told(state)
            prepared.directory.seal(*engine.journal_end)
            problem = await self._write_reports()
        except ParkedError:
            await self._told(engine.state)
            raise ParkedError(parked_text(engine.state)) from None
        finally:
            await worker.close()
        if self._feed.broken is not None:
            message = f"the run {state.outcome}, but not all of it could be shown: {self._feed.broken}"
            raise UnshownError(message, state) from self._feed.broken
        if problem is not None:
            raise UnshownError(f"the run {state.outcome}, but {problem}", state) from problem
        return state

    async def _told(self, state: RunState) -> None:
        """Have all that was said stored and shown: nothing more happens."""
        await self._link.settled()
        if self._feed is not None:
            await self._feed.close()
        self._prepared.directory.note_status(encoded(brief(state)))

    def _note(self, text: str) -> None:
        """Say a word of the program's own, and keep it for those who look later."""
        if self._feed is not None:
            store_note(self._link, self._prepared.directory.name, text, self._feed.note(text))

    async def _write_reports(self) -> EngineError | None:
        """Write the reports that are asked for, and the one that GitHub shows; gives what went wrong with the former."""
        request, run = self._prepared.request, self._prepared.directory.name
        problem: EngineError | None = None
        if request.reports:
            from dagnats.report.written import write  # noqa: PLC0415 - only for those who ask for one

            try:
                await write(self._link, run, request.reports)
            except EngineError as error:
                problem = error
        path = os.environ.get("GITHUB_STEP_SUMMARY")
        if path and request.github_summary and mode_of(request.output, os.environ) == "github":
            from dagnats.report.written import Report, write  # noqa: PLC0415 - the same

            try:
                await write(self._link, run, [Report("--summary", path, appends=True)])
            except EngineError as error:
                print(workflow_command("warning", f"$GITHUB_STEP_SUMMARY: {error}", title="dagnats"), flush=True)  # noqa: T201 - the run is over, and well
        return problem

    async def _runtime(self) -> "Runtime | None":
        """Find what makes containers, if any step has one: where there is none, nothing is started."""
        plan = self._prepared.plan
        pipelines = (plan, *in_order(plan, plan.pipelines).values())
        steps = (step for one in pipelines for step in (*one.steps, *one.finally_steps))
        if all(step.container is None and not step.services for step in steps):
            return None
        from dagnats.workers.finding import find  # noqa: PLC0415 - only for those that have containers

        try:
            return await find(self._prepared.guardian, os.environ)
        except UsageError as error:
            raise UsageError(f"{plan.file}: {error}; nothing was started") from None

    async def _remove_containers(self, state: RunState) -> None:
        """Remove the containers that an earlier runner has left: no attempt begins while one before it may still run."""
        from dagnats.workers.leftovers import Before, remove_of  # noqa: PLC0415 - the same

        before = Before(state.run, state.started.workspace, self._prepared.past_marks)
        count = await remove_of(self._prepared.guardian, os.environ, before)
        if count:
            self._notes.append(f"removed {count} container{'s' if count != 1 else ''} that the runner before has left")

    async def _started(self) -> RunStarted:
        """Settle every value from outside: this is the last moment at which a run can be refused."""
        prepared = self._prepared
        env = {name: os.environ[name] for name in prepared.plan.env_names if name in os.environ}
        plan, workspace = prepared.plan, prepared.workspace
        git = await read_git(plan.file, workspace, os.environ, prepared.guardian) if plan.uses_git else {}
        variables = await self._variables({"params": prepared.params, "env": env, "git": git})
        hide = prepared.vault.masker.text if prepared.vault is not None else str
        rerun = self._rerun(variables, env, git)
        await self._bring(rerun)
        return RunStarted(
            seq=1,
            at=time.time(),
            run=prepared.directory.name,
            plan=plan,
            max_parallel=prepared.max_parallel,
            workspace=str(workspace),
            params=prepared.params,
            vars=variables,
            env=env,
            versions=versions(),
            git=git,
            again=tuple(hide(word) for word in again_kept(prepared.request.again)),
            directory=prepared.seen_from,
            rerun=rerun,
        )

    def _rerun(self, variables: Mapping[str, JSON], env: Mapping[str, str], git: Mapping[str, JSON]) -> Rerun | None:
        """Say what is taken over from another run, now that every value is known."""
        asked = self._prepared.request.rerun
        if asked is None:
            return None
        from dagnats.definition.reuse import Now  # noqa: PLC0415 - only for those who ask for it

        workspace = str(self._prepared.workspace)
        now = Now(workspace=workspace, params=self._prepared.params, vars=variables, env=env, git=git)
        return asked.found(self._prepared.plan, now).rerun

    async def _bring(self, rerun: Rerun | None) -> None:
        """Take over the files that were kept of the steps that are reused."""
        bring = self._prepared.request.bring
        kept = rerun.reused.values() if rerun is not None else ()
        objects = list(dict.fromkeys(one.object for reused in kept for one in reused.artifacts.values()))
        if objects and bring is not None:
            await bring(self._link, objects, self._prepared.directory.scratch)

    async def _variables(self, known: Mapping[str, Mapping[str, JSON]]) -> dict[str, JSON]:
        """Resolve `vars`; they are recorded, so that no secret may be in them."""
        prepared, vault = self._prepared, self._prepared.vault
        plan, workspace = prepared.plan, prepared.workspace
        hide = vault.masker.text if vault is not None else str
        known = {**known, "pipeline": pipeline_context(plan.name, plan.file, str(workspace))}
        try:
            resolver = Resolver(prepared.guardian, workspace, env=prepared.dotenv.get(""), hide=hide)
            resolved = await resolver.resolve(plan.vars, known)
        except VariableError as error:
            raise UsageError(f"{plan.file}: {error}; nothing was started") from error
        if vault is None:
            return resolved
        self._notes += [
            f"secret `{name}` has fewer than 4 characters and is not masked in output" for name in vault.unmasked
        ]
        variables: dict[str, JSON] = vault.masker.value(resolved)
        self._notes += [
            f"`vars.{name}` held a secret, which is replaced by ***: vars are recorded"
            for name, value in resolved.items()
            if variables[name] != value
        ]
        return variables

    def _style(self) -> Style:
        request = self._prepared.request
        return style_of(mode_of(request.output, os.environ), request.color, os.environ)

    def _reporters(self, started: RunStarted) -> list[Reporter]:
        request, plan, vault = self._prepared.request, self._prepared.plan, self._prepared.vault
        wanted = Wanted(
            output=request.output,
            color=request.color,
            again=started.again,
            is_kept=not request.ephemeral and plan.file != STDIN,
            quiet=request.quiet,
            verbose=request.verbose,
            events_file=request.events_file,
            annotates=request.github_annotations,
        )
        answer = answerer(self._link, started.run)
        around = Surroundings(os.environ, vault.masked if vault is not None else (), answer=answer)
        return reporters(wanted, self._style(), around)

    def _watch(self, watcher: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(watcher)
        task.add_done_callback(self._watcher_ended)
        self._watchers.append(task)

    def _watcher_ended(self, task: asyncio.Task[None]) -> None:
        if task.cancelled() or (error := task.exception()) is None:
            return
        if self._engine is not None:
            self._engine.crash(error)
        elif self._beginning is not None:  # what is asked of a server would be waited for in vain
            self._broken = self._broken or error
            self._beginning.cancel()

    def _listen_for_signals(self) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            loop.add_signal_handler(number, self._interrupted, number)
        if signal.getsignal(signal.SIGTSTP) is signal.SIG_DFL:
            loop.add_signal_handler(signal.SIGTSTP, self._stopped)

    def _stopped(self) -> None:
        """Stop, as Ctrl-Z asks, and leave the terminal to the shell until the run is continued. Steps go on."""
        if self._feed is not None:
            self._feed.leave()
        loop = asyncio.get_running_loop()
        loop.remove_signal_handler(signal.SIGTSTP)
        os.kill(os.getpid(), signal.SIGTSTP)  # nothing happens where nobody could continue it
        loop.add_signal_handler(signal.SIGTSTP, self._stopped)
        if self._feed is not None:
            self._feed.back()

    def _interrupted(self, number: signal.Signals) -> None:
        """First: cancel and run `finally`. Second: kill everything. Third: leave, the guardian cleans up."""
        self._interrupts.append(number)
        if len(self._interrupts) > 2:
            if self._feed is not None:
                self._feed.leave()
            os._exit(128 + number)
        if self._feed is not None:
            self._feed.hurry()
        if self._engine is not None:
            self._cancel(number)
        elif self._beginning is not None:
            self._beginning.cancel()

    def _cancel(self, number: signal.Signals) -> None:
        force = len(self._interrupts) > 1
        why = f"received {number.name}" + (" again: everything is killed, and `finally` does not run" if force else "")
        if self._engine is not None:
            self._engine.cancel(CancelledBy.SIGNAL, why, signal=int(number), force=force)
        if force:
            self._keeper.hurry()
            if self._worker is not None:
                self._worker.kill()  # at once: the engine's order needs a server that answers

    async def _keep_status(self, engine: Engine) -> None:
        """Note how far the run is, while it is something new."""
        noted = 0
        while True:
            if engine.state.seq != noted:
                noted = engine.state.seq
                self._prepared.directory.note_status(encoded(brief(engine.state)))
            await asyncio.sleep(STATUS_S)
