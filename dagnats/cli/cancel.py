"""`dagnats cancel`: ask the engine of a live run for its end."""

import os
import pwd

import click

from dagnats.bus.asks import CANCEL, ask
from dagnats.bus.link import Link
from dagnats.cli.watch import found
from dagnats.errors import UsageError
from dagnats.rundir import journal_end
from dagnats.stored import is_live, use
from dagnats.viewing import GoneError

WHY_MAX = 1000


def cancel_run(name: str | None, why: str, *, force: bool) -> int:
    """Ask, and say that it is recorded. Raises UsageError when the run is over, and GoneError when nobody runs it."""
    directory = found(name)
    run = directory.name
    if len(why) > WHY_MAX:
        raise UsageError(f"--message: {len(why):,} characters are too many for a reason: at most {WHY_MAX:,}")
    over = UsageError(f"run {run} has ended already: there is nothing to cancel")
    if not is_live(directory):
        raise over if journal_end(directory) is not None else GoneError(directory)

    async def work(link: Link, is_still: bool) -> bool:
        if not is_still:
            raise over
        answer = await ask(link, run, CANCEL, who=_user(), why=why, force=force)
        return bool(answer.get("repeated"))

    repeated = use(directory, work)
    if repeated:
        hint = "" if force else "; `--force` kills everything at once"
        click.echo(f"run {run} is being cancelled already{hint}", err=True)
    else:
        click.echo(f"run {run} is being cancelled", err=True)
    return 0


def _user() -> str:
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:  # of a container that does not know its user
        return f"user {os.getuid()}"
