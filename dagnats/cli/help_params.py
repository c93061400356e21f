"""`dagnats run FILE --help-params`: what can be given to a pipeline, as a table."""

import click

from dagnats.core.pipeline import JSON, Param, Pipeline
from dagnats.core.text import encode_json
from dagnats.definition import load
from dagnats.definition.params import variable_of
from dagnats.definition.problems import printable

HEAD = ("give as", "type", "default", "allowed", "help")
PLACES = {
    "string": "TEXT",
    "integer": "N",
    "number": "N",
    "boolean": "true|false",
    "array": "'[JSON]'",
    "object": "'{JSON}'",
}
MAX_CELL = 60


def show_params(file: str, text: bytes | None) -> int:
    """Print the params of a pipeline; nothing of it is run."""
    click.echo(params_table(load(file, text)))
    return 0


def params_table(plan: Pipeline) -> str:
    """One row a param, and below them where else a value may stand."""
    if not plan.params:
        return f"{plan.name} has no params"
    rows = [HEAD, *(_row(name, param) for name, param in plan.params.items())]
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEAD))]
    lines = [
        "  " + "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    ]
    names = ", ".join(variable_of(name) for name in plan.params)
    return "\n".join(
        (
            f"params of {plan.name}",
            "",
            *lines,
            "",
            "Each may also stand in the file of --params-file, or in the environment:",
            f"  {names}",
        )
    )


def _row(name: str, param: Param) -> tuple[str, ...]:
    default = "required" if param.required else "none" if param.default is None else _shown(param.default)
    return (
        f"-p {name}={PLACES[param.type]}",
        param.type,
        default,
        _allowed(param),
        printable(" ".join(param.help.split())),
    )


def _allowed(param: Param) -> str:
    if param.enum is not None:
        return _cut(" | ".join(_shown(value) for value in param.enum))
    if param.pattern is not None:
        return f"matches {_cut(printable(param.pattern))}"
    low, high = (None if bound is None else f"{bound:g}" for bound in (param.minimum, param.maximum))
    if low is not None and high is not None:
        return f"{low} to {high}"
    return f"at least {low}" if low is not None else f"at most {high}" if high is not None else "any"


def _shown(value: JSON) -> str:
    return _cut(printable(value if isinstance(value, str) and value.strip() == value != "" else encode_json(value)))


def _cut(text: str) -> str:
    return text if len(text) <= MAX_CELL else text[: MAX_CELL - 1] + "…"
