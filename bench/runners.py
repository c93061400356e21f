"""The three runners: how each writes a graph down, and how it is told to run it.

A step of `sh -c true` is one process of `sh` in all of them. just hands every line to `sh -c` itself, so its line is the script alone.
"""

import json
import shlex
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.graphs import Graph


@dataclass(frozen=True, slots=True)
class Runner:
    """A program that runs graphs. `flags` makes the arguments for so many steps at once."""

    name: str
    program: Path
    file_name: str
    render: Callable[[Graph], str]
    flags: Callable[[int], Sequence[str]]

    def write(self, graph: Graph, directory: Path) -> None:
        (directory / self.file_name).write_text(self.render(graph))

    def argv(self, parallel: int = 1, options: Sequence[str] = ()) -> list[str]:
        return [str(self.program), *self.flags(parallel), *options]


def dagnats() -> Runner:
    """The command that is installed beside the interpreter that measures."""
    program = Path(sys.executable).parent / "dagnats"
    return Runner(
        "dagnats",
        program,
        "pipeline.yaml",
        pipeline_text,
        lambda parallel: ["run", "pipeline.yaml", "-j", str(parallel)],
    )


def go_task(program: Path) -> Runner:
    return Runner("go-task", program, "Taskfile.yml", taskfile_text, lambda parallel: ["-C", str(parallel)])


def just(program: Path) -> Runner:
    return Runner("just", program, "justfile", justfile_text, lambda parallel: ["--jobs", str(parallel)])


def pipeline_text(graph: Graph) -> str:
    lines = ["name: bench", "steps:"]
    for name, node in graph.items():
        lines += [
            f"  - id: {name}",
            f"    needs: {json.dumps(list(node.needs))}",
            f"    command: {json.dumps(list(node.command))}",
        ]
    return "\n".join(lines) + "\n"


def taskfile_text(graph: Graph) -> str:
    """Each task once, after its dependencies; the default one depends on all that nobody else waits for."""
    lines = ['version: "3"', "tasks:", "  default:", f"    deps: {json.dumps(_ends(graph))}"]
    for name, node in graph.items():
        lines += [
            f"  {name}:",
            "    run: once",
            f"    deps: {json.dumps(list(node.needs))}",
            f"    cmds: [{json.dumps(shlex.join(node.command))}]",
        ]
    return "\n".join(lines) + "\n"


def justfile_text(graph: Graph) -> str:
    lines = ["[parallel]", f"all: {' '.join(_ends(graph))}"]
    for name, node in graph.items():
        script = node.command[2] if tuple(node.command[:2]) == ("sh", "-c") else shlex.join(node.command)
        lines += [f"{name}: {' '.join(node.needs)}".rstrip(), f"  {script}"]
    return "\n".join(lines) + "\n"


def _ends(graph: Graph) -> list[str]:
    needed = {need for node in graph.values() for need in node.needs}
    return [name for name in graph if name not in needed]
