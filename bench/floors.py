"""What nobody can do without: the start of an interpreter, and the start of a process whose output is kept."""

import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from bench.process import measure


def python_start_s(directory: Path) -> float:
    """`python -c pass`, by the interpreter that runs dagnats."""
    return measure([sys.executable, "-c", "pass"], directory).seconds


def raw_spawn_s(steps: int, threads: int = 1) -> float:
    """Start `sh -c true`, read its output to the end and wait for it: so many of them, shared by so many threads."""
    start = time.perf_counter()
    if threads == 1:
        _spawn(steps)
    else:
        with ThreadPoolExecutor(threads) as pool:
            list(pool.map(_spawn, [steps // threads] * threads))
    return time.perf_counter() - start


def _spawn(steps: int) -> None:
    for _ in range(steps):
        with subprocess.Popen(["sh", "-c", "true"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as child:
            child.communicate()
