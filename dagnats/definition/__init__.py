"""From the text of a file to a checked plan, with every problem of the file reported at once."""

from typing import TYPE_CHECKING

from dagnats.core.pipeline import JSON, Pipeline
from dagnats.definition.check import check_shape
from dagnats.definition.compile import compile_pipeline, mappings
from dagnats.definition.files import LINE_BREAK, decode, read_bytes
from dagnats.definition.needs import draft
from dagnats.definition.problems import Problem, Problems
from dagnats.definition.report import InvalidPipelineError, format_text, summary, to_json
from dagnats.definition.schema import schema, schema_text
from dagnats.definition.source import parse
from dagnats.definition.tree import Node
from dagnats.definition.values import text as plain_text

if TYPE_CHECKING:
    from collections.abc import Callable

    from dagnats.definition.pipelines import Pipelines

__all__ = [
    "InvalidPipelineError",
    "Problem",
    "format_text",
    "load",
    "load_document",
    "load_mapping",
    "read",
    "schema_text",
    "step_ids",
    "summary",
    "to_json",
]


def read(path: str) -> bytes:
    """The bytes of a pipeline file; whatever is not a readable regular file of bounded size is refused with the reason."""
    problems = Problems(path)
    content = read_bytes(path, problems)
    if content is None:
        raise InvalidPipelineError(problems.sorted(), {}, problems.total)
    return content


def load(path: str, text: bytes | None = None, *, strict: bool = False) -> Pipeline:
    """The plan in a file, or in a text that was read elsewhere and is called `path`. Nothing of it is executed.

    When `strict`, what is allowed and often a mistake is a problem too.
    """
    return load_document(path, text, strict=strict)[1]


def load_document(path: str, text: bytes | None = None, *, strict: bool = False) -> tuple[Node, Pipeline]:
    """The plan, and beside it the tree of which it was made."""
    sources = {path: read(path) if text is None else text}
    problems = Problems(path, strict=strict)
    made: list[Pipelines] = []

    def pipelines() -> "Pipelines":
        if not made:
            from dagnats.definition.pipelines import Pipelines  # noqa: PLC0415 - few files run others

            made.append(Pipelines(path, sources, problems, _compile))
        return made[0]

    compiled = _compile(path, sources, problems, pipelines)
    if compiled is not None and made:
        made[0].refuse_recorded_secrets(compiled[1])
    if compiled is None or problems:
        raise InvalidPipelineError(problems.sorted(), sources, problems.total)
    root, plan = compiled
    return root, made[0].together(plan) if made else plan


def load_mapping(path: str) -> dict[str, JSON]:
    """The names and values of a file that is no pipeline, such as one with parameters."""
    problems = Problems(path)
    content = read(path)
    text = decode(content, problems, json=path.endswith(".json"))
    example = 'for example `python: "3.12"`'
    root = parse(text, problems, needs=example) if text is not None else None
    if root is not None and not isinstance(root.value, dict) and not problems:
        problems.add(root, "expected names with values", example)
    if root is None or problems:
        raise InvalidPipelineError(problems.sorted(), {path: content}, problems.total)
    values: dict[str, JSON] = root.plain()
    return values


def _compile(
    path: str, sources: dict[str, bytes], problems: Problems, pipelines: "Callable[[], Pipelines]"
) -> tuple[Node, Pipeline] | None:
    text = decode(sources[path], problems, json=path.endswith(".json"))
    root = parse(text, problems) if text is not None else None
    if text is None or root is None:
        return None
    check_shape(root, problems)
    if not isinstance(root.value, dict):
        return None
    lines = LINE_BREAK.split(text)
    sources |= _included(root, path, lines, problems, len(sources[path]))
    # Of 100,000 steps it is enough to say that they are too many.
    if any(_is_too_long(root.get(name)) for name in ("steps", "finally")):
        return None
    return root, compile_pipeline(root, path, lines, problems, pipelines)


def _included(root: Node, path: str, lines: list[str], problems: Problems, size: int) -> dict[str, bytes]:
    if "include" not in root.value:
        return {}
    from dagnats.definition.include import join_included  # noqa: PLC0415 - few files pay for joining others

    return join_included(root, path, lines, problems, size)


def _is_too_long(steps: Node | None) -> bool:
    return steps is not None and len(steps.items()) > schema()["properties"]["steps"]["maxItems"]


def step_ids(path: str) -> list[tuple[str, str | None]]:
    """Ids and names of the steps that can be selected in a file, whatever else is wrong with it: templates are not looked at."""
    problems = Problems(path)
    text = decode(read(path), problems, json=path.endswith(".json"))
    root = parse(text, problems) if text is not None else None
    if text is None or root is None:
        return []
    if root.get("include") is not None:
        from dagnats.definition.include import join_included  # noqa: PLC0415 - few files pay for joining others

        join_included(root, path, LINE_BREAK.split(text), problems, len(text))
    main, last = draft(mappings(root.get("steps")), mappings(root.get("finally")), problems)
    return [(step.id, plain_text(step.node.get("name"))) for step in (*main, *last)]
