"""A worker: takes tasks from the queue, has them carried out, and reports to the engine until it is answered."""

import asyncio
import errno
import secrets
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from dagnats.bus.link import Link
from dagnats.bus.output import OutputStream
from dagnats.bus.reports import on_stop, report_failure, send_report
from dagnats.bus.tasks import Delivery, Puller, Task, Unread
from dagnats.bus.topology import ACK_WAIT_S
from dagnats.core.decide import Failed, Opened, Report, Started, Stopped, Succeeded
from dagnats.core.events import Reason
from dagnats.errors import DiskFullError
from dagnats.workers.action import Action, Ended, Failure, Stop
from dagnats.workers.sink import OutputSink, Watcher

if TYPE_CHECKING:
    from dagnats.workers.keeping import Keeper
    from dagnats.workers.services import Services
    from dagnats.workers.vault import Unsealed, Vault

Key = tuple[str, str, int]


class _Job:
    """An attempt in this worker's hands, from its claim to the engine's word on its end."""

    def __init__(self, delivery: Delivery) -> None:
        self.delivery = delivery
        self.stop = Stop()


class Worker:
    """Takes as many tasks at once as it has places, runs those that the engine lets start, and holds the others."""

    def __init__(
        self,
        link: Link,
        actions: Mapping[str, Action],
        places: int,
        watcher: Watcher | None = None,
        *,
        ack_wait_s: float = ACK_WAIT_S,
        on_crash: Callable[[BaseException], None] | None = None,
        vault: "Vault | None" = None,
        directory: Path | None = None,
    ) -> None:
        self.name = f"worker-{secrets.token_hex(4)}"
        self._link = link
        self._loop = asyncio.get_running_loop()
        self._actions = actions
        self._places = places
        self._watcher = watcher
        self._hold_every_s = ack_wait_s / 3
        self._on_crash = on_crash
        self._vault = vault
        self._directory = directory
        self._stream = OutputStream(link)
        self._puller = Puller(link, self._take, self._refuse)
        self._jobs: dict[Key, _Job] = {}
        self._orders: dict[Key, bool] = {}
        self._done: set[Key] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._holder: asyncio.Task[None] | None = None
        self._services: Services | None = None
        self._kept: Keeper | None = None

    async def start(self) -> None:
        """Begin to take tasks."""
        await on_stop(self._link, self._order)
        await self._puller.start(self._places)
        self._holder = asyncio.create_task(self._hold())

    def kill(self) -> None:
        """Kill what runs, without waiting for the engine to say so; it is reported as stopped."""
        for job in self._jobs.values():
            job.stop.order(kill=True)
        if self._services is not None:
            self._services.end(kill=True)

    async def close(self) -> None:
        """Take no more, and kill what runs; nothing is reported."""
        if self._holder is not None:
            self._holder.cancel()
        for job in self._jobs.values():
            job.stop.order(kill=True)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._services is not None:
            await self._services.close()

    async def _hold(self) -> None:
        """Tell JetStream at a third of its patience what is being worked on."""
        while True:
            await asyncio.sleep(self._hold_every_s)
            for job in self._jobs.values():
                job.delivery.hold()

    def _order(self, run: str, step: str, attempt: int, kill: bool) -> None:
        key = (run, step, attempt)
        if key in self._jobs:
            self._jobs[key].stop.order(kill=kill)
        else:
            self._orders[key] = kill  # it may come before its task

    def _take(self, delivery: Delivery) -> None:
        task = delivery.task
        if task.kind not in self._actions:
            kinds = ", ".join(sorted(self._actions))
            self._refuse(delivery.unread(f"it is of the kind {task.kind!r}, and this worker has only: {kinds}"))
            return
        early_s = task.not_before - time.time() if task.not_before is not None else 0.0
        if early_s > 0:
            delivery.give_back(early_s)
            self._puller.pull()
            return
        key = (task.run, task.step, task.attempt)
        if key in self._done or key in self._jobs:
            # a restarted server may forget whom it gave what: what we have done or hold is not begun again
            if key in self._done:
                delivery.ack()
            else:
                self._jobs[key].delivery = delivery
            self._puller.pull()
            return
        self._jobs[key] = job = _Job(delivery)
        if key in self._orders:
            job.stop.order(kill=self._orders.pop(key))
        claim = Started(step=task.step, attempt=task.attempt, worker=self.name)
        send_report(self._link, task.run, claim, lambda refusal: self._claimed(key, job, refusal))

    def _refuse(self, unread: Unread) -> None:
        """Keep what can not be carried out as a dead letter, and have the attempt fail."""
        self._puller.pull()
        buried = self._loop.create_task(self._bury(unread))
        self._tasks.add(buried)
        buried.add_done_callback(self._carried)

    async def _bury(self, unread: Unread) -> None:
        from dagnats.bus.dead import Letter, bury  # noqa: PLC0415 - only where something is wrong

        subject, step, attempt = unread.subject, unread.step, unread.attempt
        letter = Letter(subject=subject, task=unread.data, error=unread.error, step=step, attempt=attempt)
        await bury(self._link, unread.run, letter)
        if step:  # else the engine sends the task again, as nobody claims it
            why = f"no worker can carry its task out: {unread.error}; see `dagnats dead list {unread.run}`"
            report_failure(self._link, unread.run, step, attempt, why)
        unread.ack(self._link)

    def _claimed(self, key: Key, job: _Job, refusal: str) -> None:
        """The attempt may start, or nobody wants it."""
        if refusal:
            self._puller.pull()
            self._ended(key, job, refusal)
            return
        carried = self._loop.create_task(self._carry_out(key, job))
        self._tasks.add(carried)
        carried.add_done_callback(self._carried)

    def _carried(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None and self._on_crash is not None:
            self._on_crash(error)

    async def _carry_out(self, key: Key, job: _Job) -> None:
        report = await self._attempt(job.delivery.task, job.stop)
        self._puller.pull()
        send_report(self._link, key[0], report, lambda refusal: self._ended(key, job, refusal), job.delivery.reply)

    def _ended(self, key: Key, job: _Job, refusal: str) -> None:
        """The end is stored, and the engine has taken the task from the queue; or nobody wants it."""
        if refusal:
            job.delivery.ack()
        self._done.add(key)
        del self._jobs[key]

    async def _attempt(self, task: Task, stop: Stop) -> Report:
        unsealed = self._vault.unseal(task) if self._vault is not None else None
        sink = OutputSink(task, self._stream, self._watcher, unsealed.masker if unsealed is not None else None)
        try:
            ended = await self._run(task, unsealed, sink, stop)
            if task.artifacts is not None:
                ended = await self._keeper().keep(task, ended, stop)
        except Exception as error:  # noqa: BLE001 - whatever breaks around a step must end it, not hang the run
            if isinstance(error, OSError) and error.errno == errno.ENOSPC and self._on_crash is not None:
                self._on_crash(DiskFullError(f"disk full: {error.filename or 'no space for a step'}; free some space"))
            ended = Ended(Failure(Reason.ENGINE, f"the worker failed: {type(error).__name__}: {error}"))
        if unsealed is not None:
            ended = unsealed.hidden(ended)
        if ended.note:
            sink.put("err", f"dagnats: {ended.note}\n".encode())
        dropped = await sink.finish()
        return _report(task, self.name, ended, sink.bytes, dropped)

    async def _run(self, task: Task, unsealed: "Unsealed | None", sink: OutputSink, stop: Stop) -> Ended:
        if stop.ordered:
            return Ended(stopped=True)
        if unsealed is None and task.holds_secrets:
            return Ended(Failure(Reason.ENGINE, "this worker has no secrets, and the step needs some"))
        if unsealed is not None:
            if unsealed.failed is not None:
                return unsealed.failed
            task = unsealed.task
        if task.restores and (ended := await self._keeper().restore(task, stop)) is not None:
            return ended
        if not task.uses:
            return await self._actions[task.kind].run(task, sink, stop)
        from dagnats.workers.beside import run_beside  # noqa: PLC0415 - only for those that use services

        return await run_beside(self._of_services(), self._actions[task.kind], task, sink, stop)

    def _of_services(self) -> "Services":
        if self._services is None:
            from dagnats.workers.services import Services  # noqa: PLC0415 - the same

            self._services = Services(self._actions["container"].action(), self._stream, self._vault)  # type: ignore[attr-defined]
        return self._services

    def _keeper(self) -> "Keeper":
        if self._kept is None:
            from dagnats.workers.keeping import Keeper  # noqa: PLC0415 - only for those that have artifacts

            self._kept = Keeper(self._link, self._directory)
        return self._kept


def _report(task: Task, worker: str, ended: Ended, printed: int, dropped: int) -> Report:
    if ended.stopped:
        return Stopped(step=task.step, attempt=task.attempt, worker=worker, output_bytes=printed, dropped_bytes=dropped)
    if ended.failure is None and task.kind == "pipeline":
        return Opened(task.step, task.attempt, worker, params=task.params, vars=ended.outputs)
    if ended.failure is None:
        return Succeeded(
            step=task.step,
            attempt=task.attempt,
            worker=worker,
            outputs=ended.outputs,
            output_bytes=printed,
            dropped_bytes=dropped,
            summary=ended.summary,
            artifacts=ended.artifacts,
        )
    return Failed(
        step=task.step,
        attempt=task.attempt,
        worker=worker,
        reason=ended.failure.reason,
        message=ended.failure.message,
        exit_code=ended.failure.exit_code,
        outputs=ended.outputs,
        output_bytes=printed,
        dropped_bytes=dropped,
        summary=ended.summary,
        artifacts=ended.artifacts,
    )
