"""The stages of signing keys."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from oauthd.protocol import rotation
from oauthd.protocol.records import KeyRing, SealedKey
from oauthd.protocol.rotation import LATE, Stage

NOW = 1_800_000_000
DAY = 86400
RETIREMENT = 3600


def key(kid: str, signs_from: int, algorithm: str = "ES256", created_at: int = NOW) -> SealedKey:
    """A key."""
    return SealedKey(kid, algorithm, {}, b"", created_at, signs_from)


def joined(ring: KeyRing, *fresh: SealedKey) -> KeyRing:
    """The ring with new keys."""
    return rotation.joined(ring, fresh, RETIREMENT)


class RotationTests(SynchronousTestCase):
    """Rules over a ring."""

    def kid(self, ring: KeyRing, now: float) -> str:
        """Who signs."""
        found = rotation.signing(ring, "ES256", now)
        assert found is not None
        return found.kid

    def test_stages(self) -> None:
        """A key is announced, signs when its time comes, retires when its successor's has, and then is gone."""
        ring = joined(joined(KeyRing(), key("a", NOW)), key("b", NOW + DAY))
        end = NOW + DAY + RETIREMENT + LATE
        for now, stages in (
            (NOW, {"a": Stage.SIGNING, "b": Stage.ANNOUNCED}),
            (NOW + DAY - 1, {"a": Stage.SIGNING, "b": Stage.ANNOUNCED}),
            (NOW + DAY, {"a": Stage.RETIRED, "b": Stage.SIGNING}),
            (end - 1, {"a": Stage.RETIRED, "b": Stage.SIGNING}),
            (end, {"b": Stage.SIGNING}),
        ):
            shown = rotation.published(ring, ("ES256",), now)
            self.assertEqual({one.kid: rotation.stage(ring, one, now) for one in shown}, stages)
            self.assertEqual({one.kid for one in rotation.swept(ring, now).keys}, set(stages))

    def test_a_key_without_successor_has_no_end(self) -> None:
        """The last key of an algorithm stays for ever, whatever other algorithms do."""
        ring = joined(KeyRing(), key("a", NOW), key("r", NOW, "RS256"))
        ring = joined(ring, key("b", NOW + DAY))
        ends = {one.kid: one.retires_at for one in ring.keys}
        self.assertEqual(ends, {"a": NOW + DAY + RETIREMENT + LATE, "b": None, "r": None})

    def test_immediate_rotation_under_an_announced_one(self) -> None:
        """A key that signs at once takes over until the announced one's time; no end comes nearer by it."""
        ring = joined(joined(KeyRing(), key("a", NOW)), key("b", NOW + DAY))
        ring = joined(ring, key("c", NOW + 60))
        self.assertEqual([self.kid(ring, now) for now in (NOW, NOW + 60, NOW + DAY)], ["a", "c", "b"])
        ends = {one.kid: one.retires_at for one in ring.keys}
        self.assertEqual(ends["a"], NOW + DAY + RETIREMENT + LATE)
        self.assertEqual(ends["c"], NOW + DAY + RETIREMENT + LATE)
        self.assertIsNone(ends["b"])

    def test_a_clock_that_is_behind(self) -> None:
        """A node whose clock is behind the founder's signs with the first key all the same, and shows it as signing."""
        ring = joined(KeyRing(), key("a", NOW))
        self.assertEqual(self.kid(ring, NOW - 10), "a")
        self.assertEqual(rotation.stage(ring, ring.keys[0], NOW - 10), Stage.SIGNING)
        self.assertIsNone(rotation.signing(ring, "RS256", NOW))

    def test_order_of_publication(self) -> None:
        """By algorithm as configured, others last, then by the time they sign from."""
        keys = (key("b", NOW + 1), key("z", NOW, "XX"), key("r", NOW, "RS256"), key("a", NOW), key("c", NOW + 2))
        for ring in (KeyRing(keys), KeyRing(keys[::-1])):
            shown = rotation.published(ring, ("RS256", "ES256"), NOW)
            self.assertEqual([one.kid for one in shown], ["r", "a", "b", "c", "z"])

    def test_two_keys_of_one_second(self) -> None:
        """Of two keys that sign from the same second, the one made later signs."""
        for kids in (("a", "b"), ("b", "a")):
            ring = joined(joined(KeyRing(), key(kids[0], NOW)), key(kids[1], NOW))
            self.assertEqual(self.kid(ring, NOW), kids[1])
            self.assertEqual(self.kid(rotation.swept(ring, NOW + DAY), NOW + DAY), kids[1])

    def test_missing(self) -> None:
        """An algorithm without any key is missing; an announced key is one."""
        ring = KeyRing((key("a", NOW + DAY),))
        self.assertEqual(rotation.missing(ring, ("RS256", "ES256", "EdDSA")), ("RS256", "EdDSA"))

    def test_due(self) -> None:
        """A successor is due when it would sign a period after the last key began; never with period 0."""
        ring = joined(KeyRing(), key("a", NOW), key("r", NOW + 5, "RS256"))
        both = ("ES256", "RS256")
        when = NOW + 90 * DAY - DAY
        for now, expected in ((when - 1, ()), (when, ("ES256",)), (when + 5, both)):
            self.assertEqual(rotation.due(ring, both, now, 90 * DAY, DAY), expected)
        self.assertEqual(rotation.due(ring, both, NOW + 10**9, 0, DAY), ())
        announced = joined(ring, key("b", when + DAY))
        self.assertEqual(rotation.due(announced, ("ES256",), when + 1, 90 * DAY, DAY), ())

    @given(st.lists(st.tuples(st.integers(0, 10 * DAY), st.integers(0, 3 * DAY)), min_size=1, max_size=8))
    def test_whatever_was_signed_can_be_verified(self, rotations: list[tuple[int, int]]) -> None:
        """Through any rotations a token verifies until its end, even one signed by a node that reads the ring late."""
        ring = joined(KeyRing(), key("first", NOW, created_at=NOW))
        now = NOW
        rings = [(now, ring)]
        for number, (wait, announce) in enumerate(rotations):
            now += wait
            ring = joined(rotation.swept(ring, now), key(f"k{number}", now + announce, created_at=now))
            rings.append((now, ring))
        for index, (since, known) in enumerate(rings):
            until = rings[index + 1][0] if index + 1 < len(rings) else now + 20 * DAY
            for signed_at in (since, (since + until) // 2, until - 1, until + LATE - 1):  # the last one by a late node
                if signed_at < since:
                    continue
                kid = self.kid(known, signed_at)
                for later, ring_later in rings[index:]:
                    for moment in (max(later, signed_at), signed_at + RETIREMENT - 1):
                        if moment >= later and moment - signed_at < RETIREMENT:
                            shown = {one.kid for one in rotation.published(ring_later, ("ES256",), moment)}
                            self.assertIn(kid, shown)
