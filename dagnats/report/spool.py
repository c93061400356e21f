"""Output that waits to be shown: in memory, and beyond a bound in a file without a name."""

import tempfile
from collections import deque
from collections.abc import Iterator
from typing import IO

MEMORY_MAX_BYTES = 16 << 20

Owner = tuple[str, int]  # a step and its attempt
_Piece = bytes | tuple[int, int]  # itself, or where it is in the file and how long it is


class Spool:
    """Pieces of several owners, each given back in the order in which it came."""

    def __init__(self, memory_max_bytes: int = MEMORY_MAX_BYTES) -> None:
        self._memory_max_bytes = memory_max_bytes
        self._pieces: dict[Owner, deque[_Piece]] = {}
        self._in_memory = 0
        self._file: IO[bytes] | None = None
        self._file_bytes = 0
        self._dropped: dict[Owner, int] = {}  # by who can not be kept any more

    def add(self, owner: Owner, data: bytes) -> None:
        """Keep a piece. Where there is no room for it, the place says so instead: the run's store has it."""
        piece: _Piece = data
        if self._in_memory + len(data) > self._memory_max_bytes:
            try:
                piece = self._written(data)
            except OSError as error:
                self._drop(owner, len(data), error)
                return
        else:
            self._in_memory += len(data)
        self._pieces.setdefault(owner, deque()).append(piece)

    def _drop(self, owner: Owner, size: int, error: OSError) -> None:
        pieces = self._pieces.setdefault(owner, deque())
        dropped = self._dropped.get(owner, 0) + size
        if self._dropped.get(owner):
            pieces.pop()  # what said so before
        self._dropped[owner] = dropped
        text = f"dagnats: {dropped:,} bytes are not shown here: {tempfile.gettempdir()}: {error.strerror}\n".encode()
        self._in_memory += len(text)
        pieces.append(text)

    def _written(self, data: bytes) -> tuple[int, int]:
        if self._file is None:
            self._file = tempfile.TemporaryFile(prefix="dagnats-")  # noqa: SIM115 - it lives as long as this does
        self._file.seek(self._file_bytes)
        self._file.write(data)
        self._file.flush()
        self._file_bytes += len(data)
        return self._file_bytes - len(data), len(data)

    def has(self, owner: Owner) -> bool:
        """Whether an owner has something here."""
        return owner in self._pieces

    def owners(self) -> list[Owner]:
        """Who has something here; who came first comes first."""
        return list(self._pieces)

    def take(self, owner: Owner) -> Iterator[bytes]:
        """Give all pieces of an owner, and forget them."""
        self._dropped.pop(owner, None)
        for piece in self._pieces.pop(owner, ()):
            if isinstance(piece, bytes):
                self._in_memory -= len(piece)
                yield piece
            else:
                yield self._read(*piece)
        self._shrink()

    def drop(self, owner: Owner) -> None:
        """Forget what an owner has here."""
        self._dropped.pop(owner, None)
        self._in_memory -= sum(len(piece) for piece in self._pieces.pop(owner, ()) if isinstance(piece, bytes))
        self._shrink()

    def _read(self, begin: int, size: int) -> bytes:
        if self._file is None:
            return b""
        self._file.seek(begin)
        return self._file.read(size)

    def _shrink(self) -> None:
        if not self._pieces and self._file is not None:
            self._file.close()
            self._file, self._file_bytes = None, 0
