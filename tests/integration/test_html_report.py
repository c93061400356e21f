"""The report as HTML of a run that has happened."""

import base64
import json
from collections import defaultdict
from pathlib import Path

from running_dagnats import EVENTS, dagnats, read_events, write_pipeline

from dagnats.report.page import html, html_wants
from dagnats.report.record import Owner, Printed, Record

PIPELINE = """\
name: nightly
params: {level: high}
steps:
  - id: build
    run: |
      printf '\\033[32mbuilt\\033[0m <fast> & well\\n'
      echo "version=1.2" >> "$DAGNATS_OUTPUT"
  - id: test
    matrix: {py: ["3.11", "3.12"]}
    retry: {max_attempts: 2, initial_delay: 10ms}
    run: echo "attempt $DAGNATS_ATTEMPT"; [ "{{ matrix.py }}" = 3.11 ]
  - id: deploy
    needs: [build]
    pipeline: inner.yaml
finally:
  - run: echo "{{ run.outcome }}"
outputs: {version: "{{ steps.build.outputs.version }}"}
"""
INNER = "name: inner\nsteps:\n  - id: push\n    run: printf '\\377\\n'\n"


def printed_by(directory: Path) -> dict[Owner, bytes]:
    found: dict[Owner, bytes] = defaultdict(bytes)
    for line in dagnats(["run", "pipeline.yaml", "--output", "json", "--events", EVENTS], directory).text.splitlines():
        record = json.loads(line)
        if record["type"] == "StepOutput":
            data = record["text"].encode() if "text" in record else base64.b64decode(record["base64"])
            found[record["step"], record["attempt"]] += data
    return found


def test_report_of_a_run(tmp_path: Path):
    write_pipeline(tmp_path, PIPELINE)
    (tmp_path / "inner.yaml").write_text(INNER)
    printed = printed_by(tmp_path)
    record = Record(read_events(tmp_path / EVENTS))
    wants = html_wants(record)
    assert wants == {owner: len(data) for owner, data in printed.items()}
    page = "".join(html(record, {owner: Printed(printed[owner][-size:]) for owner, size in wants.items()}))
    for told in (
        '<span class="f2">built</span> &lt;fast&gt; &amp; well\n',
        "test[py=3.12]</a> <span>exit code 1 (attempt 2)</span>",
        "deploy/push",
        "\ufffd\n</pre>",
        "attempt 2\n</pre>",
        "<td>1.2</td>",
        "<td>high</td>",
        "<strong>Critical path, ",
    ):
        assert told in page
