"""The answers as one table: for a terminal, for a page, and as data."""

import json
import os
import platform
from collections.abc import Iterable, Sequence

from bench.rounds import Answer, Result

HEAD = ("case", "what", "median", "min to max", "ratio", "to", "goal", "")
RIGHT = {2, 3, 4}


def machine(peers: Sequence[str]) -> str:
    """What the numbers belong to, in a line."""
    parts = [
        f"{platform.system()} {platform.machine()}",
        f"{os.cpu_count()} CPUs",
        f"Python {platform.python_version()}",
        *peers,
    ]
    return ", ".join(parts)


def text(answers: Iterable[Answer]) -> str:
    """Columns for a terminal, a line of space between cases."""
    blocks = [_lines(answer) for answer in answers]
    widths = [
        max(len(line[n]) for line in [HEAD, *(line for block in blocks for line in block)]) for n in range(len(HEAD))
    ]
    shown = [_aligned(HEAD, widths)]
    for block in blocks:
        shown += ["", *(_aligned(line, widths) for line in block)]
    return "\n".join(shown)


def markdown(answers: Iterable[Answer]) -> str:
    """The same as a table of a Markdown page."""
    rule = ["---:" if n in RIGHT else "---" for n in range(len(HEAD))]
    lines = [HEAD, rule, *(line for answer in answers for line in _lines(answer))]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def as_json(answers: Iterable[Answer], peers: Sequence[str]) -> str:
    """All of it, with every sample."""
    cases = [
        {
            "name": answer.case.name,
            "title": answer.case.title,
            "rounds": answer.rounds,
            "rows": [_data(result) for result in answer.results],
            "failures": dict(answer.failures),
        }
        for answer in answers
    ]
    return json.dumps({"machine": machine(peers), "cases": cases}, indent=2) + "\n"


def _data(result: Result) -> dict[str, object]:
    row = result.row
    return {
        "name": row.name,
        "unit": row.unit,
        "median": result.median,
        "samples": list(result.samples),
        "over": row.over,
        "ratio": result.ratio,
        "at_most": row.at_most,
        "at_least": row.at_least,
        "reached": result.reached,
    }


def _lines(answer: Answer) -> list[tuple[str, ...]]:
    lines: list[tuple[str, ...]] = []
    for result in answer.results:
        row = result.row
        lines.append(
            (
                answer.case.name,
                row.name,
                f"{_number(result.median)} {row.unit}",
                f"{_number(min(result.samples))} to {_number(max(result.samples))}",
                "" if result.ratio is None else f"{result.ratio:.2f} x",
                row.over if result.ratio is not None and row.over else "",
                _goal(result),
                {None: "", True: "reached", False: "MISSED"}[result.reached],
            )
        )
    return lines


def _goal(result: Result) -> str:
    row = result.row
    unit = "x" if row.over else row.unit
    if row.at_most is not None:
        return f"≤ {row.at_most:g} {unit}"
    return f"≥ {row.at_least:g} {unit}" if row.at_least is not None else ""


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def _aligned(line: Sequence[str], widths: Sequence[int]) -> str:
    cells = [
        cell.rjust(width) if n in RIGHT else cell.ljust(width)
        for n, (cell, width) in enumerate(zip(line, widths, strict=True))
    ]
    return "  ".join(cells).rstrip()
