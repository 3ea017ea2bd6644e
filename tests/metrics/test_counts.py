"""Counting: buckets, requests, events, and when a proof counts."""

from __future__ import annotations

import bisect

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from oauthd.events import EVENTS, Events
from oauthd.metrics import EventCounts, Histogram, LimitCounts, ProofFacts, RequestCounts
from oauthd.metrics.counts import ANSWER_BOUNDS, DELAY_BOUNDS

DURATIONS = st.one_of(st.floats(0, 100, allow_nan=False), st.sampled_from(ANSWER_BOUNDS))


class HistogramTests(SynchronousTestCase):
    """Durations fall into buckets."""

    def test_bounds_are_included(self) -> None:
        """A duration that equals a bound is in that bucket; one beyond the last has a place, too."""
        histogram = Histogram((0.1, 1.0))
        for seconds in (0.0, 0.1, 0.100001, 1.0, 1.1):
            histogram.observe(seconds)
        self.assertEqual(histogram.counts, [2, 2, 1])
        self.assertEqual(histogram.count, 5)
        self.assertAlmostEqual(histogram.total, 2.300001)

    def test_bounds_rise(self) -> None:
        """The bounds that are used stand in order, none twice."""
        for bounds in (ANSWER_BOUNDS, DELAY_BOUNDS):
            self.assertEqual(list(bounds), sorted(set(bounds)))

    @given(st.lists(DURATIONS))
    def test_nothing_is_lost(self, durations: list[float]) -> None:
        """Up to each bound there are as many as there were."""
        histogram = Histogram()
        for seconds in durations:
            histogram.observe(seconds)
        ordered = sorted(durations)
        for place, bound in enumerate(ANSWER_BOUNDS):
            self.assertEqual(sum(histogram.counts[: place + 1]), bisect.bisect_right(ordered, bound))
        self.assertEqual(histogram.count, len(durations))


class CountTests(SynchronousTestCase):
    """Requests, events, proofs."""

    def test_requests(self) -> None:
        """Requests are counted by method, path and status, with their durations."""
        requests = RequestCounts()
        requests.count("GET", "/a", 200, 0.002)
        requests.count("GET", "/a", 200, 0.003)
        requests.count("GET", "/a", 404, 0.004)
        self.assertEqual(set(requests.answered), {("GET", "/a", 200), ("GET", "/a", 404)})
        self.assertEqual(requests.answered["GET", "/a", 200].count, 2)

    def test_events(self) -> None:
        """Every event is counted by its name, from zero, and tokens by their grant type."""
        counts = EventCounts()
        self.assertEqual(counts.told, dict.fromkeys(EVENTS, 0))
        events = Events([counts.count])
        events.tell("token.issued", grant_type="password", client_id="app")
        events.tell("token.issued", grant_type="password", client_id="other")
        events.tell("token.issued", grant_type="refresh_token", client_id="app")
        events.tell("founded")
        self.assertEqual(counts.issued, {"password": 2, "refresh_token": 1})
        self.assertEqual((counts.told["token.issued"], counts.told["founded"]), (3, 1))

    def test_proof(self) -> None:
        """A proof counts while it is younger than the longest age; none, never."""
        proof = ProofFacts()
        self.assertFalse(proof.fresh)
        proof.longest = 2.0
        for age, fresh in ((0.0, True), (1.9, True), (2.0, False), (3.0, False)):
            proof.age = lambda age=age: age  # type: ignore[misc]
            self.assertEqual(proof.fresh, fresh, age)


class LimitTests(SynchronousTestCase):
    """Who was refused for the number of requests."""

    def test_names_end(self) -> None:
        """Twenty clients have names of their own, and all others one: nobody can make more series."""
        counts = LimitCounts()
        for number in range(30):
            counts.client(f"client {number}")
        counts.client("client 3")
        counts.client("")
        self.assertEqual(len(counts.clients), 21)
        self.assertEqual((counts.clients["client 3"], counts.clients["(others)"]), (2, 11))
