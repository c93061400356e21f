"""A run is taken to another machine in one file; and files that are no such bundle, whoever made them, change nothing."""

import gzip
import hashlib
import io
import json
import os
import resource
import shutil
import subprocess
import tarfile
from pathlib import Path

import pytest
from running_dagnats import DAGNATS, EVENTS, Running, dagnats, environment, run_directory, write_pipeline

from dagnats.bundle import form
from dagnats.bundle.form import Frame, Manifest, Part, frame_bytes, frames, manifest_bytes, manifest_from
from dagnats.core.codec import commit_hash, encode_commit
from dagnats.core.events import Outcome, RunFinished, RunStarted, StepScheduled
from dagnats.core.pipeline import Pipeline, Step

PIPELINE = """
name: whole
secrets: {KEY: env://THE_KEY}
params: {long: LONG}
steps:
  - id: build
    env: {KEY: "{{ secrets.KEY }}"}
    run: |
      mkdir -p dist; head -c 2000000 /dev/urandom > dist/large; echo "$KEY and {{ params.long | length }}"
      echo "on stderr" >&2
    artifacts: dist
  - id: each
    matrix: {n: [1, 2]}
    run: echo "of {{ matrix.n }}" | tee "each-{{ matrix.n }}"
    artifacts: {paths: "each-{{ matrix.n }}", name: both}
  - id: fails
    run: echo "it fails"; exit 3
"""


@pytest.fixture(scope="module")
def project(tmp_path_factory) -> Path:
    """A project with a run that has failed, whose journal does not fit into messages, and its bundle."""
    place = tmp_path_factory.mktemp("project")
    write_pipeline(place, PIPELINE.replace("LONG", '"' + "x" * 700_000 + '"'))
    ran = dagnats(["run", "--events", EVENTS], place, {"THE_KEY": "hunter2-hunter2"})
    assert ran.code == 1, ran.text
    bundled = dagnats(["bundle", "-o", "run.tgz"], place)
    assert bundled.code == 0, bundled.text
    return place


def elsewhere(tmp_path: Path) -> Path:
    there = tmp_path / "there"
    there.mkdir()
    (there / "pipeline.yaml").write_text("name: other\nsteps: [{run: 'true'}]\n")
    return there


def opened(there: Path, file: Path, code: int = 0) -> str:
    result = dagnats(["open", str(file)], there)
    assert result.code == code, result.text
    assert "Traceback" not in result.text
    return result.text


def refused(there: Path, file: Path, code: int = 2) -> str:
    before = sorted(path.name for path in there.rglob("*"))
    said = opened(there, file, code)
    assert sorted(path.name for path in there.rglob("*")) == before, "something was changed"
    return said


def test_a_run_is_the_same_elsewhere(project, tmp_path):
    there = elsewhere(tmp_path)
    name = run_directory(project).name
    assert opened(there, project / "run.tgz").startswith(f"run {name} is here now")
    for command in (
        ["report"],
        ["report", "--junit", "-"],
        ["report", "--html", "-"],
        ["artifacts"],
        ["logs"],
        ["logs", name, "build"],
        ["events"],
        ["replay", "--output", "prefixed"],
        ["replay", "--output", "json"],
        ["show"],
        ["why", name, "fails"],
        ["graph", name],
        ["artifacts", name, "each"],
    ):
        here = dagnats(command, project)
        assert dagnats(command, there).text == here.text
        assert here.code == 0, here.text
    assert dagnats(["artifacts", "-o", "back", name, "build"], there).code == 0
    assert (there / "back/dist/large").read_bytes() == (project / "dist/large").read_bytes()
    assert dagnats(["artifacts", "-o", "each", "--name", "both"], there).code == 0
    assert (there / "each/each[n=2]/each-2").read_text() == "of 2\n"
    again = dagnats(["bundle", "-o", "again.tgz"], there)
    assert again.code == 0, again.text
    assert (there / "again.tgz").read_bytes() == (project / "run.tgz").read_bytes()
    assert "is here already" in opened(there, project / "run.tgz")
    assert [path.name for path in (there / ".dagnats/runs").iterdir()] == [name]


