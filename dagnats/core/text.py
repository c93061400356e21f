"""Questions about text that cost nothing to ask."""

import re

# `${#name}` is the length of a shell variable, and no comment of a template.
_TEMPLATE = re.compile(r"\{\{|\{%|(?<!\$)\{#")


def has_template(text: str) -> bool:
    """Whether text holds anything for `dagnats.template`, which is slow to import, to do."""
    return _TEMPLATE.search(text) is not None
