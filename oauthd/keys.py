"""The keys of a store, for signing and for being encrypted to: made, announced, used, retired.

Every key of every node stands in one record, the ring; its rules are in `oauthd.protocol.rotation`. A change is one
commit against the ring as it was read, so of two nodes that rotate at once the second sees the first one's work. The
first node to open an empty store founds it: its keys and the fingerprint of its master key are written in one step.

Keys that clients encrypt to go through the same stages: announced, every node can decrypt; signing, it is the one that
is published; retired, what was encrypted to it by somebody with an older set still opens.

How they lie there is for `oauthd.sealed_keys`. Refused is a store that was sealed with a master key which is not among
those given. When `tend` is called, how `in_thread` bounds its threads, and where master keys are kept, is for the
wiring; first scopes and the first administrator are for others, too.
"""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

from attrs import define, field, frozen
from msgspec.structs import replace
from twisted.internet.defer import DeferredLock

from oauthd.protocol import jose, rotation
from oauthd.protocol.records import KeyRing, SealedKey, World
from oauthd.protocol.rotation import Stage
from oauthd.protocol.seals import Seals
from oauthd.sealed_keys import KeySeals, MasterKeyMismatch, OpenedKey
from oauthd.stores import kinds
from oauthd.stores.interface import Commit, IStore, Stored, StoreUnavailable, Write

WORLD: Final = kinds.WORLD.at(b"", "world")
RING: Final = kinds.KEY_RING.at(b"", "world")  # the same slot: a store is founded in one step

DAY: Final = 86400
ALGORITHMS: Final = ("RS256", "ES256", "EdDSA", "PS256")
"""Those that have keys unless a node is told otherwise."""
KNOWN: Final = frozenset((*jose.ASYMMETRIC, *jose.DECRYPTION))
"""All that this node could have keys of."""
_TRIES = 20


class NoSigningKey(LookupError):
    """No key signs with this algorithm."""


class NoSuchKey(LookupError):
    """No key is called that."""


@frozen
class _Plan:
    """What a ring is to become.

    :ivar ring: without what is to go.
    :ivar algorithms: those that need a new key.
    :ivar delay: seconds until the new keys take over.
    """

    ring: KeyRing
    algorithms: tuple[str, ...]
    delay: int = 0


Plan = Callable[[KeyRing, float], _Plan]
"""What to do, given the ring and the time."""


@frozen
class KeyState:
    """A key as people are shown it; times in seconds since the epoch.

    :ivar public: its public JWK.
    :ivar retires_at: when it leaves the published set; None while it has no successor.
    """

    kid: str
    algorithm: str
    stage: Stage
    created_at: int
    signs_from: int
    retires_at: int | None
    public: Mapping[str, Any]


@frozen
class _Term:
    """Who signs from when until when."""

    signer: jose.Signer
    begins: float
    ends: float


@frozen
class _Outcome:
    """What a change came to: the keys it made, and whether it founded the store."""

    kids: tuple[str, ...] = ()
    founded: bool = False


