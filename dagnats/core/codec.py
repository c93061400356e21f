"""The journal's wire form: names and fields of version 1, written down here and not derived from classes.

A *commit* is one message: a list of events that became true together. It carries the hash of the commit before it, so that a lost or
altered one is seen. JSON, UTF-8, compact. Fields that hold their default are left out.
"""

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from msgspec import NODEFAULT, structs

from dagnats.core import events
from dagnats.core.events import Again, AnyEvent, Artifact, CancelledBy, Given, Outcome, Reason, Rerun, Reusable
from dagnats.core.pipeline import (
    JSON,
    Artifacts,
    Container,
    Credentials,
    EnvFile,
    FanOut,
    Output,
    Param,
    Pipeline,
    Ready,
    Retry,
    Service,
    Step,
    Volume,
    Wait,
)
from dagnats.core.text import encode_json
from dagnats.errors import JournalError, NewerVersionError

VERSION = 1

# wire name -> class and the fields it carries beside `seq` and `at`
EVENTS: Mapping[str, tuple[type[Any], tuple[str, ...]]] = {
    "RunStarted": (
        events.RunStarted,
        (
            "run",
            "plan",
            "max_parallel",
            "workspace",
            "params",
            "vars",
            "env",
            "versions",
            "git",
            "again",
            "directory",
            "rerun",
        ),
    ),
    "StepScheduled": (events.StepScheduled, ("step", "attempt", "not_before")),
    "StepStarted": (events.StepStarted, ("step", "attempt", "worker")),
    "StepWaiting": (events.StepWaiting, ("step", "attempt", "kind", "until", "signal", "prompt")),
    "SignalReceived": (events.SignalReceived, ("step", "attempt", "signal", "revision", "sent_at", "by", "payload")),
    "ApprovalDecided": (events.ApprovalDecided, ("step", "attempt", "approved", "decided_at", "by", "why")),
    "StepSucceeded": (
        events.StepSucceeded,
        ("step", "attempt", "outputs", "output_bytes", "dropped_bytes", "notes", "summary", "artifacts"),
    ),
    "StepFailed": (
        events.StepFailed,
        (
            "step",
            "attempt",
            "reason",
            "message",
            "exit_code",
            "outputs",
            "jitter",
            "output_bytes",
            "dropped_bytes",
            "notes",
            "summary",
            "artifacts",
        ),
    ),
    "StepInterrupted": (events.StepInterrupted, ("step", "attempt")),
    "StepExpanded": (events.StepExpanded, ("step", "items")),
    "PipelineStarted": (events.PipelineStarted, ("step", "attempt", "params", "vars")),
    "StepSkipped": (events.StepSkipped, ("step", "condition", "values")),
    "StepReused": (
        events.StepReused,
        ("step", "from_run", "from_seq", "status", "outputs", "exit_code", "reason", "message", "artifacts"),
    ),
    "StepBlocked": (events.StepBlocked, ("step", "by")),
    "StepCancelled": (events.StepCancelled, ("step", "attempt", "output_bytes", "dropped_bytes")),
    "CancelRequested": (events.CancelRequested, ("by", "why", "signal", "force", "step", "who")),
    "RunResumed": (events.RunResumed, ("versions", "lost_commits")),
    "RunFinished": (events.RunFinished, ("outcome", "outputs", "notes")),
}
_NAMES = {cls: (name, fields) for name, (cls, fields) in EVENTS.items()}

