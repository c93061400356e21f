"""The journal's wire form: what is written is read back alike, and whatever else is there is a JournalError."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dagnats.core import events
from dagnats.core.codec import commit_hash, decode_commit, encode_commit, event_record, plan_from, plan_record
from dagnats.core.events import AnyEvent, CancelledBy, Outcome, Reason
from dagnats.core.pipeline import EnvFile, FanOut, Output, Param, Pipeline, Retry, Step
from dagnats.errors import JournalError

PLAN = Pipeline(name="p", file="p.yaml", steps=(Step(id="a", run="true"),))
FULL: list[AnyEvent] = [
    events.RunStarted(
        seq=1,
        at=1.5,
        run="r1",
        plan=PLAN,
        max_parallel=3,
        workspace="/w",
        params={"n": 0, "none": None},
        vars={"list": [1, {"a": False}]},
        env={"HOME": "/h"},
        versions={"dagnats": "0.1.0"},
        git={"sha": "0" * 40, "dirty": True},
        directory="sub",
        rerun=events.Rerun(
            run="r0",
            mode="from",
            steps=("b",),
            reused={
                "a": events.Reusable("r0", 4, outputs={"x": 1}, exit_code=0),
                'm[{"n":1}]': events.Reusable(
                    "q", 9, "warning", exit_code=3, reason=Reason.EXIT, message="exit code 3"
                ),
            },
            again={"b": events.Again("asked", ("--from",)), "c": events.Again("new")},
            given={"p": events.Given({"n": [1]}, {"v": None})},
        ),
    ),
    events.StepScheduled(seq=2, at=2.0, step="a", attempt=1, not_before=9.25),
    events.StepStarted(seq=3, at=2.0, step="a", attempt=1, worker="w"),
    events.StepWaiting(seq=4, at=2.0, step="a", attempt=1, kind="approval", until=9.5, signal="s", prompt="é?"),
    events.SignalReceived(
        seq=4, at=2.0, step="a", attempt=1, signal="s", revision=3, sent_at=1.5, by="u", payload={"k": [1]}
    ),
    events.ApprovalDecided(seq=4, at=2.0, step="a", attempt=1, approved=False, decided_at=1.5, by="u", why="no"),
    events.StepSucceeded(
        seq=4,
        at=2.0,
        step="a",
        attempt=1,
        outputs={"é": "\ud800"},
        output_bytes=7,
        dropped_bytes=1,
        notes={"o": "why"},
        artifacts={"dist": events.Artifact(object="0" * 64, bytes=5, files=2)},
    ),
    events.StepFailed(
        seq=5,
        at=2.0,
        step="a",
        attempt=1,
        reason=Reason.IDLE_TIMEOUT,
        message="m",
        exit_code=0,
        outputs={"x": [None]},
        jitter=0.5,
        output_bytes=1,
        dropped_bytes=2,
        artifacts={"dist": events.Artifact(object="1" * 64, bytes=0, files=1)},
    ),
    events.StepInterrupted(seq=6, at=2.0, step="a", attempt=1),
    events.RunResumed(seq=6, at=2.0, versions={"dagnats": "0.1.0"}, lost_commits=2),
    events.StepExpanded(seq=6, at=2.0, step="a", items=("x", {"k": [1]}, None)),
    events.PipelineStarted(seq=6, at=2.0, step="a", attempt=2, params={"n": [1]}, vars={"v": None}),
    events.StepSkipped(seq=6, at=2.0, step="a", condition="false"),
    events.StepReused(
        seq=7,
        at=2.0,
        step="a",
        from_run="r0",
        from_seq=9,
        status="warning",
        outputs={"x": [1]},
        exit_code=3,
        reason=Reason.EXIT,
        message="exit code 3",
    ),
    events.StepBlocked(seq=7, at=2.0, step="a", by=("b", "c")),
    events.StepCancelled(seq=8, at=2.0, step="a", attempt=2, output_bytes=3, dropped_bytes=4),
    events.CancelRequested(seq=9, at=2.0, by=CancelledBy.SIGNAL, why="SIGINT", signal=2, force=True, step="a"),
    events.RunFinished(seq=10, at=2.0, outcome=Outcome.TIMED_OUT, outputs={"o": 1.5}, notes={"p": "why"}),
]
BARE: list[AnyEvent] = [
    events.RunStarted(seq=1, at=1.5, run="r1", plan=PLAN, max_parallel=3, workspace="/w"),
    events.StepScheduled(seq=2, at=2.0, step="a", attempt=1),
    events.StepWaiting(seq=3, at=2.0, step="a", attempt=1, kind="sleep"),
    events.SignalReceived(seq=3, at=2.0, step="a", attempt=1, signal="s", revision=1, sent_at=1.0),
    events.ApprovalDecided(seq=3, at=2.0, step="a", attempt=1, approved=True, decided_at=1.0),
    events.StepSucceeded(seq=3, at=2.0, step="a", attempt=1),
    events.StepFailed(seq=4, at=2.0, step="a", attempt=0, reason=Reason.EXIT, message=""),
    events.RunResumed(seq=5, at=2.0),
    events.StepExpanded(seq=5, at=2.0, step="a"),
    events.StepExpanded(seq=5, at=2.0, step="a", items=()),
    events.PipelineStarted(seq=5, at=2.0, step="a", attempt=1),
    events.StepReused(seq=5, at=2.0, step="a", from_run="r0", from_seq=3),
    events.StepBlocked(seq=5, at=2.0, step="a", by=()),
    events.StepCancelled(seq=6, at=2.0, step="a", attempt=0),
    events.CancelRequested(seq=7, at=2.0, by=CancelledBy.FAIL_FAST, why=""),
    events.RunFinished(seq=8, at=2.0, outcome=Outcome.SUCCEEDED),
]


@pytest.mark.parametrize("event", FULL + BARE, ids=lambda event: type(event).__name__)
def test_event_comes_back_alike_and_with_the_same_types(event: AnyEvent):
    (again,) = decode_commit(encode_commit("r1", "", [event]), "r1", "", 1)
    assert again == event
    assert repr(again) == repr(event)


def test_every_kind_of_event_is_tried():
    assert {type(event) for event in FULL} == set(AnyEvent.__args__)


def test_fields_that_hold_their_default_are_left_out():
    assert event_record(BARE[1]) == {"v": 1, "type": "StepScheduled", "seq": 2, "at": 2.0, "step": "a", "attempt": 1}


def test_commits_make_a_chain():
    first = encode_commit("r1", "", FULL[:1])
    second = encode_commit("r1", commit_hash(first), FULL[1:])
    assert decode_commit(second, "r1", commit_hash(first), 2) == FULL[1:]
    with pytest.raises(JournalError, match="commit 2 of run r1 does not follow on the commit before it"):
        decode_commit(second, "r1", commit_hash(first + b" "), 2)
    with pytest.raises(JournalError, match="commit 1 of run r1 does not follow"):
        decode_commit(second, "r1", "", 1)


def test_commit_of_another_run():
    with pytest.raises(JournalError, match="commit 3 of run r2 belongs to run r1"):
        decode_commit(encode_commit("r1", "", FULL), "r2", "", 3)


def test_newer_version_says_what_to_do():
    newer = json.dumps({"v": 2, "run": "r1", "previous": "", "events": []}).encode()
    with pytest.raises(JournalError, match="has version 2; this program reads version 1: use a newer dagnats"):
        decode_commit(newer, "r1", "", 1)


def commit(**changed: Any) -> bytes:
    return json.dumps({"v": 1, "run": "r1", "previous": "", "events": [], **changed}).encode()


def event(kind: Any, **fields: Any) -> bytes:
    return commit(events=[{"v": 1, "type": kind, "seq": 1, "at": 1.0, **fields}])


STARTED = {"run": "r1", "max_parallel": 1, "workspace": "/w"}


@pytest.mark.parametrize(
    "garbage",
    [
        b"",
        b"\xff\xfe\x00",
        b"{",
        b"[]",
        b"7",
        b"null",
        b"{}",
        b"[" * 100_000,
        commit(events=None),
        commit(events=7),
        commit(events={"a": 1}),
        commit(events=[None]),
        commit(events=["RunStarted"]),
        commit(events=[{}]),
        event("Unheard"),
        event(["RunStarted"]),
        event("StepStarted"),
        event("StepFailed", step="a", attempt=1, reason="mood", message=""),
        event("StepBlocked", step="a", by=None),
        event("CancelRequested", by="nobody", why=""),
        event("RunFinished", outcome="undecided"),
        event("RunStarted", **STARTED),
        event("RunStarted", **STARTED, plan=None),
        event("RunStarted", **STARTED, plan=[]),
        event("RunStarted", **STARTED, plan={"name": "p"}),
        event("RunStarted", **STARTED, plan={"name": "p", "file": "f", "steps": [7]}),
        event("RunStarted", **STARTED, plan={"name": "p", "file": "f", "steps": [{"id": "a", "retry": {"mood": 1}}]}),
        event("RunStarted", **STARTED, plan={"name": "p", "file": "f", "steps": [], "params": []}),
    ],
    ids=lambda garbage: garbage[:60],
)
def test_garbage_is_a_journal_error_that_names_the_commit(garbage: bytes):
    with pytest.raises(JournalError, match="commit 4 of run r1"):
        decode_commit(garbage, "r1", "", 4)


@given(st.data())
def test_flipped_byte_is_an_error_or_breaks_the_chain(data: st.DataObject):
    whole = encode_commit("r1", "", FULL)
    at = data.draw(st.integers(0, len(whole) - 1))
    damaged = (
        whole[:at] + bytes([data.draw(st.integers(0, 255).filter(lambda byte: byte != whole[at]))]) + whole[at + 1 :]
    )
    assert commit_hash(damaged) != commit_hash(whole)
    try:
        decode_commit(damaged, "r1", "", 1)
    except JournalError as error:
        assert "commit 1 of run r1" in str(error)  # noqa: PT017 - a flip inside a text still reads


TEXT = st.text(max_size=8)
NAMES = st.text("abcxyz", min_size=1, max_size=4)
SECONDS = st.floats(0, 1e6)
JSONS = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=6,
)
VARIABLES = st.dictionaries(NAMES, JSONS, max_size=3)
TEXTS = st.dictionaries(NAMES, TEXT, max_size=3)
LISTED = st.lists(NAMES, max_size=3).map(tuple)
RETRIES = st.builds(
    Retry,
    max_attempts=st.integers(1, 9),
    strategy=st.sampled_from(["fixed", "linear", "exponential"]),
    initial_delay_s=SECONDS,
    max_delay_s=st.none() | SECONDS,
    multiplier=SECONDS,
    jitter=st.booleans(),
    on=st.none() | st.lists(st.integers(0, 255) | st.sampled_from(["timeout", "lost"]), max_size=3).map(tuple),
)
FAN_OUTS = st.builds(
    FanOut,
    axes=st.dictionaries(NAMES, st.lists(JSONS, max_size=3).map(tuple), max_size=2),
    include=st.lists(st.dictionaries(NAMES, JSONS, max_size=2), max_size=2).map(tuple),
    exclude=st.lists(st.dictionaries(NAMES, JSONS, max_size=2), max_size=2).map(tuple),
    items=st.none() | TEXT | st.lists(JSONS, max_size=3),
    name=NAMES,
    max_parallel=st.none() | st.integers(1, 99),
    fail_fast=st.booleans(),
)
STEPS = st.builds(
    Step,
    id=NAMES,
    name=st.none() | TEXT,
    needs=LISTED,
    condition=st.none() | TEXT,
    status_functions=st.frozensets(st.sampled_from(["success", "failure", "always", "cancelled"])),
    run=st.none() | TEXT,
    command=st.none() | LISTED,
    shell=NAMES | LISTED,
    working_dir=st.none() | TEXT,
    env=TEXTS,
    timeout_s=st.none() | SECONDS,
    idle_timeout_s=st.none() | SECONDS,
    retry=RETRIES,
    allow_failure=st.booleans() | st.lists(st.integers(1, 255), min_size=1, max_size=3).map(tuple),
    outputs=st.dictionaries(
        NAMES, st.builds(Output, st.sampled_from(["string", "integer", "json"]), st.booleans()), max_size=2
    ),
    line=st.integers(0, 99),
    fan_out=st.none() | FAN_OUTS,
    each_condition=st.booleans(),
    mutex=st.none() | NAMES,
    handles=st.none() | NAMES,
)
PARAMS = st.builds(
    Param,
    type=st.sampled_from(["string", "integer", "number", "boolean", "array", "object"]),
    default=JSONS,
    required=st.booleans(),
    enum=st.none() | st.lists(JSONS, max_size=3).map(tuple),
    minimum=st.none() | SECONDS,
    maximum=st.none() | SECONDS,
    help=TEXT,
    pattern=st.none() | TEXT,
)
PLANS = st.builds(
    Pipeline,
    name=TEXT,
    file=TEXT,
    steps=st.lists(STEPS, max_size=3).map(tuple),
    finally_steps=st.lists(STEPS, max_size=2).map(tuple),
    description=TEXT,
    env=TEXTS,
    params=st.dictionaries(NAMES, PARAMS, max_size=2),
    vars=VARIABLES,
    outputs=VARIABLES,
    max_parallel=st.none() | st.integers(1, 99),
    timeout_s=st.none() | SECONDS,
    fail_fast=st.booleans(),
    env_names=st.frozensets(NAMES, max_size=3),
    uses_git=st.booleans(),
    dotenv=st.lists(st.builds(EnvFile, TEXT, st.booleans()), max_size=2).map(tuple),
    secrets=st.dictionaries(NAMES, NAMES, max_size=2),
)


@given(PLANS)
def test_plan_comes_back_alike(plan: Pipeline):
    again = plan_from(json.loads(json.dumps(plan_record(plan), allow_nan=False)))
    assert again == plan
    assert plan_record(again) == plan_record(plan)
