"""What to write instead of a value of the wrong shape, where the shape tells what was meant."""

import re

from dagnats.definition.problems import printable, quoted
from dagnats.definition.tree import Node

SHELL_WORDS = r"[A-Za-z][\w.-]*(?: [\w./+-]+)+"
PROGRAMS = frozenset(["zsh", "fish", "ksh", "dash", "nu", "node", "deno", "bun", "perl", "ruby", "python3"])
MAX_LOOKED_AT = 200  # an alias can bring a text of 1 MiB to each step
SPACED = r"(?=.* )(?:[0-9]+(?:\.[0-9]+)? ?h ?)?(?:[0-9]+(?:\.[0-9]+)? ?m(?!s) ?)?(?:[0-9]+(?:\.[0-9]+)? ?s)?"
TIME = r"([0-9]+(?:\.[0-9]+)?) ?([a-z]+)"
UNITS = {
    "ms": ("ms", "msec", "msecs", "millisecond", "milliseconds"),
    "s": ("s", "sec", "secs", "second", "seconds"),
    "m": ("m", "min", "mins", "minute", "minutes"),
    "h": ("h", "hr", "hrs", "hour", "hours"),
}
BOXED = ("image", "container")
MAPPING_HINTS = {
    "env": "write `NAME: value`, without `- ` and `=`",
    "params": "write `name: {type: string}` for each",
    "vars": "write `name: value` for each",
    "outputs": "write `name: {}` for each",
    "matrix": 'write `axis: [values]`, for example `python: ["3.11", "3.12"]`',
    "step": "write `- run: …` for a script",
}
LIST_HINTS = {
    "needs": "write the ids in a list: `[build, test]`",
    "steps": "each step begins with `- `, and what it is called is its `id`",
    "finally": "each step begins with `- `",
    "on_failure": "each step begins with `- `",
    "volumes": "write a list: `[SOURCE:TARGET]`",
    "options": "write a list of words: `[--shm-size=1g]`",
    "run": "write the script here; `shell` and others stand beside `run`",
}


def shape_hint(node: Node, keys: list[str | int]) -> str:
    """What to write where a value is a list, a mapping or a text and should be another of these; `keys` lead to it."""
    last = keys[-1] if keys else ""
    if isinstance(last, int) and keys[-2:-1] and keys[-2] in ("steps", "finally", "on_failure"):
        return _step_hint(node, str(keys[-2]))
    if last == "needs" and isinstance(node.value, str) and (hint := text_hint(node.value, "step id")):
        return "write the ids in a list" + hint.replace("did you mean `", ": `[").replace("`?", "]`")
    if "services" in keys[:3] and (hint := _of_services(node, keys)):
        return hint
    return _of_kind(node, keys, last)


def _of_kind(node: Node, keys: list[str | int], last: str | int) -> str:
    if isinstance(node.value, dict):
        return _of_mapping(node, keys, last)
    if last in BOXED or keys[:1] == ["services"] or keys[-2:-1] == ["container"]:
        return _of_container(node, str(last))
    if isinstance(node.value, list) and last == "sh":
        return "write one text; `|` begins one of several lines"
    # what a step gives to a pipeline, and what a run gives, are values as those of `vars` are
    plain = (last == "params" and len(keys) > 1) or keys == ["outputs"]
    return MAPPING_HINTS.get("vars" if plain else str(last), "") if isinstance(node.value, list | str) else ""


def _of_services(node: Node, keys: list[str | int]) -> str:
    """What was meant by a value of `services`, of the file or of a step, and in them."""
    value = node.value
    if keys[0] != "services":
        return _waited_for(node, keys[-1])
    if len(keys) == 1:
        return f"give each a name: `{service_written(value[0])}`" if isinstance(value, list) and value else ""
    if len(keys) == 2:
        return f"write `{keys[1]}: {{image: {_in_braces(value)}}}`" if isinstance(value, str) and value else ""
    of = _IN_SERVICE.get(str(keys[2]))
    return of(node, len(keys) > 3) if of is not None else ""


