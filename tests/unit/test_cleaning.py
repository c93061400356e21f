from pathlib import Path

import click
import pytest

from dagnats.cleaning import KEPT_RUNS, Cleaned, Run, Wish, chosen
from dagnats.cli.clean import _tell, clean, size_text

NOW = 1_000_000.0
# the newest first; every third can be resumed
RUNS = [Run(Path(f"runs/calm-otter-{30 - age}"), NOW - 3600 * age, is_over=age % 3 != 0) for age in range(30)]


def names(wish):
    return [run.path.name for run in chosen(RUNS, wish, NOW)]


def test_the_newest_are_kept_and_so_is_what_can_be_resumed():
    assert names(Wish()) == [f"calm-otter-{30 - age}" for age in range(KEPT_RUNS, 30) if age % 3 != 0]
    assert names(Wish(keep=28)) == ["calm-otter-2", "calm-otter-1"]
    assert len(names(Wish(keep=0))) == 20


def test_those_that_are_older():
    assert names(Wish(older_than_s=3600 * 27.5)) == ["calm-otter-2", "calm-otter-1"]


def test_named_ones_and_all_whether_they_are_over_or_not():
    assert names(Wish(names=["calm-otter-30"])) == ["calm-otter-30"]
    assert len(names(Wish(all=True))) == 30


def test_the_help_says_how_many_are_kept():
    (keep,) = (param for param in clean.params if param.name == "keep")
    assert f"[default: {KEPT_RUNS}]" in keep.help


@pytest.mark.parametrize(("text", "seconds"), [("90m", 5400.0), ("7d", 604_800.0), ("1h30m", 5400.0), ("1.5s", 1.5)])
def test_durations(text, seconds):
    assert clean.make_context("clean", ["--older-than", text]).params["older_than"] == seconds


@pytest.mark.parametrize("text", ["7", "", "d", "7 d", "-1h", "1w"])
def test_what_is_no_duration(text):
    with pytest.raises(click.BadParameter, match="is no duration"):
        clean.make_context("clean", ["--older-than", text])


@pytest.mark.parametrize(
    ("count", "text"), [(0, "0 bytes"), (999, "999 bytes"), (1000, "1.0 kB"), (81_920, "82 kB"), (999_999_999, "1.0 GB"), (5 * 10**15, "5000 TB")]
)  # fmt: skip
def test_sizes(count, text):
    assert size_text(count) == text


def test_what_could_not_be_removed_is_an_error_and_what_nobody_knows_is_none(capsys):
    assert (
        _tell(
            Cleaned(lines=["run a"], counts={"runs": 1}, freed_bytes=7, problems=["run b can not be removed"]),
            dry_run=False,
        )
        == 3
    )
    told = capsys.readouterr()
    assert (told.out, told.err) == ("removed run a\n", "run b can not be removed\nremoved 1 run; 7 bytes freed\n")
    assert _tell(Cleaned(notes=["docker does not answer"]), dry_run=False) == 0
    assert capsys.readouterr().err == "docker does not answer\nnothing to remove\n"
