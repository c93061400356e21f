"""`dagnats completion`: the script with which a shell asks this program for completions."""

import click
from click.shell_completion import ShellComplete, get_completion_class

VARIABLE = "_DAGNATS_COMPLETE"


def print_script(shell: str, cli: click.Command) -> int:
    """Print the script for a shell."""
    found = get_completion_class(shell)
    if found is None:
        raise LookupError(shell)
    # not `source` of the class itself: that of bash starts a bash to look at its version
    click.echo(ShellComplete.source(found(cli, {}, "dagnats", VARIABLE)))
    return 0
