"""Ids of steps, what they need, and that no step waits for itself."""

import re
from collections.abc import Mapping, Sequence
from itertools import pairwise

from msgspec import Struct, field

from dagnats.core.graph import Graph, topological
from dagnats.definition.problems import Problems, quoted
from dagnats.definition.tree import Node
from dagnats.definition.values import flag, text
from dagnats.definition.words import suggest

ID = re.compile(r"[a-z][a-z0-9_-]{0,62}")
NO_ID = re.compile(r"[^a-z0-9_]+")
MAX_ID = 63
MAX_LABEL = 1000  # more than a name may have
MAX_CYCLES = 20
MAX_IMPLIED = 20
MAX_HANDLERS = 10_000
SHOWN_OF_CYCLE = 8


class Draft(Struct):
    """A step on its way into the plan: its id, its node, and the ids that it needs."""

    id: str
    node: Node
    index: int
    needs: list[str] = field(default_factory=list)
    places: dict[str, Node] = field(default_factory=dict)


def draft(steps: list[Node], finals: list[Node], problems: Problems) -> tuple[list[Draft], list[Draft]]:
    """Give every step its id, and find what it needs."""
    taken: dict[str, Node] = {}
    for step in (*steps, *finals):
        _note_given(step, taken, problems)
    numbers: dict[str, int] = {}
    main = [_draft(step, index, f"step-{index + 1}", taken, numbers) for index, step in enumerate(steps)]
    last = [_draft(step, index, f"finally-{index + 1}", taken, numbers) for index, step in enumerate(finals)]
    for one, other, names in ((main, last, "`steps`"), (last, main, "`finally`")):
        _resolve(one, {step.id for step in other}, names, problems)
        _report_cycles(one, problems)
    return main, last


def _note_given(step: Node, taken: dict[str, Node], problems: Problems) -> None:
    node = step.get("id")
    name = text(node)
    if node is None or name is None or not ID.fullmatch(name):
        return
    if name in taken:
        first = taken[name].get("id") or taken[name]
        message = f"the id {quoted(name)} is used twice"
        problems.add(node, message, f"the first is at {problems.where(first, node)}")
    else:
        taken[name] = node


class Ancestry:
    """Which steps a step needs, directly or not. It is worked out when it is first asked for, for all steps at once."""

    def __init__(self, drafts: list[Draft]) -> None:
        self._drafts = {step.id: step for step in drafts}
        self._bit = {step.id: 1 << place for place, step in enumerate(drafts)}
        self._above: dict[str, int] = {}

    def needs(self, step: Draft, other: str) -> bool:
        """Whether a step needs another; of one that is in a cycle nothing can be said, and nothing is missed."""
        if other in step.places:
            return True
        if not self._above:
            self._work_out()
        return bool(self._above.get(step.id, -1) & self._bit[other])

    def implied(self, step: Draft) -> list[tuple[str, str]]:
        """Needs of a step that others of its needs have too, each with one of those; not more than somebody reads."""
        if not self._above:
            self._work_out()
        together = 0
        for need in step.needs:
            together |= self._above[need]
        found = [need for need in step.needs if together & self._bit[need]][:MAX_IMPLIED]
        return [(need, next(other for other in step.needs if self._above[other] & self._bit[need])) for need in found]

    def _work_out(self) -> None:
        # One integer a step, a bit for each step above it: 10,000 steps are 12 MB, and joining two sets is one operation.
        for name in order({name: step.needs for name, step in self._drafts.items()}):
            above = 0
            for need in self._drafts[name].needs:
                above |= self._above[need] | self._bit[need]
            self._above[name] = above


def _draft(step: Node, index: int, number: str, taken: dict[str, Node], numbers: dict[str, int]) -> Draft:
    given = text(step.get("id"))
    if given is not None and taken.get(given) is step.get("id"):
        return Draft(given, step, index)
    label = (text(step.get("name")) or "")[:MAX_LABEL]
    slug = NO_ID.sub("-", label.lower()).strip("-")[: MAX_ID - 6] if "{{" not in label else ""
    wanted = slug if ID.fullmatch(slug) else number
    # What was taken stays taken: 10,000 steps of one name do not ask for each number again.
    unique, count = wanted, numbers.get(wanted, 1)
    while unique in taken:
        count += 1
        unique = f"{wanted}-{count}"
    numbers[wanted] = count
    taken[unique] = step
    return Draft(unique, step, index)


def draft_handlers(steps: list[Draft], problems: Problems) -> dict[str, list[Draft]]:
    """The steps of every `on_failure`, by the step that they belong to: the first waits for that one, each other for the one above it."""
    taken = {step.id: step.node for step in steps}
    drafts: dict[str, list[Draft]] = {}
    numbers: dict[str, int] = {}
    many = 0
    for step in steps:
        node = step.node.get("on_failure")
        nodes = [item for item in (node.items() if node is not None else []) if isinstance(item.value, dict)]
        many += len(nodes)
        if many > MAX_HANDLERS:
            message = f"with those of step {quoted(step.id)} there are more than {MAX_HANDLERS:,} steps of `on_failure`"
            problems.add(
                step.node.keys["on_failure"], message, "let several steps need one that handles their failures"
            )
            return drafts
        for one in nodes:
            _note_given(one, taken, problems)
        before = step.id
        for index, one in enumerate(nodes):
            made = _draft(one, index, f"{step.id[: MAX_ID - 16]}-on-failure-{index + 1}", taken, numbers)
            made.needs.append(before)
            before = made.id
            drafts.setdefault(step.id, []).append(made)
    return drafts


