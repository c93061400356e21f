"""Streams with secrets in them: nothing of any form survives, wherever the chunks are cut and whoever searches."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dagnats.workers import mask
from dagnats.workers.forms import forms_of
from dagnats.workers.mask import Masker, PlainFinder, Re2Finder

FINDERS = [Re2Finder, PlainFinder]
# few letters, so that secrets overlap, repeat, begin each other and stand in the text by chance
LETTERS = "ab\n"
VALUES = st.lists(st.text(LETTERS, min_size=4, max_size=24), min_size=1, max_size=4)
TEXTS = st.text(LETTERS + "c", max_size=120)


@st.composite
def cut_texts(draw):
    values = draw(VALUES)
    pieces = draw(st.lists(st.one_of(st.sampled_from(values), TEXTS), max_size=8))
    text = "".join(pieces).encode()
    cuts = sorted(draw(st.lists(st.integers(0, len(text)), max_size=12)))
    chunks = [text[start:end] for start, end in zip([0, *cuts], [*cuts, len(text)], strict=True)]
    return values, text, chunks


def covered(values, text):
    """What must be masked, found in the slowest and plainest way."""
    marks = bytearray(len(text))
    for form in forms_of(values):
        for at in range(len(text) - len(form) + 1):
            if text[at : at + len(form)] == form:
                marks[at : at + len(form)] = b"\1" * len(form)
    return marks


def masked(values, text):
    marks = covered(values, text)
    result = bytearray()
    for at, byte in enumerate(text):
        if not marks[at]:
            result.append(byte)
        elif at == 0 or not marks[at - 1]:
            result += b"***"
    return bytes(result)


@given(cut_texts())
def test_any_chunking_gives_what_the_whole_text_gives(given_):
    values, text, chunks = given_
    expected = masked(values, text)
    for finder in FINDERS:
        masker = Masker(values, finder)
        stream = masker.stream()
        assert b"".join([*map(stream.feed, chunks), stream.end()]) == expected
        assert masker.whole(text) == expected


@given(cut_texts())
def test_nothing_of_a_form_survives(given_):
    values, _, chunks = given_
    stream = Masker(values).stream()
    shown = b"".join([*map(stream.feed, chunks), stream.end()])
    assert not [form for form in forms_of(values) if form in shown]


@given(
    st.text(st.characters(exclude_characters="*", exclude_categories=["Cs"]), min_size=4, max_size=30),
    st.lists(st.binary(max_size=20), min_size=1, max_size=4),
    st.data(),
)
def test_no_form_of_any_value_survives_in_any_surroundings(value, between, data):
    forms = sorted(forms_of([value]))
    text = b"".join(part + (data.draw(st.sampled_from(forms)) if forms else b"") for part in between)
    cut = data.draw(st.integers(0, len(text)))
    stream = Masker([value]).stream()
    shown = stream.feed(text[:cut]) + stream.feed(text[cut:]) + stream.end()
    assert not [form for form in forms if form in shown]


@given(st.binary(max_size=300), st.lists(st.text(min_size=4, max_size=40), min_size=1, max_size=3))
def test_both_finders_agree_on_any_bytes(data, values):
    secret = values[0].encode("utf-8", "surrogatepass")
    text = data[:100] + secret + data[100:] + secret[: len(secret) // 2]
    values = [value for value in values if value.isprintable()] or ["plain text"]
    assert Masker(values, Re2Finder).whole(text) == Masker(values, PlainFinder).whole(text)


@pytest.mark.parametrize("finder", FINDERS)
def test_only_what_may_begin_a_secret_is_held_back(finder):
    stream = Masker(["hunter2-and-a-long-tail"], finder).stream()
    assert stream.feed(b"password: ") == b"password: "
    assert stream.feed(b"is it hunt") == b"is it "
    assert stream.feed(b"ing?") == b"hunting?"
    assert stream.feed(b"hunter2-and-a-long") == b""
    assert stream.feed(b"-tail!") == b"***!"
    assert stream.feed(b"hunter2-and") == b""
    assert stream.end() == b"hunter2-and"


@pytest.mark.parametrize("finder", FINDERS)
def test_two_that_overlap_leave_nothing_between_them(finder):
    masker = Masker(["aaaabbbb", "bbbbcccccccc"], finder)
    assert masker.whole(b"<aaaabbbbcccccccc>") == b"<***>"
    assert masker.whole(b"<aaaabbbbaaaabbbb>") == b"<***>"


@pytest.mark.parametrize("finder", FINDERS)
def test_a_stream_of_nothing_but_secrets_is_one_replacement_and_holds_little(finder):
    stream = Masker(["abcabcabcabcabcabcabc"], finder).stream()
    assert stream.feed(b"abc" * 1000) == b"***"
    assert stream.feed(b"abc" * 1000) == b""
    assert len(stream._held) < 21
    assert stream.end() == b""


def test_a_value_is_masked_within_json():
    masker = Masker(["s3cr3t!", "123456789"])
    value = {"a": ["x s3cr3t!", 7, True, None, 123456789], "s3cr3t!": 1.5}
    assert masker.value(value) == {"a": ["x ***", 7, True, None, "***"], "***": 1.5}
    assert masker.value({"a": [1, "x"]}) == {"a": [1, "x"]}


def test_the_representation_shows_nothing():
    assert "s3cr3t" not in repr(Masker(["s3cr3t"]))


def test_without_the_wheel_the_plain_one_serves(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "re2", None)
    masker = Masker(["s3cr3t"])
    assert isinstance(masker._finder, PlainFinder)
    assert masker.text("a s3cr3t") == "a ***"


def test_what_is_too_much_for_the_automaton_is_found_plainly(monkeypatch):
    monkeypatch.setattr(mask, "_AUTOMATON_MAX_BYTES", 2000)
    masker = Masker([f"{n * n} is a secret number" for n in range(200)])
    assert isinstance(masker._finder, PlainFinder)
    assert masker.text("2401 is a secret number or no") == "*** or no"


def test_values_that_are_too_short_mask_nothing():
    assert Masker(["abc", ""]).whole(b"abc") == b"abc"
