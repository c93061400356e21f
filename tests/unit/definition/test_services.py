"""How services come out of a file, which of them a step waits for, and how they are shown."""

import json

import pytest

from dagnats.core.codec import plan_from, plan_record
from dagnats.core.pipeline import Container, Ready, Service
from dagnats.definition import load, load_document
from dagnats.definition.emit import to_yaml
from dagnats.definition.known import known_values
from dagnats.definition.params import resolve
from dagnats.definition.privileged import privileged, refuse_privileged
from dagnats.definition.render import document
from dagnats.definition.select import Selection, select
from dagnats.errors import UsageError
from dagnats.report.graph import ascii_lines, dot_lines, graph_data, mermaid_lines
from dagnats.report.plan import plan_data, plan_text
from dagnats.report.style import Style

TEXT = """\
name: x
params: {tag: "17"}
secrets: [S]
services:
  db: {image: "db:{{ params.tag }}", env: {A: "{{ secrets.S }}", B: 1}, ports: [1, 2], command: [run, "{{ params.tag }}"], ready: {cmd: [ask, 1], timeout: 2m}}
  web: {image: w:1, network: host, ports: [80], ready: {http: 80/a}}
  log: {image: l:1, ready: {log: up}}
  tcp: {image: "t:1", ports: [3], ready: {tcp: 3}, user: root, memory: 1g}
steps:
  - {id: all, run: x}
  - {id: one, services: [web], run: x}
  - {id: none, services: [], run: x}
finally: [{id: last, run: x}]
"""
PLAN = load("p.yaml", TEXT.encode())


def test_all_that_can_be_said():
    assert PLAN.services == {
        "db": Service(
            Container("db:{{ params.tag }}", env={"A": "{{ secrets.S }}", "B": "1"}),
            ("run", "{{ params.tag }}"),
            (1, 2),
            Ready("cmd", ("ask", "1"), 120.0),
        ),
        "web": Service(Container("w:1", network="host"), ports=(80,), ready=Ready("http", "80/a")),
        "log": Service(Container("l:1"), ready=Ready("log", "up")),
        "tcp": Service(Container("t:1", user="root", memory="1g"), ports=(3,), ready=Ready("tcp", 3)),
    }


def test_a_step_waits_for_all_for_some_or_for_none():
    steps = {step.id: step.services for step in (*PLAN.steps, *PLAN.finally_steps)}
    everything = ("db", "web", "log", "tcp")
    assert steps == {"all": everything, "one": ("web",), "none": (), "last": everything}


def test_defaults_say_it_for_steps():
    plan = load("p.yaml", TEXT.replace("steps:", "defaults: {services: [log]}\nsteps:").encode())
    assert [step.services for step in plan.steps] == [("log",), ("web",), ()]


def test_without_any_a_step_waits_for_none():
    plan = load("p.yaml", b"name: x\nservices: {}\nsteps: [{run: x}]")
    assert plan.services == {}
    assert plan.steps[0].services == ()


def test_a_plan_is_read_back():
    assert plan_from(json.loads(json.dumps(plan_record(PLAN)))) == PLAN


@pytest.mark.parametrize(
    ("ready", "port", "path"),
    [
        (Ready("tcp", 3), 3, None),
        (Ready("http", "80/a/b"), 80, "/a/b"),
        (Ready("http", "/a"), None, "/a"),
        (Ready("http", "/"), None, "/"),
        (Ready("log", "80/x"), None, None),
    ],
)
def test_what_is_looked_at(ready, port, path):
    assert ready.port == port
    assert path is None or ready.path == path


def test_a_part_of_a_pipeline_keeps_them():
    selected = select(PLAN, Selection(only=("one",)))
    assert selected.services == PLAN.services
    assert [step.services for step in selected.steps] == [("web",)]


def test_a_rendered_file_means_the_same():
    root, plan = load_document("p.yaml", TEXT.encode())
    known = known_values(plan, resolve(plan.params, {}, {}, {}), {}, None)
    text = to_yaml(document(root, plan, known))
    again = load("p.yaml", text.encode())
    assert again.services["db"] == Service(
        Container("db:17", env={"A": "{{ secrets.S }}", "B": "1"}), ("run", "17"), (1, 2), Ready("cmd", ("ask", "1"), 120.0)
    )  # fmt: skip
    assert {name: one for name, one in again.services.items() if name != "db"} == {
        name: one for name, one in plan.services.items() if name != "db"
    }


def test_included_files_have_them_too(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "main.yaml").write_text(
        "name: x\ninclude: [a.yaml, b.yaml]\nservices: {one: {image: main:1}}\nsteps: [{run: x}]"
    )
    (tmp_path / "a.yaml").write_text(
        "services: {one: {image: a:1}, two: {image: a:1}, three: {image: a:1}}\nsteps: [{id: a, services: [two], run: x}]"
    )
    (tmp_path / "b.yaml").write_text("services: {two: {image: b:1}}")
    plan = load("main.yaml")
    images = {name: service.container.image for name, service in plan.services.items()}
    assert images == {"one": "main:1", "two": "b:1", "three": "a:1"}
    assert [step.services for step in plan.steps] == [("two",), ("one", "two", "three")]


def test_what_would_have_the_machine_must_be_allowed():
    plan = load("p.yaml", b"name: x\nservices: {db: {image: d:1, volumes: [/:/all]}}\nsteps: [{run: x}]")
    assert privileged(plan) == ["p.yaml: service `db`: `/` is the whole machine"]
    refuse_privileged(plan, allowed=True)
    with pytest.raises(UsageError, match="service `db`"):
        refuse_privileged(plan, allowed=False)
    assert (
        plan_data(plan, known_values(plan, {}, {}, "/"))["services"]["db"]["privileged"] == "`/` is the whole machine"
    )


def test_a_plan_shows_them():
    known = known_values(PLAN, {"tag": "17"}, {}, "/")
    lines = list(plan_text(PLAN, known, Style()))
    assert [line for line in lines if line.startswith("  services.")] == [
        "  services.db: db:{{ params.tag }}; ports 1, 2; ready by cmd ask 1 within 2m",
        "  services.web: w:1; port 80; ready by http 80/a within 1m",
        "  services.log: l:1; ready by log up within 1m",
        "  services.tcp: t:1; port 3; ready by tcp 3 within 1m",
    ]
    data = plan_data(PLAN, known)
    assert data["services"]["db"] == {
        "image": "db:{{ params.tag }}",
        "ports": [1, 2],
        "ready": {"kind": "cmd", "value": ["ask", "1"], "timeout_s": 120.0},
        "privileged": None,
    }
    assert [step["services"] for step in data["steps"]] == [["db", "web", "log", "tcp"], ["web"], []]


def test_a_graph_shows_them():
    assert list(ascii_lines(PLAN))[-6:] == [
        "services",
        "",
        "db  (db:{{ params.tag }}; ports 1, 2; ready by cmd ask 1 within 2m)",
        "web  (w:1; port 80; ready by http 80/a within 1m)",
        "log  (l:1; ready by log up within 1m)",
        "tcp  (t:1; port 3; ready by tcp 3 within 1m)",
    ]
    assert '        v2(["web<br>w:1"])' in list(mermaid_lines(PLAN))
    assert '        "services.web" [label="web\\nw:1", shape=ellipse];' in list(dot_lines(PLAN))
    assert graph_data(PLAN)["services"][1] == {"name": "web", "image": "w:1", "ports": [80]}
