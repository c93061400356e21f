"""Steps that wait, in runs of the real program: answered before, while and after anything runs them, and over a death of the server or the runner."""

import asyncio
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from running_dagnats import (
    BOUND_S,
    DAGNATS,
    EVENTS,
    Result,
    check_journal,
    dagnats,
    environment,
    read_events,
    read_journal,
    run_directory,
    statuses,
    write_pipeline,
)

from dagnats import proctree, stored
from dagnats.bus.link import RefusedError
from dagnats.core.events import AnyEvent, ApprovalDecided, SignalReceived, StepSucceeded, StepWaiting
from dagnats.core.state import RunState, fold

PARKED = 4
GATE = """
name: gate
steps:
  - run: echo before
  - id: ship
    type: approval
    prompt: Deploy {{ 1 + 1 }}?
  - run: echo "as {{ steps.ship.outputs.why }}"
"""
SIGNALS = """
name: signals
steps:
  - id: hold
    type: approval
    prompt: Go on?
  - id: first
    type: wait_for_signal
    signal: go
  - id: second
    type: wait_for_signal
    signal: go
  - run: echo "{{ steps.first.outputs.n }} {{ steps.second.outputs.payload }}"
"""


class Going:
    """A run that goes on in the background."""

    def __init__(self, workspace: Path, *args: str) -> None:
        self.workspace = workspace
        self.events_file = workspace / EVENTS
        self.process = subprocess.Popen(
            [DAGNATS, "run", "pipeline.yaml", "--events", EVENTS, *args],
            cwd=workspace,
            env=environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )

    def wait_for(self, kind: type[AnyEvent], step: str) -> None:
        """Wait until the events file has such an event."""
        wait_until(lambda: any(isinstance(event, kind) and event.step == step for event in self.events()))

    def events(self) -> list[AnyEvent]:
        if not self.events_file.exists():
            return []
        whole = self.events_file.read_text().rpartition("\n")[0]
        copy = self.workspace / "read.jsonl"
        copy.write_text(whole)
        return read_events(copy)

    @property
    def run(self) -> str:
        return run_directory(self.workspace).name

    def server(self) -> int:
        """Give the process of its nats-server."""
        found = proctree.with_descendants([self.process.pid])
        (server,) = [pid for pid in found if command_line(pid).split(b"\0")[0].endswith(b"nats-server")]
        return server

    def end(self) -> Result:
        text = self.process.communicate(timeout=BOUND_S)[0].decode()
        return Result(self.process.returncode, text, 0.0)


