"""What a run leaves behind, and its removal by the guardian, which outlives the runner.

Cheap to import, as the guardian waits for it: no shutil, no pathlib.
"""

from __future__ import annotations

import os
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

BOX = b".box"
GONE = ".gone"  # the end of the name of a run's directory that is being removed
_LOOK_S = 0.01


def remove_files(folder: bytes) -> None:
    """Remove the files of attempts: scripts, and what steps wrote for the engine, which may be what nobody else may see.

    A directory among them was made by a step, and stays; but one that ends in BOX is an attempt's.
    """
    try:
        for path in [folder + b"/" + name for name in os.listdir(folder)]:  # noqa: PTH208
            if path.endswith(BOX):
                remove_all(path)
            elif not os.path.isdir(path):  # noqa: PTH112
                os.unlink(path)  # noqa: PTH108
        os.rmdir(folder)  # noqa: PTH106
    except OSError:  # nothing is left of it, or something that is not ours
        pass


def remove_all(folder: bytes) -> None:
    """Remove a directory with all that is in it, as far as it can be; links are removed, not followed."""
    folders = [folder]
    for path in folders:  # which grows by the directories that are found
        try:
            entries = list(os.scandir(path))
        except OSError:
            continue
        folders += [entry.path for entry in entries if entry.is_dir(follow_symlinks=False)]
        for entry in entries:
            if not entry.is_dir(follow_symlinks=False):
                _attempt(os.unlink, entry.path)
    for path in reversed(folders):
        _attempt(os.rmdir, path)


def _attempt(remove: Callable[[bytes], None], path: bytes) -> None:
    try:  # noqa: SIM105  # contextlib takes 4 ms to import
        remove(path)
    except OSError:
        pass


def run_bounded(argv: list[bytes], env: dict[bytes, bytes], until: float) -> None:
    """Run a command of ours to its end, or kill it when its time is over; nobody is left to be told of what it says."""
    try:
        pid = os.posix_spawn(argv[0], argv, env, setsid=True, setsigmask=())
    except OSError:
        return
    while os.waitpid(pid, os.WNOHANG)[0] == 0:
        if time.monotonic() >= until:
            os.killpg(pid, 9)
            os.waitpid(pid, 0)
            return
        time.sleep(_LOOK_S)
