"""The secrets of a run: in memory only, given to a step at the last moment, and taken out of all that it says."""

from collections.abc import Iterable, Iterator, Mapping

from msgspec import Struct
from msgspec.structs import replace

from dagnats.bus.tasks import Task
from dagnats.core.events import Reason
from dagnats.core.pipeline import JSON
from dagnats.errors import UsageError
from dagnats.workers.action import Ended, Failure
from dagnats.workers.forms import VALUE_MIN, is_short
from dagnats.workers.mask import Masker

_RECORDED_MIN = 8  # characters; a shorter one may stand in a parameter by chance
_SHARED_MAX = 100  # texts made of secrets that all steps are masked for


class Unsealed(Struct, frozen=True):
    """A task with its secrets in its environment; it must not leave the worker. `masker` knows all secrets; `failed` says that it can not be run."""

    task: Task
    masker: Masker
    failed: Ended | None = None
    note: str = ""

    def __repr__(self) -> str:
        return f"<Unsealed {self.task.step}>"

    def hidden(self, ended: Ended) -> Ended:
        """Give an end without secrets: in what is said of a failure, and in the outputs."""
        outputs = {name: self.masker.value(value) for name, value in ended.outputs.items()}
        touched = [f"`{name}`" for name, value in ended.outputs.items() if outputs[name] != value]
        kind = "var" if self.task.kind == "pipeline" else "output"
        notes = [self.masker.text(ended.note), self.note]
        if touched:
            names = f"{kind}{'s' * (len(touched) > 1)} {', '.join(touched)}"
            notes.append(f"{names} held a secret, which is replaced by ***: {kind}s are recorded")
        failure = ended.failure
        if failure is not None:
            failure = replace(failure, message=self.masker.text(failure.message))
        return replace(ended, outputs=outputs, failure=failure, note="; ".join(filter(None, notes)))


class Vault:
    """Names and values, which nothing shows by accident; `masker` takes them out of a text.

    `inner` has those of the pipelines that steps run, by the file of each: a step is given those of its own pipeline.
    """

    def __init__(self, values: Mapping[str, str], inner: Mapping[str, Mapping[str, str]] | None = None) -> None:
        self._of = {"": dict(values), **(inner or {})}
        self._named = [pair for each in self._of.values() for pair in each.items()]
        self._values = frozenset(value for _, value in self._named)
        self._known = self._values
        self.masker = Masker(self._known)

    def __repr__(self) -> str:
        return f"<Vault of {', '.join(name for name, _ in self._named)}>"

    @property
    def masked(self) -> list[str]:
        """The values that nobody shall see, and each of their lines that says something."""
        lines = (line for value in self._values for line in (value, *value.splitlines()))
        return sorted({line for line in lines if not is_short(line)}, key=len, reverse=True)

    @property
    def unmasked(self) -> list[str]:
        """Names of those that are too short to be masked."""
        return list(dict.fromkeys(name for name, value in self._named if is_short(value)))

    def refuse_recorded(self, params: Mapping[str, JSON], env: Mapping[str, str]) -> None:
        """Refuse a run whose parameters or recorded variables hold a secret. Raises UsageError."""
        for what, recorded in (("param", params), ("variable", env)):
            for name, value in recorded.items():
                secret = next(filter(None, map(self._found_in, _texts_of(value))), None)
                if secret is not None:
                    raise UsageError(
                        f"{what} `{name}` holds the value of secret `{secret}`, and would be recorded: "
                        f"use `secrets.{secret}` where it is needed; nothing was started"
                    )

    def _found_in(self, text: str) -> str | None:
        for name, value in self._named:
            if len(value) >= _RECORDED_MIN and value in text:
                return name
        return None

    def unseal(self, task: Task) -> Unsealed:
        """Give the task with what mentions secrets rendered."""
        if not task.holds_secrets:
            return Unsealed(task, self.masker)
        from dagnats import template  # noqa: PLC0415 - measured: 60 ms that a run without templates does not pay

        context = {**task.context, "secrets": self._of.get(task.pipeline, {})}
        env, script, made, where = dict(task.env), task.script, set[str](), "run"
        try:
            if task.secret_script and script is not None:
                shell = task.shell if isinstance(task.shell, str) else tuple(task.shell)
                script, values, made = template.render_secret_script(script, context, shell)
                env |= values
            for name, text in task.secret_env.items():
                where = f"env.{name}"
                env[name], more = template.render_secret_text(text, context)
                made |= more
            container = task.container
            for name, text in task.secret_credentials.items():
                where = f"container.credentials.{name}"
                value, more = template.render_secret_text(text, context)
                made |= more
                container = _with_credential(container, name, value)
        except template.TemplateError as error:
            return Unsealed(task, self.masker, Ended(Failure(Reason.TEMPLATE, f"{where}: {error}")))
        masker = self._masker_of(made)
        short = any(map(is_short, made - self._values))
        note = f"a value made of a secret has fewer than {VALUE_MIN} characters; it is not masked" if short else ""
        return Unsealed(replace(task, env=env, script=script, container=container), masker, note=note)

    def _masker_of(self, made: Iterable[str]) -> Masker:
        """Give a masker that also knows what a step's templates have made of secrets; from now on all know it, as it may be passed on."""
        if self._known.issuperset(made):
            return self.masker
        known = self._known | frozenset(made)
        if len(known) > len(self._values) + _SHARED_MAX:
            return Masker(known)  # thousands of steps that each make another one would make the masker slow for all
        self._known, self.masker = known, Masker(known)
        return self.masker


def _with_credential(container: Mapping[str, JSON] | None, name: str, value: str) -> Mapping[str, JSON]:
    held = container or {}
    return {**held, "credentials": {**held.get("credentials", {}), name: value}}


def _texts_of(value: JSON) -> Iterator[str]:
    match value:
        case list():
            for item in value:
                yield from _texts_of(item)
        case dict():
            for key, item in value.items():
                yield key
                yield from _texts_of(item)
        case _:
            yield str(value)
