"""Runs that are kept here, for a shell to complete their names. Nothing here may be slow to import."""

from typing import TYPE_CHECKING

import click

from dagnats.cli.options import complete_file

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem


def complete_run(_ctx: click.Context, _param: click.Parameter, incomplete: str) -> "list[CompletionItem]":
    """Offer the names of runs, the newest first."""
    from click.shell_completion import CompletionItem  # noqa: PLC0415 - measured: only a completion needs it

    from dagnats.errors import DagnatsError  # noqa: PLC0415 - the same
    from dagnats.kept import kept  # noqa: PLC0415 - the same
    from dagnats.naming import label  # noqa: PLC0415 - the same

    try:
        names = [label(path) for path in kept()[1]]
    except DagnatsError:
        return []
    return [CompletionItem(name) for name in names if name.startswith(incomplete)]


def complete_file_or_run(ctx: click.Context, param: click.Parameter, incomplete: str) -> "list[CompletionItem]":
    """Offer the runs of this project that begin like that, and files."""
    return [*(complete_run(ctx, param, incomplete) if incomplete else []), *complete_file(ctx, param, incomplete)]


def complete_run_step(ctx: click.Context, param: click.Parameter, incomplete: str) -> "list[CompletionItem]":
    """Offer the steps of the run that the command line names, else those of the newest; where a run may stand, the runs too."""
    from click.shell_completion import CompletionItem  # noqa: PLC0415 - as above

    from dagnats.cli.listed import steps_of  # noqa: PLC0415 - the same
    from dagnats.errors import DagnatsError  # noqa: PLC0415 - the same

    words = ctx.params.get("words") or ()
    run = ctx.params.get("name") or (words[0] if words else None)
    try:
        found = [CompletionItem(id_) for id_ in steps_of(run) if id_.startswith(incomplete)]
    except DagnatsError:
        found = []
    return found if run is not None else [*found, *complete_run(ctx, param, incomplete)]


def complete_step_of_run(ctx: click.Context, _param: click.Parameter, incomplete: str) -> "list[CompletionItem]":
    """Offer the steps of the run that the command line names, else those of the newest."""
    from click.shell_completion import CompletionItem  # noqa: PLC0415 - as above

    from dagnats.cli.listed import steps_of  # noqa: PLC0415 - the same
    from dagnats.errors import DagnatsError  # noqa: PLC0415 - the same

    # the option that is being completed lacks its value, and then click leaves arguments where they are
    loose = next((word for word in ctx.args if not word.startswith("-")), None)
    try:
        ids = steps_of(ctx.params.get("name") or loose)
    except DagnatsError:
        return []
    return [CompletionItem(id_) for id_ in ids if id_.startswith(incomplete) and not set(id_) & set("[/")]
