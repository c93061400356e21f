"""Whatever files there are: kept and brought back, they are the same."""

import io
import os
import shutil
import tempfile
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from dagnats.workers.archive import Bounds, pack, unpack
from dagnats.workers.tree import find

NAMES = st.binary(min_size=1, max_size=40).filter(
    lambda name: not {b"/"[0], 0} & set(name) and name not in (b".", b"..", b".git", b".dagnats")
)
CONTENTS = st.one_of(st.binary(max_size=200), st.integers(0, 3000).map(lambda size: b"x" * size))
FILES = st.tuples(CONTENTS, st.sampled_from([0o644, 0o755, 0o600]), st.floats(0, 4e9))
TREES = st.recursive(FILES, lambda inner: st.dictionaries(NAMES, inner, max_size=4), max_leaves=20)


def build(path: Path, tree) -> None:
    if isinstance(tree, dict):
        path.mkdir()
        for name, inner in tree.items():
            build(path / os.fsdecode(name), inner)
        return
    content, mode, mtime = tree
    path.write_bytes(content)
    path.chmod(mode)
    os.utime(path, (mtime, mtime))


def seen(path: Path):
    if path.is_dir():
        return {inner.name: seen(inner) for inner in path.iterdir()}
    facts = path.stat()
    return path.read_bytes(), facts.st_mode, round(facts.st_mtime, 5)


@settings(max_examples=150, deadline=None)
@given(TREES)
def test_any_tree_comes_back(tree):
    place = Path(tempfile.mkdtemp())
    try:
        (place / "a").mkdir()
        (place / "b").mkdir()
        build(place / "a" / "kept", tree)
        found = find(str(place / "a"), ["kept"])
        archive = io.BytesIO()
        pack(str(place / "a"), found, archive, lambda: False)
        archive.seek(0)
        unpack(str(place / "b"), archive, Bounds(found.bytes, found.files), lambda: False)
        assert seen(place / "b") == seen(place / "a")
    finally:
        shutil.rmtree(place)
