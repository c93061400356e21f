"""What `rerun` asks for: which part of a file is run, with which params, and what is refused."""

from collections.abc import Iterable, Mapping, Sequence

from msgspec import Struct
from msgspec.structs import replace

from dagnats.core.events import AnyEvent, Outcome
from dagnats.core.pipeline import JSON, Param, Pipeline
from dagnats.core.rerun import said
from dagnats.core.state import TERMINAL, fold
from dagnats.definition.params import accepted
from dagnats.definition.problems import quoted
from dagnats.definition.reuse import Before, Found, Mode, Now, compared
from dagnats.definition.select import Selection, refuse_unknown, select
from dagnats.errors import UsageError


class Rerun(Struct, frozen=True):
    """A run of before, and what of it shall run again."""

    before: Before
    mode: Mode
    steps: tuple[str, ...] = ()

    @property
    def asked(self) -> str:
        """What was asked for, as it was written."""
        return f"--{self.mode}" + "".join(f" {id_}" for id_ in self.steps)

    def selected(self, plan: Pipeline) -> Pipeline:
        """Give what is run of a file: what was selected in the run of before, and with `only` what the steps need. Raises UsageError."""
        was = self.before.state.plan.selection
        before = Selection(**{"start" if flag == "from" else flag: ids for flag, ids in was.items()})
        plan = select(plan, before)
        if not self.steps:
            return plan
        for id_ in self.steps:
            if id_ in plan.left_out:
                raise UsageError(f"--{self.mode}: the step {quoted(id_)} was left out of run {self.before.run}; run it")
        refuse_unknown(plan, {self.mode: self.steps})
        if self.mode == "from":
            return plan
        last = [step.id for step in plan.finally_steps if step.id in self.steps]
        if last:
            raise UsageError(
                f"--only: {quoted(last[0])} is a step of `finally`, which runs again with every rerun: `--from {last[0]}` runs no other step that ended well"
            )
        left_out = plan.left_out
        chosen = select(plan, Selection(until=self.steps))
        selection = {**was, "until": self.steps}
        return replace(chosen, selection=selection, left_out=tuple(dict.fromkeys((*left_out, *chosen.left_out))))

    def params(self, declared: Mapping[str, Param], given: Iterable[str]) -> dict[str, JSON]:
        """Give the values that the run of before had, for all that are not given now. Raises UsageError where one does not fit any more."""
        known = set(given)
        values: dict[str, JSON] = {}
        problems: list[str] = []
        for name, value in self.before.state.started.params.items():
            if name in declared and name not in known:
                try:
                    values[name] = accepted(name, declared[name], value)
                except UsageError as error:
                    problems.append(f"{error} (of run {self.before.run}); give another with -p {name}=...")
        if problems:
            raise UsageError("\n".join(problems))
        return values

    def found(self, plan: Pipeline, now: Now) -> Found:
        """Say what is taken over and what runs again. Raises UsageError where that is nothing, or more than was asked for."""
        found = compared(self.before, plan, now, self.mode, self.steps)
        if self.mode == "failed":
            self._refuse_nothing(found)
        if self.mode == "only":
            self._refuse_more(plan, found)
        return found

    def _refuse_nothing(self, found: Found) -> None:
        state = self.before.state
        ended_well = state.finished is not None and state.outcome is Outcome.SUCCEEDED
        if ended_well and all(again.why == "finally" for again in found.rerun.again.values()):
            raise UsageError(
                f"nothing to do: run {self.before.run} succeeded, and nothing that it did has changed since; "
                "`--from STEP` runs a step again, and all that depends on it"
            )

    def _refuse_more(self, plan: Pipeline, found: Found) -> None:
        allowed = {*self.steps, *(step.id for step in plan.steps if step.handles in self.steps)}
        more = [step.id for step in plan.steps if step.id in found.rerun.again and step.id not in allowed]
        if more:
            why = said(found.rerun.again[more[0]], self.before.run)
            others = f" and {len(more) - 1} more" if len(more) > 1 else ""
            raise UsageError(
                f"--only: {', '.join(map(quoted, self.steps))} needs {quoted(more[0])}{others}, which would run again ({why}); "
                f"`--from {more[0]}` runs all of them"
            )


def before(run: str, events: Sequence[AnyEvent]) -> Before:
    """Read a run from its events. Raises JournalError when they can not follow on each other."""
    state = fold(events[:1])
    ends: dict[str, int] = {}
    for event in events[1:]:
        state.apply(event)
        step = state.steps.get(getattr(event, "step", None) or "")
        if step is not None and step.status in TERMINAL:
            ends.setdefault(step.step.id, event.seq)
    return Before(run, state, ends)
