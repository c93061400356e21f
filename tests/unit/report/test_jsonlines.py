"""`--output json`: what steps print is text wherever it is UTF-8, however the reads cut it."""

import base64
import itertools
import json
import os
import tempfile
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dagnats.core import events
from dagnats.core.events import AnyEvent, Reason
from dagnats.report.console import Console
from dagnats.report.jsonlines import JsonLines

ENDS: list[AnyEvent] = [
    events.StepSucceeded(seq=1, at=1.0, step="a", attempt=1),
    events.StepFailed(seq=1, at=1.0, step="a", attempt=1, reason=Reason.EXIT, message="exit code 1", exit_code=1),
    events.StepCancelled(seq=1, at=1.0, step="a", attempt=1),
]
Chunk = tuple[str, int, str, bytes]


def written(*parts: Chunk | AnyEvent) -> list[dict[str, Any]]:
    """Give the records of what is reported in this order."""
    with tempfile.TemporaryFile() as file:
        reporter = JsonLines(Console(file.fileno(), file.fileno()))
        for part in parts:
            if isinstance(part, tuple):
                reporter.output(*part)
            else:
                reporter.events([part])
        reporter.close()
        return [json.loads(line) for line in os.pread(file.fileno(), 1 << 24, 0).splitlines()]


def content(record: dict[str, Any]) -> bytes:
    return record["text"].encode() if "text" in record else base64.b64decode(record["base64"])


@given(st.text(), st.lists(st.integers(0, 40)))
def test_text_is_text_wherever_it_is_cut(text: str, cuts: list[int]) -> None:
    data = text.encode("utf-8", "replace")
    bounds = [0, *sorted(cuts), len(data)]
    chunks = [data[begin:end] for begin, end in itertools.pairwise(bounds)]
    records = written(*[("a", 1, "out", chunk) for chunk in chunks])
    assert all("text" in record for record in records)
    assert b"".join(map(content, records)) == data


@given(st.lists(st.binary(max_size=6)))
def test_no_byte_is_lost_or_moved(chunks: list[bytes]) -> None:
    records = written(*[("a", 1, "out", chunk) for chunk in chunks])
    assert b"".join(map(content, records)) == b"".join(chunks)


@pytest.mark.parametrize("end", ENDS, ids=lambda end: type(end).__name__)
def test_half_a_character_comes_before_the_end_of_its_attempt(end: AnyEvent) -> None:
    first, last = written(("a", 1, "out", b"\xe2\x82"), end)
    assert (first["base64"], last["type"]) == (base64.b64encode(b"\xe2\x82").decode(), type(end).__name__)


def test_only_the_same_stream_of_the_same_attempt_ends_a_character() -> None:
    head, rest = b"x\xe2", b"\x82\xac"
    parts: list[Chunk] = [("a", 1, "out", head), ("a", 1, "err", rest), ("a", 2, "out", rest), ("b", 1, "out", rest)]
    records = written(*parts, ENDS[0], ("b", 1, "out", b"y"))
    assert [(record.get("step"), content(record)) for record in records if record["type"] == "StepOutput"] == [
        ("a", b"x"),
        ("a", rest),
        ("a", rest),
        ("b", rest),
        ("a", b"\xe2"),
        ("b", b"y"),
    ]


def test_what_is_no_text_is_not_held() -> None:
    records = written(("a", 1, "out", b"\xff"), ("a", 1, "out", b"\xe0\x80"), ("a", 1, "out", b"\x80\x80\x80"), ENDS[0])
    assert [record["type"] for record in records] == ["StepOutput"] * 3 + ["StepSucceeded"]
