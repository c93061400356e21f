"""The report as HTML: whole, safe, of a bounded size, and the same whenever it is made."""

import json
from pathlib import Path

import pytest
from html_page import Page

from dagnats.core import events
from dagnats.core.codec import decode_commit
from dagnats.core.events import AnyEvent, CancelledBy, Outcome, Reason
from dagnats.core.pipeline import FanOut, Pipeline, Retry, Step
from dagnats.report.page import html, html_wants
from dagnats.report.page.rows import rows
from dagnats.report.record import Outputs, Printed, Record

JOURNALS = sorted((Path(__file__).parents[2] / "journals").glob("v*/*.jsonl"))
HOSTILE = "</pre></title></style><script>alert(1)</script>]]> --><!-- \0 \ud800 \u202e \x1b[2J\" ' onload=x & &amp;"
PLAN = Pipeline(
    name="ci",
    file="pipelines/ci.yaml",
    steps=(
        Step(id="build", line=3),
        Step(id="test", needs=("build",), line=5, name="All tests"),
        Step(id="lint", allow_failure=True, line=9),
        Step(id="docs", condition="params.docs", line=12),
        Step(id="ship", needs=("test", "docs"), line=15),
        Step(id="rescue", needs=("ship",), handles="ship", line=18),
    ),
    finally_steps=(Step(id="sweep", line=20),),
)


class Story:
    """A journal that is written word by word; `at` is in seconds from its beginning."""

    def __init__(self, plan: Pipeline, **more) -> None:
        started = {"run": "brave-otter-3", "plan": plan, "max_parallel": 4, "workspace": "/w"} | more
        self.events: list[AnyEvent] = [events.RunStarted(seq=1, at=1_750_000_000.0, **started)]

    def add(self, kind: type, at: float, **fields) -> None:
        self.events.append(kind(seq=len(self.events) + 1, at=1_750_000_000.0 + at, **fields))

    def start(self, step: str, at: float, attempt: int = 1) -> None:
        self.add(events.StepScheduled, at, step=step, attempt=attempt)
        self.add(events.StepStarted, at, step=step, attempt=attempt, worker="w")

    def ok(self, step: str, at: float, attempt: int = 1, **more) -> None:
        self.add(events.StepSucceeded, at, step=step, attempt=attempt, **more)

    def fail(self, step: str, at: float, attempt: int = 1, message: str = "exit code 1", **more) -> None:
        failure = {"reason": Reason.EXIT, "message": message, "exit_code": 1} | more
        self.add(events.StepFailed, at, step=step, attempt=attempt, **failure)

    def record(self) -> Record:
        return Record(self.events)


def failed_run(**more) -> Story:
    """The run of PLAN in which `test` fails twice."""
    story = Story(PLAN, params={"docs": False, "who": "Zoë & co"}, versions={"dagnats": "0.1.0"}, **more)
    story.start("build", 0)
    story.start("lint", 0)
    story.add(events.StepSkipped, 0, step="docs", condition="params.docs")
    story.fail("lint", 1, output_bytes=10)
    story.ok("build", 2, outputs={"version": "1.4.0", "files": ["a", "b"]}, output_bytes=40)
    story.start("test", 3)
    story.fail("test", 4, output_bytes=30)
    story.add(events.StepBlocked, 4, step="ship", by=("test",))
    story.add(events.StepSkipped, 4, step="rescue", condition="")
    story.start("sweep", 4)
    story.ok("sweep", 5)
    story.add(events.RunFinished, 5, outcome=Outcome.FAILED, outputs={"v": 1}, notes={"url": "step ship did not run"})
    return story


def page_of(record: Record, outputs: Outputs | None = None) -> Page:
    return Page("".join(html(record, outputs or {})))


def anchor(record: Record, step: str) -> str:
    return next(row.anchor for row in rows(record) if row.id == step)


def test_report_tells_the_whole_run():
    record = failed_run().record()
    page = page_of(record, {("test", 1): Printed(b"assert 1 == 2\n"), ("build", 1): Printed(b"made\n")})
    head = page.text[: page.text.index("What failed")]
    for told in (
        "ci failed",
        "Took5.0s",
        "Critical path4.0s 80% of the run",
        "2025-06-15 15:06:40 UTC",
        "brave-otter-3",
    ):
        assert told in head
    assert "1 failed, 1 warning, 1 blocked, 2 succeeded, 1 skipped" in head
    assert "test exit code 1 pipelines/ci.yaml:5" in page.text
    assert "whoZoë & co" in page.text
    assert "url" in page.text
    assert "no value: step ship did not run" in page.text
    assert "build 2.0s → test 1.0s → sweep 1.0s" in page.text
    assert page.text.rstrip().endswith("DagNats 0.1.0")


