"""The checked plan of a run: what `definition` makes of a file, and all that the engine ever sees of it.

Everything here is frozen, plain data. Text that may hold a template is kept as written: it is rendered when its step starts.
Durations are seconds, as floats.
"""

from collections.abc import Mapping
from typing import Any, Literal

from msgspec import Struct, field

JSON = Any  # None, bool, int, float, str, list of JSON, dict of str to JSON

Strategy = Literal["fixed", "linear", "exponential"]
OutputType = Literal["string", "integer", "number", "boolean", "json"]
Keeping = Literal["on_success", "on_failure", "always"]
WaitKind = Literal["sleep", "signal", "approval"]
ParamType = Literal["string", "integer", "number", "boolean", "array", "object"]


class Param(Struct, frozen=True):
    """A typed input from outside. `required` is true when there is no default."""

    type: ParamType
    default: JSON = None
    required: bool = False
    enum: tuple[JSON, ...] | None = None
    minimum: float | None = None
    maximum: float | None = None
    help: str = ""
    pattern: str | None = None


class EnvFile(Struct, frozen=True):
    """A file of environment variables beneath the project's root. What it holds is read when the run starts, and never recorded."""

    path: str
    optional: bool = False


class Retry(Struct, frozen=True):
    """When a failed attempt is followed by another; `max_attempts` counts the first one too.

    `on` holds exit codes and the reasons "timeout" and "lost"; None means any failure.
    """

    max_attempts: int = 1
    strategy: Strategy = "fixed"
    initial_delay_s: float = 0.0
    max_delay_s: float | None = None
    multiplier: float = 2.0
    jitter: bool = False
    on: tuple[int | str, ...] | None = None


class Output(Struct, frozen=True):
    """What is declared of one named output of a step; undeclared ones are strings."""

    type: OutputType = "string"
    required: bool = False


class Artifacts(Struct, frozen=True):
    """Files that are kept of a step, once it has ended in the way that `when` says: globs beneath the project's root, and a name, the step's id if it is None.

    Both may hold templates.
    """

    paths: tuple[str, ...]
    when: Keeping = "on_success"
    name: str | None = None


class FanOut(Struct, frozen=True):
    """A step that runs once for each cell of a matrix, or for each item of a list; each of these is an instance.

    `axes` are the matrix as it is written, with what `include` adds to it and `exclude` takes away. Without axes and `include`, `items` is a list, whose
    texts may be templates, or the expression that gives it when the step starts; an instance knows its own as `name`.
    """

    axes: Mapping[str, tuple[JSON, ...]] = field(default_factory=dict)
    include: tuple[Mapping[str, JSON], ...] = ()
    exclude: tuple[Mapping[str, JSON], ...] = ()
    items: JSON = None
    name: str = "item"
    max_parallel: int | None = None
    fail_fast: bool = False

    @property
    def is_matrix(self) -> bool:
        """Whether the plan alone says what the instances are."""
        return self.items is None


class Volume(Struct, frozen=True):
    """Something that a container sees at `target`: a path of the machine, which has a `/` or is `.`, or a named volume of the runtime."""

    source: str
    target: str
    read_only: bool = False


class Credentials(Struct, frozen=True):
    """Who asks a registry for an image. Both may hold templates, and secrets."""

    username: str
    password: str


class Container(Struct, frozen=True):
    """What a step runs in. Texts may hold templates; what a task carries is rendered, but for what mentions secrets.

    Without an `entrypoint` that of the image is not used for `run`, and is for `command`. `user` is None for the caller's. `env` adds to the step's.
    `network` is that of the runtime by default, "none", "host", or a name that the runtime knows. `options` are further flags of its `create`.
    `memory` is as the runtime writes it, `512m`.
    """

    image: str
    pull: Literal["always", "missing", "never"] = "missing"
    entrypoint: tuple[str, ...] | None = None
    user: str | None = None
    env: Mapping[str, str] = field(default_factory=dict)
    volumes: tuple[Volume, ...] = ()
    network: str = "default"
    options: tuple[str, ...] = ()
    credentials: Credentials | None = None
    memory: str | None = None
    cpus: float | None = None

    def texts(self) -> list[str]:
        """Every text that may hold templates, but for those of `env`."""
        asked = (self.credentials.username, self.credentials.password) if self.credentials is not None else ()
        mounted = (text for volume in self.volumes for text in (volume.source, volume.target))
        named = (text for text in (self.user, self.memory) if text is not None)
        return [self.image, self.network, *named, *(self.entrypoint or ()), *self.options, *mounted, *asked]


class Ready(Struct, frozen=True):
    """When a service is ready.

    A port takes connections ("tcp"), an address answers without an error ("http"), a command in it ends well ("cmd"), or it has printed a text ("log").
    `value` is the port, the path or `PORT/path`, the words of the command, or the text.
    """

    kind: Literal["tcp", "http", "cmd", "log"]
    value: int | str | tuple[str, ...]
    timeout_s: float = 60.0

    @property
    def port(self) -> int | None:
        """The port that is looked at, where it names one."""
        if self.kind == "tcp":
            return int(str(self.value))
        head = str(self.value).partition("/")[0]
        return int(head) if self.kind == "http" and head.isdigit() else None

    @property
    def path(self) -> str:
        """The path of an address."""
        return "/" + str(self.value).partition("/")[2]

    @property
    def words(self) -> tuple[str, ...]:
        """The words of a command; a text is for a shell."""
        return self.value if isinstance(self.value, tuple) else ("sh", "-c", str(self.value))


