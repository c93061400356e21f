"""Several files that make one pipeline: what is joined, where problems are reported, and what may not be included."""

from textwrap import dedent

import pytest

from dagnats.definition import InvalidPipelineError, load, load_document, step_ids
from dagnats.definition.include import KEYS, MAX_FILES, MAX_LEVELS, included_schema
from dagnats.definition.known import known_values
from dagnats.definition.render import document

STEP = "steps: [{run: x}]\n"


@pytest.fixture
def project(tmp_path, monkeypatch):
    root = tmp_path / "project"
    root.mkdir()
    monkeypatch.chdir(root)

    def write(**files):
        for name, text in files.items():
            path = root / (name.replace("__", "/") + ".yaml")
            path.parent.mkdir(exist_ok=True)
            path.write_text(dedent(text))

    return write


def problems(file="main.yaml"):
    with pytest.raises(InvalidPipelineError) as caught:
        load(file)
    return [(p.file, p.line, p.column, p.message) for p in caught.value.problems]


def test_steps_of_included_files_come_first_in_order(project):
    project(
        main="name: x\ninclude: [a.yaml, sub/b.yaml]\nsteps:\n  - id: own\n    run: x\n",
        a="steps:\n  - {id: a1, run: x}\n  - {run: x}\n",
        sub__b="include: [c.yaml]\nsteps:\n\n  - {id: b1, needs: [c1], run: x}\n",
        sub__c="steps: [{id: c1, needs: [], run: x}]\n",
    )
    plan = load("main.yaml")
    assert [(step.id, step.needs, step.line) for step in plan.steps] == [
        ("a1", (), 2),
        ("step-2", ("a1",), 3),
        ("c1", (), 1),
        ("b1", ("c1",), 4),
        ("own", ("b1",), 4),
    ]


def test_the_including_file_wins_and_then_the_later_one(project):
    project(
        main="""
            name: x
            include: [a.yaml, b.yaml]
            vars: {one: main}
            params: {p: main}
            env: {E: main}
            steps: [{run: x}]
        """,
        a="""
            vars: {one: a, two: a, three: a, from_one: "{{ vars.one }}"}
            params: {p: a, q: a, r: a}
            env: {E: a, F: a, G: a}
        """,
        b="""
            vars: {one: b, two: b}
            params: {p: b, q: b}
            env: {E: b, F: b}
        """,
    )
    plan = load("main.yaml")
    assert plan.vars == {"one": "main", "two": "b", "three": "a", "from_one": "{{ vars.one }}"}
    assert {name: param.default for name, param in plan.params.items()} == {"p": "main", "q": "b", "r": "a"}
    assert plan.env == {"E": "main", "F": "b", "G": "a"}


def test_a_file_with_no_steps_of_its_own(project):
    project(main="name: x\ninclude: [a.yaml]\n", a=STEP)
    assert len(load("main.yaml").steps) == 1
    project(a="vars: {a: 1}\n")
    assert problems() == [
        ("main.yaml", 2, 1, "neither this file nor those that it includes have steps"),
    ]


def test_defaults_of_the_file_are_those_of_included_steps_too(project):
    project(main="name: x\ninclude: [a.yaml]\ndefaults: {timeout: 1m}\n", a=STEP)
    assert load("main.yaml").steps[0].timeout_s == 60.0


def test_a_file_that_is_reached_twice_is_taken_once(project):
    project(
        main=f"name: x\ninclude: [a.yaml, b.yaml, ./a.yaml]\n{STEP}",
        a="include: [shared.yaml]\n",
        b="include: [shared.yaml]\n",
        shared="steps: [{id: shared, run: x}]\n",
    )
    assert [step.id for step in load("main.yaml").steps] == ["shared", "step-2"]


def test_problems_stand_in_the_file_in_which_they_are(project):
    project(
        main="name: x\ninclude: [a.yaml, b.yaml]\nsteps:\n  - {id: same, run: x}\n  - {run: x, needs: [none]}\n",
        a="# a comment\nsteps:\n  - {id: same, run: 'echo {{ params.none }}'}\n",
        b="stpes: []\nsteps:\n  - run: |\n      echo 1\n      echo {{ vars.none }}\n    timeout: 3\n",
    )
    assert problems() == [
        ("main.yaml", 4, 10, "the id `same` is used twice"),
        ("main.yaml", 5, 22, "step `step-4` needs `none`, and there is no such step"),
        ("a.yaml", 3, 30, "there is no param `none`"),
        ("b.yaml", 1, 1, "unknown key `stpes`"),
        ("b.yaml", 5, 15, "there is no var `none`"),
        ("b.yaml", 6, 14, "`timeout` of step 1 must be a duration such as 500ms, 30s, 5m or 1h30m, not the number 3"),
    ]


def test_the_report_shows_the_line_of_the_included_file_and_both_places(project):
    project(main="name: x\ninclude: [a.yaml]\nsteps:\n  - {id: same, run: x}\n", a="steps:\n  - {id: same, run: x}\n")
    with pytest.raises(InvalidPipelineError) as caught:
        load("main.yaml")
    assert caught.value.files == 1
    assert str(caught.value).splitlines() == [
        "main.yaml:4:10: the id `same` is used twice",
        "    4 |   - {id: same, run: x}",
        "      |          ^^^^ the first is at a.yaml:2:10",
    ]


def test_an_included_file_that_can_not_be_parsed(project):
    project(main=f"name: x\ninclude: [a.yaml, b.yaml, c.yaml]\n{STEP}", a="steps: [\n", b="", c="- run: x\n")
    assert [(file, message) for file, _, _, message in problems()] == [
        ("a.yaml", "a value is missing here"),
        ("b.yaml", "the file is empty"),
        ("c.yaml", "the file must be a mapping, not a list"),
    ]


