"""The form of bundles: what is written is read back, and what nobody can have written is refused with a sentence."""

import contextlib
import io
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dagnats.bundle import form
from dagnats.bundle.form import BundleError, Frame, Manifest, Part, frame_bytes, frames, manifest_bytes, manifest_from

A, B = "a" * 64, "b" * 64
PARTS = (Part(form.OBJECT + A, 3, A), Part(form.HISTORY, 1, B), Part(form.OUTPUT, 0, B), Part(form.OBJECT + B, 5, B))
GOOD = Manifest(form.KIND, form.VERSION, "brave-otter-3", "0.1.0", 2, B, 1, PARTS)

NAMES = st.from_regex(r"[A-Za-z][A-Za-z0-9-]{0,10}", fullmatch=True).filter(lambda name: not name.startswith("Nats-"))
VALUES = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=20)
FRAMES = st.builds(
    Frame,
    payload=st.binary(max_size=500),
    subject=st.sampled_from(["", "a.1", "a%2Fb.12", "note"]),
    headers=st.dictionaries(NAMES, VALUES, max_size=4),
    at_ns=st.integers(0, (1 << 63) - 1),
)


@given(st.lists(FRAMES, max_size=5))
def test_messages_are_read_back(some):
    assert list(frames(io.BytesIO(b"".join(map(frame_bytes, some))))) == some


@given(st.binary(max_size=200))
def test_bytes_of_any_kind_are_messages_or_refused(data):
    with contextlib.suppress(BundleError):
        list(frames(io.BytesIO(data)))


@pytest.mark.parametrize(
    "frame",
    [
        Frame(b"", subject="a.>"),
        Frame(b"", subject="a b"),
        Frame(b"", subject="a..b"),
        Frame(b"", subject="a" * 501),
        Frame(b"", headers={"Nats-Msg-Id": "x"}),
        Frame(b"", headers={"A": "b\r\nNats-Rollup: all"}),
        Frame(b"", headers={"A: b": "c"}),
        Frame(b"", headers={"A": "é"}),
        Frame(b"", headers={f"A{n}": "" for n in range(21)}),
        Frame(b"", at_ns=-1),
        Frame(b"x" * ((1 << 20) + 1)),
    ],
)
def test_messages_that_no_run_has(frame):
    with pytest.raises(BundleError):
        list(frames(io.BytesIO(frame_bytes(frame))))


def test_half_a_message():
    with pytest.raises(BundleError, match="in the middle"):
        list(frames(io.BytesIO(frame_bytes(Frame(b"abc"))[:-1])))


def test_a_manifest_is_read_back():
    assert manifest_from(manifest_bytes(GOOD)) == GOOD


def changed(**fields: object) -> bytes:
    return json.dumps({**json.loads(manifest_bytes(GOOD)), **fields}).encode()


def part(name: str, size: object = 1, sha256: str = B) -> dict[str, object]:
    return {"name": name, "bytes": size, "sha256": sha256}


HIST, OUT = part(form.HISTORY), part(form.OUTPUT)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "can not be read"),
        (b"[]", "can not be read"),
        (b"[" * 100_000, "can not be read"),
        (b"{}", "is no bundle of a run"),
        (changed(version=2), "a bundle of version 2, and this program reads 1: use a newer dagnats"),
        (changed(version="x"), "use a newer dagnats"),
        (changed(run="../../etc"), "as no run is named"),
        (changed(run="a/b"), "as no run is named"),
        (changed(run="."), "as no run is named"),
        (changed(run="a" * 101), "as no run is named"),
        (changed(run=3), "can not be read"),
        (changed(parts=[]), "does not name what"),
        (changed(parts=[HIST], objects=0), "does not name what"),
        (changed(parts=[OUT, HIST], objects=0), "does not name what"),
        (
            changed(parts=[HIST, OUT, part(form.OBJECT + A, 1, A), part(form.OBJECT + A, 1, A)], objects=0),
            "does not name what",
        ),
        (changed(objects=-1), "does not name what"),
        (changed(parts=[HIST, OUT, part("../x")], objects=0), "as none is named"),
        (changed(parts=[HIST, OUT, part(form.OBJECT + "../x", 1, B)], objects=0), "as none is named"),
        (changed(parts=[HIST, OUT, part(form.OBJECT + A, 1, B)], objects=0), "as none is named"),
        (changed(parts=[part(form.HISTORY, -1), OUT], objects=0), "does not say what"),
        (changed(parts=[part(form.HISTORY, 1, "x"), OUT], objects=0), "does not say what"),
        (changed(parts=[part(form.HISTORY, "1"), OUT], objects=0), "can not be read"),
        (changed(parts=[part(form.HISTORY, 1 << 40), OUT], objects=0), "may have at most 256"),
        (changed(parts=[HIST, part(form.OUTPUT, 10 << 30)], objects=0), "may have at most 5,120"),
        (changed(parts=[HIST, OUT, part(form.OBJECT + B, 10 << 30)], objects=0), "may have at most 1,536"),
        (changed(parts=[part(form.OBJECT + B, 1 << 30), HIST, OUT], objects=1), "may have at most 256"),
        (
            changed(
                parts=[HIST, OUT, *(part(form.OBJECT + f"{n:064x}", 1 << 30, f"{n:064x}") for n in range(20))],
                objects=0,
            ),
            "holds 20 GiB, and a bundle may hold at most 16",
        ),
    ],
)
def test_manifests_that_nobody_has_written(data, said):
    with pytest.raises(BundleError, match=said):
        manifest_from(data)
