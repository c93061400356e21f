"""Container steps: a script or a command in a container of its own, which a runtime makes, runs and removes."""

import asyncio
import os
import secrets
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from msgspec import Struct
from msgspec.structs import replace

from dagnats.bus.tasks import Task
from dagnats.core.codec import container_from
from dagnats.core.events import Reason
from dagnats.core.pipeline import Container
from dagnats.errors import UsageError
from dagnats.pipes import capture
from dagnats.process import Guardian, GuardianDied, SpawnError
from dagnats.workers import inside
from dagnats.workers import runtime as commands
from dagnats.workers.action import Ended, Failure, Over, Sink, Stop
from dagnats.workers.attempt import Watchdog, concluded
from dagnats.workers.box import NO_BASH, Box
from dagnats.workers.finding import find, sweeper
from dagnats.workers.images import ImageError, fetch, own_command
from dagnats.workers.inside import OF_THE_RUNTIME, RefusedError
from dagnats.workers.life import ANSWER_S, EndingError, Life
from dagnats.workers.runtime import Made, Runtime
from dagnats.workers.verdict import failure_of


class _Attempt(Struct, frozen=True):
    """One task, and what its container has to do with."""

    task: Task
    container: Container
    workspace: str
    sink: Sink
    life: Life
    box: Box
    runner: str
    over: Over | None