def test_report_is_one_file_that_asks_for_nothing():
    written = "".join(html(failed_run().record(), {}))
    assert "default-src 'none'" in written
    assert written.count("http") == 1  # of `http-equiv`
    assert "<script" not in written


def test_what_failed_is_open_and_says_why_and_what_it_printed():
    record = failed_run().record()
    page = page_of(record, {("test", 1): Printed(b"assert 1 == 2\n", omitted_bytes=16)})
    assert page.opened == {anchor(record, "test")}
    told = page.texts[anchor(record, "test")]
    assert "inpipelines/ci.yaml:5" in told
    assert "needsbuild" in told
    assert "started3.0s into the run" in told
    assert "exit code1" in told
    assert "16 bytes before this are not shown" in told
    assert page.pres[-1] == "assert 1 == 2\n"


def test_outputs_of_a_step_are_json():
    record = failed_run().record()
    page = page_of(record)
    assert json.loads(page.pres[0]) == {"version": "1.4.0", "files": ["a", "b"]}
    assert "40 bytes, which are not shown here" in page.texts[anchor(record, "build")]


def test_markdown_of_a_step_is_shown_as_it_stands():
    story = Story(Pipeline("p", "p.yaml", (Step(id="a"),)))
    story.start("a", 0)
    story.ok("a", 1, summary="# Done\n\n<b>all</b> of it\x1b[1m")
    assert page_of(story.record()).pres == ["# Done\n\n<b>all</b> of it [1m"]


def test_handlers_of_failures_that_did_not_come_are_not_shown():
    assert "rescue" not in page_of(failed_run().record()).text


def test_timeline_has_a_bar_an_attempt_and_shows_what_waited():
    page = page_of(failed_run().record())
    bars = {(look, left, width): said for look, left, width, said in page.bars}
    assert bars["ok", 0.0, 40.0] == "succeeded, 2.0s"
    assert bars["fail", 60.0, 20.0] == "failed, 1.0s"
    assert bars["warn", 0.0, 20.0] == "warning, 1.0s"
    assert bars["w", 40.0, 20.0] == "waited 1.0s to start"


def test_attempts_stand_in_a_row():
    story = Story(Pipeline("p", "p.yaml", (Step(id="flaky", line=2, retry=Retry(max_attempts=3)),)))
    story.start("flaky", 0)
    story.fail("flaky", 1)
    story.start("flaky", 2, attempt=2)
    story.ok("flaky", 4, attempt=2)
    story.add(events.RunFinished, 4, outcome=Outcome.SUCCEEDED)
    page = page_of(story.record(), {("flaky", 1): Printed(b"one\n"), ("flaky", 2): Printed(b"two\n")})
    assert [bar[:3] for bar in page.bars] == [("w", 0.0, 50.0), ("fail", 0.0, 25.0), ("ok", 50.0, 50.0)]
    assert page.pres == ["two\n", "one\n"]
    told = page.texts["s1"]
    assert "1✗ failed+0ms1.0s1exit code 1" in told
    assert "2✓ succeeded+2.0s2.0s0" in told
    assert "Printed by attempt 2" in told


def test_of_many_attempts_the_newest_are_shown():
    story = Story(Pipeline("p", "p.yaml", (Step(id="flaky", retry=Retry(max_attempts=50)),)))
    for attempt in range(1, 51):
        story.start("flaky", attempt, attempt)
        story.fail("flaky", attempt + 0.5, attempt, output_bytes=5)
    record = story.record()
    assert set(html_wants(record)) == {("flaky", attempt) for attempt in range(31, 51)}
    assert "30 earlier attempts are not shown" in page_of(record).texts["s1"]


def nested_run() -> Story:
    """A matrix whose instances run a pipeline; one is tried again, and a step of that fails again."""
    inner = Pipeline("inner", "parts/inner.yaml", (Step(id="push", line=4), Step(id="check", needs=("push",), line=7)))
    step = Step(
        id="deploy", pipeline="inner", retry=Retry(max_attempts=2), fan_out=FanOut(axes={"to": ("e/u", "us")}), line=2
    )
    story = Story(Pipeline("p", "p.yaml", (step,), pipelines={"inner": inner}))
    story.add(events.StepExpanded, 0, step="deploy")
    at = 0.0
    for owner, attempt, good in (
        ("deploy[to=e/u]", 1, False),
        ("deploy[to=us]", 1, True),
        ("deploy[to=e/u]", 2, False),
    ):
        story.start(owner, at, attempt)
        story.add(events.PipelineStarted, at, step=owner, attempt=attempt)
        prefix = f"{owner}#{attempt}/" if attempt > 1 else f"{owner}/"
        story.start(f"{prefix}push", at)
        story.ok(f"{prefix}push", at + 1, output_bytes=3)
        story.start(f"{prefix}check", at + 1)
        (story.ok if good else story.fail)(f"{prefix}check", at + 2, output_bytes=3)
        (story.ok if good else story.fail)(owner, at + 2, attempt)
        at += 2
    story.add(events.RunFinished, at, outcome=Outcome.FAILED)
    return story


