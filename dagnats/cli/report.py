"""`dagnats report`: the reports of a run that is over."""

from dagnats.report.written import STDOUT, Report, check, write
from dagnats.rundir import journal_end
from dagnats.stored import find, read


def write_reports(run: str | None, files: dict[str, str | None]) -> int:
    """Write the reports that are asked for, else the summary to stdout."""
    reports = [Report(f"--{kind}", path) for kind, path in files.items() if path is not None]
    reports = reports or [Report("--summary", STDOUT[0])]
    check(reports, {})
    directory = find(run)
    read(directory, lambda link: write(link, directory.name, reports, journal_end(directory)))
    return 0
