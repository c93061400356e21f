"""`dagnats dead`, on runs whose queue holds what is no task."""

import asyncio
import json

from running_dagnats import Running, dagnats, run_directory, write_pipeline

from dagnats.bus.link import Link
from dagnats.bus.server import Address
from dagnats.rundir import connection

WAITS = """
name: waits
max_parallel: 2
steps:
  - id: holds
    run: |
      echo holding
      until test -e go; do sleep 0.02; done
  - id: next
    run: echo next
"""


def publish(directory, *messages):
    async def send():
        link = Link()
        await link.connect(Address(*connection(directory)))
        for subject, data in messages:
            link.publish(subject, data)
        await link.client.flush()
        await link.close()

    asyncio.run(send())


def task(run, **fields):
    return json.dumps({"v": 1, "run": run, "step": "holds", "attempt": 1, "cwd": "/", **fields}).encode()


def test_letters_are_listed_while_the_run_goes_on_and_afterwards(tmp_path):
    write_pipeline(tmp_path, WAITS)
    with Running(tmp_path) as run:
        run.wait_for("holding")
        directory = run_directory(tmp_path)
        name = directory.name
        subject = f"tasks.default.{name}.holds"
        assert (
            dagnats(["dead", "list"], tmp_path).text == "no dead letters: every task of the run could be carried out\n"
        )
        publish(
            directory,
            (subject, b"\xff gar\x1b[31mbage"),
            (subject, task(name, kind="teleport")),
            (f"{subject}x", task(name)),
        )
        shown = listed(tmp_path, 2)
        assert "1  " in shown
        assert "of no step that could be read, after event 3" in shown
        assert "\x1b" not in shown
        assert "step holds, attempt 1, after event 3\n   it is of the kind 'teleport'" in shown
        refused = dagnats(["dead", "replay", name, "1"], tmp_path)
        assert (refused.code, refused.text) == (
            2,
            f"dead letter 1 says of no step of run {name} that it is its task: it can not be sent again\n",
        )
        refused = dagnats(["dead", "replay", name, "2"], tmp_path)
        assert refused.text == (
            f"attempt 1 of step holds is not wanted any more: the step is running in attempt 1; `dagnats rerun {name} --from holds` runs it again\n"
        )
        (tmp_path / "go").touch()
        result = run.end()
        assert result.code == 0, result.text
    records = json.loads(dagnats(["dead", "list", name, "--format", "json"], tmp_path).text)
    assert [(record["number"], record["step"], record["attempt"]) for record in records] == [
        (1, "", 0),
        (2, "holds", 1),
    ]
    refused = dagnats(["dead", "replay", name, "7"], tmp_path)
    assert (refused.code, refused.text) == (2, f"run {name} has no dead letter 7; there are: 1, 2\n")


def listed(workspace, count):
    while (text := dagnats(["dead", "list"], workspace).text).count("after event") < count:
        pass
    return text
