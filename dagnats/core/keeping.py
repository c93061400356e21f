"""What is kept of a step's files: bounds, names, and when."""

from dagnats.core.containers import Wrong
from dagnats.core.pipeline import Keeping

BYTES_MAX = 1 << 30  # of the files of one step
FILES_MAX = 100_000  # of one step
SEEN_MAX = 1_000_000  # entries of directories that are looked at for one step
DEPTH_MAX = 100  # directories below each other
NAME_MAX = 200


def wrong_name(text: str) -> Wrong | None:
    """Say what is wrong with the name of artifacts, as the rest of a sentence that names it."""
    if not text.strip():
        return Wrong("is empty")
    if len(text) > NAME_MAX:
        return Wrong(f"has more than {NAME_MAX} characters")
    if not text.isprintable():
        return Wrong("may hold no line breaks and no control characters")
    return None


def is_kept(when: Keeping | str, *, failed: bool) -> bool:
    """Whether the files of an attempt that has ended are kept. One that was stopped is neither of the two."""
    return when == "always" or (when == "on_failure") is failed
