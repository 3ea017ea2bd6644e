"""The signing keys of a store: founded once, rotated in stages, sealed, the same on every node."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from typing import Any, cast

from msgspec.structs import replace
from twisted.internet import reactor
from twisted.internet.defer import Deferred, DeferredList, gatherResults
from twisted.internet.task import deferLater
from twisted.internet.threads import deferToThread

from oauthd import keys as module
from oauthd.keys import DAY, RING, WORLD, Keys, NoSigningKey, NoSuchKey
from oauthd.protocol import jose
from oauthd.protocol.records import KeyRing, SealedKey
from oauthd.protocol.rotation import LATE, Stage
from oauthd.protocol.seals import Seals
from oauthd.sealed_keys import MasterKeyMismatch
from oauthd.stores.interface import Commit, IStore, Stored, StoreUnavailable, Write
from tests.stores.case import NOW as START
from tests.stores.case import StoreCase

ISSUER = "https://as.example"
MASTER, NEXT_MASTER, STRANGE_MASTER = (bytes([number]) * 32 for number in (1, 2, 3))
QUICK = ("ES256", "EdDSA")
HOUR = 3600


async def at_once(call: Callable[..., Any], *arguments: Any) -> Any:
    """Stands in for the thread pool where nothing takes long."""
    return call(*arguments)


def tick() -> Deferred[None]:
    """One turn of the reactor."""
    return deferLater(reactor, 0)


class KeysTestCase(StoreCase):
    """Nodes on one store, whose clock the tests set."""

    @property
    def now(self) -> float:
        """What every node's clock says."""
        return self.clock.seconds()

    @now.setter
    def now(self, seconds: float) -> None:
        self.clock.rightNow = seconds

    def node(self, *masters: bytes, store: Any = None, **settings: Any) -> Keys:
        """A node of its own on the store, not opened yet."""
        settings = {"algorithms": QUICK, "retirement": HOUR, "in_thread": at_once, **settings}
        return Keys(store or self.store, Seals(masters or (MASTER,), os.urandom), self.clock.seconds, **settings)

    async def opened(self, *masters: bytes, **settings: Any) -> Keys:
        """The same, opened."""
        keys = self.node(*masters, **settings)
        await keys.open()
        return keys

    def token(self, keys: Keys, algorithm: str = "ES256", lifetime: int = HOUR) -> str:
        """A token signed now."""
        return keys.signer(algorithm).sign({"iss": ISSUER, "exp": int(self.now) + lifetime})

    def verify(self, keys: Keys, token: str) -> None:
        """Verify it with a node's published set."""
        jose.verify(token, keys.public_jwks()["keys"], jose.ASYMMETRIC, issuer=ISSUER, now=self.now, leeway=0)

    def kids(self, keys: Keys) -> list[str]:
        """The published kids."""
        return [key["kid"] for key in keys.public_jwks()["keys"]]

    async def ring(self) -> Stored[KeyRing]:
        """The ring as it is stored."""
        (stored,) = await self.store.get(RING)
        assert stored is not None
        return stored

    async def write(self, ring: KeyRing) -> None:
        """Overwrite the ring, as whoever has the store's password could."""
        await self.store.put(Write(RING, ring))


