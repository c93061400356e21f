"""How the container of a step comes out of a file: from its own keys, and from the defaults."""

import pytest

from dagnats.core.pipeline import Container, Credentials, Volume
from dagnats.definition import InvalidPipelineError, load, load_document
from dagnats.definition.emit import to_yaml
from dagnats.definition.known import known_values
from dagnats.definition.params import resolve
from dagnats.definition.privileged import privileged, refuse_privileged
from dagnats.definition.render import document
from dagnats.definition.unset import refuse_unset
from dagnats.errors import UsageError


def plan_of(text, **options):
    return load("p.yaml", ("name: x\n" + text).encode(), **options)


def step_of(step, head=""):
    return plan_of(f"{head}\nsteps:\n  - {step}\n").steps[0]


def warnings_of(text):
    with pytest.raises(InvalidPipelineError) as caught:
        plan_of(text, strict=True)
    assert {problem.severity for problem in caught.value.problems} == {"warning"}
    return [problem.message for problem in caught.value.problems]


def test_an_image_is_short_for_a_container():
    assert step_of("{run: x, image: a:1}").container == Container("a:1")
    assert step_of("{run: x, container: {image: a:1}}").container == Container("a:1")
    assert step_of("{run: x, image: a:1, container: {user: root}}").container == Container("a:1", user="root")
    assert step_of("{run: x, type: container, image: a:1}").container == Container("a:1")
    assert step_of("{run: x}").container is None


def test_all_that_can_be_said():
    head = "params: {a: b}\nsecrets: [S]"
    box = """{image: "a:{{ params.a }}", pull: never, entrypoint: [sh, 1, "{{ params.a }}"], user: 1000, env: {A: 1.50, B: "{{ secrets.S }}"}, network: host,
      volumes: ["./a:/b:ro", "{{ params.a }}:/{{ params.a }}", {source: v, target: /v, read_only: true}, a:/c:rw], options: [--pids-limit, 9],
      credentials: {username: me, password: "{{ secrets.S }}"}, memory: 512m, cpus: 2}"""
    assert step_of(f"{{run: x, container: {box}}}", head).container == Container(
        "a:{{ params.a }}",
        pull="never",
        entrypoint=("sh", "1", "{{ params.a }}"),
        user="1000",
        env={"A": "1.50", "B": "{{ secrets.S }}"},
        volumes=(
            Volume("./a", "/b", read_only=True),
            Volume("{{ params.a }}", "/{{ params.a }}"),
            Volume("v", "/v", read_only=True),
            Volume("a", "/c"),
        ),
        network="host",
        options=("--pids-limit", "9"),
        credentials=Credentials("me", "{{ secrets.S }}"),
        memory="512m",
        cpus=2.0,
    )


@pytest.mark.parametrize(
    ("written", "entrypoint"), [("sh", ("sh",)), ("[]", ()), ('[""]', ()), ("[sh, -c]", ("sh", "-c")), ('"{{ params.a }} b"', ("{{ params.a }} b",))]
)  # fmt: skip
def test_entrypoints(written, entrypoint):
    made = step_of(f"{{run: x, container: {{image: a:1, entrypoint: {written}}}}}", "params: {a: b}")
    assert made.container.entrypoint == entrypoint


def test_a_container_may_run_what_its_image_says():
    assert step_of("{image: a:1}").command == ()
    assert step_of("{image: a:1}").run is None
    assert step_of("{image: a:1, command: [x]}").command == ("x",)
    made = step_of("{image: a:1, run: x}")
    assert (made.run, made.command) == ("x", None)


@pytest.mark.parametrize(
    ("defaults", "step", "container"),
    [
        ("image: a:1", "run: x", Container("a:1")),
        ("image: a:1", "run: x, image: b:1", Container("b:1")),
        ("image: a:1", "run: x, container: {image: b:1}", Container("b:1")),
        ("image: a:1", "run: x, container: {user: root}", Container("a:1", user="root")),
        ("image: a:1", "run: x, container: false", None),
        ("image: a:1, container: {user: root}", "run: x", Container("a:1", user="root")),
        ("container: {image: a:1, user: root}", "run: x", Container("a:1", user="root")),
        ("container: {image: a:1, user: root}", "run: x, image: b:1", Container("b:1", user="root")),
        ("container: {image: a:1, user: root}", "run: x, container: {memory: 1g}", Container("a:1", memory="1g")),
        ("container: {image: a:1, user: root}", "run: x, container: false", None),
        ("container: {user: root}", "run: x", None),
        ("container: {user: root}", "run: x, image: a:1", Container("a:1", user="root")),
        ("container: {user: root}", "run: x, container: {image: a:1}", Container("a:1")),
        ("container: false", "run: x", None),
        ("container: false", "run: x, image: a:1", Container("a:1")),
    ],
)
def test_a_field_of_a_step_takes_the_place_of_a_default(defaults, step, container):
    text = f"defaults: {{{defaults}}}\nsteps:\n  - {{{step}, on_failure: [{{{step}}}]}}\nfinally:\n  - {{{step}}}\n"
    plan = plan_of(text)
    assert [one.container for one in (*plan.steps, *plan.finally_steps)] == [container] * 3
    shown = rendered(text)
    assert [one.container for one in load("p.yaml", shown.encode()).steps] == [container] * 2
    assert "defaults" not in shown


def test_a_pipeline_step_has_no_use_for_the_defaults(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "b.yaml").write_text("name: b\nsteps: [{run: x}]\n")
    plan = plan_of("defaults: {image: a:1}\nsteps: [{pipeline: b.yaml}]\n")
    assert plan.steps[0].container is None
    assert plan.pipelines["b.yaml"].steps[0].container is None


