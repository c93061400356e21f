"""The defaults that decide of what a step is made: they are put into the steps before ids and instances are worked out.

Those that only say how a step runs are added when the plan is made.
"""

from dagnats.definition.problems import Problems
from dagnats.definition.tree import Node

MAKING = ("matrix", "foreach", "on_failure")
INSTEAD = {"matrix": "foreach", "foreach": "matrix"}


def give_defaults(defaults: Node, steps: list[Node], problems: Problems) -> None:
    """Put `matrix`, `foreach` and `on_failure` of the defaults into every step that says nothing about them."""
    given = {key: defaults.value[key] for key in MAKING if key in defaults.fields()}
    if "matrix" in given and "foreach" in given:
        problems.add(defaults.keys["foreach"], "`defaults` has both `matrix` and `foreach`", "remove one of them")
        given = {key: node for key, node in given.items() if key not in INSTEAD}
    for handler in given["on_failure"].items() if "on_failure" in given else ():
        if "id" in handler.fields():
            hint = "remove it; many steps have this one"
            problems.add(handler.keys["id"], "a step of `on_failure` in `defaults` may have no `id`", hint)
            handler.value.pop("id")
    for step in steps if given else ():
        for key, node in given.items():
            if key not in step.value and INSTEAD.get(key) not in step.value:
                step.value[key] = node
                step.keys[key] = defaults.keys[key]