class FoundingTests(KeysTestCase):
    """First and later starts."""

    async def test_first_start(self) -> None:
        """An empty store gets a key for each algorithm, made in threads, signing at once and published."""
        keys = self.node(algorithms=module.ALGORITHMS, in_thread=deferToThread)
        self.assertTrue(await keys.open())
        self.assertEqual([key["alg"] for key in keys.public_jwks()["keys"]], ["RS256", "ES256", "EdDSA", "PS256"])
        for algorithm in module.ALGORITHMS:
            self.verify(keys, self.token(keys, algorithm))
            self.assertEqual(keys.signer(algorithm).slow, algorithm in ("RS256", "PS256"))

    async def test_next_start(self) -> None:
        """The next start finds the same keys, writes nothing, and does not found the store again."""
        first = await self.opened()
        before = await self.ring()
        second = self.node()
        self.assertFalse(await second.open())
        self.assertEqual(second.public_jwks(), first.public_jwks())
        self.assertEqual((await self.ring()).raw, before.raw)
        self.verify(second, self.token(first))

    async def test_nodes_that_start_together(self) -> None:
        """Of several nodes that open an empty store at once exactly one founds it, and all have its keys."""
        nodes = [self.node(in_thread=deferToThread) for _ in range(5)]
        founded = await gatherResults([Deferred.fromCoroutine(node.open()) for node in nodes])
        self.assertEqual(sum(founded), 1)
        self.assertEqual(len((await self.ring()).record.keys), len(QUICK))
        for node in nodes:
            self.assertEqual(node.public_jwks(), nodes[0].public_jwks())

    async def test_the_store_says_who_founded_it(self) -> None:
        """The world record holds the time and the fingerprint of the master key, not the key."""
        await self.opened()
        (world,) = await self.store.get(WORLD)
        assert world is not None
        self.assertEqual(
            (world.record.founded_at, world.record.master), (START, Seals((MASTER,), os.urandom).fingerprint)
        )
        self.assertNotIn(MASTER[:8], world.raw)

    async def test_an_algorithm_more(self) -> None:
        """A node that knows an algorithm more makes its key, and the others stay as they are."""
        first = await self.opened()
        second = await self.opened(algorithms=(*QUICK, "RS256"), in_thread=deferToThread)
        self.assertEqual(self.kids(second)[:2], self.kids(first))
        self.verify(second, self.token(second, "RS256"))
        await first.refresh()
        self.assertEqual(sorted(self.kids(first)), sorted(self.kids(second)))

    async def test_no_key(self) -> None:
        """Before it is opened, and for an algorithm that is not used, nothing signs and nothing is published."""
        self.assertRaises(NoSigningKey, self.node().signer, "ES256")
        self.assertEqual(self.node().public_jwks(), {"keys": []})
        self.assertRaises(NoSigningKey, (await self.opened()).signer, "PS256")

    async def test_nothing_private_is_shown(self) -> None:
        """Neither the published set, nor a repr, nor the stored ring shows a private key."""
        keys = await self.opened(algorithms=module.ALGORITHMS)
        for key in keys.public_jwks()["keys"]:
            self.assertLessEqual(set(key), {"kty", "crv", "x", "y", "n", "e", "kid", "use", "alg"})
        stored = await self.ring()
        for record in stored.record.keys:
            private = keys.seals.open(f"signing key {record.algorithm} {record.kid}", record.sealed)
            for shown in (repr(keys), repr(stored), json.dumps(keys.public_jwks())):
                self.assertNotIn(repr(private[-30:])[2:-1], shown)
            self.assertNotIn(private[-30:], stored.raw)