def test_nothing_of_the_server_and_no_secret_is_in_it(project):
    directory = run_directory(project)
    conf = (directory / "nats.conf").read_text()
    token = conf.split('token: "')[1].split('"')[0]
    whole = gzip.decompress((project / "run.tgz").read_bytes())
    for word in (token, "hunter2", "store_dir", str(directory)):
        assert word.encode() not in whole
    with tarfile.open(project / "run.tgz") as tar:
        names = tar.getnames()
        assert names[0] == form.MANIFEST
        assert all(info.isreg() and (info.uid, info.gid, info.mtime, info.uname) == (0, 0, 0, "") for info in tar)
    assert (project / "run.tgz").stat().st_mode & 0o777 == 0o600


def test_a_name_that_another_run_has(project, tmp_path):
    there = elsewhere(tmp_path)
    name = run_directory(project).name
    assert dagnats(["run", "--output", "none"], there).code == 0
    run_directory(there).rename(there / ".dagnats/runs" / name)
    said = opened(there, project / "run.tgz")
    assert said.startswith(f"run {name}~2 is here now (another one is called {name})")
    assert dagnats(["report", f"{name}~2"], there).text == dagnats(["report"], project).text
    assert dagnats(["report", name], there).code == 5  # its journal is of a run with another name
    listed = dagnats(["runs"], there).text
    assert f"{name}~2" in listed
    assert "is here already" in opened(there, project / "run.tgz")
    nothing = dagnats(["report", "no-such-run"], there)
    assert f"{name}~2" in nothing.text


@pytest.mark.parametrize("is_taken", [False, True])
def test_a_run_of_elsewhere_is_rerun(tmp_path, is_taken):
    here, there = tmp_path / "here", elsewhere(tmp_path)
    here.mkdir()
    write_pipeline(here, PIPELINE.replace("LONG", "short"))
    env = {"THE_KEY": "hunter2-hunter2"}
    assert dagnats(["run"], here, env).code == 1
    name = run_directory(here).name
    assert dagnats(["bundle", "-o", "run.tgz"], here).code == 0
    write_pipeline(there, (here / "pipeline.yaml").read_text().replace("exit 3", "ls each-1 dist"))
    if is_taken:
        (there / ".dagnats/runs" / name).mkdir(parents=True)
    opened(there, here / "run.tgz")
    rerun = dagnats(["rerun", name + "~2" * is_taken, "--failed"], there, env)
    assert rerun.code == 0, rerun.text
    assert (there / "dist/large").read_bytes() == (here / "dist/large").read_bytes()
    assert (there / "each-2").read_text() == "of 2\n"
    again = dagnats(["bundle", "-o", "again.tgz"], there)
    assert again.code == 0, again.text
    manifest, data = parts_of(there / "again.tgz")
    assert manifest.run != name
    assert len(data) == 2 + 3  # with the artifacts that were taken over


def test_a_file_is_written_whole_or_not_at_all(project, tmp_path):
    name = run_directory(project).name
    there = tmp_path / "x.tgz"
    assert dagnats(["bundle", name, "-o", str(there)], project).code == 0
    assert dagnats(["bundle", "-o", str(there)], project).code == 2
    there.write_text("old")
    assert "is there already" in dagnats(["bundle", "-o", str(there)], project).text
    assert there.read_text() == "old"
    assert dagnats(["bundle", "-o", str(there), "--force"], project).code == 0
    assert there.read_bytes() == (project / "run.tgz").read_bytes()
    assert dagnats(["bundle", "-o", str(tmp_path)], project).code == 2
    assert dagnats(["bundle", "-o", str(tmp_path / "no/x")], project).code == 3
    done = subprocess.run(
        [DAGNATS, "bundle", "-o", "-"], cwd=project, env=environment(), capture_output=True, check=True
    )
    assert done.stdout == there.read_bytes()
    assert [path.name for path in tmp_path.iterdir()] == ["x.tgz"]


