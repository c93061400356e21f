"""`dagnats signal`, `approve` and `reject`: what is put for a run, once it is clear that it can mean something there."""

import json
import sys
import time
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import NoReturn

import click

from dagnats import stored
from dagnats.answering import user
from dagnats.bus.journal import read
from dagnats.bus.link import Link
from dagnats.bus.signals import new_put, posted, put
from dagnats.core.events import ApprovalDecided
from dagnats.core.pipeline import JSON, Step
from dagnats.core.state import TERMINAL, RunState, StepState, fold
from dagnats.core.text import encode_json, has_template
from dagnats.core.waiting import Posted
from dagnats.core.waits import SIGNAL_RULE, approval_key, is_signal
from dagnats.definition.problems import Problems, quoted
from dagnats.definition.words import suggest
from dagnats.errors import UsageError

PAYLOAD_MAX_BYTES = 256 << 10
WHY_MAX = 4000
NAMED = 5  # steps, in the text of an error


def send_signal(run: str, name: str, text: str | None) -> int:
    """Put a signal for a run. Raises UsageError, and then nothing has changed."""
    if not is_signal(name):
        raise UsageError(f"{quoted(name)} is no name of a signal: it has {SIGNAL_RULE}")
    payload = _payload(sys.stdin.read(4 * PAYLOAD_MAX_BYTES) if text == "-" else text)
    directory = stored.find(run)
    post, number = Posted(name, 0, time.time(), user(), payload), new_put()

    async def work(link: Link, is_live: bool) -> bool:
        _check_signal(await _state(link, directory.name), name)
        await put(link, directory.name, post, number)
        return is_live

    live = stored.use(directory, work)
    _say(f"run {directory.name}: signal {name} sent", directory.name, live=live)
    return 0


def decide(run: str | None, id_: str, why: str, *, approved: bool) -> int:
    """Put a decision for a run. Raises UsageError, and then nothing has changed."""
    if len(why) > WHY_MAX:
        raise UsageError(f"the message has {len(why):,} characters; at most {WHY_MAX:,} are allowed")
    directory = stored.find(run)
    post = Posted(approval_key(id_), 0, time.time(), user(), {"approved": approved, "why": why})
    number = new_put()

    async def work(link: Link, is_live: bool) -> tuple[bool, bool]:
        step = approval(await _state(link, directory.name), id_)
        if not await put(link, directory.name, post, number, once=True):
            before = next(iter(await posted(link, directory.name, post.key)), None)
            if before is None or (before.at, before.by) != (post.at, post.by):
                raise UsageError(_decided(id_, before))
        return is_live, step.wait is not None

    live, asks = stored.use(directory, work)
    what = f"{id_} {'approved' if approved else 'rejected'}"
    later = "" if asks or not live else "; it does not ask yet, and has this answer when it does"
    _say(f"run {directory.name}: {what}{later}", directory.name, live=live)
    return 0


def _say(text: str, run: str, *, live: bool) -> None:
    click.echo(text + ("" if live else f"; it does not go on now: `dagnats resume {run}` goes on with it"), err=True)


async def _state(link: Link, run: str) -> RunState:
    state = fold([event async for events in read(link, run) for event in events])
    if state.finished is not None:
        raise UsageError(f"run {run} has ended: it {state.finished.outcome.replace('_', ' ')}")
    return state


def _payload(text: str | None) -> JSON:
    """Read what is sent along. Raises UsageError for what is no JSON, or too much of it."""
    if text is None:
        return None
    try:
        value = json.loads(text, parse_constant=_no_number)
        size = len(encode_json(value).encode("utf-8", "surrogatepass"))
    except json.JSONDecodeError as error:
        hint = "; a text stands in quotes: '\"text\"'" if text.strip()[:1].isalpha() else ""
        raise UsageError(
            f"what is sent along is no JSON: {error.msg} in line {error.lineno}, column {error.colno}{hint}"
        ) from None
    except (ValueError, RecursionError) as error:
        raise UsageError(f"what is sent along is no JSON that can be taken: {error}") from None
    if size > PAYLOAD_MAX_BYTES:
        raise UsageError(f"what is sent along has {size:,} bytes; at most {PAYLOAD_MAX_BYTES:,} are allowed")
    return value


def _no_number(text: str) -> NoReturn:
    raise ValueError(f"{text} is no number of JSON")


def _check_signal(state: RunState, name: str) -> None:
    """Refuse a signal for which no step of the run can wait."""
    names = [step.wait.signal for step in _all_steps(state) if step.wait is not None and step.wait.kind == "signal"]
    if name in names or any(map(has_template, names)):
        return
    known = f"it waits for {_listed(sorted(set(names)))}" if names else "no step of it waits for a signal"
    hint = suggest(name, names, Problems(state.plan.file)) or known
    raise UsageError(f"no step of run {state.run} waits for the signal {quoted(name)}; {hint}")


def approval(state: RunState, id_: str) -> StepState:
    """Give the approval of that id, which can still be decided. Raises UsageError."""
    step = state.steps.get(id_)
    if step is None:
        hint = suggest(id_, state.steps, Problems(state.plan.file)) or _asking(state)
        raise UsageError(f"run {state.run} has no step {quoted(id_)}; {hint}")
    if step.step.wait is None or step.step.wait.kind != "approval":
        raise UsageError(f"step {quoted(id_)} asks for no approval; {_asking(state)}")
    if step.expands and step.status not in TERMINAL:
        ids = step.instances.ids if step.instances is not None else ()
        known = f"name one of its instances: {_listed(ids)}" if ids else "and they are not known yet"
        raise UsageError(f"step {quoted(id_)} asks once for each of its instances; {known}")
    if isinstance(step.answer, ApprovalDecided):
        given = step.answer
        raise UsageError(
            _decided(id_, Posted("", 0, given.decided_at, given.by, {"approved": given.approved, "why": given.why}))
        )
    if step.status in TERMINAL:
        raise UsageError(f"step {quoted(id_)} asks no more: it is {step.status.replace('_', ' ')}")
    return step


def _decided(id_: str, before: Posted | None) -> str:
    if before is None:
        return f"step {quoted(id_)} was decided already"
    at = datetime.fromtimestamp(before.at).astimezone().isoformat(sep=" ", timespec="seconds")
    what = "approved" if before.value.get("approved") else "rejected"
    why = f": {before.value['why']}" if before.value.get("why") else ""
    return f"step {quoted(id_)} was {what} already, by {before.by} at {at}{why}"


def _asking(state: RunState) -> str:
    asking = [id_ for id_, wait in state.awaited.open.items() if wait.kind == "approval"]
    return f"those that ask now: {_listed(asking)}" if asking else "no step asks for an approval now"


def _listed(ids: Sequence[str]) -> str:
    more = f" and {len(ids) - NAMED} more" if len(ids) > NAMED else ""
    return ", ".join(ids[:NAMED]) + more


def _all_steps(state: RunState) -> Iterator[Step]:
    for plan in (state.plan, *state.plan.pipelines.values()):
        yield from plan.steps
        yield from plan.finally_steps
