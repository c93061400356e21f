"""Services beside the steps of a run, on each runtime: reached, waited for, and gone afterwards, whatever happens."""

import os
import signal
import socket
from dataclasses import dataclass
from pathlib import Path

import pytest
from running_containers import NAMES, Engine, engine
from running_dagnats import EVENTS, Result, Running, check_journal, dagnats, run_directory, statuses, write_pipeline

from dagnats import proctree
from dagnats.core.events import Reason
from dagnats.core.state import RunState

BOUND_S = 90.0
SECRET = "a-secret-of-27-characters"
NOTHING = {"containers": [], "processes": []}


@dataclass(frozen=True)
class Place:
    """A runtime, and a project for one run on it. Where the runtime has no network of its own, services have that of the machine."""

    used: Engine
    project: Path
    port: int

    @property
    def env(self) -> dict[str, str]:
        given = {key: value for key, value in self.used.env.items() if key.startswith(("DOCKER_", "CONTAINER"))}
        return given | {"DAGNATS_CONTAINER_RUNTIME": self.used.name}

    @property
    def run_name(self) -> str:
        return run_directory(self.project).name

    def write(self, text: str) -> None:
        network = "network: host" if self.used.name == "docker" else "network: default"
        text = text.replace("IMAGE", f"image: {self.used.image}, pull: never")
        text = text.replace("NETWORK", network).replace("SHARED", 'volumes: [".:/p"]')
        write_pipeline(self.project, "name: x\n" + text.replace("PORT0", str(self.port)))

    def run(self, text: str, *args: str, code: int = 0, **env: str) -> Result:
        """Run a pipeline to its end; nothing is left."""
        self.write(text)
        words = ["run", "--events", EVENTS, "--output", "prefixed", *args]
        result = dagnats(words, self.project, self.env | env, timeout_s=BOUND_S)
        assert result.code == code, result.text
        assert self.used.left(self.run_name) == NOTHING
        return result

    def state(self) -> RunState:
        return check_journal(self.project)

    def starts(self) -> int:
        """How often the service of `WEB` was started."""
        file = self.project / "starts"
        return len(file.read_text().splitlines()) if file.exists() else 0


def free_port() -> int:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        return bound.getsockname()[1]


@pytest.fixture(params=NAMES)
def place(request, tmp_path) -> Place:
    project = tmp_path / "project"
    project.mkdir()
    return Place(engine(request.param), project, free_port())


WEB = """
services:
  web:
    {IMAGE, NETWORK, SHARED, ports: [PORT0], command: [sh, -c, "echo x >> /p/starts; mkdir -p /w; echo hello > /w/a; exec httpd -f -p PORT0 -h /w"]}
""".replace("\n    {", " {")
ASK = "python3 -c \"import os, urllib.request as u; print(u.urlopen('http://%s:%s/a' % (os.environ['WEB_HOST'], os.environ['WEB_PORT'])).read().decode())\""
ASK_INSIDE = 'wget -q -O - "http://$WEB_HOST:$WEB_PORT/a"'


def test_it_is_reached_from_a_step_on_the_machine_and_from_one_in_a_container(place):
    result = place.run(
        f"""{WEB}
steps:
  - {{id: machine, needs: [], run: {ASK!r}}}
  - {{id: box, needs: [], container: {{IMAGE}}, run: '{ASK_INSIDE}'}}
  - id: after
    needs: [machine, box]
    matrix: {{n: [1, 2, 3]}}
    run: test -n "$WEB_PORT"
finally:
  - {{id: last, run: {ASK!r}}}
""".replace("\\'", "''")
    )
    assert result.text.count("| hello\n") == 3
    assert place.starts() == 1
    assert set(statuses(place.state()).values()) == {"succeeded"}


def test_services_reach_each_other_and_are_reached_by_name(place):
    if place.used.name == "docker":
        first, second = place.port, free_port()
    else:
        first, second = 8080, 8081
    serve = "mkdir -p /w; echo {} > /w/a; exec httpd -f -p {} -h /w"
    result = place.run(f"""
services:
  my-web: {{IMAGE, NETWORK, ports: [{first}], command: [sh, -c, "{serve.format("one", first)}"]}}
  other:
    image: {place.used.image}
    pull: never
    NETWORK
    ports: [{second}]
    command: [sh, -c, "until wget -q -O - http://127.0.0.1:{first}/a; do sleep 0.1; done; {serve.format("two", second)}"]
    ready: {{http: {second}/a}}
steps:
  - id: box
    container: {{IMAGE}}
    run: |
      wget -q -O - "http://$MY_WEB_HOST:$MY_WEB_PORT/a"
      wget -q -O - "http://$OTHER_HOST:$OTHER_PORT/a"
  - id: one
    services: [other]
    run: echo "${{MY_WEB_PORT-none}} and ${{OTHER_PORT+other}}"
""")
    assert "box | one\n" in result.text
    assert "box | two\n" in result.text
    assert "one | none and other\n" in result.text


