"""Signing a person in by password: the only way to a password check, so nobody gets around the counting.

The attempt is counted before the password is looked at (`protocol.lockout` has the rules), per account and per source;
a browser known to the account is counted by itself, so that others cannot lock its owner out. Known and unknown names
take the same steps and cost the same time.
"""

from __future__ import annotations

import base64
import hmac
import math
from collections.abc import Callable

from attrs import frozen
from msgspec.structs import replace

from oauthd.events import Events
from oauthd.passwords import Passwords
from oauthd.protocol import lockout, opaque
from oauthd.protocol.errors import CONFLICT, TOO_MANY_REQUESTS
from oauthd.protocol.lockout import Policy
from oauthd.protocol.records import Lockout, User
from oauthd.protocol.seals import Seals
from oauthd.stores import kinds
from oauthd.stores.interface import IStore, Ref
from oauthd.stores.swap import readings, swap
from oauthd.stores.users import Users

LONGEST_NAME = 1024  # characters: nobody is called so, and normalising takes the square of the length
NOBODY = "nobody"  # read in the place of a user that does not exist


@frozen
class Person:
    """A user whose password was right, and the generation that was in force before it was checked."""

    user: User
    generation: int


@frozen
class SignIn:
    """Checks passwords and keeps count."""

    store: IStore
    users: Users
    passwords: Passwords
    seals: Seals
    events: Events
    clock: Callable[[], float]
    policy: Policy
    entropy: Callable[[int], bytes]

    async def by_password(self, username: str, password: str, source: str, known_as: str = "") -> Person | None:
        """The user of that name, if the password fits; None if not.

        :param known_as: the value of the browser's known-account cookie, "" for none.
        :raises OAuthError: `too_many_requests` with Retry-After while the account or the source is blocked.
        """
        if len(username) > LONGEST_NAME:
            return None
        reserved = await self._reserve(self._counters(username, source, known_as))
        try:
            person = await self._check(username, password)
        except Exception:
            for ref, record in reserved:  # no verdict: the attempt does not count
                await self._give_back(ref, record)
            raise
        if person is None:
            self.events.tell("sign_in.failed", source=source)
            return None
        for ref, record in reserved:
            # The source's history stays, or an attacker would clear it with an account of his own.
            await (self._give_back(ref, record) if ref == self._source(source) else self.store.forget(ref))
        self.events.tell("sign_in.succeeded", user_id=person.user.user_id, source=source)
        return person

    async def knows_password(self, user: User, password: str, source: str) -> bool:
        """Does a signed-in user know the own password? Counted like a sign-in."""
        person = await self.by_password(user.username, password, source)
        return person is not None and person.user.user_id == user.user_id

    def known_cookie(self, username: str) -> str:
        """A value by which this browser, and no other, is later known to the account of that name."""
        return self._known(username, opaque.new_identifier(self.entropy))

    def _known(self, username: str, browser: str) -> str:
        name = lockout.canonical_name(username).encode("utf-8", "surrogatepass")
        mac = self.seals.digest("known browser", browser.encode("utf-8", "surrogatepass") + b"\x00" + name)
        return f"{browser}.{base64.urlsafe_b64encode(mac).rstrip(b'=').decode()}"

    async def _check(self, username: str, password: str) -> Person | None:
        user_id = await self.users.id_of(username) or NOBODY
        today = await self.store.generations("", user_id)
        user = await self.users.find(user_id)  # after the generation: a deactivation in between makes dead tokens
        fits = await self.passwords.verify(user.password if user else "", password)
        if not fits or user is None or not user.is_active or today.user is None:
            return None
        if self.passwords.outdated(user.password):
            rehashed, was = await self.passwords.hash(password), user.password
            await self.users.update(
                user.user_id, lambda now: replace(now, password=rehashed) if now.password == was else now
            )
        return Person(user, today.user)

    def _counters(self, username: str, source: str, known_as: str) -> list[Ref[Lockout]]:
        known = self._known(username, known_as.partition(".")[0]).encode("utf-8", "surrogatepass")
        if known_as and hmac.compare_digest(known, known_as.encode("utf-8", "surrogatepass")):
            return [kinds.LOCKOUT.at(lockout.browser_key(username, known_as, self.seals.digest))]
        account = kinds.LOCKOUT.at(lockout.account_key(username, self.seals.digest))
        return [account, self._source(source)] if lockout.canonical_source(source) else [account]

    def _source(self, source: str) -> Ref[Lockout]:
        return kinds.LOCKOUT.at(lockout.source_key(source, self.seals.digest))

    async def _reserve(self, refs: list[Ref[Lockout]]) -> list[tuple[Ref[Lockout], Lockout]]:
        """Count the attempt everywhere before it is made, or refuse it."""
        reserved: list[tuple[Ref[Lockout], Lockout]] = []
        for ref in refs:
            record = await self._count(ref)
            if isinstance(record, Lockout):
                reserved.append((ref, record))
                continue
            for other, given in reserved:
                await self._give_back(other, given)
            self.events.tell("sign_in.locked", seconds=math.ceil(record))
            raise TOO_MANY_REQUESTS(
                "too many failed sign-ins; wait and try again", headers={"Retry-After": str(math.ceil(record))}
            )
        return reserved

    async def _count(self, ref: Ref[Lockout]) -> Lockout | float:
        """The counted attempt, or the seconds to wait."""
        async for stored in readings(self.store, ref):
            now = self.clock()
            former = stored.record if stored else None
            wait = lockout.blocked(former, now)
            if wait:
                return wait
            record = lockout.attempt(former, now, self.policy)
            if await swap(self.store, ref, stored, record):
                return record
        raise CONFLICT("too many sign-ins at once; try again")

    async def _give_back(self, ref: Ref[Lockout], reserved: Lockout) -> None:
        async for stored in readings(self.store, ref):
            if stored is None:
                return
            left = lockout.returned(stored.record, reserved, self.clock(), self.policy)
            if await swap(self.store, ref, stored, left):
                return