class RotationTests(KeysTestCase):
    """The stages."""

    def stages(self, keys: Keys) -> list[Stage]:
        """The stages of the ES256 keys, oldest first."""
        return [state.stage for state in keys.states() if state.algorithm == "ES256"]

    async def test_stages(self) -> None:
        """A new key is announced, then takes over; the old one stays until what it signed has ended, and is dropped."""
        keys = await self.opened()
        (old,) = (state.kid for state in keys.states() if state.algorithm == "ES256")
        made = await keys.rotate()
        self.assertEqual(len(made), len(QUICK))
        self.assertEqual(self.stages(keys), [Stage.SIGNING, Stage.ANNOUNCED])
        self.assertEqual(keys.signer("ES256").kid, old)
        self.now = START + DAY - 1
        self.assertEqual(keys.signer("ES256").kid, old)
        self.now = START + DAY
        self.assertIn(keys.signer("ES256").kid, made)
        self.assertEqual(self.stages(keys), [Stage.RETIRED, Stage.SIGNING])
        self.now = START + DAY + HOUR + LATE - 1
        self.assertEqual(self.stages(keys), [Stage.RETIRED, Stage.SIGNING])
        self.now += 1
        self.assertEqual(self.stages(keys), [Stage.SIGNING])
        self.assertEqual(len((await self.ring()).record.keys), 4)
        self.assertEqual(await keys.tend(), ())
        self.assertEqual({key.kid for key in (await self.ring()).record.keys}, set(made))

    async def test_tokens_outlive_rotations(self) -> None:
        """A token signed just before its key stops signing verifies until it ends, here and on another node."""
        keys, other = await self.opened(), await self.opened()
        await keys.rotate()
        self.now = START + DAY - 1
        token = self.token(keys)
        self.now += HOUR - 1
        await keys.tend()
        await other.tend()
        self.verify(keys, token)
        self.verify(other, token)

    async def test_a_node_that_reads_late(self) -> None:
        """A verifier that read the set any time since the announcement knows the key when it begins to sign."""
        keys, late = await self.opened(), await self.opened()
        await keys.rotate()
        await late.refresh()
        self.now = START + DAY
        self.verify(late, self.token(keys))
        self.assertEqual(late.signer("ES256").kid, keys.signer("ES256").kid)  # no word was needed

    async def test_a_node_that_signs_late(self) -> None:
        """What a node signs that has not heard of the new key verifies at one that has, until it ends."""
        keys, late = await self.opened(), await self.opened()
        await keys.rotate(announce=0)
        self.now += LATE - 1
        token = self.token(late)
        self.assertNotEqual(late.signer("ES256").kid, keys.signer("ES256").kid)
        self.now += HOUR - 1
        await keys.tend()
        self.verify(keys, token)

    async def test_immediate_rotation(self) -> None:
        """Asked for, a new key signs at once."""
        keys = await self.opened()
        before = self.token(keys)
        made = await keys.rotate(announce=0)
        self.assertIn(keys.signer("ES256").kid, made)
        self.verify(keys, before)
        self.verify(keys, self.token(keys))

    async def test_by_the_period(self) -> None:
        """Tending announces the successor in time to sign after the period; with period 0 never."""
        keys, never = await self.opened(), await self.opened(period=0)
        self.now = START + 89 * DAY - 1
        self.assertEqual(await keys.tend(), ())
        self.now += 1
        self.assertEqual(await never.tend(), ())
        made = await keys.tend()
        self.assertEqual(len(made), len(QUICK))
        self.assertEqual(await keys.tend(), ())
        self.now = START + 90 * DAY
        self.assertIn(keys.signer("ES256").kid, made)

    async def test_years(self) -> None:
        """Ten years of tending on two nodes: the ring stays small, and each day's tokens verify on both."""
        nodes = [await self.opened(), await self.opened()]
        for day in range(3650):
            self.now = START + day * DAY
            if day % 10 == 0:
                for node in nodes:
                    await node.tend()
                self.verify(nodes[0], self.token(nodes[1]))
                self.assertLessEqual(len(self.kids(nodes[0])), 2 * len(QUICK))
        self.assertGreater(self.now - min(state.signs_from for state in nodes[0].states()), 0)
        self.assertNotIn(START, [state.created_at for state in nodes[0].states()])

    async def test_nodes_that_tend_together(self) -> None:
        """Of several nodes that find a rotation due at once one makes the keys; all use them."""
        nodes = [await self.opened(in_thread=deferToThread) for _ in range(4)]
        self.now = START + 89 * DAY
        made = await gatherResults([Deferred.fromCoroutine(node.tend()) for node in nodes])
        self.assertEqual(sorted(len(kids) for kids in made), [0, 0, 0, len(QUICK)])
        self.assertEqual(len((await self.ring()).record.keys), 2 * len(QUICK))
        for node in nodes:
            await node.refresh()
            self.assertEqual(node.public_jwks(), nodes[0].public_jwks())

    async def test_operators_that_rotate_together(self) -> None:
        """Two rotations asked for at once are both carried out; neither loses the other's keys."""
        nodes = [await self.opened(in_thread=deferToThread) for _ in range(2)]
        made = await gatherResults([Deferred.fromCoroutine(node.rotate()) for node in nodes])
        ring = (await self.ring()).record
        self.assertEqual(len(ring.keys), 3 * len(QUICK))
        self.assertLessEqual({kid for kids in made for kid in kids}, {key.kid for key in ring.keys})

    async def test_types(self) -> None:
        """Each purpose has its own `typ`, under the same key, also after a rotation."""
        keys = await self.opened()
        for _ in range(2):
            access, plain = keys.signer("ES256", "at+jwt"), keys.signer("ES256")
            self.assertEqual((access.typ, plain.typ, access.kid), ("at+jwt", "JWT", plain.kid))
            self.assertIs(keys.signer("ES256", "at+jwt"), access)
            await keys.rotate(announce=0)
            self.assertNotEqual(keys.signer("ES256", "at+jwt").kid, access.kid)

    async def test_a_clock_set_back(self) -> None:
        """When the clock goes back before a key's time, the key before it signs again."""
        keys = await self.opened()
        old = keys.signer("ES256").kid
        await keys.rotate()
        self.now = START + DAY
        self.assertNotEqual(keys.signer("ES256").kid, old)
        self.now = START + DAY - 10
        self.assertEqual(keys.signer("ES256").kid, old)
        self.now = START - 10
        self.assertEqual(keys.signer("ES256").kid, old)