class ContainerAction:
    """Runs steps in containers. `runtime` is looked for at the first of them if it is not given; `dotenv` has variables by the `pipeline` of tasks."""

    def __init__(
        self,
        guardian: Guardian,
        directory: Path,
        dotenv: Mapping[str, Mapping[str, str]],
        runtime: Runtime | None = None,
    ) -> None:
        self._guardian = guardian
        self._directory = directory
        self._dotenv = dotenv
        self._runtime = runtime
        self._fetching: dict[str, asyncio.Lock] = {}
        self._alive = 0

    async def run(
        self, task: Task, sink: Sink, stop: Stop, *, name: str | None = None, over: Over | None = None
    ) -> Ended:
        """Carry out one attempt, or have a service run, in a container of this name; `over` is told how it ended before it is removed."""
        try:
            if self._runtime is None:
                self._runtime = await find(self._guardian, os.environ)
            return await self._run(self._attempt(self._runtime, task, sink, name, over), stop)
        except (GuardianDied, UsageError) as error:
            return Ended(Failure(Reason.ENGINE, str(error)))

    async def is_running(self, name: str) -> bool:
        """Whether a container has been started."""
        answer = await self._ask(lambda runtime: commands.inspect(runtime, name))
        return answer is not None and answer.startswith(b"running")

    async def published(self, name: str, port: int) -> int | None:
        """Give the port of the machine on which a port of a container is reached; None if there is none."""
        answer = await self._ask(lambda runtime: commands.port(runtime, name, port))
        number = answer.decode().split("\n", 1)[0].rpartition(":")[2].strip() if answer is not None else ""
        return int(number) if number.isdigit() else None

    async def execute(self, name: str, words: Sequence[str]) -> bool:
        """Whether a command in a container ends well."""
        return await self._ask(lambda runtime: commands.execute(runtime, name, words)) is not None

    async def _ask(self, argv: Callable[[Runtime], list[str]]) -> bytes | None:
        """Give what a command of the runtime prints; None if it fails."""
        if self._runtime is None:
            return None
        answer = await capture(self._guardian, argv(self._runtime), cwd="/", timeout_s=ANSWER_S, client=True)
        return answer.stdout if answer.exit.ok else None

    def _attempt(self, runtime: Runtime, task: Task, sink: Sink, name: str | None, over: Over | None) -> _Attempt:
        container = container_from(task.container or {})
        name = name or commands.container_name(task.run, task.step, task.attempt, secrets.token_hex(4))
        return _Attempt(
            task=task,
            container=container,
            workspace=task.env.get("DAGNATS_WORKSPACE") or task.cwd,
            sink=sink,
            life=Life(self._guardian, runtime, name),
            box=Box(self._directory, task, shared=inside.may_be_another(container, runtime, os.geteuid(), task.kind)),
            runner=self._guardian.mark,
            over=over,
        )

    async def _run(self, attempt: _Attempt, stop: Stop) -> Ended:
        task, sink, box = attempt.task, attempt.sink, attempt.box
        watchdog = Watchdog(task, sink, stop, attempt.life.end)
        try:
            failure = await self._within(attempt, watchdog)
            note = f"the image {attempt.container.image} has no bash: the script was run by its sh"
            ended = concluded(
                task, failure, watchdog, note if NO_BASH in box.told() else "", box.read_outputs, hide=sink.hide
            )
            summary = box.read_summary(sink.hide)
            return replace(ended, summary=summary) if summary else ended
        except EndingError:
            return concluded(task, None, watchdog, "", bytes, hide=sink.hide)
        except (SpawnError, RefusedError) as error:
            return Ended(Failure(Reason.SPAWN, str(error), error.exit_code))
        except ImageError as error:
            return Ended(Failure(Reason.SPAWN, str(error), OF_THE_RUNTIME))
        finally:
            watchdog.close()
            box.remove()

    async def _within(self, attempt: _Attempt, watchdog: Watchdog) -> Failure | None:
        """Make the container, have it run to its end, and remove it."""
        task, life, box = attempt.task, attempt.life, attempt.box
        env = inside.variables(task, self._dotenv.get(task.pipeline, {}))
        why = inside.why_a_shell(task, env, attempt.workspace)
        hidden = _state_in(attempt.workspace, str(self._directory))
        mounts = (*inside.mounts(task, attempt.container, attempt.workspace), *box.mounts(hidden))
        words = inside.words(task, box.script, by_shell=bool(why))
        box.write(task, os.fsencode(commands.exports(env.by_file)))
        if attempt.container.pull == "always":
            await life.unless_ending(self._fetch(attempt))
        entrypoint, words = await self._command(attempt, words, why)
        made = _made(attempt, env, mounts, entrypoint, words)
        self._count(life.runtime, 1)
        try:
            await self._make(attempt, made, env.by_name)
            watchdog.watch_silence()
            state = await life.run(attempt.sink)
            if watchdog.is_ending:
                return None
            program = await self._program(attempt) if state.code != 0 else ""
            told = box.told() if why else None
            failure = failure_of(state, told, task, attempt.container, why=why, program=program)
            if attempt.over is not None:
                attempt.over(failure)  # podman removes no container whose network another has: those have to end first
        finally:
            if await life.remove():
                self._count(life.runtime, -1)
            else:  # the guardian tries again at the end of the run
                attempt.sink.put("err", f"dagnats: the container {life.name} could not be removed\n".encode())
        return None if watchdog.is_ending else failure

    async def _program(self, attempt: _Attempt) -> str:
        """Name what a container ran, for whoever reads that it is missing; what an image runs by itself has to be asked for."""
        task, life, entrypoint = attempt.task, attempt.life, attempt.container.entrypoint
        own_words: tuple[str, ...] = ()
        if entrypoint is None and task.script is None:
            own = await own_command(life.runtime, attempt.container.image, life.ask)
            entrypoint, own_words = own or ((), ())
        return next(iter((*(entrypoint or ()), *(task.argv or own_words))), "its own")

    async def _command(
        self, attempt: _Attempt, words: tuple[str, ...], why: str
    ) -> tuple[tuple[str, ...] | None, tuple[str, ...]]:
        """Give entrypoint and command, begun by a shell where there is a reason why. Without an entrypoint that of the image is used."""
        task, box, entrypoint = attempt.task, attempt.box, attempt.container.entrypoint
        if task.script is not None:
            return entrypoint or (), box.begin(task.cwd, words) if why else words
        if not why and (words or entrypoint != ()):
            return entrypoint, words
        whole = (*(entrypoint or ()), *words)
        if entrypoint is None or not whole:
            own = await attempt.life.unless_ending(self._own_command(attempt))
            whole = (*(own[0] if entrypoint is None else ()), *(words or own[1]))
        if not whole:
            raise RefusedError(
                f"the image {attempt.container.image} has no command of its own, and the step gives none"
            )
        # a service begins where its image says
        where = task.cwd if task.kind != "service" else "."
        return (), box.begin(where, whole) if why else whole

    async def _own_command(self, attempt: _Attempt) -> tuple[tuple[str, ...], tuple[str, ...]]:
        image, life = attempt.container.image, attempt.life
        own = await own_command(life.runtime, image, life.ask)
        if own is None:
            await self._fetch_missing(attempt)
            own = await own_command(life.runtime, image, life.ask)
        return own or ((), ())

    async def _make(self, attempt: _Attempt, made: Made, env: Mapping[str, str]) -> None:
        """Create the container; the image is looked for only when that fails, which costs a step nothing that has its image."""
        life, container = attempt.life, attempt.container
        created = await life.create(made, env)
        if not created.exit.ok and life.runtime.has_init and commands.lacks_init(created.stderr):
            life.runtime = self._runtime = replace(life.runtime, has_init=False)
            created = await life.create(made, env)
        if not created.exit.ok and await own_command(life.runtime, container.image, life.ask) is None:
            await life.unless_ending(self._fetch_missing(attempt))
            created = await life.create(made, env)
        if created.timed_out:
            raise RefusedError("the container could not be made: its runtime does not answer")
        if not created.exit.ok:
            raise RefusedError(f"the container could not be made: {commands.said(created.stderr)}")
        ignored = commands.ignores_limits(created.stderr) if container.memory or container.cpus else None
        if ignored is not None:
            raise RefusedError(f"the runtime can not keep the limits of the step: {ignored}")

    async def _fetch_missing(self, attempt: _Attempt) -> None:
        if attempt.container.pull == "never":
            raise RefusedError(
                f"the image {attempt.container.image} is not there, and `pull: never` keeps it from being fetched"
            )
        await self._fetch(attempt)

    async def _fetch(self, attempt: _Attempt) -> None:
        """Fetch the image; once, if several steps that lack it want it at the same time."""
        container, life = attempt.container, attempt.life
        async with self._fetching.setdefault(container.image, asyncio.Lock()):
            is_missing = container.pull == "missing"
            if is_missing and await own_command(life.runtime, container.image, life.ask) is not None:
                return
            attempt.sink.put("err", f"dagnats: fetching the image {container.image}\n".encode())
            await fetch(life.runtime, container, Path(attempt.box.path), life.ask)

    def _count(self, runtime: Runtime, by: int) -> None:
        """Keep the guardian told whether it has to remove containers should this process be gone."""
        before, self._alive = self._alive, self._alive + by
        if bool(before) != bool(self._alive):
            label = f"{_RUNNER}={self._guardian.mark}"
            self._guardian.clean_up_at_end(sweeper(commands.remove(runtime), label) if self._alive else [])


