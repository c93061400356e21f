"""`services`: what the shape of a file can not say of them, and how the plan holds them."""

import re

from dagnats.core.pipeline import Ready, Service
from dagnats.core.text import has_template
from dagnats.definition import values
from dagnats.definition.containers import Containers
from dagnats.definition.hints import service_written
from dagnats.definition.problems import Problems, quoted
from dagnats.definition.scopes import IN_PIPELINE, Scope
from dagnats.definition.templates import TemplateCheck
from dagnats.definition.tree import Node
from dagnats.definition.words import suggest

MAX_SHOWN = 60
ADDRESS = "[0-9]{0,5}/[!-~]*"
KINDS = ("tcp", "http", "cmd", "log")


class Services:
    """Makes the services of a file, and says which of them a step waits for."""

    def __init__(self, node: Node, containers: Containers, templates: TemplateCheck, problems: Problems) -> None:
        self._nodes = {name: one for name, one in node.fields().items() if isinstance(one.value, dict)}
        self._containers = containers
        self._templates = templates
        self._problems = problems
        self.all = {name: made for name, one in self._nodes.items() if (made := self._service(name, one)) is not None}
        self._check_variables(node)
        self._check_ports()

    def of_step(self, node: Node | None, place: str) -> tuple[str, ...]:
        """Give the services that a step waits for: those that it names, else all."""
        if node is None:
            return tuple(self._nodes)
        names: list[str] = []
        for item in node.items():
            name = values.text(item) or ""
            if name in names:
                self._problems.add(item, f"the service {quoted(name)} is named twice")
            elif name in self._nodes:
                names.append(name)
            elif name:
                hint = suggest(name, list(self._nodes), self._problems) or _declared_as(name)
                self._problems.add(item, f"{place} waits for the service {quoted(name)}, which there is not", hint)
        return tuple(names)

    def _service(self, name: str, node: Node) -> Service | None:
        scope = Scope(f"service {quoted(name)}", IN_PIPELINE)
        container = self._containers.of_service(node, scope)
        if container is None:
            return None
        command = node.get("command")
        if command is not None:
            self._templates.value(command, scope)
        ports = self._ports(node.get("ports"))
        if ports and container.network == "none":
            message = f"{scope.place} has `ports`, and no network on which a step could reach it"
            self._problems.add(node.keys["network"], message, "remove one of them")
        words = tuple(word for word in map(values.as_text, command.items()) if word is not None) if command else ()
        return Service(container, command=words, ports=ports, ready=self._ready(node.get("ready"), ports, scope.place))

    def _ports(self, node: Node | None) -> tuple[int, ...]:
        ports: list[int] = []
        for item in node.items() if node is not None else ():
            if item.value in ports:
                self._problems.add(item, f"the port {item.value} stands here twice")
            elif isinstance(item.value, int):
                ports.append(item.value)
        return tuple(ports)

    def _ready(self, node: Node | None, ports: tuple[int, ...], place: str) -> Ready | None:
        fields = node.fields() if node is not None else {}
        if node is None or not isinstance(node.value, dict) or not {*KINDS, "timeout"}.issuperset(fields):
            return None  # the check of the shape has complained, if there is one
        kinds = [kind for kind in KINDS if kind in fields]
        if len(kinds) != 1:
            message = "says in several ways" if kinds else "does not say"
            self._problems.add(
                node, f"`ready` of {place} {message} when it is ready", "write one of `tcp`, `http`, `cmd` and `log`"
            )
            return None
        (kind,) = kinds
        timeout_s = values.duration(fields.get("timeout"), self._problems) or Ready("log", "").timeout_s
        if kind == "tcp" and type(fields[kind].value) is not int:
            return None  # the check of the shape has complained
        ready = Ready(kind, _value(fields[kind]), timeout_s)  # type: ignore[arg-type]  # one of KINDS
        self._check_ready(ready, fields[kind], ports)
        return ready

    def _check_ready(self, ready: Ready, node: Node, ports: tuple[int, ...]) -> None:
        if has_template(str(node.plain())):
            self._problems.add(node, "`ready` may hold no template", "write the value itself")
        elif ready.kind == "http" and not re.fullmatch(ADDRESS, str(ready.value)):
            hint = "write `/health` or `8080/health`"
            self._problems.add(node, f"`http` is a path, or a port and a path; it is {quoted(str(ready.value))}", hint)
        elif ready.port and ready.port not in ports:
            hint = "add it there, so that it can be reached"
            self._problems.add(node, f"the port {ready.port} is not one of `ports`", hint)
        elif ready.kind == "http" and not ports:
            self._problems.add(node, "`http` needs a port", "name it in `ports`")

    def _check_ports(self) -> None:
        """Those of the default network share one, and those of `host` that of the machine."""
        taken: dict[tuple[str, int], str] = {}
        for name, service in self.all.items():
            for port in service.ports:
                key = service.container.network, port
                if key in taken:
                    both = f"services {quoted(taken[key])} and {quoted(name)}"
                    hint = "have one of them listen on another port"
                    self._problems.add(
                        self._nodes[name].keys["ports"], f"{both} share a network, and the port {port}", hint
                    )
                taken[key] = name

    def _check_variables(self, node: Node) -> None:
        taken: dict[str, str] = {}
        for name in self._nodes:
            variable = name.upper().replace("-", "_")
            if variable in taken:
                both = f"services {quoted(taken[variable])} and {quoted(name)}"
                message = f"{both} would have the same variables, {variable}_HOST and {variable}_PORT"
                self._problems.add(node.keys[name], message, "give one of them another name")
            taken[variable] = name


def _declared_as(name: str) -> str:
    """How a service that is not declared would be; elsewhere an image stands for one."""
    if len(name) > MAX_SHOWN or not re.search("[:/.]", name):
        return "declare it under `services` of the file"
    return f"declare it at the top of the file, `{service_written(Node(name, 0, 0))}`, and wait for it by that name"


def _value(node: Node) -> int | str | tuple[str, ...]:
    if isinstance(node.value, list):
        return tuple(word for word in map(values.as_text, node.items()) if word is not None)
    return node.value if isinstance(node.value, int) else str(node.value)