def test_instances_and_pipelines_stand_below_their_step_also_those_of_earlier_attempts():
    record = nested_run().record()
    assert [(row.id, row.depth, row.status.value) for row in rows(record)] == [
        ("deploy", 0, "failed"),
        ("deploy[to=e/u]", 1, "failed"),
        ("deploy[to=e/u]/push", 2, "succeeded"),
        ("deploy[to=e/u]/check", 2, "failed"),
        ("deploy[to=e/u]#2/push", 2, "succeeded"),
        ("deploy[to=e/u]#2/check", 2, "failed"),
        ("deploy[to=us]", 1, "succeeded"),
        ("deploy[to=us]/push", 2, "succeeded"),
        ("deploy[to=us]/check", 2, "succeeded"),
    ]
    outputs = {owner: Printed(f"{owner}"[:size].encode()) for owner, size in html_wants(record).items()}
    assert len(outputs) == 6
    page = page_of(record, outputs)
    assert len(page.pres) == 6
    assert page.text.count("an attempt of its pipeline that was followed by another") == 2
    assert "What failed✗ deploy[to=e/u]#2/check exit code 1 parts/inner.yaml:7" in page.text
    assert page.opened == {anchor(record, id_) for id_ in ("deploy", "deploy[to=e/u]", "deploy[to=e/u]#2/check")}
    assert (
        page.text.count("\u00d72") == 2
    )  # the step is one node, of two instances: said in its title and below its name


def test_hostile_text_stays_text():
    """What a file, a failure or a step says can be anything, and is shown."""
    step = Step(id="a", name=HOSTILE, condition=HOSTILE, file=HOSTILE, pipeline=None)
    story = Story(
        Pipeline(HOSTILE, HOSTILE, (step, Step(id=HOSTILE, needs=("a",))), description=HOSTILE),
        run=HOSTILE,
        params={HOSTILE: HOSTILE},
        versions={"dagnats": HOSTILE},
    )
    story.start("a", 0)
    story.fail("a", 1, message=HOSTILE, outputs={HOSTILE: [HOSTILE]}, notes={HOSTILE: HOSTILE}, output_bytes=9)
    story.add(events.StepBlocked, 1, step=HOSTILE, by=("a",))
    story.add(events.CancelRequested, 1, by=CancelledBy.SIGNAL, why=HOSTILE)
    story.add(events.RunFinished, 1, outcome=Outcome.CANCELLED, outputs={HOSTILE: HOSTILE}, notes={"x": HOSTILE})
    printed = HOSTILE.encode("utf-8", "surrogatepass") + b"\xff\n\x1b]0;title\x07" + b"<svg onload=x>\n"
    page = page_of(story.record(), {("a", 1): Printed(printed)})
    assert page.text.count("</pre></title></style><script>alert(1)</script>") >= 15
    assert page.pres[-1].startswith("</pre></title></style><script>alert(1)</script>]]> --><!--  ")
    assert page.pres[-1].endswith("\n<svg onload=x>\n")


def test_run_without_an_end_says_so():
    story = failed_run()
    del story.events[8:]  # `test` has just been scheduled
    story.start("test", 3)
    record = story.record()
    assert html_wants(record)["test", 1] > 10_000  # how much it has printed is in no event
    page = page_of(record, {("test", 1): Printed(b"so far\n")})
    assert "ci not finished" in page.text
    assert "The journal has no end" in page.text
    assert "Critical path so far, 2.0s (the thick line): build 2.0s. The" in page.text
    assert "endednot while this was recorded" in page.text
    assert page.pres[-1] == "so far\n"


def test_run_of_which_only_the_beginning_is_known():
    page = page_of(Record(failed_run().events[:1]))
    assert "No step has started." in page.text
    assert "7 pending" in page.text


@pytest.mark.parametrize("journal", JOURNALS, ids=lambda path: path.stem)
def test_recorded_journals_and_all_their_beginnings_render(journal: Path):
    commits = [json.loads(line) for line in journal.read_bytes().splitlines()]
    told = [record for commit in commits for record in commit["events"]]
    for count in range(1, len(told) + 1):
        commit = {"v": 1, "run": "", "previous": "", "events": told[:count]}
        record = Record(decode_commit(json.dumps(commit).encode(), "", "", 1))
        outputs = {owner: Printed(b"printed\n") for owner in html_wants(record)}
        page = page_of(record, outputs)
        assert page.pres.count("printed\n") == len(outputs)
    assert "not finished" not in page.text