def command_line(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


def journal_of(workspace: Path) -> list[AnyEvent]:
    return asyncio.run(read_journal(run_directory(workspace)))


def wait_until(is_so: Callable[[], object]) -> None:
    until = time.monotonic() + BOUND_S
    while not is_so():
        assert time.monotonic() < until, "it does not become so"
        time.sleep(0.02)


@pytest.fixture
def going(tmp_path: Path) -> Iterator[Callable[..., Going]]:
    started: list[Going] = []

    def start(text: str, *args: str) -> Going:
        write_pipeline(tmp_path, text)
        started.append(Going(tmp_path, *args))
        return started[-1]

    yield start
    for one in started:
        one.process.kill()
        one.process.communicate(timeout=BOUND_S)


def ended(one: Going, code: int = 0) -> RunState:
    result = one.end()
    assert result.code == code, result.text
    return check_journal(one.workspace)


def said(one: Going, *args: str, code: int = 0) -> str:
    result = dagnats(list(args), one.workspace)
    assert result.code == code, result.text
    assert "Traceback" not in result.text
    return result.text


def test_approval_by_another_process(going):
    one = going(GATE)
    one.wait_for(StepWaiting, "ship")
    text = said(one, "approve", "ship", "-m", "checked")
    assert text == f"run {one.run}: ship approved\n"
    state = ended(one)
    assert dict(state.steps["ship"].outputs) == {"by": state.steps["ship"].answer.by, "why": "checked"}


def test_rejection_fails_the_step(going):
    one = going(GATE)
    one.wait_for(StepWaiting, "ship")
    said(one, "reject", one.run, "ship", "-m", "no way")
    state = ended(one, 1)
    assert statuses(state) == {"step-1": "succeeded", "ship": "failed", "step-3": "blocked"}
    assert state.steps["ship"].failure.reason == "rejected"
    assert state.steps["ship"].failure.message.endswith(": no way")


def test_signals_that_come_before_the_wait_count_each_once(going):
    one = going(SIGNALS)
    one.wait_for(StepWaiting, "hold")
    said(one, "signal", one.run, "go", '{"n": 1}')
    said(one, "signal", one.run, "go", "[2]")
    said(one, "signal", one.run, "go", '"never taken"')
    said(one, "approve", one.run, "hold")
    state = ended(one)
    assert (dict(state.steps["first"].outputs), dict(state.steps["second"].outputs)) == ({"n": 1}, {"payload": [2]})


def test_signal_while_it_waits_from_stdin(going, tmp_path):
    one = going(SIGNALS)
    one.wait_for(StepWaiting, "hold")
    said(one, "approve", one.run, "hold")
    one.wait_for(StepWaiting, "first")
    payload = '{"n": 1, "large": "' + "x" * 200_000 + '"}'  # longer than an argument may be
    sent = subprocess.run(
        [DAGNATS, "signal", one.run, "go", "-"],
        cwd=tmp_path,
        env=environment(),
        input=payload.encode(),
        capture_output=True,
        timeout=BOUND_S,
        check=False,
    )
    assert sent.returncode == 0, sent.stderr
    one.wait_for(StepSucceeded, "first")
    said(one, "signal", one.run, "go")
    state = ended(one)
    assert len(state.steps["first"].outputs["large"]) == 200_000
    assert state.steps["second"].outputs == {"payload": None}


def test_answers_over_a_death_of_the_server(going):
    one = going(SIGNALS)
    one.wait_for(StepWaiting, "hold")
    said(one, "signal", one.run, "go", '{"n": 1}')
    os.kill(one.server(), signal.SIGKILL)
    said(one, "approve", one.run, "hold")
    one.wait_for(StepWaiting, "second")
    os.kill(one.server(), signal.SIGKILL)
    said(one, "signal", one.run, "go", "2")
    state = ended(one)
    assert (dict(state.steps["first"].outputs), dict(state.steps["second"].outputs)) == ({"n": 1}, {"payload": 2})


def test_answer_after_the_runner_was_killed(going):
    one = going(SIGNALS)
    one.wait_for(StepWaiting, "hold")
    said(one, "signal", one.run, "go", '{"n": 1}')
    one.process.kill()
    one.process.wait()
    assert "does not go on now" in said(one, "approve", one.run, "hold")
    said(one, "signal", one.run, "go", "2")
    said(one, "resume", one.run)
    state = fold(journal_of(one.workspace))
    assert state.finished.outcome == "succeeded"
    assert (dict(state.steps["first"].outputs), dict(state.steps["second"].outputs)) == ({"n": 1}, {"payload": 2})


def test_signal_that_was_taken_is_not_taken_again_after_a_resume(going):
    one = going(SIGNALS)
    one.wait_for(StepWaiting, "hold")
    said(one, "approve", one.run, "hold")
    said(one, "signal", one.run, "go", '{"n": 1}')
    one.wait_for(StepWaiting, "second")
    one.process.kill()
    one.process.wait()
    assert said(one, "resume", "--detach-on-wait", one.run, code=PARKED).count("second: waits for the signal go") == 2
    said(one, "signal", one.run, "go", "2")
    said(one, "resume", one.run)
    events = [event for event in journal_of(one.workspace) if isinstance(event, SignalReceived)]
    assert [(event.step, event.payload) for event in events] == [("first", {"n": 1}), ("second", 2)]
    assert len({event.revision for event in events}) == 2


def test_parked_run_is_left_and_gone_on_with(tmp_path):
    write_pipeline(tmp_path, GATE)
    parked = dagnats(["run", "--detach-on-wait", "pipeline.yaml"], tmp_path)
    run = run_directory(tmp_path).name
    assert parked.code == PARKED, parked.text
    assert f"dagnats approve {run} ship" in parked.text
    assert f"dagnats resume {run}" in parked.text
    again = dagnats(["resume", "--detach-on-wait"], tmp_path)
    assert again.code == PARKED, again.text
    assert dagnats(["approve", "ship", "-m", "it is time"], tmp_path).code == 0
    twice = dagnats(["reject", "ship"], tmp_path)
    assert (twice.code, "was approved already, by" in twice.text) == (2, True), twice.text
    resumed = dagnats(["resume", "--detach-on-wait"], tmp_path)
    assert resumed.code == 0, resumed.text
    assert "as it is time" in resumed.text
    assert fold(journal_of(tmp_path)).finished.outcome == "succeeded"


def test_what_was_put_before_is_seen_before_a_run_is_left(tmp_path):
    """A run that only waits is not left when its answer is there already."""
    write_pipeline(tmp_path, GATE.replace("- run: echo before", "- run: dagnats approve $DAGNATS_RUN_ID ship -m early"))
    path = f"{Path(DAGNATS).parent}:{os.environ['PATH']}"
    result = dagnats(["run", "--detach-on-wait", "pipeline.yaml"], tmp_path, {"PATH": path})
    assert result.code == 0, result.text
    assert "as early" in result.text


def test_run_is_not_left_while_anything_runs_or_soon_goes_on(tmp_path):
    text = """
name: busy
steps:
  - id: ask
    prompt: Well?
    timeout: 700ms
    allow_failure: true
  - id: nap
    needs: []
    duration: 300ms
  - id: work
    needs: []
    run: sleep 0.5
"""
    write_pipeline(tmp_path, text)
    result = dagnats(["run", "--detach-on-wait", "pipeline.yaml"], tmp_path)
    assert result.code == 0, result.text


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_cancel_while_it_waits(going, number):
    one = going(GATE + "finally:\n  - run: echo the end\n")
    one.wait_for(StepWaiting, "ship")
    one.process.send_signal(number)
    state = ended(one, 128 + number)
    assert statuses(state)["ship"] == "cancelled"


def test_two_who_answer_at_once_and_one_of_them_counts(going):
    one = going(GATE)
    one.wait_for(StepWaiting, "ship")
    both = [
        subprocess.Popen([DAGNATS, word, "ship"], cwd=one.workspace, env=environment(), stderr=subprocess.PIPE)
        for word in ("approve", "reject")
    ]
    told = [process.communicate(timeout=BOUND_S)[1].decode() for process in both]
    codes = [process.returncode for process in both]
    assert sorted(codes) == [0, 2], told
    state = ended(one, 0 if codes[0] == 0 else 1)
    (decided,) = [event for event in journal_of(one.workspace) if isinstance(event, ApprovalDecided)]
    assert decided.approved is (codes[0] == 0)
    loser = told[codes.index(2)]
    assert "already, by" in loser or "has ended" in loser or "asks no more" in loser, loser
    assert state.finished is not None


def test_what_can_mean_nothing_is_refused_and_changes_nothing(going):
    one = going(GATE.replace("type: approval", "matrix: {env: [eu, us]}").replace("steps.ship.outputs.why", "run.id"))
    one.wait_for(StepWaiting, "ship[env=us]")
    for words, told in [
        (["signal", one.run, "go"], "no step of it waits for a signal"),
        (["approve", one.run, "shop"], "did you mean `ship`?"),
        (["approve", one.run, "step-1"], "asks for no approval"),
        (["approve", one.run, "ship"], "name one of its instances: ship[env=eu], ship[env=us]"),
        (["approve", "no-such-run", "ship"], "there is no run `no-such-run`"),
        (["approve", one.run, "ship[env=eu]", "-m", "x" * 5000], "at most 4,000 are allowed"),
    ]:
        assert told in said(one, *words, code=2)
    said(one, "approve", one.run, "ship[env=eu]")
    assert "was approved already, by" in said(one, "reject", one.run, "ship[env=eu]", code=2)
    said(one, "approve", one.run, "ship[env=us]")
    state = ended(one)
    assert len([event for event in journal_of(one.workspace) if isinstance(event, ApprovalDecided)]) == 2
    assert "has ended: it succeeded" in said(one, "approve", "ship[env=eu]", code=2)
    assert state.outcome == "succeeded"


@pytest.mark.parametrize(
    ("payload", "told"),
    [
        ("{", "is no JSON"),
        ("go", "a text stands in quotes"),
        ("NaN", "NaN is no number of JSON"),
        ("1e999", "can be taken"),
        ("[" * 100_000, "can be taken"),
        ('"' + "x" * (256 << 10) + '"', "at most 262,144 are allowed"),
        ('"\\ud800" x', "is no JSON"),
        ("9" * 5000, "can be taken"),
    ],
    ids=["open", "text", "nan", "infinite", "deep", "large", "more", "digits"],
)
def test_payload_that_is_none(going, payload, told):
    one = going(SIGNALS)
    one.wait_for(StepWaiting, "hold")
    sent = subprocess.run(
        [DAGNATS, "signal", one.run, "go", "-"],
        cwd=one.workspace,
        env=environment(),
        input=payload.encode(),
        capture_output=True,
        timeout=BOUND_S,
        check=False,
    )
    assert (sent.returncode, told in sent.stderr.decode()) == (2, True), sent.stderr[:500]


def test_run_without_waits_has_no_bucket(tmp_path):
    write_pipeline(tmp_path, "name: plain\nsteps:\n  - run: echo\n")
    assert dagnats(["run", "pipeline.yaml"], tmp_path).code == 0

    async def look(link, _):
        try:
            await link.call("$JS.API.STREAM.INFO.KV_signals")
        except RefusedError as error:
            return error.code
        return 0

    assert stored.use(run_directory(tmp_path), look) == 10059