_STEP = (
    "id", "name", "needs", "condition", "status_functions", "run", "command", "shell", "working_dir", "env",
    "timeout_s", "idle_timeout_s", "retry", "allow_failure", "outputs", "line", "file",
    "fan_out", "each_condition", "mutex", "handles", "pipeline", "params", "container", "services", "once", "artifacts",
    "wait",
)  # fmt: skip
_PIPELINE = (
    "name", "file", "steps", "finally_steps", "description", "env", "params", "vars", "outputs", "max_parallel",
    "timeout_s", "fail_fast", "env_names", "secrets", "uses_git", "dotenv", "selection", "left_out", "pipelines", "services",
)  # fmt: skip
_RETRY = ("max_attempts", "strategy", "initial_delay_s", "max_delay_s", "multiplier", "jitter", "on")
_FAN_OUT = ("axes", "include", "exclude", "items", "name", "max_parallel", "fail_fast")
_OUTPUT = ("type", "required")
_ARTIFACTS = ("paths", "when", "name")
_ARTIFACT = ("object", "bytes", "files")
_ENV_FILE = ("path", "optional")
_CONTAINER = (
    "image", "pull", "entrypoint", "user", "env", "volumes", "network", "options", "credentials", "memory", "cpus",
)  # fmt: skip
_SERVICE = ("container", "command", "ports", "ready")
_READY = ("kind", "value", "timeout_s")
_VOLUME = ("source", "target", "read_only")
_CREDENTIALS = ("username", "password")
_RERUN = ("run", "mode", "steps", "reused", "again", "given")
_REUSABLE = ("run", "seq", "status", "outputs", "exit_code", "reason", "message", "artifacts")
_AGAIN = ("why", "names")
_GIVEN = ("params", "vars")
_WAIT = ("kind", "duration_s", "signal", "prompt")
_PARAM = ("type", "default", "required", "enum", "minimum", "maximum", "help", "pattern")


def _defaults(cls: type[Any], fields: Sequence[str]) -> dict[str, Any]:
    """Give what a field holds when the wire leaves it out."""
    found: dict[str, Any] = {}
    for field in structs.fields(cls):
        if field.name in fields and field.default is not NODEFAULT:
            found[field.name] = field.default
        elif field.name in fields and field.default_factory is not NODEFAULT:
            found[field.name] = field.default_factory()
    return found


# every class that is a JSON object on the wire, and its fields there
RECORDS: tuple[tuple[type[Any], tuple[str, ...]], ...] = (
    *EVENTS.values(),
    (Step, _STEP),
    (Pipeline, _PIPELINE),
    (Retry, _RETRY),
    (FanOut, _FAN_OUT),
    (Output, _OUTPUT),
    (Artifacts, _ARTIFACTS),
    (Artifact, _ARTIFACT),
    (EnvFile, _ENV_FILE),
    (Param, _PARAM),
    (Container, _CONTAINER),
    (Volume, _VOLUME),
    (Service, _SERVICE),
    (Ready, _READY),
    (Credentials, _CREDENTIALS),
    (Rerun, _RERUN),
    (Reusable, _REUSABLE),
    (Again, _AGAIN),
    (Given, _GIVEN),
    (Wait, _WAIT),
)
_DEFAULTS: Mapping[type[Any], Mapping[str, Any]] = {cls: _defaults(cls, fields) for cls, fields in RECORDS}


_FIELD_NAMES: Mapping[type[Any], tuple[str, ...]] = dict(RECORDS)


def _record(value: Any, fields: Sequence[str]) -> dict[str, JSON]:
    defaults = _DEFAULTS[type(value)]
    record: dict[str, JSON] = {}
    for field in fields:
        held = getattr(value, field)
        if field not in defaults or held != defaults[field]:
            record[field] = _plain(held)
    return record


def _plain(value: Any) -> JSON:
    fields = _FIELD_NAMES.get(type(value))
    if fields is not None:
        return _record(value, fields)
    match value:
        case frozenset():
            return sorted(value)
        case tuple():
            return [_plain(item) for item in value]
        case dict():
            return {key: _plain(item) for key, item in value.items()}
        case _:
            return value


def event_record(event: AnyEvent) -> dict[str, JSON]:
    """Give the event as JSON data, as it stands in the journal, in `--events` and in `--output json`."""
    name, fields = _NAMES[type(event)]
    return {"v": VERSION, "type": name, "seq": event.seq, "at": event.at, **_record(event, fields)}