def test_why_a_run_was_cancelled():
    story = Story(PLAN)
    story.start("build", 0)
    story.add(events.CancelRequested, 1, by=CancelledBy.TIMEOUT, why="the run took longer than its timeout of 1s")
    story.add(events.StepCancelled, 2, step="build", attempt=1)
    for step in ("test", "lint", "docs", "ship", "rescue", "sweep"):
        story.add(events.StepCancelled, 2, step=step, attempt=0)
    story.add(events.RunFinished, 2, outcome=Outcome.TIMED_OUT)
    page = page_of(story.record())
    assert "ci timed out" in page.text
    assert "Why it was stopped: the run took longer than its timeout of 1s." in page.text


def test_part_of_a_file_says_what_was_selected():
    plan = Pipeline("p", "p.yaml", (Step(id="a"),), selection={"only": ("a",)}, left_out=("b", "c"))
    assert "Only a part of the file was run: --only a; 2 steps left out." in page_of(Story(plan).record()).text


def test_same_events_give_the_same_bytes():
    outputs = {("test", 1): Printed(b"\x1b[31mred\x1b[0m\n")}
    first, second = ("".join(html(failed_run().record(), outputs)) for _ in range(2))
    assert first == second


def many(count: int, *, wide: int, message: str = "exit code 1", value: object = None, output: int = 10**6) -> Record:
    """A run of many steps that have all failed, in levels of so many."""
    names = [f"step-{number}-" + "x" * 20 for number in range(count)]
    steps = tuple(
        Step(
            id=name,
            needs=tuple(names[max(0, at // wide * wide - 2) : at // wide * wide]),
            allow_failure=True,
            line=at + 1,
            name=f"Step {at} & co",
        )
        for at, name in enumerate(names)
    )
    story = Story(Pipeline("large", "pipelines/large.yaml", steps))
    for at, name in enumerate(names):
        story.start(name, at // wide + 0.123)
        story.fail(name, at // wide + 1, message=message, output_bytes=output, outputs={"value": value})
    story.add(events.RunFinished, count, outcome=Outcome.SUCCEEDED)
    return story.record()


WORST = [b"<&" * 50 + b"\n", b"\x1b[1m<\x1b[0;38;2;1;2;3m&", b"\xff", b"\n", b"x" * 99 + b"\n"]


@pytest.mark.parametrize("text", WORST)
@pytest.mark.parametrize("message", ["exit code 1", HOSTILE * 20])
def test_a_thousand_steps_stay_below_2_mb_whatever_they_say(text: bytes, message: str):
    record = many(1_000, wide=40, message=message, value=["&<" * 2_000])
    outputs = {
        owner: Printed((text * (size // len(text) + 1))[:size], 10**9) for owner, size in html_wants(record).items()
    }
    assert len(outputs) == 1_000
    written = "".join(html(record, outputs))
    assert len(written.encode()) < 2_000_000
    if message == "exit code 1":
        printed = sum(len(one) for one in Page(written).pres if not one.startswith("{"))
        assert printed > 10_000  # of text: what is around it counts too


def test_what_failed_may_print_more_than_the_rest_and_leaves_it_a_part():
    story = Story(Pipeline("p", "p.yaml", tuple(Step(id=f"s{number}") for number in range(60))))
    for number in range(60):
        story.start(f"s{number}", 0)
        (story.fail if number < 30 else story.ok)(f"s{number}", 1, output_bytes=10**6)
    wants = html_wants(story.record())
    assert wants["s0", 1] > 2 * wants["s59", 1] > 10_000
    assert sum(wants.values()) <= 1 << 20


def test_graph_of_many_steps_is_drawn_small():
    page = page_of(many(400, wide=50, output=0))
    assert page.tags.count("use") == 400
    assert "Each sign is a step" in page.text
    page = page_of(many(20, wide=5, output=0))
    assert "use" not in page.tags
    assert page.tags.count("rect") == 20


def test_graph_says_what_it_leaves_out():
    names = [f"s{number}" for number in range(120)]
    dense = tuple(Step(id=name, needs=tuple(names[:at])) for at, name in enumerate(names))
    page = page_of(Story(Pipeline("p", "p.yaml", dense)).record())
    assert "It has 7,140 edges: of each step only the one from the need that ended last is drawn." in page.text
    assert "and 107 more" in page.texts["s120"]
    many_steps = tuple(Step(id=f"s{number}") for number in range(2_100))
    page = page_of(Story(Pipeline("p", "p.yaml", many_steps)).record())
    assert "Only the first 2,000 of 2,100 steps are drawn." in page.text
    assert page.tags.count("use") == 2_000


def test_only_finally_was_run():
    story = Story(Pipeline("p", "p.yaml", (), finally_steps=(Step(id="down"), Step(id="sweep", needs=("down",)))))
    story.start("down", 0)
    story.ok("down", 1)
    assert "down 1.0s" in page_of(story.record()).text
