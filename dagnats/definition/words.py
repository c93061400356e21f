"""The words that other tools use, and the ones that belong to a later version: what a wrong key was meant to be."""

import re
from collections.abc import Collection, Iterable
from difflib import SequenceMatcher
from itertools import islice

from dagnats.definition.problems import Effort, Problems, quoted

MAX_COMPARED = 64
MAX_KNOWN = 1000
MAX_SOURCE = 200


def _by_word(hints: dict[str, str]) -> dict[str, str]:
    """Turn a table of hints, each with the words that deserve it, into one of words."""
    return {word: hint for hint, words in hints.items() for word in words.split()}


LATER_STEP = """once agent
provider model base_url api_key_env system context tools loop budget output_schema checks temperature reasoning
max_output_tokens observation_max_bytes sandbox network protect price"""
UNSUPPORTED: dict[str, frozenset[str]] = {
    "pipeline": frozenset({"budget"}),
    "step": frozenset(LATER_STEP.split()),
    "defaults": frozenset(LATER_STEP.split()),
}
STAGES = "there are no stages; a step says in `needs` what it waits for"
STEP_WORDS = _by_word({
    "did you mean `needs`?": "depends depends_on dependencies deps requires require after run_after upstream previous",
    "did you mean `run`?": "script scripts sh bash commands cmd cmds exec execute code shell_command",
    "did you mean `env`?": "environment variables vars",
    "did you mean `image`?": "docker docker_image container_image docker_compose podman",
    "it stands in `container`, beside its `image`": "volumes mounts entrypoint user network options credentials memory cpus pull",
    "write it under `options` of `container`": "privileged cap_add shm_size docker_args container_options",
    "did you mean `if`? For example `if: failure()`, or `if: params.deploy`": "when condition only except rules unless",
    "did you mean `working_dir`?": "working_directory cwd workdir dir directory",
    "did you mean `allow_failure: true`?": "continue_on_error continue_on ignore_error ignore_errors allow_fail optional",
    "did you mean `retry`?": "retries attempts max_attempts retry_policy",
    "did you mean `name`?": "title label description display_name desc",
    "did you mean `id`?": "key",
    "did you mean `command: [program, argument]`?": "args",
    "did you mean `timeout`, with its unit: `10m`?": "timeout_minutes timeout_min",
    "did you mean `timeout`, with its unit: `30s`?": "timeout_seconds timeout_sec timeout_s",
    "actions of other systems can not be used; write what they do as `run`, or as a `pipeline` of its own": "uses with plugin",
    "steps do not nest; write one list and `needs`": "steps",
    "steps run on this machine; remove the line": "runs_on",
    "did you mean `matrix`, with its axes directly below it?": "strategy parallel",
    "did you mean `foreach`?": "for with_items loop_over each",
    "write `foreach: {items: …, as: name}`": "as items",
    "did you mean `on_failure`?": "on_error catch rescue",
    "did you mean `mutex`?": "lock resource_group concurrency",
    "did you mean `artifacts`?": "artifact upload upload_artifact upload_artifacts save store_artifacts archive_artifacts",
    "it stands at the top of the file, once for all steps": "secrets finally defaults dotenv max_parallel fail_fast include",
    "put it at the beginning of `run`": "before_script before",
    "put it at the end of `run`, or into a step of `finally`": "after_script",
    "there is no cache to fill: steps work in the project's directory, where everything stays": "cache",
    "it runs on this machine, so there is nothing to choose": "tags runner agent platform",
    "did you mean `params`?": "inputs parameters with_params arguments",
    "did you mean `pipeline`?": "workflow trigger call sub_pipeline subpipeline include_pipeline dag",
    "did you mean `finally`, beside `steps`?": "on_exit cleanup always_run",
    "did you mean `duration`? A step that has one waits, and runs nothing": "sleep delay wait pause sleep_seconds wait_seconds",
    "did you mean `signal`? A step that has one waits for it, and runs nothing": "wait_for_signal wait_for event wait_for_event",
    "did you mean `prompt`? A step that has one asks for an approval, and runs nothing": "approval approve manual confirm question approvers manual_confirmation",
    STAGES: "stage stages",
})  # fmt: skip
INCLUDED = "a file that is included holds `steps`, `params`, `vars`, `env`, `services` and `include`; this belongs in the file that is run"
FOREIGN: dict[str, dict[str, str]] = {
    "step": STEP_WORDS,
    "defaults": STEP_WORDS | _by_word({
        "`id`, `needs`, and what a step runs or waits for have no defaults": "id needs run command pipeline params type duration signal prompt",
    }),
    "pipeline": _by_word({
        "did you mean `steps`, one list of all steps?": "jobs tasks pipeline workflow targets nodes dag",
        "did you mean `env`, or `vars`?": "environment variables",
        "did you mean `secrets`?": "secret credentials",
        "did you mean `dotenv`?": "env_file env_files envfile dot_env",
        "did you mean `params`?": "inputs parameters args arguments",
        "did you mean `defaults`?": "default",
        "did you mean `finally`?": "on_exit handler_on cleanup teardown always post",
        "did you mean `max_parallel`, or `mutex` in a step?": "concurrency",
        "did you mean `max_parallel`?": "parallelism parallel max_active_steps",
        "did you mean `name`?": "title",
        "did you mean `include`?": "includes import imports extends",
        "write a step of `finally` with `if: failure()`, or `on_failure` in a step": "on_failure on_error",
        "did you mean `timeout`, with its unit: `10m`?": "timeout_minutes",
        "who starts a pipeline decides when; remove the line": "on trigger triggers schedule",
        "the format has no version; remove the line": "version",
        "write it as the first of `steps`": "before_script before_all",
        "write it as a step of `finally`": "after_script after_all",
        "a step stands in the list `steps`: `- run: …`": "run script command commands cmd",
        "it is for steps, or for all of them in `defaults`": "shell working_dir retry allow_failure idle_timeout matrix foreach image container",
        "there are no permissions to ask for; a step has those of the caller": "permissions",
        "steps run on this machine; remove the line": "runs_on",
        "there is no cache to fill: steps work in the project's directory, where everything stays": "cache",
        "a condition is that of a step, or of all in `defaults`": "if when only except rules",
        STAGES: "stages stage",
    }),
    "retry": _by_word({
        "did you mean `max_attempts`? It counts the first attempt too": "max attempts limit count times retries",
        "did you mean `initial_delay`?": "delay interval initial_interval interval_sec wait",
        "did you mean `strategy`?": "backoff policy",
        "did you mean `multiplier`?": "factor backoff_coefficient backoff_factor",
        "did you mean `max_delay`?": "max_interval maximum_interval",
        "did you mean `on`?": "when exit_codes exit_code on_exit_codes",
    }),
    "param": _by_word({
        "did you mean `help`?": "description desc",
        "did you mean `enum`?": "options choices values allowed",
        "did you mean `default`?": "value",
        "did you mean `pattern`?": "regex regexp match format",
        "did you mean `minimum`?": "min",
        "did you mean `maximum`?": "max",
    }),
    "var from a script": _by_word({"a var from a script has `sh` and nothing else": "default timeout env dir shell required"}),
    "included file": _by_word({
        INCLUDED: "name description dotenv secrets defaults max_parallel timeout fail_fast finally outputs",
    }),
    "foreach": _by_word({"did you mean `items`?": "in list of", "did you mean `as`?": "item name var loop_var"}),
    "dotenv file": _by_word({"did you mean `path`?": "file name", "did you mean `optional`?": "required missing_ok"}),
    "allow_failure": _by_word({"did you mean `exit_codes`?": "codes code exit_code on_exit_codes on"}),
    "need": _by_word({"did you mean `step`?": "id job name task", "did you mean `optional`?": "required"}),
    "container": _by_word({
        "did you mean `image`?": "name img docker uri",
        "did you mean `pull`?": "pull_policy image_pull_policy policy always_pull force_pull",
        "did you mean `entrypoint`?": "entry_point cmd",
        "did you mean `user`?": "run_as run_as_user uid",
        "did you mean `env`?": "environment variables vars",
        "did you mean `volumes`?": "mounts volume volume_mounts binds mount",
        "did you mean `network`?": "network_mode networks net",
        "did you mean `options`?": "args arguments flags create_options docker_args opts",
        "did you mean `credentials`?": "auth registry_auth registry login",
        "did you mean `memory`?": "mem mem_limit memory_limit",
        "did you mean `cpus`?": "cpu cpu_limit cpu_count",
        "it is of the step, and stands beside `container`": (
            "run command script working_dir workdir working_directory shell timeout outputs retry needs matrix foreach secrets"
        ),
        "write it as a flag: `options: [--privileged]`, and start the run with `--allow-privileged`": "privileged",
        "write it as a flag in `options`, for example `--shm-size=1g`": "shm_size cap_add cap_drop devices hostname ulimits tmpfs platform dns labels security_opt",
        "a container of a step publishes no ports; `network: host` shares those of the machine": "ports expose publish",
    }),
    "service": _by_word({
        "did you mean `image`?": "name img docker uri",
        "its name here is what steps know it by: `<NAME>_HOST`; remove the line": "alias hostname container_name",
        "did you mean `env`?": "environment variables vars",
        "did you mean `ports`?": "port expose publish",
        "did you mean `command`?": "cmd args arguments run script",
        "did you mean `ready`? For example `ready: {cmd: pg_isready}`": (
            "healthcheck health_check health readiness readiness_probe liveness_probe wait wait_for wait_until probe check"
        ),
        "its time is of `ready`: `ready: {tcp: 5432, timeout: 2m}`": "timeout start_period",
        "did you mean `volumes`?": "mounts volume volume_mounts binds mount",
        "did you mean `network`?": "network_mode networks net",
        "did you mean `options`?": "flags create_options docker_args opts",
        "did you mean `credentials`?": "auth registry_auth registry login",
        "did you mean `pull`?": "pull_policy image_pull_policy policy",
        "did you mean `memory`?": "mem mem_limit memory_limit",
        "did you mean `cpus`?": "cpu cpu_limit cpu_count",
        "services start together, and a step waits until all that it uses are ready; remove the line": "needs depends_on",
        "a service that ends fails the steps that use it; remove the line": "restart retry",
        "write it as a flag: `options: [--privileged]`, and start the run with `--allow-privileged`": "privileged",
        "write it as a flag in `options`, for example `--shm-size=1g`": "shm_size cap_add cap_drop devices ulimits tmpfs platform labels security_opt",
        "there is nothing to build: build the image in a step, with the runtime, or name one": "build dockerfile",
    }),
    "ready": _by_word({
        "did you mean `tcp`?": "port socket",
        "did you mean `http`? It is a path, or a port and a path": "url path get http_get https",
        "did you mean `cmd`?": "command exec test script run sh",
        "did you mean `log`?": "text message output logs stdout line regex",
        "did you mean `timeout`?": "wait start_period within max_wait timeout_seconds",
        "it is looked at again and again until `timeout`; remove the line": "interval retries attempts period delay initial_delay",
    }),
    "volume": _by_word({
        "did you mean `source`?": "src from host host_path name volume",
        "did you mean `target`?": "dst dest destination to path mount_path container_path",
        "did you mean `read_only`?": "readonly ro mode",
        "what the source is tells; remove the line": "type",
    }),
    "credentials": _by_word({
        "did you mean `username`?": "user login name",
        "did you mean `password`?": "pass token secret",
        "the name of the image says which registry is asked; remove the line": "registry server url host serveraddress",
    }),
    "artifacts": _by_word({
        "did you mean `paths`?": "path files file globs glob include untracked",
        "did you mean `when`?": "if on condition",
        "did you mean `name`?": "id title",
        "`paths` names only what is to be kept; remove the line": "exclude ignore except",
        "what is kept goes with its run, when that is removed; remove the line": "expire_in retention_days retention expires expire",
        "`dagnats run` writes that itself: `--junit FILE`; to keep files of a test, write them under `paths`": "reports junit",
        "a step whose paths match nothing says so, and goes on; remove the line": "if_no_files_found optional required",
        "all that is kept is compressed; remove the line": "compression_level compression",
        "a file that begins with a dot is kept where its path is written out: `.coverage`": "include_hidden_files hidden",
        "who may see them is who may see the project's `.dagnats`; remove the line": "public access expose_as overwrite",
    }),
    "output": _by_word({"an output has no default; a step writes it or not": "default"}),
}  # fmt: skip

