"""Parts of the format, explained from its schema: what `dagnats schema PATH` and the reference say."""

from collections.abc import Iterator
from difflib import get_close_matches
from typing import Any

from msgspec import Struct

from dagnats.definition.check import WORDS
from dagnats.definition.emit import scalar, to_yaml
from dagnats.definition.schema import schema
from dagnats.errors import UsageError

Schema = dict[str, Any]


class Part(Struct, frozen=True):
    """One part of the format. `path` leads to it by keys alone: lists and free names are stepped over."""

    path: tuple[str, ...]
    schema: Schema
    required: bool = False

    @property
    def title(self) -> str:
        """What it is called."""
        return str(self.schema.get("title", self.path[-1] if self.path else ""))

    @property
    def description(self) -> str:
        """What it is for."""
        return str(self.schema.get("description", ""))

    @property
    def summary(self) -> str:
        """The first sentence of the description."""
        return self.description.split(". ", maxsplit=1)[0].removesuffix(".") + "."

    @property
    def types(self) -> str:
        """What may stand there, in words."""
        return _words(self.schema)

    @property
    def default(self) -> str | None:
        """What holds when it is left out, or None where the description says that."""
        return scalar(self.schema["default"]) if "default" in self.schema else None

    @property
    def examples(self) -> list[str]:
        """How it is written, as YAML."""
        shown = self.schema.get("examples", [])
        return [to_yaml({self.path[-1]: value} if self.path else value) for value in shown]

    def parts(self) -> "list[Part]":
        """The keys that may stand in it, or in the elements that it holds."""
        return [Part((*self.path, name), part, required) for name, (part, required) in _keys(self.schema).items()]


def find(path: str) -> Part:
    """The part at a path such as `steps.retry`. Raises UsageError for one that is not there, with what was meant."""
    part = Part((), schema())
    for name in filter(None, path.split(".")):
        keys = {key.path[-1]: key for key in part.parts()}
        if name not in keys:
            raise UsageError(_unknown(part, name, list(keys)))
        part = keys[name]
    return part


def _unknown(part: Part, name: str, keys: list[str]) -> str:
    place = f"`{'.'.join(part.path)}`" if part.path else "the format"
    close = get_close_matches(name, keys, 1)
    if close:
        return f"{place} has no key `{name[:100]}`; did you mean `{'.'.join((*part.path, close[0]))}`?"
    return f"{place} has no key `{name[:100]}`; " + (f"it has {', '.join(keys)}" if keys else "it has no keys at all")


def explanation(part: Part) -> Iterator[str]:
    """Explain a part in lines."""
    path = ".".join(part.path) or "a pipeline file"
    yield path + (f": {part.title}" if part.title not in (path, part.path[-1:] and part.path[-1]) else "")
    yield ""
    yield f"  {part.description}"
    yield ""
    yield f"  type      {part.types}"
    if part.default is not None:
        yield f"  default   {part.default}"
    if part.required:
        yield "  required  yes"
    for number, example in enumerate(part.examples):
        yield ""
        yield "  example" if number == 0 else "  or"
        yield from ("    " + line for line in example.splitlines())
    keys = part.parts()
    if keys:
        yield ""
        yield "  keys"
        width = max(len(key.path[-1]) for key in keys)
        for key in keys:
            yield f"    {key.path[-1].ljust(width)}  {key.summary}" + (" (required)" if key.required else "")


def _keys(part: Schema) -> dict[str, tuple[Schema, bool]]:
    """The keys of a mapping; what only holds others (lists, names that are free, alternatives) is looked through."""
    found: dict[str, tuple[Schema, bool]] = {}
    needed = part.get("required", ())
    for name, inner in part.get("properties", {}).items():
        found[name] = (inner, name in needed)
    if found:
        return found
    for inner in (*part.get("anyOf", ()), part.get("then"), part.get("items"), part.get("additionalProperties")):
        if isinstance(inner, dict):
            found |= _keys(inner)
    return found


def _words(part: Schema) -> str:  # noqa: PLR0911 - one return a kind of schema
    if "anyOf" in part:
        return ", or ".join(dict.fromkeys(_words(branch) for branch in part["anyOf"]))
    if "enum" in part:
        one_of = "one of " if len(part["enum"]) > 1 else ""
        return one_of + ", ".join(f"`{scalar(choice)}`" for choice in part["enum"])
    types = part.get("type")
    if types is None:
        return "anything"
    names = [types] if isinstance(types, str) else types
    words = " or ".join(WORDS[name] for name in names)
    if names == ["array"]:
        return f"a list{_range(part, 'minItems', 'maxItems')}" + _each(part.get("items"))
    if names == ["object"]:
        rest = part.get("additionalProperties")
        return f"names, each with {_words(rest)}" if isinstance(rest, dict) else words
    if "patternErrorMessage" in part:
        rule = part["patternErrorMessage"].removeprefix("must be ").removeprefix("must ")
        return str(rule) if rule.startswith(("a ", "an ")) else f"{words}: {rule}"
    if "minLength" in part and "maxLength" not in part:
        return f"{words}, not empty"
    return words + _range(part, "minimum", "maximum") + _range(part, "minLength", "maxLength", " characters")


def _each(inner: Schema | None) -> str:
    return f", each {_words(inner)}" if isinstance(inner, dict) else ""


def _range(part: Schema, low: str, high: str, unit: str = "") -> str:
    least, most = part.get(low), part.get(high)
    if most is not None:
        return f" ({least or 0:,} to {most:,}{unit})"
    return f" (at least {least:,}{unit})" if least is not None else ""
