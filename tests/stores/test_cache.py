"""What is kept counts only while proven, unchanged and young; a change is felt at once, whatever is on its way."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

from attrs import define, field
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, initialize, invariant, rule
from twisted.internet.defer import CancelledError, Deferred, ensureDeferred
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase, TestCase

from oauthd.stores import cache as module
from oauthd.stores.cache import Cache
from oauthd.stores.entries import ALWAYS, Entry
from oauthd.stores.interface import StoreUnavailable

FAR = 1e9
TOKEN = bytes(range(32))


def kept(cache: Cache, name: bytes, value: Any = b"value", *subjects: bytes, until: float = FAR) -> Entry:
    """Keep something, as one who has just read it."""
    entry = Entry(value, until, cache.monotonic() + cache.longest, tuple(map(cache.cell, subjects or (b"world",))))
    cache.keep(name, entry)
    return entry


def swept(cache: Cache) -> None:
    """Throw away all that was flushed."""
    while cache.sweep():
        pass


def registered(cache: Cache) -> dict[bytes, Any]:
    """The cells that a change would find."""
    return cache._cells


class CacheCase(TestCase):
    """A cache that has just been proven, and two clocks."""

    def setUp(self) -> None:
        """Make it."""
        self.monotonic, self.wall = Clock(), Clock()
        self.wall.advance(1_800_000_000)
        self.cache = self.made()

    def made(self, **more: Any) -> Cache:
        """A cache on these clocks, proven."""
        cache = Cache(self.monotonic.seconds, self.wall.seconds, **more)
        cache.prove(self.monotonic.seconds())
        return cache

    def keep(self, name: bytes = TOKEN, *more: Any, **facts: Any) -> Entry:
        """Keep something in it that would count for long."""
        return kept(self.cache, name, *more, **({"until": FAR * 2} | facts))


class ProofTests(CacheCase):
    """`prove`, and what the clocks say."""

    def test_nothing_counts_unproven(self) -> None:
        """Before the first proof nothing counts, though it was kept."""
        cache = Cache(self.monotonic.seconds, self.wall.seconds)
        entry = kept(cache, TOKEN, until=math.inf)
        self.assertIsNone(cache.find(TOKEN))
        self.assertFalse(cache.counts(entry))
        self.assertFalse(cache.fresh)

    def test_the_lease_begins_when_the_proof_was_sent(self) -> None:
        """A proof counts for `max_staleness` from its sending, to the instant, whenever it came back."""
        self.monotonic.advance(1.5)
        self.cache.prove(1.0)
        entry = self.keep()
        self.monotonic.advance(1.4375)  # 2.9375
        self.assertIs(self.cache.find(TOKEN), entry)
        self.monotonic.advance(0.0625)  # 3.0
        self.assertIsNone(self.cache.find(TOKEN))
        self.assertFalse(self.cache.counts(entry))

    def test_an_older_proof_changes_nothing(self) -> None:
        """A proof that was overtaken by a later one takes nothing back."""
        self.cache.prove(1.0)
        self.cache.prove(0.5)
        self.assertEqual((self.cache.proven_at, self.cache.lease), (1.0, 3.0))

    def test_a_process_that_stood_still(self) -> None:
        """Time that passes without any timer being run ends the lease all the same; a new proof brings it back."""
        entry = self.keep()
        self.monotonic.rightNow += 60
        self.assertIsNone(self.cache.find(TOKEN))
        self.cache.prove(60.0)
        self.assertIs(self.cache.find(TOKEN), entry)

    def test_end(self) -> None:
        """An entry counts until its own end by the wall clock, and not in that instant."""
        self.keep(until=self.wall.seconds() + 1)
        self.wall.advance(0.5)
        self.assertIsNotNone(self.cache.find(TOKEN))
        self.wall.advance(0.5)
        self.assertIsNone(self.cache.find(TOKEN))

    def test_longest_age(self) -> None:
        """However often it is proven, nothing is kept longer than the longest age."""
        entry = self.keep()
        self.monotonic.advance(599.5)
        self.cache.prove(599.5)
        self.assertIs(self.cache.find(TOKEN), entry)
        self.monotonic.advance(0.5)
        self.assertIsNone(self.cache.find(TOKEN))

    def test_a_number_ages_too(self) -> None:
        """What is known of a name is forgotten at its own age, though entries go on standing on it."""
        self.keep(TOKEN, b"x", b"gen:world")
        cell = self.cache.cell(b"gen:world")
        cell.number, cell.aged = 7, 600.0
        self.assertEqual(self.cache.number(b"gen:world"), 7)
        self.monotonic.advance(600)
        self.cache.prove(600)
        self.assertIsNone(self.cache.number(b"gen:world"))

    def test_a_number_needs_the_proof(self) -> None:
        """Without a proof no number is known; nor of a name on which nothing stands."""
        self.keep(TOKEN, b"x", b"gen:world")
        cell = self.cache.cell(b"gen:world")
        cell.number, cell.aged = 7, 600.0
        self.assertIsNone(self.cache.number(b"gen:client:{app}"))
        self.monotonic.advance(2)
        self.assertIsNone(self.cache.number(b"gen:world"))


class ChangeTests(CacheCase):
    """`changed`, `gone` and `flush`."""

    def test_each_cell(self) -> None:
        """A change of any of the four names that an entry stands on ends it, in hand too; another's does not."""
        names = (b"world", b"client", b"user", b"grant")
        for name in names:
            entry = self.keep(TOKEN, b"x", *names)
            self.cache.changed(b"another")
            self.assertIs(self.cache.find(TOKEN), entry)
            self.cache.changed(name)
            self.assertIsNone(self.cache.find(TOKEN))
            self.assertFalse(self.cache.counts(entry))

    def test_too_many_cells(self) -> None:
        """An entry that would stand on a fifth name is an error, not one that misses changes."""
        with self.assertRaises(ValueError):
            Entry(b"x", FAR, FAR, tuple(self.cache.cell(b"%d" % n) for n in range(5)))

    def test_a_token_that_others_stand_on(self) -> None:
        """What is told of a token by name ends its own answer, and those of what stands on it."""
        own, other = self.keep(TOKEN), self.keep(b"other", b"x", b"a:" + TOKEN)
        self.cache.changed(b"a:" + TOKEN)
        self.assertEqual([self.cache.counts(entry) for entry in (own, other)], [False, False])

    def test_no_whole_of_wholes(self) -> None:
        """A whole has no wholes in it: one that falls with a part would not take others along."""
        whole = self.cache.whole((b"one", b"two"))
        with self.assertRaises(ValueError):
            self.cache.whole((whole.name, b"three"))

    def test_a_whole(self) -> None:
        """What stands on a whole ends with each of its names, whatever else stood on them; nothing is left behind."""
        for name in (b"world", b"one", b"two"):
            single, whole = self.cache.cell(b"one"), self.cache.whole((b"world", b"one", b"two"))
            self.assertIs(self.cache.whole((b"world", b"one", b"two")), whole)
            entries = [Entry(b"x", FAR * 2, FAR, cells) for cells in ((whole,), (whole, single))]
            for number, entry in enumerate(entries):
                self.cache.keep(b"%d" % number, entry)
            self.cache.changed(b"another")
            self.assertTrue(all(map(self.cache.counts, entries)))
            self.cache.changed(name)
            self.assertFalse(any(map(self.cache.counts, entries)))
            for number in range(2):
                self.keep(b"%d" % number, b"x", b"other")
            self.assertEqual(list(registered(self.cache)), [b"other"])

    def test_a_token_has_no_cell(self) -> None:
        """A token's own key ends its entry without a cell."""
        entry = self.keep(TOKEN)
        self.cache.changed(b"a:" + TOKEN)
        self.assertIsNone(self.cache.find(TOKEN))
        self.assertFalse(self.cache.counts(entry))

    def test_kept_anew_after_a_change(self) -> None:
        """What is read after a change stands on a new cell, which the next change finds."""
        self.keep()
        self.cache.changed(b"world")
        entry = self.keep()
        self.assertIs(self.cache.find(TOKEN), entry)
        self.cache.changed(b"world")
        self.assertIsNone(self.cache.find(TOKEN))

    def test_an_old_entry_does_not_take_the_new_cell_away(self) -> None:
        """Entries of a name's former cell that are let go leave its new cell to those that stand on it."""
        self.keep(b"one", b"x", b"client")
        self.cache.changed(b"client")
        self.keep(b"two", b"x", b"client")
        self.keep(b"one", b"x", b"other")
        self.cache.changed(b"client")
        self.assertIsNone(self.cache.find(b"two"))

    def test_a_wide_change_is_one_step(self) -> None:
        """A change of what ten thousand entries stand on touches no entry."""
        for n in range(10_000):
            self.keep(b"%d" % n, b"x", b"user")
        before = list(self.cache.entries.values())
        untouched = [(one.until, one.aged) for one in before]
        self.cache.changed(b"user")
        self.assertEqual([(one.until, one.aged) for one in before], untouched)
        self.assertEqual(sum(map(self.cache.counts, before)), 0)

    def test_flush(self) -> None:
        """After a flush nothing counts, is known or is kept, in hand neither, whatever is proven later."""
        entry, alone = self.keep(), Entry(b"x", FAR * 2, FAR, ())
        self.cache.keep(b"alone", alone)
        self.cache.cell(b"world").number = 1
        self.cache.flush()
        swept(self.cache)
        self.cache.prove(self.monotonic.seconds())
        self.assertTrue(self.cache.fresh)
        self.assertEqual((self.cache.find(TOKEN), self.cache.find(b"alone")), (None, None))
        self.assertFalse(self.cache.counts(entry) or self.cache.counts(alone))
        self.assertIsNone(self.cache.number(b"world"))
        self.assertEqual((len(self.cache.entries), self.cache.weight, len(registered(self.cache))), (0, 0, 0))
        self.assertEqual((self.cache.tally.entries, self.cache.tally.bytes, self.cache.tally.voids), (0, 0, 1))

    def test_a_large_flush_is_swept_in_pieces(self) -> None:
        """What a flush leaves for later cannot be proven meanwhile: whoever has some of it in hand may not use it."""
        first = self.keep(b"first")
        for n in range(3 * module.PIECE):
            self.keep(b"%d" % n)
        self.cache.flush()
        self.cache.prove(self.monotonic.seconds())
        self.assertFalse(self.cache.fresh)
        self.assertFalse(self.cache.counts(first))
        pieces = 0
        while self.cache.sweep():
            pieces += 1
        self.assertGreater(pieces, 1)
        self.cache.prove(self.monotonic.seconds())
        self.assertTrue(self.cache.fresh)
        self.assertFalse(self.cache.counts(first))

    def test_odd_names(self) -> None:
        """Messages of any bytes change nothing that has not their name."""
        entry = self.keep()
        for name in (b"", b"a:", b"\0\xff", b"a:" + TOKEN + b"x", b"world\0", b"x" * 100_000):
            self.cache.changed(name)
        self.assertIs(self.cache.find(TOKEN), entry)