@define(eq=False)
class Keys:
    """The signing keys of this store. Call `open` once before anything else.

    :ivar clock: wall-clock seconds.
    :ivar in_thread: calls its first argument with the others, outside the reactor's thread.
    :ivar period: seconds that a key signs before `tend` replaces it; 0 for never.
    :ivar announce: seconds that a key is published before it signs: longer than anybody, our own other nodes
        included, holds on to a key set.
    :ivar retirement: seconds from a key's last signature until the last thing it signed has ended.
    :ivar algorithms: those that sign.
    :ivar encryption: the kinds of keys that clients may encrypt to, of `jose.DECRYPTION`.
    :ivar changed: called when this node has learned of other keys, or that some are no more.
    """

    store: IStore
    seals: Seals
    clock: Callable[[], float]
    in_thread: Callable[..., Awaitable[Any]]
    period: int = 90 * DAY
    announce: int = DAY
    retirement: int = DAY
    algorithms: tuple[str, ...] = ALGORITHMS
    encryption: tuple[str, ...] = ()
    changed: list[Callable[[], object]] = field(factory=list, init=False, repr=False)
    _ring: Stored[KeyRing] | None = field(default=None, init=False, repr=False)
    _opened: dict[str, OpenedKey] = field(factory=dict, init=False, repr=False)
    _terms: dict[tuple[str, str], _Term] = field(factory=dict, init=False, repr=False)
    _lock: DeferredLock = field(factory=DeferredLock, init=False, repr=False)

    async def open(self) -> bool:
        """Read the keys and make those that are missing; True when this founded the store.

        :raises MasterKeyMismatch: with the reason.
        :raises StoreUnavailable: when the store does not answer.
        """
        return (await self._change(self._missing)).founded

    async def refresh(self) -> None:
        """Read the ring again. What is known stays in force when this fails.

        :raises MasterKeyMismatch: when a key does not open.
        :raises StoreUnavailable: when the store does not answer.
        """
        await self._read()

    async def rotate(self, announce: int | None = None) -> tuple[str, ...]:
        """Make a new key for each algorithm; it signs `announce` seconds from now, and the old one then retires.

        With 0 it signs at once: verifiers that have cached the set meet a kid that they must fetch it again for, and
        find it only at nodes that have refreshed.

        :returns: the new keys' kids.
        """
        delay = self.announce if announce is None else announce
        return (await self._change(lambda ring, now: _Plan(ring, self.kinds, delay))).kids

    async def drop(self, kid: str) -> tuple[str, ...]:
        """Take a key out at once, published or not: what it signed verifies no more, what was encrypted to it is lost.

        One that signs is replaced by a key that signs at once, one that was announced by another that is; none of an
        algorithm that is to have no key any more.

        :returns: the new keys' kids.
        :raises NoSuchKey: when there is none of that name.
        """
        _, ring = await self._read()
        if ring is None or all(key.kid != kid for key in ring.record.keys):
            raise NoSuchKey(kid)

        def plan(ring: KeyRing, now: float) -> _Plan:
            rest = KeyRing(tuple(key for key in ring.keys if key.kid != kid))
            stages = {key.algorithm: rotation.stage(ring, key, now) for key in ring.keys if key.kid == kid}
            replaced = tuple(name for name in self.kinds if stages.get(name, Stage.RETIRED) is not Stage.RETIRED)
            return _Plan(rest, replaced, self.announce if Stage.ANNOUNCED in stages.values() else 0)

        return (await self._change(plan)).kids

    async def tend(self) -> tuple[str, ...]:
        """Do what is due: read the ring, drop retired keys, make a missing key, rotate by the period.

        To be called about every minute, well within `rotation.LATE`: from here a node learns of other nodes' keys.

        :returns: the kids of keys that this call made.
        """
        missing = await self._change(self._missing)
        rotated = await self._change(self._due)
        return missing.kids + rotated.kids

    async def reseal(self) -> int:
        """Seal with the first master key what an older one sealed; the number of keys that were.

        After this the older master keys may go, as far as signing keys are concerned; see `Seals` about digests.
        """
        for _ in range(_TRIES):
            world, ring = await self._read()
            if world is None or ring is None:
                raise StoreUnavailable("the store has no signing keys")
            old = {key.kid for key in ring.record.keys if not self._sealing.is_current(key)}
            if not old and world.record.master == self.seals.fingerprint:
                return 0
            keys = tuple(self._sealing.reseal(key) if key.kid in old else key for key in ring.record.keys)
            writes = (Write(WORLD, replace(world.record, master=self.seals.fingerprint)), Write(RING, KeyRing(keys)))
            if await self.store.commit(Commit(expected=(world, ring), writes=writes)):
                return len(old)
        raise StoreUnavailable("the key ring keeps changing")

    def signer(self, algorithm: str, typ: str = "JWT") -> jose.Signer:
        """The key that signs now with this algorithm, under that `typ`.

        :raises NoSigningKey: when there is none.
        """
        now = self.clock()
        term = self._terms.get((algorithm, typ))
        if term is None or not term.begins <= now < term.ends:
            term = self._terms[algorithm, typ] = self._term(algorithm, typ, now)
        return term.signer

    @property
    def kinds(self) -> tuple[str, ...]:
        """All algorithms that have keys."""
        return self.algorithms + self.encryption

    @property
    def key_encryption(self) -> tuple[str, ...]:
        """How clients may encrypt to us (RFC 7518 section 4)."""
        return tuple(name for name in jose.KEY_ENCRYPTION if name.partition("+")[0] in self.encryption)

    async def decrypt(self, token: str) -> bytes:
        """What a client encrypted to one of our keys; who it was is not known by that.

        :raises TokenRefused: when it is no such token.
        """
        held = [opened.private for opened in self._opened.values() if opened.private is not None]
        jose.judge_encrypted(token, held, self.key_encryption, jose.CONTENT_ENCRYPTION)
        plain: bytes = await self.in_thread(jose.decrypt, token, held, self.key_encryption, jose.CONTENT_ENCRYPTION)
        return plain

    def public_jwks(self) -> dict[str, list[dict[str, Any]]]:
        """The published set (RFC 7517 section 5): announced, signing and retired keys, by algorithm, oldest first.

        Of the keys to encrypt to it is the one of each kind whose turn it is.
        """
        now, ring = self.clock(), self._known()
        return {
            "keys": [
                dict(self._opened[key.kid].public)
                for key in self._published()
                if key.algorithm not in jose.DECRYPTION or rotation.stage(ring, key, now) is Stage.SIGNING
            ]
        }

    def states(self) -> tuple[KeyState, ...]:
        """The keys of the set with their stages, in its order."""
        now, ring = self.clock(), self._known()
        return tuple(
            KeyState(
                kid=key.kid,
                algorithm=key.algorithm,
                stage=rotation.stage(ring, key, now),
                created_at=key.created_at,
                signs_from=key.signs_from,
                retires_at=key.retires_at,
                public=self._opened[key.kid].public,
            )
            for key in self._published()
        )

    @property
    def _sealing(self) -> KeySeals:
        return KeySeals(self.seals, self.in_thread)

    def _term(self, algorithm: str, typ: str, now: float) -> _Term:
        key = rotation.signing(self._known(), algorithm, now)
        if key is None:
            raise NoSigningKey(algorithm)
        later = (other.signs_from for other in rotation.of_algorithm(self._known(), algorithm))
        ends = min((begin for begin in later if begin > now), default=math.inf)
        signer = self._opened[key.kid].signer
        if signer is None:
            raise NoSigningKey(algorithm)
        return _Term(signer.typed(typ), min(key.signs_from, now), ends)

    def _known(self) -> KeyRing:
        return self._ring.record if self._ring is not None else KeyRing()

    def _published(self) -> tuple[SealedKey, ...]:
        published = rotation.published(self._known(), self.kinds, self.clock())
        return tuple(key for key in published if key.kid in self._opened)

    def _missing(self, ring: KeyRing, now: float) -> _Plan:
        return _Plan(ring, rotation.missing(ring, self.kinds))

    def _due(self, ring: KeyRing, now: float) -> _Plan:
        return _Plan(ring, rotation.due(ring, self.kinds, now, self.period, self.announce), self.announce)

    async def _read(self) -> tuple[Stored[World] | None, Stored[KeyRing] | None]:
        """World and ring as they stand; the ring's keys are known afterwards."""
        await self._lock.acquire()  # a slow reader must not put an older ring in place of a newer one
        try:
            world, ring = await self.store.get(WORLD, RING)
            if world is None and self._ring is not None:
                raise StoreUnavailable("the store was emptied while we were running")
            if world is not None and world.record.master not in self.seals.fingerprints:
                raise MasterKeyMismatch(
                    f"the store belongs to master key {world.record.master}, but given is"
                    f" {' and '.join(self.seals.fingerprints)}: add the old master key after the new one,"
                    " or use the store that belongs to this one"
                )
            if ring is not None and (self._ring is None or ring.raw != self._ring.raw):
                # A key of an algorithm that is not known here is other nodes' affair: a newer version's, or a library's
                # that can more.
                known = [key for key in ring.record.keys if key.algorithm in KNOWN]
                self._opened = {key.kid: await self._unsealed(key) for key in known}
                self._ring = ring
                self._terms.clear()
                for listener in self.changed:
                    listener()
            return world, ring
        finally:
            self._lock.release()

    async def _unsealed(self, key: SealedKey) -> OpenedKey:
        return self._opened.get(key.kid) or await self._sealing.open(key)

    async def _change(self, plan: Plan) -> _Outcome:
        """Carry out a plan, and sweep the ring."""
        made: dict[str, jose.KeyPair] = {}
        founding = False
        for _ in range(_TRIES):
            world, ring = await self._read()
            before = ring.record if ring is not None else KeyRing()
            kids = tuple(pair.kid for pair in made.values())
            if made and set(kids) <= {key.kid for key in before.keys}:
                return _Outcome(kids, founding)  # our own commit, whose answer was lost
            planned = plan(before, self.clock())
            for algorithm in planned.algorithms:
                if algorithm not in made:
                    made[algorithm] = await self.in_thread(jose.generate, algorithm)
            now = int(self.clock())
            fresh = [self._sealing.seal(made[name], now, now + planned.delay) for name in planned.algorithms]
            after = rotation.joined(rotation.swept(planned.ring, now), fresh, self.retirement)
            founding = world is None
            if after == before and not founding:
                return _Outcome()
            if await self._commit(world, ring, after, now):
                await self._read()
                return _Outcome(tuple(key.kid for key in fresh), founding)
        raise StoreUnavailable("the key ring keeps changing")

    async def _commit(
        self, world: Stored[World] | None, ring: Stored[KeyRing] | None, after: KeyRing, now: int
    ) -> bool:
        writes: tuple[Write[Any], ...] = (Write(RING, after),)
        if world is None:
            writes = (Write(WORLD, World(founded_at=now, master=self.seals.fingerprint)), *writes)
        absent = tuple(ref for ref, stored in ((WORLD, world), (RING, ring)) if stored is None)
        expected = () if ring is None else (ring,)
        return await self.store.commit(Commit(expected=expected, absent=absent, writes=writes))
