"""What it costs before a step runs: the commands that only answer, the check of a file, and a whole run of one step."""

from bench.floors import python_start_s
from bench.graphs import chain as chain_of
from bench.process import measure
from bench.rounds import Case, Contender, Row, Sample
from bench.runners import Runner
from bench.setting import Setting, fresh_directory, run

PYTHON = "python -c pass"
MS = 1e3

STEP = """\
  - id: build-{n}
    name: Build the part number {n} of this project
    env: {{PART: "{n}", MODE: release}}
    timeout: 10m
    retry: {{max_attempts: 3, strategy: exponential, initial_delay: 1s}}
    run: |
      echo "building part {n}"
      make --silent part-{n} MODE=release OUT=build/part-{n}
      ls -l build/part-{n}
"""


def version(setting: Setting) -> Case:
    program = setting.dagnats.program
    return Case(
        "version",
        "Commands that only answer",
        [
            _python(),
            Contender("--version", lambda: _answering(program, "--version")),
            Contender("--help", lambda: _answering(program, "--help")),
        ],
        [
            Row(PYTHON, "ms"),
            Row("dagnats --version", "ms", over=PYTHON, at_most=5),
            Row("dagnats --help", "ms", over=PYTHON, at_most=5),
        ],
    )


def validate(setting: Setting) -> Case:
    few, many = "dagnats validate, 100 steps", "dagnats validate, 3,000 steps"
    return Case(
        "validate",
        "Check of a file",
        [
            _python(),
            Contender(few, lambda: {few: _validating(setting.dagnats, 100)}),
            Contender(many, lambda: {many: _validating(setting.dagnats, 3_000)}),
        ],
        [Row(PYTHON, "ms"), Row(few, "ms", over=PYTHON, at_most=12), Row(many, "ms", over=few)],
        most_rounds=5,
    )


def cold(setting: Setting) -> Case:
    return Case(
        "cold",
        "A run of one step that does nothing, everything included",
        [_python(), *(_running_one(runner) for runner in setting.runners)],
        [
            Row(PYTHON, "ms"),
            Row("dagnats", "ms", over=PYTHON, at_most=15),
            *(Row(peer.name, "ms", over=PYTHON) for peer in setting.peers.runners),
        ],
    )


def _python() -> Contender:
    def sample() -> Sample:
        with fresh_directory() as directory:
            return {PYTHON: python_start_s(directory) * MS}

    return Contender(PYTHON, sample)


def _running_one(runner: Runner) -> Contender:
    return Contender(runner.name, lambda: {runner.name: run(runner, chain_of(1)).seconds * MS})


def _answering(program: object, flag: str) -> Sample:
    with fresh_directory() as directory:
        return {f"dagnats {flag}": measure([str(program), flag], directory).seconds * MS}


def _validating(runner: Runner, steps: int) -> float:
    with fresh_directory() as directory:
        text = "name: bench\nsteps:\n" + "".join(STEP.format(n=n) for n in range(steps))
        (directory / "pipeline.yaml").write_text(text)
        return measure([runner.program, "validate", "pipeline.yaml"], directory).seconds * MS
