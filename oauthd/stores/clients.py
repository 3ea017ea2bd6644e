"""Clients: found, registered, changed, given secrets, deleted.

A client's generation is begun before its record appears and ended before the record goes, so that a token can never
outlive it. Secrets are kept as keyed digests and compared in constant time; sealed besides where a method needs the
secret itself. One that is known by an older master key is digested by the first one when it proves right, once the
store was sealed with that (`reseal`): before, there may be nodes that were not given it.

A client that registered itself ends when nobody uses it (`unused_until`): when nothing is issued to it, and it does not
authenticate. To name it is no use of it, for everybody can. Using it moves that on, once a day at most.
"""

from __future__ import annotations

import hmac
import math
from collections.abc import Callable, Mapping
from contextlib import suppress

from attrs import field, frozen
from msgspec.structs import replace
from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from oauthd.protocol import opaque
from oauthd.protocol.client_rules import needs_secret, needs_secret_itself
from oauthd.protocol.errors import CONFLICT, NOT_FOUND
from oauthd.protocol.records import Client, ClientSecret, Generations, Resources, Tally
from oauthd.protocol.seals import Seals
from oauthd.stores import kinds, naming
from oauthd.stores.cache import Cache
from oauthd.stores.entries import Entry
from oauthd.stores.interface import Commit, IStore, Page, Stored, StoreUnavailable, Write
from oauthd.stores.swap import readings, swap

DAY = 86400
SWEEP = kinds.TALLY.at("sweep of clients")
BETWEEN_SWEEPS = 3600  # seconds, of all processes together
SECRET_PURPOSE = "client secret"  # noqa: S105 - the name of a digest's purpose
LONGEST_ID = 255
RESOURCES = kinds.RESOURCES.at("all")
_OWNERS = naming.key(RESOURCES)
WORLD = kinds.WORLD.at(b"", "world")
NOBODY = Entry(None, -math.inf, -math.inf, ())
"""What is known of a client whose id is none."""

_log = Logger(namespace="oauthd.stores")


def _nowhere(client_id: str) -> bool:
    return False


@frozen
class Known:
    """A client as it is kept in memory, with the generations in force at the same instant.

    :ivar proofs: keyed digests of what has proved to be from this client -> until when (wall-clock) it does.
    """

    client: Client
    generations: Generations
    proofs: dict[bytes, float] = field(factory=dict, eq=False, repr=False)


