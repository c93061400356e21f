"""Takes secrets out of what a step prints, while it prints: every form of every secret becomes `***`, wherever chunks are cut.

Masked is the union of all occurrences of all forms, so that of two that overlap nothing is left, and so that the result depends on the text alone.
What is run over each chunk is one automaton for the first bytes of all forms; only where that one stops are the forms compared.
"""

import contextlib
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Protocol

from dagnats.workers.forms import forms_of

STARS = b"***"
HEAD_BYTES = 12  # long enough to be rare, short enough for the automaton to stay small
_KEY_BYTES = 4  # every form has as many
_AUTOMATON_MAX_BYTES = 64 << 20

Span = tuple[int, int]


class Finder(Protocol):
    """Finds where forms stand in a text."""

    def spans(self, data: bytes) -> Iterator[Span]:
        """Give occurrences, in the order of their beginnings: of each beginning at least the longest."""

    def openings(self, data: bytes, start: int) -> Iterator[int]:
        """Give the places from `start` on, in any order, where the first HEAD_BYTES of a longer form stand."""


class Re2Finder:
    """Finds by google-re2, whose time does not depend on the number of forms."""

    def __init__(self, forms: Iterable[bytes]) -> None:
        import re2  # noqa: PLC0415 - only a run with secrets pays for it

        self._by_key: dict[bytes, list[bytes]] = {}
        for form in sorted(forms, key=len, reverse=True):
            self._by_key.setdefault(form[:_KEY_BYTES], []).append(form)
        options = re2.Options()
        options.encoding = re2.Options.Encoding.LATIN1  # bytes
        options.max_mem = _AUTOMATON_MAX_BYTES
        options.never_capture = True
        options.log_errors = False
        heads = sorted({form[:HEAD_BYTES] for forms in self._by_key.values() for form in forms})
        self._search: Callable[..., Any] = re2.compile(b"|".join(map(_literal, heads)), options).search

    def spans(self, data: bytes) -> Iterator[Span]:
        """Give occurrences; each search begins behind the last beginning, as the next may overlap."""
        at = 0
        while (found := self._search(data, at)) is not None:
            start = found.start()
            for form in self._by_key[data[start : start + _KEY_BYTES]]:
                if data.startswith(form, start):
                    yield start, start + len(form)
                    break
            at = start + 1

    def openings(self, data: bytes, start: int) -> Iterator[int]:
        """Give the places of heads."""
        while (found := self._search(data, start)) is not None:
            yield found.start()
            start = found.start() + 1


class PlainFinder:
    """Finds form by form: where there is no wheel of google-re2. Slower, and the same result."""

    def __init__(self, forms: Iterable[bytes]) -> None:
        self._forms = list(forms)
        self._heads = {form[:HEAD_BYTES] for form in self._forms if len(form) > HEAD_BYTES}

    def spans(self, data: bytes) -> Iterator[Span]:
        """Give occurrences: all there are."""
        found: list[Span] = []
        for form in self._forms:
            found.extend((at, at + len(form)) for at in _places(data, form, 0))
        return iter(sorted(found))

    def openings(self, data: bytes, start: int) -> Iterator[int]:
        """Give the places of heads."""
        for head in self._heads:
            yield from _places(data, head, start)


def _places(data: bytes, part: bytes, start: int) -> Iterator[int]:
    while (start := data.find(part, start)) >= 0:
        yield start
        start += 1


def best_finder(forms: Iterable[bytes]) -> Finder:
    """Give the fast one, or the one that needs nothing."""
    try:
        import re2  # noqa: PLC0415 - only a run with secrets pays for it
    except ImportError:
        return PlainFinder(forms)
    try:
        return Re2Finder(forms)
    except re2.error:  # more than its automaton may hold
        return PlainFinder(forms)