def test_a_live_run_is_a_prefix(tmp_path):
    write_pipeline(
        tmp_path, "name: x\nsteps: [{id: a, run: echo 1 > f, artifacts: f}, {id: b, run: echo up; sleep 60}]\n"
    )
    with Running(tmp_path) as running:
        running.wait_for("up")
        bundled = dagnats(["bundle", "-o", "live.tgz"], tmp_path)
        assert bundled.code == 0, bundled.text
    there = elsewhere(tmp_path)
    opened(there, tmp_path / "live.tgz")
    assert "did not end" in dagnats(["report"], there).text
    assert dagnats(["artifacts", "-o", "."], there).code == 0
    assert (there / "f").read_text() == "1\n"
    resumed = dagnats(["resume"], there)
    assert resumed.code == 2
    assert "was opened from live.tgz" in resumed.text
    run = next((there / ".dagnats" / "runs").iterdir()).name
    assert f"dagnats rerun {run} --failed" in dagnats(["runs"], there).text
    assert f"`dagnats rerun {run} --failed` runs it again here" in dagnats(["attach"], there).text


def parts_of(file: Path) -> tuple[Manifest, dict[str, bytes]]:
    with tarfile.open(file) as tar:
        data = {info.name: tar.extractfile(info).read() for info in tar}
    return manifest_from(data.pop(form.MANIFEST)), data


def tarred(*members: tuple[str | tarfile.TarInfo, bytes]) -> bytes:
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w:gz") as tar:
        for name, data in members:
            info = tarfile.TarInfo(name) if isinstance(name, str) else name
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return made.getvalue()


def digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def described(run: str, history: bytes, output: bytes, *objects: bytes, commits: int, last: str) -> bytes:
    """Write a bundle by hand, whose manifest is right about its parts."""
    named = [(form.OBJECT + digest(one), one) for one in objects]
    members = [(form.HISTORY, history), (form.OUTPUT, output), *named]
    parts = tuple(Part(name, len(data), digest(data)) for name, data in members)
    manifest = Manifest(form.KIND, form.VERSION, run, "0.1.0", commits, last, 0, parts)
    return tarred((form.MANIFEST, manifest_bytes(manifest)), *members)


def journal(*events, run: str = "bad-bee-1") -> tuple[bytes, str]:
    commit = encode_commit(run, "", events)
    return frame_bytes(Frame(commit)), commit_hash(commit)


def started(run: str = "bad-bee-1", **fields) -> RunStarted:
    plan = Pipeline(name="p", file="p.yaml", steps=(Step(id="a", run="true"),))
    return RunStarted(**{"seq": 1, "at": 1.0, "run": run, "plan": plan, "max_parallel": 1, "workspace": "/w"} | fields)


def write(tmp_path: Path, data: bytes) -> Path:
    file = tmp_path / "bad.tgz"
    file.write_bytes(data)
    return file


def special(kind: bytes, name: str = form.MANIFEST, target: str = "/etc/passwd") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info


NO_BUNDLES = {
    "nothing": b"",
    "text": b"no bundle",
    "nothing packed": gzip.compress(b""),
    "text packed": gzip.compress(b"no tar" * 500),
    "another tar": tarred(("other", b"x")),
    "no manifest": tarred((form.MANIFEST, b"{}")),
    "link": tarred((special(tarfile.SYMTYPE), b"")),
    "device": tarred((special(tarfile.CHRTYPE), b"")),
    "hard link": tarred((special(tarfile.LNKTYPE), b"")),
    "long name": tarred((special(tarfile.GNUTYPE_LONGNAME), b"x" * 5000)),
}


@pytest.mark.parametrize("name", NO_BUNDLES)
def test_what_is_no_bundle(tmp_path, name):
    said = refused(elsewhere(tmp_path), write(tmp_path, NO_BUNDLES[name]))
    assert "is no bundle of a run" in said
    assert said.endswith("; nothing was changed\n")


