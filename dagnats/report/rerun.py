"""What a rerun takes over and runs again, before it does: as notes on the steps of a plan, and as data."""

import json
import re
from collections.abc import Mapping, Sequence

from dagnats.core.codec import rerun_record
from dagnats.core.pipeline import JSON
from dagnats.core.rerun import said
from dagnats.core.text import text_of
from dagnats.definition.reuse import Found
from dagnats.report.view import clean

_SHOWN = 8
_VALUE = re.compile(r"\[((?:[^\[\]\"]|\"(?:[^\"\\]|\\.)*\")*)\]")  # of an instance, as JSON


def rerun_notes(found: Found) -> Mapping[str, Sequence[str]]:
    """Give what is to be said of each step, by its id: whether it is reused, and what of its instances and of its pipeline."""
    notes: dict[str, list[str]] = {}
    keys = [*found.rerun.again, *found.rerun.reused]
    for id_ in dict.fromkeys(own_id(key) for key in keys):
        notes[id_] = [clean(_said(id_, found))]
    for key in found.rerun.reused:
        if key != (id_ := own_id(key)):
            notes[id_].append(f"reused: {clean(_named(key.removeprefix(id_)))}")
    return {id_: [*told[: _SHOWN + 1], *_more(told)] for id_, told in notes.items()}


def _named(rest: str) -> str:
    """Give what is left of a key behind the id of a step as its label would be: `[os=a]`, or the id of a step in its pipeline."""
    return _VALUE.sub(lambda found: _label(found[1]), rest).removeprefix("/")


def _label(value: str) -> str:
    try:
        held = json.loads(value)
    except ValueError:
        return f"[{value}]"
    texts = [f"{name}={text_of(one)}" for name, one in held.items()] if isinstance(held, dict) else [text_of(held)]
    return f"[{','.join(texts)}]"


def _more(told: Sequence[str]) -> list[str]:
    return [f"and {len(told) - 1 - _SHOWN:,} more"] if len(told) > _SHOWN + 1 else []


def own_id(key: str) -> str:
    """Give the id of the step of the run's own file that a key belongs to."""
    return key.partition("[")[0].partition("/")[0]


def _said(id_: str, found: Found) -> str:
    again, reused = found.rerun.again.get(id_), found.rerun.reused.get(id_)
    if again is not None:
        return f"runs: {said(again, found.rerun.run)}"
    unsure = found.unsure.get(id_, ())
    unless = f", unless {' or '.join(unsure)} has changed" if unsure else ""
    from_run = reused.run if reused is not None else found.rerun.run
    return f"reused from {from_run}{unless}"


def rerun_data(found: Found) -> JSON:
    """Give the same as data, as the first event of the run will have it, with what could still change it."""
    return {**rerun_record(found.rerun), "unsure": {key: list(names) for key, names in found.unsure.items()}}
