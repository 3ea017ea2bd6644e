"""What several processes have counted, added up: pure functions on what each told of itself.

Counters and histograms are sums over all processes there ever were, so that they never go backwards when one is
replaced: its last word stays in the sum. Gauges, and counters that are told apart, are those of the processes that
answered, each under its number. What a process counted between its last word and a sudden end is lost.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from attrs import define, field

from oauthd.metrics.counts import Counts
from oauthd.metrics.families import FAMILIES, Family, Labels, Value

Series = dict[Labels, Value]
Samples = dict[str, Series]
"""The series of each metric, by name."""

BORN, TOLD = "born", "told"


def read(counts: Counts) -> Samples:
    """What a process has counted so far."""
    return {family.name: dict(family.read(counts)) for family in FAMILIES}


def snapshot(counts: Counts, born: str) -> dict[str, Any]:
    """The same as a value of JSON, to be sent to whoever adds up.

    :param born: tells this process from the one that had its number before.
    """
    told = {name: [[*labels, value] for labels, value in series.items()] for name, series in read(counts).items()}
    return {BORN: born, TOLD: told}


def _series(told: Mapping[str, Any], family: Family) -> Series:
    rows: Iterable[list[Any]] = told.get(family.name, ())
    return {tuple(labels): value for *labels, value in rows}


def _sum(left: Value, right: Value) -> Value:
    if isinstance(left, list) and isinstance(right, list):
        return [a + b for a, b in zip(left, right, strict=True)]
    assert not isinstance(left, list) and not isinstance(right, list)  # noqa: S101 - a family has one kind of value
    return left + right


def _add(into: Series, series: Series) -> None:
    for labels, value in series.items():
        into[labels] = _sum(into[labels], value) if labels in into else value


@define
class Ledger:
    """The last word of each process, and the sum over those that are no more."""

    _last: dict[int, Mapping[str, Any]] = field(factory=dict)
    _gone: Samples = field(factory=dict)

    def add_up(self, answers: Mapping[int, Mapping[str, Any]]) -> Samples:
        """The figures of all processes.

        :param answers: snapshots by the number of the process; who did not answer is left out.
        """
        for number, answer in answers.items():
            before = self._last.get(number)
            if before is not None and before[BORN] != answer[BORN]:
                for family, series in _summed(before):
                    _add(self._gone.setdefault(family.name, {}), series)
            self._last[number] = answer
        merged = {family.name: dict(self._gone.get(family.name, {})) for family in FAMILIES}
        for last in self._last.values():
            for family, series in _summed(last):
                _add(merged[family.name], series)
        for number, answer in answers.items():
            for family in FAMILIES:
                if family.apart:
                    merged[family.name] |= apart(str(number), _series(answer[TOLD], family))
        return merged


def _summed(answer: Mapping[str, Any]) -> Iterator[tuple[Family, Series]]:
    return ((family, _series(answer[TOLD], family)) for family in FAMILIES if not family.apart)


def apart(worker: str, series: Series) -> Series:
    """The series of one process under its number."""
    return {(*labels, worker): value for labels, value in series.items()}


def alone(counts: Counts, worker: str = "0") -> Samples:
    """The figures of a process that is the only one."""
    found = read(counts)
    for family in FAMILIES:
        if family.apart:
            found[family.name] = apart(worker, found[family.name])
    return found
