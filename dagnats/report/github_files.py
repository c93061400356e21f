"""What a run leaves for the rest of its job on GitHub Actions: outputs and a summary, in the files that the runner names."""

import contextlib
import os
import secrets
import sys
from collections.abc import Iterable, Iterator, Mapping

from msgspec import Struct

from dagnats.core.pipeline import JSON
from dagnats.core.state import RunState, Status
from dagnats.core.text import encode_json, text_of, workflow_command
from dagnats.definition import InvalidPipelineError
from dagnats.definition.annotations import to_github
from dagnats.errors import DagnatsError
from dagnats.report.view import sums_up
from dagnats.report.written import append, why_not

OUTPUTS_MAX_BYTES = 1000 << 10  # of a job GitHub takes 1 MiB
PROBLEMS_MAX = 10  # of a kind that GitHub shows of one of its steps
REFUSED = {2: "invalid", 5: "damaged"}  # what `status` is when there was no run, by exit code; else it is "error"


def outputs_of(state: RunState, code: int, events_file: str | None) -> dict[str, JSON]:
    """Give what the outputs of the step shall be: what is known of every run, then the run's own outputs under their names."""
    outputs = dict(state.finished.outputs) if state.finished is not None else {}
    bad = (Status.FAILED, Status.TIMED_OUT)
    failed = (id_ for id_, step in state.steps.items() if step.status in bad and not sums_up(state, step))
    known: dict[str, JSON] = {
        "status": str(state.outcome),
        "exit-code": code,
        "run-id": state.run,
        "outputs": encode_json(outputs),
        "failed-step": next(failed, ""),
        "events-file": events_file or "",
    }
    return {**known, **{name: value for name, value in outputs.items() if name.lower() not in known}}


def outputs_without_run(code: int) -> dict[str, JSON]:
    """Give the same for a run that was refused, or broke."""
    return {"status": REFUSED.get(code, "error"), "exit-code": code, "outputs": "{}"}


class Job(Struct, frozen=True):
    """The job of GitHub Actions that a run is a step of: `outputs_path` is what `$GITHUB_OUTPUT` names."""

    outputs_path: str
    annotates: bool
    events_file: str | None

    def ended(self, state: RunState, code: int) -> None:
        """Give the outputs of a run."""
        events_file = os.path.abspath(self.events_file) if self.events_file is not None else None  # noqa: PTH100 (as typed)
        self._append(outputs_of(state, code, events_file))

    def refused(self, error: DagnatsError) -> None:
        """Say that there was no run, beside the lines that are to blame."""
        self._append(outputs_without_run(error.exit_code))
        if self.annotates and isinstance(error, InvalidPipelineError):
            _say(to_github(error.problems[:PROBLEMS_MAX]))
        elif self.annotates:
            _say([workflow_command("error", str(error), title="dagnats")])

    def _append(self, outputs: Mapping[str, JSON]) -> None:
        if not self.outputs_path:
            return
        too_large: list[str] = []
        try:
            append(self.outputs_path, lambda _: b"".join(_entries(outputs, too_large)))
        except OSError as error:
            _say([workflow_command("warning", f"$GITHUB_OUTPUT can not be written: {why_not(error)}", title="dagnats")])
        if too_large:
            names = ", ".join(too_large)
            why = f"{names} would make the outputs larger than the {OUTPUTS_MAX_BYTES >> 10:,} KiB that GitHub takes"
            _say([workflow_command("warning", f"left out: {why}", title="dagnats")])


def _say(lines: Iterable[str]) -> None:
    with contextlib.suppress(OSError):  # whoever read has gone
        sys.stdout.write("".join(line + "\n" for line in lines))
        sys.stdout.flush()


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
