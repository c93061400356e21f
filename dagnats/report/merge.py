"""The events and the output of a run in the order in which it showed them, made again of the two streams that hold them. Pure.

A chunk says which event was the last that the run had shown before it. So it comes after the commit with that event, and before the next one; chunks among
themselves, and commits, keep the order of their streams. One that does not say it, as nobody in the runner's process has shown it, comes when it was stored.
"""

from collections import deque
from collections.abc import Sequence

from msgspec import Struct

from dagnats.bus.output import Chunk
from dagnats.core.events import AnyEvent


class Commit(Struct, frozen=True):
    """Events that became true together, and when they were stored, in nanoseconds."""

    events: Sequence[AnyEvent]
    at_ns: int


class Merge:
    """Takes commits and chunks, each in their order, and gives them in one.

    `certain` is the number of an event: all chunks that came before the events up to it are here, or were given. What would be given next may wait for more
    of either stream, which `needs_commits` and `needs_chunks` say.
    """

    def __init__(self) -> None:
        self._commits: deque[Commit] = deque()
        self._chunks: deque[Chunk] = deque()
        self._shown = 0
        self.certain = 0
        self.all_commits, self.all_chunks = False, False  # whether none comes any more

    @property
    def needs_commits(self) -> bool:
        """Whether no commit waits here."""
        return not self._commits

    @property
    def needs_chunks(self) -> bool:
        """Whether no chunk waits here."""
        return not self._chunks

    @property
    def uncertain(self) -> int:
        """The event up to which it must be certain that all chunks are here before anything else is given; 0 if nothing waits for that."""
        return self._commits[0].events[-1].seq if self._commits and not self._chunks else 0

    def add(self, item: Commit | Chunk) -> None:
        """Take what comes next in its stream."""
        if isinstance(item, Commit):
            self._commits.append(item)
        else:
            self._chunks.append(item)

    def next(self) -> Commit | Chunk | None:
        """Give what comes next, or None when that is not known yet."""
        if self._chunks and self._is_next(self._chunks[0]):
            return self._chunks.popleft()
        if self._commits and (self._chunks or self.all_chunks or self.uncertain <= self.certain):
            commit = self._commits.popleft()
            self._shown = commit.events[-1].seq
            return commit
        return self._chunks.popleft() if self._chunks and self.all_commits else None

    def _is_next(self, chunk: Chunk) -> bool:
        if chunk.after is not None:
            return chunk.after <= self._shown
        return bool(self._commits) and chunk.at_ns < self._commits[0].at_ns


class Once:
    """Which bytes of each attempt have come: a chunk whose answer was lost is stored twice."""

    def __init__(self) -> None:
        self._next: dict[str, int] = {}
        self._holes: dict[
            str, set[tuple[int, int]]
        ] = {}  # by attempt, what was not there when later bytes came: it may come still

    def is_new(self, chunk: Chunk) -> bool:
        """Whether the chunk was not there before."""
        expected, end = self._next.get(chunk.place, 0), chunk.offset + len(chunk.data)
        if chunk.offset >= expected:
            if chunk.offset > expected:
                self._holes.setdefault(chunk.place, set()).add((expected, chunk.offset))
            self._next[chunk.place] = end
            return True
        for hole in self._holes.get(chunk.place, ()):
            if hole[0] <= chunk.offset and end <= hole[1]:
                self._holes[chunk.place].remove(hole)
                left = (hole[0], chunk.offset), (end, hole[1])
                self._holes[chunk.place] |= {(begin, until) for begin, until in left if begin < until}
                return True
        return False
