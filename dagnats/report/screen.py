"""What a step prints, made fit for a screen: colours and tabs stay, and nothing else can steer the terminal.

A carriage return overwrites its line, as a terminal would: of a progress bar the last state is shown.
"""

import re

_PLAIN = bytes(byte for byte in range(0x20, 0x7F)) + b"\t\n"
_FIT = re.compile(rb"(?:[\t\n\x20-\x7e\x80-\xc1\xc3-\xff]++|\xc2[\xa0-\xbf]|\x1b\[[0-9;:]*+m)*+")  # of UTF-8
_ESCAPE = re.compile(
    rb"(\x1b\[[0-9;:]*m)"  # a colour: kept
    rb"|\x1b\[[0-?]*[ -/]*[@-~]?"  # CSI: moves, erases, asks
    rb"|\x1b[\]PX^_][^\x07\x1b\n]*(?:\x07|\x1b\\)?"  # OSC, DCS, SOS, PM, APC: titles, clipboards, links
    rb"|\x1b[ -/]*[0-Z\\`-~]?"  # other sequences, and one that is cut
    rb"|\xc2[\x80-\x9f]"  # C1 in UTF-8
    rb"|[\x00-\x08\x0b\x0c\x0e-\x1a\x1c-\x1f\x7f]"
)
_COLOUR = re.compile(rb"\x1b\[[0-9;:]*m")
_RESET = re.compile(rb"\x1b\[0*m")
_RESET_BYTES = b"\x1b[0m"
_CARRIED_MAX_BYTES = 64


def fit(lines: bytes) -> bytes:
    """Give whole lines as a screen may show them: UTF-8, without what steers a terminal, but for colours."""
    if not lines.translate(None, _PLAIN):
        return lines
    if b"\r" in lines:
        lines = b"\n".join(line.rstrip(b"\r").rpartition(b"\r")[2] for line in lines.split(b"\n"))
    if not lines.isascii():
        lines = lines.decode("utf-8", "replace").encode()
    return lines if _FIT.fullmatch(lines) else _ESCAPE.sub(rb"\1", lines)


def without_colours(lines: bytes) -> bytes:
    """Give lines that `fit` has made fit without their colours too."""
    return _COLOUR.sub(b"", lines) if b"\x1b" in lines else lines


class Colours:
    """Carries the colour in which a step's text goes on from one piece of it to the next, so that what stands between them is not coloured."""

    def __init__(self) -> None:
        self._carried = b""

    def bracket(self, lines: bytes) -> bytes:
        """Give lines that begin in the colour of those before and leave none behind."""
        if b"\x1b" not in lines:
            return self._carried + lines + _RESET_BYTES if self._carried else lines
        begun = self._carried
        codes = _COLOUR.findall(lines)
        after_reset = max((place + 1 for place, code in enumerate(codes) if _RESET.fullmatch(code)), default=0)
        self._carried = b"".join(([] if after_reset else [begun]) + codes[after_reset:])[-_CARRIED_MAX_BYTES:]
        if len(self._carried) == _CARRIED_MAX_BYTES:
            self._carried = b""  # cut within a code
        return begun + lines + (_RESET_BYTES if codes else b"")
