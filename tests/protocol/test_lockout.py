"""How password guessing is slowed down."""

from __future__ import annotations

import hashlib
import sys
import unicodedata

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from oauthd.protocol import lockout
from oauthd.protocol.lockout import Policy, attempt, blocked, canonical_name, canonical_source, returned
from oauthd.protocol.records import Lockout

NOW = 1_800_000_000.25


def digest(purpose: str, data: bytes) -> bytes:
    """Stands in for the keyed digest."""
    return hashlib.sha256(purpose.encode() + b"\x00" + data).digest()


def failing(count: int, policy: Policy = lockout.DEFAULT) -> tuple[Lockout | None, float, list[float]]:
    """So many failures, each as early as allowed: the record, the time, the waits in between."""
    record: Lockout | None = None
    now, waits = NOW, []
    for _ in range(count):
        wait = blocked(record, now)
        waits.append(wait)
        now += wait
        record = attempt(record, now, policy)
    return record, now, waits


class PolicyTests(SynchronousTestCase):
    """`blocked`, `attempt`, `returned`."""

    def test_delays(self) -> None:
        """Four failures are free, from the fifth the delay doubles, the tenth and each one after it lock for 900 s."""
        _, _, waits = failing(13)
        self.assertEqual(waits, [0, 0, 0, 0, 0, 1, 2, 4, 8, 16, 900, 900, 900])

    def test_a_blocked_attempt_cannot_be_reserved(self) -> None:
        """Whoever forgot to ask is stopped, and nothing is counted."""
        record, now, _ = failing(5)
        self.assertRaises(ValueError, attempt, record, now)
        self.assertRaises(ValueError, attempt, record, now + 0.99)
        self.assertEqual(attempt(record, now + 1).failures, 6)

    def test_memory(self) -> None:
        """A quiet hour forgets everything, an hour less does not."""
        record, now, _ = failing(12)
        assert record is not None
        self.assertEqual(record.expires_at, int(now + 900) + 3600)
        self.assertEqual(attempt(record, record.expires_at - 1).failures, 13)
        self.assertEqual(attempt(record, record.expires_at).failures, 1)
        self.assertEqual(blocked(record, record.expires_at), 0)

    def test_a_record_outlives_its_block(self) -> None:
        """While something is blocked its record exists, whatever the settings."""
        for policy in (Policy(lock=900, memory=1), Policy(first_delay=50.0, memory=1), Policy(delayed_from=1)):
            record, _, _ = failing(11, policy)
            assert record is not None
            self.assertGreaterEqual(record.expires_at, int(record.blocked_until))

    @given(
        st.builds(
            Policy,
            delayed_from=st.integers(1, 101),
            first_delay=st.floats(0.1, 100),
            locked_from=st.integers(1, 1000),
            lock=st.floats(1, 86400),
            memory=st.integers(1, 86400),
        ),
        st.integers(0, 10_000),
    )
    def test_delays_only_grow(self, policy: Policy, failures: int) -> None:
        """With any settings one more failure never shortens the wait, and no wait exceeds the lock."""
        self.assertLessEqual(policy.delay(failures), max(policy.delay(failures + 1), 0))
        self.assertLessEqual(policy.delay(failures), policy.lock)

    def test_parallel_attempts_do_not_share_a_count(self) -> None:
        """Attempts under way at once are counted one by one, before any of them is judged."""
        record: Lockout | None = None
        for _ in range(5):
            record = attempt(record, NOW)
        self.assertGreater(blocked(record, NOW), 0)

    def test_giving_back(self) -> None:
        """An attempt given back leaves the rest, and lifts the block that it brought."""
        before, now, _ = failing(5)
        now += 1
        reserved = attempt(before, now)
        after = returned(reserved, reserved, now + 0.2)
        assert after is not None
        self.assertEqual((after.failures, blocked(after, now + 0.2)), (5, 0))
        self.assertGreaterEqual(after.expires_at, int(now) + 3600)

    def test_giving_back_lifts_no_other_block(self) -> None:
        """A right password of an attacker's own account does not lift what his guesses meanwhile brought."""
        before, now, _ = failing(3)
        reserved = attempt(before, now)
        guess = attempt(reserved, now + 0.1)
        after = returned(guess, reserved, now + 0.2)
        assert after is not None
        self.assertEqual((after.failures, after.blocked_until), (4, guess.blocked_until))
        self.assertGreater(blocked(after, now + 0.2), 0)

    def test_nothing_left(self) -> None:
        """The only attempt given back leaves nothing, nor does one whose record has ended."""
        record = attempt(None, NOW)
        self.assertIsNone(returned(record, record, NOW))
        self.assertIsNone(returned(None, record, NOW))
        ended, _, _ = failing(3)
        assert ended is not None
        self.assertIsNone(returned(ended, ended, ended.expires_at))

    @given(st.lists(st.sampled_from(["guess", "own"]), max_size=60))
    def test_an_own_account_buys_no_guesses(self, steps: list[str]) -> None:
        """Whatever right passwords come in between, a source gets no more guesses in a time than without them."""
        record: Lockout | None = None
        now, guesses = NOW, 0
        for step in steps:
            now += blocked(record, now)
            reserved = attempt(record, now)
            record = reserved
            if step == "own":
                record = returned(record, reserved, now)
            else:
                guesses += 1
        _, alone, _ = failing(guesses)
        self.assertGreaterEqual(now - NOW, alone - NOW)


