"""How things are compared: interleaved rounds, so that what disturbs the machine disturbs all of them alike."""

import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from bench.process import BenchError

Sample = Mapping[str, float]  # name of a row -> what was measured for it in one round


@dataclass(frozen=True, slots=True)
class Contender:
    """One of those compared. `sample` measures it once; a contender may fill several rows."""

    name: str
    sample: Callable[[], Sample]


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table: what is shown of it, and what it is held against.

    `over` names the row that its median is divided by. The goal bounds that ratio, or the median itself if there is none.
    """

    name: str
    unit: str
    over: str | None = None
    at_most: float | None = None
    at_least: float | None = None


@dataclass(frozen=True, slots=True)
class Case:
    """One question, those who answer it, and the rows of the answer in the order in which they are shown."""

    name: str
    title: str
    contenders: Sequence[Contender]
    rows: Sequence[Row]
    most_rounds: int = 1000


@dataclass(frozen=True, slots=True)
class Result:
    """A row with its samples. `ratio` is absent where there is nothing to divide by, `reached` where there is no goal."""

    row: Row
    samples: Sequence[float]
    ratio: float | None

    @property
    def median(self) -> float:
        return statistics.median(self.samples)

    @property
    def reached(self) -> bool | None:
        value = self.ratio if self.row.over else self.median
        if value is None or (self.row.at_most is None and self.row.at_least is None):
            return None
        return value <= (self.row.at_most or float("inf")) and value >= (self.row.at_least or 0.0)


@dataclass(frozen=True, slots=True)
class Answer:
    """What a case found, and why some of its contenders are missing."""

    case: Case
    rounds: int
    results: Sequence[Result]
    failures: Mapping[str, str]


def answer(case: Case, rounds: int) -> Answer:
    """Measure every contender once a round; one that fails is left out from then on, and the reason is kept."""
    rounds = min(rounds, case.most_rounds)
    samples: dict[str, list[float]] = {}
    failures: dict[str, str] = {}
    for _ in range(rounds):
        for contender in case.contenders:
            if contender.name in failures:
                continue
            try:
                measured = contender.sample()
            except (BenchError, OSError, ValueError, KeyError) as error:
                failures[contender.name] = str(error) or repr(error)
                continue
            for name, value in measured.items():
                samples.setdefault(name, []).append(value)
    return Answer(case, rounds, _results(case.rows, samples), failures)


def _results(rows: Sequence[Row], samples: Mapping[str, Sequence[float]]) -> list[Result]:
    medians = {name: statistics.median(values) for name, values in samples.items()}
    results = []
    for row in rows:
        if row.name not in samples:
            continue
        base = medians.get(row.over) if row.over else None
        results.append(Result(row, samples[row.name], medians[row.name] / base if base else None))
    return results
