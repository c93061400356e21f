"""The values of a pipeline's parameters: where each comes from, its type, and all that is wrong with them at once."""

import difflib
import json
import math
import re
from collections.abc import Iterable, Mapping
from typing import Final

from dagnats.core.pipeline import JSON, Param
from dagnats.core.text import text_of
from dagnats.definition.patterns import matches
from dagnats.definition.problems import listed, quoted
from dagnats.errors import UsageError

MAX_VALUE: Final = 64 * 1024

_BOOLEANS: Final = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
_INTEGER: Final = re.compile(r"[+-]?[0-9]{1,1000}")
_NUMBER: Final = re.compile(r"[+-]?([0-9]{1,1000}(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]{1,4})?")
_ARTICLES: Final = {"integer": "an integer", "array": "an array", "object": "an object"}


def resolve(
    declared: Mapping[str, Param], given: Mapping[str, str], files: Mapping[str, JSON], environ: Mapping[str, str]
) -> dict[str, JSON]:
    """The value of every declared parameter: of `-p`, else of a file, else of the environment, else the default."""
    values: dict[str, JSON] = {}
    problems = [
        _unknown(name, declared) + _origin(name, given, files)
        for name in dict.fromkeys((*given, *files))
        if name not in declared
    ]
    for name, param in declared.items():
        try:
            values[name] = _value(name, param, given, files, environ)
        except UsageError as error:
            problems.append(str(error) + _origin(name, given, files, environ))
    if problems:
        raise UsageError("\n".join(problems))
    return values


def parse_assignments(texts: Iterable[str]) -> dict[str, str]:
    """The names and texts of `-p name=value`; of a name that is given twice, the last."""
    found: dict[str, str] = {}
    problems: list[str] = []
    for text in texts:
        name, equals, value = text.partition("=")
        if name.strip() and equals:
            found[name.strip()] = value
        else:
            problems.append(f"-p expects name=value, got {_shown(text)}")
    if problems:
        raise UsageError("\n".join(problems))
    return found


def coerce(name: str, param: Param, text: str) -> JSON:
    """The value that a text from outside stands for, by the declared type."""
    _check_size(name, text)
    if param.type == "string":
        return text
    plain = text.strip()
    if param.type in ("array", "object"):
        return _from_json(name, param, plain)
    if param.type == "boolean" and plain.lower() in _BOOLEANS:
        return _BOOLEANS[plain.lower()]
    if param.type in ("integer", "number") and _INTEGER.fullmatch(plain):
        return int(plain)
    if param.type == "number" and _NUMBER.fullmatch(plain) and math.isfinite(float(plain)):
        return float(plain)
    wanted = "boolean (true, false, yes, no, 1 or 0)" if param.type == "boolean" else param.type
    raise UsageError(f"param `{name}`: expected {wanted}, got {_shown(text)}")


def check_value(name: str, param: Param, value: JSON) -> str | None:
    """What is wrong with a value, or None."""
    if not _has_type(param.type, value):
        hint = "; put it in quotes" if param.type == "string" and isinstance(value, int | float) else ""
        return f"param `{name}`: expected {param.type}, got {_shown(value)}{hint}"
    if param.enum is not None and not any(_same(value, option) for option in param.enum):
        return f"param `{name}`: {_shown(value)} is not one of {listed(map(_shown, param.enum))}"
    if param.pattern is not None and isinstance(value, str) and not matches(param.pattern, value):
        return f"param `{name}`: {_shown(value)} does not match {quoted(param.pattern)}; the whole value must"
    if param.type in ("integer", "number"):
        if param.minimum is not None and value < param.minimum:
            return f"param `{name}`: {_shown(value)} is below the minimum of {param.minimum:g}"
        if param.maximum is not None and value > param.maximum:
            return f"param `{name}`: {_shown(value)} is above the maximum of {param.maximum:g}"
    return None


def variable_of(name: str) -> str:
    """The environment variable that may hold a parameter."""
    return "DAGNATS_PARAM_" + name.upper().replace("-", "_")


def _value(
    name: str, param: Param, given: Mapping[str, str], files: Mapping[str, JSON], environ: Mapping[str, str]
) -> JSON:
    variable = variable_of(name)
    if name in given:
        return accepted(name, param, given[name])
    if name in files:
        return accepted(name, param, files[name])
    if variable in environ:
        return accepted(name, param, environ[variable])
    if param.required:
        raise UsageError(f"param `{name}` is required: give it with -p {name}=... or {variable}")
    return param.default


def accepted_of_step(name: str, param: Param, value: JSON) -> JSON:
    """The same for a value that a step gives: where text is wanted, a number or a truth value is the text that templates make of it."""
    return accepted(name, param, text_of(value) if param.type == "string" and isinstance(value, int | float) else value)


def accepted(name: str, param: Param, value: JSON) -> JSON:
    """The value that a parameter gets of one from outside: a text stands for another type where that is declared. Raises UsageError."""
    if isinstance(value, str):
        value = coerce(name, param, value)
    problem = check_value(name, param, value)
    if problem is not None:
        raise UsageError(problem)
    _check_size(name, value)
    return value


def _origin(
    name: str, given: Mapping[str, str], files: Mapping[str, JSON], environ: Mapping[str, str] | None = None
) -> str:
    """Where a value comes from, if it does not stand on the command line for all to see."""
    if name in given:
        return ""
    if name in files:
        return " (from --params-file)"
    return f" (from {variable_of(name)})" if environ and variable_of(name) in environ else ""


def _unknown(name: str, declared: Mapping[str, Param]) -> str:
    near = difflib.get_close_matches(name[:100], declared, n=1)
    if near:
        return f"param `{name[:100]}` is not declared; did you mean `{near[0]}`?"
    known = f"the pipeline has {', '.join(sorted(declared))}" if declared else "the pipeline has no params"
    return f"param `{name[:100]}` is not declared; {known}"


def _from_json(name: str, param: Param, text: str) -> JSON:
    def refuse(word: str) -> JSON:
        raise ValueError(word)

    wanted = f"param `{name}`: expected {_ARTICLES[param.type]} as JSON"
    try:
        value = json.loads(text, parse_constant=refuse)
    except json.JSONDecodeError as error:
        where = f"line {error.lineno} column {error.colno}"
        raise UsageError(f"{wanted}, got {_shown(text)}: {error.msg} at {where}") from None
    except ValueError as error:
        raise UsageError(f"{wanted}, got {_shown(text)}: {error}") from None
    except RecursionError:
        raise UsageError(f"{wanted}, got one that is nested too deep") from None
    if not _has_type(param.type, value):
        raise UsageError(f"{wanted}, got {_shown(value)}")
    return value


def _has_type(wanted: str, value: JSON) -> bool:
    if wanted in ("integer", "number"):
        whole = isinstance(value, int) and not isinstance(value, bool)
        return whole or (wanted == "number" and isinstance(value, float) and math.isfinite(value))
    types: dict[str, type] = {"string": str, "boolean": bool, "array": list, "object": dict}
    return isinstance(value, types[wanted])


def _same(value: JSON, option: JSON) -> bool:
    return isinstance(value, bool) is isinstance(option, bool) and bool(value == option)


def _check_size(name: str, value: JSON) -> None:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    if len(text.encode(errors="replace")) > MAX_VALUE:
        raise UsageError(
            f"param `{name}`: the value is over {MAX_VALUE // 1024} KiB; put it in a file and give its path"
        )


def _shown(value: JSON) -> str:
    if isinstance(value, str):
        return repr(value if len(value) <= 60 else value[:57] + "...")
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 60 else text[:57] + "..."