SOURCES = ("env", "file", "cmd")
SOURCE_WORDS = _by_word({
    "env": "environment environ variable",
    "file": "path files",
    "cmd": "command exec sh shell run script",
})  # fmt: skip


def is_unsupported(key: str, title: str) -> bool:
    """Whether a key of the format is one that this version does not know yet."""
    return key in UNSUPPORTED.get(title, ())


def explain_key(key: str, title: str, allowed: list[str], problems: Problems) -> str:
    """What a key that is not known was meant to be, or nothing."""
    if len(key) > MAX_COMPARED:
        return ""
    plain = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", key).lower().replace("-", "_").strip()
    if plain in allowed:
        return f"did you mean {quoted(plain)}?"
    foreign = FOREIGN.get(title, {}).get(plain)
    return foreign if foreign is not None else suggest(key, allowed, problems)


def explain_source(source: str, problems: Problems) -> str:
    """What the source of a secret was meant to be: another scheme, or the name of a variable."""
    mentioned = re.fullmatch(r"\{\{-? *(?:secrets|env)(?:\.|\[['\"])(\w+)(?:['\"]\])? *-?\}\}", source[:MAX_SOURCE])
    if mentioned:
        return f"write `env://{mentioned[1]}`"
    scheme, colon, rest = source[:MAX_SOURCE].partition(":")
    if not colon:
        if re.fullmatch(r"[A-Z_][A-Z0-9_]{0,99}", source):
            return f"write `env://{source}`"
        return "a value may not stand here; say where it comes from: `env://NAME` is a variable of the environment"
    plain = scheme.strip().lower()
    if plain in SOURCES:
        wanted = {"env": "the name of a variable", "file": "a path", "cmd": "a command"}[plain]
        return f"after `{plain}://` comes {wanted}" if rest.startswith("//") else f"write `{plain}://`"
    known = SOURCE_WORDS.get(plain)
    if known:
        return f"did you mean `{known}://`?"
    near = suggest(plain, list(SOURCES), problems)
    return near.replace("`?", "://`?") or "ask another store by a command: `cmd://…`"


