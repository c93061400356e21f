"""What a new run may take over from another, and what it does again and why: two plans, how the old one ended, and the values of both.

A step is reused when it ended well, is defined as it was, mentions values that are what they were, and needs nothing that runs again. What files hold is not
looked at: whoever changed what a step reads asks for that step.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal

from msgspec import Struct, field

from dagnats.core.cancel import below
from dagnats.core.codec import plan_record
from dagnats.core.events import Again, Artifact, Given, Rerun, Reusable
from dagnats.core.fanout import cells
from dagnats.core.graph import graph_of, topological
from dagnats.core.pipeline import JSON, Pipeline, Step
from dagnats.core.planstate import PlanState
from dagnats.core.rerun import Keys, canonical, endings
from dagnats.core.state import RunState, Status, StepState
from dagnats.definition.mentions import Path, of_items, of_plan, of_step

Mode = Literal["failed", "from", "only"]
WELL = (Status.SUCCEEDED, Status.WARNING)
_KEPT = (*WELL, Status.SKIPPED)
_FAILED = (Status.FAILED, Status.TIMED_OUT)
# What says nothing of what a step does, or is compared by itself.
_APART = frozenset({"name", "line", "file", "status_functions", "pipeline", "fan_out", "services", "env"})
_WORDS = {
    "condition": "if",
    "each_condition": "if",
    "timeout_s": "timeout",
    "idle_timeout_s": "idle_timeout",
    "handles": "on_failure",
}


class Before(Struct, frozen=True):
    """A run that is over, or was broken off: its state, and the place in its journal of the end of each step."""

    run: str
    state: RunState
    ends: Mapping[str, int]


class Now(Struct, frozen=True):
    """The values of the new run. Of those that `later` names, as `vars.x`, or `git` for all of it, nothing is known before it starts."""

    workspace: str
    params: Mapping[str, JSON] = field(default_factory=dict)
    vars: Mapping[str, JSON] = field(default_factory=dict)
    env: Mapping[str, str] = field(default_factory=dict)
    git: Mapping[str, JSON] = field(default_factory=dict)
    later: frozenset[str] = frozenset()


class Found(Struct, frozen=True):
    """What a rerun takes over and does again; `unsure` names, by the key of a reused step, the values that are only known later and could change that."""

    rerun: Rerun
    unsure: Mapping[str, tuple[str, ...]]


def compared(before: Before, plan: Pipeline, now: Now, mode: Mode, steps: Sequence[str] = ()) -> Found:
    """Judge every step of the new plan."""
    judge = _Judge(before, plan, now)
    judge.level(before.state.own, plan, "", frozenset(steps), mode)
    for step in plan.finally_steps:
        judge.again[step.id] = Again("finally")
    rerun = Rerun(before.run, mode, tuple(steps), judge.reused, judge.again, judge.given)
    return Found(rerun, {key: names for key, names in judge.unsure.items() if key not in judge.again})


class _Judge:
    """Goes through two plans at once, and through the pipelines of steps that did not end well."""

    def __init__(self, before: Before, plan: Pipeline, now: Now) -> None:
        self._before = before
        self._old = before.state
        self._keys = Keys(before.state.steps)
        self._plan = plan
        self._now = now
        self._inside: dict[tuple[str, str], Again | None] = {}  # by the files of a pipeline, then and now
        self.reused: dict[str, Reusable] = {}
        self.again: dict[str, Again] = {}
        self.given: dict[str, Given] = {}
        self.unsure: dict[str, tuple[str, ...]] = {}

    def level(
        self, old: PlanState, new: Pipeline, prefix: str, asked: frozenset[str] = frozenset(), mode: Mode = "failed"
    ) -> None:
        """Judge the steps of one plan, each after its needs. The order of the file decides nothing."""
        level = _Level(old, new, prefix)
        by_id = {step.id: step for step in new.steps}
        runs: set[str] = set()
        for id_ in topological(graph_of(new.steps)):
            step = by_id[id_]
            cause = self._apart(level, step, Again("asked", (f"--{mode}",)) if id_ in asked else None)
            needed = tuple(need for need in step.needs if need in runs)
            before = self._old.steps.get(old.prefix + id_)
            if cause is None and needed and (before is None or before.status not in _FAILED):
                cause = Again("needs", needed)
            kept = cause is None and before is not None and not needed and self._keep(level, step, before)
            if not kept:
                runs.add(id_)
                self.again.setdefault(prefix + id_, cause or _ended(before))

    def _apart(self, level: "_Level", step: Step, asked: Again | None) -> Again | None:
        """Say why the step runs whatever its end and its needs were."""
        before = level.steps.get(step.id)
        if asked is not None or before is None:
            return asked or Again("new")
        changed = tuple(dict.fromkeys(level.changes(step)))
        if changed:
            return Again("changed", changed)
        values, unsure = self._differences(level, of_step(level.new, step))
        if unsure:
            self.unsure[level.prefix + step.id] = unsure
        return Again("value", values) if values else None

    def _keep(self, level: "_Level", step: Step, before: StepState) -> bool:
        """Note what of a step is as it was: all of it, some of its instances, or some steps of its pipeline. True when nothing of it runs."""
        if step.fan_out is not None:
            return not _has_not_begun(before) and self._keep_instances(level, step, before)
        return self._keep_one(step, before, level.prefix + step.id)

    def _keep_one(self, step: Step, before: StepState, key: str) -> bool:
        if _has_not_begun(before):
            return False
        if before.status is Status.SKIPPED:
            return True  # its condition is asked again, of the same values
        inner = self._plan.pipelines.get(step.pipeline or "")
        changes = self._changes_inside(before.step, inner) if inner is not None else None
        if before.status in WELL and changes is None:
            self.reused[key] = self._reusable(before)
            return True
        if changes is not None and before.status in WELL:
            self.again[key] = changes
        if inner is not None and before.subrun is not None:
            self.given[key] = Given(params=before.subrun.params, vars=before.subrun.vars)
            self.level(before.subrun, inner, f"{key}/")
        return False

    def _keep_instances(self, level: "_Level", step: Step, before: StepState) -> bool:
        key = level.prefix + step.id
        ids = before.instances.ids if before.instances is not None else ()
        each = {self._keys.of(self._old.steps[id_]): self._old.steps[id_] for id_ in ids}
        kept = {one for one, state in each.items() if self._keep_one(step, state, one)}
        for one, state in each.items():
            if one not in kept:
                self.again.setdefault(one, _ended(state))
        cause = self._list_changed(level, step, set(each), key, before)
        if cause is not None:
            self.again[key] = cause
        if before.instances is None:  # it has not come to that, or was skipped, or its list was empty
            return cause is None and before.status in _KEPT
        return cause is None and len(kept) == len(each)

    def _list_changed(self, level: "_Level", step: Step, old: set[str], key: str, before: StepState) -> Again | None:
        """Say whether there are, or may be, other instances than before."""
        fan_out, was = step.fan_out, level.steps[step.id].fan_out
        if fan_out is None or was is None:
            return Again("changed", ("matrix",))
        if fan_out.is_matrix:
            new = {key + ending for ending in endings(list(cells(fan_out)))}
            return Again("changed", ("matrix",)) if before.instances is not None and new != old else None
        if canonical(fan_out.items) != canonical(was.items):
            return Again("changed", ("foreach",))
        values, unsure = self._differences(level, of_items(fan_out.items))
        if unsure:
            self.unsure[key] = (*self.unsure.get(key, ()), *unsure)
        return Again("value", values) if values else None

    def _reusable(self, state: StepState) -> Reusable:
        """Say how the step ended, and in which run: a rerun of a rerun knows where it ran."""
        if state.reused is not None:
            run, seq = state.reused.from_run, state.reused.from_seq
        else:
            run, seq = self._before.run, self._before.ends.get(state.step.id, 0)
        failure = state.failure if state.status is Status.WARNING else None
        return Reusable(
            run=run,
            seq=seq,
            status="warning" if state.status is Status.WARNING else "succeeded",
            outputs=state.outputs,
            exit_code=state.exit_code,
            reason=failure.reason if failure is not None else None,
            message=failure.message if failure is not None else "",
            artifacts=self._artifacts(state),
        )

    def _artifacts(self, state: StepState) -> dict[str, Artifact]:
        """Give the files that were kept of a step, and of those of its pipeline."""
        found = dict(state.artifacts)
        for id_ in below(state, self._old.steps):
            for name, artifact in self._old.steps[id_].artifacts.items():
                found[name if name not in found else f"{id_}/{name}"] = artifact
        return found

    def _changes_inside(self, old: Step, inner: Pipeline) -> Again | None:
        """Say whether the pipeline of a step would do something else, however deep."""
        files = old.pipeline or "", inner.file
        if files not in self._inside:
            self._inside[files] = self._compare_inside(self._old.plan.pipelines.get(files[0]), inner)
        return self._inside[files]

    def _compare_inside(self, before: Pipeline | None, inner: Pipeline) -> Again | None:
        if before is None or _content(before, self._old.plan.pipelines) != _content(inner, self._plan.pipelines):
            return Again("changed", (inner.file,))
        paths = {path: None for path in of_plan(inner, self._plan.pipelines) if path[0] not in ("params", "vars")}
        values, _ = self._differences(_Level(PlanState(before, {}, {}), inner, "?"), paths)
        return Again("value", values) if values else None

    def _differences(self, level: "_Level", paths: Mapping[Path, None]) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Name those of the mentioned values that are not what they were, and those of which that is not known yet."""
        changed: dict[str, None] = {}
        unsure: dict[str, None] = {}
        for path in paths:
            name = ".".join(path[:2])
            if name in self._now.later or path[0] in self._now.later or self._has_later(path):
                unsure[name] = None
            elif not self._is_same(level, path):
                changed["run.id" if path[0] == "run" else name] = None
        return tuple(changed), tuple(unsure)

    def _has_later(self, path: Path) -> bool:
        return len(path) == 1 and any(name.startswith(f"{path[0]}.") for name in self._now.later)

    def _is_same(self, level: "_Level", path: Path) -> bool:
        root, key = path[0], path[1] if len(path) > 1 else None
        if root == "run":
            return key not in (None, "id")  # there is no other run of that name
        if root in ("params", "vars") and level.is_inner:
            return True  # asked when it begins
        old, new = self._values(level, root)
        if key is None:
            return canonical(old) == canonical(new)
        return (key in old) is (key in new) and canonical(old.get(key)) == canonical(new.get(key))

    def _values(self, level: "_Level", root: str) -> tuple[Mapping[str, JSON], Mapping[str, JSON]]:
        """Give what a context was, and what it is. Those that come from steps are what they were while their steps are."""
        started, now = self._old.started, self._now
        places = _place(level.old.plan, started.workspace), _place(level.new, now.workspace)
        pairs: dict[str, tuple[Mapping[str, JSON], Mapping[str, JSON]]] = {
            "params": (started.params, now.params),
            "vars": (started.vars, now.vars),
            "env": (started.env, now.env),
            "git": (started.git, now.git),
            "secrets": (level.old.plan.secrets, level.new.secrets),
            "pipeline": places,
        }
        return pairs.get(root, ({}, {}))


