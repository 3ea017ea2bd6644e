"""Token buckets: what they promise, for one process and for several that share a limit."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from oauthd.protocol.rates import MOST, SPARE, Bucket, Buckets, Limit, settled, within

TEN = Limit(10, 20)
PERIOD = 1.0  # seconds between two looks at the common bucket

limits = st.builds(Limit, st.integers(1, 200), st.integers(1, 400))
steps = st.lists(st.tuples(st.floats(0, 3), st.integers(1, 30)), max_size=60)


class BucketTests(SynchronousTestCase):
    """One bucket."""

    def test_burst_then_rate(self) -> None:
        """A burst goes at once, then one for each tenth of a second."""
        bucket = Bucket(TEN.among(1), 100.0)
        self.assertEqual([bucket.take(1, 100.0) for _ in range(20)], [0.0] * 20)
        self.assertAlmostEqual(bucket.take(1, 100.0), 0.1)
        self.assertEqual(bucket.take(1, 100.11), 0.0)
        self.assertGreater(bucket.take(1, 100.11), 0.0)

    def test_integers_are_taken(self) -> None:
        """Whoever takes from `left` is counted at the next look, and told of."""
        bucket = Bucket(TEN.among(1), 0.0)
        bucket.left -= 15
        self.assertEqual(bucket.take(5, 0.0), 0.0)
        self.assertGreater(bucket.take(1, 0.0), 0.0)
        self.assertEqual(bucket.telling(), 20)
        self.assertEqual(bucket.telling(), 0)

    def test_dear(self) -> None:
        """What costs more than a bucket holds takes a full one, and the debt is waited for."""
        bucket = Bucket(TEN.among(1), 0.0)
        self.assertEqual(bucket.take(100, 0.0), 0.0)
        self.assertAlmostEqual(bucket.take(1, 0.0), 8.1)
        self.assertGreater(bucket.take(1, 8.0), 0.0)
        self.assertEqual(bucket.take(1, 8.11), 0.0)

    def test_dear_waits_for_a_full_one(self) -> None:
        """Such a thing is refused by a bucket that is not full."""
        bucket = Bucket(TEN.among(1), 0.0)
        bucket.take(1, 0.0)
        self.assertGreater(bucket.take(100, 0.05), 0.0)

    def test_given_back(self) -> None:
        """What is given back can be taken again, and no bucket gets more than it holds."""
        bucket = Bucket(TEN.among(1), 0.0)
        for _ in range(20):
            bucket.take(1, 0.0)
        bucket.give_back(1, 0.0)
        self.assertEqual(bucket.take(1, 0.0), 0.0)
        self.assertGreater(bucket.take(1, 0.0), 0.0)
        full = Bucket(TEN.among(1), 0.0)
        full.give_back(5, 0.0)
        self.assertEqual(full.look(0.0), 20)

    def test_clock_that_stands(self) -> None:
        """A clock that would go back brings nothing."""
        bucket = Bucket(TEN.among(1), 50.0)
        bucket.take(20, 50.0)
        self.assertGreater(bucket.take(1, 10.0), 0.0)

    def test_small_shares(self) -> None:
        """A share of less than a token is one: somebody must be let through."""
        bucket = Bucket(Limit(1, 2).among(8), 0.0)
        self.assertEqual(bucket.take(1, 0.0), 0.0)
        bucket.telling()
        bucket.settle(2.0, 8, Limit(1, 2), 1.0)
        self.assertEqual(bucket.take(1, 1.0), 0.0)

    def test_debt_is_shared(self) -> None:
        """Nothing is given out while the common bucket has a debt."""
        bucket = Bucket(TEN.among(2), 0.0)
        bucket.settle(-10.0, 2, TEN, 0.0)
        self.assertGreater(bucket.take(1, 1.0), 0.0)  # 5 of debt, and 5 a second
        self.assertEqual(bucket.take(1, 1.3), 0.0)

    @given(limits, steps)
    def test_never_more(self, limit: Limit, walk: list[tuple[float, int]]) -> None:
        """In any span: never more than the burst, what came since, and what the dearest costs beyond the burst."""
        bucket, now = Bucket(limit.among(1), 0.0), 0.0
        taken: list[tuple[float, int]] = []
        for wait, cost in walk:
            now += wait
            if not bucket.take(cost, now):
                taken.append((now, cost))
        beyond = max(0.0, 30 - limit.burst)
        for first, (start, _) in enumerate(taken):
            for last in range(first, len(taken)):
                total = sum(cost for _, cost in taken[first : last + 1])
                bound = limit.burst + limit.per_second * (taken[last][0] - start) + beyond
                self.assertLessEqual(total, bound + 1e-6)

    @given(st.integers(2, 10_000), st.integers(1, 3600), st.lists(st.floats(0, 600), max_size=200))
    def test_within(self, most: int, seconds: int, waits: list[float]) -> None:
        """Of what ends by itself there are never more at a time than was said."""
        limit, now, begun = within(most, seconds), 0.0, list[float]()
        bucket = Bucket(limit.among(1), now)
        for wait in waits:
            now += wait
            for _ in range(most):
                if bucket.take(1, now):
                    break
                begun.append(now)
            begun = [one for one in begun if one > now - seconds]
            self.assertLessEqual(len(begun), most)


class TableTests(SynchronousTestCase):
    """The buckets of many names."""

    def test_one_each(self) -> None:
        """Each name has its own, and no limit of another's is felt."""
        table = Buckets(TEN)
        for _ in range(20):
            self.assertEqual(table.of("a", 0.0).take(1, 0.0), 0.0)
        self.assertGreater(table.of("a", 0.0).take(1, 0.0), 0.0)
        self.assertEqual(table.of("b", 0.0).take(1, 0.0), 0.0)

    def test_flood_resets_nobody(self) -> None:
        """However many names come: there is an end to memory, and who was limited stays so."""
        table = Buckets(Limit(0.001, 5), most=100)
        for _ in range(5):
            table.of("limited", 0.0).take(1, 0.0)
        for number in range(2000):
            table.of(f"flood {number}", 0.0).take(1, 0.0)
            if number % 50 == 0:
                table.to_tell(0.0, MOST)
        self.assertGreater(table.of("limited", 0.0).take(1, 0.0), 0.0)
        self.assertLessEqual(len(table), 100)
        self.assertLessEqual(len(table._spare), SPARE)

    def test_full_ones_make_room(self) -> None:
        """Who has not asked for long is forgotten for others, and its bucket gives nothing more to who holds it."""
        table = Buckets(TEN, most=3)
        held = table.of("a", 0.0)
        for name in "abc":
            table.of(name, 0.0).take(3, 0.0)
        table.to_tell(0.0, MOST)
        self.assertIsNot(table.of("d", 10.0), held)
        self.assertEqual(len(table), 3)
        self.assertLessEqual(held.left, 0)
        self.assertIsNot(table.of("a", 10.0), held)

    def test_newcomers_share(self) -> None:
        """Where none can be forgotten newcomers are limited, too, if not each alone."""
        table = Buckets(Limit(0.001, 5), most=1)
        table.of("a", 0.0).take(5, 0.0)
        refused = [bool(table.of("new", 0.0).take(1, 0.0)) for _ in range(6)]
        self.assertEqual(refused, [False] * 5 + [True])

    def test_what_is_told(self) -> None:
        """Told is who took more than a tenth of a share or half a bucket, the busiest first, and the others never."""
        table = Buckets(Limit(100, 1000))
        table.of("much", 0.0).take(50, 0.0)
        table.of("more", 0.0).take(60, 0.0)
        table.of("little", 0.0).take(9, 0.0)
        self.assertEqual([name for name, _ in table.to_tell(0.0, 10)], ["more", "much"])
        self.assertEqual(table.to_tell(0.0, 10), [])

    def test_taken_unseen(self) -> None:
        """A table that looks at all sees what was taken without it."""
        table = Buckets(Limit(100, 1000), all=True)
        bucket = table.of("lane", 0.0)
        table.to_tell(0.0, 10)
        bucket.left -= 100
        self.assertEqual([name for name, _ in table.to_tell(0.0, 10)], ["lane"])

    def test_even_share_again(self) -> None:
        """Who is not settled again has an even share again, and no more tokens by that."""
        table = Buckets(TEN, 2)
        bucket = table.of("a", 0.0)
        bucket.take(10, 0.0)
        bucket.telling()
        for now in (1.0, 2.0):
            table.settle([("a", bucket, 20.0, 1)], now)
        self.assertEqual((bucket.share.rate, bucket.look(2.0)), (10, 20))
        table.settle([], 2.0)
        self.assertEqual((bucket.share.rate, bucket.look(2.0)), (5, 10))


