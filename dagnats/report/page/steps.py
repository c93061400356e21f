"""Each step of a run for itself: how it ended and why, its attempts, its outputs, and the end of what it printed."""

import json
from collections.abc import Iterator, Mapping, Sequence

from dagnats.core.events import StepFailed, StepSucceeded
from dagnats.core.pipeline import JSON
from dagnats.core.state import StepState
from dagnats.report.kept import described
from dagnats.report.page.output import (
    FILE_MAX_BYTES,
    OUTPUT_MAX_BYTES,
    OUTPUT_MIN_BYTES,
    VALUE_MAX_BYTES,
    VALUES_MAX_BYTES,
    Piece,
    beginning_of,
    bytes_of,
    divided,
    end_of,
    pieces,
    size_of,
    text_pieces,
)
from dagnats.report.page.rows import LOOKS, Row, attempt_status, causes, id_text, is_bad, sign, text, word
from dagnats.report.record import Attempt, Outputs, Owner, Record, shares
from dagnats.report.view import clean, duration

_NEEDS_MAX = 12
_WHY_MAX, _WHY_MAX_OF_MANY, _MANY = 300, 120, 200
_NOTES_MAX = 20
_DEPTH_MAX = 4
_OUTPUTS, _SUMMARY = 0, 1
_FRAME_BYTES = 190  # around what an attempt printed


class _Printed:
    """What the attempts have printed, each in its share of the bytes that there are for all."""

    def __init__(self, found: Sequence[Row], outputs: Outputs, room: int) -> None:
        attempts = {(one.step, one.number): one for row in found for one in row.attempts}
        self._made = {owner: pieces(outputs[owner]) for owner in attempts if owner in outputs}
        self._omitted = {owner: outputs[owner].omitted_bytes for owner in self._made}
        sizes = {owner: size_of(made) for owner, made in self._made.items()}
        failed = [owner for owner in self._made if isinstance(attempts[owner].end, StepFailed)]
        total = min(OUTPUT_MAX_BYTES, max(OUTPUT_MIN_BYTES, room - len(sizes) * _FRAME_BYTES))
        self._share = divided(sizes, failed, total)

    def end(self, owner: Owner) -> tuple[str, int] | None:
        """Give the end of what an attempt printed, and how many bytes before it are not shown; None when nothing was read of it."""
        if owner not in self._made:
            return None
        shown, left_out = end_of(self._made[owner], self._share[owner])
        return shown, left_out + self._omitted[owner]


class _Values:
    """The outputs and summaries of the steps, each in its share."""

    def __init__(self, found: Sequence[Row]) -> None:
        self._made: dict[Owner, list[Piece]] = {}
        for row in found:
            if row.state is not None and row.state.outputs:
                self._made[row.id, _OUTPUTS] = text_pieces(json_text(row.state.outputs))
            if summary := _summary(row):
                self._made[row.id, _SUMMARY] = text_pieces(summary)
        sizes = {owner: size_of(made) for owner, made in self._made.items()}
        self._share = shares(sizes, VALUES_MAX_BYTES, VALUE_MAX_BYTES)

    def beginning(self, row: Row, kind: int) -> tuple[str, int] | None:
        """Give the beginning of a text, and how many bytes after it are not shown."""
        owner = (row.id, kind)
        return beginning_of(self._made[owner], self._share[owner]) if owner in self._made else None


def json_text(value: JSON) -> str:
    """Give a value as people read it."""
    return json.dumps(value, indent=2, ensure_ascii=False, default=str)


def _summary(row: Row) -> str:
    """What the step wrote for its summary: shown as it stands, not as Markdown."""
    for attempt in reversed(row.attempts):
        if isinstance(attempt.end, StepSucceeded | StepFailed):
            return attempt.end.summary
    return ""


