"""What steps print, as HTML: nothing is lost but what steers a terminal, and any part of it stands alone."""

import re
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dagnats.report.page.output import OUTPUT_MAX_BYTES, beginning_of, divided, end_of, pieces, size_of, text_pieces
from dagnats.report.record import Printed
from dagnats.report.screen import fit, without_colours


def shown(data: bytes) -> str:
    return "".join(piece.html for piece in pieces(Printed(data)))


class Spans(HTMLParser):
    """Takes nothing but spans, and finds them closed."""

    def __init__(self, written: str) -> None:
        super().__init__()
        self.text = ""
        self.depth = 0
        self.feed(written)
        self.close()
        assert self.depth == 0

    def handle_starttag(self, tag, attrs):
        assert tag == "span"
        assert {name for name, _ in attrs} <= {"class", "style"}
        self.depth += 1

    def handle_endtag(self, tag):
        self.depth -= 1

    def handle_data(self, data):
        self.text += data


@pytest.mark.parametrize(
    ("data", "html"),
    [
        (b"plain\n", "plain\n"),
        (b"a < b && c\n", "a &lt; b &amp;&amp; c\n"),
        (b"\x1b[31mred\x1b[0m.\n", '<span class="f1">red</span>.\n'),
        (b"\x1b[1;4;92mgo\x1b[22;24mon\x1b[39mend", '<span class="tb tu f10">go</span><span class="f10">on</span>end'),
        (b"\x1b[31mone\ntwo\x1b[m\n", '<span class="f1">one</span>\n<span class="f1">two</span>\n'),
        (b"\x1b[38;5;208mx", '<span style="color:#ff8700">x</span>'),
        (b"\x1b[48;5;9mx", '<span class="g9">x</span>'),
        (b"\x1b[38;5;244mx", '<span style="color:#808080">x</span>'),
        (b"\x1b[38;2;1;2;300mx", '<span style="color:#0102ff">x</span>'),
        (b"\x1b[38:2::1:2:3;3mx", '<span class="ti" style="color:#010203">x</span>'),
        (b"\x1b[7mx", '<span class="tv">x</span>'),
        (b"\x1b[7;31;42mx", '<span class="tv f2 g1">x</span>'),
        (b"\x1b[4:3mx\x1b[4:0my", '<span class="tu">x</span>y'),
        (b"\x1b[2;9mx\x1b[29my", '<span class="td ts">x</span><span class="td">y</span>'),
        (b"\x1b[38;5mx", "x"),
        (b"\x1b[38;9;1mx", '<span class="tb">x</span>'),
        (b"\x1b[" + b"9" * 5000 + b"mx", "x"),
        (b"\x1b[2Ka\x1b]0;title\x07b\x00c", "abc"),
        (b"10%\r50%\r100%\n", "100%\n"),
        (b"\xff\n", "\ufffd\n"),
        ("a\u202eb\u2066c\n".encode(), "abc\n"),
    ],
)
def test_output_as_html(data: bytes, html: str):
    assert shown(data) == html


@given(
    st.lists(
        st.sampled_from(
            [
                b"\x1b[1;31m",
                b"\x1b[0m",
                b"\x1b[38;5;200m",
                b"\n",
                b"\r",
                b"<&>",
                b"word ",
                "é✓".encode(),
                b"\xff",
                b"\x1b",
                b"x" * 300,
            ]
        )
    ),
    st.integers(0, 2_000),
)
def test_any_end_of_it_is_whole(parts: list[bytes], budget: int):
    data = b"".join(parts)
    made = pieces(Printed(data))
    assert sum(piece.raw_bytes for piece in made) == len(data)
    expected = "\n".join(without_colours(fit(line)).decode() for line in data.split(b"\n"))
    assert Spans("".join(piece.html for piece in made)).text == expected
    end, left_out = end_of(made, budget)
    assert len(end.encode()) <= budget
    assert expected.endswith(Spans(end).text)
    hidden = expected.removesuffix(Spans(end).text)
    assert left_out <= len(data)
    assert left_out > 0 or not hidden


def test_first_character_may_be_cut():
    assert "".join(piece.html for piece in pieces(Printed("✓ done".encode()[1:], omitted_bytes=1))) == " done"


def test_beginning_of_a_text():
    made = text_pieces('{\n\t"a": "<\x1b\ud800"\n}')
    assert beginning_of(made, 1_000) == ('{\n    "a": "&lt;  "\n}', 0)
    assert beginning_of(made, 2) == ("{\n", 14 + 1 + 1)


def test_budget_goes_to_failures_first():
    sizes = {("a", 1): 10**6, ("b", 1): 10**6, ("c", 1): 100}
    granted = divided(sizes, [("a", 1)])
    assert granted == {("a", 1): 64 << 10, ("b", 1): 32 << 10, ("c", 1): 100}
    crowd = {(f"f{number}", 1): 10**6 for number in range(100)}
    granted = divided(sizes | crowd, crowd)
    assert sum(granted.values()) <= OUTPUT_MAX_BYTES
    assert min(granted.values()) == 100


def test_size_is_counted_in_bytes():
    assert size_of(pieces(Printed("✓<".encode()))) == 3 + len("&lt;")
    assert re.fullmatch("(?:&amp;)+", end_of(pieces(Printed(b"&" * 1_000)), 2_000)[0])
