"""The crash driver: it kills the runner before and after every event of a run, has the run resumed, and compares with a run that nobody disturbed.

    python -m tests.crashing            # every pipeline here, at every point; prints how many it tried
    python -m tests.crashing --soak N   # N runs that are killed at random: the runner, its server, a step; the seed is printed

What is compared: the status and the outputs of every step, the outcome and the outputs of the run, and what its steps did to the world, which each notes
in the file `log`: a step does everything at least once, and nothing again whose end was recorded before the runner was killed.
"""

import argparse
import contextlib
import os
import random
import shutil
import signal
import subprocess
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from msgspec import Struct

from dagnats import proctree
from dagnats.bus import journal
from dagnats.bus.link import Link
from dagnats.core.events import AnyEvent, RunFinished, StepCancelled, StepFailed, StepSucceeded
from dagnats.core.state import TERMINAL, RunState, fold
from dagnats.failpoint import VARIABLE
from dagnats.stored import use
from tests.running_dagnats import DAGNATS, environment, processes_of, run_directory

RESUMES_MAX = 5
BOUND_S = 60.0
ONCE = "c"  # the step that asks before it runs again
NOTE = "echo $DAGNATS_STEP >> log"
PIPELINES: Mapping[str, str] = {
    "diamond": f"""\
name: diamond
steps:
  - {{id: a, run: '{NOTE}; echo "n=1" >> "$DAGNATS_OUTPUT"'}}
  - {{id: b, needs: [a], run: '{NOTE}; echo "n=$(( {{{{ steps.a.outputs.n }}}} + 1 ))" >> "$DAGNATS_OUTPUT"'}}
  - {{id: c, needs: [a], once: true, run: '{NOTE}; echo c'}}
  - {{id: d, needs: [b, c], run: '{NOTE}; echo {{{{ steps.b.outputs.n }}}}'}}
outputs: {{n: '{{{{ steps.b.outputs.n }}}}'}}
""",
    "retry": f"""\
name: retry
steps:
  - {{id: a, run: '{NOTE}; echo x >> tries; [ $(wc -l < tries) -ge 3 ]', retry: {{max_attempts: 9, initial_delay: 50ms}}}}
  - {{id: b, run: '{NOTE}; exit 3', retry: {{max_attempts: 2}}, allow_failure: true}}
  - {{id: c, run: '{NOTE}'}}
""",
    "fan-out": f"""\
name: fan-out
max_parallel: 2
steps:
  - {{id: list, run: '{NOTE}; echo "all=[1, 2]" >> "$DAGNATS_OUTPUT"', outputs: {{all: {{type: json}}}}}}
  - {{id: each, foreach: '{{{{ steps.list.outputs.all }}}}', run: '{NOTE}; echo {{{{ item }}}}'}}
  - {{id: cell, needs: [list], matrix: {{n: [x, y]}}, mutex: one, run: '{NOTE}'}}
  - {{id: inner, needs: [each, cell], pipeline: inner.yaml, params: {{n: 5}}}}
  - {{id: none, if: inner.status != 'succeeded', run: '{NOTE}'}}
""".replace("inner.status", "steps.inner.status"),
    "waiting": f"""\
name: waiting
steps:
  - {{id: a, run: '{NOTE}'}}
  - {{id: nap, type: sleep, duration: 100ms}}
  - {{id: send, needs: [a], run: '{NOTE}; {DAGNATS} signal $DAGNATS_RUN_ID go 5'}}
  - {{id: wait, needs: [], type: wait_for_signal, signal: go}}
  - {{id: last, needs: [nap, send, wait], run: '{NOTE}; echo {{{{ steps.wait.outputs.payload }}}}'}}
outputs: {{n: '{{{{ steps.wait.outputs.payload }}}}'}}
""",
    "finally": f"""\
name: finally
steps:
  - {{id: a, run: '{NOTE}; exit 7', on_failure: [{{id: care, run: '{NOTE}'}}]}}
  - {{id: b, run: '{NOTE}'}}
  - {{id: c, if: failure(), run: '{NOTE}; echo "v=1" >> "$DAGNATS_OUTPUT"'}}
finally:
  - {{id: tidy, run: '{NOTE}; echo {{{{ run.outcome }}}}'}}
  - {{id: report, run: '{NOTE}'}}
""",
}
INNER = f"""\
name: inner
params: {{n: 0}}
vars: {{v: {{sh: echo 1}}}}
steps: [{{id: x, run: '{NOTE}; echo "m={{{{ params.n }}}}" >> "$DAGNATS_OUTPUT"'}}, {{id: y, run: '{NOTE}'}}]
outputs: {{m: '{{{{ steps.x.outputs.m }}}}'}}
"""