def suggest(name: str, known: Iterable[str], problems: Problems) -> str:
    """The question whether a similar known name was meant, or nothing."""
    if len(name) > MAX_COMPARED or not problems.may_suggest():
        return ""
    close = closest(name, islice(known, MAX_KNOWN), problems.effort)
    return f"did you mean {quoted(close)}?" if close else ""


def closest(name: str, known: Iterable[str], effort: Effort, cutoff: float = 0.6) -> str:
    """The most similar name, as `difflib.get_close_matches` finds it, or nothing; less is compared once the effort is spent."""
    matcher = SequenceMatcher()
    matcher.set_seq2(name)
    best, found = cutoff, ""
    for other in known:
        # Both estimates are upper bounds: what they rule out can not be the best.
        matcher.set_seq1(other)
        if matcher.real_quick_ratio() < best or not effort.spend(len(other)) or matcher.quick_ratio() < best:
            continue
        if not effort.spend(len(other) * len(name)):
            break
        best, found = max((best, found), (matcher.ratio(), other))
    return found


LATER_KIND = "that kind of step is not supported by this version"
ENUM_WORDS = {
    "pull": {
        **dict.fromkeys(
            ("if-not-present", "if_not_present", "IfNotPresent", "ifnotpresent", "missing_only"),
            "did you mean `missing`?",
        ),
        **dict.fromkeys(("newer", "Always", "true"), "did you mean `always`?"),
        **dict.fromkeys(("Never", "false"), "did you mean `never`?"),
    },
    "shell": {"powershell": "did you mean `pwsh`?", "cmd": "did you mean `pwsh`?"},
    "type": {
        "choice": "write `type: string` and the choices as `enum: [a, b]`",
        "enum": "write `type: string` and the choices as `enum: [a, b]`",
        "select": "write `type: string` and the choices as `enum: [a, b]`",
        "list": "did you mean `array`?",
        "map": "did you mean `object`?",
        "dict": "did you mean `object`?",
        "float": "did you mean `number`?",
        "text": "did you mean `string`?",
        "json": "did you mean `object`, or `array`?",
        "docker": "did you mean `container`?",
        "podman": "did you mean `container`?",
        **dict.fromkeys(("agent_loop",), LATER_KIND),
        **dict.fromkeys(("wait", "delay", "pause"), "did you mean `sleep`?"),
        **dict.fromkeys(("signal", "event", "wait_for_event"), "did you mean `wait_for_signal`?"),
        **dict.fromkeys(("manual", "approve", "confirm", "gate"), "did you mean `approval`?"),
    },
    "strategy": {
        "constant": "did you mean `fixed`?",
        "backoff": "did you mean `exponential`?",
        "exp": "did you mean `exponential`?",
    },
}
STEP_KEYS = frozenset(["script", "run", "cmd", "cmds", "command", "commands", "stage", "uses", "steps"])
ROOT_WORDS = {
    "github": "git",
    "inputs": "params",
    "parameters": "params",
    "needs": "steps",
    "jobs": "steps",
    "tasks": "steps",
    "variables": "vars",
    "environment": "env",
    "outputs": "steps.ID.outputs",
    "job": "steps.ID",
    "strategy": "matrix",
    "workflow": "pipeline",
}
PATH_WORDS: dict[tuple[str, ...], str] = {
    ("github", "sha"): "git.sha",
    ("github", "ref"): "git.branch",
    ("github", "ref_name"): "git.branch",
    ("github", "head_ref"): "git.branch",
    ("github", "workspace"): "pipeline.dir",
    ("github", "workflow"): "pipeline.name",
    ("github", "run_id"): "run.id",
    ("github", "run_attempt"): "run.attempt",
    ("github", "event"): "params, given with `-p`",
    ("job", "status"): "run.outcome, in `finally`",
    ("runner", "os"): "a var: `{sh: uname -s}`",
}
FIELD_WORDS = {
    "output": "outputs",
    "result": "status",
    "outcome": "status",
    "conclusion": "status",
    "state": "status",
    "returncode": "exit_code",
    "return_code": "exit_code",
    "code": "exit_code",
    "exitcode": "exit_code",
    "commit": "sha",
    "hash": "sha",
    "ref": "branch",
    "ref_name": "branch",
}
STATUS_WORDS = {
    "success": "succeeded",
    "ok": "succeeded",
    "passed": "succeeded",
    "completed": "succeeded",
    "failure": "failed",
    "error": "failed",
    "timeout": "timed_out",
    "canceled": "cancelled",
}
PRINTED = "what a step prints is no value; let it write to `$DAGNATS_OUTPUT`"
NULLS = frozenset(["null", "nil", "undefined", "NULL", "Null"])


def explain_root(path: tuple[str, ...]) -> str:
    """What a context of another tool is called here, or nothing."""
    if path[0] in NULLS:
        return "write `none`; what may be missing is asked for by `is defined`, or given a `default`"
    meant = PATH_WORDS.get(path[:2]) or ROOT_WORDS.get(path[0])
    if meant is None:
        return ""
    return f"did you mean {meant}?" if " " in meant else f"did you mean {quoted(meant)}?"


def explain_field(name: str, known: Collection[str]) -> str:
    """What a field of another tool is called here, or nothing."""
    meant = FIELD_WORDS.get(name.lower())
    if meant in known:
        return f"did you mean {quoted(meant)}?"
    return PRINTED if name in ("stdout", "stderr", "log", "logs") and "outputs" in known else ""
