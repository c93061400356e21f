"""Reads a report as a browser would, and finds what is wrong with it."""

import re
from html.parser import HTMLParser

VOID = {"meta", "br", "link", "img", "input", "hr"}
SELF_CLOSED = {"rect", "path", "use"}  # of SVG
ALONE = {"html", "head", "body", "title", "style", "main", "header", "footer", "h1"}
TAGS = ALONE | {
    "meta", "section", "h2", "h3", "h4", "p", "div", "dl", "dt", "dd", "span", "b", "i", "a", "nav", "ul", "li", "small", "code", "pre", "strong", "time",
    "table", "caption", "thead", "tbody", "tr", "th", "td", "details", "summary", "svg", "defs", "g", "text", "title", *SELF_CLOSED,
}  # fmt: skip
ATTRIBUTES = {
    "id", "class", "style", "href", "title", "lang", "charset", "http-equiv", "content", "name", "role", "tabindex", "open", "datetime", "scope",
    "colspan", "width", "height", "viewbox", "x", "y", "rx", "d", "aria-label", "aria-labelledby",
}  # fmt: skip


class Page(HTMLParser):
    """`texts` holds the text below each id, `pres` that of each `pre`, `opened` the ids in details that are open from the start."""

    def __init__(self, written: str) -> None:
        super().__init__(convert_charrefs=True)
        self.ids: list[str] = []
        self.links: list[str] = []
        self.tags: list[str] = []
        self.text = ""
        self.pres: list[str] = []
        self.texts: dict[str, str] = {}
        self.opened: set[str] = set()
        self.bars: list[tuple[str, float, float, str]] = []
        self._path: list[tuple[str, str | None]] = []
        self._open = False
        written.encode("utf-8")  # no lone surrogate
        found = re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u061c\u202a-\u202e\u2066-\u2069]", written)
        assert found is None, f"{found[0]!r} in the report"
        self.feed(written)
        self.close()
        assert self._path == []
        assert len(set(self.ids)) == len(self.ids)
        assert {link.removeprefix("#") for link in self.links} <= set(self.ids)
        assert all(self.tags.count(tag) == 1 for tag in ALONE - {"title"})

    def handle_starttag(self, tag, attrs):
        assert tag in TAGS, tag
        values = dict(attrs)
        assert set(values) <= ATTRIBUTES, values
        self.tags.append(tag)
        if tag == "details":
            self._open = "open" in values
        if "id" in values:
            self.ids.append(values["id"])
            self.texts[values["id"]] = ""
            if self._open and tag == "div":
                self.opened.add(values["id"])
        if "href" in values:
            self.links.append(values["href"])
            assert re.fullmatch(r"#[a-z0-9_-]+", values["href"]), values["href"]
        if tag == "pre":
            self.pres.append("")
        if tag == "i":
            left, width = re.fullmatch(r"left:([0-9.]+)%;width:([0-9.]+)%", values["style"]).groups()
            self.bars.append((values["class"], float(left), float(width), values["title"]))
        if tag not in VOID:
            self._path.append((tag, values.get("id")))

    def handle_startendtag(self, tag, attrs):
        assert tag in SELF_CLOSED, tag
        self.handle_starttag(tag, attrs)
        self._path.pop()

    def handle_endtag(self, tag):
        assert self._path, f"</{tag}> closes nothing"
        assert self._path.pop()[0] == tag, f"</{tag}> closes something else"

    def handle_data(self, data):
        if any(tag == "style" for tag, _ in self._path):
            assert "url(" not in data
            assert "@import" not in data
            return
        self.text += data
        for _, id_ in self._path:
            if id_ is not None:
                self.texts[id_] += data
        if any(tag == "pre" for tag, _ in self._path):
            self.pres[-1] += data

    def handle_comment(self, data):
        raise AssertionError(f"a comment: {data}")

    def handle_pi(self, data):
        raise AssertionError(f"a processing instruction: {data}")

    def unknown_decl(self, data):
        raise AssertionError(f"a declaration: {data}")
