"""The shape of a pipeline file: an interpreter for the part of JSON Schema that our schema uses, with positions and sentences.

A general validator reports every branch that did not fit; here a value's kind chooses the branch first, and that one is reported.
"""

import re
from functools import cache
from typing import Any

from dagnats.definition.hints import BOXED, called_hint, element_hint, shape_hint, text_hint
from dagnats.definition.problems import SHOWN_NAME, Problems, printable, quoted
from dagnats.definition.schema import schema
from dagnats.definition.tree import BROKEN, Node
from dagnats.definition.words import ENUM_WORDS, STEP_KEYS, explain_key, explain_source, is_unsupported, suggest

KINDS = {
    str: "string",
    bool: "boolean",
    int: "integer",
    float: "number",
    dict: "object",
    list: "array",
    type(None): "null",
}
WORDS = {
    "string": "text",
    "boolean": "true or false",
    "integer": "a whole number",
    "number": "a number",
    "object": "a mapping",
    "array": "a list",
    "null": "nothing",
}
NO_TEMPLATE = "templates may stand in `name`, `env`, `run`, `command`, `image`, `container` (but for `pull` and `cpus`), `working_dir`, `artifacts`, `signal`, `prompt`, `vars`, `outputs` and in `params` of a step, and `if` is an expression"
WRITTEN_OUTPUT = 'a step declares its output here, `name: {}`, and writes it: `echo "name=…" >> "$DAGNATS_OUTPUT"`'
WAITING = ("sleep", "wait_for_signal", "approval")
YES_NO = {"yes": "true", "on": "true", "y": "true", "no": "false", "off": "false", "n": "false"}
KEY_HINTS = {
    "steps": "each step begins with `- `",
    "on_failure": "it holds steps, each of which begins with `- `; to go on after a failure, write `allow_failure: true`",
    "if": "write an expression, or `true` or `false`",
    "allow_failure": "write `true`, or `{exit_codes: [1]}` for the exit codes with which it may fail",
}
INCLUDED = frozenset(
    ["include", "steps", "params", "vars", "env", "services"]
)  # which a file that others include may have
MAX_SEARCHED = 1000  # of a text that an alias can bring to each step
LATER = "is not supported by this version"
Path = list[tuple[Node, str | int]]


def check_shape(root: Node, problems: Problems, part: dict[str, Any] | None = None) -> None:
    """Note everything in which the tree is not of the shape that the schema, or a part of it, describes."""
    _Checker(problems).check(root, schema() if part is None else part, [])


def label(path: Path) -> str:
    """How messages name a value: `retry.max_attempts` of step `test`."""
    step, rest = "", path
    for depth, (node, key) in enumerate(path[:2]):
        if depth == 1 and isinstance(key, int) and path[0][1] in ("steps", "finally"):
            step, rest = step_name(node.items()[key], key), path[2:]
    dotted = ""
    for _, key in rest:
        dotted += f"[{key}]" if isinstance(key, int) else f".{key}" if dotted else key
    if not dotted:
        return step or "the file"
    return f"{quoted(dotted)} of {step}" if step else quoted(dotted)


def step_name(step: Node, index: int) -> str:
    """How messages name a step: by its id, else by its name, else by its place."""
    for field in ("id", "name"):
        node = step.get(field)
        if node is not None and isinstance(node.value, str) and node.value:
            return f"step {quoted(node.value)}"
    return f"step {index + 1}"


def runs_nothing(step: Node, name: str) -> tuple[str, str]:
    """What to say of a step that does not say what it runs."""
    kind = step.get("type")
    hints = {
        "pipeline": "name its file: `pipeline: path`",
        "container": "name its image, for example `image: python:3.12`",
        "sleep": "say how long it waits: `duration: 30s`",
        "wait_for_signal": "name the signal: `signal: deployed`",
        "approval": "say what it asks: `prompt: …`",
    }
    hint = hints.get(
        str(kind.value) if kind is not None else "", "a step runs a script, a program or another pipeline, or waits"
    )
    if kind is not None and str(kind.value) in WAITING:
        return f"{name} is of type `{kind.value}`, and does not say what it waits for", hint
    return f"{name} has none of `run`, `command` and `pipeline`", hint


