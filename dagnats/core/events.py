"""Everything that can happen in a run, as facts. The ordered list of them is the journal, and the journal is the truth.

An event is written once, by the engine, and never changed. It carries its place in the journal (`seq`, from 1), its time (`at`, unix seconds),
and nothing that could be computed from the others. Its name on the wire is written down in `core/codec.py`.
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import Literal

from msgspec import Struct, field

from dagnats.core.pipeline import JSON, Pipeline, WaitKind


class Reason(StrEnum):
    """Why an attempt failed."""

    EXIT = "exit"  # the process ended with another code than 0
    SIGNAL = "signal"  # the process was killed by a signal that was not ours
    TIMEOUT = "timeout"  # it ran longer than `timeout`
    IDLE_TIMEOUT = "idle_timeout"  # it printed nothing for `idle_timeout`
    LOST = "lost"  # the worker that held it stopped answering
    OUTPUT = "output"  # what it wrote to $DAGNATS_OUTPUT can not be read, or a declared output is missing
    TEMPLATE = "template"  # a template or its `if` could not be evaluated
    SPAWN = "spawn"  # the process could not be started
    PIPELINE = "pipeline"  # a step of the pipeline that it runs failed
    SERVICE = "service"  # a service that it uses did not become ready, or has ended
    ARTIFACTS = (
        "artifacts"  # the files that it shall leave could not be kept, or those that it needs not be brought back
    )
    REJECTED = "rejected"  # somebody said no to what it asked
    ENGINE = "engine"  # the engine or the worker failed around it


class Outcome(StrEnum):
    """How a run ended."""

    SUCCEEDED = "succeeded"
    FAILED = "failed"
    TIMED_OUT = "timed_out"
    CANCELLED = "cancelled"


class CancelledBy(StrEnum):
    """Who asked for the end of a run."""

    SIGNAL = "signal"
    TIMEOUT = "timeout"  # the run's own `timeout`
    FAIL_FAST = "fail_fast"  # the first failure, with `fail_fast: true`
    USER = "user"  # somebody who asked from elsewhere


class Artifact(Struct, frozen=True):
    """Files of a step that are kept as one archive; `object` is where that is in the object store, by the digest of what is stored.

    `bytes` and `files` are those of the files, not of the archive.
    """

    object: str
    bytes: int
    files: int


class Again(Struct, frozen=True):
    """Why a step runs in a rerun.

    It was asked for (`names` are the flags), is of `finally`, was not in that run (`new`), did not end well there (`names` is how it did end), its definition
    changed (`names` are the keys), a value that it mentions did (`names` are the values), or it needs steps that run again (`names` are their ids).
    """

    why: Literal["asked", "finally", "new", "ended", "changed", "value", "needs"]
    names: tuple[str, ...] = ()


class Reusable(Struct, frozen=True):
    """How a step ended in a run before, whose end is event `seq` there. `reason` and `message` are those of a failure that was allowed."""

    run: str
    seq: int
    status: Literal["succeeded", "warning"] = "succeeded"
    outputs: Mapping[str, JSON] = field(default_factory=dict)
    exit_code: int | None = None
    reason: Reason | None = None
    message: str = ""
    artifacts: Mapping[str, Artifact] = field(default_factory=dict)


class Given(Struct, frozen=True):
    """The values with which the pipeline of a step began."""

    params: Mapping[str, JSON] = field(default_factory=dict)
    vars: Mapping[str, JSON] = field(default_factory=dict)


class Rerun(Struct, frozen=True):
    """What a run takes over from `run`, and what it does again, and why.

    `mode` is what was asked for, `steps` which steps. `reused` and `again` hold steps by key: their id, in which an instance has its value as JSON in place of
    a label. Steps of pipelines are reused only where these begin with the values that `given` has, by the key of the step that runs them.
    """

    run: str
    mode: Literal["failed", "from", "only"]
    steps: tuple[str, ...] = ()
    reused: Mapping[str, Reusable] = field(default_factory=dict)
    again: Mapping[str, Again] = field(default_factory=dict)
    given: Mapping[str, Given] = field(default_factory=dict)


class Event(Struct, frozen=True, kw_only=True):
    """What all events carry."""

    seq: int
    at: float


class RunStarted(Event, frozen=True, kw_only=True):
    """The first event: the plan and every value from outside, so that nothing is asked again later.

    `env` holds those names of the runner's environment that templates mention, `git` what templates see under that name if any mentions it,
    `versions` the versions of what wrote the journal, `again` the command that runs it again, as far as that is ever shown.
    `directory` is where the command was given, seen from the workspace: the path of the plan's file is
    seen from there. `rerun` says what is taken over from another run.
    """

    run: str
    plan: Pipeline
    max_parallel: int
    workspace: str
    params: Mapping[str, JSON] = field(default_factory=dict)
    vars: Mapping[str, JSON] = field(default_factory=dict)
    env: Mapping[str, str] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)
    git: Mapping[str, JSON] = field(default_factory=dict)
    again: tuple[str, ...] = ()
    directory: str = "."
    rerun: Rerun | None = None


class StepScheduled(Event, frozen=True, kw_only=True):
    """An attempt was decided; its task may start at `not_before` (unix seconds) or, without one, at once."""

    step: str
    attempt: int
    not_before: float | None = None


class StepStarted(Event, frozen=True, kw_only=True):
    """A worker holds the attempt."""

    step: str
    attempt: int
    worker: str


class StepWaiting(Event, frozen=True, kw_only=True):
    """The attempt is a wait, which needs no worker: for a time ("sleep"), for a `signal` of that name, or for somebody's word on `prompt` ("approval").

    A sleep is over at `until` (unix seconds), and the others fail then, if it is given.
    """

    step: str
    attempt: int
    kind: WaitKind
    until: float | None = None
    signal: str = ""
    prompt: str = ""


class SignalReceived(Event, frozen=True, kw_only=True):
    """The signal for which the attempt waits was sent, `by` whom, at `sent_at` (unix seconds). No other wait gets what has this `revision`."""

    step: str
    attempt: int
    signal: str
    revision: int
    sent_at: float
    by: str = ""
    payload: JSON = None


class ApprovalDecided(Event, frozen=True, kw_only=True):
    """Somebody said yes or no to what the attempt asks, at `decided_at` (unix seconds), and perhaps why."""

    step: str
    attempt: int
    approved: bool
    decided_at: float
    by: str = ""
    why: str = ""


class StepSucceeded(Event, frozen=True, kw_only=True):
    """The attempt ended well. `output_bytes` is what it printed in all, `dropped_bytes` how many of those were not kept.

    `notes` says of each output of a pipeline that has no value why, `summary` is Markdown for the summary of the run. `artifacts` are what is kept of
    its files, by name.
    """

    step: str
    attempt: int
    outputs: Mapping[str, JSON] = field(default_factory=dict)
    output_bytes: int = 0
    dropped_bytes: int = 0
    notes: Mapping[str, str] = field(default_factory=dict)
    summary: str = ""
    artifacts: Mapping[str, Artifact] = field(default_factory=dict)


class StepFailed(Event, frozen=True, kw_only=True):
    """The attempt failed, and why. `jitter` (0 to 1) is the chance that the delay of a retry may need; `attempt` is 0 when none began.

    `notes`, `summary` and `artifacts` are those of `StepSucceeded`.
    """

    step: str
    attempt: int
    reason: Reason
    message: str
    exit_code: int | None = None
    outputs: Mapping[str, JSON] = field(default_factory=dict)
    jitter: float = 0.0
    output_bytes: int = 0
    dropped_bytes: int = 0
    notes: Mapping[str, str] = field(default_factory=dict)
    summary: str = ""
    artifacts: Mapping[str, Artifact] = field(default_factory=dict)


class StepExpanded(Event, frozen=True, kw_only=True):
    """The instances of a step are known: `items` of a list, or none of a matrix, whose cells the plan knows."""

    step: str
    items: tuple[JSON, ...] | None = None


class PipelineStarted(Event, frozen=True, kw_only=True):
    """The pipeline that a step runs begins, with every value from outside: from now on its steps are steps of the run."""

    step: str
    attempt: int
    params: Mapping[str, JSON] = field(default_factory=dict)
    vars: Mapping[str, JSON] = field(default_factory=dict)


class StepInterrupted(Event, frozen=True, kw_only=True):
    """The runner ended while the attempt was under way, or may have been: another follows, which no policy counts."""

    step: str
    attempt: int


class StepSkipped(Event, frozen=True, kw_only=True):
    """The step's own `if` was false, with these values of what it mentions, as it writes them."""

    step: str
    condition: str
    values: Mapping[str, JSON] = field(default_factory=dict)


