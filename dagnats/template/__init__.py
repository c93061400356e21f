"""Sandboxed templates in the syntax of Jinja: `check` before a run, `evaluate` and `render` within it.

Jinja takes long to import: ask `dagnats.core.text.has_template` first.
"""

from dagnats.template.check import Reference
from dagnats.template.errors import TemplateError
from dagnats.template.quoting import check_script
from dagnats.template.render import check, evaluate, nodes, render, render_script, render_text, status_functions

__all__ = [
    "Reference",
    "TemplateError",
    "check",
    "check_script",
    "evaluate",
    "nodes",
    "render",
    "render_script",
    "render_text",
    "status_functions",
]