def test_what_is_no_file(tmp_path):
    there = elsewhere(tmp_path)
    os.mkfifo(tmp_path / "pipe")
    assert "no file" in refused(there, tmp_path / "pipe")
    assert "no file" in refused(there, tmp_path)
    assert "No such file" in refused(there, tmp_path / "nothing")


def test_a_bundle_that_is_cut_anywhere(project, tmp_path):
    there, data = elsewhere(tmp_path), (project / "run.tgz").read_bytes()
    for part in (0.001, 0.1, 0.5, 0.99):
        refused(there, write(tmp_path, data[: int(len(data) * part)]))


def test_a_bundle_in_which_something_was_changed(project, tmp_path):
    there = elsewhere(tmp_path)
    manifest, data = parts_of(project / "run.tgz")
    whole = [(form.MANIFEST, manifest_bytes(manifest)), *data.items()]
    for place in range(1, len(whole)):
        name, content = whole[place]
        altered = [*whole]
        altered[place] = (name, content[:-1] + bytes([content[-1] ^ 1]))
        refused(there, write(tmp_path, tarred(*altered)), code=5 if name == form.HISTORY else 2)
        assert "is missing, or is not what" in refused(
            there, write(tmp_path, tarred(*whole[:place], *whole[place + 1 :]))
        )
        hostile = [*whole[:place], (special(tarfile.SYMTYPE, name), b""), *whole[place + 1 :]]
        refused(there, write(tmp_path, tarred(*hostile)))
    twice = [*whole[:2], *whole[1:]]
    assert "is missing, or is not what" in refused(there, write(tmp_path, tarred(*twice)))


def test_a_newer_version(project, tmp_path):
    manifest, data = parts_of(project / "run.tgz")
    newer = json.dumps({**json.loads(manifest_bytes(manifest)), "version": 2, "more": True}).encode()
    said = refused(elsewhere(tmp_path), write(tmp_path, tarred((form.MANIFEST, newer), *data.items())))
    assert "use a newer dagnats" in said


def test_a_journal_whose_chain_is_broken(project, tmp_path):
    there = elsewhere(tmp_path)
    manifest, data = parts_of(project / "run.tgz")
    needed = [data[part.name] for part in manifest.parts[: manifest.objects]]
    assert needed, "the journal shall need an object"
    commits = list(frames(io.BytesIO(data[form.HISTORY])))
    broken = b"".join(map(frame_bytes, [*commits[:1], *commits[2:]]))
    parts = tuple(
        Part(part.name, len(broken), digest(broken)) if part.name == form.HISTORY else part for part in manifest.parts
    )
    fields = {name: getattr(manifest, name) for name in ("kind", "version", "run", "dagnats", "last", "objects")}
    made = Manifest(**fields, commits=manifest.commits - 1, parts=parts)
    members = ((part.name, broken if part.name == form.HISTORY else data[part.name]) for part in parts)
    said = refused(there, write(tmp_path, tarred((form.MANIFEST, manifest_bytes(made)), *members)), code=5)
    assert "bad.tgz: commit 2 of run" in said
    assert "does not follow on the commit before it" in said


def test_journals_that_no_run_writes(tmp_path):
    there = elsewhere(tmp_path)
    end = RunFinished(seq=2, at=2.0, outcome=Outcome.SUCCEEDED)
    for events, said in (
        ([StepScheduled(seq=1, at=1.0, step="a", attempt=1)], "does not begin with"),
        ([started(run="other-run-1")], "does not begin with"),
        ([started(seq=2)], "does not begin with"),
        ([started(), RunFinished(seq=3, at=2.0, outcome=Outcome.SUCCEEDED)], "has a gap"),
        ([started(), StepScheduled(seq=2, at=2.0, step="z", attempt=1)], "does not have: z"),
        ([started(max_parallel="many")], "can not be read"),
        ([started(plan=Pipeline(name="p", file="f", steps=(Step(id=["a"], run="x"),)))], "can not be"),
        ([started(plan=Pipeline(name="p", file="f", steps=(Step(id="a", needs=("b",)),)))], "can not be"),
        ([started(vars={"a": 1}), end, end], "has ended|has a gap"),
    ):
        history, last = journal(*events)
        file = write(tmp_path, described("bad-bee-1", history, b"", commits=1, last=last))
        text = refused(there, file, code=5)
        assert any(word in text for word in said.split("|")), text