def _holds(condition: dict[str, Any], value: dict[str, Node]) -> bool:
    """Whether the `if` of a part of the schema, which asks for keys, is true of a mapping."""
    return any(all(key in value for key in branch["required"]) for branch in condition.get("anyOf", (condition,)))


@cache
def _pattern(text: str) -> re.Pattern[str]:
    # `$` of Python also matches before a last line break; that of JSON Schema does not.
    return re.compile(text.removesuffix("$") + r"\Z" if text.endswith("$") else text)


def fits(value: Any, types: str | list[str]) -> bool:
    """Whether a value is of one of the types of JSON Schema."""
    kind = KINDS[type(value)]
    names = (types,) if isinstance(types, str) else types
    if kind in names or (kind == "integer" and "number" in names):
        return True
    return kind == "number" and "integer" in names and float(value).is_integer()


def _chooses(value: Any, branch: dict[str, Any]) -> bool:
    """Whether a value is of the kind that a branch is for; of a truth value, that is the value."""
    return fits(value, _types(branch)) and (type(value) is not bool or value in branch.get("enum", (value,)))


def _types(part: dict[str, Any]) -> list[str]:
    """The types that a part of the schema allows; all of them if it does not say."""
    if "anyOf" in part:
        return [name for branch in part["anyOf"] for name in _types(branch)]
    types = part.get("type", list(WORDS))
    return [types] if isinstance(types, str) else types