class MasterKeyTests(KeysTestCase):
    """What is sealed with what."""

    async def test_mismatch(self) -> None:
        """A store of another master key is refused by both fingerprints, and is left as it was."""
        await self.opened()
        before = await self.ring()
        stranger = self.node(STRANGE_MASTER)
        error = await self.assertFailure(Deferred.fromCoroutine(stranger.open()), MasterKeyMismatch)
        for master in (MASTER, STRANGE_MASTER):
            self.assertIn(Seals((master,), os.urandom).fingerprint, str(error))
        self.assertEqual((await self.ring()).raw, before.raw)
        self.assertRaises(NoSigningKey, stranger.signer, "ES256")

    async def test_mismatch_while_founding(self) -> None:
        """Of two nodes with different master keys that found a store at once one is refused."""
        nodes = [self.node(MASTER, in_thread=deferToThread), self.node(STRANGE_MASTER, in_thread=deferToThread)]
        outcomes: list[bool | None] = []
        for opening in [Deferred.fromCoroutine(node.open()) for node in nodes]:
            try:
                outcomes.append(await opening)
            except MasterKeyMismatch:
                outcomes.append(None)
        self.assertEqual(sorted(map(str, outcomes)), ["None", "True"])

    async def test_change_of_the_master_key(self) -> None:
        """Both keys given: all opens, new keys are sealed with the first; once resealed, the first alone will do."""
        keys = await self.opened(MASTER)
        both = await self.opened(NEXT_MASTER, MASTER)
        self.assertEqual(both.public_jwks(), keys.public_jwks())
        await both.rotate()
        self.assertEqual(await both.reseal(), len(QUICK))
        self.assertEqual(await both.reseal(), 0)
        alone = await self.opened(NEXT_MASTER)
        self.assertEqual(alone.public_jwks(), both.public_jwks())
        await self.assertFailure(Deferred.fromCoroutine(self.node(MASTER).open()), MasterKeyMismatch)

    async def test_resealing_beside_a_rotation(self) -> None:
        """Resealing while another node rotates loses no key and leaves none under the old master key."""
        old = await self.opened(MASTER, NEXT_MASTER, in_thread=deferToThread)
        both = await self.opened(NEXT_MASTER, MASTER)
        rotating, resealing = Deferred.fromCoroutine(old.rotate()), Deferred.fromCoroutine(both.reseal())
        await rotating
        await resealing
        await both.reseal()
        self.assertEqual(len(self.kids(await self.opened(NEXT_MASTER))), 2 * len(QUICK))

    async def test_resealing_an_empty_store(self) -> None:
        """There is nothing to seal, and it is said."""
        await self.assertFailure(Deferred.fromCoroutine(self.node().reseal()), StoreUnavailable)

    async def test_a_node_left_behind(self) -> None:
        """A node that lacks the new master key says so at its next reading, and keeps signing with what it knows."""
        behind, both = await self.opened(MASTER), await self.opened(NEXT_MASTER, MASTER)
        kid = behind.signer("ES256").kid
        await both.reseal()
        await self.assertFailure(Deferred.fromCoroutine(behind.refresh()), MasterKeyMismatch)
        self.assertEqual(behind.signer("ES256").kid, kid)


