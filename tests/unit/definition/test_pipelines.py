"""Files of pipelines that steps run: found, read once, bounded, and wrong in their own lines."""

from pathlib import Path

import pytest

from dagnats.core.codec import plan_from, plan_record
from dagnats.core.pipeline import Pipeline
from dagnats.definition import InvalidPipelineError, load, load_document
from dagnats.definition.emit import to_yaml
from dagnats.definition.known import known_values
from dagnats.definition.render import document
from dagnats.definition.select import Selection, select
from dagnats.errors import UsageError

LEAF = "name: leaf\nsteps:\n  - run: echo leaf\n"


def write(folder: Path, **files: str) -> None:
    for name, text in files.items():
        path = folder / (name.replace("__", "/") + ".yaml")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def runs(*files: str, name: str = "outer") -> str:
    return f"name: {name}\nsteps:\n" + "".join(f"  - pipeline: {file}\n" for file in files)


def problems(file: str) -> list[str]:
    with pytest.raises(InvalidPipelineError) as caught:
        load(file)
    return [f"{each.file}:{each.line}:{each.column}: {each.message}" for each in caught.value.problems]


@pytest.fixture(autouse=True)
def project(tmp_path, monkeypatch):
    (tmp_path / ".git").mkdir()
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_plan_has_those_of_all_that_is_run_in_it(project):
    write(project, outer=runs("parts/inner.yaml"), parts__inner=runs("../leaf.yaml", name="inner"), leaf=LEAF)
    plan = load("outer.yaml")
    assert plan.steps[0].pipeline == "parts/inner.yaml"
    assert list(plan.pipelines) == ["parts/inner.yaml", "leaf.yaml"]
    assert plan.pipelines["parts/inner.yaml"].steps[0].pipeline == "leaf.yaml"
    assert all(inner.pipelines == {} for inner in plan.pipelines.values())
    assert plan_from(plan_record(plan)) == plan


def test_a_file_is_one_whatever_it_is_called(project):
    write(project, outer=runs("leaf.yaml", "./parts/../leaf.yaml", "link.yaml"), leaf=LEAF)
    (project / "parts").mkdir()
    (project / "link.yaml").symlink_to("leaf.yaml")
    plan = load("outer.yaml")
    assert [step.pipeline for step in plan.steps] == ["leaf.yaml"] * 3
    assert list(plan.pipelines) == ["leaf.yaml"]


def test_a_path_is_relative_to_the_file_in_which_it_stands(project):
    write(
        project,
        outer="name: outer\ninclude: [parts/more.yaml]\n",
        parts__more="steps:\n  - pipeline: leaf.yaml\n",
        parts__leaf=LEAF,
    )
    assert load("outer.yaml").steps[0].pipeline == "parts/leaf.yaml"
    text = runs("parts/leaf.yaml").encode()
    assert load("<stdin>", text).steps[0].pipeline == "parts/leaf.yaml"


def test_problems_stand_in_the_lines_of_their_own_file_and_are_said_once(project):
    write(
        project,
        outer=runs("inner.yaml", "inner.yaml"),
        inner="name: inner\nsteps:\n  - run: echo {{ params.x }}\n    nedds: []\n",
    )
    assert problems("outer.yaml") == [
        "inner.yaml:3:18: there is no param `x`",
        "inner.yaml:4:5: unknown key `nedds` in step 1",
    ]
    with pytest.raises(InvalidPipelineError) as caught:
        load("outer.yaml")
    assert "    4 |     nedds: []" in str(caught.value)


def test_warnings_of_inner_files_are_asked_for_too(project):
    raw = "name: inner\nparams: {x: {type: string}}\nsteps:\n  - run: echo {{ params.x | raw }}\n"
    outer = "name: outer\nsteps:\n  - pipeline: inner.yaml\n    params: {x: y}\n"
    write(project, outer=outer, inner=raw)
    load("outer.yaml")
    with pytest.raises(InvalidPipelineError) as caught:
        load("outer.yaml", strict=True)
    assert [each.file for each in caught.value.problems] == ["inner.yaml"]


def test_what_templates_mention_is_known_of_the_whole_run(project):
    write(project, outer=runs("inner.yaml"), inner="name: inner\nsteps:\n  - run: echo {{ env.HOME }} {{ git.sha }}\n")
    plan = load("outer.yaml")
    assert (plan.env_names, plan.uses_git) == ({"HOME"}, True)