class BoundTests(CacheCase):
    """How much is kept."""

    def test_entries(self) -> None:
        """No more entries than that are kept; what was not used goes first."""
        self.cache = self.made(most_entries=3)
        for name in (b"a", b"b", b"c"):
            self.keep(name)
        self.cache.find(b"a")
        self.keep(b"d")
        self.assertEqual(set(self.cache.entries), {b"a", b"c", b"d"})
        self.assertEqual(self.cache.tally.evicted, 1)

    def test_bytes(self) -> None:
        """What is kept takes no more than that by estimate, names that it stands on included."""
        self.cache = self.made(most_bytes=10_000)
        for n in range(50):
            self.keep(b"%d" % n, b"x" * 200, b"client %d" % n)
            self.assertLessEqual(self.cache.weight, 10_000)
        self.assertGreater(len(self.cache.entries), 10)
        self.assertEqual(self.cache.tally.bytes, self.cache.weight)

    def test_larger_than_all(self) -> None:
        """What is larger than the bound alone is not kept, and nothing is left of it."""
        self.cache = self.made(most_bytes=1000)
        entry = self.keep(TOKEN, b"x" * 2000)
        self.assertFalse(self.cache.counts(entry))
        self.assertEqual((self.cache.weight, len(registered(self.cache))), (0, 0))

    def test_evicted_in_hand(self) -> None:
        """Who has an entry in hand that was evicted may not use it: it hears of nothing any more."""
        self.cache = self.made(most_entries=1)
        entry = self.keep(b"a")
        self.keep(b"b")
        self.assertFalse(self.cache.counts(entry))

    def test_replaced_in_hand(self) -> None:
        """Nor one that was replaced."""
        entry, new = self.keep(), self.keep()
        self.assertFalse(self.cache.counts(entry))
        self.assertTrue(self.cache.counts(new))

    def test_a_cache_full_of_used_entries(self) -> None:
        """An eviction passes over a bounded number of used entries: nobody waits for a walk through all of them."""
        self.patch(module, "MOST_CHANCES", 10)
        self.cache = self.made(most_entries=100)
        for n in range(100):
            self.keep(b"%d" % n)
        for entry in self.cache.entries.values():
            entry.hot = True
        self.keep(b"new")
        self.assertEqual(len(self.cache.entries), 100)
        self.assertEqual(sum(not entry.hot for entry in self.cache.entries.values()), 11)  # with the new one

    def test_cells_do_not_stay(self) -> None:
        """A name that nothing stands on any more is forgotten, however the entries went."""
        self.cache = self.made(most_entries=10)
        for n in range(100):
            self.keep(b"%d" % n, b"x", b"client %d" % n, b"user %d" % n)
            self.assertLessEqual(len(registered(self.cache)), 20)
        for n in range(100):
            self.cache.changed(b"client %d" % n)
            self.cache.changed(b"user %d" % n)
        self.assertEqual(len(registered(self.cache)), 0)
        for n in range(100):
            self.keep(b"%d" % n, b"x", b"world")
        self.assertEqual(set(registered(self.cache)), {b"world"})

    def test_the_one_cell_that_stands_for_none(self) -> None:
        """The cell of entries that need fewer than four is never flipped."""
        self.keep()
        self.cache.changed(b"")
        self.cache.flush()
        self.assertTrue(ALWAYS.stands)