def encode_commit(run: str, previous: str, committed: Iterable[AnyEvent]) -> bytes:
    """Give the bytes of a commit; `previous` is the hash of the commit before, or "" for the first."""
    record = {"v": VERSION, "run": run, "previous": previous, "events": [event_record(event) for event in committed]}
    return encode_json(record).encode("utf-8", "surrogatepass")


def commit_hash(commit: bytes) -> str:
    """Give the link of the chain that the next commit carries."""
    return hashlib.sha256(commit).hexdigest()


def decode_commit(commit: bytes, run: str, previous: str, place: int) -> list[AnyEvent]:
    """Read a commit back. Raises JournalError when it is no commit of this run or does not follow on `previous`; `place` counts from 1."""
    where = f"commit {place} of run {run}"
    try:
        record = json.loads(commit)
        version, owner, link, listed = record["v"], record["run"], record["previous"], record["events"]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise JournalError(f"{where} can not be read: {error!r}") from error
    if version != VERSION:
        raise NewerVersionError(
            f"{where} has version {version}; this program reads version {VERSION}: use a newer dagnats"
        )
    if owner != run:
        raise JournalError(f"{where} belongs to run {owner}")
    if link != previous:
        raise JournalError(f"{where} does not follow on the commit before it: one is missing or was altered")
    if not isinstance(listed, list):
        raise JournalError(f"{where} can not be read: its events are no list")
    return [_event(entry, where) for entry in listed]


def _event(entry: Any, where: str) -> AnyEvent:
    try:
        cls, fields = EVENTS[entry["type"]]
        values = {field: entry[field] for field in fields if field in entry}
        for field, convert in _FIELDS.get(entry["type"], {}).items():
            if field in values:
                values[field] = convert(values[field])
        event: AnyEvent = cls(seq=entry["seq"], at=entry["at"], **values)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        kind = entry.get("type", "without a type") if isinstance(entry, dict) else "that is no object"
        raise JournalError(f"{where} holds an event {kind} that can not be read: {error!r}") from error
    return event


def plan_record(plan: Pipeline) -> dict[str, JSON]:
    """Give a plan as JSON data."""
    return _record(plan, _PIPELINE)


def plan_from(record: Mapping[str, Any]) -> Pipeline:
    """Read a plan back."""
    values = {field: record[field] for field in _PIPELINE if field in record}
    for key in ("steps", "finally_steps"):
        values[key] = tuple(_step(step) for step in record.get(key, ()))
    if "params" in values:
        values["params"] = {name: _param(param) for name, param in record["params"].items()}
    values["dotenv"] = tuple(EnvFile(**file) for file in record.get("dotenv", ()))
    values["env_names"] = frozenset(record.get("env_names", ()))
    values["selection"] = {flag: tuple(ids) for flag, ids in record.get("selection", {}).items()}
    values["left_out"] = tuple(record.get("left_out", ()))
    values["services"] = {name: service_from(service) for name, service in record.get("services", {}).items()}
    values["pipelines"] = {file: plan_from(inner) for file, inner in record.get("pipelines", {}).items()}
    return Pipeline(**values)


def _step(record: Mapping[str, Any]) -> Step:
    values = {field: record[field] for field in _STEP if field in record}
    for key, convert in _OF_STEP.items():
        if key in values:
            values[key] = convert(values[key])
    return Step(**values)


def _retry(record: Mapping[str, Any]) -> Retry:
    return Retry(**dict(record) | ({"on": tuple(record["on"])} if "on" in record else {}))