def test_what_is_not_run_is_no_part_of_a_selection(project):
    write(project, outer=runs("inner.yaml", "leaf.yaml"), inner=runs("leaf.yaml", name="inner"), leaf=LEAF)
    plan = load("outer.yaml")
    assert set(select(plan, Selection(only=("step-1",))).pipelines) == {"inner.yaml", "leaf.yaml"}
    assert set(select(plan, Selection(only=("step-2",))).pipelines) == {"leaf.yaml"}


def test_pipelines_that_run_each_other(project):
    write(project, a=runs("b.yaml"), b=runs("c.yaml"), c=runs("b.yaml"))
    assert problems("a.yaml") == ["c.yaml:3:15: pipelines run each other: b.yaml → c.yaml → b.yaml"]


def test_a_link_out_of_the_project(project):
    elsewhere = project.parent / "elsewhere.yaml"
    elsewhere.write_text(LEAF)
    (project / "link.yaml").symlink_to(elsewhere)
    write(project, outer=runs("link.yaml"))
    assert problems("outer.yaml") == ["outer.yaml:3:15: `link.yaml` is outside of this project"]


def test_depth_counts_what_was_read_before(project):
    files = {f"l{number}": runs(f"l{number + 1}.yaml") for number in range(1, 8)}
    write(project, **files, l8=LEAF)
    write(project, fits=runs("l1.yaml"), deeper=runs("l1.yaml", "more.yaml"), more=runs("l1.yaml"))
    assert len(load("fits.yaml").pipelines) == 8
    assert problems("deeper.yaml") == ["more.yaml:3:15: pipelines run each other more than 8 levels deep"]


def test_a_few_files_that_make_millions_of_steps(project):
    files = {f"l{number}": runs(*[f"l{number + 1}.yaml"] * 12) for number in range(1, 8)}
    write(project, **files, l8=LEAF)
    assert problems("l1.yaml") == [
        "l4.yaml:5:15: with those of `l5.yaml`, the run has 10,836 instances and steps of pipelines; at most 10,000 are allowed"
    ]


def test_cells_count_as_often_as_their_pipeline(project):
    matrix = (
        "name: outer\nsteps:\n  - pipeline: leaf.yaml\n    matrix: {a: [" + ", ".join(map(str, range(6000))) + "]}\n"
    )
    write(project, outer=matrix, leaf=LEAF)
    assert problems("outer.yaml") == [
        "outer.yaml:3:15: with those of `leaf.yaml`, the run has 12,000 instances and steps of pipelines; at most 10,000 are allowed"
    ]


def test_many_files(project):
    write(
        project,
        outer=runs(*(f"f{number}.yaml" for number in range(101))),
        **{f"f{number}": LEAF for number in range(101)},
    )
    assert problems("outer.yaml") == ["outer.yaml:103:15: more than 100 files of pipelines are run"]


def test_large_files(project):
    large = LEAF + "# " + "x" * 600_000 + "\n"
    write(project, outer=runs("a.yaml", "b.yaml"), a=large, b=large)
    assert problems("outer.yaml") == ["outer.yaml:4:15: with the pipelines that it runs, the file is larger than 1 MiB"]


def test_a_plain_file_has_none(project):
    write(project, leaf=LEAF)
    _, plan = load_document("leaf.yaml")
    assert isinstance(plan, Pipeline)
    assert plan.pipelines == {}


def test_a_problem_of_what_both_include_is_one(project):
    write(project, shared="vars: {a: b}\nnmae: x\n", outer="include: [shared.yaml]\n" + runs("inner.yaml"))
    write(project, inner="include: [shared.yaml]\n" + LEAF)
    with pytest.raises(InvalidPipelineError) as caught:
        load("outer.yaml")
    assert (len(caught.value.problems), caught.value.total) == (1, 1)


@pytest.mark.parametrize(("secret", "mention"), [("inner", "outer"), ("outer", "inner")])
def test_a_secret_of_one_file_is_no_recorded_variable_of_another(project, secret, mention):
    texts = {"outer": runs("inner.yaml"), "inner": LEAF.replace("leaf", "inner")}
    texts[secret] += "secrets: {TOKEN: env://DEPLOY_TOKEN}\n"
    texts[mention] += 'env: {T: "{{ env.DEPLOY_TOKEN }}"}\n'
    write(project, **texts)
    assert problems("outer.yaml") == [
        f"{mention}.yaml:0:0: `env.DEPLOY_TOKEN` is the secret `TOKEN` of `{secret}.yaml`, and `env` is recorded"
    ]
    texts[mention] = texts[mention].replace("env.DEPLOY_TOKEN", "env.HOME")
    write(project, **texts)
    load("outer.yaml")


