"""`dagnats resume`: go on with a run whose runner is gone."""

import os
import sys
from collections.abc import Sequence
from typing import Any

import click

from dagnats.cli.options import told
from dagnats.cli.run_options import shown_options, surroundings_options, words_options
from dagnats.cli.runs import complete_run


@click.command()
@click.argument("name", metavar="[RUN]", required=False, shell_complete=complete_run)
@click.option(
    "--again",
    "consents",
    multiple=True,
    metavar="STEP",
    envvar="DAGNATS_AGAIN",
    help="Let this step run again although it is `once` and had begun; may be given again.",
)
@click.option(
    "--accept-loss",
    is_flag=True,
    envvar="DAGNATS_ACCEPT_LOSS",
    help="Go on from the last good event of a damaged journal, and forget what came after it.",
)
@shown_options
@surroundings_options
@words_options
def resume(name: str | None, consents: tuple[str, ...], *, accept_loss: bool, **flags: Any) -> int:
    """Go on with RUN after a crash, a reboot, or a wait for which it was parked.

    RUN is its name or the beginning of it, and the newest unless given. What was left of the runner before is ended first. Steps whose end is in the journal
    do not run again; what was under way does, but for steps that are `once`: on a terminal you are asked, elsewhere they fail unless `--again` names them.
    """
    from dagnats.cli.sources import reported  # noqa: PLC0415 - measured: --help and --version must not pay for it
    from dagnats.request import Request  # noqa: PLC0415 - the same
    from dagnats.resume import resume as resume_run  # noqa: PLC0415 - the same

    with told():
        request = Request(file="", again=["dagnats", *sys.argv[1:]], **flags)
    return reported(lambda: resume_run(request, name, accept_loss=accept_loss, again=consents, consent=_asked))


def _asked(step: str) -> bool:
    """Ask whether a step may run again, where there is somebody to ask."""
    if not (os.isatty(0) and os.isatty(2)):
        return False
    return click.confirm(f"{step} is `once`, and had begun when the run was interrupted. Run it again?", err=True)


COMMANDS: Sequence[click.Command] = (resume,)
