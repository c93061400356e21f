"""A file for outputs serves the next attempt only if nobody has touched it, and nobody could still."""

import os
import socket
from pathlib import Path

import pytest

from dagnats.workers.outputfiles import OutputFiles
from dagnats.workers.outputs import OUTPUTS_MAX_BYTES, OutputError


def test_an_untouched_file_is_taken_again(tmp_path):
    files = OutputFiles(tmp_path)
    one, other = files.take(), files.take()
    assert one.path != other.path
    assert Path(one.path).stat().st_mode & 0o777 == 0o600
    assert one.read() == b""
    files.give_back(one, is_known_to_nobody=True)
    assert files.take() is one


def test_one_that_somebody_may_know_is_not(tmp_path):
    files = OutputFiles(tmp_path)
    one = files.take()
    files.give_back(one, is_known_to_nobody=False)
    assert not Path(one.path).exists()
    assert files.take().path != one.path


def append(path: Path) -> None:
    path.write_text("a=b\n")


def replace(path: Path) -> None:
    other = path.with_suffix(".new")
    other.touch()
    other.replace(path)


def become_directory(path: Path) -> None:
    path.unlink()
    path.mkdir()
    append(path / "inside")


def become_link(path: Path) -> None:
    path.unlink()
    path.symlink_to(os.devnull)


TOUCHES = {
    "written": (append, b"a=b\n"),
    "replaced": (replace, b""),
    "removed": (Path.unlink, b""),
    "opened to others": (lambda path: path.chmod(0o666), b""),
    "linked": (lambda path: path.with_suffix(".link").hardlink_to(path), b""),
    "a link": (become_link, None),
    "a directory": (become_directory, None),
}


@pytest.mark.parametrize(("touch", "content"), TOUCHES.values(), ids=TOUCHES)
def test_a_touched_one_is_read_and_gone(tmp_path, touch, content):
    files = OutputFiles(tmp_path)
    one = files.take()
    touch(Path(one.path))
    assert not one.is_untouched()
    if content is None:
        with pytest.raises(OutputError, match=r"no regular file|can not be read"):
            one.read()
    else:
        assert one.read() == content
    files.give_back(one, is_known_to_nobody=True)
    assert not os.path.lexists(one.path)
    assert files.take().path != one.path


def test_one_that_was_touched_while_it_was_kept_is_not_taken(tmp_path):
    files = OutputFiles(tmp_path)
    one = files.take()
    files.give_back(one, is_known_to_nobody=True)
    append(Path(one.path))
    again = files.take()
    assert again.path != one.path
    assert again.read() == b""


def test_what_is_no_file_any_more(tmp_path):
    one = OutputFiles(tmp_path).take()
    Path(one.path).unlink()
    with socket.socket(socket.AF_UNIX) as bound:
        bound.bind(one.path)
        with pytest.raises(OutputError, match="no regular file"):
            one.read()
    Path(one.path).unlink()
    Path(one.path).symlink_to(one.path)
    with pytest.raises(OutputError, match="no regular file"):
        one.read()


def test_no_more_is_read_than_may_be(tmp_path):
    one = OutputFiles(tmp_path).take()
    Path(one.path).write_bytes(b"x" * (OUTPUTS_MAX_BYTES + 100))
    assert len(one.read()) == OUTPUTS_MAX_BYTES + 1
