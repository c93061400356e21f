"""What a run is asked to do, and what it has once everything is checked."""

import os
import platform
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct, field

from dagnats import __version__
from dagnats.bus.link import Link
from dagnats.bus.server import Server
from dagnats.core.pipeline import JSON, Pipeline
from dagnats.definition.select import Selection
from dagnats.process import Guardian
from dagnats.rundir import RunDirectory

if TYPE_CHECKING:
    from dagnats.core.events import AnyEvent
    from dagnats.core.resume import Past
    from dagnats.definition.rerun import Rerun
    from dagnats.failpoint import Failpoint
    from dagnats.report.written import Report
    from dagnats.workers.vault import Vault


Bring = Callable[[Link, Sequence[str], Path], Awaitable[None]]


class Request(Struct, frozen=True):
    """What the command line asks for. `text` is the pipeline's text when it does not come from `file`."""

    file: str
    text: bytes | None = None
    params: Mapping[str, str] = field(default_factory=dict)
    param_files: Mapping[str, JSON] = field(default_factory=dict)
    files: Sequence[str] | None = None  # of `--files`, as the steps see them
    jobs: int | None = None
    output: str = "auto"
    color: str = "auto"
    events_file: str | None = None
    junit_file: str | None = None
    summary_file: str | None = None
    html_file: str | None = None
    github_annotations: bool = True
    github_summary: bool = True
    exit_code_from: str | None = None
    selection: Selection = field(default_factory=Selection)
    secrets_file: str | None = None
    allow_privileged: bool = False
    ephemeral: bool = False
    detach_on_wait: bool = False
    quiet: bool = False
    verbose: bool = False
    again: Sequence[str] = ()
    durability: str = "process"
    rerun: "Rerun | None" = None
    bring: "Bring | None" = None  # what copies objects of the run of before

    @property
    def failpoint(self) -> "Failpoint | None":
        """Where the runner shall kill itself, for tests of what comes after."""
        text = os.environ.get("DAGNATS_TEST_CRASH")
        if not text:
            return None
        from dagnats.failpoint import Failpoint  # noqa: PLC0415 - only for those who ask for one

        return Failpoint(text)

    @property
    def written(self) -> dict[str, str | None]:
        """Files that a report may not be, by what they are for."""
        return {"the pipeline's own file": self.file if self.text is None else None, "--events": self.events_file}

    @property
    def reports(self) -> list["Report"]:
        """The reports that are asked for."""
        asked = (("--junit", self.junit_file), ("--summary", self.summary_file), ("--html", self.html_file))
        if not any(path for _, path in asked):
            return []
        from dagnats.report.written import Report  # noqa: PLC0415 - only for those who ask for one

        return [Report(option, path) for option, path in asked if path is not None]


class Prepared(Struct, frozen=True):
    """A run that may begin: everything is checked, the server is starting."""

    request: Request
    plan: Pipeline
    params: Mapping[str, JSON]
    workspace: Path
    directory: RunDirectory
    guardian: Guardian
    server: Server
    vault: "Vault | None" = None  # None if the plan has no secrets
    notes: Sequence[str] = ()  # to be said when the run begins
    past: "Past | None" = None  # what another runner has left, which this one goes on with
    past_events: "Sequence[AnyEvent]" = ()
    past_marks: Sequence[str] = ()  # of the runners before
    dotenv: Mapping[str, Mapping[str, str]] = field(
        default_factory=dict
    )  # variables by the file of each pipeline, "" for the run's

    @property
    def max_parallel(self) -> int:
        """How many steps run at once: the flag, the file, the processors."""
        return self.request.jobs or self.plan.max_parallel or os.cpu_count() or 1

    @property
    def seen_from(self) -> str:
        """The directory in which the command was given, as seen from the workspace: the pipeline's path is seen from there."""
        return os.path.relpath(Path.cwd(), self.workspace)


def versions() -> dict[str, str]:
    """What writes a journal."""
    return {"dagnats": __version__, "python": platform.python_version()}