def steps(record: Record, found: Sequence[Row], outputs: Outputs, used_bytes: int) -> Iterator[str]:
    """Write a section for each step; those that failed are open. What they printed gets what the rest of the file leaves."""
    values, anchors = _Values(found), {row.id: row.anchor for row in found}
    sections = ["".join(_step(record, row, values, anchors)) for row in found]
    printed = _Printed(found, outputs, FILE_MAX_BYTES - used_bytes - sum(map(bytes_of, sections)))
    for row, section in zip(found, sections, strict=True):
        yield section
        for attempt in reversed(row.attempts):
            yield from _print(row, attempt, printed)
        yield "</div></details>\n"


def _step(record: Record, row: Row, values: _Values, anchors: Mapping[str, str]) -> Iterator[str]:
    most = _WHY_MAX if len(anchors) <= _MANY else _WHY_MAX_OF_MANY
    step = row.state.step if row.state is not None else None
    name = f" <small>{text(step.name, 80)}</small>" if step is not None and step.name and step.name != step.id else ""
    reason = f'<span class="why">{text(row.why, most)}</span>' if row.why else ""
    took = duration(row.took_s) if row.took_s is not None else ""
    indent = f' class="d{min(row.depth, _DEPTH_MAX)}"' if row.depth else ""
    # a link to what is in closed details opens them
    yield (
        f"<details{indent}{' open' if is_bad(row) else ''}><summary>{sign(row.status)} <h3>{id_text(row.id)}{name}</h3>"
        f'{reason}<span class="{LOOKS[row.status][1]}">{word(row.status)}</span><span class="n">{took}</span></summary>'
        f'<div id="{row.anchor}">'
    )
    yield f"<dl>{''.join(f'<div><dt>{key}</dt><dd>{value}</dd></div>' for key, value in _facts(record, row, anchors))}</dl>"
    if len(row.attempts) > 1 or row.hidden:
        yield from _attempts(record, row)
    yield from _told(row, values)