class AbsenceTests(CacheCase):
    """What is known not to be there."""

    def test_known(self) -> None:
        """An absence is found like anything else, until its name is told."""
        self.keep(b"client:x", None, b"client:x")
        found = self.cache.find(b"client:x")
        assert found is not None
        self.assertIsNone(found.value)
        self.cache.changed(b"client:x")
        self.assertIsNone(self.cache.find(b"client:x"))

    def test_a_flood_pushes_nothing_out(self) -> None:
        """Whoever asks for what is not there, however often, takes no place of what is, and leaves nothing behind."""
        self.cache = self.made(most_entries=10)
        entries = [self.keep(b"%d" % n, b"x", b"world") for n in range(10)]
        for n in range(5000):
            name = b"client:%d" % n
            self.keep(name, None, name, b"gen:" + name, b"world")
        self.assertTrue(all(map(self.cache.counts, entries)))
        self.assertEqual(self.cache.tally.evicted, 0)
        self.assertEqual(len(self.cache._order), 10)
        self.assertEqual(len(self.cache._absences), module.MOST_ABSENCES)
        self.assertEqual(len(registered(self.cache)), 2 * module.MOST_ABSENCES + 1)

    def test_comes_to_be(self) -> None:
        """What was absent and is there now is found, and counted among what is; and the other way round."""
        self.keep(b"client:x", None, b"client:x")
        there = self.keep(b"client:x", b"there", b"client:x")
        self.assertIs(self.cache.find(b"client:x"), there)
        gone = self.keep(b"client:x", None, b"client:x")
        self.assertIs(self.cache.find(b"client:x"), gone)
        self.assertFalse(self.cache.counts(there))
        again = self.keep(b"client:x", b"there", b"client:x")
        self.assertIs(self.cache.find(b"client:x"), again)
        self.assertEqual((len(self.cache.entries), len(self.cache._order)), (1, 1))