def rendered(text):
    root, plan = load_document("p.yaml", ("name: x\n" + text).encode())
    return to_yaml(document(root, plan, known_values(plan, resolve(plan.params, {}, {}, {}), {}, None)))


def test_a_rendering_knows_values_and_changes_no_structure():
    text = """\
params: {a: "b:c", dir: ./d, up: .., list: [--shm-size, 1g], evil: [--name=x], img: "-x"}
steps:
  - run: x
    container:
      image: "{{ params.img }}"
      volumes: ["{{ params.dir }}/{{ params.a }}:/x", "{{ params.up }}:/y"]
      options: ["{{ params.list }}"]
  - run: x
    container: {image: a:1, options: ["{{ params.evil }}"], user: "{{ params.img }}"}
"""
    text = text.replace("params: {", "params: {").replace("list: [--shm-size, 1g]", "list: {default: [--shm-size, 1g]}")
    text = text.replace("evil: [--name=x]", "evil: {default: [--name=x]}")
    first, second = (one.container for one in load("p.yaml", rendered(text).encode()).steps)
    assert first == Container(
        "{{ params.img }}",
        volumes=(Volume("./d/b:c", "/x"), Volume("{{ params.up }}", "/y")),
        options=("--shm-size", "1g"),
    )
    assert second == Container("a:1", options=("{{ params.evil }}",), user="{{ params.img }}")


def test_images_without_a_version_are_often_a_mistake():
    text = (
        "steps:\n  - {run: x, image: alpine}\n  - {run: x, needs: [], container: {image: 'localhost:5000/x:latest'}}\n"
    )
    assert warnings_of(text) == [
        "the image `alpine` has neither a tag nor a digest",
        "the image `localhost:5000/x:latest` has the tag `latest`",
    ]
    plan_of("params: {t: '3'}\nsteps:\n  - {run: x, image: 'localhost:5000/x:{{ params.t }}'}\n", strict=True)


def test_a_default_is_warned_of_once():
    steps = "".join(f"  - {{id: s{n}, run: x}}\n" for n in range(5))
    assert len(warnings_of(f"defaults: {{image: alpine}}\nsteps:\n{steps}")) == 1


def test_an_entrypoint_can_make_code_of_a_value():
    found = warnings_of(
        "params: {a: b}\nsteps:\n  - {container: {image: a:1, entrypoint: [sh, -c, 'x {{ params.a }}']}}\n"
    )
    assert found == ["`params.a` can come from outside, and `sh` takes it for code here"]


PRIVILEGED = """\
params: {a: b}
steps:
  - id: a
    run: x
    container: {image: a:1, options: [--privileged, "--pid={{ params.a }}"], volumes: [/:/m, "{{ params.a }}:/x"]}
  - {run: x, image: a:1}
"""
FOUND = [
    "p.yaml:4: step `a`: `/` is the whole machine",
    "p.yaml:4: step `a`: `--privileged` gives the container all rights of the machine's root",
]


def test_what_is_written_is_refused_before_anything_starts():
    plan = plan_of(PRIVILEGED)
    assert privileged(plan) == FOUND
    with pytest.raises(UsageError) as caught:
        refuse_privileged(plan, allowed=False)
    assert str(caught.value).splitlines() == [
        *FOUND,
        "start it with --allow-privileged if that is meant; nothing was started",
    ]
    refuse_privileged(plan, allowed=True)
    assert warnings_of(PRIVILEGED) == [message.partition("`a`: ")[2] for message in (FOUND[1], FOUND[0])]


def test_those_of_other_files_too(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "b.yaml").write_text("name: b\nsteps: [{id: i, container: {image: a:1, volumes: ['/:/m']}}]\n")
    (tmp_path / "c.yaml").write_text("steps: [{id: j, container: {image: a:1, options: ['--pid=host']}}]\n")
    assert privileged(plan_of("include: [c.yaml]\nsteps: [{pipeline: b.yaml}]\n")) == [
        "c.yaml:1: step `j`: `--pid=host` shares the processes of the machine",
        "b.yaml:2: step `i`: `/` is the whole machine",
    ]


def test_many_are_not_all_told():
    steps = "".join(f"  - {{id: s{n}, container: {{image: a:1, options: [--privileged]}}}}\n" for n in range(25))
    found = privileged(plan_of(f"steps:\n{steps}"))
    assert (len(found), found[-1]) == (21, "and 5 more")


def test_a_variable_that_is_not_set_is_known_before():
    plan = plan_of("steps:\n  - {run: x, image: 'a:{{ env.NOT_THERE }}'}\n")
    with pytest.raises(UsageError, match=r"`env.NOT_THERE` is not set"):
        refuse_unset(plan, {})
    plan = plan_of("steps:\n  - {run: x, container: {image: a:1, env: {A: '{{ env.NOT_THERE }}'}}}\n")
    with pytest.raises(UsageError, match=r"`env.NOT_THERE` is not set"):
        refuse_unset(plan, {})


def test_thousands_of_steps_share_what_the_defaults_give():
    steps = "".join(f"  - {{id: s{n}, run: x}}\n" for n in range(2000))
    volumes = ", ".join(f"v{n}:/v{n}" for n in range(2000))
    plan = plan_of(f"defaults: {{container: {{image: a:1, volumes: [{volumes}]}}}}\nsteps:\n{steps}")
    assert len({id(step.container) for step in plan.steps}) == 1