def _facts(record: Record, row: Row, anchors: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Say about a step what fits on a line."""
    if row.state is None:
        yield "part of", "an attempt of its pipeline that was followed by another"
    else:
        yield from _of_plan(row.state, anchors)
    if len(row.attempts) == 1 and not row.hidden:
        (attempt,) = row.attempts
        yield "started", f"{_after(record, attempt.started_at)} into the run"
        if attempt.ended_at is None:
            yield "ended", "not while this was recorded"
        elif (code := _exit_code(attempt)) is not None:
            yield "exit code", str(code)
    if row.critical:
        yield "critical path", "yes"


def _of_plan(state: StepState, anchors: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Say what the file says of it, and what came of that."""
    step = state.step
    yield "in", f"<code>{text(step.file or state.within.plan.file)}:{step.line}</code>"
    if step.needs:
        yield "needs", _links(step.needs, anchors)
    if step.handles is not None:
        yield "handles the failure of", _links((step.handles,), anchors)
    if step.pipeline is not None:
        yield "runs", f"<code>{text(step.pipeline)}</code>"
    if step.condition is not None:
        yield "if", f"<code>{text(step.condition)}</code>"
    if state.blocked_by:
        yield "blocked by", _links(state.blocked_by, anchors)
    for name, artifact in list(state.artifacts.items())[:_NOTES_MAX]:
        yield "artifacts", f"{text(name, 100)}: {described(artifact)}"
    if state.instances is not None:
        yield "instances", f"{len(state.instances.ids):,}"


def _links(ids: Sequence[str], anchors: Mapping[str, str]) -> str:
    shown = [
        f'<a href="#{anchors[id_]}">{id_text(id_)}</a>' if id_ in anchors else id_text(id_) for id_ in ids[:_NEEDS_MAX]
    ]
    more = len(ids) - len(shown)
    return ", ".join(shown) + (f" and {more:,} more" if more else "")


def _after(record: Record, at: float) -> str:
    return duration(max(0.0, at - record.began_at))


def _exit_code(attempt: Attempt) -> int | None:
    match attempt.end:
        case StepSucceeded():
            return 0
        case StepFailed():
            return attempt.end.exit_code
        case _:
            return None


def _attempts(record: Record, row: Row) -> Iterator[str]:
    yield (
        '<div class="scroll"><table><caption class="sr">Attempts</caption><thead><tr><th scope="col">Attempt</th><th scope="col">Status</th>'
        '<th scope="col">Started</th><th scope="col">Took</th><th scope="col">Exit code</th><th scope="col">Why</th></tr></thead><tbody>'
    )
    if row.hidden:
        yield f'<tr><td colspan="6">{row.hidden:,} earlier attempts are not shown</td></tr>'
    for attempt in row.attempts:
        status, code = attempt_status(attempt), _exit_code(attempt)
        took = duration(max(0.0, attempt.ended_at - attempt.started_at)) if attempt.ended_at is not None else ""
        message = text(attempt.end.message) if isinstance(attempt.end, StepFailed) else ""
        yield (
            f'<tr><th scope="row">{attempt.number}</th><td>{sign(status)} {word(status)}</td><td>+{_after(record, attempt.started_at)}</td>'
            f"<td>{took}</td><td>{'' if code is None else code}</td><td>{message}</td></tr>"
        )
    yield "</tbody></table></div>"


def _told(row: Row, values: _Values) -> Iterator[str]:
    for title, kind in (("Outputs", _OUTPUTS), ("Summary", _SUMMARY)):
        if (value := values.beginning(row, kind)) is not None:
            written, left_out = value
            yield f'<h4>{title}</h4><pre class="v" tabindex="0">{written}</pre>'
            yield f'<p class="note">{_bytes(left_out)} after this are not shown</p>' if left_out else ""
    end = row.attempts[-1].end if row.attempts else None
    notes = list(end.notes.items())[:_NOTES_MAX] if isinstance(end, StepSucceeded | StepFailed) else []
    for name, note in notes:
        yield f'<p class="note">Output {text(name, 100)} has no value: {text(note.removeprefix(f"outputs.{name}: "))}</p>'


def _print(row: Row, attempt: Attempt, output: _Printed) -> Iterator[str]:
    """Write the end of what an attempt printed."""
    several = len(row.attempts) > 1 or row.hidden > 0
    title = f"Printed by attempt {attempt.number}" if several else "Printed"
    printed = output.end((attempt.step, attempt.number))
    dropped = attempt.end.dropped_bytes if attempt.end is not None else 0
    if printed is None:
        if attempt.kept_bytes:
            yield f'<h4>{title}</h4><p class="note">{_bytes(attempt.kept_bytes)}, which are not shown here</p>'
        return
    written, left_out = printed
    if not written and not left_out:
        return
    yield f"<h4>{title}</h4>"
    yield f'<p class="note">{_bytes(left_out)} before this are not shown</p>' if left_out else ""
    yield f'<pre class="o" tabindex="0">{written}</pre>' if written else ""
    yield f'<p class="note">{_bytes(dropped)} were not kept</p>' if dropped else ""


def _bytes(count: int) -> str:
    return f"{count:,} byte{'s' if count != 1 else ''}"


def failures(record: Record, found: Sequence[Row], most: int = 20) -> Iterator[str]:
    """List what failed, with the reasons and where it stands."""
    bad = causes(found, record)
    if not bad:
        return
    yield '<section class="bad" aria-labelledby="failed"><h2 id="failed">What failed</h2><ul>'
    for row in bad[:most]:
        step = row.state.step if row.state is not None else None
        file = (step.file or row.state.within.plan.file) if step is not None and row.state is not None else ""
        where = f" <small>{text(file)}:{step.line}</small>" if step is not None else ""
        yield f'<li>{sign(row.status)} <a href="#{row.anchor}">{id_text(row.id)}</a> <span>{text(row.why)}</span>{where}</li>'
    yield "</ul>"
    yield f'<p class="note">… and {len(bad) - most:,} more steps</p>' if len(bad) > most else ""
    yield "</section>\n"


def clip_lines(value: JSON, most_bytes: int) -> str:
    """Give a value as one line of HTML, cut where it would be long."""
    written = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
    shown, left_out = beginning_of(text_pieces(clean(written)), most_bytes)
    return shown + (f' <small class="note">… {_bytes(left_out)} more</small>' if left_out else "")
