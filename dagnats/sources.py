"""Where the values of secrets come from: asked for before anything of a run is started, and then forgotten wherever a step could find them."""

import asyncio
import os
import stat
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from pathlib import Path

from dagnats.core.pipeline import Pipeline
from dagnats.definition import InvalidPipelineError, load_mapping
from dagnats.definition.problems import printable, quoted
from dagnats.errors import DagnatsError, UsageError
from dagnats.pipes import Captured, capture
from dagnats.process import Guardian
from dagnats.workers.forms import PARTS_MAX, has_too_many_parts
from dagnats.workers.mask import Masker
from dagnats.workers.vault import Vault

COMMAND_TIMEOUT_S = 60.0
VALUE_MAX_BYTES = 100 * 1024  # the system takes 128 KiB as one variable, with its name and what stands around the value
_SHOWN = 200


class MissingError(Exception):
    """Why a source gives no value. The text does not hold it."""


def collect(plan: Pipeline, workspace: Path, secrets_file: str | None) -> Vault:
    """Ask for every declared secret, those of the pipelines that steps run too. Raises UsageError that names all that are missing.

    A source that several of them name is asked once.
    """
    given = read_secrets_file(secrets_file) if secrets_file is not None else {}
    plans = {"": plan, **plan.pipelines}
    asked = list(
        dict.fromkeys(source for one in plans.values() for name, source in one.secrets.items() if name not in given)
    )
    values: dict[str, str] = {}
    missing: dict[str, str] = {}
    for source in asked:
        scheme, _, rest = source.partition("://")
        if scheme == "cmd":
            continue
        try:
            values[source] = checked(_of_variable(rest) if scheme == "env" else _of_file(workspace, rest))
        except MissingError as error:
            missing[source] = str(error)
    commands = {source: source.removeprefix("cmd://") for source in asked if source.startswith("cmd://")}
    if commands and not missing:  # a command may ask a person, or cost something: not for a run that does not come
        found, missing = asyncio.run(_of_commands(commands, workspace, [*values.values(), *given.values()]))
        values |= found
    if missing:
        raise UsageError(_message(plan, given, missing))
    _forget(plans.values())
    of = {
        file: {name: given[name] if name in given else values[source] for name, source in one.secrets.items()}
        for file, one in plans.items()
    }
    return Vault(of.pop(""), of)


def read_secrets_file(path: str) -> dict[str, str]:
    """The names and values of `--secrets-file`. Raises UsageError; nothing of the file's content is in it."""
    try:
        mode = Path(path).stat().st_mode
    except OSError as error:
        raise UsageError(f"--secrets-file {path}: {error.strerror}; nothing was started") from None
    if mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise UsageError(
            f"--secrets-file {path}: others than its owner may use it (mode {stat.S_IMODE(mode):04o}): "
            f"`chmod 600 {path}`; nothing was started"
        )
    try:
        values = load_mapping(path)
    except InvalidPipelineError as error:
        place = f"{path}:{error.problems[0].line}:{error.problems[0].column}" if error.problems else path
        raise UsageError(
            f"--secrets-file {place}: this is no YAML or JSON that maps names to texts; nothing was started"
        ) from None
    wrong = [f"`{name}`" for name, value in values.items() if not isinstance(value, str)]
    if wrong:
        raise UsageError(
            f"--secrets-file {path}: {', '.join(wrong)} must be text: put it in quotes; nothing was started"
        )
    for name, value in values.items():
        try:
            checked(value)
        except MissingError as error:
            raise UsageError(f"--secrets-file {path}: `{name}` {error}; nothing was started") from None
    return values


def checked(value: str) -> str:
    """The value, if a process can be given it. Raises MissingError."""
    if not value.strip():
        raise MissingError("is empty")
    if "\0" in value:
        raise MissingError("holds a NUL byte, which no process can be given")
    try:
        size = len(value.encode("utf-8", "surrogateescape"))
    except UnicodeEncodeError:
        raise MissingError("holds a character that has no encoding") from None
    if size > VALUE_MAX_BYTES:
        raise MissingError(f"is over {VALUE_MAX_BYTES // 1024} KiB; give the step the path of a file instead")
    if has_too_many_parts(value):
        raise MissingError(f"has over {PARTS_MAX:,} lines or leaves of JSON; give the step the path of a file instead")
    return value


def _of_variable(name: str) -> str:
    if name not in os.environ:
        raise MissingError("is not set")
    return os.environ[name]


