"""Values of a file as far as they are known before a run, where a reader of the result would take them for what they are."""

from collections.abc import Callable, Mapping, Sequence

from dagnats.core.containers import (
    Wrong,
    wrong_image,
    wrong_memory,
    wrong_network,
    wrong_source,
    wrong_target,
    wrong_user,
)
from dagnats.core.decide import EvaluationError
from dagnats.core.pipeline import JSON, Container, Volume
from dagnats.core.privileges import misused
from dagnats.core.text import has_template, text_of
from dagnats.definition.known import Known, LaterError
from dagnats.definition.scalars import MAX_INTEGER


def settled(value: JSON, known: Known) -> JSON:
    """Give what a value becomes, or the value where that is not known, or would be taken for something else when it is read again."""
    try:
        found = known.settled(value)
    except (LaterError, EvaluationError):
        return value  # what can not be evaluated fails in the run, where it would have failed before
    return value if is_unreadable(found) else found


def settled_text(text: str, known: Known) -> str:
    """Give what a text becomes, as text."""
    if not has_template(text):
        return text
    try:
        found = known.text(text)
    except (LaterError, EvaluationError):
        return text
    return found if found and not is_unreadable(found) else text


def settled_words(text: str, known: Known) -> list[str]:
    """Give what a word becomes: the items of a list, if it is exactly one expression that gives one."""
    found = settled(text, known) if has_template(text) else text
    if not isinstance(found, list):
        return [settled_text(text, known)]
    words = [text_of(item) for item in found]
    return [text] if any(map(is_unreadable, words)) else words


def is_unreadable(value: JSON) -> bool:
    """Whether a reader of the document would find a template in the value, or nothing that can be read."""
    match value:
        case int():
            return abs(value) > MAX_INTEGER
        case str():
            return has_template(value) or "\0" in value
        case list():
            return any(map(is_unreadable, value))
        case Mapping():
            return set(value) == {"sh"} or any(is_unreadable(item) for pair in value.items() for item in pair)
        case _:
            return False


def settled_container(box: Container, known: Known) -> dict[str, JSON]:
    """Give the keys of a step that make the same container. What would be refused in a file stays as it was: it fails when the step starts."""
    cpus = box.cpus
    given = box.credentials
    fields: dict[str, JSON] = {
        "image": _valid(box.image, known, wrong_image),
        "pull": box.pull if box.pull != "missing" else None,
        "entrypoint": _words(box.entrypoint, known) if box.entrypoint is not None else None,
        "user": _valid(box.user, known, wrong_user) if box.user is not None else None,
        "env": {name: settled_text(text, known) for name, text in box.env.items()} or None,
        "volumes": _volumes(box.volumes, known) or None,
        "network": _valid(box.network, known, wrong_network) if box.network != "default" else None,
        "options": _options(box.options, known) or None,
        "credentials": {
            "username": settled_text(given.username, known), "password": settled_text(given.password, known)
        } if given is not None else None,
        "memory": _valid(box.memory, known, wrong_memory) if box.memory is not None else None,
        "cpus": int(cpus) if cpus is not None and cpus.is_integer() else cpus,
    }  # fmt: skip
    found = {key: value for key, value in fields.items() if value is not None}
    return found if found.keys() == {"image"} else {"container": found}


def _options(options: Sequence[str], known: Known) -> list[str]:
    words = _words(options, known)
    return list(options) if any(misused(words)) else words


def _valid(text: str, known: Known, judge: Callable[[str], Wrong | None]) -> str:
    found = settled_text(text, known)
    return text if judge(found) is not None else found


def _words(words: Sequence[str], known: Known) -> list[str]:
    return [found for word in words for found in settled_words(word, known)]


def _volumes(volumes: Sequence[Volume], known: Known) -> list[JSON]:
    # a mapping, as a value may hold a colon
    found = [
        Volume(_valid(one.source, known, wrong_source), _valid(one.target, known, wrong_target), one.read_only)
        for one in volumes
    ]
    if len({one.target for one in found}) < len(found):
        found = list(volumes)
    return [
        {"source": one.source, "target": one.target} | ({"read_only": True} if one.read_only else {}) for one in found
    ]
