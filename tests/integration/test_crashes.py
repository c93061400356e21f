"""Killed before and after every event, a run is resumed and ends as an undisturbed one does."""

import pytest

from tests.crashing import PIPELINES, crash_everywhere, soak

LEAST = 8  # points of the smallest pipeline; that the driver tries nothing must not be a success


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("name", PIPELINES)
def test_killed_at_every_event(tmp_path, name, when):
    tried = crash_everywhere(tmp_path, name, when)
    print(f"{name}, {when}: {tried} points")
    assert tried >= LEAST


def test_killed_at_random(tmp_path):
    assert soak(tmp_path, 6, 20261124, print) > 0
