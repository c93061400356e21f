"""Tasks: the messages that ask a worker for one attempt of a step, from a work queue."""

import json
import secrets
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from msgspec import Struct, field

from dagnats.bus.link import Link, Message
from dagnats.bus.topology import LABEL, NS
from dagnats.core.text import encode_json, token

PULL_EXPIRES_S = 300


class Task(Struct, frozen=True, kw_only=True):
    """One attempt, with all that a worker needs: nothing is looked up elsewhere.

    Either `argv` is a command, or `script` goes to `shell`: a known shell's name, or an argv in which `{0}` stands for the script's file. `env` is
    what differs from the worker's own environment. What mentions secrets is not rendered yet, as only the worker has their values: the variables of
    `secret_env`, the script if it is a `secret_script`, and those of the container's credentials that are in `secret_credentials`; `context` has the other values that they mention. `outputs` maps declared outputs to
    {"type", "required"}. `not_before` is in unix seconds, or None. `pipeline` is the file whose secrets and variables it is given, or "" for that of the
    run. A task of the kind "pipeline" opens one: with `params`, and with the values of `vars`, for whose templates `context` has what they may mention.
    One of the kind "container" has the record of its `container`. Of the `services` of its pipeline it waits for those that it `uses`: each is a
    `name`, the record of its `container`, `ports`, and `ready`, and `env`, `secret_env` and `context` as those of a task. Of `artifacts`, {"name", "paths",
    "when"}, the worker keeps files when the attempt has ended; the `restores`, {"step", "name", "object", "bytes", "files"}, it brings back before it begins.
    """

    run: str
    step: str
    attempt: int
    cwd: str
    kind: str = "shell"
    argv: Sequence[str] | None = None
    shell: str | Sequence[str] = "bash"
    script: str | None = None
    env: Mapping[str, str] = field(default_factory=dict)
    timeout_s: float | None = None
    idle_timeout_s: float | None = None
    outputs: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    not_before: float | None = None
    secret_env: Mapping[str, str] = field(default_factory=dict)
    secret_script: bool = False
    secret_credentials: Mapping[str, str] = field(default_factory=dict)
    context: Mapping[str, Any] = field(default_factory=dict)
    pipeline: str = ""
    params: Mapping[str, Any] = field(default_factory=dict)
    vars: Mapping[str, Any] = field(default_factory=dict)
    container: Mapping[str, Any] | None = None
    services: Sequence[Mapping[str, Any]] = ()
    uses: Sequence[str] = ()
    artifacts: Mapping[str, Any] | None = None
    restores: Sequence[Mapping[str, Any]] = ()

    @property
    def holds_secrets(self) -> bool:
        """Whether something in it mentions secrets, and is to be rendered by who has these."""
        return bool(self.secret_env or self.secret_script or self.secret_credentials)


_FIELDS = (
    "run", "step", "attempt", "cwd", "kind", "argv", "shell", "script", "env", "timeout_s", "idle_timeout_s", "outputs", "not_before",
    "secret_env", "secret_script", "secret_credentials", "context", "pipeline", "params", "vars", "container",
    "services", "uses", "artifacts", "restores",
)  # fmt: skip


def publish(link: Link, task: Task) -> None:
    """Put a task into the queue. It may be lost, and may be sent again: the engine lets an attempt start once."""
    record = {"v": 1} | {name: getattr(task, name) for name in _FIELDS}
    payload = encode_json(record).encode("utf-8", "surrogatepass")
    link.send(f"tasks.{LABEL}.{task.run}.{token(task.step)}", payload)


class Delivery:
    """A task in a worker's hands, until it is acknowledged or given back."""

    def __init__(self, link: Link, task: Task, reply: str) -> None:
        self._link = link
        self.reply = reply
        self.task = task

    @property
    def redelivered(self) -> bool:
        """Whether it was in somebody's hands before: `$JS.ACK.<stream>.<consumer>.<deliveries>.…`."""
        return self.reply.split(".")[4] != "1"

    def ack(self) -> None:
        """It is done: the queue forgets it."""
        self._link.publish(self.reply, b"+ACK")

    def give_back(self, delay_s: float) -> None:
        """Hand it out again, to anyone, after the delay."""
        self._link.publish(self.reply, b"-NAK " + json.dumps({"delay": max(0, int(delay_s * NS))}).encode())

    def hold(self) -> None:
        """Say that it is being worked on, so that nobody else gets it."""
        self._link.publish(self.reply, b"+WPI")


class Puller:
    """One standing pull request a free place; each brings one task or is renewed."""

    def __init__(self, link: Link, take: Callable[[Delivery], None]) -> None:
        self._link = link
        self._take = take
        self._inbox = f"_INBOX.{secrets.token_hex(8)}"
        self._standing = 0
        self._request = json.dumps({"batch": 1, "expires": PULL_EXPIRES_S * NS}).encode()

    async def start(self, places: int) -> None:
        """Listen, and ask for as many tasks as there are places."""
        await self._link.subscribe(self._inbox, self._got)
        self._link.on_connected(self._again)
        for _ in range(places):
            self.pull()

    def pull(self) -> None:
        """Ask for one task."""
        self._standing += 1
        self._ask()

    def _ask(self) -> None:
        self._link.publish(f"$JS.API.CONSUMER.MSG.NEXT.TASKS.{LABEL}", self._request, reply=self._inbox)

    async def _again(self) -> None:
        for _ in range(self._standing):
            self._ask()

    def _got(self, message: Message) -> None:
        if not message.reply.startswith("$JS.ACK."):
            self._ask()  # the request ran out, or the server asks to repeat it
            return
        self._standing -= 1
        record = json.loads(message.data)
        self._take(Delivery(self._link, Task(**{name: record[name] for name in _FIELDS}), message.reply))