class Masker:
    """What is to be masked, prepared once; `stream` is for a stream that comes in chunks, `text` for what is there as a whole."""

    def __init__(self, values: Iterable[str], finder: Callable[[Iterable[bytes]], Finder] = best_finder) -> None:
        self._forms = sorted(forms_of(values))
        self._longest = max(map(len, self._forms), default=0)
        self._finder = finder(self._forms) if self._forms else None

    def __repr__(self) -> str:
        return f"<Masker of {len(self._forms)} forms>"

    def stream(self) -> "MaskedStream":
        """Begin a stream."""
        return MaskedStream(self)

    def whole(self, data: bytes) -> bytes:
        """Give the whole data with its secrets replaced."""
        if self._finder is None or next(self._finder.spans(data), None) is None:
            return data
        stream = self.stream()
        return stream.feed(data) + stream.end()

    def text(self, text: str) -> str:
        """Give the text with its secrets replaced."""
        if self._finder is None:
            return text
        for errors in ("surrogateescape", "surrogatepass"):  # what the system gave, or what JSON can say
            with contextlib.suppress(UnicodeEncodeError):
                return self.whole(text.encode("utf-8", errors)).decode("utf-8", errors)
        raise AssertionError(errors)

    def value(self, value: Any) -> Any:
        """Give the JSON value with the secrets in its texts, keys and numbers replaced; the same object's equal if there are none."""
        match value:
            case str():
                return self.text(value)
            case list() | tuple():
                return [self.value(item) for item in value]
            case dict():
                return {self.text(key): self.value(item) for key, item in value.items()}
            case int() | float() if not isinstance(value, bool):
                shown = self.text(str(value))
                return value if shown == str(value) else shown
            case _:
                return value

    def union(self, data: bytes) -> Iterator[Span]:
        """Give what is covered by the forms, as spans that neither overlap nor touch."""
        start = end = -1
        for first, last in self._finder.spans(data) if self._finder is not None else ():
            if first > end:
                if end >= 0:
                    yield start, end
                start = first
            end = max(end, last)
        if end >= 0:
            yield start, end

    def open_at(self, data: bytes) -> int:
        """Give where the longest suffix begins that may be the beginning of a form: what comes next will tell."""
        if self._finder is None:
            return len(data)
        tail = data[max(0, len(data) - self._longest + 1) :]
        near = max(0, len(tail) - HEAD_BYTES + 1)
        places: list[int] = []
        if near:
            places += sorted(at for at in self._finder.openings(tail, 0) if at < near)
        places += range(near, len(tail))
        for at in places:
            if self._may_begin(tail[at:]):
                return len(data) - len(tail) + at
        return len(data)

    def _may_begin(self, suffix: bytes) -> bool:
        at = bisect_left(self._forms, suffix)
        if at < len(self._forms) and self._forms[at] == suffix:
            at += 1
        return at < len(self._forms) and self._forms[at].startswith(suffix)


class MaskedStream:
    """One stream of one attempt. What may be the beginning of a secret is held back until more comes, or the end."""

    def __init__(self, masker: Masker) -> None:
        self._masker = masker
        self._held = b""
        self._covered = 0  # so many bytes of what is held belong to a secret that has been replaced already
        self._in_secret = False  # whether the last that was given away is the replacement of a secret

    def feed(self, chunk: bytes) -> bytes:
        """Take a chunk; gives what is safe to show."""
        data = self._held + chunk
        safe = self._masker.open_at(data)
        return self._upto(data, safe)

    def end(self) -> bytes:
        """No more comes; gives what was held back."""
        return self._upto(self._held, len(self._held))

    def _upto(self, data: bytes, safe: int) -> bytes:
        """Give the data before `safe` with what is covered replaced, and hold the rest."""
        self._held = data[safe:]
        if not safe:
            return b""
        parts: list[bytes] = []
        at, covered = 0, self._covered
        for start, end in self._spans(data, covered):
            if start >= safe:
                break
            if start > at:
                parts.append(data[at:start])
                self._in_secret = False
            if not self._in_secret:
                parts.append(STARS)
                self._in_secret = True
            at = end
        self._covered = max(0, at - safe)
        if at < safe:
            parts.append(data[at:safe])
            self._in_secret = False
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def _spans(self, data: bytes, covered: int) -> Iterator[Span]:
        """Give the union, with what an earlier chunk has covered as its first span."""
        pending = (0, covered) if covered else None
        for start, end in self._masker.union(data):
            if pending is not None and start <= pending[1]:
                pending = pending[0], max(pending[1], end)
                continue
            if pending is not None:
                yield pending
                pending = None
            yield start, end
        if pending is not None:
            yield pending


def _literal(text: bytes) -> bytes:
    """Write bytes as a pattern that matches them and nothing else."""
    return b"".join(b"\\x%02x" % byte for byte in text)
