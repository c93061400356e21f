"""What the values of a container may be: the same rules for a file, and for what templates have made of it."""

import posixpath
import re

from msgspec import Struct

_HOST = r"(?:[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?|\[[0-9A-Fa-f:]+\])(?::[0-9]+)?"
_PART = r"[a-z0-9]+(?:(?:\.|__?|-+)[a-z0-9]+)*"
_TAG = r":[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}"
_DIGEST = r"@[a-z0-9]+(?:[.+_-][a-z0-9]+)*:[0-9a-fA-F]{32,}"
_IMAGE = re.compile(rf"(?:{_HOST}/)?{_PART}(?:/{_PART})*(?:{_TAG})?(?:{_DIGEST})?")
_IMAGE_MAX = 500
_SHOWN_MAX = 100
_SCHEME = re.compile(r"[a-z-]+://")
_USER = re.compile(r"[A-Za-z0-9_][\w.@-]*(?::[A-Za-z0-9_][\w.-]*)?", re.ASCII)
_NETWORK = re.compile(r"[A-Za-z0-9][^\s\0]*")
_MEMORY = re.compile(r"0*[1-9][0-9]{0,15}[bkmgBKMG]")
_OTHER_MEMORY = re.compile(r"([0-9]{1,15}) ?([kmgKMG])i?[bB]?")
_VOLUME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")
_TEMPLATE = re.compile(r"\{\{.*?\}\}|\{%.*?%\}|\{#.*?#\}", re.DOTALL)


class Wrong(Struct, frozen=True):
    """Why a value can not be used, as the rest of a sentence that names it, and what to do."""

    message: str
    hint: str = ""


def wrong_image(text: str) -> Wrong | None:
    """Say what is wrong with the name of an image. One that begins with `-` would be a flag of the runtime."""
    if len(text) <= _IMAGE_MAX and _IMAGE.fullmatch(text):
        return None
    return Wrong("must be the name of an image, such as python:3.12", _meant_image(text))


def _meant_image(text: str) -> str:
    if len(text) > _SHOWN_MAX:
        return ""
    plain = _SCHEME.sub("", text.strip(), count=1)
    tagged = "/" not in plain[plain.rfind(":") :] and ":" in plain
    name, tag = (plain[: plain.rfind(":")], plain[plain.rfind(":") :]) if tagged else (plain, "")
    meant = next((one for one in (plain, name.lower() + tag) if one != text and _IMAGE.fullmatch(one)), None)
    return f"did you mean `{meant}`?" if meant else ""


def wrong_user(text: str) -> Wrong | None:
    """Say what is wrong with a user."""
    return None if _USER.fullmatch(text) else Wrong("must be a user, or user:group, by name or by number")


def wrong_network(text: str) -> Wrong | None:
    """Say what is wrong with a network."""
    return None if _NETWORK.fullmatch(text) else Wrong("must be default, none, host, or the name of a network")


def wrong_memory(text: str) -> Wrong | None:
    """Say what is wrong with an amount of memory."""
    if _MEMORY.fullmatch(text):
        return None
    found = _OTHER_MEMORY.fullmatch(text)
    meant = f"{found[1]}{found[2].lower()}" if found else text
    lacking = "a number lacks its unit" if text.isdecimal() else ""
    return Wrong(
        "must be a size such as 512m or 2g", f"did you mean `{meant}`?" if _MEMORY.fullmatch(meant) else lacking
    )


def is_path(source: str) -> bool:
    """Whether the source of a volume is a path of the machine, and no named volume."""
    return "/" in source or source.startswith((".", "~"))


def wrong_source(text: str) -> Wrong | None:
    """Say what is wrong with the source of a volume."""
    if text.startswith("~") and not text.startswith("~/") and text != "~":
        return Wrong("begins with the home of another user", "write the path")
    if is_path(text):
        outside = posixpath.normpath(text).split("/")[0] == ".."
        return Wrong("leaves the project", "write an absolute path if that is meant") if outside else None
    if _VOLUME.fullmatch(text):
        return None
    return Wrong("must be a path with a `/`, or the name of a volume: letters, digits, `_`, `.` and `-`")


def wrong_target(text: str) -> Wrong | None:
    """Say what is wrong with the place where a container sees a volume."""
    if not text.startswith("/"):
        return Wrong("must be an absolute path", f"write `/{text}`" if text and " " not in text else "")
    return Wrong("may not be `/`, which is the image itself") if not text.strip("/.") else None


def split_volume(text: str) -> tuple[str, str, bool] | Wrong:
    """Split `SOURCE:TARGET[:ro|:rw]`; what a template makes is never looked at, so that no value adds a part."""
    hidden = _TEMPLATE.sub(lambda found: "x" * len(found[0]), text)
    ends = [place for place, letter in enumerate(hidden) if letter == ":"]
    starts = [0, *(end + 1 for end in ends)]
    parts = [text[start:end] for start, end in zip(starts, [*ends, len(text)], strict=True)]
    if len(parts) < 2:
        return Wrong("must be SOURCE:TARGET, SOURCE:TARGET:ro or SOURCE:TARGET:rw")
    if len(parts) > 3:
        return Wrong("has too many `:`", "write `{source: …, target: …}`")
    if parts[2:] and parts[2] not in ("ro", "rw"):
        return Wrong(f"must end in `:ro` or `:rw`, not `:{parts[2][:20]}`")
    return parts[0], parts[1], parts[2:] == ["ro"]


def without_version(image: str) -> str:
    """Say why another image may come under the same name tomorrow, or nothing. What a template makes is not known."""
    hidden = _TEMPLATE.sub("\0", image)
    last = hidden.rsplit("/", 1)[-1]
    name, colon, tag = last.partition(":")
    if "@" in last:
        return ""
    if colon:
        return "has the tag `latest`" if tag == "latest" else ""
    return "" if "\0" in name else "has neither a tag nor a digest"