class Service(Struct, frozen=True):
    """A container beside the steps of a run, with the ports on which they reach it; the first one is its `<NAME>_PORT`.

    Without a `command` it runs that of its image.

    Without `ready` it is ready when its first port takes connections, or, without ports, when it runs.
    """

    container: Container
    command: tuple[str, ...] = ()
    ports: tuple[int, ...] = ()
    ready: Ready | None = None


class Wait(Struct, frozen=True):
    """What a step waits for instead of running something: `duration_s`, a `signal` of that name, or somebody's word on `prompt`. Both may hold templates."""

    kind: WaitKind
    duration_s: float = 0.0
    signal: str = ""
    prompt: str = ""


class Step(Struct, frozen=True):
    """One node of the graph. Exactly one of `run`, `command`, `pipeline` and `wait` is set.

    `needs` holds ids of steps in the same list (`steps` or `finally`) only, the rule "waits for the step above" already applied.
    `condition` is the expression of `if`, without braces, or None. `status_functions` are the ones it calls.
    `allow_failure` is a truth, or the exit codes with which the step may fail.
    `shell` is a known shell's name or an argv with `{0}` for the script's file. `line` is where the step begins in `file`, which is None when that is the pipeline's own.
    With `each_condition`, `condition` is asked of every instance. Steps of one `mutex` never run side by side. A step that `handles` another is
    of its `on_failure`: it runs when that one has failed for good. `pipeline` names one of the plan's `pipelines`, which gets `params`: JSON values in
    which strings may be templates. With a `container`, `run` or `command` is carried out within it; a `command` may be empty then.
    `services` are those of the plan that it waits for. One that is `once` does not run again without consent after an attempt had begun of which nobody
    knows the end.
    """

    id: str
    name: str | None = None
    needs: tuple[str, ...] = ()
    condition: str | None = None
    status_functions: frozenset[str] = frozenset()
    run: str | None = None
    command: tuple[str, ...] | None = None
    shell: str | tuple[str, ...] = "bash"
    working_dir: str | None = None
    env: Mapping[str, str] = field(default_factory=dict)
    timeout_s: float | None = None
    idle_timeout_s: float | None = None
    retry: Retry = Retry()
    allow_failure: bool | tuple[int, ...] = False
    outputs: Mapping[str, Output] = field(default_factory=dict)
    line: int = 0
    file: str | None = None
    fan_out: FanOut | None = None
    each_condition: bool = False
    mutex: str | None = None
    handles: str | None = None
    pipeline: str | None = None
    params: Mapping[str, JSON] = field(default_factory=dict)
    container: Container | None = None
    services: tuple[str, ...] = ()
    once: bool = False
    artifacts: Artifacts | None = None
    wait: Wait | None = None


class Pipeline(Struct, frozen=True):
    """The plan. `vars` and `params` are resolved before the run starts; their values travel on `RunStarted`.

    A variable is a JSON value in which strings may be templates, or `{"sh": script}`. `env_names` are the names of the runner's environment that
    templates mention: only these are recorded; `uses_git` says whether one mentions `git`, which is not read otherwise. `secrets` holds sources, as
    `env://NAME`; their values are no part of any plan. `selection` holds what was asked to be run of the file (`only`, `from`, `until`, `skip`), and
    `left_out` the steps that are not run because of it. `pipelines` are the plans of all files that steps run, however deep, by the path of each: only
    the plan of a run has them.
    """

    name: str
    file: str
    steps: tuple[Step, ...]
    finally_steps: tuple[Step, ...] = ()
    description: str = ""
    env: Mapping[str, str] = field(default_factory=dict)
    params: Mapping[str, Param] = field(default_factory=dict)
    vars: Mapping[str, JSON] = field(default_factory=dict)
    outputs: Mapping[str, JSON] = field(default_factory=dict)
    max_parallel: int | None = None
    timeout_s: float | None = None
    fail_fast: bool = False
    env_names: frozenset[str] = frozenset()
    secrets: Mapping[str, str] = field(default_factory=dict)
    uses_git: bool = False
    dotenv: tuple[EnvFile, ...] = ()
    selection: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    left_out: tuple[str, ...] = ()
    pipelines: Mapping[str, "Pipeline"] = field(default_factory=dict)
    services: Mapping[str, Service] = field(default_factory=dict)


def in_order(plan: Pipeline, pipelines: Mapping[str, Pipeline]) -> dict[str, Pipeline]:
    """Those of the pipelines that are run in a plan, however deep: first those of its own steps, in their order."""
    found: dict[str, Pipeline] = {}
    pending = [plan]
    for one in pending:
        for step in (*one.steps, *one.finally_steps):
            if step.pipeline is not None and step.pipeline not in found and step.pipeline in pipelines:
                found[step.pipeline] = pipelines[step.pipeline]
                pending.append(found[step.pipeline])
    return found
