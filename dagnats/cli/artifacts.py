"""`dagnats artifacts`: the files that a run has kept, listed or brought back to a directory."""

import re
import sys
import tempfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from msgspec import Struct

from dagnats.bus import blobs, journal
from dagnats.bus.link import Link
from dagnats.core.events import Artifact
from dagnats.core.keeping import BYTES_MAX, FILES_MAX
from dagnats.core.state import RunState, fold
from dagnats.core.text import encode_json
from dagnats.definition.problems import quoted
from dagnats.errors import EngineError, JournalError, UsageError
from dagnats.report.kept import described, kept, size, title
from dagnats.report.view import clean
from dagnats.rundir import journal_end
from dagnats.stored import find, use
from dagnats.workers.archive import Bounds, unpack
from dagnats.workers.tree import TreeError

_UNSAFE = re.compile(r"[/\\\0]|^\.+")


class _Kept(Struct, frozen=True):
    """One artifact of a run."""

    step: str
    name: str
    artifact: Artifact


def show_artifacts(run: str | None, step: str | None, name: str | None, target: str | None, form: str) -> int:
    """List them, or bring them back to the target."""
    directory = find(run)

    async def work(link: Link, is_live: bool) -> Sequence[_Kept]:
        end = None if is_live else journal_end(directory)
        state = fold([event async for commit in journal.read(link, directory.name, end) for event in commit])
        found = _chosen(state, step, name)
        if target is not None:
            for one, place in _places(found, Path(target)):
                await _bring(link, one, place)
        return found

    found = use(directory, work)
    if target is not None:
        for one, place in _places(found, Path(target)):
            sys.stderr.write(f"{clean(title(one.step, one.name))}: {described(one.artifact)}, in {place}\n")
    else:
        sys.stdout.write(_listed(found, form))
    return 0


def _chosen(state: RunState, step: str | None, name: str | None) -> list[_Kept]:
    if step is not None and step not in state.steps:
        raise UsageError(f"run {state.run} has no step {quoted(step)}")
    found = [_Kept(*one) for one in kept(state)]
    chosen = [one for one in found if _is_of(one.step, step) and name in (None, one.name)]
    if not chosen and found:
        names = ", ".join(dict.fromkeys(clean(title(one.step, one.name)) for one in found[:5]))
        raise UsageError(f"run {state.run} has kept no such artifacts; it has: {names}")
    if not chosen:
        raise UsageError(f"run {state.run} has kept no artifacts")
    return chosen


def _is_of(step: str, wanted: str | None) -> bool:
    """Whether it is the step, one of its instances, or a step of the pipeline that it runs."""
    return wanted is None or step == wanted or step.startswith((f"{wanted}[", f"{wanted}/", f"{wanted}#"))


def _listed(found: Sequence[_Kept], form: str) -> str:
    if form == "json":
        return encode_json([_record(one) for one in found]) + "\n"
    rows = [
        ("step", "name", "files", "size"),
        *((one.step, clean(one.name), f"{one.artifact.files:,}", size(one.artifact.bytes)) for one in found),
    ]
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    return "".join(f"{row[0]:<{widths[0]}}  {row[1]:<{widths[1]}}  {row[2]:>{widths[2]}}  {row[3]}\n" for row in rows)


def _record(one: _Kept) -> dict[str, object]:
    artifact = one.artifact
    return {
        "step": one.step,
        "name": one.name,
        "object": artifact.object,
        "bytes": artifact.bytes,
        "files": artifact.files,
    }


def _places(found: Sequence[_Kept], target: Path) -> list[tuple[_Kept, Path]]:
    """Say where each goes: a single one into the target, several each into a directory of its name there."""
    if len(found) == 1:
        return [(found[0], target)]
    times = Counter(one.name for one in found)
    return [(one, target / _UNSAFE.sub("_", one.name if times[one.name] == 1 else one.step)) for one in found]


def _make(place: Path) -> None:
    place.mkdir(parents=True, exist_ok=True)


async def _bring(link: Link, one: _Kept, place: Path) -> None:
    bounds = Bounds(min(one.artifact.bytes, BYTES_MAX), min(one.artifact.files, FILES_MAX))
    try:
        with tempfile.TemporaryFile() as file:
            async for chunk in blobs.get(link, one.artifact.object):
                file.write(chunk)
            file.seek(0)
            _make(place)
            unpack(str(place), file, bounds, lambda: False)
    except TreeError as error:
        raise JournalError(
            f"the artifacts {quoted(one.name)} of {one.step} could not be brought back: {error}"
        ) from error
    except OSError as error:
        raise EngineError(f"{place} can not be written: {error.strerror}") from error
