"""`image` and `container`: what the shape of a file can not say of them, and how the plan holds them."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from msgspec.structs import replace

from dagnats.core import containers
from dagnats.core.containers import Wrong
from dagnats.core.pipeline import Container, Credentials, Volume
from dagnats.core.privileges import misused, refusals
from dagnats.core.text import has_template
from dagnats.definition import values
from dagnats.definition.check import runs_nothing
from dagnats.definition.needs import Draft
from dagnats.definition.once import Once
from dagnats.definition.problems import Problems, quoted
from dagnats.definition.scopes import Scope, with_secrets
from dagnats.definition.templates import TemplateCheck
from dagnats.definition.tree import Node

if TYPE_CHECKING:
    from dagnats.definition.strict import Strict

NOTHING = Node(None, 0, 0)
NO_FIELDS: Mapping[str, Node] = {}
PLAIN = ("entrypoint", "user", "volumes", "network", "options", "memory")  # of which templates may be rendered anywhere
SEALED = ("env", "credentials")  # in which secrets may be mentioned
FLAG = "a run needs `--allow-privileged` for this"

Judge = Callable[[str], Wrong | None]


class Box:
    """The nodes of which a step's container is made: its own, and those of the defaults where it has none.

    `is_one` says whether the step shall run in a container, be its image known or not.
    """

    def __init__(self, own: Mapping[str, Node], given: Mapping[str, Node]) -> None:
        said, default = own.get("container"), _mapping(given.get("container"))
        self.is_refused = said is not None and said.value is False
        self.fields = _mapping(said if said is not None else given.get("container"))
        candidates = (own.get("image"), _mapping(said).get("image"), given.get("image"), default.get("image"))
        self.image = next((node for node in candidates if node is not None), None)
        if self.is_refused:
            self.image = None
        # without an image, a default says how containers are run, and not that there is one
        self.is_one = self.image is not None or (said is not None and isinstance(said.value, dict))


def _mapping(node: Node | None) -> Mapping[str, Node]:
    return node.value if node is not None and isinstance(node.value, dict) else NO_FIELDS


class Containers:
    """Makes the containers of steps. What `defaults` or an alias bring to many steps is made and judged once."""

    def __init__(
        self, defaults: Mapping[str, Node], templates: TemplateCheck, problems: Problems, *, strict: "Strict | None"
    ) -> None:
        self._defaults = defaults
        self._templates = templates
        self._problems = problems
        self._strict = strict
        self._once = Once()
        self._bodies: dict[int, Container] = {}
        self._made: dict[tuple[int, int], Container] = {}
        self._check_both(defaults, "`defaults`")

    def of(self, one: Draft, scope: Scope) -> Container | None:
        """The container of a step as the plan holds it, or None for a step that runs on the machine."""
        own = one.node.fields()
        box = Box(own, self._defaults)
        self._check_both(own, scope.place)
        self._check_kind(one, box, scope)
        if not box.is_one:
            self._check_none(one, box, scope)
            return None
        self._check_shell(one, scope)
        for key in PLAIN:
            if key in box.fields:
                self._templates.value(box.fields[key], scope)
        for key in SEALED:
            if key in box.fields:
                self._templates.value(box.fields[key], with_secrets(scope))
        if box.image is None and "name" in box.fields:
            return None  # the check of the shape has said what that was meant to be
        if box.image is None:
            self._problems.add(
                own.get("container") or one.node, f"the `container` of {scope.place} has no image", "write its `image`"
            )
            return None
        self._templates.value(box.image, scope)
        if self._strict is not None:
            self._strict.command(box.fields.get("entrypoint", NOTHING), scope)
        return self._container(box.image, box.fields)

    def of_service(self, node: Node, scope: Scope) -> Container | None:
        """The container of a service, whose fields are those of a container."""
        fields = node.fields()
        if "image" not in fields:
            return None  # the check of the shape has complained
        for key in PLAIN:
            if key in fields:
                self._templates.value(fields[key], scope)
        for key in SEALED:
            if key in fields:
                self._templates.value(fields[key], with_secrets(scope))
        self._templates.value(fields["image"], scope)
        return self._container(fields["image"], fields)

    def _check_both(self, fields: Mapping[str, Node], place: str) -> None:
        inner = _mapping(fields.get("container")).get("image")
        if "image" not in fields or "container" not in fields:
            return
        if inner is not None:
            self._problems.add(fields["image"], f"{place} has both `image` and `container.image`", "remove one of them")
        elif fields["container"].value is False:
            self._problems.add(
                fields["container"], f"{place} has an `image`, and `container: false`", "remove one of them"
            )

    def _check_kind(self, one: Draft, box: Box, scope: Scope) -> None:
        kind = one.node.get("type")
        said = values.text(kind)
        if kind is None or {"run", "command", "image", "container"}.isdisjoint(one.node.fields()):
            return
        if said == "container" and not box.is_one:
            self._problems.add(kind, f"{scope.place} is of type `container`, and has no image", "write `image: …`")
        elif said == "shell" and box.is_one:
            hint = "write `type: container`, or nothing; to run it on the machine, `container: false`"
            self._problems.add(kind, f"{scope.place} is of type `shell`, and runs in a container", hint)

    def _check_none(self, one: Draft, box: Box, scope: Scope) -> None:
        if box.is_refused and {"run", "command", "image"}.isdisjoint(one.node.fields()):
            self._problems.add(one.node, *runs_nothing(one.node, scope.place))

    def _check_shell(self, one: Draft, scope: Scope) -> None:
        own = one.node
        if "shell" in own.fields() and {"run", "command"}.isdisjoint(own.fields()):
            message = f"`shell` has no meaning for {scope.place}, which has no `run`"
            self._problems.add(own.keys["shell"], message, "the image's own command is started without a shell")

    def _container(self, image: Node, fields: Mapping[str, Node]) -> Container:
        if id(fields) not in self._bodies:
            self._bodies[id(fields)] = self._body(fields)
        key = (id(image), id(fields))
        if key not in self._made:
            self._made[key] = replace(self._bodies[id(fields)], image=self._once(self._image, image) or "")
        return self._made[key]

    def _body(self, fields: Mapping[str, Node]) -> Container:
        """All of a container but its image."""
        made = Container(
            image="",
            pull=values.text(fields.get("pull")) or "missing",  # type: ignore[arg-type]  # or the check of the shape has complained
            entrypoint=self._once(self._entrypoint, fields.get("entrypoint", NOTHING)),
            user=self._once(self._user, fields.get("user", NOTHING)),
            env=self._once(self._environment, fields.get("env", NOTHING)),
            volumes=self._once(self._volumes, fields.get("volumes", NOTHING)),
            network=self._once(self._network, fields.get("network", NOTHING)) or "default",
            options=self._once(self._options, fields.get("options", NOTHING)),
            credentials=self._once(self._credentials, fields.get("credentials", NOTHING)),
            memory=self._once(self._memory, fields.get("memory", NOTHING)),
            cpus=_number(fields.get("cpus", NOTHING)),
        )
        for refusal in refusals(made) if self._strict is not None else ():
            self._problems.warn(fields[refusal.key].items()[refusal.index], refusal.reason, FLAG)
        return made

    def _image(self, node: Node) -> str | None:
        image = self._text(node, "`image`", containers.wrong_image)
        why = containers.without_version(image) if image and self._strict is not None else ""
        if why:
            hint = "name a version, or a digest: what the name means tomorrow is not what it means today"
            self._problems.warn(node, f"the image {quoted(image)} {why}", hint)
        return image

    def _user(self, node: Node) -> str | None:
        return self._text(node, "`user`", containers.wrong_user)

    def _network(self, node: Node) -> str | None:
        return self._text(node, "`network`", containers.wrong_network)

    def _memory(self, node: Node) -> str | None:
        return self._text(node, "`memory`", containers.wrong_memory)

    def _environment(self, node: Node) -> dict[str, str]:
        return values.environment(node, self._problems)

    def _text(self, node: Node, name: str, judge: Judge) -> str | None:
        text = values.as_text(node) if judge is containers.wrong_user else values.text(node)
        if text and not has_template(text) and (wrong := judge(text)) is not None:
            self._problems.add(node, f"{name} {wrong.message}; it is {quoted(text)}", wrong.hint)
        return text

    def _entrypoint(self, node: Node) -> tuple[str, ...] | None:
        if node.value is None:
            return None
        if isinstance(node.value, str):
            if len(node.value.split()) > 1 and not has_template(node.value):
                words = ", ".join(node.value.split())
                self._problems.add(node, "`entrypoint` is one program, without arguments", f"write a list: `[{words}]`")
            return (node.value,)
        given = self._once(_words, node)
        if given == ("",):
            return ()  # so others write that there is none
        if given and not given[0]:
            self._problems.add(node.items()[0], "the program may not be empty", "an empty list is no entrypoint at all")
        return given

    def _options(self, node: Node) -> tuple[str, ...]:
        words = _words(node)
        for index, wrong in misused(words) if len(words) == len(node.items()) else ():
            self._problems.add(node.items()[index], f"the option {quoted(words[index])} {wrong.message}", wrong.hint)
        return words

    def _volumes(self, node: Node) -> tuple[Volume, ...]:
        found = [(item, self._once(self._volume, item)) for item in node.items()]
        taken: set[str] = set()
        for item, volume in found:
            if volume is not None and volume.target in taken:
                self._problems.add(item, f"the target {quoted(volume.target)} is used twice")
            taken.add(volume.target if volume is not None else "")
        return tuple(volume for _, volume in found if volume is not None)

    def _volume(self, item: Node) -> Volume | None:
        if isinstance(item.value, str):
            parts = containers.split_volume(item.value)
            if isinstance(parts, Wrong):
                self._problems.add(item, f"a volume {parts.message}; it is {quoted(item.value)}", parts.hint)
                return None
            source, target, read_only = parts
            places = (item, item)
        else:
            places = (item.get("source") or item, item.get("target") or item)
            source, target = (values.text(place) or "" for place in places)
            read_only = values.flag(item.get("read_only"))
            if not source or not target:
                return None  # the check of the shape has complained
        for place, text, name, judge in (
            (places[0], source, "source", containers.wrong_source),
            (places[1], target, "target", containers.wrong_target),
        ):
            if not has_template(text) and (wrong := judge(text)) is not None:
                self._problems.add(place, f"the {name} of a volume {wrong.message}; it is {quoted(text)}", wrong.hint)
        return Volume(source, target, read_only)

    def _credentials(self, node: Node) -> Credentials | None:
        username, password = (values.text(_mapping(node).get(key)) for key in ("username", "password"))
        if not username or not password:
            return None
        place = node.fields()["password"]
        _, mentions = self._templates.references(place)
        is_secret = any(mention.path[0] == "secrets" for mention in mentions)
        if not is_secret and (mentions or not has_template(password)):
            hint = 'declare it under `secrets` of the file, and write `"{{ secrets.NAME }}"`'
            self._problems.add(place, "`password` must be a secret, as the plan is recorded", hint)
        return Credentials(username, password)


def _words(node: Node) -> tuple[str, ...]:
    return tuple(word for word in map(values.as_text, node.items()) if word is not None)


def _number(node: Node) -> float | None:
    is_number = isinstance(node.value, int | float) and not isinstance(node.value, bool)
    return float(node.value) if is_number else None
