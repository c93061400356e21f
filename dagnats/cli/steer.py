"""The commands that answer a run: signals for steps that wait for one, and the decisions that approvals ask for."""

from collections.abc import Sequence

import click

_WHY = click.option("-m", "--message", "why", default="", metavar="WHY", help="Say why; it is recorded.")
_WORDS = click.argument("words", nargs=-1, required=True, metavar="[RUN] STEP")


@click.command()
@click.argument("run")
@click.argument("name")
@click.argument("payload", required=False, metavar="[JSON]")
def signal(run: str, name: str, payload: str | None) -> int:
    """Send the signal NAME to a RUN.

    A step of type `wait_for_signal` gets it, with JSON as its outputs; `-` reads that from stdin. It may come before the step waits, and while nothing runs.
    """
    from dagnats.cli.answers import send_signal  # noqa: PLC0415 - measured: --help and --version must not pay for it

    return send_signal(run, name, payload)


@click.command()
@_WORDS
@_WHY
def approve(words: tuple[str, ...], why: str) -> int:
    """Approve what STEP of a RUN asks, of the newest one unless given.

    Of a step with several instances, STEP names one: `deploy[env=prod]`.
    """
    return _decide(words, why, approved=True)


@click.command()
@_WORDS
@_WHY
def reject(words: tuple[str, ...], why: str) -> int:
    """Say no to what STEP of a RUN asks, of the newest one unless given. The step fails."""
    return _decide(words, why, approved=False)


def _decide(words: tuple[str, ...], why: str, *, approved: bool) -> int:
    from dagnats.cli.answers import decide  # noqa: PLC0415 - measured: --help and --version must not pay for it

    if len(words) > 2:
        raise click.UsageError(f"there is one step to name, and its run before it: {' '.join(words)}")
    run = words[0] if len(words) > 1 else None
    return decide(run, words[-1], why, approved=approved)


COMMANDS: Sequence[click.Command] = (signal, approve, reject)
