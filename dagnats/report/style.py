"""Colours, and who decides on them: the flag, NO_COLOR, FORCE_COLOR, CI, the terminal. No meaning is carried by colour alone."""

from collections.abc import Mapping

from msgspec import Struct

_PREFIXES = ("36", "35", "34", "33", "32", "96", "95", "94")


class Style(Struct, frozen=True):
    """Whether to colour, and whether signs beyond ASCII can be shown."""

    color: bool = False
    unicode: bool = True

    def paint(self, text: str, code: str) -> str:
        """Colour the text by a code of SGR."""
        return f"\x1b[{code}m{text}\x1b[0m" if self.color else text

    def prefix(self, text: str, number: int) -> str:
        """Colour a step's prefix; neighbours differ."""
        return self.paint(text, _PREFIXES[number % len(_PREFIXES)])

    def sign(self, sign: str) -> str:
        """Give the sign, or its likeness in ASCII."""
        return (
            sign
            if self.unicode
            else {
                "✓": "+",
                "✗": "x",
                "!": "!",
                "-": "-",
                "↻": "~",
                "…": "...",
                "──": "--",
                "─": "-",
                "━": "#",
                "▸": ">",
                "·": "*",
                " · ": ", ",
            }.get(sign, sign)
        )


def wants_color(flag: str, environ: Mapping[str, str], *, terminal: bool) -> bool:
    """Decide on colour. `flag` is auto, always or never."""
    if flag != "auto":
        return flag == "always"
    if environ.get("NO_COLOR"):
        return False
    force = environ.get("FORCE_COLOR", environ.get("CLICOLOR_FORCE", ""))
    if force:
        return force not in ("0", "false")
    if environ.get("CI") or environ.get("TERM") == "dumb":
        return False
    return terminal
