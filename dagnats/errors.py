"""One tree of errors; each class owns the exit code with which the command line ends.

A step that fails is not an error of this tree: it is data (`StepFailed`). These are for everything else.
"""


class DagnatsError(Exception):
    """Something a person must be told: its text says where, what, and what to do."""

    exit_code = 3


class UsageError(DagnatsError):
    """The command line, a parameter or a file can not be used; nothing was started."""

    exit_code = 2


class NotBegunError(UsageError):
    """A run was killed before its first event was stored: there is nothing to look at, and nothing to go on with."""

    def __init__(self, run: str) -> None:
        super().__init__(f"run {run} had not begun when its runner ended: nothing was done, so run its file again")


class InterruptedEarlyError(UsageError):
    """A signal came before the run had begun."""

    def __init__(self, name: str, number: int) -> None:
        super().__init__(f"received {name} before the first step; nothing was started")
        self.exit_code = 128 + number


class RefusedAskError(UsageError):
    """A live run was asked for something that it does not do."""


class EngineError(DagnatsError):
    """The engine or its surroundings failed: server, disk, lock."""

    exit_code = 3


class ParkedError(DagnatsError):
    """The run waits for somebody, or for a time that is far, and was left: its store has all that is needed to go on."""

    exit_code = 4


class UnshownError(EngineError):
    """The run is over, in this `state`, but not all of it could be shown or written."""

    def __init__(self, message: str, state: object) -> None:
        super().__init__(message)
        self.state = state


class DiskFullError(EngineError):
    """No space is left where the run keeps its store."""


class RunLostError(EngineError):
    """Another engine has written to this run's journal; this one must not go on."""


class JournalError(DagnatsError):
    """The journal is damaged: a gap, a broken chain, or an unknown version."""

    exit_code = 5


class NoJournalError(JournalError):
    """There is no commit of the run."""


class UnreadableError(JournalError):
    """The server counts a message that it can not give any more: the block that held it is damaged."""


class NewerVersionError(JournalError):
    """What was written by a newer version: nothing is wrong with it."""