def _of_file(workspace: Path, name: str) -> str:
    root = workspace.resolve()
    path = (root / Path(name).expanduser()).resolve()
    if not Path(name).expanduser().is_absolute() and not path.is_relative_to(root):
        raise MissingError("leads out of the project; write an absolute path if that is meant")
    try:
        # a pipe in its place is not waited for
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        with open(descriptor, "rb") as file:  # noqa: PTH123 - a descriptor
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise MissingError("is not a regular file")
            content = file.read(VALUE_MAX_BYTES + 1)
    except OSError as error:
        raise MissingError(f"can not be read: {error.strerror}") from None
    return _text(content)


def _text(content: bytes) -> str:
    """A value of one line has no line break at its end, which only the file or the command needs; several lines are kept as they are."""
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError:
        raise MissingError("is not UTF-8 text; encode it, as by base64") from None
    line = text.removesuffix("\n").removesuffix("\r")
    return text if "\n" in line else line


async def _of_commands(
    commands: Mapping[str, str], workspace: Path, known: Sequence[str]
) -> tuple[dict[str, str], dict[str, str]]:
    """Run all at once, under a guardian of their own that still has the runner's whole environment; gives values, and what is missing."""
    guardian = Guardian.start()
    guardian.attach(asyncio.get_running_loop())
    try:
        ended = await asyncio.gather(
            *(
                capture(guardian, ["sh", "-c", command], cwd=workspace, timeout_s=COMMAND_TIMEOUT_S)
                for command in commands.values()
            ),
            return_exceptions=True,
        )
    finally:
        await guardian.close()
    values: dict[str, str] = {}
    missing: dict[str, str] = {}
    printed = [done.stdout[:VALUE_MAX_BYTES].decode("utf-8", "replace") for done in ended if isinstance(done, Captured)]
    hide = Masker([*known, *printed]).text
    for name, done in zip(commands, ended, strict=True):
        try:
            values[name] = checked(_of_command(done, hide))
        except MissingError as error:
            missing[name] = str(error)
    return values, missing


def _of_command(done: Captured | BaseException, hide: Callable[[str], str]) -> str:
    if isinstance(done, DagnatsError):
        raise MissingError(f"could not be run: {done}")
    if isinstance(done, BaseException):
        raise done
    if done.timed_out:
        raise MissingError(f"took longer than {COMMAND_TIMEOUT_S:g}s")
    if not done.exit.ok:
        lines = hide(done.stderr.decode("utf-8", "replace")).strip().splitlines()
        said = printable(lines[-1][:_SHOWN]) if lines else ""
        raise MissingError(f"ended with {done.exit.describe()}" + (f": {said}" if said else ""))
    if not done.stdout.strip():
        raise MissingError("printed nothing")
    return _text(done.stdout)


def _message(plan: Pipeline, given: Collection[str], missing: Mapping[str, str]) -> str:
    found = [
        (name, source, one)
        for one in (plan, *plan.pipelines.values())
        for name, source in one.secrets.items()
        if name not in given and source in missing
    ]
    width = max(len(name) for name, _, _ in found)
    count = "a secret is" if len(found) == 1 else f"{len(found)} secrets are"
    return "\n".join(
        [
            f"{plan.file}: {count} missing; nothing was started",
            *(
                f"  {name:<{width}}  {quoted(source)} {missing[source]}"
                + ("" if one is plan else f" (of {printable(one.file)})")
                for name, source, one in found
            ),
            "provide what is missing there, or give values by `--secrets-file FILE`",
        ]
    )


def _forget(plans: Iterable[Pipeline]) -> None:
    """Drop the variables that were read from the environment that steps inherit, and from where the system shows it."""
    for source in (source for plan in plans for source in plan.secrets.values()):
        scheme, _, name = source.partition("://")
        if scheme == "env" and name in os.environ:
            _wipe(name)
            del os.environ[name]


def _wipe(name: str) -> None:
    """Overwrite a variable where the process was given it: `/proc/<pid>/environ` shows that memory to every process of this user."""
    import ctypes  # noqa: PLC0415 - 10 ms, for those who have such secrets

    libc = ctypes.CDLL(None)
    libc.getenv.restype = ctypes.c_void_p
    place = libc.getenv(os.fsencode(name))
    if place:
        ctypes.memset(place, 0, len(ctypes.string_at(place)))
