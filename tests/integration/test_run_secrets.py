"""A step that shows its secrets in every way it can, and the search for them everywhere: what is stored, printed, listed by the system, and left."""

import os
import signal
import sys
from pathlib import Path

import pytest
from running_dagnats import EVENTS, Running, check_journal, dagnats, processes_of, run_directory, write_pipeline

from dagnats import proctree
from dagnats.workers.forms import forms_of

GONE_WITHIN_S = 5.0
TOKEN = 'p@ss/w0rd+"quoted" it\'s $HOME'
KEY = "-----BEGIN KEY-----\n" + "".join(f"{n}aBcDeFgHiJkLmNoPqRsTuVwXyZ{n}\n" for n in range(4)) + "-----END KEY-----\n"
DERIVED = "derived-by-a-command"
MARK = "what is searched is here"

LOUD = r"""
import base64, json, os, shlex, sys, urllib.parse
token, key = os.environ["TOKEN"], os.environ["KEY"]
for stream in (sys.stdout, sys.stderr):
    for secret in (token, key, os.environ["DERIVED"], token.upper()):
        raw = secret.encode()
        for before in ("", "u:", "user"):
            print(base64.b64encode((before + secret).encode()).decode(), file=stream)
        print(base64.urlsafe_b64encode(raw).decode(), base64.encodebytes(raw).decode(), file=stream)
        print(raw.hex(), raw.hex().upper(), repr(secret), json.dumps({"secret": secret}), file=stream)
        print(urllib.parse.quote(secret, ""), urllib.parse.quote_plus(secret), shlex.quote(secret), file=stream)
        print(secret, file=stream)
        for character in secret:
            print(character, end="", flush=True, file=stream)
        print("what is searched is here", file=stream)
with open(os.environ["DAGNATS_OUTPUT"], "a") as file:
    file.write(f"token={token}\nlist={json.dumps([key, 1])}\nhex={token.encode().hex()}\n")
"""

PIPELINE = """
name: loud
secrets:
  TOKEN: env://LOUD_TOKEN
  KEY: file://OUTSIDE/key
  DERIVED: cmd://cat "OUTSIDE/derived"
steps:
  - id: loud
    env:
      TOKEN: "{{ secrets.TOKEN }}"
      UPPER: "{{ secrets.TOKEN | upper }}"
      KEY: "{{ secrets.KEY }}"
      DERIVED: "{{ secrets.DERIVED }}"
    outputs: {list: {type: json}}
    command: ["PYTHON", loud.py]
  - id: traced
    run: |
      set -x
      : "{{ secrets.TOKEN }}"
      export TOKEN="{{ secrets.TOKEN }}"; export -p | grep TOKEN
      echo "{{ steps.loud.outputs.token }}"
"""
FAILS = """
  - id: fails
    run: echo "bad {{ secrets.TOKEN }}" >> "$DAGNATS_OUTPUT"
"""
WAITS = """
  - id: waits
    env: {TOKEN: "{{ secrets.TOKEN }}"}
    run: |
      echo "$TOKEN and $TOKEN"
      echo "token=$TOKEN" >> "$DAGNATS_OUTPUT"
      echo "waits here"
      exec sleep 600
"""


@pytest.fixture
def project(tmp_path):
    """A project whose secrets lie outside of all that is searched."""
    workspace, outside = tmp_path / "project", tmp_path / "outside"
    for folder in (workspace, outside, tmp_path / "tmp"):
        folder.mkdir()
    (outside / "key").write_text(KEY)
    (outside / "derived").write_text(DERIVED + "\n")
    (workspace / "loud.py").write_text(LOUD)
    return workspace


def write(workspace: Path, more: str = "") -> None:
    text = PIPELINE.replace("OUTSIDE", str(workspace.parent / "outside")).replace("PYTHON", sys.executable)
    write_pipeline(workspace, text + more)


def environment(workspace: Path) -> dict[str, str]:
    return {"LOUD_TOKEN": TOKEN, "TMPDIR": str(workspace.parent / "tmp")}


def forms() -> frozenset[bytes]:
    return forms_of([TOKEN, TOKEN.upper(), KEY, DERIVED])


def shown_in(data: bytes) -> list[bytes]:
    return [form for form in forms() if form in data]


def search(workspace: Path, printed: str) -> None:
    """Look at every byte of every file, and at what was printed; the mark shows that output is among it."""
    assert shown_in(printed.encode()) == []
    assert printed.count("***") > 10
    marked = 0
    for folder in (workspace, workspace.parent / "tmp"):
        for path in folder.rglob("*"):
            if path.is_file() and path.name != "loud.py":
                content = path.read_bytes()
                marked += MARK.encode() in content
                assert (path, shown_in(content)) == (path, [])
                assert (path, shown_in(os.fsencode(path))) == (path, [])
    assert marked, "no output was found where it should be"


