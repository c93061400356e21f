"""Writes the recorded journals that are not there yet; those that are there are history and stay as they are.

Run it as `python tests/journals/record.py` after adding a case. A case is a plan and what its workers and its user did, one commit a word.
"""

import json
from collections.abc import Iterator
from pathlib import Path

from dagnats.core.codec import commit_hash, decode_commit, encode_commit
from dagnats.core.decide import Failed, Opened, Started, Stopped, Succeeded, admit, decide
from dagnats.core.events import AnyEvent, CancelledBy, CancelRequested, Reason, Rerun, RunStarted
from dagnats.core.pipeline import FanOut, Output, Param, Pipeline, Retry, Step
from dagnats.core.state import RunState
from dagnats.definition.rerun import before
from dagnats.definition.reuse import Now, compared
from dagnats.dispatch import Dispatch

HERE = Path(__file__).parent / "v1"

DIAMOND = Pipeline(
    name="diamond",
    file="pipeline.yaml",
    description="Two sides and a join; one side is skipped, one has outputs.",
    params={"docs": Param(type="boolean", default=False, help="build the manual too")},
    env={"STAGE": "{{ params.docs }}"},
    outputs={"version": "{{ steps.build.outputs.version }}"},
    steps=(
        Step(id="build", run="make", outputs={"version": Output("string", required=True)}, line=3),
        Step(id="left", name="Left side", needs=("build",), command=("pytest", "-q"), env={"A": "1"}, line=5),
        Step(id="right", needs=("build",), run="make docs", condition="params.docs", shell="sh", line=7),
        Step(id="join", needs=("left", "right"), run="echo joined", working_dir="out", timeout_s=60.0, line=9),
    ),
)
RETRY = Pipeline(
    name="retry",
    file="pipeline.yaml",
    steps=(
        Step(
            id="flaky",
            run="./flaky",
            retry=Retry(max_attempts=4, strategy="exponential", initial_delay_s=2.0, max_delay_s=3.0, jitter=True),
        ),
        Step(id="picky", run="./picky", retry=Retry(max_attempts=3, on=(7, "timeout")), allow_failure=True),
        Step(id="after", needs=("flaky", "picky"), run="true"),
    ),
)
FINALLY = Pipeline(
    name="finally",
    file="pipeline.yaml",
    steps=(
        Step(id="test", run="false"),
        Step(id="ship", needs=("test",), run="true"),
        Step(
            id="report",
            needs=("ship",),
            run="true",
            condition="failure()",
            status_functions=frozenset({"failure"}),
        ),
    ),
    finally_steps=(Step(id="down", run="docker compose down"), Step(id="sweep", needs=("down",), run="rm -rf out")),
)
CANCEL = Pipeline(
    name="cancel",
    file="pipeline.yaml",
    max_parallel=2,
    steps=(
        Step(id="long", run="sleep 60"),
        Step(id="again", run="false", retry=Retry(max_attempts=2, initial_delay_s=60.0)),
        Step(id="later", run="true", needs=("long",)),
        Step(id="queued", run="true"),
    ),
    finally_steps=(Step(id="down", run="true"),),
)
INNER = Pipeline(
    name="deploy",
    file="parts/deploy.yaml",
    params={"target": Param(type="string", required=True)},
    vars={"host": "{{ params.target }}.example.org"},
    outputs={"url": "https://{{ vars.host }}"},
    max_parallel=1,
    steps=(
        Step(id="push", run="./push {{ params.target }}", mutex="registry"),
        Step(id="switch", needs=("push",), run="./switch {{ vars.host }}"),
    ),
    finally_steps=(Step(id="logout", run="./logout", timeout_s=300.0),),
)
NESTED = Pipeline(
    name="nested",
    file="pipeline.yaml",
    outputs={"urls": "{{ steps.deploy.outputs }}"},
    steps=(
        Step(
            id="deploy",
            pipeline="parts/deploy.yaml",
            params={"target": "{{ matrix.target }}"},
            retry=Retry(max_attempts=2, on=(1,)),
            fan_out=FanOut(axes={"target": ("eu", "us")}, max_parallel=1),
        ),
        Step(id="tell", needs=("deploy",), run="true", fan_out=FanOut(items=["a", "b"], name="word", fail_fast=True)),
        Step(id="rescue", needs=("tell",), run="true", handles="tell"),
    ),
    pipelines={"parts/deploy.yaml": INNER},
)
# "start a", "ok a", "fail a REASON CODE", "stopped a", "lost a", "cancel"
CASES = {
    "diamond": (DIAMOND, "start build|ok build|start left|ok left|start join|ok join"),
    "retry": (
        RETRY,
        (
            "start flaky|start picky|fail picky exit 7|start picky|fail picky exit 1|fail flaky exit 1|start flaky"
            "|lost flaky|start flaky|fail flaky timeout|start flaky|ok flaky|start after|ok after"
        ),
    ),
    "finally": (
        FINALLY,
        "start test|fail test exit 1|start report|ok report|start down|fail down signal|start sweep|ok sweep",
    ),
    "nested": (
        NESTED,
        (
            "start deploy[target=eu]|open deploy[target=eu]|start deploy[target=eu]/push|ok deploy[target=eu]/push"
            "|start deploy[target=eu]/switch|fail deploy[target=eu]/switch exit 4|start deploy[target=eu]/logout"
            "|ok deploy[target=eu]/logout|start deploy[target=eu]|open deploy[target=eu]"
            "|start deploy[target=eu]#2/push|ok deploy[target=eu]#2/push|start deploy[target=eu]#2/switch"
            "|ok deploy[target=eu]#2/switch|start deploy[target=eu]#2/logout|ok deploy[target=eu]#2/logout"
            "|start deploy[target=us]|open deploy[target=us]|start deploy[target=us]/push|late deploy[target=us]"
            "|stopped deploy[target=us]/push|start deploy[target=us]/logout|ok deploy[target=us]/logout"
        ),
    ),
    "cancel": (CANCEL, "start long|start again|fail again exit 1|cancel|stopped long|start down|ok down"),
}


