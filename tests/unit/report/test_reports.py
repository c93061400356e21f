"""The reports of a run, from its events: what they say, and that no text in them means more than itself."""

from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st
from stories import Story, failures

from dagnats.core import events
from dagnats.core.events import CancelledBy, Outcome, Reason
from dagnats.core.pipeline import FanOut, Pipeline, Retry, Step
from dagnats.report.annotations import annotations
from dagnats.report.junit import junit, junit_wants
from dagnats.report.markdown import SUMMARY_MAX_BYTES, closed, summary, summary_wants
from dagnats.report.record import Printed, shares

HOSTILE = "a | b\n</details> ```\n::error::x %0A <script>alert(1)</script> [x](y) $m$ \x00\x1b[2J\ud800 ]]> &amp; #1"


def ci() -> Story:
    steps = (
        Step(id="build", run="make", line=3),
        Step(id="test", name="Test it", run="t", needs=("build",), retry=Retry(max_attempts=2), line=5),
        Step(id="lint", run="l", allow_failure=True, line=9),
        Step(id="docs", run="d", condition="params.docs", line=11),
        Step(id="ship", run="s", needs=("test",), line=14),
        Step(id="cells", run="c", fan_out=FanOut(axes={"py": ("3.11", "3.12")}), line=17, file="more.yaml"),
    )
    story = Story(Pipeline(name="ci", file="ci.yaml", steps=steps))
    story.start("build")
    story.succeed("build", output_bytes=10)
    story.start("lint")
    story.fail("lint")
    story.tell(events.StepSkipped, step="docs", condition="params.docs")
    story.start("test")
    story.fail("test")
    story.start("test", 2)
    story.fail("test", attempt=2, output_bytes=100)
    story.tell(events.StepBlocked, step="ship", by=("test",))
    story.tell(events.StepExpanded, step="cells")
    story.start("cells[py=3.11]")
    story.succeed("cells[py=3.11]", summary="**Coverage** 97 %\n")
    story.start("cells[py=3.12]")
    story.fail("cells[py=3.12]", "worker w stopped answering", reason=Reason.LOST)
    return story


def test_summary_says_everything():
    record = ci().finish(outputs={"version": "1.2.3"})
    printed = {("test", 2): Printed(b"one\n\x1b[31mtwo\x1b[0m\n", 80)}
    page = summary(record, printed)
    assert page.startswith(
        "## ❌ ci: failed in 22.0s\n\n2 succeeded, 1 warning, 2 failed, 1 skipped, 1 blocked · critical path "
    )
    assert "| ❌ | **test** Test it | 4.0s | exit code 3 (attempt 2) |" in page
    assert "| ⚠️ | **lint** | 1.0s | exit code 3 (allowed) |" in page
    assert "| ⏭️ | **docs** |  | skipped: if params.docs |" in page
    assert "| ❌ | &emsp;**cells\\[py=3.12\\]** | 1.0s | worker w stopped answering |" in page
    assert "The last 2 lines of its output:\n\n```text\none\ntwo\n```" in page
    assert "| version | 1.2.3 |" in page
    assert "### cells\\[py=3.11\\]\n\n**Coverage** 97 %" in page
    assert page.count("```mermaid") == 2
    assert "class s2,s6 failed" in page
    assert "✗ test :crit, 1970-01-01 00:00:09.000, 1970-01-01 00:00:13.000" in page


def test_junit_has_a_test_for_each_step_that_did_something_itself():
    record = ci().finish()
    suite = ET.fromstring(junit(record, {("test", 2): Printed(b"one\n", 80)})).find("testsuite")
    assert suite is not None
    assert [suite.get(key) for key in ("tests", "failures", "errors", "skipped")] == ["7", "1", "1", "2"]
    cases = {case.get("name"): case for case in suite.iter("testcase")}
    assert list(cases) == ["build", "test", "lint", "docs", "ship", "cells[py=3.11]", "cells[py=3.12]"]
    failure = cases["test"].find("failure")
    assert failure is not None
    assert failure.get("message") == "exit code 3 (attempt 2)"
    assert failure.text == "… 80 bytes before this are not shown\none\n"
    assert cases["cells[py=3.12]"].find("error").get("type") == "lost"
    assert cases["lint"].find("system-out").text == "exit code 3 (allowed)"
    assert (cases["cells[py=3.11]"].get("file"), cases["cells[py=3.11]"].get("line")) == ("more.yaml", "17")


def test_annotations_stand_at_the_step_and_leave_out_what_only_sums_up():
    record = ci().finish()
    assert list(annotations(record.state, lambda file: f"sub/{file}")) == [
        "::error file=sub/ci.yaml,line=5,title=test failed::exit code 3 (attempt 2)",
        "::error file=sub/more.yaml,line=17,title=cells[py=3.12] failed::worker w stopped answering",
        "::warning file=sub/ci.yaml,line=9,title=lint warning::exit code 3 (allowed)",
    ]


