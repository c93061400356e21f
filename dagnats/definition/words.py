"""The words that other tools use, and the ones that belong to a later version: what a wrong key was meant to be."""

import re
from collections.abc import Iterable
from difflib import SequenceMatcher
from itertools import islice

from dagnats.definition.problems import Effort, Problems, quoted

MAX_COMPARED = 64
MAX_KNOWN = 1000


def _by_word(hints: dict[str, str]) -> dict[str, str]:
    """Turn a table of hints, each with the words that deserve it, into one of words."""
    return {word: hint for hint, words in hints.items() for word in words.split()}


LATER_STEP = """image container matrix foreach as artifacts mutex on_failure once type duration signal pipeline params agent
provider model base_url api_key_env system prompt context tools loop budget output_schema checks temperature reasoning
max_output_tokens observation_max_bytes sandbox network protect price"""
UNSUPPORTED: dict[str, frozenset[str]] = {
    "pipeline": frozenset({"dotenv", "secrets", "services", "include", "budget"}),
    "step": frozenset(LATER_STEP.split()),
    "defaults": frozenset(LATER_STEP.split()),
    "param": frozenset({"pattern"}),
}
STAGES = "there are no stages; a step says in `needs` what it waits for"
STEP_WORDS = _by_word({
    "did you mean `needs`?": "depends depends_on dependencies deps requires require after run_after upstream previous",
    "did you mean `run`?": "script scripts sh bash commands cmd cmds exec execute code shell_command",
    "did you mean `env`?": "environment variables vars",
    "did you mean `if`?": "when condition only except rules unless",
    "did you mean `working_dir`?": "working_directory cwd workdir dir directory",
    "did you mean `allow_failure: true`?": "continue_on_error continue_on ignore_error ignore_errors allow_fail optional",
    "did you mean `retry`?": "retries attempts max_attempts retry_policy",
    "did you mean `name`?": "title label description display_name desc",
    "did you mean `id`?": "key",
    "did you mean `command: [program, argument]`?": "args",
    "did you mean `timeout`, with its unit: `10m`?": "timeout_minutes timeout_min",
    "did you mean `timeout`, with its unit: `30s`?": "timeout_seconds timeout_sec timeout_s",
    "actions of other systems can not be used; write what they do as `run`": "uses with plugin",
    "steps do not nest; write one list and `needs`": "steps",
    "steps run on this machine; remove the line": "runs_on",
    "`matrix` is not supported by this version": "strategy",
    STAGES: "stage",
})  # fmt: skip
FOREIGN: dict[str, dict[str, str]] = {
    "step": STEP_WORDS,
    "defaults": STEP_WORDS | _by_word({"`id`, `needs`, `run` and `command` have no defaults": "id needs run command"}),
    "pipeline": _by_word({
        "did you mean `steps`, one list of all steps?": "jobs tasks pipeline workflow targets nodes dag",
        "did you mean `env`, or `vars`?": "environment variables",
        "did you mean `params`?": "inputs parameters args arguments",
        "did you mean `defaults`?": "default",
        "did you mean `finally`?": "on_exit handler_on cleanup teardown always post",
        "did you mean `max_parallel`?": "concurrency parallelism parallel max_active_steps",
        "did you mean `name`?": "title",
        "did you mean `timeout`, with its unit: `10m`?": "timeout_minutes",
        "who starts a pipeline decides when; remove the line": "on trigger triggers schedule",
        "the format has no version; remove the line": "version",
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
        "did you mean `minimum`?": "min",
        "did you mean `maximum`?": "max",
    }),
    "need": _by_word({"did you mean `step`?": "id job name task", "did you mean `optional`?": "required"}),
    "output": _by_word({"an output has no default; a step writes it or not": "default"}),
}  # fmt: skip


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


def suggest(name: str, known: "list[str] | dict[str, object]", problems: Problems) -> str:
    """The question whether a similar known name was meant, or nothing."""
    if len(name) > MAX_COMPARED or not known or not problems.may_suggest():
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
