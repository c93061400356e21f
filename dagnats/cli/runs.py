"""Runs that are kept here, for a shell to complete their names. Nothing here may be slow to import."""

from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem


def complete_run(_ctx: click.Context, _param: click.Parameter, incomplete: str) -> "list[CompletionItem]":
    """Offer the names of runs, the newest first."""
    from click.shell_completion import CompletionItem  # noqa: PLC0415 - measured: only a completion needs it

    from dagnats.errors import DagnatsError  # noqa: PLC0415 - the same
    from dagnats.stored import kept  # noqa: PLC0415 - the same

    try:
        names = [path.name for path in kept()[1]]
    except DagnatsError:
        return []
    return [CompletionItem(name) for name in names if name.startswith(incomplete)]
