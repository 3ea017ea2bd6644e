"""User codes of CIBA (Core section 7.1.2): who has one is asked by no client but those that the person has told it.

It keeps requests that nobody wants off people's devices; it signs nobody in. (The user codes of RFC 8628 are others:
`oauthd.guessing`.) It is kept as a password is, checked at the same cost for who has none, and tries are counted before
they are made: of each client about each name, whether somebody has it or not. Clients that registered themselves count
as one: whoever makes many of them has no more tries by that, and keeps out none but them.
"""

from __future__ import annotations

from collections.abc import Callable

from attrs import frozen
from msgspec.structs import replace

from oauthd.passwords import Passwords
from oauthd.protocol.errors import TEMPORARILY_UNAVAILABLE, TOO_MANY_REQUESTS, OAuthError
from oauthd.protocol.lockout import canonical_name
from oauthd.protocol.records import Client, Tally, User
from oauthd.protocol.seals import Seals
from oauthd.stores import kinds
from oauthd.stores.interface import IStore, Ref
from oauthd.stores.swap import readings, swap

HOUR = 3600  # seconds
ROUNDS = 200  # how often others may be faster: one of them has come through each time


@frozen
class UserCodes:
    """Checks user codes.

    :ivar tries: wrong ones that one client, or all that registered themselves, may send of one person in an hour.
    """

    store: IStore
    passwords: Passwords
    seals: Seals
    tries: int
    clock: Callable[[], float]

    async def fits(self, user: User | None, name: str, client: Client, code: str) -> bool:
        """May a client that sends this code ask for this person? Whoever has none is asked by any; nobody, by none.

        A name that nobody has takes the same steps as one whose owner has no code, or another one: no client sees by
        the time whether there is such a person.

        :param name: that of the person, in any spelling, or what the client takes for one.
        :raises OAuthError: `too_many_requests` with Retry-After; `temporarily_unavailable` where too many try at once.
        """
        open_to_all = user is not None and not user.user_code
        ref = self._tally(client, canonical_name(name))
        wait = await self._count(ref, 1)
        if wait:
            if open_to_all:
                return True
            raise TOO_MANY_REQUESTS("too many wrong user codes of this person were sent", headers=_after(wait))
        try:
            fits = await self.passwords.verify(user.user_code if user else "", code)
        except OAuthError:  # no verdict: the try does not count
            await self._count(ref, -1)
            raise
        await self._count(ref, -1 if fits else 0)
        return fits or open_to_all

    def _tally(self, client: Client, name: str) -> Ref[Tally]:
        name = f"{'' if client.registered_itself else client.client_id}\x00{name}"
        return kinds.TALLY.at(self.seals.digest("user code", name.encode("utf-8", "surrogatepass"))[:16])

    async def _count(self, ref: Ref[Tally], by: int) -> int:
        """Count a try, give it back (-1), or write what stands there (0); the seconds to wait, where none is left.

        Whatever comes of it, it is one reading and one writing. Who was slower than others all the time is told so:
        that is no sign of wrong codes.
        """
        async for stored in readings(self.store, ref, ROUNDS):
            now = int(self.clock())
            if stored is None and by <= 0:
                return 0
            tally = stored.record if stored else Tally(0, now + HOUR)
            full = by > 0 and tally.count >= self.tries
            if await swap(self.store, ref, stored, replace(tally, count=max(0, tally.count + (0 if full else by)))):
                return max(1, tally.expires_at - now) if full else 0
        raise TEMPORARILY_UNAVAILABLE("too many user codes are sent at once; try again", headers=_after(1))


def _after(seconds: int) -> dict[str, str]:
    return {"Retry-After": str(seconds)}
