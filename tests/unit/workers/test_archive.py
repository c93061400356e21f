"""Archives: what is packed comes out as it was, and one that somebody else has made does no harm."""

import gzip
import io
import os
import tarfile
import tracemalloc
from pathlib import Path

import pytest

from dagnats.workers.archive import Bounds, StoppedError, pack, unpack
from dagnats.workers.tree import TreeError, find

BOUNDS = Bounds(bytes=1 << 20, files=100)


def packed(root: Path, *patterns: str) -> bytes:
    made = io.BytesIO()
    pack(str(root), find(str(root), patterns), made, lambda: False)
    return made.getvalue()


def opened(root: Path, archive: bytes, bounds: Bounds = BOUNDS) -> None:
    root.mkdir(exist_ok=True)
    unpack(str(root), io.BytesIO(archive), bounds, lambda: False)


def names_in(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir())


def tar(*members: tarfile.TarInfo | tuple[tarfile.TarInfo, bytes]) -> bytes:
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w:gz") as archive:
        for member in members:
            info, data = member if isinstance(member, tuple) else (member, b"")
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return made.getvalue()


def member(name: str, kind: bytes = tarfile.REGTYPE, target: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info


def test_modes_times_links_and_empty_directories_come_back(tmp_path):
    root = tmp_path / "a"
    (root / "d/empty").mkdir(parents=True)
    (root / "d/run").write_text("x")
    (root / "d/run").chmod(0o755)
    (root / "d/open").write_bytes(b"\0" * 3000)
    (root / "d/open").chmod(0o666)
    (root / "d/set").write_text("")
    (root / "d/set").chmod(0o4711)
    os.utime(root / "d/run", (1.5, 1e9 + 0.25))
    (root / "d/link").symlink_to("run")
    opened(tmp_path / "b", packed(root, "d"))
    back = tmp_path / "b/d"
    assert (back / "empty").is_dir()
    assert (back / "link").readlink() == Path("run")
    assert ((back / "run").stat().st_mode & 0o7777, (back / "run").stat().st_mtime) == (0o755, 1e9 + 0.25)
    assert (back / "open").stat().st_mode & 0o7777 == 0o644  # nobody else may write to it
    assert (back / "set").stat().st_mode & 0o7777 == 0o711  # and it is no program with its owner's rights
    assert (back / "open").read_bytes() == b"\0" * 3000


def test_the_same_files_give_the_same_archive(tmp_path):
    for name in ("a", "b"):
        for path in ("x/1", "x/2", "x/s/3") if name == "a" else ("x/s/3", "x/2", "x/1"):
            (tmp_path / name / path).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name / path).write_text(path)
            os.utime(tmp_path / name / path, (5, 5))
    assert packed(tmp_path / "a", "x") == packed(tmp_path / "b", "x/1", "x")


def test_names_that_are_no_text(tmp_path):
    root = tmp_path / "a"
    root.mkdir()
    names = [b"\xff\xfe", "é".encode(), b"a\nb", b"x" * 255, b"-rf"]
    for name in names:
        (root / os.fsdecode(name)).write_text("1")
    opened(tmp_path / "b", packed(root, "*"))
    assert {os.fsencode(path.name) for path in (tmp_path / "b").iterdir()} == set(names)


def test_a_file_that_is_there_is_written_over_and_whole_at_any_time(tmp_path):
    root = tmp_path / "a"
    root.mkdir()
    (root / "f").write_text("new")
    archive = packed(root, "f")
    (tmp_path / "b").mkdir()
    (tmp_path / "b/f").write_text("old")
    with (tmp_path / "b/f").open() as held:
        opened(tmp_path / "b", archive)
        assert held.read() == "old"
    assert (tmp_path / "b/f").read_text() == "new"
    assert names_in(tmp_path / "b") == ["f"]


def test_a_link_in_the_place_of_a_file_is_replaced_and_not_followed(tmp_path):
    root = tmp_path / "a"
    root.mkdir()
    (root / "f").write_text("new")
    (tmp_path / "outside").write_text("mine")
    (tmp_path / "b").mkdir()
    (tmp_path / "b/f").symlink_to(tmp_path / "outside")
    opened(tmp_path / "b", packed(root, "f"))
    assert (tmp_path / "outside").read_text() == "mine"
    assert not (tmp_path / "b/f").is_symlink()


