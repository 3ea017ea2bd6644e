"""Counting wrong user codes, where many come at the same moment."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from argon2 import PasswordHasher

from oauthd.passwords import Passwords
from oauthd.protocol.errors import OAuthError
from oauthd.protocol.records import User
from oauthd.protocol.seals import Seals
from oauthd.user_codes import UserCodes
from tests.server import Counting, together
from tests.stores.case import NOW, StoreCase, client


async def at_once(call: Callable[..., Any], *arguments: Any) -> Any:
    """In place of a thread."""
    return call(*arguments)


class AtOnceTests(StoreCase):
    """Many codes at once, of one client about one person."""

    timeout = 60

    async def sent(self, code: str, times: int, tries: int) -> list[bool | str]:
        """Whether each fits, or the error."""
        passwords = Passwords(PasswordHasher(time_cost=1, memory_cost=8, parallelism=1), at_once)
        store: Any = self.store
        codes = UserCodes(store, passwords, Seals((bytes(32),), Counting()), tries, self.clock.seconds)
        user = User("u1", "alice", NOW, NOW, user_code=await passwords.hash("246802"))

        async def one() -> bool | str:
            try:
                return await codes.fits(user, "alice", client("app", 1), code)
            except OAuthError as refused:
                return refused.kind.code

        return await together(one() for _ in range(times))

    async def test_right(self) -> None:
        """Right ones fit, however many come at the same moment, and leave nothing that counts."""
        self.assertEqual(await self.sent("246802", 60, 100), [True] * 60)
        self.assertEqual(await self.sent("246802", 1, 1), [True])

    async def test_wrong(self) -> None:
        """Wrong ones are looked at as often as is allowed, and no more."""
        answers = await self.sent("wrong!", 60, 5)
        self.assertEqual([answers.count(one) for one in (False, "too_many_requests")], [5, 55])
