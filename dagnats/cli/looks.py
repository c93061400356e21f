"""How the commands that look at runs print."""

import os
import sys

from dagnats.report.style import Style, wants_color


def style_of_stdout() -> Style:
    """Colours and signs as stdout takes them."""
    unicode = (sys.stdout.encoding or "ascii").lower().startswith("utf")
    return Style(color=wants_color("auto", os.environ, terminal=sys.stdout.isatty()), unicode=unicode)
