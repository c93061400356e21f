"""`dagnats clean`: removes old runs, and what a crash has left."""

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from dagnats.cleaning import Cleaned

_PART = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,3})?)(ms|s|m|h|d)")
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0}


def _seconds(_ctx: click.Context, _param: click.Parameter, text: str | None) -> float | None:
    """Read a duration, written as in pipelines, and also in days."""
    if text is None:
        return None
    parts = _PART.findall(text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        raise click.BadParameter(f"{text!r} is no duration: write it with its unit, such as 90m, 12h or 7d")
    return sum(float(number) * _SECONDS[unit] for number, unit in parts)


@click.command()
@click.argument("runs", nargs=-1, metavar="[RUN]...")
@click.option("--keep", type=click.IntRange(0), metavar="N", envvar="DAGNATS_KEEP", help="Keep the newest N runs. [default: 20]")  # fmt: skip
@click.option(
    "--older-than",
    callback=_seconds,
    metavar="DURATION",
    envvar="DAGNATS_OLDER_THAN",
    help="Remove the runs that were last touched so long ago, such as 12h or 7d.",
)
@click.option(
    "--all",
    "all_",
    is_flag=True,
    envvar="DAGNATS_CLEAN_ALL",
    help="Remove all runs but those that go on, and containers that runs of other projects have left.",
)
@click.option(
    "--dry-run", is_flag=True, envvar="DAGNATS_DRY_RUN", help="Say what would be removed, and remove nothing."
)
def clean(runs: tuple[str, ...], keep: int | None, older_than: float | None, *, all_: bool, dry_run: bool) -> int:
    """Remove old runs of the project, and what a crash has left behind.

    That is: processes, containers, half-removed runs, and the temporary directories of ephemeral runs, of runners that are gone. A run that goes on is never
    touched, and one that can be resumed only when it is named as a RUN, or with --all. Ends with 3 when something could not be removed.
    """
    import os  # noqa: PLC0415 - measured: --help and --version must not pay for it

    from dagnats.cleaning import KEPT_RUNS, Wish  # noqa: PLC0415 - the same
    from dagnats.cleaning import clean as cleaned_up  # noqa: PLC0415 - the same

    given = [
        name
        for name, is_there in (
            ("RUN", bool(runs)),
            ("--keep", keep is not None),
            ("--older-than", older_than is not None),
            ("--all", all_),
        )
        if is_there
    ]
    if len(given) > 1:
        raise click.UsageError(f"{' and '.join(given)} say different things: give one of them")
    wish = Wish(names=runs, all=all_, older_than_s=older_than, keep=KEPT_RUNS if keep is None else keep)
    return _tell(cleaned_up(wish, dry_run=dry_run, environ=os.environ), dry_run=dry_run)


def _tell(cleaned: "Cleaned", *, dry_run: bool) -> int:
    verb = "would remove" if dry_run else "removed"
    for line in cleaned.lines:
        click.echo(f"{verb} {line}")
    for note in (*cleaned.notes, *cleaned.problems):
        click.echo(note, err=True)
    counts = [_counted(count, kind) for kind, count in cleaned.counts.items()]
    if counts:
        end = f"{size_text(cleaned.freed_bytes)} {'would be freed' if dry_run else 'freed'}"
        click.echo(f"{verb} {', '.join(counts)}; {end}", err=True)
    elif not cleaned.problems:
        click.echo("nothing to remove", err=True)
    return 3 if cleaned.problems else 0


def _counted(count: int, kind: str) -> str:
    singular = {"processes": "process", "temporary directories": "temporary directory"}.get(kind, kind[:-1])
    return f"{count} {singular if count == 1 else kind}"


def size_text(count: int) -> str:
    """Give a number of bytes as people read it."""
    amount, units = float(count), ["bytes", "kB", "MB", "GB", "TB"]
    while amount >= 999.5 and len(units) > 1:
        amount /= 1000
        units.pop(0)
    return f"{amount:.0f} {units[0]}" if units[0] == "bytes" or amount >= 10 else f"{amount:.1f} {units[0]}"


COMMANDS: Sequence[click.Command] = (clean,)
