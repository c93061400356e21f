"""Sandboxed templates in the syntax of Jinja: `check` before a run, `evaluate` and `render` within it.

Jinja takes long to import: ask `dagnats.core.text.has_template` first.
"""

from dagnats.template.check import Reference
from dagnats.template.errors import TemplateError
from dagnats.template.quoting import check_script
from dagnats.template.render import check, evaluate, nodes, render, render_script, render_text, status_functions
from dagnats.template.secret import check_secrets, render_secret_script, render_secret_text

__all__ = [
    "Reference",
    "TemplateError",
    "check",
    "check_script",
    "check_secrets",
    "evaluate",
    "nodes",
    "render",
    "render_script",
    "render_secret_script",
    "render_secret_text",
    "render_text",
    "status_functions",
]