class TicketTests(CacheCase):
    """What was heard while a read was under way."""

    def test_touched(self) -> None:
        """A ticket tells the names heard since it was taken, not those from before."""
        other = self.cache.open()
        self.cache.changed(b"early")
        ticket = self.cache.open()
        self.cache.changed(b"late")
        self.assertEqual(self.cache.touched(ticket), {b"late"})
        self.assertEqual(self.cache.touched(other), {b"early", b"late"})
        self.cache.close(other)
        self.assertEqual(self.cache.touched(ticket), {b"late"})

    def test_flush_voids(self) -> None:
        """A flush voids every ticket that is out, for all names."""
        ticket = self.cache.open()
        self.cache.flush()
        self.assertIsNone(self.cache.touched(ticket))
        self.assertEqual(self.cache.touched(self.cache.open()), frozenset())

    def test_a_flood_voids(self) -> None:
        """More changes than are remembered void the tickets that are out; what is remembered stays bounded."""
        ticket = self.cache.open()
        for n in range(3 * module.MOST_HEARD):
            self.cache.changed(b"%d" % n)
            self.assertLessEqual(len(self.cache._heard), module.MOST_HEARD)
        self.assertIsNone(self.cache.touched(ticket))

    def test_nothing_is_remembered_for_nobody(self) -> None:
        """With no ticket out no change is remembered."""
        for n in range(10):
            ticket = self.cache.open()
            self.cache.changed(b"%d" % n)
            self.cache.close(ticket)
            self.cache.changed(b"%d" % n)
        self.assertEqual(self.cache._heard, [])


