"""Attempts that wait in the queue and that no worker claims: when their tasks are sent again, and when nobody waits for that any longer."""

from collections.abc import Collection, Sequence

SENT_AGAIN = 4

Key = tuple[str, int]  # a step and its attempt


class Unclaimed:
    """Counts the looks at which an attempt was found waiting. Its first may be a moment after it was sent."""

    def __init__(self) -> None:
        self._looks: dict[Key, int] = {}

    def look(self, waiting: Collection[Key]) -> tuple[Sequence[Key], Sequence[Key]]:
        """Give those that are to be sent again, and those that were sent often enough, each once."""
        self._looks = {key: self._looks.get(key, 0) + 1 for key in waiting}
        again = [key for key, looks in self._looks.items() if 1 < looks <= 1 + SENT_AGAIN]
        given_up = [key for key, looks in self._looks.items() if looks == 2 + SENT_AGAIN]
        return again, given_up
