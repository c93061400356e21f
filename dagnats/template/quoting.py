"""Where in a script an interpolation would not work: in single quotes a shell does not look for variables.

There is a small scanner for each language, and no parser. It speaks only where it is sure, and stops at the first doubt.
"""

import io
import tokenize
from typing import Final

from dagnats.core.text import has_template
from dagnats.template.errors import TemplateError
from dagnats.template.posix import scan_bash, scan_sh
from dagnats.template.scripts import TAG, VALUE, Findings, Script, flatten

_NAME: Final = "_DAGNATS_VALUE_"


def check_script(text: str, shell: str | tuple[str, ...]) -> list[TemplateError]:
    """Every interpolation of a script that its shell would not expand, each with what to write instead."""
    scan = {"bash": scan_bash, "sh": scan_sh, "pwsh": _scan_pwsh, "python": _scan_python}.get(
        shell if isinstance(shell, str) else ""
    )
    script = flatten(text) if scan and has_template(text) else None
    return scan(script) if scan and script else []


def _scan_pwsh(script: Script) -> list[TemplateError]:
    findings = Findings(script)
    text, position = script.text, 0
    ends = {"@'": "\n'@", '@"': '\n"@', "<#": "#>", "'": "'", '"': '"', "#": "\n"}
    while position < len(text):
        start = next((start for start in ends if text.startswith(start, position)), None)
        if start is None:
            if text[position] == VALUE:
                findings.value()
            position += 2 if text[position] == "`" and text[position + 1 : position + 2] != VALUE else 1
            continue
        position += len(start)
        end = text.find(ends[start], position)
        part = text[position : end if end >= 0 else len(text)]
        # Text in double quotes may hold code that holds quotes, and a backtick may escape the end. A statement within
        # quotes may be what opens or closes them.
        if TAG in part or ('"' in start and ("$(" in part or "`" in part)):
            break
        for _ in range(part.count(VALUE)):
            findings.value(*_PWSH_QUOTED if "'" in start else ())
        if end < 0:
            break
        position = end + len(ends[start])
    return findings.problems


_PWSH_QUOTED: Final = (
    "an interpolation in single quotes is not expanded",
    "use double quotes, or join: 'a ' + \"{{ x }}\" + ' b'",
)


def _scan_python(script: Script) -> list[TemplateError]:
    findings = Findings(script)
    text = script.text.replace(TAG, "").replace(VALUE, _NAME)
    try:
        for found in tokenize.generate_tokens(io.StringIO(text).readline):
            quoted = found.type not in (tokenize.NAME, tokenize.COMMENT)
            for _ in range(found.string.count(_NAME)):
                findings.value(*_PYTHON_QUOTED if quoted else ())
    except (tokenize.TokenError, SyntaxError):
        pass  # Python itself will say so, with a better message
    return findings.problems


_PYTHON_QUOTED: Final = (
    "an interpolation in Python is a string literal with quotes of its own, and is not expanded inside another one",
    "write it without quotes: 'a ' + {{ x }}",
)