class ThroughTests(CacheCase):
    """Reading through."""

    def setUp(self) -> None:
        """Nothing has been read."""
        super().setUp()
        self.reads: list[Deferred[Any]] = []

    def ask(self, name: bytes = b"scopes", fresh: bool = False) -> Deferred[Entry]:
        """Ask for something that stands on its own name; `reads` holds what the store would answer."""

        async def read() -> Any:
            reply: Deferred[Any] = Deferred()
            self.reads.append(reply)
            return await reply

        return ensureDeferred(self.cache.through(name, (name,), read, fresh))

    def test_once(self) -> None:
        """Who asks while a read is under way waits for it; who asks later gets it from memory."""
        asked = [self.ask() for _ in range(3)]
        self.assertEqual(len(self.reads), 1)
        self.reads[0].callback("value")
        found = [self.successResultOf(one) for one in asked]
        self.assertEqual([one.value for one in found], ["value"] * 3)
        self.assertIs(self.successResultOf(self.ask()), found[0])
        self.assertEqual((self.cache.tally.shared, self.cache.tally.hits), (2, 1))

    def test_cancelled(self) -> None:
        """One who waits and is cancelled cancels nobody else, the one who began the read included."""
        asked = [self.ask() for _ in range(3)]
        asked[0].cancel()
        self.failureResultOf(asked[0], CancelledError)
        self.reads[0].callback("value")
        self.assertEqual([self.successResultOf(one).value for one in asked[1:]], ["value"] * 2)
        self.assertEqual(self.successResultOf(self.ask()).value, "value")

    def test_all_cancelled(self) -> None:
        """A read that nobody waits for any more is kept all the same, and its failure bothers nobody."""
        self.ask().addErrback(lambda failure: None).cancel()
        self.reads[0].callback("value")
        self.assertEqual(self.successResultOf(self.ask()).value, "value")
        self.ask(b"other").addErrback(lambda failure: None).cancel()
        self.reads[1].errback(StoreUnavailable("away"))
        self.assertEqual(self.flushLoggedErrors(), [])

    def test_failure(self) -> None:
        """A failure reaches all who wait, is not kept, and leaves no ticket out."""
        asked = [self.ask() for _ in range(3)]
        self.reads[0].errback(StoreUnavailable("away"))
        for one in asked:
            self.failureResultOf(one, StoreUnavailable)
        again = self.ask()
        self.reads[1].callback("value")
        self.assertEqual(self.successResultOf(again).value, "value")
        self.assertEqual((self.cache._open, self.cache._reads), (0, {}))

    def test_changed_meanwhile(self) -> None:
        """What is read while it changes is used once and not kept; who asks after the change has it read anew."""
        early = self.ask()
        self.cache.changed(b"scopes")
        late = self.ask()
        self.assertEqual(len(self.reads), 2)
        self.reads[1].callback("new")
        self.reads[0].callback("old")
        old = self.successResultOf(early)
        self.assertEqual(old.value, "old")
        self.assertFalse(self.cache.counts(old))
        self.assertEqual(self.successResultOf(late).value, "new")
        self.assertEqual(self.successResultOf(self.ask()).value, "new")
        self.assertEqual(self.cache.tally.unkept, 1)

    def test_another_name_changed_meanwhile(self) -> None:
        """A change of something else keeps nobody from keeping."""
        asked = self.ask()
        self.cache.changed(b"other")
        self.reads[0].callback("value")
        self.assertTrue(self.cache.counts(self.successResultOf(asked)))

    def test_flushed_meanwhile(self) -> None:
        """What was asked before a flush is not kept after it, though a proof has come since."""
        asked = self.ask()
        self.cache.flush()
        self.cache.prove(self.monotonic.seconds())
        self.reads[0].callback("value")
        self.assertEqual(self.successResultOf(asked).value, "value")
        self.assertIsNone(self.cache.find(b"scopes"))

    def test_unproven(self) -> None:
        """Without a proof each look is a read, and nothing is kept."""
        self.monotonic.advance(2)
        for n in range(2):
            asked = self.ask()
            self.reads[n].callback("value")
            self.assertEqual(self.successResultOf(asked).value, "value")
        self.assertEqual(len(self.cache.entries), 0)

    def test_fresh(self) -> None:
        """Who wants it as it is now joins no read under way; what has not changed goes on counting in hand."""
        asked = self.ask()
        fresh = self.ask(fresh=True)
        self.reads[0].callback("value")
        self.reads[1].callback("value")
        former = self.successResultOf(asked)
        self.assertIs(self.successResultOf(fresh), former)
        newer = self.ask(fresh=True)
        self.reads[2].callback("other")
        self.assertEqual(self.successResultOf(newer).value, "other")
        self.assertFalse(self.cache.counts(former))

    def test_the_age_counts_from_the_sending(self) -> None:
        """The longest age is counted from when the read was sent."""
        asked = self.ask()
        self.monotonic.advance(1)
        self.reads[0].callback("value")
        self.assertEqual(self.successResultOf(asked).aged, 600.0)

    def test_late(self) -> None:
        """A reply on its way for longer than a proof counts is not believed: this process may have stood still."""
        asked = self.ask()
        self.monotonic.advance(10)
        self.reads[0].callback("old")
        self.assertNoResult(asked)
        self.reads[1].callback("new")
        self.assertEqual(self.successResultOf(asked).value, "new")

    def test_always_late(self) -> None:
        """A store that always answers too late is as good as none."""
        asked = self.ask()
        for n in range(module.TRIES):
            self.monotonic.advance(2)
            self.reads[n].callback("old")
        self.failureResultOf(asked, StoreUnavailable)
        self.assertEqual(self.cache._open, 0)


