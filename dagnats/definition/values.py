"""Single values of the file as the plan holds them. What does not fit was reported by the check of the shape, and is left out."""

import posixpath
import re
from typing import Any

from dagnats.core.pipeline import EnvFile, Output, Retry
from dagnats.core.text import has_template
from dagnats.definition.once import Once
from dagnats.definition.problems import Problems, quoted
from dagnats.definition.tree import Node

PART = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,3})?)(ms|s|m|h)")
SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
YEAR_S = 365 * 24 * 3600.0
RESERVED = "DAGNATS_"
VARIABLE_MAX_BYTES = 128 * 1024  # of Linux for one variable, with its name and the end of the string
TEMPLATE = re.compile(r"\{\{-?\s*(params|vars|env|secrets|pipeline|run|steps)\b")  # others may be a command's own


def duration(node: Node | None, problems: Problems, *, zero: bool = False) -> float | None:
    """Seconds; `zero` says whether none at all makes sense."""
    if node is None or not isinstance(node.value, str):
        return None
    parts = PART.findall(node.value)
    if "".join(number + unit for number, unit in parts) != node.value or not parts:
        return None
    seconds = sum(float(number) * SECONDS[unit] for number, unit in parts)
    if seconds > YEAR_S:
        problems.add(node, f"{quoted(node.value)} is longer than 365 days")
        return None
    if not seconds and not zero:
        problems.add(node, f"{quoted(node.value)} is no time at all", "remove the key if there is no limit")
        return None
    return seconds


def text(node: Node | None) -> str | None:
    """A text, or nothing."""
    return node.value if node is not None and isinstance(node.value, str) else None


def holds_template(node: Node) -> bool:
    """Whether a text is made of others."""
    return isinstance(node.value, str) and has_template(node.value)


def flag(node: Node | None) -> bool:
    """True or false; false if it is not there."""
    return node is not None and node.value is True


def whole(node: Node | None) -> int | None:
    """An integer, or nothing. 3.0 is one, as in JSON."""
    number = node.value if node is not None else None
    if isinstance(number, bool) or not isinstance(number, int | float) or number != int(number):
        return None
    return int(number)


def as_text(node: Node) -> str | None:
    """A scalar as an environment variable or an argument has it: numbers as they are written, `3.10` is not 3.1."""
    if isinstance(node.value, bool):
        return str(node.value).lower()
    if isinstance(node.value, int | float):
        return node.text
    return text(node)


def environment(node: Node | None, problems: Problems) -> dict[str, str]:
    """Names and values of environment variables."""
    result: dict[str, str] = {}
    for name, value in node.fields().items() if node is not None else ():
        if node is not None and name.startswith(RESERVED):
            problems.add(
                node.keys[name],
                f"the name {quoted(name)} is reserved",
                f"names that begin with {RESERVED} are set for every step",
            )
        content = as_text(value)
        if content is not None:
            result[name] = content
            if len(content) > VARIABLE_MAX_BYTES // 4:  # at most 4 bytes a character: few are worth encoding
                _check_size(name, value, content, problems)
    return result


def _check_size(name: str, node: Node, content: str, problems: Problems) -> None:
    """Refuse what no process can be given; what a template makes is known only when it is made."""
    size = len(f"{name}={content}".encode(errors="replace"))
    if size >= VARIABLE_MAX_BYTES and not has_template(content):
        problems.add(
            node,
            f"the variable {quoted(name)} is over {VARIABLE_MAX_BYTES // 1024} KiB, more than the system gives to a process",
            "put the text into a file and give its path",
        )


def secrets(node: Node | None, problems: Problems) -> dict[str, str]:
    """Names of secrets, and the source of each; a bare name is that of an environment variable."""
    if node is None:
        return {}
    once = Once()
    result = {item.value: f"env://{item.value}" for item in node.items() if isinstance(item.value, str)}
    for name, source in node.fields().items():
        if not isinstance(source.value, str):
            continue
        result[name] = source.value
        wrong = once(_wrong_source, source)
        if wrong is not None:
            problems.add(source, wrong[0].format(quoted(name)), wrong[1])
    return result


def _wrong_source(source: Node) -> tuple[str, str] | None:
    """What is wrong with the source of a secret, whose name is left open, and what to do."""
    scheme, _, rest = source.value.partition("://")
    if TEMPLATE.search(rest):
        return "the source of secret {} may hold no template", "it is used as written"
    if scheme == "file" and leaves_project(rest):
        return "the file of secret {} lies outside of the project", "write an absolute path if that is meant"
    return None


def leaves_project(path: str) -> bool:
    """Whether a path that is relative to the project's root leads out of it, links aside."""
    return posixpath.normpath(path).split("/")[0] == ".."


def env_files(node: Node | None, problems: Problems) -> tuple[EnvFile, ...]:
    """The files of environment variables. That each stays in the project, links included, is seen when it is read."""
    files: list[EnvFile] = []
    once = Once()
    for item in node.items() if node is not None else ():
        place = item.get("path") if isinstance(item.value, dict) else item
        path = text(place)
        if place is None or path is None:
            continue
        if once(holds_template, place):
            problems.add(place, "the path of a dotenv file may hold no template", "it is read before there are values")
        elif once(_is_elsewhere, place):
            hint = "write a path relative to the project's root"
            problems.add(place, f"the dotenv file {quoted(path)} is outside of this project", hint)
        files.append(EnvFile(path, flag(item.get("optional"))))
    return tuple(files)


def _is_elsewhere(place: Node) -> bool:
    return posixpath.isabs(place.value) or leaves_project(place.value)


def retry(node: Node | None, problems: Problems) -> Retry:
    """When a failed attempt is followed by another one."""
    if node is None:
        return Retry()
    further = whole(node)
    if further is not None:
        return Retry(max_attempts=further + 1)
    initial = duration(node.get("initial_delay"), problems, zero=True) or 0.0
    longest = duration(node.get("max_delay"), problems)
    longest_node = node.get("max_delay")
    if longest is not None and longest_node is not None and longest < initial:
        problems.add(longest_node, "`max_delay` is shorter than `initial_delay`")
    multiplier = node.get("multiplier")
    strategy = text(node.get("strategy")) or "fixed"
    if multiplier is not None and strategy != "exponential":
        problems.add(node.keys["multiplier"], "`multiplier` needs `strategy: exponential`")
    return Retry(
        max_attempts=whole(node.get("max_attempts")) or 1,
        strategy=strategy,  # type: ignore[arg-type]  # one of the three, or the check of the shape has complained
        initial_delay_s=initial,
        max_delay_s=longest,
        multiplier=float(_number(multiplier, 2.0)),
        jitter=flag(node.get("jitter")),
        on=_reasons(node.get("on")),
    )


def _number(node: Node | None, default: float) -> Any:
    return node.value if node is not None and isinstance(node.value, int | float) else default


def _reasons(node: Node | None) -> tuple[int | str, ...] | None:
    if node is None:
        return None
    return tuple(item.value if isinstance(item.value, str) else whole(item) or 0 for item in node.items())


def allow_failure(node: Node | None) -> bool | tuple[int, ...]:
    """Whether a step may fail, or the exit codes with which it may."""
    codes = node.get("exit_codes") if node is not None else None
    return flag(node) if codes is None else tuple(code for item in codes.items() if (code := whole(item)) is not None)


def outputs(node: Node | None) -> dict[str, Output]:
    """What is declared of the outputs of a step."""
    return {
        name: Output(type=text(item.get("type")) or "string", required=flag(item.get("required")))  # type: ignore[arg-type]
        for name, item in (node.fields() if node is not None else {}).items()
    }
