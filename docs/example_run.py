"""Writes the run that `docs/reference/events.md` shows: `python -m docs.example_run`, in a checkout.

The pipeline in `docs/example-run` runs, and what is different in each run, such as times and names, gets steady values. A test says when
`output.jsonl` is not what a run gives.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from dagnats.core.text import encode_json

HERE = Path(__file__).parent / "example-run"
PIPELINE = HERE / "pipeline.yaml"
OUTPUT = HERE / "output.jsonl"
BEGAN_AT = 1767225600.0
APART_S = 0.25
STEADY = {"run": "brave-otter-1", "workspace": "/home/ada/release", "worker": "worker-1f2e3d4c", "jitter": 0.5}
VERSIONS = {"dagnats": "0.1.0", "python": "3.11.9"}


def run_example() -> str:
    """Run the pipeline and give what it prints, made steady."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("DAGNATS_")}
    with tempfile.TemporaryDirectory() as folder:
        shutil.copy(PIPELINE, folder)
        program = Path(sys.executable).parent / "dagnats"
        command = [str(program), "run", PIPELINE.name, "--output", "json"]
        done = subprocess.run(command, cwd=folder, env=kept, stdout=subprocess.PIPE, timeout=60, check=True)
    return "".join(encode_json(steady(json.loads(line))) + "\n" for line in done.stdout.splitlines())


def steady(record: dict[str, Any]) -> dict[str, Any]:
    """Give a line in which nothing depends on when, where and by whom it was written."""
    varying: dict[str, Any] = STEADY | {"at": BEGAN_AT + APART_S * record.get("seq", 0)}
    if "versions" in record:
        varying["versions"] = {name: VERSIONS.get(name, version) for name, version in record["versions"].items()}
    return {name: varying.get(name, value) for name, value in record.items()}


if __name__ == "__main__":
    OUTPUT.write_text(run_example(), "utf-8")