# a case whose run is run again, and what happens then
RERUNS = {
    "rerun": (
        "nested",
        (
            "start deploy[target=us]|open deploy[target=us]|start deploy[target=us]/push|ok deploy[target=us]/push"
            "|start deploy[target=us]/switch|ok deploy[target=us]/switch|start deploy[target=us]/logout"
            "|ok deploy[target=us]/logout|start tell[a]|ok tell[a]|start tell[b]|ok tell[b]"
        ),
    )
}


class Recorder:
    """An engine whose journal is a list of lines."""

    def __init__(self, plan: Pipeline, rerun: Rerun | None = None) -> None:
        versions = {"dagnats": "0.1.0"}
        started = RunStarted(
            seq=1,
            at=1_750_000_000.0,
            run=f"{plan.name}-{1 if rerun is None else 2}",
            rerun=rerun,
            plan=plan,
            max_parallel=plan.max_parallel or 4,
            workspace="/srv/project",
            params={name: param.default for name, param in plan.params.items()},
            versions=versions,
        )
        self.state = RunState(started)
        self.dispatch = Dispatch({}, {})
        self.previous = ""
        self.lines: list[bytes] = []
        self._commit([started, *self._decisions()])

    def _decisions(self) -> Iterator[AnyEvent]:
        while (event := decide(self.state, self.dispatch)) is not None:
            self.state.apply(event)
            yield event

    def _commit(self, events: list[AnyEvent]) -> None:
        self.lines.append(encode_commit(self.state.run, self.previous, events))
        self.previous = commit_hash(self.lines[-1])

    def word(self, word: str) -> None:
        """Let one thing happen, a second after the last."""
        verb, step, reason, code = (*word.split(), "", "", "")[:4]
        at = self.state.at + 1.0
        if verb in ("cancel", "late"):
            by = {
                "cancel": {"by": CancelledBy.SIGNAL, "why": "interrupted by SIGINT", "signal": 2},
                "late": {"by": CancelledBy.TIMEOUT, "why": "ran longer than its timeout of 60s", "step": step},
            }
            asked = CancelRequested(seq=self.state.seq + 1, at=at, **by[verb])
            self.state.apply(asked)
            self._commit([asked, *self._decisions()])
            return
        who = {"step": step, "attempt": self.state.steps[step].attempt, "worker": "local-1"}
        printed = {"output_bytes": 120}
        match verb:
            case "open":
                report = Opened(**who, params={"target": step[-3:-1]}, vars={"host": f"{step[-3:-1]}.example.org"})
            case "start":
                report = Started(**who)
            case "lost":
                report = Started(**who | {"worker": "local-2"})
            case "ok":
                outputs = {"version": "1.4.0"} if step == "build" else {}
                report = Succeeded(**who, **printed, outputs=outputs)
            case "stopped":
                report = Stopped(**who, **printed)
            case _:
                exit_code = int(code) if code else None
                message = f"exit code {code}" if code else reason
                report = Failed(**who, **printed, reason=Reason(reason), message=message, exit_code=exit_code)
        event, why_not = admit(self.state, report, at=at, jitter=0.5)
        if event is None:
            raise SystemExit(f"{word}: {why_not}")
        self.state.apply(event)
        self._commit([event, *self._decisions()])

    def expected(self) -> dict[str, object]:
        """Give what every later release must make of it."""
        if self.state.finished is None:
            raise SystemExit("the case does not end its run")
        steps = {
            id_: {"status": step.status, "attempt": step.attempt, "outputs": step.outputs, "exit_code": step.exit_code}
            for id_, step in self.state.steps.items()
        }
        finished = self.state.finished
        return {"outcome": finished.outcome, "outputs": finished.outputs, "events": self.state.seq, "steps": steps}


def recorded(plan: Pipeline, words: str, rerun: Rerun | None = None) -> Recorder:
    """Let the words of a case happen."""
    recorder = Recorder(plan, rerun)
    for word in words.split("|"):
        recorder.word(word)
    return recorder


def again(case: str, words: str) -> Recorder:
    """Run again what did not succeed in a case."""
    first = recorded(*CASES[case])
    run, previous, events = first.state.run, "", []
    for place, line in enumerate(first.lines, start=1):
        events += decode_commit(line, run, previous, place)
        previous = commit_hash(line)
    plan = first.state.plan
    found = compared(before(run, events), plan, Now("/srv/project"), "failed")
    return recorded(plan, words, found.rerun)


def main() -> None:
    """Write what is missing."""
    HERE.mkdir(exist_ok=True)
    for name in (*CASES, *RERUNS):
        journal = HERE / f"{name}.jsonl"
        if journal.exists():
            continue
        recorder = again(*RERUNS[name]) if name in RERUNS else recorded(*CASES[name])
        expected = json.dumps(recorder.expected(), indent=2)
        journal.write_bytes(b"".join(line + b"\n" for line in recorder.lines))
        (HERE / f"{name}.expected.json").write_text(expected + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