class TamperingTests(KeysTestCase):
    """What somebody with the store's password cannot do."""

    async def test_a_planted_key(self) -> None:
        """A key that no master key of ours sealed does not enter the set, nor disturb a node that runs."""
        keys = await self.opened()
        stored = await self.ring()
        pair = jose.generate("ES256")
        forged = Seals((STRANGE_MASTER,), os.urandom).seal(f"signing key ES256 {pair.kid}", pair.private)
        for sealed in (forged, pair.private, b""):
            planted = SealedKey(pair.kid, "ES256", pair.public, sealed, START, START)
            await self.write(KeyRing((*stored.record.keys, planted)))
            await self.assertFailure(Deferred.fromCoroutine(self.node().open()), MasterKeyMismatch)
            await self.assertFailure(Deferred.fromCoroutine(keys.refresh()), MasterKeyMismatch)
            self.assertNotIn(pair.kid, self.kids(keys))

    async def test_an_exchanged_public_key(self) -> None:
        """The published key comes from the sealed one, whatever the record says beside it."""
        await self.opened()
        stored = await self.ring()
        pair = jose.generate("ES256")
        await self.write(KeyRing(tuple(replace(key, public=pair.public) for key in stored.record.keys)))
        keys = await self.opened()
        self.assertNotIn(pair.public["x"], json.dumps(keys.public_jwks()))
        self.verify(keys, self.token(keys))

    async def test_exchanged_seals(self) -> None:
        """One key's seal does not open under another's name or algorithm."""
        await self.opened()
        stored = await self.ring()
        first, second = stored.record.keys
        for ring in (
            KeyRing((replace(first, sealed=second.sealed), second)),
            KeyRing((replace(first, kid=second.kid), replace(second, kid=first.kid))),
            KeyRing((replace(first, algorithm="PS256"), second)),
        ):
            await self.write(ring)
            await self.assertFailure(Deferred.fromCoroutine(self.node().open()), MasterKeyMismatch)


class EncryptionTests(KeysTestCase):
    """Keys that clients encrypt to."""

    async def both(self, **settings: Any) -> Keys:
        """A node with a key of each kind."""
        return await self.opened(encryption=jose.DECRYPTION, **settings)

    def shown(self, keys: Keys, kind: str = "ECDH-ES") -> dict[str, Any]:
        """The one key of that kind that is published."""
        kty = "EC" if kind == "ECDH-ES" else "RSA"
        (key,) = (one for one in keys.public_jwks()["keys"] if (one["use"], one["kty"]) == ("enc", kty))
        return key

    def encrypted(self, keys: Keys, alg: str = "ECDH-ES") -> str:
        """Something that was encrypted to the published key."""
        return jose.encrypt(b"content", self.shown(keys, alg.partition("+")[0]), alg, "A256GCM")

    async def test_every_way(self) -> None:
        """What was encrypted in any of the ways we name opens, on every node; without keys there is no way."""
        keys, other = await self.both(), await self.both(in_thread=deferToThread)
        self.assertEqual(keys.key_encryption, jose.KEY_ENCRYPTION)
        for alg in keys.key_encryption:
            token = self.encrypted(keys, alg)
            self.assertEqual([await keys.decrypt(token), await other.decrypt(token)], [b"content"] * 2)
        none = await self.opened()
        self.assertEqual(none.key_encryption, ())
        await self.assertFailure(Deferred.fromCoroutine(none.decrypt(token)), jose.TokenRefused)
        rsa = await self.opened(encryption=("RSA-OAEP-256",))
        self.assertEqual(rsa.key_encryption, ("RSA-OAEP-256",))

    async def test_garbage_occupies_no_thread(self) -> None:
        """What can be refused by looking at it never waits for a thread."""
        calls: list[Any] = []

        async def pool(call: Callable[..., Any], *arguments: Any) -> Any:
            calls.append(call)
            return call(*arguments)

        keys = await self.both()
        keys.in_thread = pool
        head, _, rest = self.encrypted(keys).partition(".")
        for token in ("", "." * 4, f"e30.{rest}", f"{head}.{rest}.x", "x" * 100_000):
            await self.assertFailure(Deferred.fromCoroutine(keys.decrypt(token)), jose.TokenRefused)
        self.assertEqual(calls, [])
        self.assertEqual(await keys.decrypt(f"{head}.{rest}"), b"content")
        self.assertEqual(calls, [jose.decrypt])

    async def test_they_sign_nothing(self) -> None:
        """A key to encrypt to is no signer, and is not taken for a signature's key."""
        keys = await self.both()
        for kind in jose.DECRYPTION:
            self.assertRaises(NoSigningKey, keys.signer, kind)
        for algorithm in ("ES256", "RS256"):
            self.assertFalse(any(jose.fits(self.shown(keys, kind), algorithm) for kind in jose.DECRYPTION))

    async def test_stages(self) -> None:
        """The next key is known to all nodes before it is shown; the last one still opens after it was shown."""
        keys, other = await self.both(), await self.both()
        old = self.shown(keys)["kid"]
        early = self.encrypted(keys)
        await keys.rotate()
        await other.refresh()
        self.assertEqual(self.shown(keys)["kid"], old)
        self.now = START + DAY
        self.assertNotEqual(self.shown(keys)["kid"], old)
        self.assertEqual(self.shown(other), self.shown(keys))
        late = self.encrypted(keys)
        for node in (keys, other):
            self.assertEqual([await node.decrypt(early), await node.decrypt(late)], [b"content"] * 2)
        self.now += HOUR + LATE
        await keys.tend()
        await self.assertFailure(Deferred.fromCoroutine(keys.decrypt(early)), jose.TokenRefused)
        self.assertEqual(await keys.decrypt(late), b"content")

    async def test_by_the_period(self) -> None:
        """They rotate by themselves like the others, year after year, and the ring stays small."""
        keys = await self.both()
        for day in range(0, 800, 5):
            self.now = START + day * DAY
            await keys.tend()
            self.assertEqual(await keys.decrypt(self.encrypted(keys)), b"content")
            self.assertLessEqual(len((await self.ring()).record.keys), 2 * (len(QUICK) + len(jose.DECRYPTION)))
        self.assertNotIn(START, [state.created_at for state in keys.states()])

    async def test_sealed_for_its_purpose(self) -> None:
        """A signing key's seal does not open as a key to encrypt to, nor the reverse."""
        await self.both()
        stored = await self.ring()
        by_name = {key.algorithm: key for key in stored.record.keys}
        for one, another in (("ES256", "ECDH-ES"), ("ECDH-ES", "ES256")):
            planted = replace(by_name[one], algorithm=another)
            await self.write(KeyRing((*stored.record.keys, planted)))
            node = self.node(encryption=jose.DECRYPTION)
            await self.assertFailure(Deferred.fromCoroutine(node.open()), MasterKeyMismatch)

    async def test_resealing(self) -> None:
        """They are sealed anew with the rest."""
        keys = await self.both()
        token = self.encrypted(keys)
        both = self.node(NEXT_MASTER, MASTER, encryption=jose.DECRYPTION)
        await both.open()
        self.assertEqual(await both.reseal(), len(QUICK) + len(jose.DECRYPTION))
        alone = self.node(NEXT_MASTER, encryption=jose.DECRYPTION)
        await alone.open()
        self.assertEqual(await alone.decrypt(token), b"content")