class _Level:
    """A plan as it was and as it is; `prefix` stands before the keys of its steps."""

    def __init__(self, old: PlanState, new: Pipeline, prefix: str) -> None:
        self.old = old
        self.new = new
        self.prefix = prefix
        self.is_inner = prefix != ""
        self.steps = {step.id: step for step in old.plan.steps}
        self._records = _records(old.plan), _records(new)

    def changes(self, step: Step) -> Iterator[str]:
        """Name what of a step's definition is not as it was, by the keys of its file."""
        old, new = (records[step.id] for records in self._records)
        for name in step.__struct_fields__:
            if name not in _APART and canonical(old.get(name)) != canonical(new.get(name)):
                yield _WORDS.get(name, name)
        before = self.steps[step.id]
        for name in _different({**self.old.plan.env, **before.env}, {**self.new.env, **step.env}):
            yield f"env.{name}"
        if (before.fan_out is None) is not (step.fan_out is None):
            yield "matrix" if (step.fan_out or before.fan_out or _NO).is_matrix else "foreach"
        if (before.pipeline is None) is not (step.pipeline is None):
            yield "pipeline"
        if canonical(_files(self.old.plan)) != canonical(_files(self.new)):
            yield "dotenv"
        used = [
            {name: plan.services.get(name) for name in one.services}
            for plan, one in ((self.old.plan, before), (self.new, step))
        ]
        for name in _different(*used):
            yield f"services.{name}"