class _Checker:
    def __init__(self, problems: Problems) -> None:
        self.problems = problems
        self._matched: dict[tuple[str, int], bool] = {}

    def check(self, node: Node, part: dict[str, Any], path: Path) -> None:
        """Check a node, and all below it, against a part of the schema."""
        if node.style == BROKEN:
            return
        if "anyOf" in part:
            branch = next((branch for branch in part["anyOf"] if _chooses(node.value, branch)), None)
            if branch is None:
                self._wrong_type(node, part, path)
                return
            part = branch
        if "type" in part and not fits(node.value, part["type"]):
            self._wrong_type(node, part, path)
            return
        if "if" in part and isinstance(node.value, dict):
            part = {**part, **part.get("then" if _holds(part["if"], node.value) else "else", {})}
        value = node.value
        if isinstance(value, dict):
            self._mapping(node, part, path)
        elif isinstance(value, list):
            self._list(node, part, path)
        elif isinstance(value, str):
            self._text(node, part, path)
        elif value is not None and type(value) is not bool:
            self._number(node, part, path)

    def _mapping(self, node: Node, part: dict[str, Any], path: Path) -> None:
        properties = part.get("properties", {})
        rest = part.get("additionalProperties", True)
        names = part.get("propertyNames")
        hints = ""
        for key, value in node.value.items():
            known = properties.get(key)
            if known is None and any(_pattern(pattern).search(key) for pattern in part.get("patternProperties", ())):
                continue
            if names is not None and self._is_misspelt(node, key, part, path):
                continue
            if known is None and rest is False:
                hints += self._unknown(node, key, part, path)
            elif known is not None or rest is not True:
                path.append((node, key))
                self.check(value, known or rest, path)
                path.pop()
        # What stands under a wrong key is one problem, not two: then it is not missing.
        for key in part.get("required", ()):
            if key not in node.value and quoted(key) not in hints:
                if self.problems.are_full:
                    self.problems.count()
                    continue
                place = f" in {label(path)}" if path else ""
                self.problems.add(node, f"{quoted(key)} is missing{place}", _example(node, key, properties))
        if "oneOf" in part:
            self._one_of(node, part["oneOf"], hints, path)

    def _is_misspelt(self, node: Node, key: str, part: dict[str, Any], path: Path) -> bool:
        """Check a name of the author's own; true if it is a key of ours that is spelt another way."""
        names, meant = part["propertyNames"], key.replace("-", "_")
        if _pattern(names["pattern"]).search(key):
            return False
        is_ours = meant in part.get("properties", ())
        message = f"{label(path)}: the name {quoted(key)} {names['patternErrorMessage']}"
        self.problems.add(node.keys[key], message, f"did you mean {quoted(meant)}?" if is_ours else "")
        return is_ours

    def _one_of(self, node: Node, branches: list[dict[str, Any]], hints: str, path: Path) -> None:
        keys = [branch["required"][0] for branch in branches if "required" in branch]
        present = [key for key in keys if key in node.value]
        if len(present) > 1:
            one, other = map(quoted, present[:2])
            self.problems.add(node.keys[present[1]], f"{label(path)} has both {one} and {other}", "remove one of them")
        elif (
            len(keys) == len(branches)
            and not present
            and LATER not in hints
            and not any(f"`{key}" in hints for key in (*keys, *BOXED))
        ):
            self.problems.add(node, *runs_nothing(node, label(path)))

    def _unknown(self, node: Node, key: str, part: dict[str, Any], path: Path) -> str:
        title, place = part.get("title", ""), f" in {label(path)}" if path else ""
        if is_unsupported(key, title):
            self.problems.add(node.keys[key], f"{quoted(key)}{place} {LATER}")
            return LATER
        hint = explain_key(key, title, list(part.get("properties", ())), self.problems)
        if title == "step":
            hint = called_hint(node, key) or hint
        if title == "pipeline" and not hint and not STEP_KEYS.isdisjoint(node.value[key].fields()):
            hint = "a step stands in the list `steps`, with its name as `id`"
        self.problems.add(node.keys[key], f"unknown key {quoted(key)}{place}", hint)
        return hint

    def _list(self, node: Node, part: dict[str, Any], path: Path) -> None:
        count = len(node.value)
        if count < part.get("minItems", 0):
            self.problems.add(node, f"{label(path)} may not be empty")
        elif count > part.get("maxItems", count):
            self.problems.add(node, f"{label(path)} has {count:,} elements; at most {part['maxItems']:,} are allowed")
        items = part.get("items")
        if items is None:
            return
        for index, item in enumerate(node.value):
            path.append((node, index))
            self.check(item, items, path)
            path.pop()

    def _text(self, node: Node, part: dict[str, Any], path: Path) -> None:
        text: str = node.value
        if "enum" in part and text not in part["enum"]:
            choices = ", ".join(part["enum"])
            title = str(path[-1][1]) if path else ""
            hint = ENUM_WORDS.get(title, {}).get(text) or text_hint(text, title)
            hint = hint or suggest(text, part["enum"], self.problems) or element_hint(text, [key for _, key in path])
            self._wrong(node, path, f"must be one of {choices}, not {quoted(text)}", hint)
        elif "pattern" in part and not self._matches(node, part["pattern"]):
            hint = text_hint(text, part.get("title", ""))
            if part.get("title") == "duration" and _is_digits(text):
                hint = "a number lacks its unit: write `10s` or `10m`"
            elif part.get("title") == "source":
                hint = explain_source(text, self.problems)
            self._wrong(node, path, f"{part['patternErrorMessage']}; it is {quoted(text)}", hint)
        elif len(text) < part.get("minLength", 0):
            self._wrong(node, path, "may not be empty")
        elif len(text) > part.get("maxLength", len(text)):
            self._wrong(node, path, f"may have at most {part['maxLength']} characters")

    def _matches(self, node: Node, pattern: str) -> bool:
        if len(node.value) <= MAX_SEARCHED:
            return _pattern(pattern).search(node.value) is not None
        key = (pattern, id(node))
        if key not in self._matched:
            self._matched[key] = _pattern(pattern).search(node.value) is not None
        return self._matched[key]

    def _number(self, node: Node, part: dict[str, Any], path: Path) -> None:
        if node.value < part.get("minimum", node.value):
            self._wrong(node, path, f"must be at least {part['minimum']}, not {node.value}")
        elif node.value > part.get("maximum", node.value):
            self._wrong(node, path, f"must be at most {part['maximum']}, not {node.value}")

    def _wrong_type(self, node: Node, part: dict[str, Any], path: Path) -> None:
        key = str(path[-1][1]) if path else ""
        if part.get("title") == "duration":
            is_number = type(node.value) in (int, float)
            hint = f"a number lacks its unit: write `{node.text}s` or `{node.text}m`" if is_number else ""
            self._wrong(node, path, f"{part['patternErrorMessage']}, not {_shown(node)}", hint)
        else:
            types = list(dict.fromkeys(_types(part)))
            only_false = any(branch.get("enum") == [False] for branch in part.get("anyOf", ()))
            expected = " or ".join("false" if name == "boolean" and only_false else WORDS[name] for name in types)
            hint = shape_hint(node, [key for _, key in path]) or _type_hint(node, key, types)
            self._wrong(node, path, f"must be {expected}, not {_shown(node)}", hint)

    def _wrong(self, node: Node, path: Path, message: str, hint: str = "") -> None:
        if self.problems.are_full:
            self.problems.count()  # nobody would read what it says
            return
        if isinstance(node.value, str) and "{{" in node.value[:MAX_SEARCHED] and not hint.startswith("write `env://"):
            hint = WRITTEN_OUTPUT if len(path) > 2 and path[-2][1] == "outputs" else NO_TEMPLATE
        self.problems.add(node, f"{label(path)} {message}", hint)


