"""What a run has kept of the files of its steps, as text."""

from collections.abc import Iterator

from dagnats.core.events import Artifact
from dagnats.core.state import RunState

SHOWN = 10  # artifacts, at the end of a run
_UNITS = ("KiB", "MiB", "GiB")


def kept(state: RunState) -> Iterator[tuple[str, str, Artifact]]:
    """Give step, name and artifact of each that the newest attempts of steps have left."""
    for id_, step in state.steps.items():
        for name, artifact in step.artifacts.items():
            yield id_, name, artifact


def size(count: int) -> str:
    """Give a number of bytes as people read it."""
    if count < 1024:
        return f"{count} B"
    amount, unit = float(count), "B"
    for unit in _UNITS:  # noqa: B007 - the last one is asked for
        amount /= 1024
        if amount < 999.5:
            break
    return f"{amount:.3g} {unit}" if amount < 1000 else f"{amount:,.0f} {unit}"


def described(artifact: Artifact) -> str:
    """Say how much there is of it."""
    return f"{artifact.files:,} file{'s' if artifact.files != 1 else ''}, {size(artifact.bytes)}"


def title(step: str, name: str) -> str:
    """Name an artifact; most are called as their step is."""
    return name if name == step else f"{name} of {step}"


def kept_lines(state: RunState) -> Iterator[str]:
    """Say at the end of a run what is kept of it."""
    found = list(kept(state))
    for step, name, artifact in found[:SHOWN]:
        yield f"  artifacts {title(step, name)}: {described(artifact)}"
    if len(found) > SHOWN:
        yield f"  … and {len(found) - SHOWN:,} more artifacts"
