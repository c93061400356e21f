"""Which files globs find, and that nothing outside of the project is among them."""

import os
from pathlib import Path

import pytest

from dagnats.workers import tree
from dagnats.workers.tree import TreeError, find, leads_within


def make(root: Path, *paths: str) -> None:
    for path in paths:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(path)


def found(root: Path, *patterns: str) -> list[str]:
    return sorted(entry.path for entry in find(str(root), patterns).entries.values() if not entry.is_directory)


@pytest.fixture
def project(tmp_path) -> Path:
    root = tmp_path / "project"
    make(root, "dist/a.js", "dist/sub/b.js", "dist/.hidden", "dist/.d/x", "a.xml", "r/b.xml", "r/s/c.xml", "r/.t/d.xml")
    make(root, ".git/config", ".dagnats/runs/x/connection", "r/.git/config", ".coverage")
    return root


@pytest.mark.parametrize(
    ("patterns", "expected"),
    [
        (["dist"], ["dist/.d/x", "dist/.hidden", "dist/a.js", "dist/sub/b.js"]),
        (["dist/**"], ["dist/a.js", "dist/sub/b.js"]),
        (["dist/*"], ["dist/a.js", "dist/sub/b.js"]),
        (["dist/*.js"], ["dist/a.js"]),
        (["dis[t]"], ["dist/a.js", "dist/sub/b.js"]),
        (["dist/.hidden", "dist/.d/*"], ["dist/.d/x", "dist/.hidden"]),
        (["**/*.xml"], ["a.xml", "r/b.xml", "r/s/c.xml"]),
        (["**/**/*.xml"], ["a.xml", "r/b.xml", "r/s/c.xml"]),
        (["r/**/c.xml"], ["r/s/c.xml"]),
        (["**/s"], ["r/s/c.xml"]),
        (["**"], ["a.xml", "dist/a.js", "dist/sub/b.js", "r/b.xml", "r/s/c.xml"]),
        (["r"], ["r/.t/d.xml", "r/b.xml", "r/s/c.xml"]),
        ([".*"], [".coverage"]),
        ([".git"], []),
        (["nothing", "a.xml/b", "*/nothing/*"], []),
        (["a.xml", "*.xml", "./a.xml"], ["a.xml"]),
    ],
)
def test_what_is_found(project, patterns, expected):
    assert found(project, *patterns) == expected


def test_what_matches_nothing_is_named(project):
    assert find(str(project), ["dist", "no/*", "a.xml"]).note() == "nothing matches no/*"


def test_links_are_kept_as_links_and_never_gone_through(project, tmp_path):
    make(tmp_path, "outside/secret")
    (project / "dist/inner").symlink_to("sub/b.js")
    (project / "dist/up").symlink_to("../a.xml")
    (project / "dist/dangling").symlink_to("later")
    (project / "dist/absolute").symlink_to(project / "dist/a.js")
    (project / "out").symlink_to(tmp_path / "outside")
    (project / "dist/out").symlink_to("../../outside/secret")
    (project / "dist/far").symlink_to("/etc/passwd")
    (project / "dist/by").symlink_to("../out/secret")
    (project / "dist/git").symlink_to("../.git/config")
    (project / "in").symlink_to("dist")
    seen = find(str(project), ["dist", "out", "out/*", "out/secret", "in/*", "**/secret"])
    links = {entry.path: entry.target for entry in seen.entries.values() if entry.target is not None}
    assert links == {
        "dist/inner": "sub/b.js",
        "dist/up": "../a.xml",
        "dist/dangling": "later",
        "dist/absolute": "a.js",
    }
    assert seen.left_out == {
        "a link that leads out of the project": ["dist/by", "dist/far", "dist/git", "dist/out", "out"]
    }
    assert "in/a.js" not in seen.entries
    assert "dist/by, dist/far, dist/git and 2 more is left out" in seen.note()


def test_what_is_no_file_is_left_out(project):
    os.mkfifo(project / "dist/pipe")
    assert find(str(project), ["dist"]).left_out == {"neither a file nor a directory": ["dist/pipe"]}


def test_a_project_that_is_reached_by_a_link(project, tmp_path):
    (tmp_path / "here").symlink_to(project)
    assert found(tmp_path / "here", "*.xml") == ["a.xml"]


@pytest.mark.parametrize(
    ("bound", "value", "said"),
    [
        ("FILES_MAX", 3, "more than 3 files"),
        ("BYTES_MAX", 20, "more than 0 MiB"),
        ("SEEN_MAX", 4, "more than 4 files and directories"),
        ("DEPTH_MAX", 1, "more than 1 directories"),
    ],
)
def test_bounds(project, monkeypatch, bound, value, said):
    monkeypatch.setattr(tree, bound, value)
    with pytest.raises(TreeError, match=said):
        find(str(project), ["dist", "r"])


@pytest.mark.parametrize(
    ("path", "target", "expected"),
    [
        ("a", "b", True),
        ("a/b", "../c", True),
        ("a", "..", False),
        ("a/b", "../..", False),
        ("a", "/etc", False),
        ("a", "", False),
        ("a", ".", True),
        ("a", ".git/config", False),
        ("a/b", "c/../../d", True),
        ("a/b", "c/../../../d", False),
    ],
)
def test_where_links_lead(path, target, expected):
    assert leads_within(path, target) is expected
