"""Makes the pictures of the HTML report: `python docs/screenshots/make.py`, in a checkout, with `dagnats` and `chromium` on the path.

It runs the two pipelines beside it, writes a report of each to `docs/screenshots/out`, and has a browser without a window draw them. With `--html`, it stops before
that. `pngquant`, where there is one, makes the pictures smaller.
"""

import base64
import json
import shutil
import subprocess
import sys
import tempfile
from collections import defaultdict
from pathlib import Path

from dagnats.core.codec import decode_commit
from dagnats.core.events import AnyEvent
from dagnats.report.page import html, html_wants
from dagnats.report.record import Owner, Printed, Record

HERE = Path(__file__).parent
OUT = HERE / "out"
PICTURES = {"report": ("release.yaml", 1500), "report-failed": ("deploy.yaml", 1770)}
WIDTH = 1280


def run(pipeline: str) -> tuple[list[AnyEvent], dict[Owner, bytes]]:
    """Run a pipeline; gives its events, and what each attempt has printed."""
    with tempfile.TemporaryDirectory() as directory:
        for file in HERE.glob("*.yaml"):
            shutil.copy(file, directory)
        argv = ["dagnats", "run", pipeline, "--output", "json"]
        lines = subprocess.run(argv, cwd=directory, stdout=subprocess.PIPE, check=False).stdout.splitlines()
    records = [json.loads(line) for line in lines]
    printed: dict[Owner, bytes] = defaultdict(bytes)
    for record in records:
        if record["type"] == "StepOutput":
            data = record["text"].encode() if "text" in record else base64.b64decode(record["base64"])
            printed[record["step"], record["attempt"]] += data
    events = [record for record in records if record["type"] != "StepOutput"]
    commit = json.dumps({"v": 1, "run": "", "previous": "", "events": events}).encode()
    return decode_commit(commit, "", "", 1), printed


def write(name: str, pipeline: str) -> Path:
    """Write the report of a run."""
    events, printed = run(pipeline)
    record = Record(events)
    outputs = {
        owner: Printed(printed[owner][-most:], max(0, len(printed[owner]) - most))
        for owner, most in html_wants(record).items()
    }
    page = OUT / f"{name}.html"
    page.write_text("".join(html(record, outputs)), encoding="utf-8")
    return page


def draw(page: Path, picture: Path, width: int, height: int, *, dark: bool = False) -> None:
    """Let a browser draw a page."""
    argv = ["chromium", "--headless", "--no-sandbox", "--hide-scrollbars", f"--window-size={width},{height}"]
    argv += ["--blink-settings=preferredColorScheme=0"] if dark else []
    subprocess.run([*argv, f"--screenshot={picture}", page.as_uri()], check=True, capture_output=True)
    if (smaller := shutil.which("pngquant")) is not None:
        subprocess.run([smaller, "--force", "--output", picture, "64", picture], check=True)


def main() -> None:
    """Make all pictures."""
    OUT.mkdir(exist_ok=True)
    for name, (pipeline, height) in PICTURES.items():
        page = write(name, pipeline)
        if "--html" not in sys.argv:
            draw(page, HERE / f"{name}.png", WIDTH, height)


if __name__ == "__main__":
    main()
