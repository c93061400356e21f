"""Keeps the server of a run alive, and sees that the run is still this runner's."""

import asyncio
import contextlib
import shutil
from collections.abc import Callable

from dagnats.bus.link import Link
from dagnats.bus.server import Server
from dagnats.errors import DiskFullError, EngineError, RunLostError
from dagnats.rundir import RunDirectory

SERVER_SILENT_S = 15.0  # a server that answers nothing for so long is killed and started again
FORCED_SILENT_S = 2.0  # the same, once somebody wants an end at once
SERVER_STARTS_MAX = 6
CHECK_S = 1.0
DISK_FREE_MIN_BYTES = 1 << 20


class Keeper:
    """Connects a link to the server, and again when that was lost."""

    def __init__(self, link: Link, server: Server, directory: RunDirectory, note: Callable[[str], None]) -> None:
        self._link = link
        self._server = server
        self._directory = directory
        self._note = note
        self._patience_s = SERVER_SILENT_S

    async def connect(self) -> None:
        """Wait until the server is ready, connect, and tell others where it is. Raises EngineError."""
        address = await self._server.ready()
        await self._link.connect(address)
        self._directory.connected(address.url, address.token)

    def hurry(self) -> None:
        """Somebody wants an end at once: a server that does not answer is waited for less."""
        self._patience_s = FORCED_SILENT_S

    async def keep(self) -> None:
        """Start the server again on its store when it died or answers nothing, and connect again; the run goes on."""
        while True:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._link.lost.wait(), CHECK_S)
            self._keep_run()
            silent = self._link.overdue_s() > self._patience_s
            if not self._link.lost.is_set() and not silent:
                continue
            self.explain_full_disk(None)
            self._note("nats-server stopped answering; it is started again on its store")
            await self._restart()

    def _keep_run(self) -> None:
        """Say that this runner is alive. Raises RunLostError when another has taken its run over, as it was taken for dead."""
        if not self._directory.is_ours:
            raise RunLostError(
                f"run {self._directory.name}: another process has taken it over while this one was stopped; "
                "its steps were stopped, and nothing more is written"
            )
        self._directory.beat()

    async def _restart(self) -> None:
        """Try until it answers, as often as a server may be started in one run."""
        server = self._server
        while True:
            if server.starts >= SERVER_STARTS_MAX:
                raise EngineError(
                    f"nats-server ended {server.starts} times; the steps that ran were stopped and the run is incomplete. "
                    f"Its last words: {server.last_words()}"
                )
            if server.process is not None:
                server.process.kill()
                await server.process.finish()
            self._keep_run()
            server.start()
            try:
                await self.connect()
            except (EngineError, OSError) as error:
                self.explain_full_disk(error)
            else:
                return

    def explain_full_disk(self, cause: Exception | None) -> None:
        """A full disk shows as many things; say what it is. Raises DiskFullError."""
        path = self._directory.path
        if shutil.disk_usage(path).free < DISK_FREE_MIN_BYTES:
            raise DiskFullError(f"disk full: {path}; what was acknowledged is kept, free some space") from cause
