"""`--summary FILE`: a run on one page of Markdown, as GitHub shows it below a job. It stays under the size that GitHub takes, and says what it left out."""

import re
from collections.abc import Iterator, Sequence

from dagnats.core.events import Outcome
from dagnats.core.state import RunState, Status, StepState
from dagnats.core.text import text_of
from dagnats.report.kept import kept, size
from dagnats.report.mermaid import gantt_lines, graph_lines
from dagnats.report.record import Outputs, Owner, Record
from dagnats.report.screen import fit, without_colours
from dagnats.report.view import TAIL_LINES, clean, counted, duration, sums_up, took_s, why

SUMMARY_MAX_BYTES = 1000 << 10  # GitHub takes 1 MiB of one of its steps, and drops all of a larger one
ROWS_MAX = 200
TAILS_MAX = 20
TAIL_MAX_BYTES = 16 << 10
OUTPUTS_MAX = 50
WORDS_MAX = 200
NAME_MAX = 80
STEP_MAX_BYTES = 64 << 10
_BAD = (Status.FAILED, Status.TIMED_OUT)
_SIGNS = {
    Status.SUCCEEDED: "✅",
    Status.WARNING: "⚠️",
    Status.FAILED: "❌",
    Status.TIMED_OUT: "⏱️",
    Status.CANCELLED: "🚫",
    Status.SKIPPED: "⏭️",
    Status.BLOCKED: "⛔",
}
_OUTCOMES = {Outcome.SUCCEEDED: "✅", Outcome.FAILED: "❌", Outcome.TIMED_OUT: "⏱️", Outcome.CANCELLED: "🚫"}
_FENCE = re.compile(r" {0,3}(`{3,}|~{3,})")
_MARKUP = re.compile(r"([\\`*_\[\]|~#$])")


def summary_wants(record: Record) -> dict[Owner, int]:
    """Say how much of which attempt's output the summary shows: the end of the first that failed."""
    wanted = {}
    for step in _failed(record)[:TAILS_MAX]:
        attempt = record.last_attempt(step.step.id)
        if attempt is not None:
            wanted[step.step.id, attempt.number] = TAIL_MAX_BYTES
    return wanted


def summary(record: Record, outputs: Outputs, most: int = SUMMARY_MAX_BYTES) -> str:
    """Write the page; what would make it larger than `most` bytes, or than GitHub takes, is left out from the end."""
    page, left, left_out = "", min(most, SUMMARY_MAX_BYTES) - 1024, list[str]()
    for name, lines in ((name, lines) for name, lines in _sections(record, outputs) if lines):
        text = "\n".join(lines) + "\n\n"
        size = len(text.encode("utf-8", "replace"))
        if size <= left:
            page, left = page + text, left - size
        else:
            left_out.append(name)
    if left_out:
        names = list(dict.fromkeys(left_out))
        page += f"_Left out, as a summary may have {SUMMARY_MAX_BYTES >> 10:,} KiB: {', '.join(names)}._\n"
    return page.rstrip("\n") + "\n"


def _sections(record: Record, outputs: Outputs) -> Iterator[tuple[str, Sequence[str]]]:
    state = record.state
    yield "the head", list(_head(record))
    yield "the table of steps", list(_table(list(record.steps())))
    failed = _failed(record)
    for step in failed[:TAILS_MAX]:
        yield "the output of failed steps", list(_tail(record, step, outputs))
    if len(failed) > TAILS_MAX:
        yield "", [f"_… and {len(failed) - TAILS_MAX:,} more steps that failed._"]
    yield "outputs", list(_outputs(state))
    yield "artifacts", list(_artifacts(state))
    yield "the graph", _folded("Graph", graph_lines(record))
    yield "the timeline", _folded("Timeline", gantt_lines(record))
    for step in record.steps():
        yield "what steps wrote to $DAGNATS_SUMMARY", _of_step(record, step)


def _head(record: Record) -> Iterator[str]:
    state = record.state
    took = duration(max(0.0, record.ended_at - record.began_at))
    ended = (
        f"{state.outcome.replace('_', ' ')} in {took}" if state.finished is not None else f"did not end; {took} so far"
    )
    sign = _OUTCOMES[state.outcome] if state.finished is not None else "❔"
    yield f"## {sign} {markup(state.plan.name)}: {ended}"
    yield ""
    length, path = record.critical()
    told = [", ".join(counted(state))]
    if path:
        shown = " → ".join(markup(_cut(id_, NAME_MAX)) for id_ in path[:10]) + (" → …" if len(path) > 10 else "")
        told.append(f"critical path {duration(length)}: {shown}")
    told.append(f"run `{state.run}`")
    yield " · ".join(filter(None, told))
    if (
        state.cancel is not None
        and state.finished is not None
        and state.outcome in (Outcome.CANCELLED, Outcome.TIMED_OUT)
    ):
        yield ""
        yield markup(_cut(clean(state.cancel.why), WORDS_MAX))