class SharedTests(SynchronousTestCase):
    """Several processes and one limit."""

    @given(
        limits,
        st.integers(1, 6),
        st.lists(st.tuples(st.integers(0, 5), st.integers(0, 60)), max_size=200),
        st.sets(st.integers(0, 60)),
    )
    def test_bound(self, limit: Limit, count: int, asked: list[tuple[int, int]], outages: set[int]) -> None:
        """Whoever asks whom, and whenever the store is away: never more than is promised, in any span."""
        crew = [Buckets(limit, count) for _ in range(count)]
        common, told_at = limit.burst, 0.0
        told_by: dict[int, float] = {}
        taken, sums = 0, [0]
        for turn, (who, wanted) in enumerate(asked):
            now = turn * 0.1
            for _ in range(wanted):
                taken += crew[who % count].of("x", now).take(1, now) == 0.0
            sums.append(taken)
            number = turn % 10  # each looks once a second, one after the other
            if number >= count:
                continue
            told = crew[number].to_tell(now, 10)
            if turn // 10 in outages or not told:
                crew[number].settle([], now)
                continue
            ((name, bucket),) = told
            common, told_at = settled(common, now - told_at, bucket.telling(), limit), now
            told_by[number] = now
            known = sum(now - at <= 3 for at in told_by.values())
            crew[number].settle([(name, bucket, common, known)], now)
        for span in range(1, len(sums)):
            bound = 3 * limit.burst + 1.1 * limit.per_second * (span * 0.1 + 2 * PERIOD) + count
            self.assertLessEqual(max(b - a for a, b in zip(sums, sums[span:], strict=False)), bound)

    def test_demand(self) -> None:
        """Where one process alone is asked it gives out the whole limit; where two are, both together do."""
        for busy in ((0,), (0, 1)):
            limit = Limit(100, 100)
            crew = [Buckets(limit, 2) for _ in range(2)]
            common, at, taken, late = 100.0, 0.0, 0, 0
            for turn in range(600):
                now = turn * 0.1
                for who in busy:
                    for _ in range(50):
                        got = crew[who].of("x", now).take(1, now) == 0.0
                        taken, late = taken + got, late + (got and now >= 30)
                    if turn % 10 == who:
                        for name, bucket in crew[who].to_tell(now, 10):
                            common, at = settled(common, now - at, bucket.telling(), limit), now
                            crew[who].settle([(name, bucket, common, len(busy))], now)
            self.assertGreater(late, 0.9 * 100 * 30, busy)
            self.assertLess(late, 1.1 * 100 * 30 + 100, busy)
