"""Where in a script an interpolation would not work: in single quotes a shell does not look for variables.

There is a small scanner for each language, and no parser. It speaks only where it is sure, and stops at the first doubt.
"""

import io
import tokenize
from functools import partial
from typing import Final

from dagnats.core.shells import interpreter, language
from dagnats.core.text import has_template
from dagnats.template.errors import TemplateError
from dagnats.template.posix import scan_bash, scan_sh
from dagnats.template.pwsh import scan_pwsh
from dagnats.template.scripts import TAG, VALUE, Findings, Script, flatten

_NAME: Final = "_DAGNATS_VALUE_"
_READ_FROM_ENV: Final = {
    "perl": "$ENV{NAME}",
    "ruby": 'ENV["NAME"]',
    "php": 'getenv("NAME")',
    "Rscript": 'Sys.getenv("NAME")',
    "lua": 'os.getenv("NAME")',
    "fish": "$NAME",
    "nu": "$env.NAME",
    **dict.fromkeys(("node", "bun"), "process.env.NAME"),
    "deno": 'Deno.env.get("NAME")',
}


def check_script(text: str, shell: str | tuple[str, ...]) -> list[TemplateError]:
    """Every interpolation of a script that its shell would not expand, each with what to write instead."""
    script = flatten(text) if has_template(text) else None
    if script is None:
        return []
    scan = {"bash": scan_bash, "sh": scan_sh, "pwsh": scan_pwsh, "python": _scan_python}.get(language(shell))
    return scan(script) if scan else unknown_language(script, interpreter(shell))


def unknown_language(script: Script, program: str) -> list[TemplateError]:
    """Refuse every interpolation: what would be right for a shell is another thing, or nothing, in a language that nobody knows here."""
    read = _READ_FROM_ENV.get(program)
    example = f": in {program} `{read}`" if read else ", as in perl `$ENV{NAME}`"
    refused = partial(
        TemplateError,
        f"an interpolation can not be given to a script of `{program}`: how it reads a value is not known",
        hint=f"put the value into `env`, and let the script read that variable{example}",
    )
    return [refused(line) for line in script.lines]


def _scan_python(script: Script) -> list[TemplateError]:
    findings = Findings(script)
    text = script.text.replace(TAG, "").replace(VALUE, _NAME)
    formatted = 0  # how many literals are open in whose braces there is code
    try:
        for found in tokenize.generate_tokens(io.StringIO(text).readline):
            formatted += (found.type == _FORMATTED_START) - (found.type == _FORMATTED_END)
            for place in range(found.string.count(_NAME)):
                findings.value(*_python_problem(found, formatted > 0, is_first=place == 0))
    except (tokenize.TokenError, SyntaxError):
        pass  # Python itself will say so, with a better message
    return findings.problems


def _python_problem(found: tokenize.TokenInfo, is_formatted: bool, *, is_first: bool) -> tuple[str, ...]:
    if found.type == tokenize.COMMENT:
        return ()
    if found.type != tokenize.NAME or is_formatted:
        return _PYTHON_QUOTED
    return () if found.string.startswith(_NAME) or not is_first else _PYTHON_JOINED


# Before Python 3.12 a literal with code in its braces was one token; a script means the same whatever runs this check.
_FORMATTED_START: Final[int] = getattr(tokenize, "FSTRING_START", -1)
_FORMATTED_END: Final[int] = getattr(tokenize, "FSTRING_END", -1)
_PYTHON_QUOTED: Final = (
    "an interpolation in Python is a string literal with quotes of its own, and is not expanded inside another one",
    "write it without quotes: 'a ' + {{ x }}",
)
_PYTHON_JOINED: Final = (
    "an interpolation in Python is a string literal, which letters right before it would change",
    "put an operator or a blank between them",
)