def _words(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def _artifacts(record: Mapping[str, Any]) -> Artifacts:
    return Artifacts(**dict(record) | {"paths": tuple(record["paths"])})


def _fan_out(record: Mapping[str, Any]) -> FanOut:
    values = dict(record)
    if "axes" in values:
        values["axes"] = {name: tuple(axis) for name, axis in values["axes"].items()}
    for key in ("include", "exclude"):
        if key in values:
            values[key] = tuple(values[key])
    return FanOut(**values)


def container_record(container: Container) -> dict[str, JSON]:
    """Give a container as JSON data."""
    return _record(container, _CONTAINER)


def container_from(record: Mapping[str, Any]) -> Container:
    """Read a container back."""
    values = dict(record)
    for key in ("entrypoint", "options"):
        if key in values:
            values[key] = tuple(values[key])
    if "volumes" in values:
        values["volumes"] = tuple(Volume(**volume) for volume in values["volumes"])
    if "credentials" in values:
        values["credentials"] = Credentials(**values["credentials"])
    return Container(**values)


def service_record(service: Service) -> dict[str, JSON]:
    """Give a service as JSON data."""
    return _record(service, _SERVICE)


def service_from(record: Mapping[str, Any]) -> Service:
    """Read a service back."""
    ready = dict(record["ready"]) if record.get("ready") is not None else None
    if ready is not None and isinstance(ready["value"], list):
        ready["value"] = tuple(ready["value"])
    return Service(
        container=container_from(record["container"]),
        command=tuple(record.get("command", ())),
        ports=tuple(record.get("ports", ())),
        ready=Ready(**ready) if ready is not None else None,
    )


def artifacts_record(artifacts: Mapping[str, Artifact]) -> dict[str, JSON]:
    """Give the artifacts of a step as JSON data."""
    return {name: _record(artifact, _ARTIFACT) for name, artifact in artifacts.items()}


def artifacts_from(record: Mapping[str, Any]) -> dict[str, Artifact]:
    """Read the artifacts of a step back."""
    return {name: Artifact(**artifact) for name, artifact in record.items()}


def rerun_record(rerun: Rerun) -> dict[str, JSON]:
    """Give what a rerun takes over as JSON data."""
    return _record(rerun, _RERUN)


def _rerun(record: Mapping[str, Any] | None) -> Rerun | None:
    if record is None:
        return None
    return Rerun(
        run=record["run"],
        mode=record["mode"],
        steps=tuple(record.get("steps", ())),
        reused={key: Reusable(**_reusable(one)) for key, one in record.get("reused", {}).items()},
        again={key: Again(one["why"], tuple(one.get("names", ()))) for key, one in record.get("again", {}).items()},
        given={key: Given(**one) for key, one in record.get("given", {}).items()},
    )


def _reusable(record: Mapping[str, Any]) -> dict[str, Any]:
    reason = {"reason": Reason(record["reason"])} if record.get("reason") is not None else {}
    return {**record, **reason, "artifacts": artifacts_from(record.get("artifacts", {}))}


def _param(record: Mapping[str, Any]) -> Param:
    values = dict(record)
    if "enum" in values:
        values["enum"] = tuple(values["enum"])
    return Param(**values)


# fields that are not plain JSON in a step
_OF_STEP: Mapping[str, Callable[[Any], Any]] = {
    "needs": tuple,
    "command": tuple,
    "services": tuple,
    "shell": _words,
    "allow_failure": _words,
    "status_functions": frozenset,
    "retry": _retry,
    "fan_out": _fan_out,
    "container": container_from,
    "artifacts": _artifacts,
    "wait": lambda record: Wait(**record),
    "outputs": lambda outputs: {name: Output(**output) for name, output in outputs.items()},
}

# fields that are not plain JSON in their event
_FIELDS: Mapping[str, Mapping[str, Callable[[Any], Any]]] = {
    "RunStarted": {"plan": plan_from, "again": tuple, "rerun": _rerun},
    "StepSucceeded": {"artifacts": artifacts_from},
    "StepReused": {"reason": Reason, "artifacts": artifacts_from},
    "StepFailed": {"reason": Reason, "artifacts": artifacts_from},
    "StepExpanded": {"items": tuple},
    "StepBlocked": {"by": tuple},
    "CancelRequested": {"by": CancelledBy},
    "RunFinished": {"outcome": Outcome},
}
