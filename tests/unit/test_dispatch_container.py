"""What a worker is given of a container: everything rendered and checked once more, but for what holds secrets."""

import pytest

from dagnats.bus.tasks import Task
from dagnats.core.codec import container_from
from dagnats.core.decide import EvaluationError
from dagnats.core.events import RunStarted
from dagnats.core.pipeline import Container, Credentials, Pipeline, Step, Volume
from dagnats.core.state import RunState
from dagnats.dispatch import Dispatch

PARAMS = {
    "tag": "3.12", "word": "x", "list": ["-p", "80:80"], "none": [], "root": "/", "up": "..", "evil": "--privileged", "flag": "-v/:/m{{ }}", "nul": "a\0b",
    "link": "link", "socket": "/run/docker.sock", "colon": "/srv/a:b",
}  # fmt: skip


def task_of(box: Container, workspace="/w", *, allow_privileged=False, **fields) -> Task:
    fields = {"run": "echo"} | fields
    step = Step(id="a", container=box, **{key: value for key, value in fields.items() if value is not None})
    plan = Pipeline(name="p", file="p.yaml", steps=(step,), secrets={"S": "env://S"}, env={"ROOT": "1", "A": "root"})
    started = RunStarted(seq=1, at=0.0, run="r", plan=plan, max_parallel=1, workspace=str(workspace), params=PARAMS)
    return Dispatch({}, {}, allow_privileged=allow_privileged).task(RunState(started), step, 1, None)


def given(box: Container, workspace="/w", **fields) -> Container:
    task = task_of(box, workspace, **fields)
    assert task.kind == "container"
    return container_from(task.container)


def test_every_text_has_its_values(tmp_path):
    made = given(
        Container(
            "python:{{ params.tag }}",
            pull="always",
            entrypoint=("sh", "{{ params.list }}", "{{ params.word }}!"),
            user="{{ params.word }}",
            volumes=(
                Volume("{{ params.word }}", "/{{ params.word }}", read_only=True),
                Volume("./{{ params.word }}", "/y"),
                Volume("{{ params.colon }}", "/z"),
            ),
            network="{{ params.word }}",
            options=("--read-only", "{{ params.list }}", "--hostname={{ params.word }}"),
            credentials=Credentials("{{ params.word }}", "plain"),
            memory="{{ params.tag | replace('.', '') }}m",
            cpus=1.5,
        ),
        tmp_path,
    )
    assert made == Container(
        "python:3.12",
        pull="always",
        entrypoint=("sh", "-p", "80:80", "x!"),
        user="x",
        volumes=(Volume("x", "/x", read_only=True), Volume(str(tmp_path / "x"), "/y"), Volume("/srv/a:b", "/z")),
        network="x",
        options=("--read-only", "-p", "80:80", "--hostname=x"),
        credentials=Credentials("x", "plain"),
        memory="312m",
        cpus=1.5,
    )


def test_its_env_is_that_of_the_step_and_wins():
    box = Container("a:1", env={"A": "{{ params.word }}", "S": "{{ params.word }}{{ secrets.S }}", "B": "b"})
    task = task_of(box, env={"A": "step", "S": "step", "C": "c"})
    assert {name: task.env.get(name) for name in "ABCS"} == {"A": "x", "B": "b", "C": "c", "S": None}
    assert task.env["ROOT"] == "1"
    assert task.env["DAGNATS_STEP"] == "a"
    assert task.secret_env == {"S": "{{ params.word }}{{ secrets.S }}"}
    assert task.context == {"params": {"word": "x"}}
    assert container_from(task.container).env == {}


def test_credentials_with_secrets_are_left_to_the_worker_with_what_else_they_mention():
    box = Container("a:1", credentials=Credentials("{{ params.word }}", "{{ params.tag }}{{ secrets.S }}"))
    task = task_of(box)
    assert task.secret_credentials == {"password": "{{ params.tag }}{{ secrets.S }}"}
    assert task.context == {"params": {"tag": "3.12"}}
    assert task.container["credentials"] == {"username": "x", "password": ""}
    assert task.holds_secrets


def test_what_it_runs():
    box = Container("a:1")
    assert task_of(box).script == "echo"
    assert task_of(box, run="echo {{ params.word }}").env["DAGNATS_V1"] == "x"
    assert task_of(box, run=None, command=("a", "{{ params.list }}")).argv == ["a", "-p", "80:80"]
    assert task_of(box, run=None, command=()).argv == []
    with pytest.raises(EvaluationError, match="command: it has no program"):
        task_of(box, run=None, command=("{{ params.none }}",))
    assert given(Container("a:1", entrypoint=())).entrypoint == ()
    assert given(Container("a:1", entrypoint=("{{ params.none }}",))).entrypoint == ()


