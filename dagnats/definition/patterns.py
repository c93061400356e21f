"""The patterns of params: google-re2, which looks at a text once, whatever the pattern and the text are."""

from functools import lru_cache
from typing import Any

MAX_SHOWN = 200
HINTS = {
    "invalid perl operator": "there is no lookaround",
    "invalid escape sequence": "there are no references to groups; `\\\\` is a backslash, `\\z` the end of the text",
    "invalid repetition size": "at most 1,000 repetitions",
}


class PatternError(ValueError):
    """A pattern that is none."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


def matches(pattern: str, text: str) -> bool:
    """Whether the whole text matches. Raises PatternError."""
    try:
        return _compiled(pattern).fullmatch(text) is not None
    except UnicodeEncodeError:
        return False  # half of a surrogate pair is no character


def steps_of(pattern: str) -> int:
    """How large the program is that was made of a pattern. Raises PatternError."""
    size: int = _compiled(pattern).programsize
    return size


@lru_cache(256)
def _compiled(pattern: str) -> Any:
    try:
        import re2  # noqa: PLC0415 - measured: 13 ms that a file without patterns does not pay
    except ImportError:
        raise PatternError("it can not be checked", "install the Python package google-re2") from None
    options = re2.Options()
    options.log_errors = False
    try:
        return re2.compile(pattern, options)
    except (re2.error, UnicodeEncodeError) as error:
        reason = error.args[0] if error.args else ""
        message = reason.decode("utf-8", "replace") if isinstance(reason, bytes) else str(reason)
        hint = next((hint for words, hint in HINTS.items() if message.startswith(words)), "")
        raise PatternError(message[:MAX_SHOWN], hint) from None