class NameTests(SynchronousTestCase):
    """What counts as the same account or source."""

    def test_spellings_of_one_name(self) -> None:
        """Case, full width, ligatures, composition, invisible characters and outer blanks make no difference."""
        for spellings in (
            ("ada", "Ada", "ADA", " ada ", "\uff21da", "a\u200bda", "ada\u0000", "\ufeffada", "a\u00adda"),
            ("straße", "STRASSE", "Strasse", "stra\u017f\u017fe"),
            ("file", "\ufb01le", "FILE"),
            ("josé", "jose\u0301", "JOSÉ", "jose\u200d\u0301"),
            ("ὀδυσσεύς", "ὈΔΥΣΣΕΎΣ"),
        ):
            self.assertEqual(len({canonical_name(name) for name in spellings}), 1, spellings)

    def test_different_names(self) -> None:
        """Other letters are other names, also those that only look alike; an inner blank counts."""
        for one, other in (("ada", "ad\u0430"), ("ada", "adä"), ("ada l", "adal"), ("a.b", "ab"), ("ada", "")):
            self.assertNotEqual(canonical_name(one), canonical_name(other))

    def test_canonical_is_stable(self) -> None:
        """Every character's canonical form, alone and after a letter, is its own canonical form."""
        for point in range(sys.maxunicode + 1):
            letter = chr(point)
            if unicodedata.category(letter) not in ("Cn", "Co", "Lo"):
                once = canonical_name(f"a{letter}")
                self.assertEqual(canonical_name(once), once, hex(point))

    @given(st.text())
    def test_canonical_is_stable_for_any_text(self, name: str) -> None:
        """Whatever is typed, lone surrogates included, has one canonical form, in any case."""
        once = canonical_name(name)
        self.assertEqual(canonical_name(once), once)
        lockout.account_key(name, digest)

    def test_sources(self) -> None:
        """A source is an IPv4 address or a /64; an IPv4 address in IPv6 form is the IPv4 one; else there is none."""
        self.assertEqual(canonical_source("192.0.2.1"), "192.0.2.1")
        self.assertEqual(canonical_source("::ffff:192.0.2.1"), "192.0.2.1")
        self.assertEqual(canonical_source("2001:db8:1:2::5"), canonical_source("2001:DB8:1:2:ffff:ffff:ffff:ffff"))
        self.assertNotEqual(canonical_source("2001:db8:1:2::5"), canonical_source("2001:db8:1:3::5"))
        self.assertEqual(canonical_source("fe80::1%eth0"), canonical_source("fe80::2%eth1"))
        self.assertEqual([canonical_source(text) for text in ("", "unix", "1.2.3", "192.0.2.01")], [""] * 4)

    def test_keys(self) -> None:
        """Spellings share a key; accounts, sources and browsers of equal text do not; no name shows in a key."""
        self.assertEqual(lockout.account_key("ADA ", digest), lockout.account_key("ada", digest))
        keys = {
            lockout.account_key("192.0.2.1", digest),
            lockout.source_key("192.0.2.1", digest),
            lockout.browser_key("192.0.2.1", "", digest),
            lockout.browser_key("192.0.2.1", "b", digest),
            lockout.account_key("192.0.2.2", digest),
        }
        self.assertEqual(len(keys), 5)
        self.assertNotIn(b"ada", lockout.account_key("ada", digest))