@pytest.mark.parametrize(
    ("box", "why"),
    [
        (
            Container("{{ params.evil }}"),
            'image must be the name of an image, such as python:3.12; it is "--privileged"',
        ),
        (Container("a:1", user="{{ params.evil }}"), "container.user must be"),
        (Container("a:1", network="{{ params.evil }}"), "container.network must be"),
        (Container("a:1", memory="{{ params.evil }}"), "container.memory must be"),
        (Container("a:1", entrypoint=("{{ params.nul }}",)), "container.entrypoint: holds a NUL byte"),
        (Container("a:1", entrypoint=("{{ '' }}", "x")), "container.entrypoint: it has no program"),
        (Container("a:1", options=("--hostname={{ params.nul }}",)), "container.options: holds a NUL byte"),
        (Container("a:1", options=("{{ params.word }}",)), 'container.options: "x" is no option'),
        (Container("a:1", options=("--hostname", "{{ params.evil }}")), "has no value"),
        (Container("a:1", options=("{{ '--rm' }}",)), "can not be set"),
        (Container("a:1", options=("{{ params.evil }}",)), "--allow-privileged"),
        (Container("a:1", options=("{{ params.flag }}",)), "--allow-privileged"),
        (Container("a:1", volumes=(Volume("{{ params.root }}", "/x"),)), "--allow-privileged"),
        (Container("a:1", volumes=(Volume("{{ params.socket }}", "/x"),)), "--allow-privileged"),
        (Container("a:1", volumes=(Volume("./{{ params.up }}", "/x"),)), "leaves the project"),
        (Container("a:1", volumes=(Volume("{{ params.evil }}", "/x"),)), "container.volumes: the source must be"),
        (Container("a:1", volumes=(Volume("a", "{{ params.word }}"),)), "container.volumes: the target must be"),
        (Container("a:1", volumes=(Volume("/{{ params.nul }}", "/x"),)), "NUL byte"),
        (Container("a:1", env={"A": "{{ params.nul }}"}), "env.A: holds a NUL byte"),
        (Container("a:{{ params.missing }}"), "image: "),
    ],
)
def test_what_a_value_makes_wrong_fails_the_step(box, why):
    with pytest.raises(EvaluationError) as caught:
        task_of(box)
    assert why in str(caught.value)


def test_links_lead_nowhere_else(tmp_path):
    workspace = tmp_path / "w"
    workspace.mkdir()
    (workspace / "out").symlink_to(tmp_path)
    (workspace / "link").symlink_to("/")
    (tmp_path / "abs").symlink_to("/")
    for source in ("./out", "./link/x"):
        with pytest.raises(EvaluationError, match="leaves the project"):
            task_of(Container("a:1", volumes=(Volume(source, "/x"),)), workspace)
    for box in (
        Container("a:1", volumes=(Volume(f"{tmp_path}/abs", "/x"),)),
        Container("a:1", options=("-v", f"{tmp_path}/abs:/x")),
    ):
        with pytest.raises(EvaluationError, match="is the whole machine"):
            task_of(box, workspace)
    (workspace / "in").symlink_to(workspace)
    assert given(Container("a:1", volumes=(Volume("./in/a", "/x"),)), workspace).volumes == (
        Volume(f"{workspace}/a", "/x"),
    )


def test_a_home_is_that_of_the_caller(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    made = given(Container("a:1", volumes=(Volume("~", "/h"), Volume("~/.m2", "/m"))))
    assert [volume.source for volume in made.volumes] == [str(tmp_path), f"{tmp_path}/.m2"]


def test_a_project_that_is_the_whole_machine_is_refused_too():
    with pytest.raises(EvaluationError, match="the project's root, which the container sees, is the whole machine"):
        task_of(Container("a:1"), "/")
    assert given(Container("a:1"), "/", allow_privileged=True).image == "a:1"


def test_who_starts_the_run_can_allow_it():
    box = Container("a:1", options=("{{ params.evil }}", "-v/:/m"), volumes=(Volume("/run/docker.sock", "/s"),))
    made = given(box, allow_privileged=True)
    assert made.options == ("--privileged", "-v/:/m")
    with pytest.raises(EvaluationError, match="can not be set"):
        task_of(Container("a:1", options=("--name=x",)), allow_privileged=True)


def test_other_steps_have_none():
    step = Step(id="a", run="x")
    plan = Pipeline(name="p", file="p.yaml", steps=(step,))
    started = RunStarted(seq=1, at=0.0, run="r", plan=plan, max_parallel=1, workspace="/w")
    task = Dispatch({}, {}).task(RunState(started), step, 1, None)
    assert (task.kind, task.container) == ("shell", None)