class TimelyTests(CacheCase):
    """Reads of which nothing is kept."""

    def test_late(self) -> None:
        """A reply on its way for longer than a proof counts is not believed either; always late is no reply."""
        for lasting in (0.0, 1.9375, 2.0):
            replies: list[Deferred[str]] = []

            def read(replies: list[Deferred[str]] = replies) -> Deferred[str]:
                replies.append(Deferred())
                return replies[-1]

            asked = ensureDeferred(self.cache.timely(read))
            while not asked.called:
                self.monotonic.advance(lasting)
                replies[-1].callback("found")
            if lasting < 2:
                self.assertEqual((self.successResultOf(asked), len(replies)), ("found", 1))
            else:
                self.failureResultOf(asked, StoreUnavailable)
                self.assertEqual(len(replies), module.TRIES)


VALUES = [b"n%d" % n for n in range(6)]
SUBJECTS = [b"world", b"c0", b"c1", b"u0", b"u1", b"g0", b"g1"]
names = st.sampled_from(VALUES)
subjects = st.lists(st.sampled_from(SUBJECTS), max_size=4, unique=True).map(tuple)
seconds = st.sampled_from([0.0, 0.25, 1.0, 2.5, 8.0])


@define(eq=False)
class Asked:
    """Somebody who waits, the newest of what had been heard when he asked, and what he was told."""

    heard: dict[bytes, int]
    waiting: Deferred[Any]
    told: list[Any] = field(factory=list)