class StepReused(Event, frozen=True, kw_only=True):
    """The step is what it was in another run, and did not run: event `from_seq` of `from_run` was its end. The rest is as in `Reusable`."""

    step: str
    from_run: str
    from_seq: int
    status: Literal["succeeded", "warning"] = "succeeded"
    outputs: Mapping[str, JSON] = field(default_factory=dict)
    exit_code: int | None = None
    reason: Reason | None = None
    message: str = ""
    artifacts: Mapping[str, Artifact] = field(default_factory=dict)


class StepBlocked(Event, frozen=True, kw_only=True):
    """The step can not run because those that `by` names, its needs or before them, did not end well."""

    step: str
    by: tuple[str, ...]


class StepCancelled(Event, frozen=True, kw_only=True):
    """The step was stopped, or never started, because the run was cancelled. `attempt` is 0 when none was scheduled."""

    step: str
    attempt: int
    output_bytes: int = 0
    dropped_bytes: int = 0


class CancelRequested(Event, frozen=True, kw_only=True):
    """The run shall end, or only the instances of `step`, or the pipeline that it runs. `force` stops everything at once, `finally` too.

    `who` names the user who asked, when it was one.
    """

    by: CancelledBy
    why: str
    signal: int | None = None
    force: bool = False
    step: str | None = None
    who: str | None = None


class RunResumed(Event, frozen=True, kw_only=True):
    """Another runner goes on with the run, whose own had ended. `lost_commits` is how many were given up because the journal was damaged after the good ones."""

    versions: Mapping[str, str] = field(default_factory=dict)
    lost_commits: int = 0


class RunFinished(Event, frozen=True, kw_only=True):
    """The last event. `notes` says of each output that has no value why."""

    outcome: Outcome
    outputs: Mapping[str, JSON] = field(default_factory=dict)
    notes: Mapping[str, str] = field(default_factory=dict)


StepEvent = (
    StepScheduled
    | StepStarted
    | StepWaiting
    | SignalReceived
    | ApprovalDecided
    | StepSucceeded
    | StepFailed
    | StepInterrupted
    | StepExpanded
    | StepSkipped
    | StepReused
    | StepBlocked
    | StepCancelled
    | PipelineStarted
)
AnyEvent = RunStarted | RunResumed | StepEvent | CancelRequested | RunFinished