class Ended(Struct, frozen=True):
    """What is left of a run: all that two runs must have in common, and what they have done."""

    statuses: Mapping[str, str]
    outputs: Mapping[str, object]
    finished: object
    done: Counter[str]
    events: int


def prepare(directory: Path, text: str) -> None:
    """Lay out a project."""
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "pipeline.yaml").write_text(text)
    (directory / "inner.yaml").write_text(INNER)


def events_of(directory: Path) -> list[AnyEvent]:
    """Read the journal of the only run there."""
    run = run_directory(directory)

    async def read(link: Link, _: bool) -> list[AnyEvent]:
        return [event async for commit in journal.read(link, run.name) for event in commit]

    return use(run, read)


def command(directory: Path, *words: str, crash: str = "") -> int:
    """Run the program there; gives its exit code."""
    env = environment({VARIABLE: crash} if crash else {})
    if words == ("resume",) and _asks(directory):
        words = ("resume", "--again", ONCE)
    done = subprocess.run(
        [DAGNATS, *words, "--output", "none"],
        cwd=directory,
        env=env,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=BOUND_S,
        check=False,
    )
    assert b"Traceback" not in done.stderr, done.stderr.decode()
    if done.returncode > 1:
        print(f"{directory.name}: {' '.join(words)}: {done.stderr.decode()}", end="")
    return done.returncode


def _asks(directory: Path) -> bool:
    return "once: true" in (directory / "pipeline.yaml").read_text()


def ended(directory: Path) -> Ended:
    """Say what a run that is over has come to."""
    events = events_of(directory)
    state = fold(events)
    assert state.finished is not None, f"the run has not ended: {describe(state)}"
    log = directory / "log"
    done = Counter(log.read_text().split()) if log.exists() else Counter()
    return Ended(
        {id_: str(step.status) for id_, step in state.steps.items()},
        {id_: dict(step.outputs) for id_, step in state.steps.items()},
        (state.outcome, dict(state.finished.outputs)),
        done,
        len(events),
    )


def describe(state: RunState) -> str:
    """Give the status of every step in a line."""
    return " ".join(f"{id_}={step.status}" for id_, step in state.steps.items())


def recorded(directory: Path) -> Counter[str]:
    """Count what the ends in the journal say was done, step by step: none of it may be done again."""
    if not any((directory / ".dagnats" / "runs").glob("*/lock")):
        return Counter()
    try:
        events = events_of(directory)
    except Exception:  # noqa: BLE001 - nothing is stored yet
        return Counter()
    ends = StepSucceeded | StepFailed | StepCancelled
    over = {step.step.id for step in fold(events).steps.values() if step.status in TERMINAL}
    found = Counter(event.step for event in events if isinstance(event, ends) and event.step in over)
    return found + Counter("finished" for event in events if isinstance(event, RunFinished))


def check(directory: Path, undisturbed: Ended, before: Mapping[str, int], logged: Counter[str]) -> None:
    """Compare a run that was resumed with the one that was not disturbed. `before` are the recorded ends at its crash, `logged` what was done by then."""
    now = ended(directory)
    assert now.statuses == undisturbed.statuses
    assert now.outputs == undisturbed.outputs
    assert now.finished == undisturbed.finished
    assert set(now.done) == set(undisturbed.done)
    again = {step: (logged[step], now.done[step]) for step in before if now.done[step] != logged[step]}
    assert not again, f"done again although its end was recorded: {again}"
    assert not processes_of(directory), "nothing is left"


def log_of(directory: Path) -> Counter[str]:
    """Count what was done so far."""
    log = directory / "log"
    return Counter(log.read_text().split()) if log.exists() else Counter()


def crash_everywhere(base: Path, name: str, when: str) -> int:
    """Crash on one side of every event of a pipeline's run; gives at how many points."""
    prepare(base / "undisturbed", PIPELINES[name])
    command(base / "undisturbed", "run")
    undisturbed = ended(base / "undisturbed")
    tried = 0
    for number in range(1, undisturbed.events + 1):
        directory = base / f"{when}-{number}"
        prepare(directory, PIPELINES[name])
        code = command(directory, "run", crash=f"{when}:*:{number}")
        if code != -signal.SIGKILL:
            continue  # this time it had fewer events: a repeated try, or less of what may be recorded apart
        tried += 1
        _resumed(directory, undisturbed)
    return tried