def test_what_an_included_file_may_not_hold(project):
    project(main=f"name: x\ninclude: [a.yaml]\n{STEP}", a="name: y\ntimeout: 1m\nx-any: 1\n")
    assert problems() == [("a.yaml", 1, 1, "unknown key `name`"), ("a.yaml", 2, 1, "unknown key `timeout`")]
    assert included_schema()["properties"].keys() == set(KEYS)


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("none.yaml", "`none.yaml` can not be included: there is no such file"),
        ("..", "`..` is outside of this project"),
        ("../outside.yaml", "`../outside.yaml` is outside of this project"),
        ("sub/../../outside.yaml", "`../outside.yaml` is outside of this project"),
        ("link.yaml", "`link.yaml` is outside of this project"),
        ("folder", "`folder` can not be included: this is a directory, not a file"),
        ("/etc/passwd", "the path `/etc/passwd` must be relative to the file in which it stands"),
        ("-rf.yaml", "the path `-rf.yaml` may not begin with `-`"),
        ("sub/-a.yaml", "the path `sub/-a.yaml` may not begin with `-`"),
        ("{{ params.a }}.yaml", "the path `{{ params.a }}.yaml` may hold no template"),
        ("main.yaml", "files include each other: main.yaml → main.yaml"),
        ("a\0b", "the text holds a character that no program can be given: NUL, or half a surrogate pair"),
    ],
)
def test_what_may_not_be_included(project, tmp_path, path, message):
    project(main="")
    (tmp_path / "outside.yaml").write_text(STEP)
    (tmp_path / "project" / "link.yaml").symlink_to(tmp_path / "outside.yaml")
    (tmp_path / "project" / "folder").mkdir()
    (tmp_path / "project" / "-rf.yaml").write_text(STEP)
    text = 'name: x\ninclude: ["' + path.replace("\0", "\\0") + f'"]\n{STEP}'  # fmt: skip
    (tmp_path / "project" / "main.yaml").write_text(text)
    assert message in [found for _, _, _, found in problems()]


def test_a_link_within_the_project_is_followed(project, tmp_path):
    project(main="name: x\ninclude: [link.yaml]\n", sub__a=STEP)
    (tmp_path / "project" / "link.yaml").symlink_to("sub/a.yaml")
    assert len(load("main.yaml").steps) == 1


def test_the_project_of_a_repository_is_the_repository(project, tmp_path):
    (tmp_path / "project" / ".git").mkdir()
    project(sub__main="name: x\ninclude: [../a.yaml]\n", a=STEP)
    assert len(load("sub/main.yaml").steps) == 1


def test_a_circle_names_its_files(project):
    project(main=f"name: x\ninclude: [a.yaml]\n{STEP}", a="include: [b.yaml]\n", b="\ninclude: [a.yaml]\n")
    assert problems() == [("b.yaml", 2, 11, "files include each other: a.yaml → b.yaml → a.yaml")]


def test_levels_and_files_are_bounded(project):
    project(main=f"name: x\ninclude: [l1.yaml]\n{STEP}")
    for level in range(1, MAX_LEVELS + 2):
        project(**{f"l{level}": f"include: [l{level + 1}.yaml]\n"})
    project(**{f"l{MAX_LEVELS}": "vars: {a: 1}\n"})
    load("main.yaml")
    project(**{f"l{MAX_LEVELS}": f"include: [l{MAX_LEVELS + 1}.yaml]\n", f"l{MAX_LEVELS + 1}": "vars: {a: 1}\n"})
    message = "files include each other more than 8 levels deep"
    assert problems() == [(f"l{MAX_LEVELS}.yaml", 1, 11, message)]
    project(**{f"f{number}": "vars: {a: 1}\n" for number in range(MAX_FILES + 1)})
    names = ", ".join(f"f{number}.yaml" for number in range(MAX_FILES + 1))
    project(main=f"name: x\ninclude: [{names}]\n{STEP}")
    assert [message for _, _, _, message in problems()] == ["more than 100 files are included"]


def test_steps_are_counted_together(project):
    many = "steps:\n" + "  - run: x\n" * 6_000
    project(main=f"name: x\ninclude: [a.yaml]\n{many}", a=many)
    assert problems() == [
        ("main.yaml", 2, 1, "with what is included there are 12,000 steps; at most 10,000 are allowed"),
    ]


def test_anchors_of_an_included_file_keep_their_places(project):
    project(
        main=f"name: x\ninclude: [a.yaml]\n{STEP}",
        a="x-env: &env {A: '{{ params.none }}'}\nsteps:\n  - {run: x, env: *env}\n  - {run: x, env: {<<: *env}}\n",
    )
    assert problems() == [("a.yaml", 1, 21, "there is no param `none`")]


def test_a_rendered_file_holds_what_was_included_and_includes_nothing(project):
    project(
        main="name: x\ninclude: [a.yaml]\nvars: {v: main}\nsteps: [{id: own, run: x}]\n",
        a="vars: {v: a, w: a}\nsteps: [{id: a, run: x}]\n",
    )
    root, plan = load_document("main.yaml")
    rendered = document(root, plan, known_values(plan, {}, {}, None))
    assert rendered["vars"] == {"v": "main", "w": "a"}
    assert [step["id"] for step in rendered["steps"]] == ["a", "own"]
    assert "include" not in rendered


def test_steps_are_completed_also_from_included_files(project):
    project(main="name: x\ninclude: [a.yaml]\nsteps: [{id: own, run: x}]\n", a="steps: [{id: a, run: x}]\n")
    assert [id_ for id_, _ in step_ids("main.yaml")] == ["a", "own"]