class NewerNodesTests(KeysTestCase):
    """Other nodes may know more."""

    async def test_keys_that_are_not_known(self) -> None:
        """A key of an algorithm that this node does not know is left alone, kept in the ring, and sealed anew."""
        keys = await self.opened()
        stored = await self.ring()
        sealed = keys.seals.seal("signing key SLH-DSA k1", b"private")
        strange = SealedKey("k1", "SLH-DSA", {"kty": "AKP"}, sealed, START, START)
        await self.write(KeyRing((*stored.record.keys, strange)))
        both = await self.opened(NEXT_MASTER, MASTER)
        self.assertEqual(len(self.kids(both)), len(QUICK))
        self.assertNotIn("SLH-DSA", [state.algorithm for state in both.states()])
        await both.rotate()
        self.assertEqual(await both.reseal(), len(QUICK) + 1)
        (kept,) = (key for key in (await self.ring()).record.keys if key.kid == "k1")
        self.assertEqual(both.seals.open("signing key SLH-DSA k1", kept.sealed), b"private")
        self.assertTrue(both.seals.is_current(kept.sealed))


class AllAlgorithmsTests(KeysTestCase):
    """Each signature algorithm there is."""

    async def test_rotation(self) -> None:
        """Every algorithm has a key, rotates, and verifies what it signed before and after."""
        keys = await self.opened(algorithms=jose.ASYMMETRIC, in_thread=deferToThread)
        before = [self.token(keys, name, 3 * DAY) for name in jose.ASYMMETRIC]
        await keys.rotate()
        self.now = START + DAY
        for name, token in zip(jose.ASYMMETRIC, before, strict=True):
            self.verify(keys, token)
            self.verify(keys, self.token(keys, name))
            self.assertNotEqual(jose.peek(token)[0]["kid"], keys.signer(name).kid)
        self.assertEqual(len(self.kids(keys)), 2 * len(jose.ASYMMETRIC))