def test_it_is_not_started_where_no_step_waits(place):
    result = place.run(f"""{WEB}
  idle: {{IMAGE, NETWORK, SHARED, command: [sh, -c, "echo x >> /p/idles; exec sleep 60"]}}
steps:
  - {{id: without, services: [], run: 'echo "${{WEB_PORT-unset}}"'}}
  - {{id: skipped, if: "1 == 2", services: [web], run: echo never}}
""")
    assert "unset" in result.text
    assert place.starts() == 0
    assert not (place.project / "idles").exists()


def test_a_step_that_is_tried_again_has_the_same(place):
    place.run(
        f"""{WEB}
steps:
  - {{id: a, retry: 3, run: 'echo x >> tries; test "$(wc -l < tries)" -eq 3'}}
""".replace("retry: 3", "retry: {max_attempts: 3}")
    )
    assert place.starts() == 1
    assert place.state().steps["a"].attempt == 3


@pytest.mark.parametrize(
    ("ready", "command"),
    [
        ("tcp: PORT0", "sleep 0.3; mkdir -p /w; exec httpd -f -p PORT0 -h /w"),
        ("http: /a", "mkdir -p /w; (sleep 0.5; echo > /w/a) & exec httpd -f -p PORT0 -h /w"),
        ("cmd: test -e /made", "sleep 0.3; touch /made; exec sleep 60"),
        ("cmd: [test, -e, /made]", "sleep 0.3; touch /made; exec sleep 60"),
        ("log: it is ready", "sleep 0.3; echo so it is ready now; exec sleep 60"),
    ],
)
def test_each_way_of_being_ready(place, ready, command):
    place.run(f"""
services:
  web: {{IMAGE, NETWORK, ports: [PORT0], command: [sh, -c, "echo begun; {command}"], ready: {{{ready}, timeout: 30s}}}}
steps: [{{id: a, run: echo used}}]
""")
    assert statuses(place.state()) == {"a": "succeeded"}


@pytest.mark.parametrize("ready", ["tcp: PORT0", "http: /a", "cmd: test -e /made", "log: it is ready"])
def test_each_way_of_never_being_ready(place, ready):
    result = place.run(
        f"""
services:
  web: {{IMAGE, NETWORK, ports: [PORT0], command: [sh, -c, "echo begun; exec sleep 60"], ready: {{{ready}, timeout: 2s}}}}
steps: [{{id: a, run: echo used}}]
finally: [{{id: last, services: [], run: echo after}}]
""",
        code=1,
    )
    assert "a | used" not in result.text
    assert "service web was not ready within 2s" in result.text
    assert "    begun\n" in result.text
    failed = place.state().steps["a"].failure
    assert failed.reason == Reason.SERVICE


def test_it_ends_while_steps_use_it(place):
    result = place.run(
        """
services:
  web: {IMAGE, NETWORK, SHARED, command: [sh, -c, "echo ready; until test -e /p/used; do sleep 0.1; done; echo dying >&2; exit 7"], ready: {log: ready}}
steps:
  - {id: uses, needs: [], run: touch used; exec sleep 60}
  - {id: not, needs: [], services: [], run: 'until test -e used; do sleep 0.1; done; echo fine'}
  - {id: late, needs: [uses], if: always(), run: echo late}
""",
        code=1,
    )
    assert "service web has ended: exit code 7" in result.text
    assert "    dying\n" in result.text
    assert "late | late" not in result.text
    assert statuses(place.state()) == {"uses": "failed", "not": "succeeded", "late": "failed"}
    assert result.took_s < BOUND_S / 2


def test_it_ends_while_a_step_shares_its_network(place):
    result = place.run(
        """
services:
  web: {IMAGE, NETWORK, SHARED, command: [sh, -c, "echo ready; until test -e /p/used; do sleep 0.1; done; exit 7"], ready: {log: ready}}
steps: [{id: a, container: {IMAGE}, run: touch used; exec sleep 60}]
""",
        code=1,
    )
    assert "✗ a  service web has ended: exit code 7" in result.text
    assert result.took_s < 30.0  # so long a removal is tried again, and a step would run on