class _No:
    is_matrix = True


_NO = _No()


def _different(old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[str]:
    yield from (name for name in {**old, **new} if old.get(name) != new.get(name))


def _records(plan: Pipeline) -> dict[str, Any]:
    record = plan_record(plan)
    steps: Any = (*record.get("steps", ()), *record.get("finally_steps", ()))
    return {step["id"]: step for step in steps}


def _files(plan: Pipeline) -> list[JSON]:
    return [[file.path, file.optional] for file in plan.dotenv]


def _content(plan: Pipeline, pipelines: Mapping[str, Pipeline]) -> str:
    """Give all that a pipeline does as text, wherever it stands."""
    record: dict[str, Any] = {**plan_record(plan), "pipelines": {}, "file": "", "description": ""}
    for key in ("steps", "finally_steps"):
        record[key] = [_step_content(step, pipelines) for step in record.get(key, ())]
    return canonical(record)


def _step_content(step: dict[str, Any], pipelines: Mapping[str, Pipeline]) -> JSON:
    inner = pipelines.get(step.get("pipeline", ""))
    plain = {key: value for key, value in step.items() if key not in ("line", "file", "name")}
    return plain | ({"pipeline": _content(inner, pipelines)} if inner is not None else {})


def _has_not_begun(state: StepState) -> bool:
    """Whether the step failed before there was an attempt, as its `if` could not be evaluated: that is asked again."""
    failure = state.failure
    return state.instances is None and failure is not None and failure.attempt == 0


def _place(plan: Pipeline, workspace: str) -> dict[str, JSON]:
    return {"name": plan.name, "file": plan.file, "dir": workspace}


def _ended(state: StepState | None) -> Again:
    return Again("ended", (str(state.status),)) if state is not None else Again("new")