@frozen
class Clients:
    """Every client of the store.

    :ivar secret_overlap: seconds a rotated-out secret still works.
    :ivar keep: seconds a deleted client's last generation is remembered (the longest life of a token).
    :ivar unused_after: seconds that a client which registered itself stays though nobody uses it; 0 for ever.
    :ivar let_in: may there be a client that is described at this address? One that may not be any more is as none.
    """

    store: IStore
    cache: Cache
    seals: Seals
    clock: Callable[[], float]
    entropy: Callable[[int], bytes]
    secret_overlap: int
    keep: int
    unused_after: int = 0
    let_in: Callable[[str], bool] = _nowhere
    _renewing: set[str] = field(factory=set, init=False, repr=False)

    async def find(self, client_id: str) -> Client | None:
        """The client of that id, active or not; None for an unknown one."""
        if not 0 < len(client_id) <= LONGEST_ID:
            return None
        (stored,) = await self.store.get(kinds.client(client_id))
        return None if stored is None or self._over(stored.record) else _client(stored)

    async def known(self, client_id: str, fresh: bool = False) -> Entry:
        """The client and the generations to issue under, as an entry whose value is `Known` or None.

        Both are of one instant, in memory too: what is issued under older generations is dead, never live by mistake.

        :param fresh: as the store has it now.
        """
        if not 0 < len(client_id) <= LONGEST_ID:
            return NOBODY
        ref = kinds.client(client_id)
        name, subject = naming.key(ref), f"client:{client_id}"

        async def read() -> Known | None:
            (stored,), (world, client) = await self.store.get_with_generations((ref,), ("world", subject))
            if stored is None or self._over(stored.record):
                return None
            return Known(_client(stored), Generations(world, client))

        return await self.cache.through(name, (name, naming.generation(subject), naming.WORLD), read, fresh)

    def _over(self, client: Client) -> bool:
        """Has it ended, because nobody used it, or is it one of those that are not let in?"""
        if client.described and not self.let_in(client.client_id):
            return True
        return self._unused(client)

    def _unused(self, client: Client) -> bool:
        """Has nobody used it? One that an administrator has switched off stays: it could come again at its address."""
        if client.described and not client.is_active:
            return False
        return client.unused_until is not None and client.unused_until <= self.clock()

    async def used(self, client: Client) -> None:
        """Let a client that registered itself live on, for it was used; whoever is faster does it for all."""
        until = int(self.clock()) + self.unused_after
        if not self._is_due(client, until):
            return
        with suppress(StoreUnavailable):  # the next time does it
            (stored,) = await self.store.get(kinds.client(client.client_id))
            if stored is not None and self._is_due(stored.record, until):
                await swap(self.store, stored.ref, stored, replace(stored.record, unused_until=until))

    def _is_due(self, client: Client, until: int) -> bool:
        ends = client.unused_until
        return ends is not None and self.unused_after > 0 and ends <= until - min(DAY, self.unused_after // 2)

    async def find_with_generations(self, client_id: str) -> tuple[Client | None, Generations]:
        """The client and the generations to issue under, as they are now."""
        known = (await self.known(client_id, fresh=True)).value
        return (None, Generations(None, None)) if known is None else (known.client, known.generations)

    def knows_secret(self, client: Client | None, secret: str) -> bool:
        """Is it one of the client's live secrets? An unknown client costs the same."""
        presented = self.seals.digests(SECRET_PURPOSE, secret.encode("utf-8", "surrogatepass"))
        live = [one for one in client.secrets if self._is_live(one)] if client else []
        known = [s.digest for s in live] or [b"\0" * len(presented[0])]
        matches = [[hmac.compare_digest(one, other) for one in presented] for other in known]
        if client is None or not live or not any(map(any, matches)):
            return False
        for one, found in zip(live, matches, strict=True):
            if any(found) and self._hangs(one):
                self._renew(client.client_id, one.digest, secret.encode("utf-8", "surrogatepass"))
        return True

    def _is_live(self, secret: ClientSecret) -> bool:
        return secret.expires_at is None or secret.expires_at > self.clock()

    def _hangs(self, secret: ClientSecret) -> bool:
        """Was it digested with an older master key than the first? One that says nothing may have been."""
        if not secret.master:
            return len(self.seals.fingerprints) > 1
        return secret.master != self.seals.fingerprint

    def _renew(self, client_id: str, digest: bytes, plain: bytes) -> None:
        """Digest a secret that has just been proved with the first master key, while nobody waits for it."""
        if client_id not in self._renewing:
            self._renewing.add(client_id)
            renewing = Deferred.fromCoroutine(self._renewed(client_id, digest, plain))
            renewing.addErrback(_not_renewed).addBoth(lambda _: self._renewing.discard(client_id))

    async def _renewed(self, client_id: str, digest: bytes, plain: bytes) -> None:
        world, stored = await self.store.get(WORLD, kinds.client(client_id))
        if stored is None or world is None or world.record.master != self.seals.fingerprint:
            return
        client: Client = stored.record
        secrets = tuple(self._by_first(one, plain) if one.digest == digest else one for one in client.secrets)
        if secrets != client.secrets:  # where somebody was faster, the next time that it is proved will do
            await swap(self.store, stored.ref, stored, replace(client, secrets=secrets))

    def open_secrets(self, client: Client) -> tuple[bytes, ...]:
        """The client's live secrets themselves, the newest first; of those that were sealed.

        :raises SealBroken: when the master key that sealed one is gone.
        """
        live = (one for one in client.secrets if one.sealed and self._is_live(one))
        return tuple(self.seals.open(SECRET_PURPOSE, one.sealed) for one in live)

    async def register(self, client: Client, secret: str | None = None) -> tuple[Client, str | None]:
        """Store a new client; one that proves itself by a secret gets one, made here unless it is given.

        `client.client_id` may be "" (an id is made) and `number`, times and secrets are set here.

        :raises OAuthError: `conflict` when the id is taken.
        """
        now = int(self.clock())
        if secret is None and needs_secret(client):
            secret = opaque.make(opaque.CLIENT_SECRET, self.entropy)
        client = replace(
            client,
            client_id=client.client_id or opaque.new_identifier(self.entropy),
            number=await self.store.next_number("client"),
            created_at=now,
            updated_at=now,
            secrets=(self._secret(client, secret, now),) if client.confidential and secret else (),
        )
        await self.store.begin(f"client:{client.client_id}")
        ref = kinds.client(client.client_id)
        if not await self.store.commit(Commit(absent=(ref,), writes=(Write(ref, client),))):
            raise CONFLICT("a client with this client_id exists", fields={"client_id": "is taken"})
        await self._own(client.resources, client.client_id)
        return client, secret if client.confidential else None

    async def update(self, client_id: str, change: Callable[[Client], Client]) -> Client:
        """Apply `change` to the client as it is now; repeated when somebody else was faster.

        :raises OAuthError: `not_found`; whatever `change` raises.
        """
        async for stored in readings(self.store, kinds.client(client_id)):
            if stored is None:
                raise NOT_FOUND("there is no such client")
            new = replace(change(stored.record), updated_at=int(self.clock()))
            if await swap(self.store, stored.ref, stored, new):
                await self._own(new.resources, client_id)
                return new
        raise CONFLICT("the client is being changed by others; try again")

    async def reseal(self) -> tuple[int, int]:
        """Seal with the first master key the secrets that an older one sealed.

        Of a secret that is not sealed there is a digest alone, which nobody can make again until it is proved.

        :returns: how many secrets were sealed anew, and how many clients have one that hangs on an older master key.
        :raises SealBroken: when no master key at hand opens one.
        """
        count, hanging, cursor = 0, 0, None
        while True:
            page = await self.page(cursor, 100)
            for stored in page.items:
                secrets = stored.record.secrets
                if old := sum(map(self._outdated, secrets)):
                    await self.update(stored.record.client_id, self._resealed)
                    count += old
                hanging += any(self._is_live(one) and not one.sealed and self._hangs(one) for one in secrets)
            cursor = page.cursor
            if cursor is None:
                return count, hanging

    def _outdated(self, secret: ClientSecret) -> bool:
        return bool(secret.sealed) and not self.seals.is_current(secret.sealed)

    def _resealed(self, client: Client) -> Client:
        return replace(client, secrets=tuple(map(self._anew, client.secrets)))

    def _anew(self, secret: ClientSecret) -> ClientSecret:
        if not self._outdated(secret):
            return secret
        return self._by_first(secret, self.seals.open(SECRET_PURPOSE, secret.sealed))

    def _by_first(self, secret: ClientSecret, plain: bytes) -> ClientSecret:
        """The same by the first master key."""
        sealed = self.seals.seal(SECRET_PURPOSE, plain) if secret.sealed else b""
        digest = self.seals.digest(SECRET_PURPOSE, plain)
        return replace(secret, digest=digest, sealed=sealed, master=self.seals.fingerprint)

    async def rotate_secret(self, client_id: str, overlap: int | None = None) -> tuple[Client, str]:
        """Give the client a new secret; the former one works for `overlap` seconds more, older ones end now.

        :raises OAuthError: `not_found`; `conflict` for a public client.
        """
        secret = opaque.make(opaque.CLIENT_SECRET, self.entropy)
        now = int(self.clock())
        ends = now + (self.secret_overlap if overlap is None else overlap)

        def rotated(client: Client) -> Client:
            if not client.confidential:
                raise CONFLICT("a public client has no secret")
            former = [replace(s, expires_at=ends) for s in client.secrets if s.expires_at is None and ends > now]
            return replace(client, secrets=(self._secret(client, secret, now), *former))

        return await self.update(client_id, rotated), secret

    async def delete(self, client_id: str) -> None:
        """End the client and every token of it.

        :raises OAuthError: `not_found`.
        """
        (stored,) = await self.store.get(kinds.client(client_id)) if 0 < len(client_id) <= LONGEST_ID else (None,)
        if stored is None:  # also one that is not let in any more, whose tokens are still to be ended
            raise NOT_FOUND("there is no such client")
        await self._end(client_id)

    async def _end(self, client_id: str) -> None:
        await self.store.end(f"client:{client_id}", self.keep)  # from here on its tokens are dead
        await self._own((), client_id)
        await self.store.forget(kinds.client(client_id))  # last: as long as it is there, a deletion can be repeated

    async def registered(self) -> int:
        """How many clients have registered themselves."""
        return await self.store.count(kinds.REGISTERED)

    async def described(self) -> int:
        """How many clients are kept that documents describe."""
        return await self.store.count(kinds.DESCRIBED)

    async def sweep(self) -> tuple[str, ...]:
        """Delete the clients that nobody uses, unless that was done a moment ago by any process; their ids."""
        now = int(self.clock())
        turn = Write(SWEEP, Tally(1, now + BETWEEN_SWEEPS))
        if not await self.store.commit(Commit(absent=(SWEEP,), writes=(turn,))):
            return ()
        return (*await self._swept(kinds.REGISTERED), *await self._swept(kinds.DESCRIBED))

    async def _swept(self, index: str) -> list[str]:
        gone: list[str] = []
        cursor = None
        while True:
            page: Page[Client] = await self.store.scan(index, cursor)
            for stored in page.items:
                if self._unused(stored.record):
                    await self._end(stored.record.client_id)
                    gone.append(stored.record.client_id)
            cursor = page.cursor
            if cursor is None:
                return gone

    async def page(self, cursor: str | None, limit: int) -> Page[Client]:
        """A page of clients by the time they were made."""
        page: Page[Client] = await self.store.scan("clients", cursor, limit)
        return page

    async def resources_kept(self, fresh: bool = False) -> Mapping[str, tuple[str, ...]]:
        """As `resources`, from memory. Who would refuse something for what is not there asks for fresh ones."""
        kept: Mapping[str, tuple[str, ...]] = (
            await self.cache.through(_OWNERS, (_OWNERS,), self.resources, fresh)
        ).value
        return kept

    async def resources(self) -> Mapping[str, tuple[str, ...]]:
        """Every declared resource indicator and the clients that own it."""
        (stored,) = await self.store.get(RESOURCES)
        return {} if stored is None else {uri: tuple(owners) for uri, owners in stored.record.owners.items()}

    async def _own(self, now: tuple[str, ...], client_id: str) -> None:
        """Bring the table of resource owners in step with one client's list, also where an earlier try was cut off."""
        async for stored in readings(self.store, RESOURCES):
            owners = {} if stored is None else {uri: list(ids) for uri, ids in stored.record.owners.items()}
            others = {uri: [one for one in ids if one != client_id] for uri, ids in owners.items()}
            wanted = others | {uri: sorted((*others.get(uri, ()), client_id)) for uri in now}
            table = Resources({uri: ids for uri, ids in wanted.items() if ids})
            if table.owners == owners:
                return
            if await swap(self.store, RESOURCES, stored, table):
                return
        raise CONFLICT("the resources are being changed by others; try again")

    def _secret(self, client: Client, secret: str, now: int) -> ClientSecret:
        plain = secret.encode("utf-8", "surrogatepass")
        sealed = self.seals.seal(SECRET_PURPOSE, plain) if needs_secret_itself(client) else b""
        digest = self.seals.digest(SECRET_PURPOSE, plain)
        return ClientSecret(digest, now, sealed=sealed, master=self.seals.fingerprint)


def _client(stored: Stored[Client]) -> Client:
    return stored.record


def _not_renewed(failure: Failure) -> None:
    if not isinstance(failure.value, StoreUnavailable):  # the next time that it is proved will do
        _log.failure("digesting a client's secret anew failed", failure)