def _resolve(drafts: list[Draft], others: set[str], names: str, problems: Problems) -> None:
    known: dict[str, object] = {step.id: step for step in drafts}
    for step in drafts:
        node = step.node.get("needs")
        if node is None:
            if step.index:
                step.needs.append(drafts[step.index - 1].id)
            continue
        for item in node.items():
            _need(step, item, known, others, problems, names=names)


def _need(
    step: Draft, item: Node, known: dict[str, object], others: set[str], problems: Problems, *, names: str
) -> None:
    place = item.get("step") if isinstance(item.value, dict) else item
    name = text(place)
    if place is None or name is None or not ID.fullmatch(name):
        return
    if name == step.id:
        problems.add(place, f"step {quoted(name)} needs itself")
    elif name in step.places:
        problems.add(place, f"step {quoted(step.id)} needs {quoted(name)} twice")
    elif name in known:
        step.needs.append(name)
        step.places[name] = place
    elif name in others:
        problems.add(place, f"step {quoted(step.id)} may only need steps of {names}", _across(name, names))
    elif not flag(item.get("optional")):
        hint = suggest(name, known, problems)
        problems.add(place, f"step {quoted(step.id)} needs {quoted(name)}, and there is no such step", hint)


def _across(name: str, names: str) -> str:
    if names == "`finally`":
        return f"all of `steps` has ended when `finally` begins; remove {quoted(name)}"
    return f"{quoted(name)} is a step of `finally`, which begins when all of `steps` has ended"


def _report_cycles(drafts: list[Draft], problems: Problems) -> None:
    by_id = {step.id: step for step in drafts}
    left = _Left({step.id: step.needs for step in drafts})
    for _ in range(MAX_CYCLES):
        if not left.open:
            return
        cycle = left.cycle()
        _report(cycle, by_id, problems)
        left.remove(cycle)


class _Left:
    """The steps that are in no order: each waits for itself, or for one that does. `open` counts what a step still waits for."""

    def __init__(self, needs: Mapping[str, Sequence[str]]) -> None:
        self._needs = needs
        self._dependents = _dependents(needs)
        self.open = {name: len(ids) for name, ids in needs.items()}
        self.remove([name for name, count in self.open.items() if not count])

    def remove(self, names: Sequence[str]) -> None:
        """Take steps away, and those that waited for nothing else: not all is looked at again for each cycle."""
        gone = list(names)
        for name in gone:
            self.open.pop(name, None)
        for name in gone:
            for dependent in self._dependents[name]:
                if dependent in self.open:
                    self.open[dependent] -= 1
                    if not self.open[dependent]:
                        del self.open[dependent]
                        gone.append(dependent)

    def cycle(self) -> list[str]:
        """Follow the needs from any step that is left until one comes again."""
        seen: dict[str, int] = {}
        name = next(iter(self.open))
        while name not in seen:
            seen[name] = len(seen)
            name = next(need for need in self._needs[name] if need in self.open)
        return list(seen)[seen[name] :]


def _dependents(needs: Mapping[str, Sequence[str]]) -> dict[str, list[str]]:
    dependents: dict[str, list[str]] = {name: [] for name in needs}
    for name, ids in needs.items():
        for need in ids:
            dependents[need].append(name)
    return dependents


def order(needs: Mapping[str, Sequence[str]]) -> list[str]:
    """The steps, each behind all that it needs; without those that are in a cycle or behind one."""
    return topological(
        Graph(
            {name: tuple(ids) for name, ids in needs.items()},
            {name: tuple(waiting) for name, waiting in _dependents(needs).items()},
        )
    )


def _report(cycle: list[str], by_id: dict[str, Draft], problems: Problems) -> None:
    first = min(range(len(cycle)), key=lambda place: by_id[cycle[place]].index)
    cycle = cycle[first:] + cycle[:first]
    path = [*cycle, cycle[0]]
    shown = path if len(path) <= SHOWN_OF_CYCLE + 1 else [*path[:4], f"… {len(path) - 7} more …", *path[-3:]]
    implied = next((name for name in cycle if not by_id[name].places), None)
    place = next(by_id[a].places[b] for a, b in pairwise(path) if b in by_id[a].places)
    hint = "remove one of these needs"
    if implied is not None:
        above = by_id[implied].needs[0]
        hint = f"{quoted(implied)} has no `needs`, so it waits for {quoted(above)} above it; `needs: []` would start it at once"
    problems.add(place, f"steps wait for each other: {' → '.join(shown)}", hint)
