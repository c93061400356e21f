"""What is allowed and often a mistake: `validate --strict` reports it, and nothing else does."""

import posixpath
import re
from collections.abc import Iterable
from itertools import pairwise
from typing import Any

from dagnats.core.pipeline import Param
from dagnats.definition.needs import Ancestry, Draft
from dagnats.definition.once import Once
from dagnats.definition.places import Starts
from dagnats.definition.problems import Problems, quoted
from dagnats.definition.scopes import Names, Scope
from dagnats.definition.templates import TemplateCheck
from dagnats.definition.tree import Node
from dagnats.definition.values import holds_template

PROGRAMS = {
    **dict.fromkeys(("sh", "bash", "dash", "zsh", "ksh", "python", "python3"), "c"),
    **dict.fromkeys(("perl", "ruby", "node"), "e"),
    "pwsh": "Command",
}
HARMLESS = ("integer", "number", "boolean")
FOREIGN = re.compile(r"\$\{?GITHUB_OUTPUT\b|\$\{?GITHUB_ENV\b|::set-output\b|::add-mask\b")
FOREIGN_HINT = 'here a step writes its outputs: `echo "name=value" >> "$DAGNATS_OUTPUT"`'
PASTED_HINT = "leave out `| raw`: then the script gets the value as a variable"
ARGUMENT_HINT = "write it as `run`, or give the value as an argument of its own"


Path = tuple[str, ...]


class Strict:
    """Warnings about one file. What it knows of `vars` it is told in their order."""

    def __init__(self, names: Names, templates: TemplateCheck, problems: Problems) -> None:
        self._names = names
        self._templates = templates
        self._problems = problems
        self._once = Once()
        self._outside_vars: set[str] = set()

    def note_var(self, name: str, node: Node, scope: Scope) -> None:
        """Remember whether the value of a var can come from outside."""
        if node.get("sh") is not None or any(self._outside(path, scope) for path in self._once(self._mentioned, node)):
            self._outside_vars.add(name)

    def script(self, node: Node, scope: Scope) -> None:
        """Report values from outside that are pasted into a script, and outputs that are written for another system."""
        foreign = self._once(_foreign, node)
        if foreign:
            self._problems.warn(node, f"{quoted(foreign)} is of another system", FOREIGN_HINT)
        starts, pasted = self._once(self._pasted, node)
        if not pasted or not self._templates.may_look_at(len(pasted), node):
            return
        for reference in pasted:
            if self._outside(reference.path, scope):
                name = quoted(".".join(reference.path))
                message = f"{name} can come from outside, and `| raw` makes code of it"
                self._templates.warn_pasted(starts, reference, message, PASTED_HINT)

    def _pasted(self, node: Node) -> tuple[Starts, list[Any]]:
        starts, references = self._templates.references(node)
        return starts, [reference for reference in references if reference.raw]

    def graph(self, drafts: list[Draft]) -> None:
        """Report what of the needs is without effect, or seems to be missing. The file is right otherwise."""
        check_graph(drafts, self._names, self._problems)

    def command(self, node: Node, scope: Scope) -> None:
        """Report values from outside that are in an argument which is a script: `[bash, -c, "… {{ x }}"]`."""
        for word, paths in self._once(self._scripts, node):
            if not self._templates.may_look_at(len(paths), word):
                return
            outside = next((path for path in paths if self._outside(path, scope)), None)
            if outside is not None:
                program = quoted(node.items()[0].value)
                message = f"{quoted('.'.join(outside))} can come from outside, and {program} takes it for code here"
                self._problems.warn(word, message, ARGUMENT_HINT)

    def _scripts(self, node: Node) -> list[tuple[Node, list[Path]]]:
        """The arguments of a command that are scripts with templates, and what each mentions."""
        words = node.items()
        program = words[0].value if words else None
        option = PROGRAMS.get(posixpath.basename(program)) if isinstance(program, str) else None
        if option is None:
            return []
        pairs = pairwise(words)
        scripts = [word for flag, word in pairs if isinstance(flag.value, str) and _is_option(flag.value, option)]
        return [(word, paths) for word in scripts if (paths := self._once(self._mentioned, word))]

    def _mentioned(self, node: Node) -> list[Path]:
        """What the texts in a value mention, each once."""
        pending = [node]
        found: dict[Path, None] = {}
        for part in pending:
            pending += [*part.items(), *part.fields().values()]
            if holds_template(part):
                found |= dict.fromkeys(self._once(self._paths, part))
        return list(found)

    def _paths(self, node: Node) -> list[Path]:
        return list(dict.fromkeys(reference.path for reference in self._templates.references(node)[1]))

    def _outside(self, path: tuple[str, ...], scope: Scope) -> bool:
        root, rest = path[0], path[1:]
        if root in scope.own:
            return root != "matrix" and _is_computed(scope.step)
        if root == "params" and rest:
            return _is_open(self._names.params.get(rest[0]))
        if root == "vars" and rest:
            return rest[0] in self._outside_vars
        if root == "git":
            return rest[:1] in ((), ("branch",), ("tag",))
        if root == "failed":
            return rest[:1] != ("exit_code",)
        return root in ("params", "vars", "env") or (root == "steps" and rest[1:2] in ((), ("outputs",), ("cells",)))