_RUNNER = "dagnats.runner"
_STATE = ".dagnats"


def _state_in(workspace: str, scratch: str) -> str | None:
    """Give the directory of runs if it is in the workspace: there are the files of other steps, with their secrets, and the way to the run's server."""
    state = f"{workspace.rstrip('/')}/{_STATE}"
    return state if inside.is_below(scratch, state) else None


def _made(
    attempt: _Attempt,
    env: inside.Variables,
    mounts: tuple[commands.Mount, ...],
    entrypoint: tuple[str, ...] | None,
    words: tuple[str, ...],
) -> Made:
    task, container = attempt.task, attempt.container
    who, keeps_id = inside.user(container, attempt.life.runtime, os.geteuid(), os.getegid(), task.kind)
    program, rest = (None, words) if entrypoint is None else commands.program_and(entrypoint, words)
    return Made(
        name=attempt.life.name,
        image=container.image,
        labels={
            "dagnats.run": task.run,
            "dagnats.step": task.step,
            "dagnats.attempt": str(task.attempt),
            "dagnats.workspace": attempt.workspace,
            "dagnats.host": os.uname().nodename,  # several may share a daemon
            _RUNNER: attempt.runner,
        },
        mounts=mounts,
        workdir=task.cwd if task.kind != "service" and inside.is_below(task.cwd, attempt.workspace) else None,
        user=who,
        keeps_id=keeps_id,
        env_names=tuple(env.by_name),
        env=inside.fixed_env(who, keeps_id, env),
        entrypoint=program,
        words=rest,
        network=container.network,
        memory=container.memory,
        cpus=container.cpus,
        options=container.options,
    )
