"""Tasks: the messages that ask a worker for one attempt of a step, from a work queue."""

import json
import secrets
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from msgspec import Struct, ValidationError, convert, field

from dagnats.bus.link import Link, Message
from dagnats.bus.topology import LABEL, NS
from dagnats.core.text import encode_json, token
from dagnats.errors import JournalError

PULL_EXPIRES_S = 300
VERSION = 1


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
    link.send(subject_of(task), encode(task))


def subject_of(task: Task) -> str:
    """Give the subject under which a task is in the queue."""
    return f"tasks.{LABEL}.{task.run}.{token(task.step)}"


def encode(task: Task) -> bytes:
    """Give the bytes of a task."""
    record = {"v": VERSION} | {name: getattr(task, name) for name in _FIELDS}
    return encode_json(record).encode("utf-8", "surrogatepass")


class UnreadableError(Exception):
    """What is in the queue is no task; the text says why."""


def decode(data: bytes) -> Task:
    """Read a task back. Raises UnreadableError."""
    try:
        record = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise UnreadableError(f"it is no JSON: {error}") from error
    version = record.get("v") if isinstance(record, dict) else None
    if version != VERSION:
        raise UnreadableError(f"it has version {version!r}, and this worker reads version {VERSION}"[:200])
    try:
        return convert(record, Task)
    except ValidationError as error:
        raise UnreadableError(f"it has not what a task has: {error}") from error


class Unread(Struct, frozen=True):
    """What is in the queue and can not be carried out. `run`, `step` and `attempt` are what it says of itself, "" and 0 where it says nothing."""

    subject: str
    data: bytes
    reply: str
    error: str
    run: str
    step: str
    attempt: int

    def ack(self, link: Link) -> None:
        """Have the queue forget it."""
        link.publish(self.reply, b"+ACK")


def unread(subject: str, data: bytes, reply: str, error: str) -> Unread:
    """Look what can be known of it: the run by the subject, step and attempt if what it says of them fits to that."""
    parts = subject.split(".")
    run = parts[2] if len(parts) > 3 else ""
    try:
        record = json.loads(data)
        step, attempt = record["step"], record["attempt"]
        fits = (
            isinstance(step, str) and isinstance(attempt, int) and record["run"] == run and parts[3:] == [token(step)]
        )
    except (ValueError, LookupError, TypeError, RecursionError):
        fits = False
    return Unread(subject, data, reply, error, run, *((step, attempt) if fits else ("", 0)))


class Delivery:
    """A task in a worker's hands, until it is acknowledged or given back."""

    def __init__(self, link: Link, task: Task, message: Message) -> None:
        self._link = link
        self._message = message
        self.reply = message.reply
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

    def unread(self, error: str) -> Unread:
        """Give it back as one that can not be carried out."""
        return unread(self._message.subject, self._message.data, self.reply, error)

    def hold(self) -> None:
        """Say that it is being worked on, so that nobody else gets it."""
        self._link.publish(self.reply, b"+WPI")


class Puller:
    """One standing pull request a free place; each brings one task, or what can not be read as one, or is renewed."""

    def __init__(self, link: Link, take: Callable[[Delivery], None], refuse: Callable[[Unread], None]) -> None:
        self._link = link
        self._take = take
        self._refuse = refuse
        self._inbox = f"_INBOX.{secrets.token_hex(8)}"
        self._standing = 0
        self._request = json.dumps({"batch": 1, "expires": PULL_EXPIRES_S * NS}).encode()

    async def start(self, places: int) -> None:
        """Listen, and ask for as many tasks as there are places."""
        await self._link.subscribe(self._inbox, self._got, self._lost)
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
        try:
            task = decode(message.data)
        except UnreadableError as error:
            self._refuse(unread(message.subject, message.data, message.reply, str(error)))
        else:
            self._take(Delivery(self._link, task, message))

    def _lost(self, message: Message, error: JournalError) -> None:
        if message.reply.startswith("$JS.ACK."):
            self._standing -= 1
            self._refuse(unread(message.subject, message.data, message.reply, f"its {error}"))
