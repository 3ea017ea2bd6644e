"""The figures of several processes add up, and never go backwards."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from oauthd.metrics import Counts
from oauthd.metrics.families import FAMILIES
from oauthd.metrics.merging import Ledger, Samples, alone, snapshot

LOOKUPS, DELAY, ENTRIES, FAILOVERS = (
    "oauthd_cache_lookups_total", "oauthd_loop_delay_seconds", "oauthd_cache_entries", "oauthd_store_failovers_total",
)  # fmt: skip


def told(counts: Counts, born: str) -> dict[str, Any]:
    """A snapshot, as it arrives."""
    arrived: dict[str, Any] = json.loads(json.dumps(snapshot(counts, born)))
    return arrived


def counting(hits: int = 0, entries: int = 0, delays: tuple[float, ...] = (), failovers: int = 0) -> Counts:
    """The counts of a process."""
    counts = Counts()
    counts.cache.hits, counts.cache.entries, counts.invalidation.failovers = hits, entries, failovers
    for seconds in delays:
        counts.loop.delay.observe(seconds)
    return counts


def hits(samples: Samples) -> Any:
    """The sum of one counter."""
    return samples[LOOKUPS]["hit",]


class MergingTests(SynchronousTestCase):
    """Answers of processes become one."""

    def test_sums_and_gauges(self) -> None:
        """Counters and buckets are summed; gauges, and what each process sees for itself, stand under its number."""
        first = told(counting(5, 100, (0.0001, 0.3), 1), "a")
        second = told(counting(7, 300, (0.3,), 2), "b")
        merged = Ledger().add_up({1: first, 2: second})
        self.assertEqual(hits(merged), 12)
        self.assertEqual(merged[ENTRIES], {("1",): 100, ("2",): 300})
        self.assertEqual(merged[FAILOVERS], {("1",): 1, ("2",): 2})
        delay = merged[DELAY][()]
        assert isinstance(delay, list)
        self.assertEqual((delay[0], sum(delay[:-1])), (1, 3))
        self.assertAlmostEqual(delay[-1], 0.6001)

    def test_replaced(self) -> None:
        """What a process had counted stays in the sum when another one takes its number."""
        ledger = Ledger()
        ledger.add_up({1: told(counting(50, 9), "a"), 2: told(counting(7), "b")})
        merged = ledger.add_up({1: told(counting(1, 4), "c"), 2: told(counting(8), "b")})
        self.assertEqual(hits(merged), 59)
        self.assertEqual(merged[ENTRIES]["1",], 4)
        self.assertEqual(hits(ledger.add_up({1: told(counting(2), "d"), 2: told(counting(8), "b")})), 61)

    def test_silent(self) -> None:
        """The last word of a process that does not answer stays in the sums; of its gauges nothing is told."""
        ledger = Ledger()
        ledger.add_up({1: told(counting(50, 9), "a"), 2: told(counting(7, 3), "b")})
        merged = ledger.add_up({2: told(counting(8, 3), "b")})
        self.assertEqual(hits(merged), 58)
        self.assertEqual(merged[ENTRIES], {("2",): 3})
        self.assertEqual(hits(ledger.add_up({1: told(counting(51, 9), "a")})), 59)

    def test_nobody(self) -> None:
        """Without any answer there are the metrics, and nothing in them."""
        self.assertEqual(Ledger().add_up({}), {family.name: {} for family in FAMILIES})

    def test_answers_stay_as_they_are(self) -> None:
        """Adding up changes nothing that was handed in: a second look gives the same."""
        ledger, answers = Ledger(), {1: told(counting(3, delays=(0.1,)), "a"), 2: told(counting(4), "b")}
        first = ledger.add_up(answers)
        self.assertEqual(ledger.add_up(answers), first)

    def test_alone(self) -> None:
        """One process tells the same metrics with the same labels as several."""
        counts = counting(5, 100, (0.1,), 1)
        merged = Ledger().add_up({0: told(counts, "a")})
        self.assertEqual(alone(counts), merged)

    @given(
        st.lists(
            st.tuples(st.sampled_from([1, 2, 3]), st.sampled_from(["count", "replace", "look", "silent look"])),
            max_size=60,
        )
    )
    def test_never_backwards(self, happenings: list[tuple[int, str]]) -> None:
        """Whoever is replaced or silent when, a sum is all that was seen of it, and never less than before."""
        ledger, born = Ledger(), 0
        lives: dict[int, tuple[Counts, str]] = {number: (Counts(), f"first {number}") for number in (1, 2, 3)}
        seen: dict[str, int] = {}
        last = 0
        for number, what in happenings:
            if what == "count":
                lives[number][0].cache.hits += 1
            elif what == "replace":
                born += 1
                lives[number] = (Counts(), f"later {born}")
            else:
                answering = {one: life for one, life in lives.items() if what == "look" or one != number}
                seen |= {name: counts.cache.hits for counts, name in answering.values()}
                merged = ledger.add_up({one: told(counts, name) for one, (counts, name) in answering.items()})
                self.assertEqual(hits(merged), sum(seen.values()))
                self.assertGreaterEqual(hits(merged), last)
                last = hits(merged)