def test_a_directory_that_is_a_link_is_not_gone_through(tmp_path):
    (tmp_path / "a/d").mkdir(parents=True)
    (tmp_path / "a/d/f").write_text("new")
    (tmp_path / "outside").mkdir()
    (tmp_path / "b").mkdir()
    (tmp_path / "b/d").symlink_to(tmp_path / "outside")
    with pytest.raises(TreeError, match="can not be written"):
        opened(tmp_path / "b", packed(tmp_path / "a", "d/f"))
    assert names_in(tmp_path / "outside") == []


def test_a_link_of_the_archive_is_not_gone_through_either(tmp_path):
    archive = tar(member("d", tarfile.SYMTYPE, "e"), (member("d/f"), b"x"))
    (tmp_path / "b/e").mkdir(parents=True)
    with pytest.raises(TreeError, match="is no directory, or a link"):
        opened(tmp_path / "b", archive)


HOSTILE = {
    "above": tar((member("../x"), b"x")),
    "within and above": tar((member("a/../../x"), b"x")),
    "absolute": tar((member("/tmp/x"), b"x")),
    "dot": tar((member("./x"), b"x")),
    "git": tar((member(".git/hooks/post-checkout"), b"x")),
    "own": tar((member("a/.dagnats/x"), b"x")),
    "link out": tar(member("x", tarfile.SYMTYPE, "../../etc")),
    "link to the root": tar(member("x", tarfile.SYMTYPE, "/etc/passwd")),
    "hard link": tar(member("x", tarfile.LNKTYPE, "/etc/passwd")),
    "device": tar(member("x", tarfile.CHRTYPE)),
    "block": tar(member("x", tarfile.BLKTYPE)),
    "fifo": tar(member("x", tarfile.FIFOTYPE)),
    "too much": tar((member("x"), b"x" * (BOUNDS.bytes + 1))),
    "nothing": b"",
    "no gzip": b"x" * 1000,
    "no tar": gzip.compress(b"x" * 1000),
    "half": tar((member("x"), os.urandom(5000)))[:3000],
}


@pytest.mark.parametrize("name", HOSTILE)
def test_what_no_archive_of_ours_holds(tmp_path, name):
    with pytest.raises(TreeError):
        opened(tmp_path / "b", HOSTILE[name])
    assert names_in(tmp_path) == ["b"]
    assert not any((tmp_path / "b").rglob(".dagnats*"))


def test_zeros_without_end_take_no_memory(tmp_path):
    zeros = io.BytesIO()
    with gzip.GzipFile(fileobj=zeros, mode="wb") as out:
        long_name = tarfile.TarInfo("././@PaxHeader")
        long_name.type, long_name.size = tarfile.XHDTYPE, 1 << 32
        out.write(long_name.tobuf(tarfile.USTAR_FORMAT))
        for _ in range(200):
            out.write(b"\0" * (1 << 20))
    tracemalloc.start()
    try:
        with pytest.raises(TreeError, match="no archive of ours"):
            opened(tmp_path / "b", zeros.getvalue())
        assert tracemalloc.get_traced_memory()[1] < 20 << 20
    finally:
        tracemalloc.stop()


def test_a_file_that_goes_meanwhile(tmp_path):
    for name in ("a", "b"):
        (tmp_path / name).write_text("x" * 100)
    found = find(str(tmp_path), ["a", "b"])
    (tmp_path / "b").unlink()
    with pytest.raises(TreeError, match="b has gone while"):
        pack(str(tmp_path), found, io.BytesIO(), lambda: False)
    (tmp_path / "b").write_text("x")
    with pytest.raises(TreeError, match="b has become shorter"):
        pack(str(tmp_path), found, io.BytesIO(), lambda: False)
    (tmp_path / "b").unlink()
    (tmp_path / "b").symlink_to("/etc/passwd")
    with pytest.raises(TreeError, match="b can not be read"):
        pack(str(tmp_path), found, io.BytesIO(), lambda: False)


def test_it_ends_when_somebody_wants_that(tmp_path):
    (tmp_path / "a").write_text("x")
    with pytest.raises(StoppedError):
        pack(str(tmp_path), find(str(tmp_path), ["a"]), io.BytesIO(), lambda: True)
