"""A part of a pipeline: `--only`, `--from`, `--until` and `--skip`, as a function from plan to plan."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from difflib import get_close_matches

from msgspec import Struct
from msgspec.structs import replace

from dagnats.core.graph import Graph, graph_of, topological
from dagnats.core.pipeline import Pipeline, Step, in_order
from dagnats.definition.mentions import of_texts, texts_of
from dagnats.errors import UsageError

MAX_SHOWN = 20


class Selection(Struct, frozen=True):
    """What the command line asks for, as ids of steps. What is left must be allowed by each of the four."""

    only: tuple[str, ...] = ()
    start: tuple[str, ...] = ()
    until: tuple[str, ...] = ()
    skip: tuple[str, ...] = ()

    def flags(self) -> dict[str, tuple[str, ...]]:
        """The ids by flag, without those flags that are not given."""
        given = {"only": self.only, "from": self.start, "until": self.until, "skip": self.skip}
        return {flag: ids for flag, ids in given.items() if ids}


def select(plan: Pipeline, selection: Selection) -> Pipeline:
    """The plan without the steps that are not asked for. Raises UsageError for ids that do not exist, and for outputs that nobody would make.

    `finally` stays, as it belongs to every run, but for `only`, which means exactly these steps, and where a flag names one of its steps.
    """
    flags = selection.flags()
    if not flags:
        return plan
    refuse_unknown(plan, flags)
    main, last = _chosen(plan.steps, selection, final=False), _chosen(plan.finally_steps, selection, final=True)
    if not main and not last:
        asked = " ".join(f"--{flag} {id_}" for flag, ids in flags.items() for id_ in ids)
        raise UsageError(f"{plan.file}: {asked} leaves no step to run; nothing was started")
    kept = main | last
    selected = replace(
        plan,
        steps=_without(plan.steps, main),
        finally_steps=_without(plan.finally_steps, last),
        selection=flags,
        left_out=tuple(step.id for step in (*plan.steps, *plan.finally_steps) if step.id not in kept),
    )
    _refuse_missing_outputs(selected)
    return replace(selected, pipelines=in_order(selected, plan.pipelines)) if plan.pipelines else selected


def refuse_unknown(plan: Pipeline, flags: Mapping[str, Sequence[str]]) -> None:
    """Raise UsageError for steps that the plan does not have."""
    known = [step.id for step in (*plan.steps, *plan.finally_steps) if step.handles is None]
    there = set(known)
    problems = [
        f"--{flag}: {plan.file} has no step `{id_[:100]}`{inside(plan, id_) or _hint(id_, known)}"
        for flag, ids in flags.items()
        for id_ in ids
        if id_ not in there
    ]
    if problems:
        raise UsageError("\n".join(problems[:MAX_SHOWN]))


def inside(plan: Pipeline, id_: str) -> str:
    """Say of the id of a step in a pipeline that another step runs why it can not be chosen."""
    owner = id_.partition("/")[0].partition("[")[0].partition("#")[0]
    found = next((step for step in (*plan.steps, *plan.finally_steps) if step.id == owner), None)
    if "/" not in id_ or found is None or found.pipeline is None:
        return ""
    return f"; that is inside of what `{owner}` runs: choose `{owner}`, or run {found.pipeline} by itself"


def _hint(id_: str, known: Sequence[str]) -> str:
    close = get_close_matches(id_[:100], known[:1000], 1)
    if close:
        return f"; did you mean `{close[0]}`?"
    return f"; it has {', '.join(known)}" if len(known) <= MAX_SHOWN else ""


def _chosen(steps: Sequence[Step], selection: Selection, *, final: bool) -> set[str]:
    """The ids that stay of one list of steps. Those that handle a failure go with the step that may fail."""
    graph = graph_of([step for step in steps if step.handles is None])
    kept = set(graph.needs)
    if selection.only:
        kept &= set(selection.only)
    for ids, edges, is_from in ((selection.start, graph.dependents, True), (selection.until, graph.needs, False)):
        own = [id_ for id_ in ids if id_ in graph.needs]
        if own:
            kept &= _reached(own, edges)
        elif ids and not final and is_from:
            kept = set()  # it begins in `finally`, when all of `steps` has ended
    kept -= set(selection.skip)
    return kept | {step.id for step in steps if step.handles in kept}


def _reached(ids: Iterable[str], edges: Mapping[str, Sequence[str]]) -> set[str]:
    found = set(ids)
    pending = list(found)
    for id_ in pending:
        fresh = [other for other in edges[id_] if other not in found]
        found.update(fresh)
        pending.extend(fresh)
    return found


def _without(steps: Sequence[Step], kept: set[str]) -> tuple[Step, ...]:
    """The steps that stay. A need on one that does not becomes needs on what that one needs: it counts as skipped, and the order stays."""
    if len(kept) == len(steps):
        return tuple(steps)
    stands_for = _stand_ins(graph_of(steps), kept)
    return tuple(
        replace(
            step,
            needs=tuple(
                dict.fromkeys(id_ for need in step.needs for id_ in ((need,) if need in kept else stands_for[need]))
            ),
        )
        for step in steps
        if step.id in kept
    )


def _stand_ins(graph: Graph, kept: set[str]) -> dict[str, tuple[str, ...]]:
    found: dict[str, tuple[str, ...]] = {}
    for id_ in topological(graph):
        if id_ not in kept:
            nearest = (other for need in graph.needs[id_] for other in ((need,) if need in kept else found[need]))
            found[id_] = tuple(dict.fromkeys(nearest))
    return found


def _refuse_missing_outputs(plan: Pipeline) -> None:
    left_out = frozenset(plan.left_out)
    problems: list[str] = []
    for step in (*plan.steps, *plan.finally_steps):
        for path in dict.fromkeys(_uses(step)):
            if path[1] in left_out and path[2:3] in ((), ("outputs",)):
                shown = ".".join(path)
                problems.append(
                    f"{plan.file}: step `{step.id}` uses `{shown}`, and `{path[1]}` is left out; "
                    f"run `{path[1]}` too, or leave out `{step.id}`"
                )
    if problems:
        raise UsageError("\n".join([*problems[:MAX_SHOWN], "nothing was started"]))


def _uses(step: Step) -> Iterator[tuple[str, ...]]:
    """Every `steps.…` that the templates of a step mention."""
    mentioning = ((text, expression) for text, expression in texts_of(step) if "steps" in text)
    yield from (path for path in of_texts(mentioning) if path[0] == "steps" and len(path) > 1)