def search_processes(step: str) -> None:
    """Look at what the system shows of every process to every other; the step itself has what it was given."""
    own = set()
    for pid in proctree.processes():
        environ, command = _proc(pid, "environ"), _proc(pid, "cmdline")
        assert (command, shown_in(command)) == (command, [])
        if f"DAGNATS_STEP={step}".encode() in environ.split(b"\0"):
            own.add(pid)
            assert shown_in(environ)
        else:
            assert (command, shown_in(environ)) == (command, [])
    assert own, "the step was not found"


def _proc(pid: int, name: str) -> bytes:
    try:
        return Path(f"/proc/{pid}/{name}").read_bytes()
    except OSError:
        return b""


@pytest.mark.parametrize("options", [(), ("--output", "json"), ("-v",), ("-q",)], ids=" ".join)
def test_nothing_shows_after_success(project, options):
    write(project)
    result = dagnats(["run", "pipeline.yaml", "--events", EVENTS, *options], project, environment(project))
    assert result.code == 0, result.text
    if "-q" not in options:
        search(project, result.text)
    state = check_journal(project)
    assert state.steps["loud"].outputs == {"token": "***", "list": ["***", 1], "hex": "***"}
    assert "held a secret" in result.text or "-q" in options


def test_nothing_shows_after_failure(project):
    write(project, FAILS)
    result = dagnats(["run", "pipeline.yaml", "--events", EVENTS], project, environment(project))
    assert result.code == 1, result.text
    assert "got 'bad ***'" in result.text
    search(project, result.text)
    check_journal(project)


def test_nothing_shows_while_it_runs_nor_after_cancel(project):
    write(project, WAITS)
    with Running(project, env=environment(project)) as run:
        run.wait_for("waits here")
        search_processes("waits")
        run.signal(signal.SIGINT)
        result = run.end()
        assert result.code == 130, result.text
    search(project, result.text)
    check_journal(project)
    assert processes_of(project) == {}


def test_nothing_shows_after_the_runner_was_killed(project):
    write(project, WAITS)
    with Running(project, env=environment(project)) as run:
        run.wait_for("waits here")
        family = run.family()
        run.signal(signal.SIGKILL)
        assert family.alive_after(GONE_WITHIN_S) == []
        result = run.end()
    search(project, result.text)
    assert run_directory(project).stat().st_mode & 0o077 == 0
    assert not (run_directory(project) / "tmp").exists()


def test_a_step_and_a_var_get_only_the_secrets_that_are_named(project):
    write_pipeline(
        project,
        "name: named\nsecrets: {TOKEN: env://LOUD_TOKEN}\n"
        'vars: {seen: {sh: "echo ${LOUD_TOKEN-nothing}"}}\n'
        'steps:\n  - run: echo "{{ vars.seen }} and ${LOUD_TOKEN-nothing} and ${OTHER-nothing}"\n',
    )
    result = dagnats(["run", "pipeline.yaml"], project, environment(project) | {"OTHER": "other"})
    assert result.code == 0, result.text
    assert "nothing and nothing and other" in result.text


def test_values_from_a_file_come_first(project):
    file = project.parent / "secrets.yaml"
    file.touch(mode=0o600)
    file.write_text(f"TOKEN: from-the-file\nDERIVED: {DERIVED}\nKEY: key-of-the-file\n")
    write(project, '  - run: test "{{ secrets.TOKEN }}" = from-the-"file" && echo "it is {{ secrets.TOKEN }}"\n')
    args = ["run", "pipeline.yaml"]
    result = dagnats([*args, "--secrets-file", str(file)], project)
    assert result.code == 0, result.text
    assert "it is ***" in result.text
    result = dagnats(args, project, {"DAGNATS_SECRETS_FILE": str(file)})
    assert result.code == 0, result.text
    file.chmod(0o644)
    result = dagnats([*args, "--secrets-file", str(file)], project)
    assert result.code == 2
    assert "others than its owner may use it (mode 0644)" in result.text


def test_no_part_of_a_secret_is_left_where_a_summary_is_cut(tmp_path):
    """What is read of it ends within a secret, and is shorter than what is kept once all before that is hidden."""
    secret = "".join(f"{number:05}" for number in range(600))
    write_pipeline(
        tmp_path,
        "name: p\nsecrets: {K: env://K}\nsteps:\n  - env: {K: '{{ secrets.K }}'}\n"
        '    run: for i in $(seq 200); do echo "$K"; done > "$DAGNATS_SUMMARY"\n',
    )
    result = dagnats(["run", "pipeline.yaml", "--summary", "page.md", "--events", "e.jsonl"], tmp_path, {"K": secret})
    assert result.code == 0, result.text
    page = (tmp_path / "page.md").read_text()
    assert "***" in page
    for text in (page, (tmp_path / "e.jsonl").read_text()):
        assert not any(secret[at : at + 20] in text for at in range(0, len(secret), 20))
