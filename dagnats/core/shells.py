"""In which language a step's script is written: by that is decided how a value reaches it."""

from collections.abc import Sequence

SH = "sh"
PYTHON = "python"
PWSH = "pwsh"
_FAMILIES = {
    **dict.fromkeys(("bash", "sh", "dash", "zsh", "ksh", "ash"), SH),
    **dict.fromkeys(("python", "python3"), PYTHON),
    **dict.fromkeys(("pwsh", "powershell"), PWSH),
}
_WITH_ARGUMENT = ("-u", "-C", "--unset", "--chdir")  # options of `env`


def language(shell: str | Sequence[str]) -> str:
    """Give the language of a `shell`: its own word, `sh`, `python` or `pwsh` for a list of words, or "" where it is none of them."""
    if isinstance(shell, str):
        return shell
    name = interpreter(shell)
    if name.startswith("python3.") and name[8:].isdecimal():
        return PYTHON
    return _FAMILIES.get(name, "")


def interpreter(words: Sequence[str]) -> str:
    """Give the name of the program that reads the script, also behind `env` and `busybox`."""
    left = list(words)
    while left:
        name = left.pop(0).rsplit("/", 1)[-1]
        if name == "env":
            left = _after_env(left)
        elif name != "busybox" or not left:
            return name
    return ""


def _after_env(words: list[str]) -> list[str]:
    """Leave out the options and the variables that `env` takes before its command."""
    left = list(words)
    while left and (left[0].startswith("-") or "=" in left[0]):
        word = left.pop(0)
        if word in ("-S", "--split-string"):
            return left[0].split() + left[1:] if left else []
        if word in _WITH_ARGUMENT:
            left = left[1:]
    return left