class DropTests(KeysTestCase):
    """A key that has leaked."""

    def of(self, keys: Keys, stage: Stage) -> str:
        """The ES256 key in that stage."""
        (kid,) = (state.kid for state in keys.states() if (state.algorithm, state.stage) == ("ES256", stage))
        return kid

    async def test_the_one_that_signs(self) -> None:
        """It is gone at once, here and elsewhere; another signs in its place, and the rest is as it was."""
        keys, other = await self.opened(), await self.opened()
        leaked, forged = self.of(keys, Stage.SIGNING), self.token(keys)
        kept = [kid for kid in self.kids(keys) if kid != leaked]
        (made,) = await keys.drop(leaked)
        self.assertEqual((keys.signer("ES256").kid, sorted(self.kids(keys))), (made, sorted([made, *kept])))
        await other.tend()
        for node in (keys, other):
            self.assertNotIn(leaked, self.kids(node))
            self.assertRaises(jose.TokenRefused, self.verify, node, forged)
            self.verify(node, self.token(keys))

    async def test_with_a_successor_announced(self) -> None:
        """The announced successor keeps its time; until then a new key signs, never one that had retired."""
        keys = await self.opened()
        await keys.rotate(announce=0)
        await keys.rotate()
        leaked, announced, retired = (self.of(keys, stage) for stage in (Stage.SIGNING, Stage.ANNOUNCED, Stage.RETIRED))
        (made,) = await keys.drop(leaked)
        self.assertEqual(keys.signer("ES256").kid, made)
        self.assertEqual(self.of(keys, Stage.RETIRED), retired)
        self.now = START + DAY
        self.assertEqual(keys.signer("ES256").kid, announced)

    async def test_an_announced_one(self) -> None:
        """Another is announced in its place; the one that signs goes on until that one's time."""
        keys = await self.opened()
        signing = self.of(keys, Stage.SIGNING)
        await keys.rotate()
        self.now = START + HOUR
        (made,) = await keys.drop(self.of(keys, Stage.ANNOUNCED))
        self.assertEqual((self.of(keys, Stage.SIGNING), self.of(keys, Stage.ANNOUNCED)), (signing, made))
        self.now = START + HOUR + DAY
        token = self.token(keys)
        self.assertEqual(jose.peek(token)[0]["kid"], made)
        self.assertIn(signing, self.kids(keys))

    async def test_of_an_algorithm_that_was_given_up(self) -> None:
        """A key of an algorithm that is named no more stays published until it is dropped; no other takes its place."""
        await self.opened()
        keys = await self.opened(algorithms=("EdDSA",))
        self.verify(keys, self.token(keys))
        self.assertEqual(await keys.drop(self.of(keys, Stage.SIGNING)), ())
        self.assertEqual([key["alg"] for key in keys.public_jwks()["keys"]], ["EdDSA"])

    async def test_a_retired_one(self) -> None:
        """It goes, and nothing takes its place."""
        keys = await self.opened()
        await keys.rotate(announce=0)
        retired = self.of(keys, Stage.RETIRED)
        self.assertEqual(await keys.drop(retired), ())
        self.assertNotIn(retired, self.kids(keys))

    async def test_one_to_encrypt_to(self) -> None:
        """What was encrypted to it is lost; clients find another."""
        keys = await self.opened(encryption=("ECDH-ES",))
        leaked = next(key for key in keys.public_jwks()["keys"] if key["use"] == "enc")
        token = jose.encrypt(b"x", leaked, "ECDH-ES", "A128GCM")
        (made,) = await keys.drop(leaked["kid"])
        self.assertIn(made, self.kids(keys))
        await self.assertFailure(Deferred.fromCoroutine(keys.decrypt(token)), jose.TokenRefused)

    async def test_none_of_that_name(self) -> None:
        """A name that no key has is told, also when somebody else was faster; so nothing is made twice."""
        keys, other = await self.opened(), await self.opened()
        leaked = self.of(keys, Stage.SIGNING)
        await keys.drop(leaked)
        for name in (leaked, "", "unknown"):
            await self.assertFailure(Deferred.fromCoroutine(other.drop(name)), NoSuchKey)
        self.assertEqual(len((await self.ring()).record.keys), len(QUICK))
        await self.assertFailure(Deferred.fromCoroutine(self.node(store=Empty()).drop("x")), NoSuchKey)

    async def test_two_who_drop_it_together(self) -> None:
        """The key goes once, and one new key takes its place."""
        nodes = [await self.opened(in_thread=deferToThread) for _ in range(2)]
        leaked = self.of(nodes[0], Stage.SIGNING)
        tries = [Deferred.fromCoroutine(node.drop(leaked)) for node in nodes]
        made = [result for ok, result in await DeferredList(tries, consumeErrors=True) if ok]
        ring = (await self.ring()).record
        self.assertEqual(len(ring.keys), len(QUICK))
        self.assertEqual({kid for kids in made for kid in kids} - {key.kid for key in ring.keys}, set())


