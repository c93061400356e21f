"""A plan as a graph in text: labels are data in each of the forms."""

import re

import pytest

from dagnats.core.pipeline import Pipeline, Step
from dagnats.report.graph import ascii_lines, dot_lines, graph_data, mermaid_lines

NASTY = 'say "hi" <b>&amp; #1; {x} [y](z) `w` \\n \\ %% end | --> ]\x1b[31m'
STEPS = (
    Step(id="end", name=NASTY),
    Step(id="graph", needs=("end",), condition='steps.end.status == "x" and "]" != \'a\'', allow_failure=True),
)
PLAN = Pipeline('na"me\\', "p.yaml", STEPS, (Step(id="last"), Step(id="later", needs=("last",))))


def test_a_drawing_has_a_line_for_each_step_and_names_it():
    lines = list(ascii_lines(PLAN))
    assert lines[0] == 'na"me\\'
    assert "●  end  (say" in lines[2]
    assert lines[4].startswith("●  graph  (if steps.end.status")
    assert lines[4].endswith("may fail)")
    assert lines[6:] == ["finally", "", "●  last", "│", "●  later"]
    assert "\x1b" not in "".join(lines)
    assert all(line.isascii() for line in ascii_lines(PLAN, unicode=False))


def test_finally_alone_is_drawn_alone():
    assert list(ascii_lines(Pipeline("p", "f", (), (Step(id="last"),)))) == ["finally", "", "●  last"]


def test_a_mermaid_label_can_not_end_itself():
    lines = list(mermaid_lines(PLAN))
    nodes = [line for line in lines if "[" in line and "subgraph" not in line]
    assert len(nodes) == 4
    for line in nodes:
        assert re.fullmatch(r"\s+s\d+\[\"(<br>|#\d+;|[\w _\-.,:/=!+()'])*\"\]", line), line
    decoded = re.sub(r"#(\d+);", lambda found: chr(int(found[1])), nodes[0])
    assert NASTY.replace("\x1b", " ") in decoded
    assert [line.strip() for line in lines if "-->" in line] == ["s1 --> s2", "s3 --> s4"]
    assert lines[-1].strip() == "steps_ -.-> finally_"


def test_a_mermaid_graph_without_finally_has_no_parts():
    lines = list(mermaid_lines(Pipeline("p", "f", (Step(id="a"), Step(id="b", needs=("a",))))))
    assert lines == ["flowchart TD", '    s1["a"]', '    s2["b"]', "    s1 --> s2"]


def unquoted(text: str) -> str:
    """A quoted string of DOT, read as Graphviz reads a label."""
    assert re.fullmatch(r'"(?:[^"\\]|\\.)*"', text), text
    return re.sub(r"\\(.)", lambda found: {"n": "\n"}.get(found[1], found[1]), text[1:-1])


def test_a_dot_label_is_read_back_as_it_was():
    lines = list(dot_lines(PLAN))
    assert unquoted(lines[0].removeprefix("digraph ").removesuffix(" {")) == PLAN.name
    label = re.search(r'"end" \[label=(".*")\];', "\n".join(lines))[1]
    assert unquoted(label) == "end\n" + NASTY.replace("\x1b", " ")
    text = "\n".join(lines)
    assert '"end" -> "graph";' in text
    assert '"graph" -> _ended' in text
    assert '_ended -> "last"' in text
    assert text.count("{") == text.count("}") + NASTY.count("{") - NASTY.count("}")


def test_data_holds_nodes_and_edges():
    data = graph_data(PLAN)
    assert [node["id"] for node in data["nodes"]] == ["end", "graph", "last", "later"]
    assert [node["level"] for node in data["nodes"]] == [1, 2, 1, 2]
    assert [node["finally"] for node in data["nodes"]] == [False, False, True, True]
    assert data["edges"] == [{"from": "end", "to": "graph"}, {"from": "last", "to": "later"}]


@pytest.mark.parametrize("form", [ascii_lines, mermaid_lines, dot_lines])
def test_ten_thousand_steps_can_be_drawn(form):
    ids = [f"s{number}" for number in range(10_000)]
    steps = tuple(Step(id=id_, needs=tuple(ids[max(0, place - 2) : place])) for place, id_ in enumerate(ids))
    assert sum(1 for _ in form(Pipeline("p", "f", steps))) >= 10_000
