"""Problems in the forms that other programs show beside the code: SARIF, and the workflow commands of GitHub."""

from collections.abc import Iterator, Sequence
from urllib.parse import quote

from dagnats import __version__
from dagnats.core.pipeline import JSON
from dagnats.core.text import workflow_command
from dagnats.definition.problems import Problem

RULES = {
    "error": ("invalid-pipeline", "The file is not a pipeline that can be run."),
    "warning": ("doubtful-pipeline", "The file can be run, and may not do what was meant."),
}
SARIF_SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"


def to_sarif(problems: Sequence[Problem]) -> dict[str, JSON]:
    """Give a SARIF 2.1.0 log with one run. Columns count code points from 1, and the end is the column behind the last one."""
    rules = [{"id": name, "shortDescription": {"text": text}} for name, text in RULES.values()]
    return {
        "$schema": SARIF_SCHEMA,
        "version": "2.1.0",
        "runs": [
            {
                "tool": {"driver": {"name": "dagnats", "version": __version__, "rules": rules}},
                "columnKind": "unicodeCodePoints",
                "results": [_result(problem) for problem in problems],
            }
        ],
    }


def _result(problem: Problem) -> JSON:
    place: dict[str, JSON] = {"artifactLocation": {"uri": _uri(problem.file)}}
    if problem.line:
        end = problem.column + problem.length
        place["region"] = {"startLine": problem.line, "startColumn": problem.column, "endColumn": end}
    return {
        "ruleId": RULES[problem.severity][0],
        "ruleIndex": list(RULES).index(problem.severity),
        "level": problem.severity,
        "message": {"text": _sentence(problem)},
        "locations": [{"physicalLocation": place}],
    }


def _uri(path: str) -> str:
    # a relative path stays relative, so that whoever reads the log can find it in a checkout of its own
    escaped = quote(path, safe="/", errors="surrogateescape")
    return f"file://{escaped}" if path.startswith("/") else escaped


def to_github(problems: Sequence[Problem]) -> Iterator[str]:
    """Give a workflow command of GitHub for each problem, which makes it an annotation at its line."""
    for problem in problems:
        properties: dict[str, str | int] = {"file": problem.file}
        if problem.line:
            end = problem.column + problem.length
            properties |= {"line": problem.line, "col": problem.column, "endColumn": end}
        properties["title"] = f"dagnats: {RULES[problem.severity][0].replace('-', ' ')}"
        yield workflow_command(problem.severity, _sentence(problem), **properties)


def _sentence(problem: Problem) -> str:
    return f"{problem.message}; {problem.hint}" if problem.hint else problem.message
