"""User codes of CIBA (Core section 7.1.2): who has one is asked by no client but those that the person has told it.

It keeps requests that nobody wants off people's devices; it signs nobody in. (The user codes of RFC 8628 are others:
`oauthd.guessing`.) It is kept as a password is, checked at the same cost for who has none, and tries are counted before
they are made: of each client about each person. Clients that registered themselves count as one: whoever makes many of
them has no more tries by that, and keeps out none but them.
"""

from __future__ import annotations

from collections.abc import Callable

from attrs import frozen

from oauthd.passwords import Passwords
from oauthd.protocol.errors import OAuthError
from oauthd.protocol.records import Client, Tally, User
from oauthd.protocol.seals import Seals
from oauthd.stores import kinds, tallies
from oauthd.stores.interface import IStore, Ref

HOUR = 3600  # seconds


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

    async def fits(self, user: User | None, client: Client, code: str) -> bool:
        """May a client that sends this code ask for this person? Whoever has none is asked by any; nobody, by none.

        :raises OAuthError: `too_many_requests` with Retry-After.
        """
        if user is None or not user.user_code:
            await self.passwords.verify("", code)
            return user is not None
        ref = self._tally(client, user.user_id)
        try:
            await self._change(ref, 1, self.tries)
        except OAuthError:
            await self.passwords.verify("", code)  # nobody sees by the time that it was not looked at
            raise
        try:
            fits = await self.passwords.verify(user.user_code, code)
        except OAuthError:  # no verdict: the try does not count
            await self._change(ref, -1, None)
            raise
        if fits:
            await self._change(ref, -1, None)
        return fits

    def _tally(self, client: Client, person: str) -> Ref[Tally]:
        name = f"{'' if client.registered_itself else client.client_id}\x00{person}"
        return kinds.TALLY.at(self.seals.digest("user code", name.encode("utf-8", "surrogatepass"))[:16])

    async def _change(self, ref: Ref[Tally], by: int, limit: int | None) -> None:
        what = "wrong user codes of this person were sent"
        await tallies.change(self.store, ref, by, limit, int(self.clock()), what, HOUR)
