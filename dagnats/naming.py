"""What runs are called, and where one lies beneath the directory of a project's runs. Cheap to import: a shell asks for it while somebody types.

A run lies in a directory of its name. One that was opened while another had its name lies in `NAME~2/NAME`, so that its directory has its name all the same.
"""

import random
from pathlib import Path

_ADJECTIVES = (
    "amber", "bold", "brave", "bright", "brisk", "calm", "clever", "cosmic", "crisp", "eager", "early", "fair", "fancy", "gentle",
    "glad", "golden", "happy", "jolly", "keen", "kind", "lively", "lucky", "mellow", "merry", "neat", "noble", "proud", "quick",
    "quiet", "rapid", "rosy", "silent", "smooth", "solid", "sunny", "swift", "tidy", "vivid", "warm", "witty",
)  # fmt: skip
_ANIMALS = (
    "badger", "beaver", "bison", "cobra", "condor", "coyote", "crane", "dingo", "eagle", "falcon", "ferret", "finch", "gecko", "heron",
    "ibis", "jackal", "koala", "lemur", "lion", "llama", "lynx", "marten", "moose", "otter", "owl", "panda", "puma", "quail", "raven",
    "robin", "salmon", "seal", "swan", "tiger", "toucan", "turtle", "walrus", "weasel", "wolf", "yak",
)  # fmt: skip
AGAIN = "~"  # stands between the name of a run and a number


def runs_in(runs: Path) -> list[Path]:
    """Give the directories of runs, in no order; what begins with a dot is none yet."""
    found = (inner(path) for path in runs.iterdir() if not path.name.startswith("."))
    return [path for path in found if (path / "lock").exists()]


def label(directory: Path) -> str:
    """Name a run so that no other one of the project is meant."""
    holder = directory.parent.name
    return holder if holder.startswith(directory.name + AGAIN) else directory.name


def project(directory: Path) -> Path:
    """Give the root of the project whose run lies there."""
    return directory.parents[3 if label(directory) != directory.name else 2]


def inner(path: Path) -> Path:
    """Give the directory of a run, of what lies directly beneath that of all."""
    name, again, _ = path.name.partition(AGAIN)
    return path / name if again else path


def said() -> str:
    """Give a name that can be said, without a number."""
    return f"{random.choice(_ADJECTIVES)}-{random.choice(_ANIMALS)}"  # noqa: S311 - a name, no secret