class Empty:
    """A store with nothing in it."""

    async def get(self, *refs: Any) -> tuple[Any, ...]:
        """Nothing."""
        return (None,) * len(refs)


class LossTests(KeysTestCase):
    """When the store does not do as asked."""

    async def test_store_away(self) -> None:
        """While the store is away everything raises StoreUnavailable, and what is known goes on signing."""
        away = Faulty(self.store)
        keys = await self.opened(store=away)
        away.broken = True
        for call in (keys.refresh, keys.tend, keys.rotate, keys.reseal, self.node(store=away).open):
            await self.assertFailure(Deferred.fromCoroutine(call()), StoreUnavailable)
        self.verify(keys, self.token(keys))
        away.broken = False
        await keys.refresh()

    async def test_a_lost_reply(self) -> None:
        """A commit that was carried out and reported as refused is recognised: one rotation, one founding."""
        lossy = Faulty(self.store, loses=1)
        keys = self.node(store=lossy)
        self.assertTrue(await keys.open())
        self.assertEqual(len((await self.ring()).record.keys), len(QUICK))
        lossy.loses = 1
        made = await keys.rotate()
        self.assertEqual(lossy.loses, 0)
        self.assertEqual(len((await self.ring()).record.keys), 2 * len(QUICK))
        self.assertLessEqual(set(made), set(self.kids(keys)))

    async def test_an_emptied_store(self) -> None:
        """A running node does not found the store anew behind everybody's back, and keeps signing."""
        keys = await self.opened()
        await self.store.forget(RING, WORLD)
        await self.assertFailure(Deferred.fromCoroutine(keys.tend()), StoreUnavailable)
        self.verify(keys, self.token(keys))
        (ring,) = await self.store.get(RING)
        self.assertIsNone(ring)

    async def test_a_ring_that_never_rests(self) -> None:
        """When every commit loses, it ends with StoreUnavailable instead of going round for ever."""
        keys = await self.opened(store=Faulty(self.store))
        keys.store = cast(IStore, Faulty(self.store, refuses=True))
        await self.assertFailure(Deferred.fromCoroutine(keys.rotate()), StoreUnavailable)
        self.assertEqual(len((await self.ring()).record.keys), len(QUICK))

    async def test_readings_do_not_overtake(self) -> None:
        """A slow reading of the old ring does not undo a later one."""
        keys, other = await self.opened(), await self.opened()
        await other.rotate()
        slow: list[Deferred[None]] = []

        async def held(call: Callable[..., Any], *arguments: Any) -> Any:
            if not slow:
                slow.append(Deferred())
                await slow[0]
            return call(*arguments)

        keys.in_thread = held
        first = Deferred.fromCoroutine(keys.refresh())
        await other.rotate()
        second = Deferred.fromCoroutine(keys.refresh())
        while not slow:
            await tick()
        await DeferredList([second, deferLater(reactor, 0.2)], fireOnOneCallback=True)  # time to overtake in
        slow[0].callback(None)
        await gatherResults([first, second])
        self.assertEqual(self.kids(keys), self.kids(other))

    def test_settings_of_the_module(self) -> None:
        """Keys and world share a slot, so that a store is founded in one step."""
        self.assertEqual(module.RING.slot, module.WORLD.slot)
        self.assertNotEqual(module.RING.kind.name, module.WORLD.kind.name)


class Faulty:
    """A store that is away, loses replies, or refuses each commit."""

    def __init__(self, store: IStore, loses: int = 0, refuses: bool = False) -> None:
        self.store, self.loses, self.refuses, self.broken = store, loses, refuses, False

    async def get(self, *refs: Any) -> tuple[Any, ...]:
        """Read, unless away."""
        if self.broken:
            raise StoreUnavailable("away")
        return await self.store.get(*refs)

    async def commit(self, commit: Commit) -> bool:
        """Commit, and perhaps say that it was refused."""
        if self.broken:
            raise StoreUnavailable("away")
        if self.refuses:
            return False
        done = await self.store.commit(commit)
        if self.loses:
            self.loses -= 1
            return False
        return done
