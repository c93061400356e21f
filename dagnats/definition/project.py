"""The project that a pipeline file belongs to."""

from pathlib import Path

STDIN = "<stdin>"  # the name of a file that comes from there


def project_root(file: str) -> Path:
    """Give the directory in which steps run: the repository that holds the file, else the file's own directory."""
    start = Path.cwd() if file in ("-", STDIN) else Path(file).resolve().parent
    for directory in (start, *start.parents):
        if (directory / ".git").exists():
            return directory
    return start