@define(eq=False)
class Sent:
    """A read under way: what stands in the store at the time it was sent, which is the oldest that it may bring."""

    subjects: tuple[bytes, ...]
    found: dict[bytes, int]
    reply: Deferred[Any]


@define(eq=False)
class Held:
    """An entry in somebody's hand, and what it says."""

    entry: Entry
    name: bytes
    subjects: tuple[bytes, ...]
    found: dict[bytes, int]
    until: float
    sent: float
    flushes: int = field(default=0)


class CacheMachine(RuleBasedStateMachine):
    """Drives a small cache beside a model: a number for each subject, which a change raises as it is heard."""

    tickets = Bundle("tickets")
    held = Bundle("held")

    @initialize(entries=st.integers(1, 4), room=st.sampled_from([2000, 100_000]))
    def begin(self, entries: int, room: int) -> None:
        """An empty cache."""
        self.monotonic, self.wall = Clock(), Clock()
        self.cache = Cache(
            self.monotonic.seconds, self.wall.seconds, max_staleness=2.0, most_entries=entries, most_bytes=room,
            longest=5.0,
        )  # fmt: skip
        self.numbers = dict.fromkeys(SUBJECTS, 0)
        self.latest: dict[bytes, Held] = {}
        self.proven = -math.inf
        self.flushes = 0
        self.asked: list[Asked] = []
        self.sent: list[Sent] = []

    @rule(by=seconds)
    def time_passes(self, by: float) -> None:
        """For both clocks; no timer is run."""
        self.monotonic.rightNow += by
        self.wall.rightNow += by

    @rule(ago=st.sampled_from([0.0, 0.5, 1.75, 3.0]))
    def prove(self, ago: float) -> None:
        """A heartbeat of a while ago has come back."""
        sent = self.monotonic.seconds() - ago
        self.cache.prove(sent)
        self.proven = max(self.proven, sent)

    @rule(name=st.sampled_from(SUBJECTS))
    def change(self, name: bytes) -> None:
        """Something changes."""
        self.numbers[name] += 1
        self.cache.changed(name)

    @rule(name=names)
    def end(self, name: bytes) -> None:
        """A token is no more."""
        self.cache.changed(b"a:" + name)
        self.latest.pop(name, None)

    @rule()
    def flush(self) -> None:
        """The subscription was lost."""
        self.cache.flush()
        self.proven = -math.inf
        self.flushes += 1

    @rule(target=tickets)
    def open(self) -> tuple[Any, dict[bytes, int], int, float]:
        """A read is sent, and the store answers as it stands."""
        return self.cache.open(), dict(self.numbers), self.flushes, self.monotonic.seconds()

    @rule(
        target=held, taken=consumes(tickets), name=names, on=subjects, absent=st.booleans(),
        lives=st.sampled_from([0.5, 3.0, 100.0]), together=st.integers(0, 3),
    )  # fmt: skip
    def keep(
        self, taken: Any, name: bytes, on: tuple[bytes, ...], absent: bool, lives: float, together: int
    ) -> Held:
        """The reply comes; it is kept where nothing touched it, some of what it stands on as a whole."""
        ticket, numbers, flushes, sent = taken
        touched = self.cache.touched(ticket)
        self.cache.close(ticket)
        until = self.wall.seconds() + lives
        may = touched is not None and touched.isdisjoint(on) and self.cache.fresh
        if flushes != self.flushes:
            assert touched is None
        elif touched is not None:
            assert {one for one in SUBJECTS if self.numbers[one] != numbers[one]} == touched & set(SUBJECTS)
        cells = tuple(map(self.cache.cell, on[together:])) if may else ()
        if may and on[:together]:
            cells = (*cells, self.cache.whole(on[:together]))
        entry = Entry(None if absent else b"v", until, sent + 5.0 if may else -math.inf, cells)
        holding = Held(entry, name, on, {one: numbers[one] for one in on}, until, sent, self.flushes)
        if may:
            self.cache.keep(name, entry)
            self.latest[name] = holding
        return holding

    def true(self, one: Held) -> bool:
        """May this be said now?"""
        return (
            self.latest.get(one.name) is one
            and one.flushes == self.flushes
            and all(self.numbers[name] == number for name, number in one.found.items())
            and self.wall.seconds() < one.until
            and self.monotonic.seconds() < min(one.sent + 5.0, self.proven + 2.0)
        )

    @rule(one=held)
    def use_in_hand(self, one: Held) -> None:
        """What is in hand counts only where it is true."""
        if self.cache.counts(one.entry):
            assert self.true(one), one

    @rule(name=names)
    def find(self, name: bytes) -> None:
        """What is found is the latest that was kept, and true; nothing true is lost but by eviction."""
        found, latest = self.cache.find(name), self.latest.get(name)
        if found is not None:
            assert latest is not None and found is latest.entry and self.true(latest)
        elif latest is not None and self.true(latest):
            assert latest.entry.value is None or self.cache.tally.evicted

    # reading through, for names of their own

    @rule(number=st.integers(0, 2), fresh=st.booleans())
    def ask(self, number: int, fresh: bool) -> None:
        """Somebody asks for something that stands on two subjects."""
        on = (SUBJECTS[number], SUBJECTS[number + 3])

        async def read() -> Any:
            reply: Deferred[Any] = Deferred()
            self.sent.append(Sent(on, {name: self.numbers[name] for name in on}, reply))
            return await reply

        waiting = ensureDeferred(self.cache.through(b"r%d" % number, on, read, fresh))
        asked = Asked({name: self.numbers[name] for name in on}, waiting)
        waiting.addBoth(asked.told.append)
        self.asked.append(asked)

    @rule(data=st.data(), fails=st.booleans())
    def reply(self, data: st.DataObject, fails: bool) -> None:
        """A reply comes, or none will."""
        if self.sent:
            one = self.sent.pop(data.draw(st.integers(0, len(self.sent) - 1)))
            if fails:
                one.reply.errback(StoreUnavailable("away"))
            else:
                one.reply.callback(tuple(sorted(one.found.items())))

    @rule(data=st.data())
    def cancel(self, data: st.DataObject) -> None:
        """One of those who wait goes away."""
        if self.asked:
            one = self.asked.pop(data.draw(st.integers(0, len(self.asked) - 1)))
            one.waiting.cancel()
            assert isinstance(one.told[0], Failure) and one.told[0].check(CancelledError)

    @invariant()
    def nobody_is_told_what_had_changed_before_he_asked(self) -> None:
        """Shared reads and memory alike; and nobody waits whose read is not under way."""
        for one in [one for one in self.asked if one.told]:
            self.asked.remove(one)
            (outcome,) = one.told
            if isinstance(outcome, Failure):
                outcome.trap(StoreUnavailable)
            else:
                said = dict(outcome.value)
                assert all(said[name] >= number for name, number in one.heard.items()), (one, said)
        assert self.sent or not self.asked

    @invariant()
    def bounds_hold(self) -> None:
        """In entries and bytes; and cells are those of entries, counted right."""
        cache = self.cache
        assert len(cache.entries) <= cache.most_entries
        assert cache.weight <= cache.most_bytes or not cache.entries
        assert sorted(cache.entries) == sorted(cache._order)
        assert self.sent or not cache._reads
        counted: dict[int, int] = {}
        for cell in self._standing():
            counted[id(cell)] = counted.get(id(cell), 0) + 1
        for name, cell in registered(cache).items():
            assert cell.name == name and cell.stands and cell.entries == counted[id(cell)] > 0

    def _standing(self) -> Iterator[Any]:
        for table in (self.cache.entries, self.cache._absences):
            for entry in table.values():
                yield from entry.cells
        for cell in registered(self.cache).values():
            yield from cell.parts


CacheMachine.TestCase.settings = settings(
    max_examples=60, stateful_step_count=60, deadline=None, suppress_health_check=list(HealthCheck)
)


class ModelTests(SynchronousTestCase):
    """The cache beside a simple model."""

    def test_any_sequence(self) -> None:
        """In any order of reads, changes, proofs, floods and time, nothing is said that the model would not say."""
        self.patch(module, "MOST_ABSENCES", 3)
        self.patch(module, "MOST_HEARD", 6)
        case = CacheMachine.TestCase("runTest")
        case.runTest()