def _foreign(node: Node) -> str:
    """What stands in a script that only another system understands."""
    texts = [node.value] if isinstance(node.value, str) else [item.value for item in node.items()]
    found = next((hit for text in texts if isinstance(text, str) and (hit := FOREIGN.search(text))), None)
    return found[0] if found is not None else ""


def _is_option(word: str, option: str) -> bool:
    if len(option) > 1:
        return word.lower() in (f"-{option.lower()}", "-c")
    return word.startswith("-") and not word.startswith("--") and word.endswith(option)


def _is_open(param: Any) -> bool:
    """Whether a param may be any text. Numbers, and what is one of a list of the author's, are no code."""
    return not (isinstance(param, Param) and (param.type in HARMLESS or param.enum is not None))


def _is_computed(step: Draft | None) -> bool:
    """Whether the items of a step are worked out when it starts, and not written in the file."""
    node = step.node.get("foreach") if step is not None else None
    items = node.get("items") if node is not None and isinstance(node.value, dict) else node
    return items is None or not isinstance(items.value, list)


def check_graph(drafts: list[Draft], names: Names, problems: Problems) -> None:
    """Report needs that others imply, and steps that seem to have been forgotten. The file is right otherwise."""
    ancestry = Ancestry(drafts)
    for step in drafts:
        for need, other in ancestry.implied(step):
            if need in step.places:
                message = f"step {quoted(step.id)} needs {quoted(need)} already because it needs {quoted(other)}"
                problems.warn(step.places[need], message, f"remove {quoted(need)}")
    for step, why in _forgotten(drafts, names):
        place = step.node.get("id") or step.node
        problems.warn(
            place, f"step {quoted(step.id)} {why}", "add it to the `needs` of the steps that shall wait for it"
        )


def _forgotten(drafts: list[Draft], names: Names) -> Iterable[tuple[Draft, str]]:
    """Steps that nobody needs, where that is likely to be an error.

    Ends of chains are nothing special: every pipeline has some. One is reported in a list in which a step names others in its `needs`, if it is not
    the last step of the list, may not fail, asks for no status in its `if`, its results are mentioned nowhere, and either it needs nothing
    itself, so that it is no part of the graph, or it declares outputs, which are there to be read.
    """
    if not any(step.places for step in drafts):
        return
    needed = {need for step in drafts for need in step.needs}
    for step in drafts[:-1]:
        fields = step.node.fields()
        condition = fields["if"].value if "if" in fields else ""
        asks = isinstance(condition, str) and any(
            f"{name}(" in condition for name in ("failure", "always", "cancelled")
        )
        may_fail = "allow_failure" in fields and fields["allow_failure"].value is not False
        if step.id in needed or step.id in names.read_steps or asks or may_fail:
            continue
        if "outputs" in fields:
            yield step, "declares outputs, and nobody needs it or reads them"
        elif not step.needs:
            yield step, "needs nothing and nobody needs it, while other steps of the list need each other"