def _table(steps: Sequence[StepState]) -> Iterator[str]:
    shown = list(steps)
    if len(steps) > ROWS_MAX:
        # what went well is the first that nobody misses
        shown = [step for step in steps if step.status is not Status.SUCCEEDED][:ROWS_MAX]
    if shown:
        yield "| | step | took | |"
        yield "| --- | --- | ---: | --- |"
    for step in shown:
        took = duration(took_s(step)) if step.first_started_at is not None and step.ended_at is not None else ""
        depth = "&emsp;" * (step.step.id.count("/") + (step.parent is not None))
        name = clean(step.step.name) if step.step.name and step.parent is None else ""
        name = f" {markup(_cut(name, NAME_MAX))}" if name and name != step.step.id else ""
        words = _cut(clean(why(step)), WORDS_MAX)
        sign = _SIGNS.get(step.status, "▶️" if step.first_started_at is not None else "")
        yield f"| {sign} | {depth}**{markup(_cut(step.step.id, NAME_MAX))}**{name} | {took} | {markup(words)} |"
    if len(shown) < len(steps):
        rest = steps if len(steps) <= ROWS_MAX else [step for step in steps if step not in shown]
        well = sum(step.status is Status.SUCCEEDED for step in rest)
        others = len(steps) - len(shown) - well
        parts = [f"{well:,} steps that succeeded"] * (well > 0) + [f"{others:,} others"] * (others > 0)
        yield ""
        yield f"_Not in this table: {' and '.join(parts)}._"


def _tail(record: Record, step: StepState, outputs: Outputs) -> Iterator[str]:
    attempt = record.last_attempt(step.step.id)
    printed = outputs.get((step.step.id, attempt.number)) if attempt is not None else None
    yield f"### {_SIGNS[step.status]} {markup(_cut(step.step.id, NAME_MAX))}: {markup(_cut(clean(why(step)), WORDS_MAX))}"
    if printed is None or not printed.data:
        return
    text = without_colours(fit(printed.data)).decode("utf-8", "replace")
    lines = text.splitlines()
    if len(lines) > TAIL_LINES or printed.omitted_bytes:
        lines = lines[-TAIL_LINES:]
        yield ""
        yield f"The last {len(lines)} line{'s' if len(lines) != 1 else ''} of its output:"
    fence = "`" * max(3, 1 + max((len(run) for run in re.findall(r"`+", text)), default=0))
    yield ""
    yield f"{fence}text"
    yield from lines
    yield fence


def _outputs(state: RunState) -> Iterator[str]:
    outputs = state.finished.outputs if state.finished is not None else {}
    if not outputs:
        return
    yield "| output | value |"
    yield "| --- | --- |"
    for name, value in list(outputs.items())[:OUTPUTS_MAX]:
        yield f"| {markup(name)} | {markup(_cut(clean(text_of(value)), WORDS_MAX))} |"
    if len(outputs) > OUTPUTS_MAX:
        yield ""
        yield f"_… and {len(outputs) - OUTPUTS_MAX:,} more outputs._"


def _artifacts(state: RunState) -> Iterator[str]:
    found = list(kept(state))
    if not found:
        return
    yield "| artifacts | step | files | size |"
    yield "| --- | --- | ---: | ---: |"
    for step, name, artifact in found[:OUTPUTS_MAX]:
        names = f"{markup(_cut(clean(name), NAME_MAX))} | {markup(_cut(step, NAME_MAX))}"
        yield f"| {names} | {artifact.files:,} | {size(artifact.bytes)} |"
    if len(found) > OUTPUTS_MAX:
        yield ""
        yield f"_… and {len(found) - OUTPUTS_MAX:,} more artifacts._"


def _folded(title: str, lines: Sequence[str]) -> Sequence[str]:
    if not lines:
        return ()
    return (f"<details><summary>{title}</summary>", "", "```mermaid", *lines, "```", "", "</details>")


def _of_step(record: Record, step: StepState) -> Sequence[str]:
    attempt = record.last_attempt(step.step.id)
    written = getattr(attempt.end, "summary", "") if attempt is not None else ""
    if not written:
        return ()
    shown = without_colours(fit(written.encode("utf-8", "replace"))).decode("utf-8", "replace")
    return (f"### {markup(_cut(step.step.id, NAME_MAX))}", "", closed(shown.rstrip("\n")))


def closed(written: str) -> str:
    """Give Markdown of a step that leaves no block of code and no comment open for what follows."""
    fence = ""
    for line in written.splitlines():
        found = _FENCE.match(line)
        if found and not fence:
            fence = found[1]
        elif found and found[1].startswith(fence) and not line[found.end() :].strip():
            fence = ""
    if fence:
        return f"{written}\n{fence}"
    return written + " -->" if written.count("<!--") > written.count("-->") else written


def _failed(record: Record) -> list[StepState]:
    """Give the steps that failed themselves, not because of their instances or the steps of their pipeline."""
    return [step for step in record.steps() if step.status in _BAD and not sums_up(record.state, step)]


def markup(text: str) -> str:
    """Give text that Markdown shows as it is."""
    escaped = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return _MARKUP.sub(r"\\\1", escaped)


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else text[: most - 1] + "…"
