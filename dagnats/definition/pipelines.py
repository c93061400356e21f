"""The files of pipelines that steps run: each is read and checked once, however many steps run it."""

import os
from collections.abc import Callable, Mapping

from msgspec.structs import replace

from dagnats.core.fanout import INSTANCES_MAX, count
from dagnats.core.pipeline import Pipeline, Step, in_order
from dagnats.definition.beside import INSIDE, circle, file_beside, is_inside, note_unreadable
from dagnats.definition.files import MAX_BYTES, read_bytes
from dagnats.definition.problems import Problems, quoted
from dagnats.definition.project import project_root
from dagnats.definition.tree import Node

MAX_LEVELS = 8
MAX_FILES = 100

Compile = Callable[[str, dict[str, bytes], Problems, Callable[[], "Pipelines"]], tuple[Node, Pipeline] | None]


class Pipelines:
    """Those of one file and of all that its steps run; their bytes are added to `sources`."""

    def __init__(self, path: str, sources: dict[str, bytes], problems: Problems, compiled: Compile) -> None:
        self._root = project_root(path).resolve()
        self._sources = sources
        self._problems = problems
        self._compile = compiled
        self._chain = [os.path.realpath(path)]  # the files that lead to the one that is looked at
        self._known: dict[str, Pipeline | None] = {}  # by real path; None has problems, which are noted
        self._levels: dict[str, int] = {}  # how deep those are that the pipeline of a file runs
        self._weights: dict[str, int] = {}  # how many steps and instances the pipeline of a file makes
        self._totals: dict[str, int] = {}  # how many of them are not steps of the file
        self._found: dict[str, Pipeline] = {}
        self._waiting: set[str] = set()
        self._wrong: set[str] = set()

    def of(self, place: Node, path: str, problems: Problems) -> Pipeline | None:
        """The pipeline that a step runs, which stands in the file at `path`; None where there is none, which is a problem by then."""
        file = file_beside(place, path, problems)
        if file is None:
            return None
        real = os.path.realpath(file)
        if self._is_refused(place, file, real, problems):
            return None
        if os.path.islink(file):  # noqa: PTH114 (as typed)
            # what it names is relative to where it is, however it was reached
            folder = os.path.dirname(file)  # noqa: PTH120 (as typed)
            file = os.path.normpath(os.path.join(folder, os.path.relpath(real, os.path.realpath(folder))))  # noqa: PTH118
        if real not in self._known:
            self._known[real] = self._load(place, file, real, problems)
        level = self._levels.get(real, 0)
        if len(self._chain) + level > MAX_LEVELS:
            problems.add(place, f"pipelines run each other more than {MAX_LEVELS} levels deep")
            return None
        self._levels[self._chain[-1]] = max(self._levels.get(self._chain[-1], 0), level + 1)
        return self._known[real]

    def is_wrong(self, plan: Pipeline) -> bool:
        """Whether problems were found in its file, so that not all of it may be there."""
        return plan.file in self._wrong

    def refuse_recorded_secrets(self, plan: Pipeline) -> None:
        """Note where a file mentions a variable of the environment that is the secret of another one: what is mentioned is recorded."""
        plans = [plan, *self._found.values()]
        secrets = {source: (name, one.file) for one in plans for name, source in one.secrets.items()}
        for one in plans:
            for name in sorted(one.env_names):
                secret, file = secrets.get(f"env://{name}", ("", one.file))
                if file != one.file:
                    found = Problems(one.file)
                    message = f"{quoted(f'env.{name}')} is the secret {quoted(secret)} of {quoted(file)}, and `env` is recorded"
                    found.add_at(0, 0, 0, message, f"make it a secret here too: `secrets: {{{secret}: env://{name}}}`")
                    self._problems.adopt(found)

    def together(self, plan: Pipeline) -> Pipeline:
        """The plan of a run: with those of all that is run in it, and with all that these need to be recorded."""
        if not self._found:
            return plan
        inner = self._found.values()
        return replace(
            plan,
            pipelines=in_order(plan, self._found),
            env_names=plan.env_names.union(*(one.env_names for one in inner)),
            uses_git=plan.uses_git or any(one.uses_git for one in inner),
        )

    def weigh(self, plan: Pipeline, places: Mapping[str, Node], problems: Problems) -> int:
        """Count the instances, and the steps of the pipelines that steps run, `places` being where those stand; too many are a problem."""
        total = 0
        for step in (*plan.steps, *plan.finally_steps):
            before, total = total, total + self._weight(step)
            if before <= INSTANCES_MAX < total and step.id in places:
                message = (
                    f"with those of {quoted(step.pipeline)}, the run has {total:,} instances and steps of pipelines"
                )
                problems.add(places[step.id], f"{message}; at most {INSTANCES_MAX:,} are allowed")
        self._totals[plan.file] = total
        return total

    def _weight(self, step: Step) -> int:
        cells = count(step.fan_out) if step.fan_out is not None and step.fan_out.is_matrix else 0
        return cells + max(cells, 1) * self._weights.get(step.pipeline or "", 0)

    def waits_for_mutexes(self, plan: Pipeline) -> bool:
        """Whether a step of it, however deep, has a mutex."""
        return plan.file in self._waiting

    def _is_refused(self, place: Node, file: str, real: str, problems: Problems) -> bool:
        if not is_inside(real, self._root):
            problems.add(place, f"{quoted(file)} is outside of this project", f"a step runs what {INSIDE}")
        elif (way := circle(self._chain, real, self._root)) is not None:
            problems.add(
                place, f"pipelines run each other: {way}", "a pipeline may not run itself, directly or through others"
            )
        elif len(self._chain) > MAX_LEVELS:
            problems.add(place, f"pipelines run each other more than {MAX_LEVELS} levels deep")
        elif real not in self._known and len(self._known) >= MAX_FILES:
            problems.add(place, f"more than {MAX_FILES} files of pipelines are run")
        else:
            return False
        return True

    def _load(self, place: Node, file: str, real: str, problems: Problems) -> Pipeline | None:
        found = Problems(file, strict=problems.strict)
        found.effort = problems.effort
        content = read_bytes(file, found)
        if content is None:
            note_unreadable(place, file, real, found, problems, verb="run")
            return None
        if sum(map(len, self._sources.values())) + len(content) > MAX_BYTES:
            problems.add(place, "with the pipelines that it runs, the file is larger than 1 MiB")
            return None
        self._sources[file] = content
        self._chain.append(real)
        compiled = self._compile(file, self._sources, found, lambda: self)
        self._chain.pop()
        self._problems.adopt(found)
        if compiled is None:
            return None
        plan = compiled[1]
        self._found[file] = plan
        if found.errors:
            self._wrong.add(file)
        steps = (*plan.steps, *plan.finally_steps)
        total = self._totals[file] if file in self._totals else self.weigh(plan, {}, found)
        self._weights[file] = len(steps) + total if not found.errors else 0  # it has been refused
        if any(step.mutex is not None or step.pipeline in self._waiting for step in steps):
            self._waiting.add(file)
        return plan
