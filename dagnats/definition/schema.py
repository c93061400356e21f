"""The schemas, of a pipeline file and of events: one text each, in `schemas/` of the project and beside this module in a wheel."""

import json
from functools import cache
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
NAME = "pipeline.schema.json"
EVENTS = "event.schema.json"


def schema_text(name: str = NAME) -> str:
    """A JSON Schema as it is published; that of pipelines unless another is named."""
    installed = HERE / name
    return (installed if installed.exists() else HERE.parents[1] / "schemas" / name).read_text("utf-8")


@cache
def schema() -> dict[str, Any]:
    """The schema of pipelines with every `$ref` replaced by what it refers to. It has no cycles."""
    document: dict[str, Any] = json.loads(schema_text())
    definitions = document.pop("definitions")

    def inline(part: Any) -> Any:
        if isinstance(part, list):
            return [inline(item) for item in part]
        if not isinstance(part, dict):
            return part
        whole = {key: value if key in ("default", "examples") else inline(value) for key, value in part.items()}
        name = whole.pop("$ref", None)
        return {**resolved(name), **whole} if isinstance(name, str) else whole

    @cache
    def resolved(reference: str) -> dict[str, Any]:
        found: dict[str, Any] = inline(definitions[reference.rsplit("/", 1)[1]])
        return found

    result: dict[str, Any] = inline(document)
    return result