def test_a_file_outside_of_the_project_is_not_run_again(tmp_path):
    (tmp_path / "outside.yaml").write_text("name: p\nsteps: [{id: a, run: touch ../ran}]\n")
    there = elsewhere(tmp_path)
    plan = Pipeline("p", "../outside.yaml", (Step("a", run="true"),))
    history, last = journal(started(plan=plan))
    opened(there, write(tmp_path, described("bad-bee-1", history, b"", commits=1, last=last)))
    result = dagnats(["rerun", "--failed"], there)
    assert (result.code, "names a file outside of the project" in result.text) == (2, True), result.text
    assert not (tmp_path / "ran").exists()


def test_objects_that_nobody_names(tmp_path):
    history, last = journal(started())
    file = write(tmp_path, described("bad-bee-1", history, b"", b"an object", commits=1, last=last))
    assert "does not hold the objects" in refused(elsewhere(tmp_path), file)


def test_output_for_other_subjects(tmp_path):
    history, last = journal(started())
    for subject, headers in (
        ("", {}),
        ("a.>", {}),
        ("a b", {}),
        ("a.1", {"Offset": "one"}),
        ("a.1", {"After": "-1"}),
        ("a.1", {"Stream": "\x1b[2J"}),
        ("a.1", {"Stream": "third"}),
    ):
        output = frame_bytes(Frame(b"x", subject=subject, headers=headers))
        file = write(tmp_path, described("bad-bee-1", history, output, commits=1, last=last))
        refused(elsewhere(tmp_path) if not (tmp_path / "there").exists() else tmp_path / "there", file)


def test_zeros_without_end_take_no_memory_and_no_disk(tmp_path):
    """10 GB of zeros are 10 MB of a file."""
    there = elsewhere(tmp_path)
    block, blocks = b"\0" * (1 << 20), 10_000
    parts = (Part(form.HISTORY, 200 << 20, "0" * 64), Part(form.OUTPUT, 4 << 30, "0" * 64))
    manifest = manifest_bytes(Manifest(form.KIND, form.VERSION, "bad-bee-1", "0.1.0", 1, "0" * 64, 0, parts))
    file = tmp_path / "zeros.tgz"
    with gzip.open(file, "wb", 1) as out:
        for name, size in ((form.MANIFEST, len(manifest)), (form.HISTORY, 200 << 20)):
            info = tarfile.TarInfo(name)
            info.size = size
            out.write(info.tobuf())
            if name == form.MANIFEST:
                out.write(manifest + b"\0" * (-size % 512))
        for _ in range(blocks // 10):
            out.write(block)
    done = subprocess.run(
        [DAGNATS, "open", str(file)],
        cwd=there,
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (64 << 20, 64 << 20)),
    )
    assert done.returncode in (2, 5), done.stderr
    assert not (there / ".dagnats").exists()


def test_a_disk_that_is_too_small(project, tmp_path, monkeypatch):
    from dagnats.bundle.opened import refuse_space
    from dagnats.errors import EngineError

    manifest, _ = parts_of(project / "run.tgz")
    usage = shutil.disk_usage(tmp_path)
    refuse_space(manifest, tmp_path, lambda _: usage._replace(free=1 << 40))
    with pytest.raises(EngineError, match="free some space first"):
        refuse_space(manifest, tmp_path, lambda _: usage._replace(free=1 << 20))


def test_what_is_killed_while_it_opens_is_no_run(project, tmp_path):
    there = elsewhere(tmp_path)
    holder = there / ".dagnats/runs/.opening-abc"
    holder.mkdir(parents=True)
    (holder / "lock").touch()
    assert "no run is kept" in dagnats(["report"], there).text
    opened(there, project / "run.tgz")
    assert dagnats(["report"], there).code == 0
