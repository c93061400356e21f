"""Scripts that use a secret as a variable which no step has unless it is given: what `env://` names is dropped from the environment of all."""

import re
from collections.abc import Mapping

from dagnats.core.pipeline import Pipeline
from dagnats.definition.problems import Problems, quoted
from dagnats.definition.tree import Node

MAX_SECRETS = 200
MAX_TEXT = 64 * 1024
UNCLEAR = (
    r"'|<<|\beval\b|\bsource\b|set \+|(?:^|[\s;&|])\.\s|\b(?:export|declare|local|typeset|readonly)\s+(?:-\w+\s+)*[\"$]"
)
COMMENT = r"(?m)(?:^|(?<=\s))#.*$"


def note_lost_secrets(plan: Pipeline, nodes: Mapping[str, Node], problems: Problems) -> None:
    """Warn of scripts that are likely to fail, `nodes` being the steps. Where a file of `dotenv` may define the name, nobody knows."""
    if not plan.secrets or plan.dotenv or len(plan.secrets) > MAX_SECRETS:
        return
    known = {
        source.removeprefix("env://"): name for name, source in plan.secrets.items() if source.startswith("env://")
    }
    if not known:
        return
    used = re.compile(r"(?<![\\$])\$\{?(" + "|".join(map(re.escape, known)) + r")\b")
    seen: dict[tuple[str, frozenset[str]], str | None] = {}
    for step in (*plan.steps, *plan.finally_steps):
        script = step.run
        node = nodes.get(step.id)
        # where the author says how a shell is called, an unset variable may be none of its business
        if script is None or node is None or len(script) > MAX_TEXT or step.shell not in ("bash", "sh"):
            continue
        given = frozenset((*plan.env, *step.env, *(step.container.env if step.container is not None else ())))
        if (script, given) not in seen:
            seen[script, given] = _lost(script, used, given)
        name = seen[script, given]
        if name is not None:
            secret = known[name]
            message = f"{quoted(f'${name}')} is a secret, and in the environment of no step that is not given it"
            hint = f'write `env: {{{name}: "{{{{ secrets.{secret} }}}}"}}` in the step'
            problems.warn(node.get("run") or node, message, hint)


def _lost(script: str, used: re.Pattern[str], given: frozenset[str]) -> str | None:
    """The first variable that the script uses and nobody sets. Where quotes, or what other files define, leave a doubt, nothing is said."""
    if re.search(UNCLEAR, script):
        return None
    script = re.sub(COMMENT, "", script)
    for found in used.finditer(script):
        name = found[1]
        # it is set, read or exported, or the script looks whether it is there
        is_minded = re.search(rf"(?<![\w${{]){name}\b|\${{{name}:?[-+=?]", script)
        if name not in given and not is_minded:
            return name
    return None
