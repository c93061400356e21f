"""`--junit FILE`: a run as a suite of tests, one a step, in the form that CI servers read."""

from datetime import UTC, datetime
from xml.etree import ElementTree as ET

from dagnats.core.events import Reason
from dagnats.core.state import TERMINAL, RunState, Status, StepState
from dagnats.report.record import Outputs, Owner, Record, shares
from dagnats.report.screen import fit, without_colours
from dagnats.report.view import clean, sums_up, took_s, why

TAIL_MAX_BYTES = 64 << 10  # of the output of one step that failed
TAILS_MAX_BYTES = 8 << 20
_BAD = (Status.FAILED, Status.TIMED_OUT)
_NOT_RUN = (Status.SKIPPED, Status.BLOCKED, Status.CANCELLED)
_OURS = (Reason.LOST, Reason.ENGINE)  # an `error`: the step itself has not failed


def junit_wants(record: Record) -> dict[Owner, int]:
    """Say how much of which attempt's output the report shows: the end of what failed."""
    sizes = {}
    for step in _cases(record):
        attempt = record.last_attempt(step.step.id)
        if step.status in _BAD and attempt is not None:
            sizes[step.step.id, attempt.number] = attempt.kept_bytes
    return shares(sizes, TAILS_MAX_BYTES, TAIL_MAX_BYTES)


def junit(record: Record, outputs: Outputs) -> bytes:
    """Write the report, XML in UTF-8."""
    state = record.state
    cases = _cases(record)
    facts = {
        "name": _text(state.plan.name),
        "tests": str(len(cases)),
        "failures": str(sum(step.status in _BAD and not _is_error(step) for step in cases)),
        "errors": str(sum(_is_error(step) for step in cases)),
        "skipped": str(sum(step.status in _NOT_RUN for step in cases)),
        "time": f"{record.ended_at - record.began_at:.3f}",
        "timestamp": datetime.fromtimestamp(record.began_at, UTC).isoformat(timespec="seconds"),
    }
    root = ET.Element("testsuites", {key: facts[key] for key in facts if key != "timestamp"})
    suite = ET.SubElement(root, "testsuite", facts)
    properties = ET.SubElement(suite, "properties")
    named = {"run": state.run, "outcome": _outcome(record), "file": _text(state.plan.file)}
    if state.started.rerun is not None:
        named["rerun_of"] = state.started.rerun.run
    for name, value in named.items():
        ET.SubElement(properties, "property", {"name": name, "value": value})
    for step in cases:
        _case(suite, state, step, _tail(record, step, outputs))
    ET.indent(root)
    return bytes(ET.tostring(root, encoding="utf-8", xml_declaration=True)) + b"\n"


def _cases(record: Record) -> list[StepState]:
    """Give the steps that did something themselves: not those that sum up instances, or the steps of a pipeline."""
    return [step for step in record.steps() if not sums_up(record.state, step)]


def _case(suite: ET.Element, state: RunState, step: StepState, tail: str) -> None:
    within = step.within
    case = ET.SubElement(
        suite,
        "testcase",
        {
            "name": _text(step.step.id),
            "classname": _text(state.plan.name if within.owner is None else f"{state.plan.name}.{within.owner}"),
            "time": f"{took_s(step):.3f}",
            "file": _text(step.step.file or within.plan.file),
            "line": str(step.step.line),
        },
    )
    said = clean(why(step))
    if step.status in _BAD:
        kind = step.failure.reason if step.failure is not None else "failed"
        failure = ET.SubElement(case, "error" if _is_error(step) else "failure", {"type": kind, "message": _text(said)})
        failure.text = _text(tail)
    elif step.status not in TERMINAL:
        ET.SubElement(case, "error", {"type": "unfinished", "message": "it had not ended when the journal did"})
    elif step.status in _NOT_RUN:
        ET.SubElement(case, "skipped", {"message": _text(said)})
    elif step.status is Status.WARNING or step.reused is not None:
        ET.SubElement(case, "system-out").text = _text(said)


def _is_error(step: StepState) -> bool:
    """Whether it is not the step itself that went wrong."""
    ours = step.status in _BAD and step.failure is not None and step.failure.reason in _OURS
    return ours or step.status not in TERMINAL


def _outcome(record: Record) -> str:
    return str(record.state.outcome) if record.state.finished is not None else "unfinished"


def _tail(record: Record, step: StepState, outputs: Outputs) -> str:
    attempt = record.last_attempt(step.step.id)
    printed = outputs.get((step.step.id, attempt.number)) if attempt is not None else None
    if printed is None:
        return ""
    text = without_colours(fit(printed.data)).decode("utf-8", "replace")
    return f"… {printed.omitted_bytes:,} bytes before this are not shown\n{text}" if printed.omitted_bytes else text


def _text(text: str) -> str:
    """Give what XML can hold."""
    return "".join(char if char in "\t\n" or char.isprintable() or char.isspace() else "\ufffd" for char in text)
