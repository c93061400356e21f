"""`dagnats report`: the reports of a run that is over."""

from dagnats.errors import UsageError
from dagnats.report.written import STDOUT, Report, check, write
from dagnats.rundir import journal_end
from dagnats.stored import find, is_live, use


def write_reports(run: str | None, files: dict[str, str | None]) -> int:
    """Write the reports that are asked for, else the summary to stdout."""
    reports = [Report(f"--{kind}", path) for kind, path in files.items() if path is not None]
    reports = reports or [Report("--summary", STDOUT[0])]
    check(reports, {})
    directory = find(run)
    if is_live(directory):
        raise UsageError(f"run {directory.name} is still going on: try again when it has ended")
    use(directory, lambda link, _: write(link, directory.name, reports, journal_end(directory)))
    return 0
