"""Reasons as sentences that answer the question why."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from dagnats.core.pipeline import JSON
from dagnats.core.text import encode_json
from dagnats.report.reasons import SHORT_S, Because
from dagnats.report.style import Style
from dagnats.report.view import clean, duration

NAMED = 4
VALUE_MAX = 80
_WORDS = {"succeeded": "succeeded", "warning": "failed, which it may", "failed": "failed", "timed_out": "timed out"}
_DIM = "2"


def sentences(reasons: Iterable[Because], style: Style) -> Iterator[str]:
    """Give a line for each reason that is worth one; what caused another stands below it, further in."""
    for reason in reasons:
        if _is_worth(reason):
            text = "  " * reason.depth + clean(sentence(reason))
            yield text if reason.depth == 0 else style.paint(text, _DIM)


def _is_worth(reason: Because) -> bool:
    """Whether a wait was longer than what it takes to hand a task to a worker."""
    data = reason.data
    if reason.kind != "waited" or data["for"] not in ("worker", "places"):
        return True
    return data["took_s"] >= SHORT_S and (data["for"] == "worker" or bool(data["by"]))


def sentence(reason: Because) -> str:
    """Say it."""
    return _SENTENCES.get(reason.kind, _ended)(reason)


def _skipped(reason: Because) -> str:
    data = reason.data
    return f"{reason.step} was skipped: its `if` {data['condition']} was false{_values(data['values'])}"


def _not_needed(reason: Because) -> str:
    data = reason.data
    return f"{reason.step} was skipped: it takes care of a failure of {data['handles']}, which {_word(data['status'])}"


def _values(values: Mapping[str, JSON]) -> str:
    shown = [f"{name} is {_value(value)}" for name, value in values.items()]
    return f" ({', '.join(shown)})" if shown else ""


def _value(value: JSON) -> str:
    text = f"'{value}'" if isinstance(value, str) else encode_json(value)
    return text if len(text) <= VALUE_MAX else text[: VALUE_MAX - 1] + "…"


def _blocked(reason: Because) -> str:
    data, ways = reason.data, []
    for culprit, way in zip(data["by"][:NAMED], data["path"][:NAMED], strict=True):
        ways.append("it needs " + ", which needs ".join([*way, culprit]))
    if len(ways) == 1:
        return f"{reason.step} was blocked: {ways[0]}, which did not succeed"
    more = f"; and {len(data['by']) - NAMED} more" if len(data["by"]) > NAMED else ""
    return f"{reason.step} was blocked: {'; '.join(ways)}{more}; these did not succeed"


def _cancelled(reason: Because) -> str:
    data = reason.data
    when = f" after {_span(data)}" if data["took_s"] is not None else " before it started"
    if "by" not in data:
        return f"{reason.step} was cancelled{when}"
    of = f" (it is a part of {data['of']}, which was stopped)" if data["of"] is not None else ""
    return f"{reason.step} was cancelled{when}: {data['why']}{of}"


def _retried(reason: Because) -> str:
    data = reason.data
    after = f", {duration(data['delay_s'])} later" if data["delay_s"] else " at once"
    failed = f"attempt {data['attempt']} failed after {_span(data)}: {data['message']}"
    return f"{failed}; attempt {data['next']} followed{after}"


def _interrupted(reason: Because) -> str:
    data = reason.data
    ended = f"attempt {data['attempt']} was interrupted, as the runner had ended"
    return f"{ended}; attempt {data['next']} followed when the run was resumed"


def _reused(reason: Because) -> str:
    data = reason.data
    ended = _word(data["status"])
    return f"{reason.step} did not run: it {ended} in run {data['from_run']}, and that still holds (event {data['from_seq']} there)"


def _decided(reason: Because) -> str:
    data = reason.data
    by, why = f" by {data['by']}" if data["by"] else "", f": {data['why']}" if data["why"] else ""
    return f"it was {'approved' if data['approved'] else 'rejected'}{by}{why}"


def _signalled(reason: Because) -> str:
    data = reason.data
    return f"the signal {data['signal']} was sent" + (f" by {data['by']}" if data["by"] else "")


def _again(reason: Because) -> str:
    return f"it was not reused from run {reason.data['run']}: {reason.data['said']}"


def _waited(reason: Because) -> str:
    return f"it waited {duration(reason.data['took_s'])} {_for(reason.data, goes_on=False)}"


def _running(reason: Because) -> str:
    return f"{reason.step} runs{_tries(reason.data)}: for {_span(reason.data)} until now"


def _for(data: Mapping[str, Any], *, goes_on: bool) -> str:  # noqa: PLR0911 - one answer a cause
    by, named = data["by"], _named(data["by"])
    match data["for"]:
        case "needs" if goes_on:
            return f"for what it needs: {named}"
        case "needs":
            return f"for what it needs: {by[-1]} ended last" if len(by) > 1 else f"for what it needs: {named}"
        case "steps":
            return "for all steps to end, as it is of `finally`" + (
                f": {by[-1]} ended last" if by and not goes_on else ""
            )
        case "mutex":
            return f"for the mutex {data['mutex']}, which {named} held"
        case "places":
            return f"for a place: {data['max_parallel']} may run at once" + (f", and {named} did" if by else "")
        case "pipeline" | "instances":
            what = "of its pipeline" if data["for"] == "pipeline" else "of its instances"
            return f"for a place {what}: {data['max_parallel']} may run at once" + (f", and {named} did" if by else "")
        case _:
            return _for_something(data)


def _for_something(data: Mapping[str, Any]) -> str:
    """What it waits for that is no other step."""
    match data["for"]:
        case "delay":
            return "for the delay of its retry"
        case "sleep":
            return "for its time to pass"
        case "signal":
            return f"for the signal {data['signal']}"
        case "approval":
            return f"for an approval: {data['prompt']}"
        case _:
            return "for a worker to take it"


def _waiting(reason: Because) -> str:
    data = reason.data
    if not data:
        return f"{reason.step} has not run"
    command = data.get("command")
    how = f"; {command}" if command else ""
    return f"{reason.step} waits {_for(data, goes_on=True)} ({duration(data['took_s'])} until now){how}"


def _instances(reason: Because) -> str:
    data = reason.data
    counts = ", ".join(f"{count} {status.replace('_', ' ')}" for status, count in data["counts"].items())
    whole = f"{data['count']} instance{'s' if data['count'] != 1 else ''}"
    word = "runs" if reason.kind == "instances_run" else _word(data["status"])
    return f"{reason.step} {word}: of its {whole}, {counts}"


def _word(status: str) -> str:
    return _WORDS.get(status, f"was {status}")


def _ended(reason: Because) -> str:
    step, kind, data = reason.step, reason.kind, reason.data
    if "message" not in data:
        return f"{step} {_word(kind)}{_tries(data)}" + (
            f" after {_span(data)}" if data.get("took_s") is not None else ""
        )
    why = {
        "attempts": "",
        "same": "; another attempt would have failed alike",
        "on": "; `retry.on` does not name that",
        "ends": "; it was not tried again, as the run was being cancelled",
    }.get(data["not_retried"] or "", "")
    before = (
        " before it began"
        if data["attempt"] == 0
        else f"{_tries(data)} after {_span(data)}{' in all' if data['attempt'] > 1 else ''}"
    )
    return f"{step} {_word(kind)}{before}: {data['message']}{why}"


def _tries(data: Mapping[str, Any]) -> str:
    return f" in attempt {data['attempt']} of {data['max_attempts']}" if data["max_attempts"] > 1 else ""


def _span(data: Mapping[str, Any]) -> str:
    return duration(data["took_s"] or 0.0)


def _named(ids: list[str]) -> str:
    more = f" and {len(ids) - NAMED} more" if len(ids) > NAMED else ""
    return ", ".join(ids[:NAMED]) + more


# what is not here is the status of a step that has ended
_SENTENCES: Mapping[str, Callable[[Because], str]] = {
    "skipped": _skipped,
    "not_needed": _not_needed,
    "blocked": _blocked,
    "cancelled": _cancelled,
    "interrupted": _interrupted,
    "reused": _reused,
    "again": _again,
    "decided": _decided,
    "signalled": _signalled,
    "retried": _retried,
    "waited": _waited,
    "waiting": _waiting,
    "running": _running,
    "instances": _instances,
    "instances_run": _instances,
}
