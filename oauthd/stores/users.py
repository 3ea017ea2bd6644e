"""Users: found by id or name, created, changed, deactivated; and the list of administrators.

The canonical form of a username (NFKC, case-folded) is what is unique. The administrators stand in a record of their
own, so that the last one cannot be removed by two requests at once.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from attrs import frozen
from msgspec.structs import replace

from oauthd.protocol import opaque
from oauthd.protocol.errors import CONFLICT, NOT_FOUND, OAuthError
from oauthd.protocol.lockout import canonical_name
from oauthd.protocol.records import Administrators, User, Username
from oauthd.stores import kinds
from oauthd.stores.interface import Commit, IStore, Page, Write
from oauthd.stores.swap import readings, swap

ADMINISTRATOR = "admin"


def is_administrator(user: User) -> bool:
    """May this user administer the server?"""
    return user.is_active and ADMINISTRATOR in user.roles


@frozen
class Users:
    """Every user of the store."""

    store: IStore
    clock: Callable[[], float]
    entropy: Callable[[int], bytes]

    async def find(self, user_id: str) -> User | None:
        """The user of that id, active or not."""
        if not 0 < len(user_id) <= 128:
            return None
        (stored,) = await self.store.get(kinds.user(user_id))
        if stored is None:
            return None
        user: User = stored.record
        return user

    async def find_by_name(self, username: str) -> User | None:
        """The user of that name in any spelling."""
        user_id = await self.id_of(username)
        return None if user_id is None else await self.find(user_id)

    async def id_of(self, username: str) -> str | None:
        """The id of the user of that name in any spelling."""
        (stored,) = await self.store.get(_name(username))
        return None if stored is None else str(stored.record.user_id)

    async def create(self, user: User) -> User:
        """Store a new user; `user_id` (when "") and times are set here, `password` is already a hash.

        :raises OAuthError: `conflict` when the name is taken.
        """
        now = int(self.clock())
        user_id = user.user_id or opaque.new_identifier(self.entropy)
        user = replace(user, user_id=user_id, created_at=now, updated_at=now)
        # The record first: a crash in between leaves a user without a name, never a name without a user.
        await self.store.begin(f"user:{user.user_id}")
        ref = kinds.user(user.user_id)
        if not await self.store.commit(Commit(absent=(ref,), writes=(Write(ref, user),))):
            raise CONFLICT("a user of this id exists", fields={"user_id": "is taken"})
        try:
            await self._take_name(user)
        except OAuthError:
            await self.store.forget(ref)
            await self.store.end(f"user:{user.user_id}", 1)  # nothing was issued to it
            raise
        if is_administrator(user):
            await self._administrators(user.user_id, True)
        return user

    async def update(self, user_id: str, change: Callable[[User], User]) -> User:
        """Apply `change` to the user as it is now; repeated when somebody else was faster.

        :raises OAuthError: `not_found`; `conflict` when the new name is taken or the last administrator would go.
        """
        async for stored in readings(self.store, kinds.user(user_id)):
            if stored is None:
                raise NOT_FOUND("there is no such user")
            old, now = stored.record, int(self.clock())
            new = replace(change(old), updated_at=now)
            if old.is_active and not new.is_active:
                new = _vouched_until(new, now)  # what counts for nothing does not come back with the user
            await self._take_name(new)
            try:
                if is_administrator(old) and not is_administrator(new):
                    await self._administrators(user_id, False)
            except OAuthError:
                await self._drop_name(new, old)
                raise
            if await swap(self.store, stored.ref, stored, new):
                if is_administrator(new) and not is_administrator(old):
                    await self._administrators(user_id, True)
                await self._drop_name(old, new)
                return new
            await self._drop_name(new, old)
        raise CONFLICT("the user is being changed by others; try again")

    async def deactivate(self, user_id: str) -> User:
        """The user cannot sign in any more, and every token and session of it is dead.

        :raises OAuthError: `not_found`; `conflict` for the last administrator.
        """
        user = await self.update(user_id, lambda user: replace(user, is_active=False))
        await self.store.raise_generation(f"user:{user_id}")  # after the record: nothing issued in between survives
        return user

    async def end_vouchers(self, user_id: str) -> None:
        """What others have vouched for so far counts for nothing: the user is to sign in anew, at them too.

        Before the generation is raised: what was issued in between is dead then.

        :raises OAuthError: `conflict`.
        """
        now = int(self.clock())
        async for stored in readings(self.store, kinds.user(user_id)):
            if stored is None or await swap(self.store, stored.ref, stored, _vouched_until(stored.record, now)):
                return
        raise CONFLICT("the user is being changed by others; try again")

    async def list_administrator(self, user_id: str) -> None:
        """Put an administrator on the list (again)."""
        await self._administrators(user_id, True)

    async def page(self, cursor: str | None, limit: int) -> Page[User]:
        """A page of users by the time they were made."""
        page: Page[User] = await self.store.scan("users", cursor, limit)
        return page

    async def _take_name(self, user: User) -> None:
        """Point the canonical name at the user, unless it is somebody else's."""
        ref = _name(user.username)
        if await self.store.commit(Commit(absent=(ref,), writes=(Write(ref, Username(user.user_id)),))):
            return
        (stored,) = await self.store.get(ref)
        if stored is None or stored.record.user_id != user.user_id:
            raise CONFLICT("a user of this name exists", fields={"username": "is taken"})

    async def _drop_name(self, user: User, kept: User) -> None:
        """Give back the name that a user has not taken, or has left, unless the user goes by it today."""
        if _name(user.username) != _name(kept.username):
            now = await self.find(user.user_id)
            if now is None or _name(now.username) != _name(user.username):
                await self.store.forget(_name(user.username))

    async def _administrators(self, user_id: str, present: bool) -> None:
        """Put a user on the list of administrators or take it off.

        :raises OAuthError: `conflict` when it is the last one.
        """
        ref = kinds.ADMINISTRATORS.at("all")
        async for stored in readings(self.store, ref):
            others = [] if stored is None else [one for one in stored.record.user_ids if one != user_id]
            if not present:
                # Of a role that was taken away while it was being given, the list may still tell.
                others = [one for one in others if (user := await self.find(one)) and is_administrator(user)]
                if not others:
                    raise CONFLICT("this is the last administrator")
            table = Administrators((*others, user_id) if present else tuple(others))
            if await swap(self.store, ref, stored, table):
                return
        raise CONFLICT("the administrators are being changed by others; try again")


def _vouched_until(user: User, now: int) -> User:
    """What others have vouched for until now counts for nothing; never less than did already: clocks may differ."""
    return replace(user, vouched_after=max(user.vouched_after, now))


def _name(username: str) -> Any:
    return kinds.USERNAME.at(canonical_name(username))
