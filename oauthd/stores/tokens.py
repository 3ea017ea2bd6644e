"""Issued tokens: found alive, listed, ended.

A token is alive while all stands that it stands on (`oauthd.protocol.standing`), its own record first. Ending is
constant in cost whatever it covers: one token, a grant, all of a user or client, everything. One that is not written
down is alive in the same way, but for its record: there is one only once it is revoked. It is in no list.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Iterable
from typing import Any

from attrs import field, frozen
from msgspec.structs import replace

from oauthd.protocol import opaque
from oauthd.protocol.records import AccessToken, Generations, Grant, RefreshToken, Revoked
from oauthd.protocol.standing import Standing
from oauthd.stores import kinds, naming
from oauthd.stores.cache import Cache
from oauthd.stores.interface import IStore, Page, Ref, Stored, Write
from oauthd.stores.standings import today
from oauthd.stores.status_lists import StatusLists

Token = AccessToken | RefreshToken
Unwritten = Callable[[bytes], AccessToken | None]
"""The record of a token that is not written down, by its signature; None for anything else."""
CLOCKS = 300  # seconds that nodes' clocks may differ: so long a revocation outlives a token that is not written down
LONGEST_TOKEN = 16384  # bytes; nothing that we hand out is longer


def nobody(token: bytes) -> None:
    """There are no tokens that are not written down."""


@frozen
class Listed:
    """A token as lists show it: `token_id` is derived from its digest and safe to show.

    :ivar grant_id: "" for none.
    """

    token_id: str
    kind: str
    token: Token
    grant_id: str


def token_id(ref: Ref[Any]) -> str:
    """The id by which an administrator names a token: its kind, its digest and its family, never its value."""
    return ref.kind.name + ref.slot + "." + base64.urlsafe_b64encode(ref.ident).rstrip(b"=").decode()


def _ref_of(identifier: str) -> Ref[Any] | None:
    """The reference that a `token_id` names; None when it is none."""
    head, _, encoded = identifier.partition(".")
    try:
        ident = base64.b64decode(encoded + "=" * (-len(encoded) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        return None
    if len(ident) != 32 or not head.isascii() or not (head[1:].isalnum() or not head[1:]):
        return None
    if head == kinds.ACCESS_TOKEN.name:
        return kinds.ACCESS_TOKEN.at(ident)
    if head[:1] == kinds.REFRESH_TOKEN.name and 0 < len(head[1:]) <= 32:
        return kinds.REFRESH_TOKEN.at(ident, head[1:])
    return None


@frozen
class Found:
    """An access token that is alive.

    :ivar grant: its own; None where it is in none.
    """

    record: AccessToken
    standing: Standing
    grant: Grant | None


@frozen
class Tokens:
    """Every issued token of the store.

    :ivar statuses: where the end of a listed one is entered.
    """

    store: IStore
    cache: Cache
    clock: Callable[[], float]
    statuses: StatusLists | None = None
    unwritten: Unwritten = field(default=nobody)

    async def find_access(self, token: str) -> AccessToken | None:
        """The live access token of that value, of either format, written down or not; None for anything else."""
        found = await self.look(token)
        return None if found is None else found.record

    async def look(self, token: str) -> Found | None:
        """As `find_access`, with what it stands on: its record, then all the rest in one read."""
        if not 0 < len(token) <= LONGEST_TOKEN:
            return None
        ref: Ref[Any] = kinds.access_token(token)
        (stored,) = await self.store.get(ref)
        record: AccessToken | None = self.unwritten_of(token) if stored is None else stored.record
        if record is None or record.expires_at <= self.clock():
            return None
        own = ref if stored is not None else kinds.revoked(record.jti)
        standing = Standing.of(record, naming.key(own))
        if not standing.began:
            return None
        now = await today(self.store, (standing,))
        if not now.holds(standing):
            return None
        grant = now.found.get(standing.there[0]) if record.grant else None
        return Found(record, standing, None if grant is None else grant.record)

    def unwritten_of(self, token: str) -> AccessToken | None:
        """The record of a token that is not written down, alive or not; None for anything else."""
        return self.unwritten(token.encode("utf-8", "surrogatepass"))

    async def find_refresh(self, token: str, even_spent: bool = False) -> tuple[str, RefreshToken] | None:
        """Grant id and record of a live refresh token; None for anything else.

        :param even_spent: also one that has a successor: its holder may still end the grant.
        """
        grant_id = opaque.parse(opaque.REFRESH_TOKEN, token)
        if not grant_id:
            return None
        (stored,) = await self.store.get(kinds.refresh_token(grant_id, token))
        if stored is None or not await self._live([stored], even_spent):
            return None
        return grant_id, stored.record

    async def find_refresh_all(self, tokens: Iterable[str], client_id: str) -> dict[str, RefreshToken]:
        """The live ones among refresh tokens of one client, by their values: as `find_refresh`, in one read for all."""
        refs = {}
        for token in tokens:
            grant_id = opaque.parse(opaque.REFRESH_TOKEN, token)
            if grant_id:
                refs[kinds.refresh_token(grant_id, token)] = token
        found = await self.store.get(*refs) if refs else ()
        own = [stored for stored in found if stored is not None and stored.record.client_id == client_id]
        alive = {listed.token_id for listed in await self._live(own)} if own else set()
        return {refs[stored.ref]: stored.record for stored in own if token_id(stored.ref) in alive}

    async def covers(self, grant: Grant, today: Generations) -> bool:
        """Are the generations that the grant was made under still in force, for all that is known?

        Numbers only grow: one from memory refuses nobody wrongly, and were it old, what is issued under those of the
        grant would be dead, never live.

        :param today: those of the world and the grant's client.
        """
        if grant.user_id:
            today = replace(today, user=await self._generation_of(grant.user_id))
        return today.covers(grant.generations)

    def covers_at_once(self, grant: Grant, today: Generations) -> bool:
        """As `covers`, from memory alone; False where it says nothing, too."""
        if grant.user_id:
            entry = self.cache.find(naming.generation(f"user:{grant.user_id}"))
            today = replace(today, user=int(entry.value) if entry is not None and entry.value is not None else None)
        return today.covers(grant.generations)

    async def _generation_of(self, user_id: str) -> int | None:
        subject = f"user:{user_id}"
        name = naming.generation(subject)

        async def read() -> bytes | None:
            _, (number,) = await self.store.get_with_generations((), (subject,))
            return None if number is None else b"%d" % number

        entry = await self.cache.through(name, (name,), read)
        if entry.value is None:  # nobody is turned away for what memory says
            entry = await self.cache.through(name, (name,), read, fresh=True)
        return None if entry.value is None else int(entry.value)

    async def confirm(self) -> None:
        """What was ended before is confirmed; to be asked by whoever is told that it is no more."""
        await self.store.confirm()

    async def end_access(self, token: str, record: AccessToken | None = None) -> None:
        """End one access token by its value; what it was exchanged for stands on it, and ends with it.

        :param record: its own, where that is known: then its status list tells it at once.
        """
        unwritten = self.unwritten_of(token)
        if unwritten is not None:
            await self._end_unwritten(unwritten)
        else:
            await self._end(kinds.access_token(token), record)

    async def _end(self, ref: Ref[AccessToken], record: AccessToken | None) -> None:
        await self.store.forget(ref)
        if record is not None and self.statuses is not None:
            await self.statuses.ended(record)

    async def end_rest(self, token: str) -> None:
        """End what is left of this access token, and confirm it.

        To be asked by whoever is told that there is no such token (any more): it may be the repeat of a revocation
        that was answered 503. Or something that it stands on has ended, which this process is still to hear of: who
        was told that the token is revoked must not find it in memory here.
        """
        ref, unwritten = kinds.access_token(token), self.unwritten_of(token)
        if unwritten is not None and (await self.store.get(kinds.revoked(unwritten.jti)))[0] is not None:
            await self._end_unwritten(unwritten)
        if unwritten is None and (await self.store.get(ref))[0] is not None:
            await self.store.forget(ref)
        await self.confirm()

    async def _end_unwritten(self, record: AccessToken) -> None:
        """By its jti: the same token may be written in other ways."""
        await self.store.bury(Write(kinds.revoked(record.jti), Revoked(expires_at=record.expires_at + CLOCKS)))
        if record.status and self.statuses is not None:
            await self.statuses.end(record.status, record.expires_at)

    async def find_grant(self, grant_id: str) -> Grant | None:
        """The grant of that id, while its record stands."""
        (stored,) = await self.store.get(kinds.grant(grant_id))
        return None if stored is None else stored.record

    async def end_grant(self, grant_id: str) -> None:
        """End a grant: every token, code and grace answer of it is dead with the grant's record."""
        await self.store.forget(kinds.grant(grant_id))

    async def end_by_id(self, identifier: str) -> Listed | None:
        """End the token of that `token_id`: an access token ends itself, a refresh token its grant."""
        listed = await self.show(identifier)
        ref = _ref_of(identifier)
        if ref is None or listed is None:
            return None
        if ref.kind is kinds.ACCESS_TOKEN:
            await self._end(ref, listed.token if isinstance(listed.token, AccessToken) else None)
        else:
            await self.end_grant(ref.slot)
        return listed

    async def end_all_of_user(self, user_id: str) -> None:
        """End every token and session of a user."""
        await self.store.raise_generation(f"user:{user_id}")

    async def end_all_of_client(self, client_id: str) -> None:
        """End every token of a client."""
        await self.store.raise_generation(f"client:{client_id}")

    async def end_everything(self) -> None:
        """End every token there is."""
        await self.store.raise_generation("world")

    async def show(self, identifier: str) -> Listed | None:
        """The live token of that `token_id`."""
        ref = _ref_of(identifier)
        if ref is None:
            return None
        (stored,) = await self.store.get(ref)
        live = [] if stored is None else await self._live([stored])
        return live[0] if live else None

    async def page(
        self, client_id: str, user_id: str, kind: str, cursor: str | None, limit: int
    ) -> tuple[list[Listed], str | None]:
        """A page of the live tokens of a client, of a user, or of both; `kind` is `access`, `refresh` or "".

        :raises ValueError: when the cursor is not one of ours.
        """
        index = kinds.tokens_of_user(user_id) if user_id else kinds.tokens_of_client(client_id)
        page: Page[Token] = await self.store.scan(index, cursor, limit)
        wanted = [
            stored
            for stored in page.items
            if not (user_id and client_id and stored.record.client_id != client_id) and kind in ("", _kind(stored))
        ]
        return await self._live(wanted), page.cursor

    async def _live(self, found: list[Stored[Token]], even_spent: bool = False) -> list[Listed]:
        """Those of them that are alive; all that they stand on in one read."""
        standings = [_standing(one) for one in found]
        now = await today(self.store, [standing for standing in standings if standing.began])
        return [
            Listed(token_id(one.ref), _kind(one), one.record, _grant_id(one))
            for one, standing in zip(found, standings, strict=True)
            if standing.began and now.holds(standing) and (even_spent or getattr(one.record, "spent", None) is None)
        ]


def _standing(stored: Stored[Token]) -> Standing:
    """What a token stands on besides its record, which was just read."""
    record = stored.record
    if isinstance(record, AccessToken):
        return Standing.of(record)
    # Grants, and so refresh tokens, do not end with resources: none was ever given to one.
    return Standing.within(record.generations, record.client_id, record.user_id, stored.ref.slot)


def _kind(stored: Stored[Token]) -> str:
    return "refresh" if isinstance(stored.record, RefreshToken) else "access"


def _grant_id(stored: Stored[Token]) -> str:
    return stored.ref.slot if isinstance(stored.record, RefreshToken) else stored.record.grant


def extended(grant: Grant, until: int) -> Grant:
    """The grant living on to `until`, never past its absolute end (ASVS 10.4.8)."""
    return replace(grant, expires_at=min(max(grant.expires_at, until), grant.ends_at))
