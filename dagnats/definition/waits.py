"""Steps that wait, for a time, for a signal or for somebody's word: what they say, and which fields have no meaning for them."""

from collections.abc import Mapping

from dagnats.core.pipeline import Wait
from dagnats.core.text import has_template
from dagnats.core.waits import APPROVAL_OUTPUTS, SIGNAL_RULE, is_signal
from dagnats.definition import values
from dagnats.definition.problems import Problems, quoted
from dagnats.definition.scopes import Scope
from dagnats.definition.templates import TemplateCheck
from dagnats.definition.tree import Node

# the key that makes a step wait -> its type
WAIT_KEYS: Mapping[str, str] = {"duration": "sleep", "signal": "wait_for_signal", "prompt": "approval"}
WAIT_WORDS = {"duration": "sleeps", "signal": "waits for a signal", "prompt": "asks for an approval"}
NOTHING = "it runs nothing"
MEANINGLESS: Mapping[str, str] = {
    "image": NOTHING,
    "container": NOTHING,
    "services": NOTHING,
    "shell": NOTHING,
    "working_dir": NOTHING,
    "env": NOTHING,
    "idle_timeout": "`timeout` says how long it waits",
    "outputs": NOTHING,
    "artifacts": NOTHING,
    "once": NOTHING,
}
OF_SLEEP: Mapping[str, str] = {"timeout": "`duration` says how long it waits", "retry": "a sleep does not fail"}
OUTPUTS_HINT = {
    "signal": "its outputs are what is sent along with the signal",
    "prompt": f"its outputs are {' and '.join(map(quoted, APPROVAL_OUTPUTS))}",
}
SECRETS_HINT = "what a step waits for is shown and recorded"


def kind_of(node: Node) -> str | None:
    """The key that makes a step wait, if it has one."""
    fields = node.fields()
    return next((key for key in WAIT_KEYS if key in fields), None)


def without_meaning(key: str) -> Mapping[str, str]:
    """The fields that mean nothing for such a wait, each with what to say of it."""
    return {**MEANINGLESS, **OF_SLEEP} if key == "duration" else MEANINGLESS


def wait_of(node: Node, key: str, templates: TemplateCheck, scope: Scope, problems: Problems) -> Wait:
    """Check what a step says of its wait, and give that."""
    for name, hint in without_meaning(key).items():
        if name in node.fields():
            said = OUTPUTS_HINT.get(key, hint) if name == "outputs" else hint
            problems.add(node.keys[name], f"`{name}` has no meaning for a step that {WAIT_WORDS[key]}", said)
    given = node.fields()[key]
    if key == "duration":
        return Wait("sleep", duration_s=values.duration(given, problems) or 0.0)
    text = values.text(given) or ""
    templates.value(given, scope)
    if key == "prompt":
        return Wait("approval", prompt=text)
    if text and not has_template(text) and not is_signal(text):
        problems.add(given, f"{quoted(text)} is no name of a signal: it has {SIGNAL_RULE}")
    return Wait("signal", signal=text)