def _resumed(directory: Path, undisturbed: Ended) -> None:
    """Resume, and compare. A run that was killed before its first event was stored has not begun, and says so; one after its last has ended."""
    before, logged = recorded(directory), log_of(directory)
    code = command(directory, "resume")
    if code == 2 and not before and not logged:
        return
    assert code in (0, 1) or (code == 2 and "finished" in before), f"resume gave {code}"
    check(directory, undisturbed, before, logged)


def soak(base: Path, count: int, seed: int, say: Callable[[str], None]) -> int:
    """Run pipelines, and kill at random moments the runner, its server, or a step, and resume until each is over; gives the number of kills.

    What a killed step makes of its run is not known beforehand: such a run must end, and have done what it says.
    """
    chance = random.Random(seed)
    kills = 0
    undisturbed: dict[str, Ended] = {}
    for number in range(count):
        name = chance.choice(list(PIPELINES))
        if name not in undisturbed:
            prepare(base / name, PIPELINES[name])
            command(base / name, "run")
            undisturbed[name] = ended(base / name)
        directory = base / f"soak-{number}"
        prepare(directory, PIPELINES[name])
        victims = chance.choice([("runner",), ("runner", "server"), ("runner", "server", "step")])
        words = "run"
        for _ in range(RESUMES_MAX):
            killed, code = _killed(directory, words, victims, chance)
            kills += killed
            if "finished" in recorded(directory):
                break
            words = "resume"
            if code == 2 or not (directory / ".dagnats").exists():  # it had not begun
                shutil.rmtree(directory / ".dagnats", ignore_errors=True)
                words = "run"
        else:
            code = command(directory, words)
            if code == 2 and not recorded(directory):
                shutil.rmtree(directory / ".dagnats")
                code = command(directory, "run")
            assert code in (0, 1) or (code == 2 and "finished" in recorded(directory)), f"{directory}: {code}"
        now = ended(directory)
        if "step" not in victims:
            assert (now.statuses, now.finished) == (undisturbed[name].statuses, undisturbed[name].finished), directory
        noted = {step for step, status in now.statuses.items() if status == "succeeded"} & set(undisturbed[name].done)
        assert noted <= set(now.done), f"{directory}: a step succeeded that has done nothing"
        say(f"{number + 1}/{count} {name}: {kills} kills so far")
    return kills


def _killed(directory: Path, words: str, victims: Sequence[str], chance: random.Random) -> tuple[int, int]:
    """Start the program, and kill one of its processes after a while; gives 1 if there was something to kill, and the exit code."""
    process = subprocess.Popen(
        [DAGNATS, words, *(["--again", ONCE] if words == "resume" and _asks(directory) else []), "--output", "none"],
        cwd=directory,
        env=environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        process.wait(chance.uniform(0.05, 0.3))
    except subprocess.TimeoutExpired:
        pid = _victim(process.pid, chance.choice(victims))
        if pid is not None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        process.wait(BOUND_S)
        return int(pid is not None), process.returncode
    return 0, process.returncode


def _victim(runner: int, which: str) -> int | None:
    if which == "runner":
        return runner
    names = {pid: _name(pid) for pid in proctree.with_descendants([runner]) - {runner}}
    wanted = [pid for pid, name in names.items() if (name == "nats-server") == (which == "server") and name != "python"]
    return min(wanted, default=None)


def _name(pid: int) -> str:
    words = proctree.words(pid)
    return "python" if b"dagnats.guardian" in b" ".join(words) else Path(os.fsdecode(words[0])).name


def main() -> None:
    """Say how many points were tried."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--soak", type=int, metavar="N", help="N runs with kills at random instead")
    parser.add_argument("--seed", type=int, default=int(time.time()))
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as base:
        if options.soak:
            print(f"seed {options.seed}")
            print(f"{soak(Path(base), options.soak, options.seed, print)} kills")
            return
        tried = 0
        for name in PIPELINES:
            for when in ("before", "after"):
                points = crash_everywhere(Path(base) / f"{name}-{when}", name, when)
                print(f"{name}, {when}: {points} points", flush=True)
                tried += points
        print(f"{tried} points tried, all well")


if __name__ == "__main__":
    main()
