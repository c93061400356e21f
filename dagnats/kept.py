"""The runs that a project keeps, found by name. Nothing here may be slow to import: a shell asks for it while somebody types."""

from pathlib import Path

from dagnats.definition.problems import quoted
from dagnats.definition.project import project_root
from dagnats.errors import UsageError
from dagnats.naming import label, runs_in

NAMED = 5  # runs, in the text of an error


def find(name: str | None) -> Path:
    """Give the directory of a run of this project: by its name, or the beginning of it, else the newest. Raises UsageError."""
    runs, known = kept()
    if name is not None and not name.strip():
        raise UsageError("the name of a run is empty: leave it out for the newest run, or see `dagnats runs`")
    found = [path for path in known if name is None or label(path) == name]
    found = found or [path for path in known if name is not None and label(path).startswith(name)]
    if not found:
        newest = ", ".join(map(label, known[:NAMED])) or "none"
        raise UsageError(
            f"there is no run {quoted(name or '')} in {runs}; the newest are: {newest}"
            if name
            else f"no run is kept in {runs}"
        )
    if name is not None and len(found) > 1:
        raise UsageError(f"{quoted(name)} is the beginning of several runs: {', '.join(map(label, found[:NAMED]))}")
    return found[0]


def kept() -> tuple[Path, list[Path]]:
    """Give the directory of this project's runs, and theirs, the newest first. Raises UsageError when the project has none."""
    here, root = Path.cwd(), project_root("-")
    bases = [base for base in (here, *here.parents) if base.is_relative_to(root)]
    runs = next((runs for base in bases if (runs := base / ".dagnats" / "runs").is_dir()), None)
    if runs is None:
        raise UsageError(
            f"no run is kept in {root}: a run is kept in `.dagnats` of its project, unless it is ephemeral"
        )
    return runs, sorted(runs_in(runs), key=_started_at, reverse=True)


def _started_at(path: Path) -> float:
    return (path / "lock").stat().st_mtime