def test_at_most_ten_annotations_and_the_last_says_how_many_more():
    found = list(annotations(failures(25).state, str))
    assert len(found) == 10
    assert found[-1] == "::error file=p.yaml::16 more steps: see the summary"
    assert len(list(annotations(failures(10).state, str))) == 10


def test_a_cancelled_run_is_annotated_with_who_cancelled_it():
    story = ci()
    story.tell(events.CancelRequested, by=CancelledBy.SIGNAL, why="received SIGINT", signal=2)
    record = story.finish(Outcome.CANCELLED)
    assert list(annotations(record.state, str))[-1] == "::error file=ci.yaml,title=ci cancelled::received SIGINT"
    assert "received SIGINT" in summary(record, {})


def test_a_run_without_an_end_says_so():
    story = Story(Pipeline(name="p", file="p.yaml", steps=(Step(id="a", run="x"),)))
    story.start("a")
    record = story.record()
    assert summary(record, {}).startswith("## ❔ p: did not end; 2.0s so far\n")
    suite = ET.fromstring(junit(record, {})).find("testsuite")
    assert suite.get("errors") == "1"
    assert suite.find("properties/property[@name='outcome']").get("value") == "unfinished"


@pytest.mark.parametrize("text", [HOSTILE, "x" * 100_000, "漢" * 100_000])
def test_five_thousand_failures_stay_within_what_github_takes(text):
    record = failures(5000, text)
    printed = {
        owner: Printed((text * 9)[:size].encode("utf-8", "replace")[:size], 1 << 20)
        for owner, size in summary_wants(record).items()
    }
    page = summary(record, printed)
    assert len(page.encode("utf-8", "replace")) <= SUMMARY_MAX_BYTES
    assert "_Not in this table: 4,800 others._" in page
    assert "_… and 4,980 more steps that failed._" in page


def test_what_steps_wrote_is_left_out_when_there_is_too_much_of_it():
    steps = tuple(Step(id=f"s{n}", run="x") for n in range(40))
    story = Story(Pipeline(name="p", file="p.yaml", steps=steps))
    for step in steps:
        story.start(step.id)
        story.succeed(step.id, summary="y" * (64 << 10))
    page = summary(story.finish(Outcome.SUCCEEDED), {})
    assert len(page) <= SUMMARY_MAX_BYTES
    assert page.rstrip().endswith("_Left out, as a summary may have 1,000 KiB: what steps wrote to $DAGNATS_SUMMARY._")


def test_no_text_means_more_than_itself():
    story = Story(Pipeline(name="p", file="p\n::error::.yaml", steps=(Step(id="a", name=HOSTILE, run="x", line=2),)))
    story.start("a")
    story.fail("a", HOSTILE, output_bytes=10)
    record = story.finish(outputs={"x": HOSTILE})
    printed = {("a", 1): Printed(HOSTILE.encode("utf-8", "replace"))}
    page = summary(record, printed)
    head, _, rest = page.partition("````text\n")
    body, _, tail = rest.partition("\n````\n")
    assert "```" in body  # which its own fence outlasts
    for text in (head, tail.partition("```mermaid")[0]):
        assert "<script" not in text
        assert "\x1b" not in text
    (table,) = [line for line in head.splitlines() if "**a**" in line]
    assert table.count(" | ") == 3
    assert ET.fromstring(junit(record, printed)) is not None
    (annotation,) = annotations(record.state, str)
    assert "\n" not in annotation
    assert annotation.startswith("::error file=p%0A%3A%3Aerror%3A%3A.yaml,line=2,title=a failed::a | b ")


def test_junit_of_many_failures_is_bounded():
    assert sum(junit_wants(failures(5000)).values()) <= 8 << 20


@given(
    st.dictionaries(st.tuples(st.text(max_size=3), st.integers(1, 3)), st.integers(0, 10_000)),
    st.integers(0, 50_000),
    st.integers(0, 5000),
)
def test_shares_are_fair(sizes, total, most):
    granted = shares(sizes, total, most)
    assert granted.keys() == sizes.keys()
    assert sum(granted.values()) <= total
    for owner, share in granted.items():
        assert share <= min(sizes[owner], most)
        if share < min(sizes[owner], most):  # who does not get all has no less than anybody else
            assert all(share >= other - 1 or other <= sizes[one] == other for one, other in granted.items())


@pytest.mark.parametrize(
    ("written", "tail"),
    [
        ("plain", ""),
        ("```\ncode", "\n```"),
        ("````text\n```\ncode", "\n````"),
        ("```\ncode\n```", ""),
        ("~~~\n```", "\n~~~"),
        ("<!-- hidden", " -->"),
    ],
)
def test_markdown_of_a_step_leaves_nothing_open(written, tail):
    assert closed(written) == written + tail
