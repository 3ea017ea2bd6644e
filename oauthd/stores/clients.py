"""Clients: found, registered, changed, given secrets, deleted.

A client's generation is begun before its record appears and ended before the record goes, so that a token can never
outlive it. Secrets are kept as keyed digests and compared in constant time.
"""

from __future__ import annotations

import hmac
import math
from collections.abc import Callable, Mapping
from typing import Any

from attrs import field, frozen
from msgspec.structs import replace

from oauthd.protocol import opaque
from oauthd.protocol.errors import CONFLICT, NOT_FOUND
from oauthd.protocol.records import Client, ClientSecret, Generations, Resources
from oauthd.protocol.seals import Seals
from oauthd.stores import kinds, naming
from oauthd.stores.cache import Cache, Entry
from oauthd.stores.interface import Commit, IStore, Page, Stored, Write

SECRET_PURPOSE = "client secret"  # noqa: S105 - the name of a digest's purpose
LONGEST_ID = 128
RESOURCES = kinds.RESOURCES.at("all")
RETRIES = 20
NOBODY = Entry(None, -math.inf, -math.inf, ())
"""What is known of a client whose id is none."""


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
    """

    store: IStore
    cache: Cache
    seals: Seals
    clock: Callable[[], float]
    entropy: Callable[[int], bytes]
    secret_overlap: int
    keep: int

    async def find(self, client_id: str) -> Client | None:
        """The client of that id, active or not; None for an unknown one."""
        if not 0 < len(client_id) <= LONGEST_ID:
            return None
        (stored,) = await self.store.get(kinds.client(client_id))
        return None if stored is None else _client(stored)

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
            return None if stored is None else Known(_client(stored), Generations(world, client))

        return await self.cache.through(name, (name, naming.generation(subject), naming.WORLD), read, fresh)

    async def find_with_generations(self, client_id: str) -> tuple[Client | None, Generations]:
        """The client and the generations to issue under, as they are now."""
        known = (await self.known(client_id, fresh=True)).value
        return (None, Generations(None, None)) if known is None else (known.client, known.generations)

    def knows_secret(self, client: Client | None, secret: str) -> bool:
        """Is it one of the client's live secrets? An unknown client costs the same."""
        presented = self.seals.digests(SECRET_PURPOSE, secret.encode("utf-8", "surrogatepass"))
        now = self.clock()
        live = [s for s in client.secrets if s.expires_at is None or s.expires_at > now] if client else []
        known = [s.digest for s in live] or [b"\0" * len(presented[0])]
        matches = [hmac.compare_digest(one, other) for one in presented for other in known]
        return bool(live) and any(matches)

    async def register(self, client: Client, secret: str | None = None) -> tuple[Client, str | None]:
        """Store a new client; a confidential one gets a secret, made here unless it is given.

        `client.client_id` may be "" (an id is made) and `number`, times and secrets are set here.

        :raises OAuthError: `conflict` when the id is taken.
        """
        now = int(self.clock())
        if client.confidential and secret is None:
            secret = opaque.make(opaque.CLIENT_SECRET, self.entropy)
        client = replace(
            client,
            client_id=client.client_id or opaque.new_identifier(self.entropy),
            number=await self.store.next_number("client"),
            created_at=now,
            updated_at=now,
            secrets=(self._secret(secret, now),) if client.confidential and secret else (),
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
        for _ in range(RETRIES):
            (stored,) = await self.store.get(kinds.client(client_id))
            if stored is None:
                raise NOT_FOUND("there is no such client")
            old = _client(stored)
            new = replace(change(old), updated_at=int(self.clock()))
            if await self.store.commit(Commit(expected=(stored,), writes=(Write(stored.ref, new),))):
                await self._own(new.resources, client_id)
                return new
        raise CONFLICT("the client is being changed by others; try again")

    async def rotate_secret(self, client_id: str, overlap: int | None = None) -> tuple[Client, str]:
        """Give the client a new secret; the former one works for `overlap` seconds more, older ones end now."""
        secret = opaque.make(opaque.CLIENT_SECRET, self.entropy)
        now = int(self.clock())
        ends = now + (self.secret_overlap if overlap is None else overlap)

        def rotated(client: Client) -> Client:
            if not client.confidential:
                raise CONFLICT("a public client has no secret")
            former = [replace(s, expires_at=ends) for s in client.secrets if s.expires_at is None and ends > now]
            return replace(client, secrets=(self._secret(secret, now), *former))

        return await self.update(client_id, rotated), secret

    async def delete(self, client_id: str) -> None:
        """End the client and every token of it.

        :raises OAuthError: `not_found`.
        """
        client = await self.find(client_id)
        if client is None:
            raise NOT_FOUND("there is no such client")
        await self.store.end(f"client:{client_id}", self.keep)  # from here on its tokens are dead
        await self._own((), client_id)
        await self.store.forget(kinds.client(client_id))  # last: as long as it is there, a deletion can be repeated

    async def page(self, cursor: str | None, limit: int) -> Page[Client]:
        """A page of clients by the time they were made."""
        page: Page[Client] = await self.store.scan("clients", cursor, limit)
        return page

    async def resources(self) -> Mapping[str, tuple[str, ...]]:
        """Every declared resource indicator and the clients that own it."""
        (stored,) = await self.store.get(RESOURCES)
        return {} if stored is None else {uri: tuple(owners) for uri, owners in stored.record.owners.items()}

    async def _own(self, now: tuple[str, ...], client_id: str) -> None:
        """Bring the table of resource owners in step with one client's list, also where an earlier try was cut off."""
        ref = RESOURCES
        for _ in range(RETRIES):
            (stored,) = await self.store.get(ref)
            owners = {} if stored is None else {uri: list(ids) for uri, ids in stored.record.owners.items()}
            others = {uri: [one for one in ids if one != client_id] for uri, ids in owners.items()}
            wanted = others | {uri: sorted((*others.get(uri, ()), client_id)) for uri in now}
            table = Resources({uri: ids for uri, ids in wanted.items() if ids})
            if table.owners == owners:
                return
            condition: dict[str, Any] = {"absent": (ref,)} if stored is None else {"expected": (stored,)}
            if await self.store.commit(Commit(writes=(Write(ref, table),), **condition)):
                return
        raise CONFLICT("the resources are being changed by others; try again")

    def _secret(self, secret: str, now: int) -> ClientSecret:
        return ClientSecret(self.seals.digest(SECRET_PURPOSE, secret.encode("utf-8", "surrogatepass")), now)


def _client(stored: Stored[Client]) -> Client:
    return stored.record