def test_a_link_to_a_file_is_that_file_whatever_the_order(project):
    inner = runs("sub.yaml", name="inner")
    write(
        project,
        b__inner=inner,
        a__sub=LEAF,
        b__sub=LEAF,
        one=runs("a/inner.yaml", "b/inner.yaml"),
        two=runs("b/inner.yaml", "a/inner.yaml"),
    )
    (project / "a" / "inner.yaml").symlink_to("../b/inner.yaml")
    for file in ("one.yaml", "two.yaml"):
        assert set(load(file).pipelines) == {"b/inner.yaml", "b/sub.yaml"}


def test_those_that_the_run_names_itself_come_first(project):
    write(project, outer=runs("a.yaml", "b.yaml"), a=runs("c.yaml", name="a"), b=LEAF, c=LEAF)
    assert list(load("outer.yaml").pipelines) == ["a.yaml", "b.yaml", "c.yaml"]


def test_what_follows_from_a_wrong_file_is_not_reported(project):
    write(project, outer=runs("inner.yaml"), inner=LEAF + "params: {q: {type: nope}}\n")
    assert [line.split(":")[0] for line in problems("outer.yaml")] == ["inner.yaml"]


def hints(text: str) -> list[str]:
    with pytest.raises(InvalidPipelineError) as caught:
        load("outer.yaml", text.encode())
    return [problem.hint for problem in caught.value.problems]


def test_what_is_inside_is_not_seen_from_outside(project):
    write(project, leaf=LEAF)
    text = (
        runs("leaf.yaml")
        + "  - {id: b, needs: [step-1/step-1], run: 'echo {{ steps[\"step-1/step-1\"].outputs.x }}'}\n"
    )
    assert hints(text) == [
        "what is inside of a pipeline can not be needed; write `step-1` for all of it",
        "give `leaf.yaml` an output, and write `steps.step-1.outputs.NAME`",
    ]
    with pytest.raises(UsageError, match=r"that is inside of what `step-1` runs: choose `step-1`, or run leaf.yaml by"):
        select(load("outer.yaml", runs("leaf.yaml").encode()), Selection(only=("step-1/step-1",)))


@pytest.mark.parametrize(
    ("step", "hint"),
    [
        ("pipeline: https://example.org/x.yaml", "a file of the project can be named here; copy it there"),
        ("{pipeline: leaf.yaml, params: [n]}", "write `name: value` for each"),
        ("{pipeline: leaf.yaml, vars: {a: b}}", "give the pipeline what it needs as `params`"),
    ],
)
def test_mistakes_that_many_make(project, step, hint):
    write(project, leaf=LEAF)
    assert hints(f"name: x\nsteps:\n  - {step}\n") == [hint]


def test_a_rendering_names_the_same_files_and_gives_the_same_values(project):
    write(
        project,
        outer="name: outer\ninclude: [parts/more.yaml]\n"
        'defaults: {shell: sh, env: {A: "1"}, idle_timeout: 2s, working_dir: ., outputs: {a: {}}, timeout: 1m}\n'
        "params: {n: 2}\n"
        "steps:\n"
        '  - {id: own, pipeline: inner.yaml, params: {s: 3.10, n: "{{ params.n }}"}}\n',
        parts__more="steps:\n  - {id: included, pipeline: ../inner.yaml, params: {s: 007}}\n",
        inner="name: inner\nparams: {s: {type: string}, n: 1}\nsteps:\n  - run: echo {{ params.s }}\n",
    )
    root, plan = load_document("outer.yaml")
    shown = to_yaml(document(root, plan, known_values(plan, {"n": 2}, {}, None)))
    again = load("again.yaml", shown.encode())
    assert [(step.id, step.pipeline, step.params, step.timeout_s) for step in again.steps] == [
        ("included", "inner.yaml", {"s": "007"}, 60.0),
        ("own", "inner.yaml", {"s": "3.10", "n": 2}, 60.0),
    ]
    seen = to_yaml(document(*load_document("parts/../outer.yaml"), known_values(plan, {"n": 2}, {}, None)))
    assert seen == shown
