"""User codes of CIBA (Core section 7.1.2): who has one is asked by no client but those that the person has told it.

It keeps requests that nobody wants off people's devices; it signs nobody in. (The user codes of RFC 8628 are others:
`oauthd.guessing`.) It is kept as a password is, checked at the same cost for who has none, and tries are counted before
they are made: of each client about each person, and of all clients about the person.
"""

from __future__ import annotations

from collections.abc import Callable

from attrs import frozen

from oauthd.passwords import Passwords
from oauthd.protocol.errors import OAuthError
from oauthd.protocol.records import Tally, User
from oauthd.protocol.seals import Seals
from oauthd.stores import kinds, tallies
from oauthd.stores.interface import IStore, Ref

HOUR = 3600  # seconds
OF_ALL = 4  # times as many tries as one client has, all of them have together


@frozen
class UserCodes:
    """Checks user codes.

    :ivar tries: wrong ones that one client may send of one person in an hour.
    """

    store: IStore
    passwords: Passwords
    seals: Seals
    tries: int
    clock: Callable[[], float]

    async def fits(self, user: User | None, client_id: str, code: str) -> bool:
        """May a client that sends this code ask for this person? Whoever has none is asked by any; nobody, by none.

        :raises OAuthError: `too_many_requests` with Retry-After.
        """
        if user is None or not user.user_code:
            await self.passwords.verify("", code)
            return user is not None
        try:
            await self._count(user.user_id, client_id)
        except OAuthError:
            await self.passwords.verify("", code)  # nobody sees by the time that it was not looked at
            raise
        try:
            fits = await self.passwords.verify(user.user_code, code)
        except OAuthError:  # no verdict: the try does not count
            await self._give_back(user.user_id, client_id)
            raise
        if fits:
            await self._give_back(user.user_id, client_id)
        return fits

    async def _count(self, user_id: str, client_id: str) -> None:
        """Count a try before it is made. One that is refused for all clients still counts for its own."""
        for ref, limit in self._counters(user_id, client_id):
            await self._change(ref, 1, limit)

    async def _give_back(self, user_id: str, client_id: str) -> None:
        for ref, _ in self._counters(user_id, client_id):
            await self._change(ref, -1, None)

    def _counters(self, user_id: str, client_id: str) -> list[tuple[Ref[Tally], int]]:
        """The client's first: one client alone takes the tries of no other."""
        return [(self._tally(f"{client_id} {user_id}"), self.tries), (self._tally(f" {user_id}"), self.tries * OF_ALL)]

    def _tally(self, name: str) -> Ref[Tally]:
        return kinds.TALLY.at(self.seals.digest("user code", name.encode("utf-8", "surrogatepass"))[:16])

    async def _change(self, ref: Ref[Tally], by: int, limit: int | None) -> None:
        what = "wrong user codes of this person were sent"
        await tallies.change(self.store, ref, by, limit, int(self.clock()), what, HOUR)
