"""The catalogue of scopes: one record, so that a token request reads it at once and names stay unique."""

from __future__ import annotations

from collections.abc import Callable

from attrs import frozen
from msgspec.structs import replace

from oauthd.protocol.errors import CONFLICT, NOT_FOUND
from oauthd.protocol.records import Scope, Scopes
from oauthd.stores import kinds, naming
from oauthd.stores.cache import Cache
from oauthd.stores.entries import Entry
from oauthd.stores.interface import IStore
from oauthd.stores.swap import readings, swap

# What exists at first start; the rest is created by the API.
FIRST_SCOPES: tuple[tuple[str, str, bool, bool], ...] = (
    # name, description, reserved, administrators only
    ("openid", "Sign you in and know your user id", False, False),
    ("profile", "See your name and other details of your profile", False, False),
    ("email", "See your email address", False, False),
    ("address", "See your postal address", False, False),
    ("phone", "See your phone number", False, False),
    ("offline_access", "Keep access while you are away", False, False),
    ("account", "Change your profile and your password", True, False),
    ("admin", "Administer this server: its clients, users, scopes, tokens and keys", True, True),
    ("global_token_revocation", "Sign anybody out everywhere", True, True),
    ("backchannel", "Answer authentication requests for people, as their device", True, True),
)
FIRST = Scopes(
    tuple(Scope(number, *row) for number, row in enumerate(FIRST_SCOPES, 1)), last_id=len(FIRST_SCOPES)
)
SCOPES = kinds.SCOPES.at("all")
NAME = naming.key(SCOPES)


@frozen
class ScopeCatalogue:
    """Every scope of the store."""

    store: IStore
    cache: Cache

    async def kept(self, fresh: bool = False) -> Entry:
        """All scopes, from memory. Who would refuse or take something away for what they lack asks for fresh ones."""
        return await self.cache.through(NAME, (NAME,), self.all, fresh)

    def kept_at_once(self) -> Scopes | None:
        """All scopes where memory has them."""
        entry = self.cache.find(NAME)
        return None if entry is None else entry.value

    async def all(self) -> Scopes:
        """All scopes, as they are now."""
        (stored,) = await self.store.get(SCOPES)
        if stored is None:
            return Scopes()
        scopes: Scopes = stored.record
        return scopes

    async def find(self, scope_id: int) -> Scope:
        """The scope of that id.

        :raises OAuthError: `not_found`.
        """
        for scope in (await self.all()).scopes:
            if scope.scope_id == scope_id:
                return scope
        raise NOT_FOUND("there is no such scope")

    async def create(self, scope: Scope) -> Scope:
        """Add a scope; its id is given here.

        :raises OAuthError: `conflict` when the name is taken.
        """
        made = scope

        def added(scopes: Scopes) -> Scopes:
            nonlocal made
            if any(one.name == scope.name for one in scopes.scopes):
                raise CONFLICT("a scope of this name exists", fields={"name": "is taken"})
            made = replace(scope, scope_id=scopes.last_id + 1)
            return Scopes((*scopes.scopes, made), made.scope_id)

        await self._change(added)
        return made

    async def update(self, scope_id: int, change: Callable[[Scope], Scope]) -> Scope:
        """Change a scope's description or rules; its name stays, for tokens carry it.

        :raises OAuthError: `not_found`; whatever `change` raises.
        """
        await self._change(
            lambda scopes: replace(
                scopes, scopes=tuple(change(one) if one.scope_id == scope_id else one for one in scopes.scopes)
            ),
            scope_id,
        )
        return await self.find(scope_id)

    async def delete(self, scope_id: int) -> None:
        """Remove a scope: nothing new is granted for it.

        :raises OAuthError: `not_found`.
        """
        await self._change(
            lambda scopes: replace(scopes, scopes=tuple(one for one in scopes.scopes if one.scope_id != scope_id)),
            scope_id,
        )

    async def _change(self, change: Callable[[Scopes], Scopes], scope_id: int | None = None) -> None:
        async for stored in readings(self.store, SCOPES):
            if stored is None or (
                scope_id is not None and all(one.scope_id != scope_id for one in stored.record.scopes)
            ):
                raise NOT_FOUND("there is no such scope")
            if await swap(self.store, SCOPES, stored, change(stored.record)):
                return
        raise CONFLICT("the scopes are being changed by others; try again")
