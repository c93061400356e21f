"""`python -m bench [case …]`: measure, and print one table."""

import argparse
import sys
from pathlib import Path

from bench import peers, table
from bench.cases import CASES
from bench.graphs import chain
from bench.process import BenchError
from bench.rounds import Answer, answer
from bench.runners import dagnats
from bench.setting import Setting, run

ROUNDS = 7


def main() -> int:
    """Exit code 0: everything was measured. 1: something could not be. 2: nothing could."""
    options = _parser().parse_args()
    unknown = [name for name in options.cases if name not in CASES]
    if unknown:
        return _refuse(f"no case is called {', '.join(unknown)}; there are: {', '.join(CASES)}")
    setting = Setting(dagnats(), peers.find())
    if not setting.dagnats.program.exists():
        return _refuse(
            f"{setting.dagnats.program} does not exist: install this project into the environment that measures"
        )
    if setting.peers.missing:
        _say(setting.peers.missing)
    try:
        _warm_up(setting)
    except BenchError as error:
        return _refuse(str(error))
    answers = [_answer(setting, name, options.rounds) for name in options.cases or CASES]
    print(table.markdown(answers) if options.markdown else table.text(answers))
    print(f"\n{table.machine(setting.peers.versions)}")
    if options.json:
        options.json.write_text(table.as_json(answers, setting.peers.versions))
    return 1 if any(one.failures for one in answers) else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("cases", nargs="*", metavar="case", help=f"all, if none is named: {', '.join(CASES)}")
    parser.add_argument(
        "--rounds", type=_count, default=ROUNDS, help="rounds a case (default %(default)s; long cases take fewer)"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every sample to a file")
    parser.add_argument("--markdown", action="store_true", help="print the table in Markdown")
    return parser


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError("at least 1")
    return int(text)


def _warm_up(setting: Setting) -> None:
    """One run of each, so that nobody's first round pays for a cold disk or for compiling its modules."""
    for runner in setting.runners:
        run(runner, chain(1))


def _answer(setting: Setting, name: str, rounds: int) -> Answer:
    case = CASES[name](setting)
    _say(f"{name}: {case.title}")
    found = answer(case, rounds)
    for contender, reason in found.failures.items():
        _say(f"{name}: {contender} could not be measured: {reason}")
    return found


def _say(sentence: str) -> None:
    print(sentence, file=sys.stderr, flush=True)


def _refuse(sentence: str) -> int:
    _say(sentence)
    return 2


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
