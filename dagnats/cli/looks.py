"""How the commands that look at runs print."""

import os
import sys
from collections.abc import Iterable

import click

from dagnats.cli.options import said
from dagnats.report.style import Style, wants_color


def style_of_stdout() -> Style:
    """Colours and signs as stdout takes them."""
    unicode = (sys.stdout.encoding or "ascii").lower().startswith("utf")
    return Style(color=wants_color("auto", os.environ, terminal=sys.stdout.isatty()), unicode=unicode)


def put(lines: Iterable[str], style: Style) -> None:
    """Print text, of which some is from steps: what stdout has no character for is written as an escape, and nothing is a command to GitHub Actions."""
    _write(said("\n".join(lines)), style)


def put_json(text: str) -> None:
    """Print JSON. The escapes of Python are those of JSON, for a half of a surrogate too."""
    _write(text, Style())


def _write(text: str, style: Style) -> None:
    encoding = sys.stdout.encoding or "utf-8"
    click.echo(text.encode(encoding, "backslashreplace"), color=style.color)