def _waited_for(node: Node, last: str | int) -> str:
    if isinstance(node.value, str) and last == "services":
        return f"write a list: `[{_in_braces(node.value)}]`" if node.value else ""
    hint = f"declare it at the top of the file, under `services`, and name it here: `[{_service_name(node)}]`"
    return hint if isinstance(node.value, dict) and node.value else ""


def _port(node: Node, is_item: bool) -> str:
    value = node.value
    port = str(value).rpartition(":")[2].partition("/")[0] if isinstance(value, str) else ""
    port = port if port.isdecimal() else "5432" if port else ""
    words = port if is_item else f"[{port or node.text}]"
    return (
        f"write the port within the container: `{words}`; steps find it by `<NAME>_PORT`" if words.strip("[]") else ""
    )


def _ready(node: Node, is_inner: bool) -> str:
    example = f"tcp: {node.text}" if isinstance(node.value, int) and node.text else "cmd: pg_isready"
    return f"write `{{{example}}}`, or one of `http` and `log`" if not is_inner else ""


def _service_command(node: Node, is_inner: bool) -> str:
    if is_inner or not isinstance(node.value, str) or not node.value:
        return ""
    text = node.value[:MAX_LOOKED_AT]
    words = ", ".join(text.split()) if re.fullmatch(r"[\w./+-]+(?: [\w./+-]+)*", text) else 'sh, -c, "…"'
    return f"write a list of words: `[{words}]`"


def _service_options(node: Node, is_inner: bool) -> str:
    is_check = not is_inner and isinstance(node.value, str) and "--health" in node.value[:MAX_LOOKED_AT]
    return (
        "write `ready: {cmd: …}` for a health check; other flags are a list of words: `[--shm-size=1g]`"
        if is_check
        else ""
    )


_IN_SERVICE = {"ports": _port, "ready": _ready, "command": _service_command, "options": _service_options}


def service_written(node: Node) -> str:
    """How a service that stands in a list elsewhere is written here."""
    image = node.get("name") or node.get("image") or node
    text = image.value if isinstance(image.value, str) and len(image.value) <= MAX_LOOKED_AT else "…"
    return f"services: {{{_service_name(node)}: {{image: {_in_braces(text)}}}}}"


def _service_name(node: Node) -> str:
    """The name that a service would have here, by its alias or its image."""
    given = next((one for key in ("alias", "name", "image") if (one := node.get(key)) is not None), node)
    if isinstance(given.value, dict) and len(given.value) > 0:
        given = Node(str(next(iter(given.value))), 0, 0)
    text = given.value[:MAX_LOOKED_AT] if isinstance(given.value, str) else ""
    plain = re.sub(r"[^a-z0-9_-]+", "-", text.rpartition("/")[2].partition("@")[0].partition(":")[0].lower()).strip(
        "-_"
    )
    return plain[:63] if plain[:1].isalpha() else "db"


def _in_braces(text: str) -> str:
    """A text as it may stand within `{…}`."""
    shown = printable(text[:MAX_LOOKED_AT])
    return shown if re.fullmatch(r"[A-Za-z0-9_./…-]+", shown) else f'"{shown}"'


def _of_container(node: Node, last: str) -> str:
    """What was meant by a value of `image`, or of `container` and in it."""
    value = node.value
    if isinstance(value, str) and value and len(value) <= MAX_LOOKED_AT:
        words = f"write a list of words: `[{', '.join(value.split())}]`"
        meant = {
            "container": f"write `image: {printable(value)}`, or a mapping with its `image`",
            "options": words,
            "volumes": f"write a list: `[{quoted(value).strip('`')}]`",
            "credentials": "write `{username: …, password: …}`, where the password is of `secrets`",
        }
        return meant.get(last, MAPPING_HINTS.get(last, ""))
    if value is False and last == "image":
        return "a step for which the defaults have an image says `container: false`"
    if value is None and last in BOXED:
        return "give it a value; for a step that runs on the machine, write `container: false`"
    if value is True and last == "container":
        return "name its image: `image: python:3.12`"
    if last == "memory" and node.text:
        return "a number lacks its unit: write `512m`, or `2g`"
    return MAPPING_HINTS.get(last, "") if isinstance(value, list | str) else ""


