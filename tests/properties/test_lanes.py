"""Whatever the graph, its drawing shows exactly its edges: they are read back from the characters."""

from hypothesis import given, settings
from hypothesis import strategies as st

from dagnats.core.pipeline import Step
from dagnats.report.lanes import drawn

JOINTS = "├┤┼╰╯┴"
TO_ASCII = str.maketrans("●│─├┤┼┴╰╯", "*|-++++`'")


@st.composite
def graphs(draw, most=14):
    steps: list[Step] = []
    for number in range(draw(st.integers(1, most))):
        before = [step.id for step in steps]
        needs = draw(st.lists(st.sampled_from(before), max_size=5, unique=True)) if before else []
        steps.append(Step(id=f"s{number}", needs=tuple(needs)))
    return draw(st.permutations(steps)) if draw(st.booleans()) else steps


class Traced:
    """A drawing, followed line by line from each step back to where its lines come from."""

    def __init__(self, lines):
        self.ids, self.rows = {}, []
        for number, line in enumerate(lines):
            cells, _, label = line.partition("s")
            self.rows.append(cells.ljust(200))
            if label:
                self.ids[number] = f"s{label}"

    def needs(self, row):
        column = self.rows[row].index("●")
        found = self.sources(row - 1, column) if self.cell(row - 1, column) in tuple("│├┤┼") else set()
        for joint in self.reached(row, column):
            found |= self.sources(row - 1, joint)
        return found

    def reached(self, row, column):
        """Columns of the joints on the horizontal line through a column."""
        for step in (-2, 2):
            place = column
            while self.cell(row, place + step // 2) == "─":
                place += step
                if self.cell(row, place) in tuple(JOINTS):
                    yield place

    def sources(self, row, column):
        cell = self.cell(row, column)
        if cell == "●":
            return {self.ids[row]}
        assert cell in tuple("│├┤┼"), f"a line ends in nothing at {row}, {column}"
        found = self.sources(row - 1, column)
        if row not in self.ids and cell in tuple("├┤"):
            found = found.union(*(self.sources(row - 1, joint) for joint in self.reached(row, column)))
        return found

    def cell(self, row, column):
        return self.rows[row][column] if row >= 0 and column >= 0 else " "


@given(graphs())
@settings(deadline=None, max_examples=300)
def test_every_edge_is_drawn_and_no_other(steps):
    labels = {step.id: step.id for step in steps}
    lines = list(drawn(steps, labels, unicode=True))
    traced = Traced(lines)
    assert sorted(traced.ids.values()) == sorted(labels)
    assert {id_: traced.needs(row) for row, id_ in traced.ids.items()} == {s.id: set(s.needs) for s in steps}
    assert list(drawn(steps, labels, unicode=False)) == [line.translate(TO_ASCII) for line in lines]


def test_a_wide_graph_stays_narrow():
    middle = [Step(id=f"s{number}", needs=("s0",)) for number in range(1, 50)]
    steps = [Step(id="s0"), *middle, Step(id="s50", needs=tuple(step.id for step in middle))]
    lines = list(drawn(steps, {step.id: step.id for step in steps}, unicode=True))
    assert max(map(len, lines)) < 24
    traced = Traced(lines)
    assert traced.needs(max(traced.ids)) == {step.id for step in middle}
