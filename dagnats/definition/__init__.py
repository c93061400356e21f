"""From the text of a file to a checked plan, with every problem of the file reported at once."""

from dagnats.core.pipeline import JSON, Pipeline
from dagnats.definition.check import check_shape
from dagnats.definition.compile import compile_pipeline
from dagnats.definition.files import LINE_BREAK, decode, read_bytes
from dagnats.definition.problems import Problem, Problems
from dagnats.definition.report import InvalidPipelineError, format_text, summary, to_json
from dagnats.definition.schema import schema, schema_text
from dagnats.definition.source import parse
from dagnats.definition.tree import Node

__all__ = [
    "InvalidPipelineError",
    "Problem",
    "format_text",
    "load",
    "load_mapping",
    "read",
    "schema_text",
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


def load(path: str, text: bytes | None = None) -> Pipeline:
    """The plan in a file, or in a text that was read elsewhere and is called `path`. Nothing of it is executed."""
    content = read(path) if text is None else text
    problems = Problems(path)
    plan = _compile(path, content, problems)
    if plan is None or problems:
        raise InvalidPipelineError(problems.sorted(), {path: content}, problems.total)
    return plan


def load_mapping(path: str) -> dict[str, JSON]:
    """The names and values of a file that is no pipeline, such as one with parameters."""
    problems = Problems(path)
    content = read(path)
    text = decode(content, problems, json=path.endswith(".json"))
    root = parse(text, problems) if text is not None else None
    if root is not None and not isinstance(root.value, dict) and not problems:
        problems.add(root, "expected names with values", 'for example `python: "3.12"`')
    if root is None or problems:
        raise InvalidPipelineError(problems.sorted(), {path: content}, problems.total)
    values: dict[str, JSON] = root.plain()
    return values


def _compile(path: str, content: bytes, problems: Problems) -> Pipeline | None:
    text = decode(content, problems, json=path.endswith(".json"))
    root = parse(text, problems) if text is not None else None
    if text is None or root is None:
        return None
    check_shape(root, problems)
    # Of 100,000 steps it is enough to say that they are too many.
    if not isinstance(root.value, dict) or any(_is_too_long(root.get(name)) for name in ("steps", "finally")):
        return None
    return compile_pipeline(root, path, LINE_BREAK.split(text), problems)


def _is_too_long(steps: Node | None) -> bool:
    return steps is not None and len(steps.items()) > schema()["properties"]["steps"]["maxItems"]