def _example(node: Node, key: str, properties: dict[str, Any]) -> str:
    if key == "steps":
        return "write `steps:` and below it `- run: …`"
    if key == "name" and "steps" in node.value and INCLUDED.issuperset(node.value):
        return "for example `name: ci`; a file that is only included is checked with the one that includes it"
    examples = properties[key].get("examples")
    return f"for example `{key}: {examples[0]}`" if examples and isinstance(examples[0], str | int) else ""


def _shown(node: Node) -> str:
    value = node.value
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    if isinstance(value, int | float):
        return f"the number {printable(node.text[:40]) or value}"
    return f"the text {quoted(value)}" if isinstance(value, str) else WORDS[KINDS[type(value)]]


def _type_hint(node: Node, key: str, types: list[str]) -> str:
    if node.value is None:
        return "give it a value, or remove the key"
    if key in KEY_HINTS:
        return KEY_HINTS[key]
    if "array" in types:
        return _list_hint(node, key)
    if "string" in types and not isinstance(node.value, dict | list):
        return f'put it in quotes: `"{printable(node.text[:40])}"`'
    if types == ["boolean"] and isinstance(node.value, str) and node.value[:SHOWN_NAME].lower() in YES_NO:
        return f"write `{YES_NO[node.value.lower()]}`"
    return "remove the quotes" if _only_quotes(node, types) else ""


def _list_hint(node: Node, key: str) -> str:
    if key == "command":
        return "write a list of words, or `run` for a script"
    if key == "run":
        return f'put it in quotes: `"{printable(node.text[:40])}"`' if node.text else ""
    if node.text and KINDS[type(node.value)] in ("integer", "number") and key != "needs":
        return f"write `[{printable(node.text[:40])}]`"
    if key == "secrets" and node.value == "inherit":
        return "write the names of those that are needed, each a variable of the environment: `[TOKEN]`"
    return f"write `[{printable(node.value[:60])}]`" if isinstance(node.value, str) else ""


def _only_quotes(node: Node, types: list[str]) -> bool:
    """Whether quotes alone keep a text from being the number that is wanted."""
    is_digits = isinstance(node.value, str) and bool(node.style) and _is_digits(node.value)
    return is_digits and ("integer" in types or "number" in types)


def _is_digits(text: str) -> bool:
    # An alias can bring a text of 1 MiB to each step.
    return len(text) <= SHOWN_NAME and text.isdigit()
