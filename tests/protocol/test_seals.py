"""Seals and keyed digests."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from oauthd.protocol.seals import SealBroken, Seals

OLD, NEW, OTHER = bytes(range(32)), bytes(range(1, 33)), bytes(range(2, 34))


def seals(*keys: bytes) -> Seals:
    """Seals whose nonces count upwards."""
    drawn = 0

    def entropy(octets: int) -> bytes:
        nonlocal drawn
        drawn += 1
        return drawn.to_bytes(octets, "big")

    return Seals(keys or (OLD,), entropy)


class SealTests(SynchronousTestCase):
    """`seal` and `open`."""

    def broken(self, opener: Seals, sealed: bytes, purpose: str = "p") -> None:
        """It does not open, and the error says nothing."""
        error = self.assertRaises(SealBroken, opener.open, purpose, sealed)
        self.assertEqual(str(error), "the seal does not open")

    @given(st.binary(), st.text())
    def test_round_trip(self, plain: bytes, purpose: str) -> None:
        """What was sealed opens for its purpose, here and in another process with the same key."""
        purpose = purpose.encode("utf-8", "replace").decode()
        sealed = seals().seal(purpose, plain)
        self.assertEqual(seals().open(purpose, sealed), plain)

    def test_any_damage_is_noticed(self) -> None:
        """A bit changed anywhere, an octet less or more: it does not open."""
        one = seals()
        sealed = one.seal("p", b"private key")
        for place in range(len(sealed)):
            for bit in (1, 0x80):
                self.broken(one, sealed[:place] + bytes([sealed[place] ^ bit]) + sealed[place + 1 :])
            self.broken(one, sealed[:place])
        self.broken(one, sealed + b"\x00")

    @given(st.binary(max_size=80))
    def test_any_octets_are_survived(self, octets: bytes) -> None:
        """Whatever lies in the store is refused in one way."""
        self.broken(seals(), octets)
        self.broken(seals(), seals().seal("p", b"")[:5] + octets)
        self.assertRaises(SealBroken, seals().open_for, "token", octets)

    def test_purposes_do_not_mix(self) -> None:
        """What was sealed for one purpose opens for no other, nor a seal for a token as one of ours."""
        one = seals()
        self.broken(one, one.seal("p", b"x"), "q")
        self.broken(one, one.seal("", b"x"), "p")
        self.broken(one, one.seal_for("token", b"x"), "p")

    def test_one_text_seals_differently_each_time(self) -> None:
        """Equal secrets do not look equal in the store, and no nonce is used twice."""
        one = seals()
        self.assertNotEqual(one.seal("p", b"x"), one.seal("p", b"x"))

    def test_nothing_shows(self) -> None:
        """Neither the secret nor a master key is in the seal, the fingerprint or the repr."""
        one = seals()
        shown = one.seal("p", b"secret" * 5) + repr(one).encode() + one.fingerprint.encode()
        for secret in (b"secret", OLD, OLD[:8], OLD.hex().encode()[:16]):
            self.assertNotIn(secret, shown)

    def test_changing_the_master_key(self) -> None:
        """The new first key seals; what the old one sealed still opens and is told apart; without it, it does not."""
        sealed = seals(OLD).seal("p", b"x")
        both = seals(NEW, OLD)
        self.assertEqual(both.open("p", sealed), b"x")
        self.assertFalse(both.is_current(sealed))
        again = both.seal("p", b"x")
        self.assertTrue(both.is_current(again))
        self.assertEqual(seals(NEW).open("p", again), b"x")
        self.broken(seals(OLD), again)
        self.broken(seals(NEW, OTHER), sealed)

    def test_fingerprints(self) -> None:
        """A fingerprint names a key, the same everywhere; the first key's is the one that counts."""
        self.assertEqual(seals(NEW, OLD).fingerprints, (seals(NEW).fingerprint, seals(OLD).fingerprint))
        self.assertEqual(seals(NEW, OLD).fingerprint, seals(NEW).fingerprint)
        self.assertEqual(seals(OLD, OLD).fingerprints, seals(OLD).fingerprints)
        self.assertRegex(seals().fingerprint, r"\A[0-9a-f]{16}\Z")

    def test_master_keys_have_32_octets(self) -> None:
        """None at all, a short one, a long one."""
        for keys in ((), (b"",), (OLD[:31],), (OLD + b"x",), (OLD, b"short")):
            self.assertRaises(ValueError, Seals, keys, bytes)

    def test_derived_keys_do_not_pile_up(self) -> None:
        """A purpose for each signing key does not fill the memory, and old ones still open."""
        one = seals()
        sealed = one.seal("p 0", b"x")
        for number in range(1, 200):
            one.seal(f"p {number}", b"x")
        self.assertLessEqual(len(one._derived), 64)
        self.assertEqual(one.open("p 0", sealed), b"x")


class DigestTests(SynchronousTestCase):
    """`digest`, `digests`, `verify`."""

    @given(st.binary(), st.binary())
    def test_equal_data_equal_digest(self, one: bytes, other: bytes) -> None:
        """Digests are equal exactly when the data are."""
        self.assertEqual(seals().digest("p", one) == seals().digest("p", other), one == other)

    def test_key_and_purpose_count(self) -> None:
        """Another key, another purpose, a seal's key: another digest."""
        one = seals()
        found = {one.digest("p", b"x"), one.digest("q", b"x"), seals(NEW).digest("p", b"x"), one.digest("seal p", b"x")}
        self.assertEqual(len(found), 4)

    def test_after_a_change_of_the_master_key(self) -> None:
        """Digests are by the first key; older ones verify while their key is given."""
        digest = seals(OLD).digest("p", b"secret")
        both = seals(NEW, OLD)
        self.assertEqual(both.digest("p", b"secret"), seals(NEW).digest("p", b"secret"))
        self.assertEqual(both.digests("p", b"secret"), (seals(NEW).digest("p", b"secret"), digest))
        self.assertTrue(both.verify("p", b"secret", digest))
        self.assertFalse(seals(NEW).verify("p", b"secret", digest))
        for wrong in (b"", digest[:-1], digest + b"x", bytes(32)):
            self.assertFalse(both.verify("p", b"secret", wrong))


class TokenSealTests(SynchronousTestCase):
    """`seal_for` and `open_for`."""

    @given(st.text(), st.binary())
    def test_the_holder_opens(self, token: str, plain: bytes) -> None:
        """Whoever holds the token opens it, on a node with another master key too."""
        self.assertEqual(seals(NEW).open_for(token, seals(OLD).seal_for(token, plain)), plain)

    def test_nobody_else_does(self) -> None:
        """Another token does not, nor the master key."""
        one = seals()
        sealed = one.seal_for("ort_a", b"answer")
        for token in ("ort_b", "", "ort_a ", "ORT_A"):
            self.assertRaises(SealBroken, one.open_for, token, sealed)
        self.assertNotIn(b"answer", sealed)
