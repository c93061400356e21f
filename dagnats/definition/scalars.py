"""The value of a plain scalar: the core schema of YAML 1.2, finite numbers only."""

import re
from functools import lru_cache

from dagnats.definition.tree import Scalar

WORDS: dict[str, Scalar] = {
    "": None,
    "~": None,
    **dict.fromkeys(("null", "Null", "NULL"), None),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
# No plain scalar that begins otherwise is a number, and nearly all begin otherwise.
NUMBER_STARTS = frozenset("0123456789+-.")
INTEGER = re.compile(r"[-+]?[0-9]+")
BASED = re.compile(r"0o[0-7]+|0x[0-9a-fA-F]+")
FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
NOT_FINITE = re.compile(r"[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)")
MAX_DIGITS = 20
MAX_INTEGER = 2**63 - 1


class NumberError(ValueError):
    """A number that JSON and the machine can not hold."""


@lru_cache(4096)  # keys and small numbers come again and again
def resolve(text: str) -> Scalar:
    """The value that a plain scalar stands for."""
    if text in WORDS:
        return WORDS[text]
    if text[0] not in NUMBER_STARTS:
        return text
    if INTEGER.fullmatch(text):
        return _bounded(text, 10)
    if BASED.fullmatch(text):
        return _bounded(text, 0)
    if FLOAT.fullmatch(text):
        number = float(text)
        if number in (float("inf"), float("-inf")):
            raise NumberError("this number is too large")
        return number
    if NOT_FINITE.fullmatch(text):
        raise NumberError("a number must be finite")
    return text


def _bounded(text: str, base: int) -> int:
    # The length is looked at first: to convert 10,000 digits is slow, and an error of Python's own.
    digits = text.lstrip("+-").lstrip("0")
    number = int(text, base) if len(digits) <= MAX_DIGITS else MAX_INTEGER + 1
    if abs(number) > MAX_INTEGER:
        raise NumberError("this integer does not fit in 64 bits")
    return number
