"""Who writes outputs as for GitHub is told, unless GitHub is there to read them."""

from dagnats.definition import load
from dagnats.definition.unset import MAX_NOTES, foreign_outputs

NAMED = 'name: x\nsteps:\n  - id: a\n    run: echo "v=1" >> $GITHUB_OUTPUT\n'
PRINTED = 'name: x\nsteps:\n  - id: a\n    run: echo "::set-output name=v::1"\n'
SAID = 'step `a` (line 3) writes outputs for another system; here: echo "name=value" >> "$DAGNATS_OUTPUT"'


def test_a_step_is_named_where_nobody_reads_what_it_writes():
    plan = load("p.yaml", NAMED.encode())
    assert foreign_outputs(plan, {}) == [f"p.yaml: {SAID}"]
    assert foreign_outputs(plan, {"GITHUB_OUTPUT": "/file"}) == []


def test_what_is_printed_for_it_is_read_by_nobody():
    assert foreign_outputs(load("p.yaml", PRINTED.encode()), {"GITHUB_OUTPUT": "/file"}) == [f"p.yaml: {SAID}"]


def test_not_more_of_them_than_somebody_reads():
    many = "name: x\nsteps:\n" + "  - run: echo $GITHUB_OUTPUT\n" * 20
    assert len(foreign_outputs(load("p.yaml", many.encode()), {})) == MAX_NOTES
