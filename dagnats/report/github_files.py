"""What a run leaves for the rest of its job on GitHub Actions: outputs and a summary, in the files that the runner names."""

import secrets
from collections.abc import Iterator, Mapping

from dagnats.core.pipeline import JSON
from dagnats.core.state import RunState, Status
from dagnats.core.text import encode_json, text_of

OUTPUTS_MAX_BYTES = 1000 << 10  # of a job GitHub takes 1 MiB
REFUSED = {2: "invalid", 5: "damaged"}  # what `status` is when there was no run, by exit code; else it is "error"


def outputs_of(state: RunState, code: int, events_file: str | None) -> dict[str, JSON]:
    """Give what the outputs of the step shall be: what is known of every run, then the run's own outputs under their names."""
    outputs = dict(state.finished.outputs) if state.finished is not None else {}
    failed = next((id_ for id_, step in state.steps.items() if step.status in (Status.FAILED, Status.TIMED_OUT)), "")
    known: dict[str, JSON] = {
        "status": str(state.outcome),
        "exit-code": code,
        "run-id": state.run,
        "outputs": encode_json(outputs),
        "failed-step": failed,
        "events-file": events_file or "",
    }
    return {**known, **{name: value for name, value in outputs.items() if name not in known}}


def outputs_without_run(code: int) -> dict[str, JSON]:
    """Give the same for a run that was refused, or broke."""
    return {"status": REFUSED.get(code, "error"), "exit-code": code, "outputs": "{}"}


def append_outputs(path: str, outputs: Mapping[str, JSON]) -> list[str]:
    """Write them to the file that `$GITHUB_OUTPUT` names; gives the names of those that are too large. Raises OSError."""
    too_large: list[str] = []
    with open(path, "ab") as file:  # noqa: PTH123 (as named)
        file.write(b"".join(_entries(outputs, too_large)))
    return too_large


def _entries(outputs: Mapping[str, JSON], too_large: list[str]) -> Iterator[bytes]:
    left = OUTPUTS_MAX_BYTES
    for name, value in outputs.items():
        end = f"end-{secrets.token_hex(16)}"  # which no value can hold
        entry = f"{name}<<{end}\n{text_of(value)}\n{end}\n".encode("utf-8", "replace")
        if len(entry) > left:
            too_large.append(name)
            continue
        left -= len(entry)
        yield entry