def _of_mapping(node: Node, keys: list[str | int], last: str | int) -> str:
    if last == "pipeline" and len(keys) > 1:
        return "write `pipeline: path`, and its values beside it: `params: {…}`"
    if isinstance(last, int) and keys[-2:-1] == ["include"]:
        return "write the paths of files of this project: `[more.yaml]`"
    if keys[:1] == ["secrets"]:
        return f"write where it comes from: `env://{last}`; a missing one is always an error"
    if last == "image":
        return _image_hint(node.get("name"))
    if keys[-2:-1] == ["env"] and "sh" in node.value:
        return f'a script gives a var: `vars: {{{last}: {{sh: …}}}}`, and here `{last}: "{{{{ vars.{last} }}}}"`'
    return LIST_HINTS.get(str(last), "")


def _image_hint(name: Node | None) -> str:
    """What to write instead of an image that is a mapping, as elsewhere."""
    known = name is not None and isinstance(name.value, str) and len(name.value) <= MAX_LOOKED_AT
    image = printable(name.value) if name is not None and known else "…"
    return f"write `image: {image}`; what else there is to say stands in `container: {{image: {image}, …}}`"


def called_hint(node: Node, key: str) -> str:
    """What a step that runs, or was meant to run, another pipeline or an image says of it here."""
    used = node.get("uses")
    if key == "uses" and used is not None and isinstance(used.value, str) and used.value.startswith("docker://"):
        return f"write `image: {printable(used.value[len('docker://') :][:MAX_LOOKED_AT])}`"
    called = node.get("uses") or node.get("pipeline")
    path = called.value if called is not None and isinstance(called.value, str) else ""
    is_file = path.endswith((".yml", ".yaml", ".json"))
    if key == "uses" and path.startswith("./") and is_file and not {"run", "command"} & set(node.fields()):
        return f"write `pipeline: {printable(path[:60])}`"
    if not path or (called is node.get("uses") and (not path.startswith("./") or not is_file)):
        return ""
    if key in ("with", "inputs", "vars", "variables", "environment", "args"):
        return "give the pipeline what it needs as `params`"
    return "a pipeline names those that it needs in its own file" if key == "secrets" else ""


def _step_hint(node: Node, key: str) -> str:
    if not isinstance(node.value, str):
        return MAPPING_HINTS["step"]
    if key == "on_failure" and " " not in node.value:
        return f"it holds steps, not their ids: move the step {quoted(node.value)} here"
    return f"write `- run: {printable(node.value[:60])}`"


def element_hint(text: str, keys: list[str | int]) -> str:
    """What else may stand in a list of words, where another branch of the schema allows numbers."""
    if keys[-2:-1] != ["on"]:
        return ""
    if text.isdecimal():
        return "remove the quotes"
    return "besides these, exit codes are allowed: numbers from 1 to 255; without `on`, every failure is tried again"


def text_hint(text: str, title: str) -> str:
    """What a text that does not fit was meant to be."""
    if len(text) > MAX_LOOKED_AT:
        return ""
    if title == "step id" and re.fullmatch(r"[a-z][a-z0-9_-]*/.*", text):
        step = text.partition("/")[0]
        return f"what is inside of a pipeline can not be needed; write `{step}` for all of it"
    if title == "step id":
        slug = re.sub(r"[^a-z0-9_]+", "-", text.lower()).strip("-_")[:63]
        return f"did you mean `{slug}`?" if slug[:1].isalpha() and slug != text else ""
    if title == "shell" and (re.fullmatch(SHELL_WORDS, text) or text in PROGRAMS):
        return f'write a list of words: `[{", ".join(text.split(" "))}, "{{0}}"]`'
    return _duration_hint(text) if title == "duration" else ""


def _duration_hint(text: str) -> str:
    if re.fullmatch(SPACED, text):
        return f"did you mean `{text.replace(' ', '')}`?"
    found = re.fullmatch(TIME, text.strip().lower())
    unit = next((unit for unit, names in UNITS.items() if found and found[2] in names), None)
    return f"did you mean `{found[1]}{unit}`?" if found and unit else ""
