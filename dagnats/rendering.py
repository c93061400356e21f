"""The texts of a step with the values of their templates: what is given to a worker, checked once more, as values come from anywhere."""

import os
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from dagnats.core import containers
from dagnats.core.codec import container_record
from dagnats.core.containers import Wrong
from dagnats.core.decide import EvaluationError
from dagnats.core.globs import wrong_glob
from dagnats.core.keeping import wrong_name
from dagnats.core.pipeline import JSON, Artifacts, Container, Credentials, Volume
from dagnats.core.privileges import misused, refused
from dagnats.core.text import encode_json, has_template, text_of

SHOWN = 60
FLAG = "start the run with --allow-privileged if that is meant"


def guarded(where: str, use: Callable[[Any], Any]) -> Any:
    """Use the templates' module. Raises EvaluationError, which names the place, for what is wrong with a template."""
    from dagnats import template  # noqa: PLC0415 - measured: 60 ms that a pipeline without templates does not pay

    try:
        return use(template)
    except template.TemplateError as error:
        raise EvaluationError(f"{where}: {error}") from error


def text_in(text: str, context: Mapping[str, JSON], where: str) -> str:
    """Give a text with its values."""
    if not has_template(text):
        return text
    rendered: str = guarded(where, lambda template: template.render_text(text, context))
    return rendered


def words_in(words: Sequence[str], context: Mapping[str, JSON], where: str) -> list[str]:
    """Give words; one that is exactly one expression stands for all items of a list."""
    found: list[str] = []
    for word in words:
        if not has_template(word):
            found.append(word)
            continue
        value: JSON = guarded(where, partial(_rendered, word, context))
        found += map(text_of, value) if isinstance(value, list) else [text_of(value)]
    if any("\0" in word for word in found):
        raise EvaluationError(f"{where}: holds a NUL byte, which no process can be given")
    return found


def argv_in(command: Sequence[str], context: Mapping[str, JSON]) -> list[str]:
    """Give the words of a command, of which the first is a program."""
    argv = words_in(command, context, "command")
    if not argv or not argv[0]:
        raise EvaluationError("command: it has no program")
    return argv


def _rendered(text: str, context: Mapping[str, JSON], template: Any) -> JSON:
    return template.render(text, context)


def script_in(script: str, context: Mapping[str, JSON], shell: str | tuple[str, ...]) -> tuple[str, dict[str, str]]:
    """Give a script with references in the place of values, and the variables that hold these."""
    rendered: tuple[str, dict[str, str]] = guarded(
        "run", lambda template: template.render_script(script, context, shell)
    )
    return rendered


def directory(workspace: str, relative: str, where: str = "working_dir") -> str:
    """Resolve a path: relative ones stay beneath the workspace, links included."""
    if not relative:
        return workspace
    if Path(relative).is_absolute():
        return relative
    root = Path(workspace).resolve()
    resolved = (root / relative).resolve()
    if not resolved.is_relative_to(root):
        raise EvaluationError(
            f"{where}: {relative!r} leaves the project {workspace}; write an absolute path if that is meant"
        )
    return str(resolved)


def refuse_nul(env: Mapping[str, str]) -> None:
    """Refuse variables that no process can be given."""
    for name, value in env.items():
        if "\0" in value:
            raise EvaluationError(f"env.{name}: holds a NUL byte, which no process can be given")


def container_in(
    container: Container,
    context: Mapping[str, JSON],
    workspace: str,
    *,
    sealed: Mapping[str, str],
    allow_privileged: bool,
) -> dict[str, JSON]:
    """Give the record of a container for a worker; `env` is in that of the task, and what is `sealed` of the credentials is left out.

    Raises EvaluationError for what values have made wrong, or too mighty.
    """
    made = replace(
        container,
        image=_checked(container.image, context, "image", containers.wrong_image),
        entrypoint=_entrypoint(container.entrypoint, context),
        user=_optional(container.user, context, "container.user", containers.wrong_user),
        env={},
        volumes=tuple(_volume(volume, context, workspace) for volume in container.volumes),
        network=_checked(container.network, context, "container.network", containers.wrong_network),
        options=tuple(words_in(container.options, context, "container.options")),
        credentials=_credentials(container.credentials, context, sealed),
        memory=_optional(container.memory, context, "container.memory", containers.wrong_memory),
    )
    for index, wrong in misused(made.options, rendered=True):
        _refuse(f"container.options: {_shown(made.options[index])}", wrong)
    if not allow_privileged:
        reason = refused(made, rendered=True, real=os.path.realpath)
        if reason is None and os.path.realpath(workspace) == "/":
            reason = "the project's root, which the container sees, is the whole machine"
        if reason is not None:
            raise EvaluationError(f"container: {reason}; {FLAG}")
    return container_record(made)


def artifacts_in(artifacts: Artifacts, context: Mapping[str, JSON], step: str) -> dict[str, JSON]:
    """Give what of a step's files is kept, and under which name. Raises EvaluationError for what values have made wrong."""
    paths: list[JSON] = []
    for path in artifacts.paths:
        rendered = text_in(path, context, "artifacts.paths")
        if (wrong := wrong_glob(rendered)) is not None:
            _refuse("artifacts.paths", Wrong(f"{wrong.message}; it is {_shown(rendered)}", wrong.hint))
        paths.append(rendered)
    name = step if artifacts.name is None else _checked(artifacts.name, context, "artifacts.name", wrong_name)
    return {"name": name, "paths": paths, "when": artifacts.when}


def _entrypoint(given: Sequence[str] | None, context: Mapping[str, JSON]) -> tuple[str, ...] | None:
    if given is None:
        return None
    words = words_in(given, context, "container.entrypoint")
    if words and not words[0]:
        raise EvaluationError("container.entrypoint: it has no program")
    return tuple(words)


def _optional(
    text: str | None, context: Mapping[str, JSON], where: str, judge: Callable[[str], Wrong | None]
) -> str | None:
    return _checked(text, context, where, judge) if text is not None else None


def _checked(text: str, context: Mapping[str, JSON], where: str, judge: Callable[[str], Wrong | None]) -> str:
    rendered = text_in(text, context, where)
    wrong = judge(rendered)
    if wrong is not None:
        _refuse(where, Wrong(f"{wrong.message}; it is {_shown(rendered)}", wrong.hint))
    return rendered


def _refuse(what: str, wrong: Wrong) -> None:
    raise EvaluationError(f"{what} {wrong.message}" + (f"; {wrong.hint}" if wrong.hint else ""))


def _volume(volume: Volume, context: Mapping[str, JSON], workspace: str) -> Volume:
    source = _checked(volume.source, context, "container.volumes: the source", containers.wrong_source)
    target = _checked(volume.target, context, "container.volumes: the target", containers.wrong_target)
    if "\0" in source + target:
        raise EvaluationError("container.volumes: holds a NUL byte, which no path can have")
    if containers.is_path(source):
        home = Path(source).expanduser() if source.startswith("~") else source
        source = os.path.realpath(directory(workspace, str(home), "container.volumes"))
    return replace(volume, source=source, target=target)


def _credentials(
    given: Credentials | None, context: Mapping[str, JSON], sealed: Mapping[str, str]
) -> Credentials | None:
    if given is None:
        return None
    named = {"username": given.username, "password": given.password}
    return Credentials(
        **{
            key: "" if key in sealed else text_in(text, context, f"container.credentials.{key}")
            for key, text in named.items()
        }
    )


def _shown(text: str) -> str:
    return encode_json(text if len(text) <= SHOWN else text[:SHOWN] + "…")
