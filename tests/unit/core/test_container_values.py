"""Which texts a container may be made of."""

import pytest

from dagnats.core.containers import (
    Wrong,
    is_path,
    split_volume,
    without_version,
    wrong_image,
    wrong_memory,
    wrong_network,
    wrong_source,
    wrong_target,
    wrong_user,
)

DIGEST = "sha256:" + "0" * 64


@pytest.mark.parametrize(
    "image",
    [
        "alpine", "alpine:3", "library/alpine:3.20", "docker.io/library/python:3.12-slim", "localhost:5000/x", "localhost:5000/x:1", "localhost/x:1",
        "ghcr.io/acme/tools_a/b--c.d:v1.2_3", f"alpine@{DIGEST}", f"r.example.org:443/a/b:1@{DIGEST}", "[::1]:5000/x", "d1e0ab5c2f7e", "REGISTRY.example/x",
    ],
)  # fmt: skip
def test_names_of_images(image):
    assert wrong_image(image) is None


@pytest.mark.parametrize(
    ("image", "hint"),
    [
        ("", ""), ("-v/:/x", ""), ("--privileged", ""), ("a b", ""), ("a\n", "did you mean `a`?"), ("/", ""), ("./x", ""), ("a:", ""), ("a//b", ""), ("x" * 501, ""),
        ("docker://alpine:3", "did you mean `alpine:3`?"), ("Python:3.12", "did you mean `python:3.12`?"), ("alpine@sha256:0", ""), ("a:b:c", ""), ("x\0", ""),
    ],
)  # fmt: skip
def test_what_is_no_name_of_an_image(image, hint):
    wrong = wrong_image(image)
    assert wrong is not None
    assert wrong.hint == hint


def test_a_long_name_is_judged_at_once():
    assert wrong_image("a-" * 249 + "!") is not None
    assert wrong_image("a." * 249 + "/") is not None


@pytest.mark.parametrize(
    ("judge", "good", "bad"),
    [
        (wrong_user, ["0", "root", "1000:1000", "me:staff", "_a-b"], ["", "-x", "a b", "a:b:c", "root\n", ":x", "a\0"]),
        (wrong_network, ["default", "none", "host", "my-net", "container:x"], ["", "-x", "a b", "--privileged", "a\n", "a\0"]),
        (wrong_memory, ["512m", "2g", "1G", "100000k", "7b"], ["", "512", "0m", "1.5g", "512Mi", "512 m", "-1g", "1g\n", "1t"]),
        (wrong_source, ["a", "a.b-c", ".", "./a", "a/b", "/a", "~", "~/a", "./a b", "/"], ["", "-x", "a b", "..", "../a", "a/../../b", "~me", "~me/x", "a\n"]),
        (wrong_target, ["/a", "/a b", "/a/"], ["", "a", "./a", "/", "//", "/.", "/.."]),
    ],
)  # fmt: skip
def test_other_values(judge, good, bad):
    assert [text for text in good if judge(text) is not None] == []
    assert [text for text in bad if judge(text) is None] == []


def test_what_is_a_path():
    assert [text for text in ("a", "a.b", "a/b", "./a", ".", "~", "/a", "..") if is_path(text)] == [
        "a/b",
        "./a",
        ".",
        "~",
        "/a",
        "..",
    ]


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("a:/b", ("a", "/b", False)),
        ("a:/b:ro", ("a", "/b", True)),
        ("./a b:/b:rw", ("./a b", "/b", False)),
        ("{{ x['a:b'] }}:/b:ro", ("{{ x['a:b'] }}", "/b", True)),
        ("{% if x %}a:b{% endif %}:/c", None),
        ("a", None), ("{{ x }}", None), ("a:/b:z", None), ("a:b:c:d", None), ("a:/b:{{ x }}", None), ("a:/b:", None),
    ],
)  # fmt: skip
def test_a_volume_is_split_by_the_colons_of_its_author(text, parts):
    found = split_volume(text)
    assert found == parts if parts is not None else isinstance(found, Wrong)


@pytest.mark.parametrize(
    ("image", "why"),
    [
        ("alpine", "has neither a tag nor a digest"),
        ("localhost:5000/x", "has neither a tag nor a digest"),
        ("localhost:5000/x:latest", "has the tag `latest`"),
        ("{{ a }}/x", "has neither a tag nor a digest"),
        ("alpine:3", ""), ("localhost:5000/x:1", ""), (f"alpine@{DIGEST}", ""), (f"alpine:latest@{DIGEST}", ""), ("{{ a }}", ""), ("x/{{ a }}", ""), ("a:{{ 'latest' }}", ""),
    ],
)  # fmt: skip
def test_images_whose_content_may_change(image, why):
    assert without_version(image) == why
