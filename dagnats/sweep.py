"""Removes the containers of a runner that is gone, by their label: a program of its own, for the guardian, which imports nothing that takes time.

python -I -S -c BOOT ROOT LABEL PROGRAM rm WORD…
"""

import subprocess
import sys
import time
from collections.abc import Callable, Sequence

WITHIN_S = 30.0
QUIET_S = 0.3  # one that is being made by a client which has ended may turn up so late
_TIMEOUT_S = 5.0
BOOT = "import sys; sys.path.append(sys.argv.pop(1)); from dagnats.sweep import main; main()"

Run = Callable[[Sequence[str]], str]


def sweep(label: str, remove: Sequence[str], run: Run) -> None:
    """Remove all that has the label, until nothing more turns up; `remove` is the command that removes, which begins with the program."""
    turns_without = 0
    until = time.monotonic() + WITHIN_S
    while turns_without < 2 and time.monotonic() < until:
        found = run([remove[0], "ps", "--all", "--quiet", "--filter", f"label={label}"]).split()
        if found:
            run([*remove, *found])
            turns_without = 0
            continue
        turns_without += 1
        if turns_without < 2:
            time.sleep(QUIET_S)


def _run(argv: Sequence[str]) -> str:
    try:
        done = subprocess.run(
            argv, stdin=subprocess.DEVNULL, capture_output=True, timeout=_TIMEOUT_S, check=False, text=True
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout


def main() -> None:
    """Do it, as the words say."""
    sweep(sys.argv[1], sys.argv[2:], _run)