def test_with_the_first_one_ends_the_network_of_all(tmp_path):
    place = Place(engine("podman"), tmp_path, free_port())
    result = place.run(
        """
services:
  first: {IMAGE, SHARED, command: [sh, -c, "echo ready; until test -e /p/used; do sleep 0.1; done; exit 7"], ready: {log: ready}}
  second: {IMAGE, command: [sh, -c, "exec sleep 60"]}
steps:
  - {id: a, services: [second], run: touch used; exec sleep 60}
  - {id: b, needs: [], services: [first], run: exec sleep 60}
""",
        code=1,
    )
    assert result.text.count("✗ a  service first has ended: exit code 7") > 0
    assert statuses(place.state()) == {"a": "failed", "b": "failed"}


def test_it_ends_before_it_is_ready(place):
    result = place.run(
        """
services:
  web: {IMAGE, NETWORK, command: [sh, -c, "echo can not begin; exit 3"], ready: {log: never}}
steps: [{id: a, run: echo used}]
""",
        code=1,
    )
    assert "service web has ended: exit code 3" in result.text
    assert "    can not begin\n" in result.text
    assert result.took_s < BOUND_S / 2


def test_its_image_is_missing(place):
    result = place.run(
        """
services:
  web: {image: "localhost/no-such-image:1", pull: never, NETWORK}
steps: [{id: a, run: echo used}]
""",
        code=1,
    )
    assert "service web has ended: " in result.text
    assert "no-such-image" in result.text


def test_a_secret_of_it_is_shown_nowhere(place):
    place.write("""
secrets: {PW: env://PW}
services:
  web: {IMAGE, NETWORK, SHARED, env: {PASSWORD: "{{ secrets.PW }}"}, command: [sh, -c, "echo has $PASSWORD; until test -e /p/go; do sleep 0.1; done; exit 1"], ready: {log: has}}
steps: [{id: a, run: echo up; exec sleep 60}]
""")
    with Running(place.project, "--output", "prefixed", env=place.env | {"PW": SECRET}) as running:
        running.wait_for("a | up")
        lines = [read(pid) for pid in proctree.processes()]
        names = place.used.ask("ps", "--format", "{{.Names}}").split()
        told = place.used.ask("inspect", *(name for name in names if place.run_name in name))
        (place.project / "go").touch()
        result = running.end(BOUND_S)
    assert result.code == 1
    assert "    has ***\n" in result.text
    assert place.run_name in told
    assert SECRET not in result.text + told
    assert not any(SECRET in line for line in lines)
    assert place.used.left(place.run_name) == NOTHING


def read(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace")
    except OSError:
        return ""


NEVER = """
services:
  web: {IMAGE, NETWORK, SHARED, command: [sh, -c, "touch /p/begun; exec sleep 60"], ready: {log: never}}
steps:
  - {id: other, needs: [], services: [], run: 'until test -e begun; do sleep 0.1; done; echo waiting'}
  - {id: a, needs: [], run: echo used}
"""


def test_a_run_is_cancelled_while_it_waits(place):
    place.write(NEVER)
    with Running(place.project, "--output", "prefixed", env=place.env) as running:
        running.wait_for("other | waiting", within_s=BOUND_S)
        running.signal(signal.SIGINT)
        result = running.end(BOUND_S)
    assert result.code == 130
    assert statuses(place.state())["a"] == "cancelled"
    assert place.used.left(place.run_name) == NOTHING


def test_nothing_is_left_of_a_runner_that_is_killed(place):
    place.write(f"{WEB}\nsteps: [{{id: a, run: echo up; exec sleep 60}}]")
    with Running(place.project, "--output", "prefixed", env=place.env) as running:
        running.wait_for("a | up", within_s=BOUND_S)
        family = running.family()
        os.kill(running.process.pid, signal.SIGKILL)
        assert family.alive_after(BOUND_S) == []
    assert place.used.left(place.run_name) == NOTHING


def test_a_pipeline_of_a_step_has_its_own(place):
    place.write(f"{WEB}\nsteps: [{{id: a, run: {ASK!r}}}]".replace("\\'", "''"))
    (place.project / "pipeline.yaml").rename(place.project / "inner.yaml")
    result = place.run("""
steps:
  - {id: inner, pipeline: inner.yaml}
  - {id: b, run: 'echo "${WEB_PORT-unset}"'}
""")
    assert "inner/a | hello\n" in result.text
    assert "unset" in result.text
    assert place.starts() == 1


def test_one_that_would_have_the_machine_is_refused(place):
    place.write("services: {web: {IMAGE, options: [--privileged]}}\nsteps: [{run: echo used}]")
    result = dagnats(["run", "pipeline.yaml"], place.project, place.env)
    assert result.code == 2
    assert "pipeline.yaml: service `web`: `--privileged` gives the container all rights" in result.text
    assert "start it with --allow-privileged" in result.text
    checked = dagnats(["validate", "pipeline.yaml"], place.project, place.env)
    assert checked.code == 0
    assert "service `web`" in checked.text
    assert "needs --allow-privileged" in checked.text
