"""Whole lines out of chunks: the rest of a line waits for its end."""

LINE_MAX_BYTES = 64 << 10  # a longer one is broken on the screen; the stream keeps it whole

_Source = tuple[str, str]


class Lines:
    """The unfinished lines of every step, one for each of its streams."""

    def __init__(self) -> None:
        self._open: dict[_Source, list[bytes]] = {}
        self._open_bytes: dict[_Source, int] = {}
        self._broken: set[_Source] = set()  # whose line was broken where the next chunk begins

    def feed(self, step: str, stream: str, chunk: bytes) -> bytes | None:
        """Take a chunk; gives the lines that are whole now, without the newline of the last, or None when there are none."""
        key = (step, stream)
        if key in self._broken:
            self._broken.discard(key)
            chunk = chunk.removeprefix(b"\n")  # it ends the line that is shown already
        head, newline, rest = chunk.rpartition(b"\n")
        whole: bytes | None = None
        if newline:
            held = self._open.pop(key, None)
            if held:
                head = b"".join(held) + head
                del self._open_bytes[key]
            whole = head
        if rest:
            self._open.setdefault(key, []).append(rest)
            size = self._open_bytes[key] = self._open_bytes.get(key, 0) + len(rest)
            if size > LINE_MAX_BYTES:
                broken = self._end(key) or b""
                self._broken.add(key)
                whole = broken if whole is None else whole + b"\n" + broken
        return whole

    def unfinished(self, step: str) -> bytes:
        """Give the newest line of a step that has no end yet."""
        for stream in ("err", "out"):
            if held := self._open.get((step, stream)):
                return b"".join(held)
        return b""

    def end(self, step: str) -> list[bytes]:
        """Give the lines of a step that will have no end."""
        self._broken -= {(step, "out"), (step, "err")}
        return [line for stream in ("out", "err") if (line := self._end((step, stream)))]

    def _end(self, key: _Source) -> bytes | None:
        held = self._open.pop(key, None)
        self._open_bytes.pop(key, None)
        return b"".join(held) if held else None
